/// The emulated link that a run went over, and how well it was used.
public struct LinkFigures: Codable, Sendable, Equatable {
    /// Of the link: from one end to the other and back, with nothing in the way.
    public var roundTripNanoseconds: UInt64
    public var bitsPerSecond: UInt64
    /// What may wait for the link in each direction.
    public var bufferBytes: Int
    public var jitterNanoseconds: UInt64
    /// Rate times round trip: what is under way when the link is full.
    public var bandwidthDelayBytes: Int
    /// Payload received from the client by what the rate allows. By Little's law that is also how much of the bandwidth-delay product was under way on average.
    public var utilisationUp: Measured<Double>
    /// The same from the server.
    public var utilisationDown: Measured<Double>

    public init(
        roundTripNanoseconds: UInt64, bitsPerSecond: UInt64, bufferBytes: Int, jitterNanoseconds: UInt64, bandwidthDelayBytes: Int,
        utilisationUp: Measured<Double>, utilisationDown: Measured<Double>
    ) {
        self.roundTripNanoseconds = roundTripNanoseconds
        self.bitsPerSecond = bitsPerSecond
        self.bufferBytes = bufferBytes
        self.jitterNanoseconds = jitterNanoseconds
        self.bandwidthDelayBytes = bandwidthDelayBytes
        self.utilisationUp = utilisationUp
        self.utilisationDown = utilisationDown
    }

    enum CodingKeys: String, CodingKey {
        case roundTripNanoseconds = "rtt_ns"
        case bitsPerSecond = "rate_bits_per_second"
        case bufferBytes = "buffer_bytes"
        case jitterNanoseconds = "jitter_ns"
        case bandwidthDelayBytes = "bandwidth_delay_bytes"
        case utilisationUp = "utilisation_up"
        case utilisationDown = "utilisation_down"
    }
}

/// How the receive windows of one direction grew, and what they let through, from when traffic began.
public struct WindowTrajectory: Codable, Sendable, Equatable {
    /// What was so at one moment.
    public struct Point: Codable, Sendable, Equatable {
        /// Since traffic began.
        public var seconds: Double
        /// The largest receive window that a stream has had until then, at the receiving end.
        public var windowBytes: Measured<UInt64>
        /// Payload that the sender's multiplexer had framed and the receiver's not yet received, over all connections.
        public var inFlightBytes: UInt64
        /// Payload received since traffic began.
        public var receivedBytes: UInt64

        public init(seconds: Double, windowBytes: Measured<UInt64>, inFlightBytes: UInt64, receivedBytes: UInt64) {
            self.seconds = seconds
            self.windowBytes = windowBytes
            self.inFlightBytes = inFlightBytes
            self.receivedBytes = receivedBytes
        }

        enum CodingKeys: String, CodingKey {
            case seconds
            case windowBytes = "window_bytes"
            case inFlightBytes = "in_flight_bytes"
            case receivedBytes = "received_bytes"
        }
    }

    /// `up` or `down`.
    public var direction: String
    /// When payload first came at 0.9 of the link's rate, taken over the round trip (and at least 50 ms) before.
    public var rampSeconds: Measured<Double>
    public var points: [Point]

    /// The share of the rate that ends the ramp.
    public static let rampUtilisation = 0.9

    /// `bytesPerSecond` is the link's rate; the rate at a point is taken over `spanSeconds` before it.
    public init(direction: String, points: [Point], bytesPerSecond: Double, spanSeconds: Double) {
        self.direction = direction
        self.points = points
        rampSeconds = .unavailable("payload never came at 0.9 of the link's rate")
        var first = 0
        for point in points {
            while first + 1 < points.count, points[first + 1].seconds <= point.seconds - spanSeconds { first += 1 }
            let before = points[first]
            guard point.seconds - before.seconds >= spanSeconds else { continue }
            let rate = Double(point.receivedBytes - before.receivedBytes) / (point.seconds - before.seconds)
            guard rate >= Self.rampUtilisation * bytesPerSecond else { continue }
            rampSeconds = .value(point.seconds)
            return
        }
    }

    enum CodingKeys: String, CodingKey {
        case direction
        case rampSeconds = "ramp_seconds"
        case points
    }
}

/// What held up the connections of one side, as shares of the window; the mean over its connections. Several may hold at once, so they need not add up.
public struct StallShares: Codable, Sendable, Equatable {
    /// Data was queued, and none of it had credit.
    public var window: Measured<Double>
    /// The kernel had not taken all that it was offered.
    public var socket: Measured<Double>
    /// Sealing and opening.
    public var crypto: Measured<Double>
    /// The handlers had queued nothing.
    public var nothingQueued: Measured<Double>
    /// Bytes had arrived that the handlers were not done with.
    public var notReading: Measured<Double>

    public init(
        window: Measured<Double>, socket: Measured<Double>, crypto: Measured<Double>, nothingQueued: Measured<Double>, notReading: Measured<Double>
    ) {
        self.window = window
        self.socket = socket
        self.crypto = crypto
        self.nothingQueued = nothingQueued
        self.notReading = notReading
    }

    enum CodingKeys: String, CodingKey {
        case window, socket, crypto
        case nothingQueued = "nothing_queued"
        case notReading = "not_reading"
    }
}
