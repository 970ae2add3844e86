import ArgumentParser
import Foundation
import Gauge
import Load
import Multiformats
import P2P
import Report

/// The points of a sweep, from the options of a run in which one or two have several values.
struct SweepPlan {
    /// One run.
    struct Point {
        let values: [String]
        let scenario: Scenario
        /// `streams 1000, message-size 64`.
        let label: String
    }

    /// The most points of a sweep.
    static let pointsMax = 1000

    let axes: [SweepRecord.Axis]
    /// In the order of the axes' values, the last axis changing fastest.
    let points: [Point]
    let target: Multiaddr?

    /// Options that may have several values. Those of names, which come first, are what differs and not how much.
    private static var sweepable: [(name: String, text: WritableKeyPath<RunOptions, String?>)] {
        [
            ("subject", \.subject), ("workload", \.workload), ("beside", \.beside), ("io", \.io), ("direction", \.direction), ("connections", \.connections), ("streams", \.streams),
            ("message-size", \.messageSize), ("depth", \.depth), ("rate", \.rate), ("read-rate", \.readRate), ("threads", \.threads), ("spin", \.spin),
        ]
    }

    /// Finds what is wrong with the options.
    init(_ options: RunOptions) throws {
        if options.scenario != nil { throw ValidationError("--scenario does not go with sweep: it is one run; give its options") }
        if options.printScenario { throw ValidationError("--print-scenario does not go with sweep: every point is a scenario of its own") }
        for (name, text) in [("--duration", options.duration), ("--omit", options.omit)] where text?.contains(",") == true {
            throw ValidationError("\(name) is not swept: every point has a window of the same length")
        }
        try options.checkRepeats()
        _ = try options.phaseTimeoutSeconds
        target = try options.targetAddress
        var swept: [(axis: SweepRecord.Axis, text: WritableKeyPath<RunOptions, String?>)] = []
        for (name, text) in Self.sweepable {
            guard let given = options[keyPath: text], Self.parts(given).count > 1 else { continue }
            swept.append((SweepRecord.Axis(option: name, values: try Self.values(name, given)), text))
        }
        let names = Self.sweepable.map(\.name).joined(separator: ", ")
        switch swept.count {
        case 1, 2: break
        case 0: throw ValidationError("nothing is swept: give one or two options several values, separated by commas, such as -m 1,10,100,1000 (options that can be: \(names))")
        default: throw ValidationError("\(swept.map(\.axis.option).joined(separator: ", ")) all have several values: one or two options can be swept at once")
        }
        axes = swept.map(\.axis)
        let count = axes.reduce(1) { $0 * $1.values.count }
        guard count <= Self.pointsMax else { throw ValidationError("that makes \(count) points; allowed are \(Self.pointsMax)") }
        let pairs = swept.count == 1
            ? swept[0].axis.values.map { [$0] } : swept[0].axis.values.flatMap { first in swept[1].axis.values.map { [first, $0] } }
        points = try pairs.map { values in
            var point = options
            for (axis, value) in zip(swept, values) { point[keyPath: axis.text] = value }
            let label = zip(swept, values).map { "\($0.axis.option) \($1)" }.joined(separator: ", ")
            return Point(values: values, scenario: try Self.telling(label) { try point.makeScenario() }, label: label)
        }
    }

    private static func values(_ name: String, _ text: String) throws -> [String] {
        let values = parts(text)
        let option = name == "subject" ? "SUBJECT" : "--" + name
        if values.contains("") { throw ValidationError("\(option) \(text): a value is missing between two commas, or at an end") }
        if values.contains("000") { throw ValidationError("\(option) \(text): in a sweep a comma stands between two values; write 1000 or 1_000 for a thousand") }
        if let twice = Dictionary(grouping: values, by: \.self).filter({ $0.value.count > 1 }).keys.min() {
            throw ValidationError("\(option) \(text): \(twice) is there twice; --repeat repeats every point")
        }
        return values
    }

    /// What stands between commas. Those in parentheses belong to a layer of a subject, as in `link(rtt=60ms,rate=1Gbit)`.
    private static func parts(_ text: String) -> [String] {
        var parts = [""]
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == "," && depth == 0 { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }

    /// Says at which point something is wrong.
    private static func telling<Value>(_ label: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as ValidationError {
            throw ValidationError("\(label): \(error.message)")
        }
    }

    // MARK: The machine

    /// Checks that every point can be run on this machine, before anything is started.
    func check() throws {
        for point in points {
            try Self.telling(point.label) {
                try Runner.check(point.scenario, target: target)
                try Self.checkMemory(point.scenario)
            }
        }
    }

    /// What a stream takes in a process at the least while there is traffic: 300 to 440 bytes of heap were measured for yamux.
    static let bytesPerStream = 300
    /// What a socket takes in the kernel at the least, with a connection's state.
    static let bytesPerConnection = 16 << 10

    /// Refuses what cannot fit: a process that is ended for want of memory measures nothing.
    private static func checkMemory(_ scenario: Scenario) throws {
        let stack = try ProtocolStack(scenario.subject)
        let streams = scenario.connections * scenario.streams
        let connections = stack.hasMuxer ? scenario.connections : streams
        let needed = 2 * (streams * bytesPerStream + connections * bytesPerConnection)
        guard let available = availableBytes, needed > available else { return }
        throw ValidationError(
            "this takes at least about \(Units.format(bytes: needed)) for both processes, and \(Units.format(bytes: available)) of memory are available: fewer streams or connections")
    }

    /// What programs can have without swapping; nil where the kernel does not say it.
    private static var availableBytes: Int? {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
}
