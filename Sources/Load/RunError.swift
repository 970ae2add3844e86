/// Why a run could not be brought to its end.
public enum RunError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Before anything was measured.
    case interrupted
    /// One of the run's connections could not be made.
    case dialFailed(connection: Int, address: String, reason: String)
    /// The server has no descriptor left, or the like.
    case notAccepted(reason: String)
    /// Not all streams were open at both ends in time.
    case streamsMissing(client: Int, server: Int, wanted: Int)
    /// Neither side got any further.
    case stalled(seconds: Double)
    /// Requests had no answer that long after the window.
    case unanswered(Int, seconds: Double)
    /// Connections had not ended that long after the run.
    case unfinished(connections: Int, seconds: Double)
    /// Streams had not ended that long after they were to.
    case streamsLeft(Int, seconds: Double)
    /// A libp2p node does not do what the workload is made of.
    case notServed(node: String, protocolID: String, reason: String)
    /// The run's own server process did not come to listen, for the reason given.
    case serverDidNotStart(String)
    /// The process that emulates the run's link did not come to listen, for the reason given.
    case relayDidNotStart(String)
    /// The run's own server process came to a bad end; what the client saw stands in front.
    case serverFailed(String)

    public var description: String {
        switch self {
        case .interrupted:
            "interrupted before anything was measured"
        case .dialFailed(let connection, let address, let reason):
            "connection \(connection) to \(address) could not be made: \(reason)"
        case .notAccepted(let reason):
            "the server could not take a connection: \(reason) (in the server's process)"
        case .streamsMissing(let client, let server, let wanted):
            "of \(wanted) streams the client has \(client) open and the server \(server): time ran out"
        case .stalled(let seconds):
            "neither side got any further for \(seconds) s"
        case .unanswered(let count, let seconds):
            "\(count) requests were still unanswered \(seconds) s after the window"
        case .unfinished(let connections, let seconds):
            "\(connections) connections had not finished \(seconds) s after the window"
        case .streamsLeft(let count, let seconds):
            "\(count) streams had not ended \(seconds) s after the window"
        case .notServed(let node, let id, let reason):
            "\(node) does not serve \(id): \(reason)"
        case .serverDidNotStart(let reason):
            "the server process did not start: \(reason)"
        case .relayDidNotStart(let reason):
            "the relay that emulates the link did not start: \(reason)"
        case .serverFailed(let reason):
            reason
        }
    }
}
