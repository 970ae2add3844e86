import Gauge

/// Something in which the environments of two sets of records differ.
public struct EnvironmentDifference: Codable, Sendable, Equatable {
    public let name: String
    public let old: [String]
    public let new: [String]
    /// Whether figures measured with the one cannot be held against figures measured with the other.
    public let matters: Bool

    public var sentence: String { "\(name): \(old.joined(separator: " and ")), now \(new.joined(separator: " and "))" }

    private struct Aspect: Sendable {
        let name: String
        let matters: Bool
        let read: @Sendable (Environment) -> String
    }

    private static let aspects: [Aspect] = [
        Aspect(name: "CPU", matters: true) { text($0.cpuModel) },
        Aspect(name: "architecture", matters: true) { $0.architecture },
        Aspect(name: "cores", matters: true) { text($0.cores) },
        Aspect(name: "cores allowed", matters: true) { text($0.coresAllowed) },
        Aspect(name: "frequency governor", matters: true) { text($0.governor) },
        Aspect(name: "hypervisor", matters: true) { text($0.hypervisor) },
        Aspect(name: "kernel", matters: true) { text($0.kernel) },
        Aspect(name: "compiler", matters: true) { $0.compiler },
        Aspect(name: "build configuration", matters: true) { $0.buildConfiguration },
        Aspect(name: "allocator", matters: true) { $0.allocator },
        Aspect(name: "I/O backend", matters: true) { $0.ioBackend },
        // Memory that is not full does not make anything faster, and the commit is what one wants to know about.
        Aspect(name: "memory of the machine", matters: false) { text($0.memoryBytes.map { Units.format(bytes: $0) }) },
        Aspect(name: "commit", matters: false) { text($0.commit) },
    ]

    private static func text(_ figure: Measured<some CustomStringConvertible>) -> String {
        switch figure {
        case .value(let value): value.description
        case .unavailable(let reason): "not available (\(reason))"
        }
    }

    /// All of them, those that matter first. Each side may have several environments.
    static func between(_ old: [Environment], _ new: [Environment]) -> [EnvironmentDifference] {
        let settings = Set((old + new).flatMap { $0.sysctls.keys }).sorted().map { name in
            // Who may count events does not change what happens.
            Aspect(name: name, matters: name != "kernel.perf_event_paranoid") { text($0.sysctls[name] ?? .unavailable("not recorded")) }
        }
        return (aspects + settings).compactMap { aspect in
            difference(aspect.name, matters: aspect.matters, old.map(aspect.read), new.map(aspect.read))
        }.sorted { $0.matters && !$1.matters }
    }

    /// Socket options of two runs that are held against each other.
    static func between(
        _ old: BothSides<Measured<[String: OptionValue]>>, _ new: BothSides<Measured<[String: OptionValue]>>
    ) -> [EnvironmentDifference] {
        Side.allCases.flatMap { side -> [EnvironmentDifference] in
            guard let before = old[side].value, let after = new[side].value else { return [] }
            return Set(before.keys).union(after.keys).sorted().compactMap { name in
                func text(_ options: [String: OptionValue]) -> String { options[name].map { "\($0)" } ?? "not recorded" }
                return difference("\(name) of the \(side.rawValue)", matters: true, [text(before)], [text(after)])
            }
        }
    }

    private static func difference(_ name: String, matters: Bool, _ old: [String], _ new: [String]) -> EnvironmentDifference? {
        let (before, after) = (Set(old), Set(new))
        return before == after || before.isEmpty || after.isEmpty
            ? nil : EnvironmentDifference(name: name, old: before.sorted(), new: after.sorted(), matters: matters)
    }
}
