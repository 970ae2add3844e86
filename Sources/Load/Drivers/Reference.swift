import Foundation
public import Gauge
import Kernel

/// A program that measures itself, as an outside reference beside the drivers: its figure is its own, by its own clock and its own count. It knows no
/// receipts and no window of ours.
public enum Reference: String, CaseIterable, Sendable {
    /// iperf3: raw TCP, bulk.
    case iperf3
    /// h2load against nghttpd: HTTP/2 requests for a file of the message's size. Every request is a stream of its own.
    case h2load

    /// The stack that it measures.
    public var stack: String {
        switch self {
        case .iperf3: "tcp"
        case .h2load: "tcp+h2"
        }
    }

    /// Debian's package.
    public var package: String {
        switch self {
        case .iperf3: "iperf3"
        case .h2load: "nghttp2-client nghttp2-server"
        }
    }

    private var programs: [String] {
        switch self {
        case .iperf3: ["iperf3"]
        case .h2load: ["h2load", "nghttpd"]
        }
    }

    public var isInstalled: Bool { programs.allSatisfy { Programs.find($0) != nil } }

    /// What its first line of `--version` says.
    public func version() async throws -> String {
        let result = try await Self.runToEnd(try path(programs[0]), ["--version"], seconds: 10)
        return String(decoding: result, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? rawValue
    }

    private func path(_ program: String) throws(DriverError) -> String {
        guard let path = Programs.find(program) else {
            throw .notStarted(command: program, reason: "it is not installed: scripts/install \(package)")
        }
        return path
    }

    /// Whether it can do what is asked.
    ///
    /// - Throws: ``DriverError/notOffered(driver:what:offered:)``.
    public func check(_ options: DriverOptions) throws(DriverError) {
        func refuse(_ what: String, _ offered: [String]) -> DriverError { .notOffered(driver: rawValue, what: what, offered: offered) }
        guard options.stack == stack else { throw refuse("stack '\(options.stack)'", [stack]) }
        let workloads: [Workload] = self == .iperf3 ? [.bulk] : [.request, .churn]
        guard workloads.contains(options.workload) else { throw refuse("workload '\(options.workload.rawValue)'", workloads.map(\.rawValue)) }
        guard options.depth == 1 else { throw refuse("depth", ["1 request a stream"]) }
        if self == .iperf3, options.direction == "both" || options.connections * options.streams > 128 {
            throw refuse("\(options.connections * options.streams) streams \(options.direction)", ["up to 128 streams, up or down"])
        }
    }

    /// Runs once, for whole seconds: shorter ones it does not have.
    public func run(_ options: DriverOptions, durationSeconds: Double) async -> RunFigures {
        var figures = RunFigures()
        figures.startedAt = .value(Date.now.formatted(.iso8601))
        figures.ledger = .unavailable("\(rawValue) keeps none")
        figures.wire = .unavailable("\(rawValue) is not watched")
        do {
            let seconds = max(1, Int(durationSeconds.rounded(.up)))
            switch self {
            case .iperf3: try await iperf(options, seconds, &figures)
            case .h2load: try await h2load(options, seconds, &figures)
            }
        } catch {
            figures.invalidate("\(error)")
        }
        return figures
    }

    // MARK: iperf3

    private struct IperfResult: Decodable {
        struct Sum: Decodable {
            let bytes: Double
            let seconds: Double
        }
        struct Processor: Decodable {
            let host_user, host_system, remote_user, remote_system: Double
        }
        struct End: Decodable {
            let sum_received: Sum
            let cpu_utilization_percent: Processor
        }
        let end: End?
        let error: String?
    }

    private func iperf(_ options: DriverOptions, _ seconds: Int, _ figures: inout RunFigures) async throws {
        let port = try freeTCPPort()
        let server = try HelperProcess(try path("iperf3"), ["--server", "--one-off", "--bind", "127.0.0.1", "--port", "\(port)", "--forceflush"])
        defer { server.kill() }
        try await server.awaitPort(port)
        // As our own ends have it, so that a congestion control that paces is not what is compared.
        let congestion = SocketOptions().congestionControl.map { ["--congestion", $0] } ?? []
        let output = try await Self.runToEnd(
            try path("iperf3"),
            [
                "--client", "127.0.0.1", "--port", "\(port)", "--time", "\(seconds)", "--length", "\(options.messageBytes)", "--json",
                "--parallel", "\(options.connections * options.streams)",
            ] + congestion + (options.direction == "down" ? ["--reverse"] : []), seconds: Double(seconds) + 30)
        let result: IperfResult
        do {
            result = try JSONDecoder().decode(IperfResult.self, from: output)
        } catch {
            throw DriverError.broken(driver: rawValue, during: "its result", reason: "\(error)")
        }
        guard let end = result.end, result.error == nil, end.sum_received.seconds > 0 else {
            throw DriverError.failed(driver: rawValue, during: "its run", reason: result.error ?? "it gave no result")
        }
        let rate = end.sum_received.bytes / end.sum_received.seconds
        figures.durationSeconds = end.sum_received.seconds
        figures.payloadBytes = UInt64(end.sum_received.bytes)
        figures.goodputBytesPerSecond = .value(rate)
        figures.goodputUpBytesPerSecond = .value(options.direction == "up" ? rate : 0)
        figures.goodputDownBytesPerSecond = .value(options.direction == "up" ? 0 : rate)
        figures.messagesPerSecond = .unavailable("iperf3 counts bytes")
        let cpu = end.cpu_utilization_percent
        func spent(_ percent: Double) -> Gauge.Measured<Double> { .value(percent / 100 * end.sum_received.seconds) }
        figures.cpuUserSeconds = BothSides(client: spent(cpu.host_user), server: spent(cpu.remote_user))
        figures.cpuSystemSeconds = BothSides(client: spent(cpu.host_system), server: spent(cpu.remote_system))
    }

    // MARK: h2load

    private func h2load(_ options: DriverOptions, _ seconds: Int, _ figures: inout RunFigures) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("streamgauge-h2load-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(repeating: 0x2e, count: options.messageBytes).write(to: folder.appendingPathComponent("message"))
        let port = try freeTCPPort()
        let server = try HelperProcess(
            try path("nghttpd"), ["--no-tls", "--address", "127.0.0.1", "--htdocs", folder.path, "--max-concurrent-streams", "\(options.streams + 1)", "\(port)"])
        defer { server.kill() }
        try await server.awaitPort(port)
        let output = try await Self.runToEnd(
            try path("h2load"),
            [
                "--clients", "\(options.connections)", "--max-concurrent-streams", "\(options.streams)", "--duration", "\(seconds)", "--threads", "1",
                "http://127.0.0.1:\(port)/message",
            ], seconds: Double(seconds) + 30)
        let text = String(decoding: output, as: UTF8.self)
        // "requests: 7901 total, 8001 started, 7901 done, 7901 succeeded, 0 failed, 0 errored, 0 timeout"
        func count(_ word: String) throws -> UInt64 {
            let line = text.split(separator: "\n").first { $0.hasPrefix("requests: ") }?.dropFirst("requests: ".count)
            let entry = line?.split(separator: ",").first { $0.hasSuffix(" \(word)") }
            guard let number = entry.flatMap({ UInt64($0.split(separator: " ")[0]) }) else {
                throw DriverError.broken(driver: rawValue, during: "its result", reason: "it names no requests \(word)")
            }
            return number
        }
        let (done, failed) = (try count("succeeded"), try count("failed"))
        figures.durationSeconds = Double(seconds)
        figures.messages = done
        figures.failures = failed
        figures.payloadBytes = done * UInt64(options.messageBytes)
        figures.messagesPerSecond = .value(Double(done) / Double(seconds))
        let rate = Double(figures.payloadBytes) / Double(seconds)
        figures.goodputBytesPerSecond = .value(rate)
        figures.goodputUpBytesPerSecond = .value(0)
        figures.goodputDownBytesPerSecond = .value(rate)
        figures.latency = .unavailable("h2load tells a mean only")
        if failed > 0 { figures.invalidate("\(failed) requests failed") }
        if done == 0 { figures.invalidate("no request succeeded") }
    }

    // MARK: Processes

    /// Runs a program to its end and returns its standard output.
    private static func runToEnd(_ program: String, _ arguments: [String], seconds: Double) async throws -> Data {
        let process = try HelperProcess(program, arguments)
        return try await process.output(within: seconds)
    }
}

/// A program that is started, watched and ended.
final class HelperProcess: Sendable {
    private let process = Process()
    private let end: ProcessEnd
    private let handle: FileHandle
    private let name: String

    init(_ program: String, _ arguments: [String]) throws(DriverError) {
        name = URL(fileURLWithPath: program).lastPathComponent
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        handle = output.fileHandleForReading
        end = ProcessEnd(of: process)
        do {
            try process.run()
        } catch {
            throw .notStarted(command: program, reason: error.localizedDescription)
        }
    }

    /// Waits until somebody listens there.
    func awaitPort(_ port: UInt16) async throws {
        let limit = Clock.now &+ 10_000_000_000
        while Clock.now < limit {
            if let how = end.wait(0) { throw DriverError.ended(driver: name, during: "its start", how: "\(how)") }
            if isListenedOn(port) { return }
            try await Task.sleep(nanoseconds: 5_000_000)
        }
        throw DriverError.timeout(driver: name, during: "its start", seconds: 10)
    }

    /// - Returns: what it printed.
    func output(within seconds: Double) async throws -> Data {
        let killing = end.killing(process.processIdentifier, at: .now() + seconds)
        let data = await withCheckedContinuation { continuation in
            Thread.detachNewThread { [self] in
                var data = Data()
                while case let bytes = handle.availableData, !bytes.isEmpty, data.count < DriverContract.lineBytesMax { data += bytes }
                try? handle.close()
                continuation.resume(returning: data)
            }
        }
        killing.cancel()
        let how = end.wait(5) ?? end.force(process.processIdentifier)
        // One that failed tells why in what it printed; one that was killed may have printed half of it.
        if case .exit(let status) = how, status == 0 || !data.isEmpty { return data }
        throw DriverError.ended(driver: name, during: "its run", how: "\(how)")
    }

    func kill() {
        _ = end.force(process.processIdentifier)
        try? handle.close()
    }
}
