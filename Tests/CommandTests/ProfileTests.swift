import Foundation
import Kernel
import Report
import Testing
import TestSupport

/// `streamgauge profile` as a process.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProfileTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    static let perf = ["/usr/bin/perf", "/usr/sbin/perf", "/usr/local/bin/perf"].first { FileManager.default.isExecutableFile(atPath: $0) }

    /// Whether perf is there and may be used by this process.
    static var canSample: Bool {
        guard perf != nil, let clock = PerfEvents().read().first(where: { $0.name == "task-clock" }) else { return false }
        if case .value = clock.value { return true }
        return false
    }

    @Test func whatIsTypedWronglyIsRefused() async throws {
        expectUsage(try await Command.run("profile"), ["what to run is missing"])
        expectUsage(try await Command.run("profile", "--", "compare", "tcp"), ["what to run is missing"])
        expectUsage(try await Command.run("profile", "--", "run", "tcp", "--json", "x"), ["--json", "does not go with profile"])
        expectUsage(try await Command.run("profile", "--", "run", "tcp", "-m", "none"), ["none"])
        expectUsage(try await Command.run("profile", "--off-cpu", "--baseline", scratch.path, "--", "run", "tcp"), ["--baseline is for --cpu"])
        expectUsage(try await Command.run("profile", "--baseline", scratch.path, "--", "run", "tcp"), ["client.folded"])
        expectUsage(try await Command.run("profile", "--rules", scratch.path + "/none", "--", "run", "tcp"), ["cannot be read"])
        let rules = try scratch.write("# words\nARC leaf x\n", as: "bad.rules")
        expectUsage(try await Command.run("profile", "--rules", rules, "--", "run", "tcp"), ["bad.rules:2", "no colon"])
    }

    @Test func aFolderThatCannotBeMadeIsTold() async throws {
        let file = try scratch.write("", as: "file")
        expectUsage(try await Command.run("profile", "--out", file + "/sub", "--", "run", "tcp"), ["--out", "cannot be made"])
    }

    @Test func withoutPerfTheRemedyIsTold() async throws {
        let outcome = try await Command(["profile", "--out", scratch.path + "/p", "--", "run", "tcp"], environment: ["PATH": scratch.path]).outcome()
        expectFailure(outcome, "perf is not installed", "scripts/install linux-perf")
    }

    @Test(.enabled(if: ProfileTests.canSample, "no perf that may be used: scripts/test installs the Debian package linux-perf"))
    func aRunIsLookedAt() async throws {
        let folder = scratch.path + "/p"
        let outcome = try await Command.run("profile", "--cpu", "--out", folder, "--", "run", "tcp+yamux", "-m", "10", "-s", "64", "-t", "500ms", "-O", "50ms")
        try #require(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("## Processor time") && outcome.output.contains("### Server"))
        for name in ["perf.data", "perf-script.txt", "profile.speedscope.json", "layers.md", "layers.rules", "client.svg", "server.svg", "marks.json", "record.json"] {
            #expect(FileManager.default.fileExists(atPath: "\(folder)/cpu/\(name)"), "\(name)")
        }
        for side in ["client", "server"] {
            let stacks = try #require(FoldedStacks(folded: String(decoding: try scratch.read("p/cpu/\(side).folded"), as: UTF8.self)))
            #expect(stacks.total > 0)
            let table = LayerTable(stacks, .standard)
            #expect(table.rows.map(\.samples).reduce(0, +) == stacks.total)
            #expect(abs(table.rows.map(\.share).reduce(0, +) - 1) < 1e-9)
        }
        var reader = PerfScriptReader()
        var samples = 0
        reader.read(try scratch.read("p/cpu/perf-script.txt")) { _ in samples += 1 }
        reader.finish { _ in samples += 1 }
        #expect(samples > 0 && reader.unreadableLines == 0)
        let again = try await Command.run(
            "profile", "--baseline", folder, "--out", scratch.path + "/q", "--", "run", "tcp+yamux", "-m", "10", "-s", "64", "-t", "500ms", "-O", "50ms")
        try #require(again.code == 0, "\(again)")
        #expect(again.output.contains("before, ns a message"))
        #expect(FileManager.default.fileExists(atPath: scratch.path + "/q/cpu/server-diff.svg"))
    }

    @Test(.enabled(if: ProfileTests.canSample, "no perf that may be used: scripts/test installs the Debian package linux-perf"))
    func aProfileThatIsToldToStopEndsWhatItStarted() async throws {
        let folder = scratch.path + "/p"
        let command = try Command(["profile", "--cpu", "--out", folder, "--", "run", "tcp+yamux", "-m", "2", "-t", "1h", "-O", "0s", "--interval"])
        // The run tells every second how far it is: then its window is open.
        try #require(await command.errors.has("B/s"), "\(command.errors.text)")
        let tools = command.children
        #expect(!tools.isEmpty)
        command.send(SIGTERM)
        let outcome = await command.outcome()
        #expect(!outcome.wasCut && outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("Partial: the run was ended early."))
        for tool in tools { #expect(!FileManager.default.fileExists(atPath: "/proc/\(tool)")) }
    }

    /// A click, a search and a key, as a script does them, and what the picture shows then.
    @Test(.enabled(if: Browser.path != nil, "no browser: scripts/test installs the Debian package chromium-headless-shell"))
    func aFlameGraphZoomsAndSearches() async throws {
        let stacks = try #require(FoldedStacks(folded: "Reactor`run;Muxers`receive <A&B> 30\nReactor`run;Muxers`transmit;copy_[k] 50\nlibc.so.6`main 20\n"))
        let svg = FlameGraph(stacks, title: "Client", subtitle: "run").svg
        let script = """
            <script><![CDATA[
            (function () {
              const said = [], box = name => document.querySelector('[data-n="' + name + '"]'), by = id => document.getElementById(id);
              const width = name => Math.round(+box(name).querySelector("rect").getAttribute("width"));
              const key = init => document.dispatchEvent(new KeyboardEvent("keydown", Object.assign({bubbles: true, cancelable: true}, init)));
              said.push("whole " + width("Reactor`run"));
              box("Muxers`transmit").dispatchEvent(new MouseEvent("click", {bubbles: true}));
              said.push("zoomed " + width("Muxers`transmit") + " " + width("Reactor`run") + " " + box("libc.so.6`main").style.display + " " + by("reset").getAttribute("visibility"));
              by("reset").dispatchEvent(new MouseEvent("click", {bubbles: true}));
              said.push("reset " + width("Muxers`transmit") + " " + by("reset").getAttribute("visibility"));
              key({key: "f", ctrlKey: true});
              said.push("focus " + document.activeElement.id);
              by("search").value = "muxers"; by("search").dispatchEvent(new Event("input"));
              said.push(by("matched").textContent + " in " + document.querySelectorAll(".found").length);
              by("search").value = "/^copy|main$/"; by("search").dispatchEvent(new Event("input"));
              said.push(by("matched").textContent);
              key({key: "Escape"});
              said.push("cleared " + document.querySelectorAll(".found").length);
              key({key: "ArrowUp"}); key({key: "Enter"});
              said.push("walked " + by("about").textContent + " " + width("Muxers`transmit"));
              const told = document.createElementNS("http://www.w3.org/2000/svg", "desc");
              told.id = "told"; told.textContent = said.join("|"); document.documentElement.appendChild(told);
            })();
            ]]></script>
            </svg>
            """
        let file = try scratch.write(String(svg.dropLast("</svg>\n".count)) + script, as: "client.svg")
        let outcome = try await Browser.open(file, in: scratch)
        #expect(outcome.console == [] && outcome.requests == [])
        let told = outcome.page.components(separatedBy: "id=\"told\">").last?.components(separatedBy: "</desc>").first ?? ""
        #expect(
            told.components(separatedBy: "|") == [
                "whole 944", "zoomed 1180 1180 none visible", "reset 590 hidden", "focus search", "matched: 80.00 % (80 samples) in 2", "matched: 70.00 % (70 samples)",
                "cleared 0", "walked copy_[k] (50 samples, 50.00 %) 1180",
            ], "\(told)")
    }
}
