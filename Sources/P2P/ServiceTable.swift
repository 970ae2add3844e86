import Multiformats
import Negotiation

/// Which proposals a service takes.
enum ServiceMatch: Sendable {
    case exact(ProtocolID)
    case matching(listed: ProtocolID, @Sendable (ProtocolID) -> Bool)

    /// What the far end is told that the host speaks.
    var listed: ProtocolID {
        switch self {
        case .exact(let id), .matching(let id, _): id
        }
    }

    var entry: ProtocolTable.Entry {
        switch self {
        case .exact(let id): .exact(id)
        case .matching(let listed, let predicate): .matching(listed: listed, predicate)
        }
    }
}

/// A service and what it takes.
struct Registration: Sendable {
    let match: ServiceMatch
    let service: StreamService
}

/// What a host speaks, as one loop needs it: the replies written beforehand, in blocks of the loop's own. A change makes a new table; streams in negotiation
/// keep theirs.
///
/// Invariant: entry `i` of `protocols` is `services[i]`'s.
final class ServiceTable {
    let protocols: ProtocolTable
    let services: [StreamService]

    init(_ registrations: [Registration], limits: NegotiationLimits) {
        protocols = ProtocolTable(registrations.map(\.match.entry), limits: limits)
        services = registrations.map(\.service)
    }
}
