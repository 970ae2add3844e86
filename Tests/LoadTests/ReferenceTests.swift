import Gauge
import Kernel
@testable import Load
import Testing

/// Programs that measure themselves, where they are installed.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ReferenceTests {
    @Test(.enabled(if: Reference.iperf3.isInstalled, "iperf3 is not installed"), arguments: ["up", "down"])
    func iperf3MovesBytes(direction: String) async throws {
        let options = DriverOptions(stack: "tcp", workload: .bulk, direction: direction, streams: 2, messageBytes: 65_536)
        try Reference.iperf3.check(options)
        let figures = await Reference.iperf3.run(options, durationSeconds: 0.3)
        #expect(figures.invalidReasons == [])
        let goodput = try #require(figures.goodputBytesPerSecond.value)
        #expect(goodput > 1e6 && figures.payloadBytes > 0)
        #expect((direction == "up" ? figures.goodputUpBytesPerSecond : figures.goodputDownBytesPerSecond).value == goodput)
        #expect(figures.cpuSeconds.client.value ?? 0 > 0 && figures.ledger.absence != nil)
        #expect(try await Reference.iperf3.version().contains("iperf"))
    }

    @Test(.enabled(if: Reference.h2load.isInstalled, "h2load and nghttpd are not installed"))
    func h2loadMakesRequests() async throws {
        let options = DriverOptions(stack: "tcp+h2", workload: .churn, streams: 10, messageBytes: 64)
        try Reference.h2load.check(options)
        let figures = await Reference.h2load.run(options, durationSeconds: 0.3)
        #expect(figures.invalidReasons == [])
        #expect(figures.messages > 0 && figures.messagesPerSecond.value == Double(figures.messages))
        #expect(figures.payloadBytes == figures.messages * 64)
    }

    @Test func whatTheyCannotDoIsRefused() {
        for options in [
            DriverOptions(stack: "tcp+yamux", workload: .bulk, messageBytes: 64), DriverOptions(stack: "tcp", workload: .request, messageBytes: 64),
            DriverOptions(stack: "tcp", workload: .bulk, direction: "both", messageBytes: 64),
            DriverOptions(stack: "tcp", workload: .bulk, streams: 129, messageBytes: 64),
        ] {
            #expect(throws: DriverError.self, "\(options)") { try Reference.iperf3.check(options) }
        }
        #expect(throws: DriverError.self) { try Reference.h2load.check(DriverOptions(stack: "tcp+h2", workload: .bulk, messageBytes: 64)) }
        #expect(throws: DriverError.self) { try Reference.h2load.check(DriverOptions(stack: "tcp+h2", workload: .request, messageBytes: 64, depth: 2)) }
    }

    @Test func aFreePortIsNotListenedOn() throws {
        let port = try freeTCPPort()
        #expect(port > 0 && !isListenedOn(port))
    }

    /// One that ends at once, and one that never listens.
    @Test func aHelperThatDoesNotListen() async throws {
        let port = try freeTCPPort()
        let short = try HelperProcess("/bin/sh", ["-c", "exit 7"])
        await #expect(throws: DriverError.ended(driver: "sh", during: "its start", how: "status 7")) { try await short.awaitPort(port) }
        #expect(throws: DriverError.self) { _ = try HelperProcess("/nowhere/program", []) }
        let long = try HelperProcess("/bin/sh", ["-c", "echo half; exec sleep 100"])
        await #expect(throws: DriverError.ended(driver: "sh", during: "its run", how: "signal 9")) { _ = try await long.output(within: 0.3) }
        let failing = try HelperProcess("/bin/sh", ["-c", "echo why; exit 1"])
        #expect(String(decoding: try await failing.output(within: 10), as: UTF8.self) == "why\n")
    }
}
