import CKernel
import Glibc

/// What the kernel says about one TCP connection (TCP_INFO): the witness against which our own counters are checked.
/// A nil field is one that the running kernel does not report.
public struct TCPInfo: Equatable, Sendable {
    /// As the kernel numbers them: 1 is established.
    public var state: UInt8
    public var roundTripMicroseconds: UInt32
    public var roundTripVarianceMicroseconds: UInt32
    public var roundTripMinimumMicroseconds: UInt32?
    /// How many segments may be under way.
    public var congestionWindowSegments: UInt32
    /// Payload of a full segment that is sent.
    public var sendSegmentBytes: UInt32
    /// Segments sent again, over the connection's life.
    public var retransmitsTotal: UInt32
    /// Sent bytes that the far end has acknowledged. The opening SYN counts as one, and so does a FIN.
    public var bytesAcked: UInt64?
    /// Bytes that arrived in order. The far end's FIN counts as one.
    public var bytesReceived: UInt64?
    /// Payload bytes handed to the network, those sent again included.
    public var bytesSent: UInt64?
    /// Payload bytes sent again.
    public var bytesRetransmitted: UInt64?
    /// Bytes that wait in the kernel and have not been sent once.
    public var notSentBytes: UInt32?
    /// Sent, those without payload included.
    public var segmentsOut: UInt32?
    /// Received, those without payload included.
    public var segmentsIn: UInt32?
    /// Sent with payload.
    public var dataSegmentsOut: UInt32?
    /// Received with payload.
    public var dataSegmentsIn: UInt32?
    /// Segments that the far end is known to have received.
    public var delivered: UInt32?

    init?(_ info: ck_tcp_info, byteCount: Int) {
        guard let fixed = MemoryLayout<ck_tcp_info>.offset(of: \.total_retrans), byteCount >= fixed + 4 else { return nil }
        func present<Field: FixedWidthInteger>(_ path: KeyPath<ck_tcp_info, Field>) -> Field? {
            guard let offset = MemoryLayout<ck_tcp_info>.offset(of: path) else { return nil }
            return offset + MemoryLayout<Field>.size <= byteCount ? info[keyPath: path] : nil
        }
        state = info.state
        roundTripMicroseconds = info.rtt
        roundTripVarianceMicroseconds = info.rttvar
        roundTripMinimumMicroseconds = present(\.min_rtt)
        congestionWindowSegments = info.snd_cwnd
        sendSegmentBytes = info.snd_mss
        retransmitsTotal = info.total_retrans
        bytesAcked = present(\.bytes_acked)
        bytesReceived = present(\.bytes_received)
        bytesSent = present(\.bytes_sent)
        bytesRetransmitted = present(\.bytes_retrans)
        notSentBytes = present(\.notsent_bytes)
        segmentsOut = present(\.segs_out)
        segmentsIn = present(\.segs_in)
        dataSegmentsOut = present(\.data_segs_out)
        dataSegmentsIn = present(\.data_segs_in)
        delivered = present(\.delivered)
    }
}

extension Socket {
    /// The kernel's record of this connection, or nil when it is not TCP.
    public func tcpInfo() -> TCPInfo? {
        var info = ck_tcp_info()
        var length = socklen_t(MemoryLayout<ck_tcp_info>.size)
        do throws(Errno) {
            _ = try syscall("getsockopt") { unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) }
        } catch {
            return nil
        }
        return TCPInfo(info, byteCount: Int(length))
    }
}
