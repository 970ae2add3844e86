public import Gauge

extension InterferenceRecord.Outcome {
    /// Puts the rounds of a cell together.
    ///
    /// - Parameters:
    ///   - idle: the victim alone, round by round.
    ///   - loaded: the victim beside the aggressor, round by round.
    ///   - alone: the aggressor alone; empty where that tells nothing.
    public static func of(idle: [RunFigures], loaded: [RunFigures], alone: [RunFigures]) -> Measured<InterferenceRecord.Outcome> {
        let (idleAll, loadedAll) = (merged(idle), merged(loaded))
        guard let idleSummary = idleAll.summary() else { return .unavailable(missing(idle, "the victim alone")) }
        guard let loadedSummary = loadedAll.summary() else { return .unavailable(missing(loaded, "the victim beside the aggressor")) }
        func ratios(_ percentile: KeyPath<LatencySummary, Int>) -> Spread? {
            Statistics.spread(zip(idle, loaded).compactMap { idle, loaded in
                guard let before = idle.latency.value?[keyPath: percentile], before > 0, let after = loaded.latency.value?[keyPath: percentile] else { return nil }
                return Double(after) / Double(before)
            })
        }
        guard let p50 = ratios(\.p50), let p99 = ratios(\.p99) else { return .unavailable("no round has both the victim alone and beside the aggressor") }
        let kept = zip(alone, loaded).compactMap { alone, loaded -> Double? in
            guard let before = alone.goodputBytesPerSecond.value, before > 0, let after = loaded.goodputBytesPerSecond.value else { return nil }
            return after / before
        }
        let reasons = (idle + loaded + alone).flatMap(\.invalidReasons)
        return .value(
            InterferenceRecord.Outcome(
                idle: idleSummary, loaded: loadedSummary, p50Ratio: p50, p99Ratio: p99,
                goodputKeptRatio: Measured(Statistics.median(kept), else: "the aggressor alone was not measured: it is not bulk and nothing else"),
                jainFairness: median(loaded, \.jainFairness), starvedStreams: median(loaded, \.starvedStreams),
                longestSilenceSeconds: median(loaded, \.longestSilenceSeconds), stages: stages(loaded), rounds: min(idle.count, loaded.count),
                invalidReasons: Array(reasons.prefix(20))))
    }

    private static func merged(_ rounds: [RunFigures]) -> LatencyHistogram {
        rounds.reduce(into: LatencyHistogram()) { sum, figures in
            if let histogram = figures.histograms.latency.value { sum.merge(histogram) }
        }
    }

    private static func missing(_ rounds: [RunFigures], _ what: String) -> String {
        rounds.flatMap(\.invalidReasons).first ?? (rounds.isEmpty ? "\(what) was not measured" : "\(what) completed no request in any window")
    }

    private static func median(_ rounds: [RunFigures], _ figure: KeyPath<RunFigures, Measured<Double>>) -> Measured<Double> {
        let reason = rounds.lazy.compactMap { $0[keyPath: figure].reason }.first ?? "no round has it"
        return Measured(Statistics.median(rounds.compactMap { $0[keyPath: figure].value }), else: reason)
    }

    private static func median(_ rounds: [RunFigures], _ figure: KeyPath<RunFigures, Measured<Int>>) -> Measured<Int> {
        let reason = rounds.lazy.compactMap { $0[keyPath: figure].reason }.first ?? "no round has it"
        return Measured(Statistics.median(rounds.compactMap { $0[keyPath: figure].value.map(Double.init) }).map { Int($0.rounded()) }, else: reason)
    }

    /// The victim's way there and back, over all rounds.
    private static func stages(_ rounds: [RunFigures]) -> Measured<[LatencyStages]> {
        let all = rounds.compactMap(\.latencyStages.value).flatMap { $0 }.filter { $0.flow == 0 }
        let stages = ["up", "down"].compactMap { direction -> LatencyStages? in
            let parts = all.filter { $0.direction == direction }
            guard let first = parts.first else { return nil }
            var histograms = first.histograms
            for part in parts.dropFirst() { for (stage, histogram) in part.histograms { histograms[stage]?.merge(histogram) } }
            return LatencyStages(flow: 0, verb: first.verb, direction: direction, histograms: histograms)
        }
        let reason = rounds.lazy.compactMap { $0.latencyStages.reason }.first ?? "no message was sampled at both ends"
        return Measured(stages.isEmpty ? nil : stages, else: reason)
    }
}
