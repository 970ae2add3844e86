/// Finds a small index by a 31-bit key: stream identifiers on the wire to places in a table.
///
/// Open addressing with linear probing. The hash is the key itself, so the dense, rising identifiers that multiplexers use
/// sit side by side and a look-up is one memory access. A far end that picks its identifiers so that they collide would make probing
/// long: when an insertion has to probe further than `probesMax` the map mixes keys with a random multiplier from then on.
///
/// Dense identifiers make one long run of taken places. What bounds a search through it is `reach`: without it, a removal would look
/// through the rest of the run, and so would a far end's frame for a stream that has ended.
///
/// Invariant: at most three quarters of the places are taken; between a key's home and its place no place is free, and they are at most
/// `reach` apart.
@safe public struct IndexMap: ~Copyable {
    /// Far beyond what an honest sequence of identifiers causes, and short enough to be harmless.
    static let probesMax = 64

    /// Zero is a free place; otherwise (key + 1) << 32 | index.
    @usableFromInline var places: UnsafeMutablePointer<UInt64>
    @usableFromInline var mask: Int
    /// 1 while keys are their own hash.
    @usableFromInline var multiplier: UInt32 = 1
    @usableFromInline var used = 0
    /// The longest distance of an entry from its home since the map was last rebuilt.
    @usableFromInline var reach = 0

    public init(capacity: Int = 16) {
        var size = 16
        while size < capacity { size *= 2 }
        mask = size - 1
        unsafe places = .allocate(capacity: size)
        unsafe places.initialize(repeating: 0, count: size)
    }

    deinit { unsafe places.deallocate() }

    @inlinable public var count: Int { used }

    @inlinable func home(_ key: UInt32) -> Int {
        // The high half of the product is the well-mixed one; with multiplier 1 the key itself is used.
        multiplier == 1 ? Int(key) & mask : Int((key &* multiplier) >> 7) & mask
    }

    /// The index stored for `key`, or nil.
    @inlinable @inline(__always) public func find(_ key: UInt32) -> Int? {
        var place = home(key)
        var probesLeft = reach
        let wanted = UInt64(key) &+ 1
        while true {
            let entry = unsafe places[place]
            if entry >> 32 == wanted { return Int(truncatingIfNeeded: entry & 0xffff_ffff) }
            if entry == 0 || probesLeft == 0 { return nil }
            probesLeft &-= 1
            place = (place &+ 1) & mask
        }
    }

    /// Stores `index` for `key`, which must not be in the map and must be below 2^32 - 1.
    public mutating func insert(_ key: UInt32, index: Int) {
        precondition(key < .max && index >= 0 && index <= Int(UInt32.max))
        if (used + 1) * 4 > (mask + 1) * 3 { rebuild(size: (mask + 1) * 2) }
        let probes = place(UInt64(key) &+ 1, UInt64(index))
        used += 1
        if probes > Self.probesMax && multiplier == 1 {
            multiplier = UInt32.random(in: .min ... .max) | 0x8000_0001
            rebuild(size: mask + 1)
        }
    }

    /// Removes `key`; harmless when it is not there.
    public mutating func remove(_ key: UInt32) {
        var hole = home(key)
        var probes = 0
        let wanted = UInt64(key) &+ 1
        while unsafe places[hole] >> 32 != wanted {
            if unsafe places[hole] == 0 || probes == reach { return }
            probes += 1
            hole = (hole &+ 1) & mask
        }
        used -= 1
        // Close the gap: move back every later entry of the run whose home is not between the hole and itself. Beyond `reach` there is none.
        var next = (hole &+ 1) & mask
        while (next &- hole) & mask <= reach {
            let entry = unsafe places[next]
            if entry == 0 { break }
            let start = home(UInt32(truncatingIfNeeded: (entry >> 32) &- 1))
            if (next &- start) & mask >= (next &- hole) & mask {
                unsafe places[hole] = entry
                hole = next
            }
            next = (next &+ 1) & mask
        }
        unsafe places[hole] = 0
    }

    private mutating func place(_ stored: UInt64, _ index: UInt64) -> Int {
        var place = home(UInt32(truncatingIfNeeded: stored &- 1))
        var probes = 0
        while unsafe places[place] != 0 {
            place = (place &+ 1) & mask
            probes += 1
        }
        unsafe places[place] = stored << 32 | index
        reach = max(reach, probes)
        return probes
    }

    private mutating func rebuild(size: Int) {
        let old = unsafe places
        let oldSize = mask + 1
        unsafe places = .allocate(capacity: size)
        unsafe places.initialize(repeating: 0, count: size)
        mask = size - 1
        reach = 0
        for index in 0..<oldSize {
            let entry = unsafe old[index]
            if entry != 0 { _ = place(entry >> 32, entry & 0xffff_ffff) }
        }
        unsafe old.deallocate()
    }
}
