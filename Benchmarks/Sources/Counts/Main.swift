import Kernel
import Workloads

/// Runs one workload a given number of times, for a tool that counts from outside.
///
/// ```
/// counts                       the names of all workloads, with what `scripts/count` needs to know of them
/// counts NAME N                does N operations of NAME
/// counts --allocations NAME N  the same, and prints how many allocations that took, with a constant number of its own
/// ```
///
/// It uses no concurrency and starts no thread: the tool would count those as well, or fall over them.
@main
enum Counts {
    /// Batches until caches are filled and tables have grown to their size.
    static let warmUpBatches = 64

    private static let all = WorkloadEntry.innerLoops + WorkloadEntry.endToEnd

    static func main() {
        var arguments = Array(CommandLine.arguments.dropFirst())
        let countsAllocations = arguments.first == "--allocations"
        if countsAllocations { arguments.removeFirst() }
        guard let name = arguments.first else {
            for entry in all { print(entry.name, entry.mustNotAllocate ? "no-allocations" : "any", entry.counted.few, entry.counted.many) }
            return
        }
        guard let entry = all.first(where: { $0.name == name }) else { fatalError("there is no workload '\(name)'") }
        guard arguments.count == 2, let operations = Int(arguments[1]), operations > 0, operations % entry.operationsPerBatch == 0 else {
            fatalError("\(name) is done in batches of \(entry.operationsPerBatch): say how many operations, in whole batches")
        }
        let workload = entry.make()
        var sum: UInt64 = 0
        for _ in 0..<warmUpBatches { sum ^= workload.runBatch() }
        let before = countsAllocations ? allocations() : 0
        for _ in 0..<operations / entry.operationsPerBatch { sum ^= workload.runBatch() }
        if countsAllocations {
            print(allocations() - before)
        } else {
            // What is not used may be left out by the compiler.
            print(sum)
        }
    }

    private static func allocations() -> UInt64 {
        switch HeapUsage.now().allocationCount {
        case .value(let count): return count
        case .unavailable(let reason): fatalError("allocations cannot be counted: \(reason)")
        }
    }
}
