public import Bytes
public import Kernel
public import Reactor
public import SecureChannels

/// A channel that carries plaintext, over one that carries what a ``SecureChannel`` makes of it.
public final class SecuredChannel: Channel {
    /// The channel below: what the kernel knows.
    public let raw: any Channel
    private let secure: any SecureChannel

    init(raw: any Channel, secure: any SecureChannel) {
        self.raw = raw
        self.secure = secure
    }

    public func start(_ handler: any ChannelHandler) {}
    public func handOver(to handler: any ChannelHandler) {}
    public func send(_ gather: inout Gather) -> SendOutcome { .blocked }
    public func finishSending() {}
    public func close() {}
    public func pauseReceiving() {}
    public func resumeReceiving() {}
    /// Of the channel below, so that every byte of a socket is in the sum.
    public var bytesSent: UInt64 { raw.bytesSent }
    public var bytesReceived: UInt64 { raw.bytesReceived }
    public func tcpInfo() -> TCPInfo? { raw.tcpInfo() }
    public var remoteDescription: String { raw.remoteDescription }

    /// What the secure channel sent and received, by account, its handshake included.
    public var secureCounters: SecureChannelCounters { secure.counters }
    /// Why the secure channel gave the connection up.
    public private(set) var failure: SecureChannelError?
    /// Every byte of the channel below by what it was for. They add up as soon as the connection is over in order.
    public func accounts(_ report: UpgradeReport) -> SocketAccounts { SocketAccounts() }
}

/// Every byte that a socket under a ``SecuredChannel`` carried, by what it was for.
public struct SocketAccounts: Equatable, Sendable {
    public struct Direction: Equatable, Sendable {
        /// What the channel had carried before the upgrade.
        public var beforeBytes: UInt64 = 0
        public var securityNegotiationBytes: UInt64 = 0
        /// Handshake messages, alerts, new keys and farewells.
        public var handshakeBytes: UInt64 = 0
        /// Headers and tags of records.
        public var recordOverheadBytes: UInt64 = 0
        public var muxerNegotiationBytes: UInt64 = 0
        /// What the multiplexer wrote or was given: the sum of its own counters, unless the connection broke off.
        public var muxerBytes: UInt64 = 0
        /// Sent: sealed, but not taken by the kernel before the end. Counts against the sum. Received: part of a record, or decrypted and not asked for.
        public var unfinishedBytes: UInt64 = 0
        /// What the kernel counted.
        public var socketBytes: UInt64 = 0
        /// Whether the accounts add up to what the kernel counted.
        public internal(set) var isBalanced = false
    }

    public var sent = Direction()
    public var received = Direction()
}
