import Foundation
import Gauge
import Multiformats
import P2P
import SecureChannels
import Testing

/// What `scripts/interop` says through the environment.
private enum Orders {
    static let environment = ProcessInfo.processInfo.environment
    /// Where to write the matrix; nil when it is not asked for.
    static let file = environment["STREAMGAUGE_INTEROP_MATRIX"]
    /// Cells to try, for who looks into one of them: words that must all occur in the cell's line on standard error.
    static let words = (environment["STREAMGAUGE_INTEROP_ONLY"] ?? "").split(separator: " ")
    static let commit = environment["STREAMGAUGE_COMMIT"]
}

/// `results/interop.md`, when the environment names a file for it: everything that the other nodes offer takes minutes.
@Suite(
    .serialized, .enabled(if: Orders.file != nil, "the matrix takes minutes: scripts/interop makes it"),
    .enabled(if: !Implementation.installed.isEmpty, "no node that others wrote is installed: scripts/install-peers"), .timeLimit(.minutes(90)))
struct MatrixRun {
    @Test func everyCell() async throws {
        let file = try #require(Orders.file)
        var rows: [Row] = []
        for other in Implementation.installed {
            for dialer in Dialer.allCases {
                for security in SecurityKind.allCases {
                    for muxer in [MuxerKind.yamux, .mplex] { rows.append(await row(other, dialer, security, muxer)) }
                }
            }
        }
        let readme = try String(contentsOf: Implementation.root.appending(path: "Tests/Interop/README.md"), encoding: .utf8)
        let matrix = Matrix(parties: try parties(), rows: rows, known: KnownFailure.all(inReadme: readme))
        try matrix.markdown.write(toFile: file, atomically: true, encoding: .utf8)
        #expect(matrix.unexpected == [])
        for known in matrix.absent { tell("listed as known, and did not happen: \(known.place.joined(separator: ", "))") }
    }

    private func row(_ other: Implementation, _ dialer: Dialer, _ security: SecurityKind, _ muxer: MuxerKind) async -> Row {
        var outcomes: [Cell: Outcome] = [:]
        for cell in Cell.allCases {
            if let reason = Trial.whyNotOffered(other, security.rawValue, muxer.rawValue, dialer, cell) {
                outcomes[cell] = .notOffered(reason)
                continue
            }
            let line = "\(other.testDescription) \(dialer.rawValue) \(security.rawValue) \(muxer.rawValue) \(cell.rawValue)"
            guard Orders.words.allSatisfy({ line.contains($0) }) else { continue }
            let start = ContinuousClock.now
            let outcome = await Trial(stack: Stack(other: other, security: security, muxer: muxer), dialer: dialer, cell: cell).outcome()
            outcomes[cell] = outcome
            tell("\(line): \(outcome), \((ContinuousClock.now - start).formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))")
        }
        return Row(node: other.testDescription, dialer: dialer, security: security.rawValue, muxer: muxer.rawValue, outcomes: outcomes)
    }

    private func tell(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    /// Who took part, and where.
    private func parties() throws -> [String] {
        let machine = Gauge.Environment.current(
            allocator: "jemalloc", ioBackend: "epoll", commit: Orders.commit, repository: Implementation.root.path)
        let day = Date.now.formatted(.iso8601.year().month().day())
        return try ["StreamGauge \(machine.commit.value ?? "of an unknown commit")"] + Implementation.installed.map { try $0.version } + [
            "\(day), \(machine.machineLine), loopback",
        ]
    }
}

@Suite struct MatrixTests {
    private static let known = KnownFailure(place: ["node", "any", "tls", "any", "reset"], reason: "it is known")
    private static let good = Dictionary(uniqueKeysWithValues: Cell.allCases.map { ($0, Outcome.works()) })

    private func matrix(_ outcomes: [Cell: Outcome], security: String = "tls") -> Matrix {
        let changed = Self.good.merging(outcomes) { $1 }
        return Matrix(
            parties: ["StreamGauge abc", "node 1.0"],
            rows: [
                Row(node: "node", dialer: .them, security: security, muxer: "yamux", outcomes: changed),
                Row(node: "node", dialer: .us, security: security, muxer: "yamux", outcomes: Self.good.merging([.perf: .notOffered("no perf")]) { $1 }),
            ], known: [Self.known])
    }

    @Test func rendering() {
        let text = matrix([
            .ping: .fails("no answer\nat all"), .echo: .works(size: "8 MiB", note: "it is slow"), .reset: .fails("gone"), .halfClose: .notOffered("no socket"),
            .perf: .notOffered("no perf"),
        ]).markdown
        let lines = text.split(separator: "\n")
        let row = "| node | they | tls | yamux | works | works | **fails** [1] | works with 8 MiB [2] | works | not offered [3] | **fails** [4] | not offered [5] |"
        #expect(lines.contains(Substring(row)), "\(text)")
        #expect(lines.contains("| node | we | tls | yamux | works | works | works | works | works | works | works | not offered [5] |"), "\(text)")
        #expect(lines.contains("| node | who dials | security | multiplexer | connect | identify | ping, 10,000 | echo, 64 MiB | 1,000 streams | half-close | reset | perf |"))
        #expect(lines.contains("* StreamGauge abc") && lines.contains("* node 1.0"))
        #expect(lines.contains("11 cells work, 2 fail, 3 are not offered by the other node."))
        #expect(lines.filter { $0.first?.isNumber == true && $0.contains(". ") }.map(String.init) == [
            "1. no answer at all", "2. it is slow", "3. no socket", "4. gone. Known: it is known", "5. no perf",
        ])
        #expect(!matrix([:]).markdown.contains("**fails**"))
    }

    @Test func aCellThatWasNotTriedSaysSo() {
        let row = Row(node: "node", dialer: .us, security: "tls", muxer: "yamux", outcomes: [:])
        #expect(Matrix(parties: [], rows: [row], known: []).markdown.contains("| node | we | tls | yamux |" + String(repeating: " not tried |", count: 8)))
    }

    @Test func knownFailuresAreNotUnexpected() {
        #expect(matrix([.reset: .fails("gone")]).unexpected == [])
        #expect(matrix([.reset: .fails("gone")], security: "noise").unexpected == ["node, they dial, noise, yamux, reset: gone"])
        #expect(matrix([.ping: .fails("late"), .perf: .notOffered("no")]).unexpected == ["node, they dial, tls, yamux, ping, 10,000: late"])
        #expect(matrix([.reset: .fails("gone")]).absent == [])
        #expect(matrix([.ping: .fails("gone")]).absent == [Self.known])
    }

    @Test func knownFailuresAreReadFromTheReadme() {
        let text = """
            # Nodes
            | a | b | c | d | e | not these |
            \(KnownFailure.heading)

            Some text.

            | node | who dials | security | multiplexer | column | why |
            |---|---|---|---|---|---|
            | node |  any | tls | any | reset | it is known |

            ## Next
            | node | any | any | any | ping | nor this |
            """
        #expect(KnownFailure.all(inReadme: text) == [Self.known])
        #expect(KnownFailure.all(inReadme: "nothing") == [])
    }

    /// A name that is misspelt there would cover nothing.
    @Test func knownFailuresOfTheReadmeNameWhatThereIs() throws {
        let readme = try String(contentsOf: Implementation.root.appending(path: "Tests/Interop/README.md"), encoding: .utf8)
        #expect(readme.contains(KnownFailure.heading + "\n"))
        let names: [[String]] = [
            Implementation.allCases.map(\.testDescription), Dialer.allCases.map(\.rawValue), SecurityKind.allCases.map(\.rawValue),
            [MuxerKind.yamux, .mplex].map(\.rawValue), Cell.allCases.map(\.rawValue),
        ]
        for known in KnownFailure.all(inReadme: readme) {
            for (name, names) in zip(known.place, names) { #expect(name == "any" || names.contains(name), "\(known)") }
        }
    }
}
