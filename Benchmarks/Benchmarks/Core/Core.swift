import Benchmark
import Workloads

/// The workloads against the clock. Two runs of the same code differ by a tenth and more, so nothing here is accepted or refused.
let benchmarks: @Sendable () -> Void = {
    for entry in WorkloadEntry.all {
        Benchmark(
            entry.name,
            configuration: .init(metrics: [.wallClock, .throughput], warmupIterations: 10, scalingFactor: .one, maxDuration: .seconds(1))
        ) { benchmark in
            let workload = entry.make()
            for _ in 0..<64 { blackHole(workload.runBatch()) }
            let batches = max(1, 1000 / entry.operationsPerBatch)
            benchmark.startMeasurement()
            for _ in 0..<batches { blackHole(workload.runBatch()) }
            benchmark.stopMeasurement()
        }
    }
}
