import Foundation
import Gauge
import Kernel
import Load
import Report

/// `--heap`: what connections and streams hold in memory, and what is allocated in the window, by call site: by jemalloc's profiler in both processes.
struct HeapPass: ProfilePass {
    let name = "heap"
    private let streams: Int

    /// Above so many streams not every allocation is noted: what the profiler notes takes a page or more of memory, however small it is.
    static let exactStreamsMax = 10_000
    /// Binary logarithm of the bytes between two that are noted then.
    static let coarseSampleLog = 12

    init(_ scenario: Scenario) { streams = max(1, scenario.connections * scenario.streams) }

    func check() throws {
        guard HeapProfiler.isBuiltIn else {
            throw ProfileError.unavailable(
                pass: name, reason: "the allocator (jemalloc) was built without its profiler (mallctl config.prof)",
                remedy: "use a jemalloc that was configured with --enable-prof, such as Debian's: scripts/install libjemalloc-dev")
        }
        guard Programs.find("nm") != nil else {
            throw ProfileError.unavailable(pass: name, reason: "nm, which tells the names of functions, is not installed", remedy: "scripts/install binutils (Debian)")
        }
    }

    func wrapped(_ command: [String], in folder: String) -> [String] { command }

    func environment(in folder: String) -> [String: String] {
        let sample = streams > Self.exactStreamsMax ? Self.coarseSampleLog : 0
        return [
            "MALLOC_CONF": "prof:true,prof_active:false,prof_accum:true,prof_final:false,lg_prof_interval:-1,lg_prof_sample:\(sample),prof_prefix:\(folder)/jeprof",
            HeapDumps.variable: folder,
        ]
    }

    func evaluate(_ run: ProfiledRun) async throws -> ProfileSection {
        let figures = run.record.figures
        var sides = [("Client", "client", figures.allocations.client)]
        if run.marks.serverID != nil { sides.append(("Server", "server", figures.allocations.server)) }
        let profiles = try sides.map { _, file, _ in (begin: try read("\(file).begin.heap", run), end: try read("\(file).end.heap", run)) }
        let symbols = try await HeapSymbols(profiles.flatMap { [$0.begin, $0.end] }, in: run.folder)
        var text = notes(profiles[0].begin, symbols.note, run) + "\n"
        var files: [(name: String, what: String)] = []
        for ((title, file, counted), profile) in zip(sides, profiles) {
            var (held, allocated) = (HeapSites(), HeapSites())
            for (stack, entry) in profile.begin.entries where entry.held.bytes > 0 { held.add(symbols.frames(stack, profile.begin), entry.held.bytes) }
            for (stack, amount) in profile.end.allocations(since: profile.begin) { allocated.add(symbols.frames(stack, profile.end), amount.objects) }
            text += "\n### \(title)\n\n" + heldText(held, profile.begin) + "\n" + allocatedText(allocated, counted, figures.messages)
            files += try write(held.folded, "\(file)-held", "what the \(file) held when the window began", "bytes", run)
            files += try write(allocated.folded, "\(file)-allocated", "what the \(file) allocated in the window", "allocations", run)
            files += [
                ("\(file).begin.heap", "the allocator's own profile when the window began, for jeprof"), ("\(file).end.heap", "the same when it ended"),
            ]
        }
        try OutputFile.prepare(run.path("heap.md")).write(Array(text.utf8))
        return ProfileSection(title: "Heap", text: text, files: files + [("heap.md", "these tables")])
    }

    /// As a flame graph and as the folded stacks that it is drawn from.
    private func write(_ stacks: FoldedStacks, _ file: String, _ what: String, _ unit: String, _ run: ProfiledRun) throws -> [(name: String, what: String)] {
        let graph = FlameGraph(stacks, title: what.prefix(1).uppercased() + what.dropFirst(), subtitle: run.commandLine, unit: unit)
        try OutputFile.prepare(run.path("\(file).svg")).write(Array(graph.svg.utf8))
        try OutputFile.prepare(run.path("\(file).folded")).write(Array(stacks.text.utf8))
        return [("\(file).svg", "flame graph of \(what), in \(unit) by call stack"), ("\(file).folded", "the same in the folded format")]
    }

    private func read(_ file: String, _ run: ProfiledRun) throws -> HeapProfile {
        let path = run.path(file)
        do {
            return try HeapProfile(String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self))
        } catch let error as HeapProfile.FormatError {
            throw ProfileError.unreadable(path: path, detail: error.description)
        } catch {
            throw ProfileError.unreadable(path: path, detail: "\(error.localizedDescription) (the run writes it when its window begins and ends)")
        }
    }

    private func notes(_ profile: HeapProfile, _ note: String?, _ run: ProfiledRun) -> String {
        var notes = ["By jemalloc's profiler, from before the first connection on."]
        notes.append(
            profile.sampleBytes == 1
                ? "Every allocation was noted. That takes time and a page of memory for each, so the speed and the memory that this run's own record tells are no measure."
                : "One allocation was noted for each \(profile.sampleBytes) bytes on average, as there are over \(Self.exactStreamsMax) streams: amounts are estimates.")
        if run.marks.serverID == nil { notes.append("Both sides are one process, or the server was running already: what is told of the client is what was seen.") }
        if let note { notes.append(note) }
        return notes.joined(separator: " ")
    }

    private func heldText(_ sites: HeapSites, _ profile: HeapProfile) -> String {
        let total = profile.total.held
        var text = "Held when the window began, with \(streams) streams: \(whole(total.bytes)) bytes in \(whole(total.objects)) pieces, \(whole(total.bytes / Double(streams))) bytes a stream. "
        text += "What a connection or the process holds once is divided by the streams as well: with many streams it is little.\n\n"
        text += "| bytes a stream | of all | call site | called by |\n|---:|---:|---|---|\n"
        for site in sites.top(Self.rows) {
            text += "| \(decimal(site.amount / Double(streams))) | \(percent(site.amount, total.bytes)) | \(cell(site.name)) | \(cell(site.callers)) |\n"
        }
        return text
    }

    private static let rows = 15

    private func allocatedText(_ sites: HeapSites, _ counted: Gauge.Measured<UInt64>, _ messages: UInt64) -> String {
        let total = sites.total
        let each = messages == 0 ? "" : ", \(decimal(total / Double(messages))) a message"
        var text = "Allocated in the window: \(whole(total)) pieces\(each). "
        switch counted {
        case .unavailable(let reason): text += "The run has no count of its own to check it by: \(reason).\n\n"
        case .value(let count):
            let difference = total - Double(count)
            text += "The allocator's own counter says \(count), \(whole(abs(difference))) \(difference < 0 ? "more" : "less"). "
            text += abs(difference) <= Double(Self.edgeAllocationsMax) + Double(count) / 50
                ? "They agree, but for what happened at the edges of the window.\n\n"
                : "They do NOT agree. The counter also has what the run did to read the counters and to write profiles at the edges of the window, and leaves out what other threads' caches have not told it yet.\n\n"
        }
        text += "| \(messages == 0 ? "allocations" : "allocations a message") | of all | call site | called by |\n|---:|---:|---|---|\n"
        for site in sites.top(Self.rows) {
            let amount = messages == 0 ? whole(site.amount) : decimal(site.amount / Double(messages))
            text += "| \(amount) | \(percent(site.amount, total)) | \(cell(site.name)) | \(cell(site.callers)) |\n"
        }
        return text
    }

    /// Allocations that one of the two may count on the other side of an edge, beside 2 %.
    static let edgeAllocationsMax = 500

    private func whole(_ amount: Double) -> String { String(format: "%.0f", amount) }
    private func decimal(_ amount: Double) -> String { String(format: amount < 10 ? "%.4f" : "%.1f", amount) }
    private func percent(_ part: Double, _ all: Double) -> String { all > 0 ? String(format: "%.1f %%", part / all * 100) : "-" }
    /// Names have bars and brackets that mean something in a table.
    private func cell(_ name: String) -> String { "`" + name.replacingOccurrences(of: "|", with: "\\|") + "`" }
}
