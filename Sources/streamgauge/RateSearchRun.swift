import ArgumentParser
import Foundation
import Gauge
import Load
import Multiformats
import Report

/// `streamgauge run --find-rate`: one search, from the options to its record.
struct RateSearchRun {
    private let goal: RateSearchRecord.Goal
    private let options: RunOptions
    /// All but the rate and the length of the window, which each step has its own of.
    private let scenario: Scenario
    private let target: Multiaddr?
    private let windowSecondsMin: Double

    /// Finds what is wrong with the options.
    init(goal text: String, _ given: RunOptions) throws {
        goal = try parsed("--find-rate", text) { try RateGoal.parse($0) }
        func refuse(_ isGiven: Bool, _ option: String, _ reason: String) throws {
            if isGiven { throw ValidationError("\(option) does not go with --find-rate: \(reason)") }
        }
        try refuse(given.rate != nil, "--rate", "the search chooses the rates")
        try refuse(given.count != nil, "--count", "a rate is judged by windows of time; --duration says how long they are at least")
        try refuse(given.repeats != 1, "--repeat", "a step repeats its window for as long as it is unclear")
        try refuse(given.scenario != nil, "--scenario", "a scenario file has a rate of its own; give its options")
        try refuse(given.printScenario, "--print-scenario", "each step is a scenario of its own")
        let workload = given.workload ?? Workload.bulk.rawValue
        guard [Workload.request, .mixed].map(\.rawValue).contains(try Workload(named: workload).rawValue) else {
            throw ValidationError("--find-rate is for the workloads request and mixed, and this is \(workload): only they have operations that can be scheduled (-w request)")
        }
        var options = given
        options.duration = given.duration ?? "1s"
        options.omit = given.omit ?? "250ms"
        var scenario = try options.makeScenario()
        scenario.ratePerSecond = RateSearch.Limits().startPerSecond
        windowSecondsMin = scenario.durationSeconds ?? 1
        target = try options.targetAddress
        self.options = options
        self.scenario = scenario
        _ = try options.phaseTimeoutSeconds
        try Runner.check(scenario, target: target)
    }

    /// Searches, and delivers what was found.
    func run() async throws {
        let output = try parsed("--json", ifGiven: options.json) { try OutputFile.prepare($0) }
        let runner = Runner(view: ProgressView(showsIntervals: options.interval), timeoutSeconds: try options.phaseTimeoutSeconds)
        var search = RateSearch()
        var steps: [RateSearchRecord.Step] = []
        var failure: (any Error)?
        while failure == nil, !runner.isInterrupted, case .measure(let rate, let limits, let purpose) = search.next {
            let (step, error) = await measure(rate, limits, purpose, runner)
            failure = error
            if let step { steps.append(step) }
            if let step, error == nil, !runner.isInterrupted { search.record(step.outcome) }
        }
        if let failure { Exit.tell(failure) }
        guard let environment = steps.first?.run.environment else {
            if failure == nil { StandardError.write("streamgauge: interrupted before anything was measured\n") }
            throw Exit.failed
        }
        let record = RateSearchRecord(
            command: Runner.commandLine, goal: goal, foundRatePerSecond: Measured(search.found, else: whyNothingWasFound(steps, runner)),
            missedRatePerSecond: Measured(search.missed, else: whyNothingWasMissed(steps, search, runner)), steps: steps, environment: environment)
        try deliver(to: output, { try record.encodedJSON() }) {
            switch options.format {
            case .text: Data(RateSearchText.text(record, width: Terminal.reportWidth).utf8)
            case .json: Data(try record.encodedJSON())
            case .csv: Data(RateSearchText.csv(record).utf8)
            }
        }
        if failure != nil || search.found == nil { throw Exit.failed }
    }

    /// Windows at a rate until it is clear how it does. The step is nil when there is no window at all.
    private func measure(
        _ rate: Double, _ limits: RateStep.Limits, _ purpose: RateSearch.Purpose, _ runner: Runner
    ) async -> (RateSearchRecord.Step?, (any Error)?) {
        var scenario = scenario
        scenario.ratePerSecond = rate
        scenario.durationSeconds = RateStep.windowSeconds(goal, ratePerSecond: rate, atLeast: windowSecondsMin)
        var step = RateStep(goal: goal, limits: limits)
        var windows: [RunFigures] = []
        var ioName = scenario.io
        var outcome = (RateSearchRecord.Outcome.unclear, reason: "interrupted")
        var failure: (any Error)?
        measuring: while true {
            do {
                let aim = purpose == .search ? "trying" : purpose == .confirmation ? "confirming" : "trying again"
                let label = "\(goal): \(aim) \(Units.format(perSecond: rate)), window \(windows.count + 1)"
                let (figures, name) = try await runner.once(scenario, target: target, label: label)
                windows.append(figures)
                ioName = name
                if runner.isInterrupted { break measuring }
                if case .done(let decided, let reason) = step.add(RateWindow(figures, goal: goal, ratePerSecond: rate)) {
                    outcome = (decided, reason)
                    break measuring
                }
            } catch {
                failure = error
                outcome = (.unclear, "\(error)")
                break measuring
            }
        }
        guard !windows.isEmpty else { return (nil, failure) }
        let record = Runner.record(scenario, windows, target: target, ioName: ioName)
        return (RateSearchRecord.Step(ratePerSecond: rate, outcome: outcome.0, reason: outcome.reason, run: record), failure)
    }

    // MARK: Reasons

    private func whyNothingWasFound(_ steps: [RateSearchRecord.Step], _ runner: Runner) -> String {
        if runner.isInterrupted { return "the search was interrupted" }
        guard let lowest = steps.min(by: { $0.ratePerSecond < $1.ratePerSecond }) else { return "nothing was measured" }
        let last = steps.last { $0.ratePerSecond == lowest.ratePerSecond } ?? lowest
        return "at \(Units.format(perSecond: last.ratePerSecond)), the lowest rate that was tried, \(last.reason)"
    }

    private func whyNothingWasMissed(_ steps: [RateSearchRecord.Step], _ search: RateSearch, _ runner: Runner) -> String {
        if runner.isInterrupted { return "the search was interrupted" }
        let above = steps.filter { $0.ratePerSecond > search.found ?? 0 }.min { $0.ratePerSecond < $1.ratePerSecond }
        guard let above else { return "no higher rate is tried" }
        return "at \(Units.format(perSecond: above.ratePerSecond)) \(above.reason)"
    }
}

extension Workload {
    /// The workload of this name, for an option's text.
    fileprivate init(named text: String) throws {
        do { try self.init(parsing: text) } catch { throw Exit.usage(error) }
    }
}
