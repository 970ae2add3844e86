import Gauge
import Muxers

/// Joins what both sides noted of the same messages.
enum StageJoin {
    /// - Returns: for each flow and direction with samples that both sides have, or why there are none.
    static func stages(client: StageNotes?, server: StageNotes?, scenario: Scenario) -> Measured<[LatencyStages]> {
        guard scenario.measuresStages == true else { return .unavailable("not asked for: --stages measures it") }
        guard let client, let server else { return .unavailable("the server did not report") }
        guard client.bootID == server.bootID else { return .unavailable("the two ends are on different machines, whose clocks cannot be compared") }
        let stages = joined(client.sent, server.received, "up", scenario) + joined(server.sent, client.received, "down", scenario)
        return Measured(stages.isEmpty ? nil : stages.sorted { ($0.flow, $1.direction) < ($1.flow, $0.direction) }, else: "no message was sampled at both ends")
    }

    private struct Name: Hashable {
        let key: UInt64
        let message: UInt64
    }

    private static func joined(
        _ sent: StageNotes.Direction, _ received: StageNotes.Direction, _ direction: String, _ scenario: Scenario
    ) -> [LatencyStages] {
        // Each loop had rules of its own; what all of them took is a uniform sample.
        let rules = zip(sent.rules, received.rules).map { $0.bitCount > $1.bitCount ? $0 : $1 }
        func isCommon(_ sample: StageSample) -> Bool { rules[StageSample.classOf(sample.flow)].isSampled(message: sample.message, key: sample.key) }
        var arrivals: [Name: StageSample] = [:]
        for sample in received.samples where isCommon(sample) {
            arrivals[Name(key: sample.key, message: sample.message)] = sample
        }
        var histograms: [UInt32: [LatencyStages.Stage: LatencyHistogram]] = [:]
        for sample in sent.samples where isCommon(sample) {
            guard let arrival = arrivals[Name(key: sample.key, message: sample.message)], arrival.second >= sample.first else { continue }
            var stages = histograms[sample.flow] ?? Dictionary(uniqueKeysWithValues: LatencyStages.Stage.allCases.map { ($0, LatencyHistogram()) })
            for (stage, span) in spans(sample, arrival) { stages[stage]?.record(span) }
            histograms[sample.flow] = stages
        }
        return histograms.compactMap { flow, histograms in
            guard Int(flow) < scenario.flows.count else { return nil }
            return LatencyStages(flow: Int(flow), verb: scenario.flows[Int(flow)].verb.rawValue, direction: direction, histograms: histograms)
        }
    }

    /// The stages add up to the whole, whatever the four times are: each is brought between its neighbours, from the outside in, because cores may read their clocks a few
    /// nanoseconds apart.
    private static func spans(_ sent: StageSample, _ arrival: StageSample) -> [(LatencyStages.Stage, UInt64)] {
        let (start, end) = (sent.first, arrival.second)
        let read = min(max(arrival.first, start), end)
        let written = min(max(sent.second, start), read)
        return [(.queue, written - start), (.transit, read - written), (.deliver, end - read), (.total, end - start)]
    }
}
