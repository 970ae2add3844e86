import CJemalloc

/// What the allocator (jemalloc) says about the whole process. Values are exact at the moment of reading, but the reading itself costs
/// microseconds and is for the beginning and end of a measurement.
public struct HeapUsage: Equatable, Sendable {
    /// Bytes that the program holds.
    public var allocatedBytes: Measured<UInt64>
    /// Bytes in pages that hold something.
    public var activeBytes: Measured<UInt64>
    /// Bytes of memory that the allocator occupies.
    public var residentBytes: Measured<UInt64>
    /// Allocations so far, of all sizes; those of other threads up to their last ``ThreadHeap/settleCounts()``, as a thread's cache keeps its
    /// counts to itself until it is emptied.
    public var allocationCount: Measured<UInt64>
    /// Deallocations that have left the threads' caches.
    public var deallocationCount: Measured<UInt64>

    public static func now() -> HeapUsage {
        // Statistics are a snapshot that is taken when the epoch is advanced.
        ThreadHeap.settleCounts()
        Allocator.advanceEpoch()
        let arenas = "stats.arenas.\(Allocator.allArenas)"
        return HeapUsage(
            allocatedBytes: Allocator.read("stats.allocated"),
            activeBytes: Allocator.read("stats.active"),
            residentBytes: Allocator.read("stats.resident"),
            allocationCount: sum(Allocator.read("\(arenas).small.nrequests"), Allocator.read("\(arenas).large.nrequests")),
            deallocationCount: sum(Allocator.read("\(arenas).small.ndalloc"), Allocator.read("\(arenas).large.ndalloc")))
    }

    /// Gives pages that hold nothing back to the kernel, so that what is resident tells what is needed.
    ///
    /// - Returns: false where the allocator is not jemalloc.
    @discardableResult
    public static func returnUnusedMemory() -> Bool {
        ThreadHeap.settleCounts()
        return Allocator.act("arena.\(Allocator.allArenas).purge")
    }

    /// Whether this jemalloc can write heap profiles (`MALLOC_CONF=prof:true`); nil where the allocator is another.
    public static var isProfilingCompiledIn: Bool? { Allocator.readFlag("config.prof") }

    private static func sum(_ left: Measured<UInt64>, _ right: Measured<UInt64>) -> Measured<UInt64> {
        switch (left, right) {
        case (.value(let left), .value(let right)): .value(left &+ right)
        case (.unavailable, _): left
        case (_, .unavailable): right
        }
    }
}

/// What the calling thread has allocated and freed since it began, in bytes: exact, monotonic, and a reading costs some ten nanoseconds.
public enum ThreadHeap {
    public static func allocatedBytes() -> Measured<UInt64> { Allocator.read("thread.allocated") }
    public static func deallocatedBytes() -> Measured<UInt64> { Allocator.read("thread.deallocated") }

    /// Empties the calling thread's cache, so that what it counted is in ``HeapUsage/allocationCount``. Without jemalloc there is no cache and nothing
    /// happens.
    public static func settleCounts() { _ = Allocator.act("thread.tcache.flush") }
}

/// The allocator's control interface, by name.
enum Allocator {
    /// MALLCTL_ARENAS_ALL: the index that means every arena together.
    static let allArenas = 4096

    static func read(_ name: String) -> Measured<UInt64> {
        var value: UInt64 = 0
        var length = MemoryLayout<UInt64>.size
        let code = unsafe mallctl(name, &value, &length, nil, 0)
        guard code == 0 else { return .unavailable(reason: "mallctl \(name): \(Errno(code, "mallctl").text)") }
        return .value(value)
    }

    static func readFlag(_ name: String) -> Bool? {
        var value = false
        var length = MemoryLayout<Bool>.size
        return unsafe mallctl(name, &value, &length, nil, 0) == 0 ? value : nil
    }

    static func act(_ name: String) -> Bool {
        unsafe mallctl(name, nil, nil, nil, 0) == 0
    }

    static func advanceEpoch() {
        var epoch: UInt64 = 1
        _ = unsafe mallctl("epoch", nil, nil, &epoch, MemoryLayout<UInt64>.size)
    }
}
