import FoundationEssentials
import Gauge
import Testing

@Suite struct LatencyStagesTests {
    @Test func stagesGoThereAndBack() throws {
        let stages = Samples.latencyStages
        let data = try JSONEncoder().encode(stages)
        #expect(try JSONDecoder().decode(LatencyStages.self, from: data) == stages)
        let text = String(decoding: data, as: UTF8.self)
        for key in ["queue_ns", "transit_ns", "deliver_ns", "total_ns", "histograms", "flow", "verb", "direction"] { #expect(text.contains("\"\(key)\":")) }
    }

    @Test func summariesAreOfTheHistograms() {
        let stages = Samples.latencyStages
        for stage in LatencyStages.Stage.allCases { #expect(stages.summaries[stage] == stages.histograms[stage]?.summary()) }
        #expect(stages.summaries[.total]?.count == 1000)
    }

    /// Without a sample in one stage there is nothing to tell.
    @Test func anEmptyStageIsNone() {
        var histograms = Samples.latencyStages.histograms
        histograms[.deliver] = LatencyHistogram()
        #expect(LatencyStages(flow: 0, verb: "request", direction: "up", histograms: histograms) == nil)
    }
}
