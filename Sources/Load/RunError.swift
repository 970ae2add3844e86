/// Why a run could not be brought to its end.
public enum RunError: Error, Equatable, Sendable, CustomStringConvertible {
    case interrupted
    case dialFailed(connection: Int, address: String, reason: String)
    case streamsMissing(client: Int, server: Int, wanted: Int)
    case stalled(seconds: Double)
    case unanswered(Int, seconds: Double)
    case unfinished(connections: Int, seconds: Double)
    case serverDidNotStart(String)

    public var description: String {
        switch self {
        case .interrupted:
            "interrupted before anything was measured"
        case .dialFailed(let connection, let address, let reason):
            "connection \(connection) to \(address) could not be made: \(reason)"
        case .streamsMissing(let client, let server, let wanted):
            "of \(wanted) streams the client has \(client) open and the server \(server): time ran out"
        case .stalled(let seconds):
            "neither side got any further for \(seconds) s"
        case .unanswered(let count, let seconds):
            "\(count) requests were still unanswered \(seconds) s after the window"
        case .unfinished(let connections, let seconds):
            "\(connections) connections had not finished \(seconds) s after the window"
        case .serverDidNotStart(let reason):
            "the server process did not start: \(reason)"
        }
    }
}
