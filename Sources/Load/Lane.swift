import Bytes
import Gauge
import Muxers

/// The traffic of one stream at one end: what it has sent and received, and where in a message it is.
struct Lane: BitwiseCopyable {
    /// What this end does on the stream.
    enum Role: UInt8 {
        /// No stream stands in this place.
        case vacant
        case source, sink, duplex
        case requester, responder

        var isSource: Bool { self == .source || self == .duplex }
    }

    // What every message touches comes first and fills one line of the cache, 64 bytes: of a thousand streams none is in the nearest cache.

    var role = Role.vacant
    /// Our `finish` has been called.
    var isFinished = false
    /// The message being received is more than counted.
    var isLookedAt = false
    var flow: UInt32 = 0
    var handle = StreamHandle.none
    /// Position in the message being received.
    var offset: UInt32 = 0
    /// Answers still to come (requester).
    var outstanding: UInt32 = 0
    var received = Progress()
    var sent = Progress()
    /// When bytes last arrived, for the longest silence; 0 before the window.
    var heardAt: Nanoseconds = 0

    // What sampled messages touch, and the ends of the window and of the stream.

    var receivedSums = Sums()
    var sentSums = Sums()
    var ordinal: UInt64 = 0
    /// Of the message being received, as far as it has come.
    var messageChecksum: UInt64 = 0
    /// Received bytes when the window opened.
    var bytesAtWindow: UInt64 = 0
    /// Two lines of the cache and no more, so that no lane begins within one.
    private var padding: UInt64 = 0

    /// How far one direction of the stream is.
    struct Progress: BitwiseCopyable {
        var key: UInt64 = 0
        var messages: UInt64 = 0
    }

    /// What was sent or received in one direction.
    struct Sums: BitwiseCopyable {
        /// Over the sampled messages.
        var checksum: UInt64 = 0
        /// Of the last message, once all are checked (after the run's window).
        var lastChecksum: UInt64 = 0
    }
}

extension Scenario.Flow.Verb {
    /// What the end that opened the stream does, and what the other does.
    func role(ofOpener isOpener: Bool) -> Lane.Role {
        switch self {
        case .send: isOpener ? .source : .sink
        case .receive: isOpener ? .sink : .source
        case .duplex: .duplex
        case .request, .churn, .connect: isOpener ? .requester : .responder
        // Silent streams have no lane.
        case .hold: .vacant
        }
    }

    /// Messages as fast as the stream takes them.
    var isBulk: Bool { [.send, .receive, .duplex].contains(self) }

    /// Streams end with each operation, so receipts are kept for the connection and not for each stream.
    var isEphemeral: Bool { self == .churn || self == .connect }
}
