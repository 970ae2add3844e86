import Benchmark
import Workloads

/// Every inner loop for a second or so, by the clock. One sample is a thousand operations, in batches as a connection would do them; the harness divides by the
/// thousand, so figures are for one operation.
///
/// No metric but the clock's: allocations and instructions are counted by `scripts/count`, whose figures can be compared with those that were accepted.
let benchmarks: @Sendable () -> Void = {
    let configuration = Benchmark.Configuration(
        metrics: [.wallClock, .throughput], timeUnits: .nanoseconds, units: [.throughput: .count],
        warmupIterations: 16, scalingFactor: .kilo, maxDuration: .seconds(1), maxIterations: .max)
    for entry in WorkloadEntry.innerLoops {
        let batches = configuration.scalingFactor.rawValue / entry.operationsPerBatch
        precondition(batches * entry.operationsPerBatch == configuration.scalingFactor.rawValue, "\(entry.name): a sample is whole batches")
        Benchmark(entry.name, configuration: configuration) { _, workload in
            // What is not used may be left out by the compiler.
            for _ in 0..<batches { blackHole(workload.runBatch()) }
        } setup: {
            entry.make()
        }
    }
}
