import Foundation
import Gauge
import Load
import Testing
import TestSupport

/// The drivers that `scripts/install-drivers` has made.
enum ForeignDrivers {
    static let installed: [Driver] = {
        let folder = Implementation.root.appending(path: DriverCatalogue.folder).path
        let catalogue = try? DriverCatalogue(program: Executable.path, folders: [folder])
        return catalogue?.drivers.filter { $0.name != DriverCatalogue.ownName } ?? []
    }()
}

/// Multiplexers of other implementations at one end and ours at the other, in every workload: the drivers of `streamgauge compare`.
@Suite(.serialized, .enabled(if: !ForeignDrivers.installed.isEmpty, "no driver is installed: scripts/install-drivers"), .timeLimit(.minutes(5)))
struct MixedPairTests {
    static let own = Driver(name: "swift", command: [Executable.path, "driver"])

    struct Pair: CustomTestStringConvertible, Sendable {
        let client: Driver
        let server: Driver
        let stack: String
        var testDescription: String { "\(client.name)>\(server.name):\(stack)" }
    }

    private static let pairs: [Pair] = ForeignDrivers.installed.flatMap { driver in
        (driver.name == "python" ? ["tcp+yamux", "tcp+mplex", "tcp"] : ["tcp+yamux", "tcp"]).flatMap { stack in
            [Pair(client: own, server: driver, stack: stack), Pair(client: driver, server: own, stack: stack)]
        }
    }

    @Test(arguments: pairs)
    func everyWorkload(pair: Pair) async throws {
        let ends = BothSides(client: (driver: pair.client, about: try await pair.client.about()), server: (driver: pair.server, about: try await pair.server.about()))
        let subject = Subject(client: pair.client.name, server: pair.server.name, stack: pair.stack)
        for workload in Workload.allCases where workload != .connect && (workload != .churn || pair.stack != "tcp") {
            for direction in workload == .bulk || workload == .mixed ? ["up", "down"] : ["up"] {
                let options = DriverOptions(
                    stack: pair.stack, workload: workload, direction: direction, connections: 2, streams: workload == .idle ? 100 : 8, messageBytes: 5000)
                let figures = try await DriverRun(subject, options, ends: ends, durationSeconds: 0.15, omitSeconds: 0.05).run()
                #expect(figures.invalidReasons == [], "\(subject) \(workload) \(direction)")
                #expect(workload == .idle || figures.messages > 0, "\(subject) \(workload) \(direction)")
                #expect(pair.stack == "tcp" || workload == .idle || figures.frameOverheadRatio.value ?? 0 > 0, "\(subject) \(workload) \(direction): \(figures.frameOverheadRatio)")
            }
        }
    }
}
