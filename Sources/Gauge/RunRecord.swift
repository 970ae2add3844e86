import FoundationEssentials

/// A run, written down: `streamgauge.run/1`. One JSON object a run; `results/README.md` describes it key by key.
///
/// With several repeats the figures at the top are those of the median repeat (by the workload's headline metric), so that every figure in
/// the record was measured together with the others; ``repeats`` holds each as it was.
public struct RunRecord: Sendable, Equatable {
    /// What the key `schema` of a record says.
    public static let schema = "streamgauge.run/1"

    /// What was asked for.
    public let setup: RunSetup
    /// The median repeat's figures; `valid`, `invalidReasons` and `partial` are those of all repeats together.
    public let figures: RunFigures
    /// Which repeat ``figures`` are from, counted from 1.
    public let headlineRepeat: Int
    /// Of all repeats.
    public let goodputSpread: Measured<Spread>
    /// Of all repeats.
    public let messagesSpread: Measured<Spread>
    /// The machine and the build.
    public let environment: Environment
    /// The command line that was run, quoted for a shell.
    public let command: String
    /// Each as it was, in order.
    public let repeats: [RunFigures]

    /// Whether every repeat is valid.
    public var valid: Bool { figures.valid }

    /// - Parameters:
    ///   - setup: what was asked for.
    ///   - repeats: at least one.
    ///   - environment: the machine and the build.
    ///   - command: the command line, quoted for a shell.
    public init(setup: RunSetup, repeats: [RunFigures], environment: Environment, command: String) {
        precondition(!repeats.isEmpty, "a run has at least one repeat")
        let headlines = repeats.map { $0.headline(setup.headlineMetric) ?? -1 }
        let chosen = Statistics.medianIndex(headlines) ?? 0
        var figures = repeats[chosen]
        figures.valid = repeats.allSatisfy(\.valid)
        figures.partial = repeats.contains(where: \.partial)
        figures.invalidReasons = repeats.count == 1
            ? repeats[0].invalidReasons
            : repeats.flatMap { figures in figures.invalidReasons.map { "repeat \(figures.repeatIndex): \($0)" } }
        self.setup = setup
        self.figures = figures
        headlineRepeat = repeats[chosen].repeatIndex
        goodputSpread = Self.spread(repeats.map(\.goodputBytesPerSecond))
        messagesSpread = Self.spread(repeats.map(\.messagesPerSecond))
        self.environment = environment
        self.command = command
        self.repeats = repeats
    }

    private static func spread(_ figures: [Measured<Double>]) -> Measured<Spread> {
        if let absent = figures.first(where: { $0.value == nil }), let reason = absent.reason { return .unavailable(reason) }
        return Measured(Statistics.spread(figures.compactMap(\.value)), else: "no repeats")
    }

    /// The record as JSON text, always the same for the same record.
    ///
    /// - Throws: `EncodingError` when a figure is not a finite number.
    public func encodedJSON() throws -> [UInt8] { try RecordEncoder.encode(self) }

    /// Reads a record.
    ///
    /// - Parameters:
    ///   - json: the whole text.
    ///   - file: where the text is from, for the error's words.
    public static func decode(_ json: [UInt8], file: String) throws(RunRecordError) -> RunRecord {
        let decoder = JSONDecoder()
        let data = Data(json)
        do {
            let found = try decoder.decode(SchemaOnly.self, from: data).schema
            guard let found else { throw RunRecordError.schemaMissing(file: file) }
            guard found == schema else { throw RunRecordError.wrongSchema(file: file, found: found) }
            return try decoder.decode(RunRecord.self, from: data)
        } catch let error as RunRecordError {
            throw error
        } catch let error as DecodingError {
            throw RunRecordError(error, file: file)
        } catch {
            throw .malformed(file: file, key: "", detail: "\(error)")
        }
    }

    private struct SchemaOnly: Decodable {
        let schema: String?
    }
}

/// Why a file is not a run record.
public enum RunRecordError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text is no JSON.
    case notJSON(file: String, detail: String)
    /// JSON without a `schema`.
    case schemaMissing(file: String)
    /// Another schema, or another version.
    case wrongSchema(file: String, found: String)
    /// A key that a record must have is not there.
    case keyMissing(file: String, key: String)
    /// A key has a value that it cannot have.
    case malformed(file: String, key: String, detail: String)

    public var description: String {
        switch self {
        case .notJSON(let file, let detail): "\(file) is not JSON: \(detail)"
        case .schemaMissing(let file): "\(file) is not a run record: it has no \"schema\" (\(RunRecord.schema) is expected)"
        case .wrongSchema(let file, let found): "\(file) has schema \"\(found)\"; this program reads \(RunRecord.schema)"
        case .keyMissing(let file, let key): "\(file) is a broken run record: the key \"\(key)\" is missing"
        case .malformed(let file, let key, let detail): "\(file) is a broken run record: \(key.isEmpty ? "" : "\"\(key)\": ")\(detail)"
        }
    }

    init(_ error: DecodingError, file: String) {
        func path(_ keys: [any CodingKey]) -> String {
            keys.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): self = .keyMissing(file: file, key: path(context.codingPath + [key]))
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            self = .malformed(file: file, key: path(context.codingPath), detail: context.debugDescription)
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            self = .notJSON(file: file, detail: context.debugDescription)
        case .dataCorrupted(let context):
            self = .malformed(file: file, key: path(context.codingPath), detail: context.debugDescription)
        @unknown default:
            self = .malformed(file: file, key: "", detail: "\(error)")
        }
    }
}

extension RunRecord: Codable {
    enum CodingKeys: String, CodingKey {
        case schema
        case headlineMetric = "headline_metric"
        case headlineRepeat = "headline_repeat"
        case goodputSpread = "goodput_spread_bytes_per_second"
        case messagesSpread = "messages_spread_per_second"
        case environment, command, repeats
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schema, forKey: .schema)
        try setup.encode(to: encoder)
        try container.encode(setup.headlineMetric, forKey: .headlineMetric)
        try container.encode(headlineRepeat, forKey: .headlineRepeat)
        try container.encode(goodputSpread, forKey: .goodputSpread)
        try container.encode(messagesSpread, forKey: .messagesSpread)
        try figures.encode(to: encoder)
        try container.encode(environment, forKey: .environment)
        try container.encode(command, forKey: .command)
        try container.encode(repeats, forKey: .repeats)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        var setup = try RunSetup(from: decoder)
        setup.fillInDefaults()
        self.setup = setup
        figures = try RunFigures(from: decoder)
        headlineRepeat = try container.decode(Int.self, forKey: .headlineRepeat)
        goodputSpread = try container.decode(Measured<Spread>.self, forKey: .goodputSpread)
        messagesSpread = try container.decode(Measured<Spread>.self, forKey: .messagesSpread)
        environment = try container.decode(Environment.self, forKey: .environment)
        command = try container.decode(String.self, forKey: .command)
        repeats = try container.decode([RunFigures].self, forKey: .repeats)
    }
}
