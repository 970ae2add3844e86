import Foundation
import Gauge
import Report

/// `--cpu`: where processor time goes, by samples of the call stacks of client and server.
struct CPUPass: ProfilePass {
    let name = "cpu"
    let rules: LayerRules
    /// Name or path of the file that the rules are from, nil for the standard ones; and its text.
    let rulesFile: String?
    let rulesText: String
    let baseline: ProfileBaseline?

    /// - Parameters:
    ///   - rulesFile: nil for the standard rules.
    ///   - baseline: the folder of an earlier profile, or nil.
    init(rulesFile: String?, baseline: String?) throws {
        self.rulesFile = rulesFile
        if let rulesFile {
            let data: Data
            do {
                data = try Data(contentsOf: URL(fileURLWithPath: rulesFile))
            } catch {
                throw ProfileError.unreadable(path: rulesFile, detail: error.localizedDescription)
            }
            rulesText = String(decoding: data, as: UTF8.self)
            rules = try LayerRules(rulesText, file: rulesFile)
        } else {
            rulesText = StandardLayerRules.text
            rules = .standard
        }
        self.baseline = try baseline.map { try ProfileBaseline($0) }
    }

    func check() throws {
        try PerfTool.check(name)
        _ = try PerfTool.sampling(name)
    }

    func wrapped(_ command: [String], in folder: String) -> [String] {
        let event = (try? PerfTool.sampling(name).event) ?? "cpu-clock"
        return [
            "perf", "record", "-q", "-o", "\(folder)/perf.data", "-k", "CLOCK_MONOTONIC", "--call-graph", "fp", "-F", "\(PerfTool.samplesPerSecond)", "-e", event,
            "--",
        ] + command
    }

    func evaluate(_ run: ProfiledRun) async throws -> ProfileSection {
        let raw = run.path(".perf-script")
        let complaints = run.path(".perf-errors")
        defer { for file in [raw, complaints] { try? FileManager.default.removeItem(atPath: file) } }
        try await PerfTool.script(run.path("perf.data"), fields: "comm,pid,tid,time,period,event,ip,sym,dso", into: raw, complaints: complaints)
        let sides = ProfileSide.of(run.marks)
        var counts: [Int32: StackCounts<PerfFrame>] = [:]
        var symbols: Set<String> = []
        let unreadable = try PerfTool.forEachSample(in: raw) { sample in
            guard run.marks.window.contains(sample.time_ns), sides.contains(where: { $0.processID == sample.processID }) else { return }
            counts[sample.processID, default: StackCounts()].add(sample.stack)
        }
        for stacks in counts.values { symbols.formUnion(stacks.allFrames.map(\.symbol)) }
        guard !counts.isEmpty else {
            throw ProfileError.runFailed(pass: name, detail: "perf took no sample of client or server in the window of \(Self.seconds(run.marks.window)): make it longer (-t)")
        }
        let names = try await SwiftNames(of: symbols, in: run.folder)
        try exportScript(raw, run, sides, names)
        let folded = sides.map { side in (side: side, stacks: (counts[side.processID] ?? StackCounts()).mapped(names.name)) }
        var files: [(name: String, what: String)] = []
        for (side, stacks) in folded { files += try write(stacks, side, run) }
        let speedscope = try SpeedscopeFile.encode(name: run.commandLine, folded.map { ($0.side.name, $0.stacks) })
        try OutputFile.prepare(run.path("profile.speedscope.json")).write(speedscope)
        try OutputFile.prepare(run.path("layers.rules")).write(Array(rulesText.utf8))
        let text = notes(names, unreadable, run) + folded.map { section($0.side, $0.stacks, run) }.joined()
        try OutputFile.prepare(run.path("layers.md")).write(Array(text.utf8))
        files += [
            ("layers.md", "these tables"), ("layers.rules", "the rules that stacks were sorted by: change them and give them to --rules"),
            ("profile.speedscope.json", "for https://www.speedscope.app"), ("perf-script.txt", "the window's samples in the format of perf script, for https://profiler.firefox.com"),
            ("perf.data", "what perf has recorded, the whole run"),
        ]
        return ProfileSection(title: "Processor time", text: text, files: files)
    }

    private static func seconds(_ window: Range<UInt64>) -> String { Units.format(seconds: Double(window.count) / 1e9) }

    private func notes(_ names: SwiftNames, _ unreadable: Int, _ run: ProfiledRun) -> String {
        var notes = (try? PerfTool.sampling(name).notes) ?? []
        if let note = names.note { notes.append(note) }
        if unreadable > 0 { notes.append("\(unreadable) lines of perf's text were not understood and are left out.") }
        if run.marks.serverID == nil { notes.append("Both sides are one process: what is told of the client is of both.") }
        notes.append("\(PerfTool.samplesPerSecond) samples a second of every thread that runs, over the window of \(Self.seconds(run.marks.window)); rules: \(rulesFile ?? "the standard ones").")
        if let baseline { notes.append("Compared with \(baseline.folder).") }
        return notes.joined(separator: " ") + "\n"
    }

    /// The pictures and the folded stacks of a side.
    private func write(_ stacks: FoldedStacks, _ side: ProfileSide, _ run: ProfiledRun) throws -> [(name: String, what: String)] {
        try OutputFile.prepare(run.path("\(side.name).folded")).write(Array(stacks.text.utf8))
        let subtitle = "\(run.commandLine) · \(stacks.total) samples"
        let title = "\(side.title): processor time"
        try OutputFile.prepare(run.path("\(side.name).svg")).write(Array(FlameGraph(stacks, title: title, subtitle: subtitle).svg.utf8))
        var files = [
            ("\(side.name).svg", "flame graph of the \(side.name): open it in a browser"), ("\(side.name).folded", "its stacks in the folded format"),
        ]
        if let before = baseline?.sides[side.name], before.stacks.total > 0 {
            let (scale, how) = Self.scale(before, side, stacks, run)
            let graph = FlameGraph(
                stacks, earlier: before.stacks, scale: scale, title: "\(side.title): change of processor time", subtitle: "red has grown, blue has shrunk, \(how) · \(subtitle)")
            try OutputFile.prepare(run.path("\(side.name)-diff.svg")).write(Array(graph.svg.utf8))
            files.append(("\(side.name)-diff.svg", "the same with what has grown in red and what has shrunk in blue, \(how)"))
        }
        return files
    }

    /// What an earlier sample is worth: so much that equal time for a message is equal weight, or, where a record lacks what that takes, that the wholes are equal.
    private static func scale(_ before: ProfileBaseline.Side, _ side: ProfileSide, _ stacks: FoldedStacks, _ run: ProfiledRun) -> (Double, String) {
        let whole = Double(stacks.total) / Double(before.stacks.total)
        guard let old = before.costs?.nanosecondsPerMessage, let new = side.costs(run.record).nanosecondsPerMessage, new > 0 else { return (whole, "as parts of the whole") }
        return (whole * old / new, "by processor time for a message")
    }

    private func section(_ side: ProfileSide, _ stacks: FoldedStacks, _ run: ProfiledRun) -> String {
        let costs = side.costs(run.record)
        let table = LayerTable(stacks, rules)
        var text = "\n### \(side.title)\n\n"
        guard stacks.total > 0 else { return text + "no samples\n" }
        if let seconds = costs.cpuSeconds.value {
            text += "\(stacks.total) samples of \(String(format: "%.3f", 1000 / Double(PerfTool.samplesPerSecond))) ms; the run's own count is \(Units.format(seconds: seconds)) of processor time"
            text += costs.nanosecondsPerMessage == nil ? ".\n\n" : ", which is what the columns with ns divide.\n\n"
        }
        text += LayerReport.table(table, costs)
        let others = LayerReport.others(table)
        if !others.isEmpty { text += "\n\(others)\n" }
        text += "\n" + LayerReport.functions(stacks, count: 15)
        if let before = baseline?.sides[side.name], before.stacks.total > 0 {
            text += "\nBefore (\(baseline?.folder ?? "")) and after:\n\n" + LayerReport.change(LayerTable(before.stacks, rules), before.costs, table, costs)
        }
        return text
    }

    /// The window's samples once more with names that people read.
    private func exportScript(_ raw: String, _ run: ProfiledRun, _ sides: [ProfileSide], _ names: SwiftNames) throws {
        let path = run.path("perf-script.txt")
        try Data("# ========\n# \(run.commandLine)\n# ========\n#\n".utf8).write(to: URL(fileURLWithPath: path))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        var pending = ""
        try PerfTool.forEachSample(in: raw) { sample in
            guard run.marks.window.contains(sample.time_ns), let side = sides.first(where: { $0.processID == sample.processID }) else { return }
            pending += PerfScriptText.sample(sample, process: side.name, name: names.symbol)
            if pending.utf8.count > 1 << 20 {
                try file.write(contentsOf: Data(pending.utf8))
                pending = ""
            }
        }
        try file.write(contentsOf: Data(pending.utf8))
    }
}
