import ArgumentParser
import Foundation
import Gauge
import Kernel
import Reactor
import Report

/// `streamgauge doctor`: what this machine can and cannot measure.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Says what this machine can and cannot measure, and what would allow it.")

    func run() {
        var table = TextTable([.init("what", .left), .init("finding", .left)])
        func add(_ name: String, _ finding: String) { table.add([name, finding]) }
        let environment = Environment.current(allocator: "jemalloc", ioBackend: "auto", commit: nil)
        add("kernel", Self.text(environment.kernel))
        add("processor", Self.text(environment.cpuModel))
        add("cores allowed", Self.text(environment.coresAllowed.map { "\($0)" }) + Self.coreAdvice(environment))
        add("build", environment.buildConfiguration + (environment.buildConfiguration == "release" ? "" : ": speed means nothing; use swift build -c release"))
        for choice in [IOChoice.epoll, .uring] { add("I/O \(choice.rawValue)", Self.probe(choice)) }
        add("descriptors", Self.descriptors())
        let heap = HeapUsage.now()
        add("allocator counts", Self.kernelText(heap.allocationCount.described))
        for reading in Self.counters() { add("counter \(reading.name)", reading.text) }
        for finding in InstrumentFinding.all(InstrumentTrials.readings()) {
            add(finding.name, finding.finding)
            if let remedy = finding.remedy { add("", "to allow it: \(remedy)") }
        }
        for line in table.lines(width: Terminal.reportWidth) { print(line) }
    }

    private static func text(_ measured: Gauge.Measured<String>) -> String {
        measured.value ?? "not available: \(measured.reason ?? "unknown")"
    }

    private static func kernelText(_ text: String) -> String { text }

    private static func coreAdvice(_ environment: Environment) -> String {
        (environment.coresAllowed.value ?? 2) >= 2 ? "" : ": client and server share it, so figures are of both together"
    }

    private static func probe(_ choice: IOChoice) -> String {
        do {
            let selection = try IOSelection(choice)
            return "works (\(selection.name))"
        } catch {
            return "not available: \(error)"
        }
    }

    private static func descriptors() -> String {
        do {
            let (soft, hard) = try ResourceLimits.descriptors()
            return "\(soft), can be raised to \(hard) (ulimit -n)"
        } catch {
            return "not available: \(error)"
        }
    }

    private static func counters() -> [(name: String, text: String)] {
        let events = PerfEvents()
        events.start()
        events.stop()
        return events.read().map { reading in
            (reading.name, reading.value.described + (reading.note.map { " (\($0))" } ?? ""))
        }
    }
}

extension Kernel.Measured {
    fileprivate var described: String {
        switch self {
        case .value: "works"
        case .unavailable(let reason): "not available: \(reason)"
        }
    }
}
