/// What recorders recorded: one thread's, or several merged. A server sends its own to the client as JSON.
public struct Recording: Codable, Sendable, Equatable {
    /// Counts of the measured window.
    public struct Totals: Codable, Sendable, Equatable {
        /// Payload handed to streams.
        public var payloadBytesSent: UInt64 = 0
        /// Whole messages handed to streams.
        public var messagesSent: UInt64 = 0
        /// Payload that reached handlers.
        public var payloadBytesReceived: UInt64 = 0
        /// Whole messages that reached handlers.
        public var messagesReceived: UInt64 = 0
        /// Requests, streams (churn) or connections (connect) that were answered.
        public var operationsCompleted: UInt64 = 0
        /// Those that failed.
        public var operationsFailed: UInt64 = 0

        public init() {}

        public static func + (left: Totals, right: Totals) -> Totals {
            var sum = left
            sum.payloadBytesSent &+= right.payloadBytesSent
            sum.messagesSent &+= right.messagesSent
            sum.payloadBytesReceived &+= right.payloadBytesReceived
            sum.messagesReceived &+= right.messagesReceived
            sum.operationsCompleted &+= right.operationsCompleted
            sum.operationsFailed &+= right.operationsFailed
            return sum
        }

        /// What was added since `right`, an earlier copy.
        public static func - (left: Totals, right: Totals) -> Totals {
            var change = left
            change.payloadBytesSent &-= right.payloadBytesSent
            change.messagesSent &-= right.messagesSent
            change.payloadBytesReceived &-= right.payloadBytesReceived
            change.messagesReceived &-= right.messagesReceived
            change.operationsCompleted &-= right.operationsCompleted
            change.operationsFailed &-= right.operationsFailed
            return change
        }
    }

    /// What happened in one interval of the measured window. The last one may be shorter than the others.
    public struct Interval: Codable, Sendable, Equatable {
        /// Payload that reached handlers.
        public var payloadBytesReceived: UInt64
        /// Whole messages that reached handlers.
        public var messagesReceived: UInt64
        /// Requests, streams or connections that were answered.
        public var operationsCompleted: UInt64

        public init(payloadBytesReceived: UInt64 = 0, messagesReceived: UInt64 = 0, operationsCompleted: UInt64 = 0) {
            self.payloadBytesReceived = payloadBytesReceived
            self.messagesReceived = messagesReceived
            self.operationsCompleted = operationsCompleted
        }

        enum CodingKeys: String, CodingKey {
            case payloadBytesReceived = "payload_bytes_received"
            case messagesReceived = "messages_received"
            case operationsCompleted = "operations_completed"
        }
    }

    /// From when an operation was due to its complete answer.
    public var latency: LatencyHistogram
    /// From when an operation was really begun to its complete answer.
    public var service: LatencyHistogram
    /// How late the generator began what was due.
    public var pacerLateness: LatencyHistogram
    /// Of the whole window.
    public var totals: Totals
    /// In order; none before the window begins.
    public var intervals: [Interval]
    /// Length of each, but the last.
    public var intervalNanoseconds: UInt64
    /// The measured window, on the recorder's clock.
    public var beganAt: UInt64
    /// See ``beganAt``.
    public var endedAt: UInt64

    public init(
        latency: LatencyHistogram = LatencyHistogram(), service: LatencyHistogram = LatencyHistogram(),
        pacerLateness: LatencyHistogram = LatencyHistogram(), totals: Totals = Totals(), intervals: [Interval] = [],
        intervalNanoseconds: UInt64 = 0, beganAt: UInt64 = 0, endedAt: UInt64 = 0
    ) {
        self.latency = latency
        self.service = service
        self.pacerLateness = pacerLateness
        self.totals = totals
        self.intervals = intervals
        self.intervalNanoseconds = intervalNanoseconds
        self.beganAt = beganAt
        self.endedAt = endedAt
    }

    /// Length of the measured window.
    public var durationSeconds: Double { Double(endedAt >= beganAt ? endedAt - beganAt : 0) / 1e9 }

    /// Adds what another thread recorded. Both must have used intervals of the same length; the windows of two loops begin within
    /// microseconds of each other, so intervals are added by position.
    public mutating func merge(_ other: Recording) {
        guard other.intervalNanoseconds > 0 else { return }
        precondition(intervalNanoseconds == 0 || intervalNanoseconds == other.intervalNanoseconds, "intervals of different lengths")
        latency.merge(other.latency)
        service.merge(other.service)
        pacerLateness.merge(other.pacerLateness)
        totals = totals + other.totals
        for (index, interval) in other.intervals.enumerated() {
            if index == intervals.count {
                intervals.append(interval)
            } else {
                intervals[index].payloadBytesReceived &+= interval.payloadBytesReceived
                intervals[index].messagesReceived &+= interval.messagesReceived
                intervals[index].operationsCompleted &+= interval.operationsCompleted
            }
        }
        beganAt = intervalNanoseconds == 0 ? other.beganAt : min(beganAt, other.beganAt)
        endedAt = max(endedAt, other.endedAt)
        intervalNanoseconds = other.intervalNanoseconds
    }
}
