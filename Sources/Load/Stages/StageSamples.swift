import Bytes
import FoundationEssentials
import Gauge
import Kernel
import Muxers

/// Two times of one message at one end: at the sender when the handler sent it and when the write that took its last byte began, at the receiver when the
/// read of its last byte ended and when the handler had it.
struct StageSample: BitwiseCopyable, Equatable, Sendable {
    /// Of the stream and direction.
    var key: UInt64
    /// Number of the message in its stream and direction, from 0.
    var message: UInt64
    var flow: UInt32
    var first: Nanoseconds
    var second: Nanoseconds

    /// Flows are sampled in two classes, so that the requests of `mixed` are not lost among all that goes on beside them.
    static let classes = 2
    /// The first flow is a class by itself.
    @inline(__always) static func classOf(_ flow: UInt32) -> Int { flow == 0 ? 0 : 1 }
}

/// Which messages are sampled: those whose rank (``/Gauge/SampleRule/rank(message:streamKey:)``) begins with `bitCount` zeros. Both ends decide alike without a word to
/// each other, and a message that is sampled with more bits is sampled with fewer, so what both have in common is a uniform sample of all.
struct StageRule: BitwiseCopyable, Equatable, Sendable {
    private(set) var bitCount = 0
    private(set) var rankMax = UInt64.max

    static let bitCountMax = 24

    init(bitCount: Int = 0) {
        self.bitCount = bitCount
        rankMax = .max >> UInt64(bitCount)
    }

    @inline(__always)
    func isSampled(message: UInt64, key: UInt64) -> Bool { SampleRule.rank(message: message, streamKey: key) <= rankMax }

    /// The same with half as many.
    mutating func thin() { self = StageRule(bitCount: min(bitCount + 1, Self.bitCountMax)) }
}

/// Samples of one loop's messages in one role: sender or receiver. When there are too many the rule is made stricter and what it no longer takes is dropped:
/// a run of any length and rate ends with about as many, and the cost for each message falls.
struct StageSampleList: ~Copyable {
    /// Half of it is enough for a 99th percentile that forty samples lie beyond, and noting four times as many would cost a run of a second some per cent.
    static let samplesMax = 8_192

    private(set) var rule = StageRule()
    private var samples = Stack<StageSample>()

    var count: Int { samples.count }

    /// Drops the samples, and goes on with the rule that would have taken half of ``samplesMax``, or all there were. What was thinned for want of room elsewhere counts as often as
    /// it was there.
    mutating func restart() {
        var expected = samples.count
        while rule.bitCount > 0, expected < Self.samplesMax / 2 {
            rule = StageRule(bitCount: rule.bitCount - 1)
            expected *= 2
        }
        samples.removeAll()
    }

    /// Whether there were too many, and fewer are taken from here on.
    @discardableResult
    mutating func add(_ sample: StageSample) -> Bool {
        guard rule.isSampled(message: sample.message, key: sample.key) else { return false }
        samples.push(sample)
        guard samples.count >= Self.samplesMax else { return false }
        thin()
        return true
    }

    mutating func thin() {
        rule.thin()
        var kept = Stack<StageSample>(capacity: Self.samplesMax)
        for index in 0..<samples.count where rule.isSampled(message: samples[index].message, key: samples[index].key) { kept.push(samples[index]) }
        samples = kept
    }

    /// Adds what was sampled, and the rule by which it was, to the notes.
    func append(to notes: inout StageNotes.Direction, asClass number: Int) {
        notes.rules[number] = rule
        appendAll(to: &notes.samples)
    }

    func appendAll(to list: inout [StageSample]) {
        list.reserveCapacity(list.count + samples.count)
        for index in 0..<samples.count { list.append(samples[index]) }
    }
}

/// What one side noted of the messages that it sent and received. It goes to the other side as JSON with the samples as base64: key, message, first and second time (8 bytes each)
/// and flow (4 bytes), big-endian.
struct StageNotes: Codable, Equatable, Sendable {
    /// Which start of which machine the clock is of: times of two ends can be compared only where it is the same.
    var bootID: String
    var sent = Direction()
    var received = Direction()

    struct Direction: Equatable, Sendable {
        /// Of each class of flows.
        var rules = [StageRule](repeating: StageRule(), count: StageSample.classes)
        var samples: [StageSample] = []

        /// Adds another loop's: the stricter rule holds for all.
        mutating func merge(_ other: Direction) {
            for (number, rule) in other.rules.enumerated() where rule.bitCount > rules[number].bitCount { rules[number] = rule }
            samples += other.samples
        }
    }

    /// The kernel's name for the time since it was started, or a name that nobody else has.
    static let bootIDHere: String = {
        let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        return text?.split(separator: "\n").first.map(String.init) ?? "unknown to process \(ProcessInfo.processInfo.processIdentifier)"
    }()
}

extension StageNotes.Direction: Codable {
    private static let sampleBytes = 4 * 8 + 4
    /// Of 64 loops.
    private static let samplesMax = 64 * StageSampleList.samplesMax

    private enum CodingKeys: String, CodingKey {
        case bitCounts = "bit_counts"
        case samples
    }

    func encode(to encoder: any Encoder) throws {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(samples.count * Self.sampleBytes)
        for sample in samples {
            for value in [sample.key, sample.message, sample.first, sample.second] { forEachByte(value) { bytes.append($0) } }
            forEachByte(sample.flow) { bytes.append($0) }
        }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(rules.map(\.bitCount), forKey: .bitCounts)
        try container.encode(Data(bytes), forKey: .samples)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let bitCounts = try container.decode([Int].self, forKey: .bitCounts)
        let data = try container.decode(Data.self, forKey: .samples)
        func broken(_ text: String) -> DecodingError { .dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: text)) }
        guard bitCounts.count == StageSample.classes, bitCounts.allSatisfy({ (0...StageRule.bitCountMax).contains($0) }) else {
            throw broken("sampling rules of \(bitCounts) bits; there are \(StageSample.classes), of at most \(StageRule.bitCountMax)")
        }
        guard data.count % Self.sampleBytes == 0, data.count / Self.sampleBytes <= Self.samplesMax else {
            throw broken("\(data.count) bytes are no list of at most \(Self.samplesMax) samples of \(Self.sampleBytes) bytes")
        }
        rules = bitCounts.map { StageRule(bitCount: $0) }
        let slice = Slice(copying: Array(data))
        samples = (0..<data.count / Self.sampleBytes).map { index in
            let at = index * Self.sampleBytes
            let bytes = slice.bytes
            return StageSample(
                key: bytes.bigEndian64(at: at), message: bytes.bigEndian64(at: at + 8), flow: bytes.bigEndian32(at: at + 32),
                first: bytes.bigEndian64(at: at + 16), second: bytes.bigEndian64(at: at + 24))
        }
    }
}
