/// Who may import whom: the diagram of the house, as data. Arrows point down only.
enum Floors {
    /// Modules of this package.
    static let own: [String: Set<String>] = [
        // Floor 0
        "Bytes": [],
        // Floor 1
        "Kernel": ["Bytes", "CKernel", "CUring", "CJemalloc", "CProbes"],
        "Ciphers": ["Bytes", "COpenSSL"],
        "Multiformats": ["Bytes"],
        // Floor 2: machines that know no socket and no clock, and the loop that knows both
        "Muxers": ["Bytes", "CProbes"],
        // The multiplexer that a library brings, so that who imports P2P need not have the library.
        "HTTP2": ["Bytes", "CNghttp2", "Muxers"],
        "Negotiation": ["Bytes", "Multiformats"],
        "SecureChannels": ["Bytes", "Ciphers", "CProbes", "Multiformats"],
        "Reactor": ["Bytes", "CProbes", "Kernel"],
        // Emulated links, so that who imports P2P need not have them.
        "Links": ["Bytes"],
        // Floor 3
        "P2P": ["Bytes", "Ciphers", "CProbes", "Kernel", "Multiformats", "Muxers", "Negotiation", "Reactor", "SecureChannels"],
        "Gauge": ["Bytes"],
        // Floor 4
        "Load": ["Bytes", "CProbes", "HTTP2", "Kernel", "Links", "Multiformats", "Muxers", "Reactor", "SecureChannels", "P2P", "Gauge"],
        "Report": ["Gauge"],
        // Floor 5
        "streamgauge": ["Bytes", "Gauge", "Kernel", "Links", "Load", "Multiformats", "P2P", "Reactor", "Report", "SecureChannels"],
    ]

    /// Modules of packages that others publish.
    static let foreign: [String: Set<String>] = [
        "Gauge": ["Histogram"],
        "streamgauge": ["ArgumentParser", "Logging"],
    ]

    /// Modules of the system and the toolchain. Foundation is for what talks to people and files, never for the data path.
    static let system: [String: Set<String>] = [
        "Bytes": ["Glibc"],
        "Kernel": ["Glibc", "Synchronization"],
        "Ciphers": ["Glibc"],
        "Multiformats": [],
        "Muxers": [],
        "HTTP2": [],
        "Negotiation": [],
        "SecureChannels": [],
        "Reactor": ["Glibc", "Synchronization"],
        "Links": [],
        "P2P": ["Synchronization"],
        "Gauge": ["FoundationEssentials", "Foundation"],
        "Load": ["FoundationEssentials", "Foundation", "Synchronization"],
        "Report": ["FoundationEssentials", "Foundation"],
        "streamgauge": ["Dispatch", "Foundation", "Glibc", "Synchronization"],
    ]

    static func allows(_ target: String, _ module: String) -> Bool {
        [own, foreign, system].contains { $0[target]?.contains(module) == true }
    }

    /// Sentences about imports that the table does not have.
    static func violations(target: String, path: String, _ text: SourceText) -> [String] {
        text.imports.filter { !allows(target, $0.module) }.map { "\(path):\($0.line): \(target) imports \($0.module), which is not below it" }
    }

    /// Targets whose imports, taken together, lead back to themselves.
    static func cycles(_ table: [String: Set<String>]) -> [String] {
        func reaches(_ from: String, _ goal: String, _ seen: inout Set<String>) -> Bool {
            for next in table[from] ?? [] where next == goal || (seen.insert(next).inserted && reaches(next, goal, &seen)) { return true }
            return false
        }
        return table.keys.sorted().filter { target in
            var seen: Set<String> = []
            return reaches(target, target, &seen)
        }
    }
}
