import Multiformats
import P2P
import SecureChannels

/// What libp2p's performance harness asks for, read from the environment.
struct PerfAppSettings {
    enum Role {
        case listener(IPv4Address)
        case dialer(Plan)
    }

    struct Plan {
        let uploadBytes: UInt64
        let downloadBytes: UInt64
        let uploadIterations: Int
        let downloadIterations: Int
        let latencyIterations: Int
    }

    let role: Role
    let redisAddress: String
    /// Keeps the tests that share a Redis server apart.
    let testKey: String
    let security: SecurityKind
    let muxer: MuxerKind
    let isVerbose: Bool

    /// Where the listener's address stands in Redis.
    var addressKey: String { "\(testKey)_listener_multiaddr" }

    init(_ variables: [String: String]) throws(PerfAppError) {
        let source = Variables(values: variables)
        let isDialer = try source.flag("IS_DIALER")
        redisAddress = try source.text("REDIS_ADDR")
        testKey = try source.text("TEST_KEY")
        _ = try source.choice("TRANSPORT", ["tcp": ()])
        security = try source.choice("SECURE_CHANNEL", ["noise": SecurityKind.noise, "tls": .tls])
        muxer = try source.choice("MUXER", ["yamux": MuxerKind.yamux, "mplex": .mplex])
        isVerbose = try source.flag("DEBUG", default: false)
        if isDialer {
            role = .dialer(
                Plan(
                    uploadBytes: try source.number("UPLOAD_BYTES", 1 << 30, in: 1...1 << 50),
                    downloadBytes: try source.number("DOWNLOAD_BYTES", 1 << 30, in: 1...1 << 50),
                    uploadIterations: try source.number("UPLOAD_ITERATIONS", 10, in: 1...1_000_000),
                    downloadIterations: try source.number("DOWNLOAD_ITERATIONS", 10, in: 1...1_000_000),
                    latencyIterations: try source.number("LATENCY_ITERATIONS", 100, in: 1...1_000_000)))
        } else {
            let text = source.value("LISTENER_IP") ?? "0.0.0.0"
            guard let ip = IPv4Address(text) else { throw .unsupported(name: "LISTENER_IP", value: text, accepted: "an IPv4 address") }
            role = .listener(ip)
        }
    }
}

private struct Variables {
    let values: [String: String]

    /// The harness writes `null` for what its own settings leave out.
    func value(_ name: String) -> String? { values[name].flatMap { $0.isEmpty || $0 == "null" ? nil : $0 } }

    func text(_ name: String) throws(PerfAppError) -> String {
        guard let text = value(name) else { throw .notSet(name) }
        return text
    }

    func choice<Value>(_ name: String, _ choices: KeyValuePairs<String, Value>) throws(PerfAppError) -> Value {
        let text = try text(name)
        guard let found = choices.first(where: { $0.key == text }) else {
            throw .unsupported(name: name, value: text, accepted: choices.map(\.key).joined(separator: " or "))
        }
        return found.value
    }

    func flag(_ name: String, default absent: Bool? = nil) throws(PerfAppError) -> Bool {
        if let absent, value(name) == nil { return absent }
        return try choice(name, ["true": true, "false": false])
    }

    func number<Number: FixedWidthInteger>(_ name: String, _ absent: Number, in range: ClosedRange<Number>) throws(PerfAppError) -> Number {
        guard let text = value(name) else { return absent }
        guard let number = Number(text), range.contains(number) else {
            throw .unsupported(name: name, value: text, accepted: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}

/// Why a test of the harness cannot be run.
enum PerfAppError: Error, CustomStringConvertible {
    case notSet(String)
    case unsupported(name: String, value: String, accepted: String)
    case noListener(key: String, seconds: Double)

    var description: String {
        switch self {
        case .notSet(let name): "the environment variable \(name) is not set; streamgauge perf-app --help lists them all"
        case .unsupported(let name, let value, let accepted): "\(name) is \(value), which is not supported; it can be \(accepted)"
        case .noListener(let key, let seconds): "no listener came within \(seconds) s: Redis has no \(key)"
        }
    }
}
