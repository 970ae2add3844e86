import Reactor
import SecureChannels

/// Every byte that a socket under a ``SecuredChannel`` carried, by what it was for.
public struct SocketAccounts: Equatable, Sendable {
    /// What one direction carried.
    public struct Direction: Equatable, Sendable {
        /// What the channel had carried before the upgrade.
        public internal(set) var beforeBytes: UInt64 = 0
        /// multistream-select, in the clear.
        public internal(set) var securityNegotiationBytes: UInt64 = 0
        /// Handshake messages, alerts, new keys and farewells.
        public internal(set) var handshakeBytes: UInt64 = 0
        /// Headers and tags of records.
        public internal(set) var recordOverheadBytes: UInt64 = 0
        /// Without the records around them.
        public internal(set) var muxerNegotiationBytes: UInt64 = 0
        /// What the multiplexer wrote or was given: the total of its own counters.
        public internal(set) var muxerBytes: UInt64 = 0
        /// Received: part of a record, or opened and not delivered before the end.
        public internal(set) var unfinishedBytes: UInt64 = 0
        /// Sent: in the accounts above, but not taken by the kernel before the end. 0 after an orderly end.
        public internal(set) var unwrittenBytes: UInt64 = 0
        /// What the kernel counted.
        public internal(set) var socketBytes: UInt64 = 0

        /// What the accounts say that the socket carried.
        public var accountedBytes: UInt64 {
            beforeBytes + securityNegotiationBytes + handshakeBytes + recordOverheadBytes + muxerNegotiationBytes + muxerBytes + unfinishedBytes
                &- unwrittenBytes
        }

        /// Whether the accounts add up to what the socket carried.
        public var isBalanced: Bool { accountedBytes == socketBytes }
    }

    /// What this side wrote.
    public internal(set) var sent = Direction()
    /// What the far end wrote.
    public internal(set) var received = Direction()

    /// Whether both directions balance.
    public var isBalanced: Bool { sent.isBalanced && received.isBalanced }
}

extension SecuredChannel {
    /// The accounts of the socket so far. They balance at any time, unless the connection broke off in the middle of a read; and after an orderly
    /// end ``SocketAccounts/Direction/muxerBytes`` is the total of the multiplexer's counters.
    ///
    /// - Parameter report: of the upgrade that made this channel.
    public func accounts(_ report: UpgradeReport) -> SocketAccounts {
        let counters = secureCounters
        var accounts = SocketAccounts()
        accounts.sent = SocketAccounts.Direction(
            before: report.before.sent, negotiation: report.securityNegotiation.sent, counters.sent, muxerNegotiation: report.muxerNegotiation.sent)
        accounts.sent.unwrittenBytes = UInt64(unwrittenByteCount)
        accounts.sent.socketBytes = raw.bytesSent
        accounts.received = SocketAccounts.Direction(
            before: report.before.received, negotiation: report.securityNegotiation.received, counters.received,
            muxerNegotiation: report.muxerNegotiation.received)
        let undelivered = UInt64(undeliveredByteCount)
        accounts.received.muxerBytes -= undelivered
        accounts.received.unfinishedBytes += undelivered
        accounts.received.socketBytes = raw.bytesReceived
        return accounts
    }
}

extension SocketAccounts.Direction {
    fileprivate init(
        before: UInt64, negotiation: UInt64, _ counters: SecureChannelCounters.Direction, muxerNegotiation: UInt64
    ) {
        beforeBytes = before
        securityNegotiationBytes = negotiation
        handshakeBytes = counters.handshakeBytes
        recordOverheadBytes = counters.recordOverheadBytes
        muxerNegotiationBytes = muxerNegotiation
        muxerBytes = counters.payloadBytes - muxerNegotiation
        unfinishedBytes = counters.unfinishedBytes
    }
}
