import Bytes
import Testing
import TestSupport

/// Each container against the plainest model of it.
@Suite struct ContainerTests {
    @Test(arguments: SeededGenerator.seeds(4)) func slab(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var slab = Slab<UInt64>(capacity: 1)
        var model: [Int: UInt64] = [:]
        var peak = 0
        for _ in 0..<1500 {
            if random.oneIn(2) || model.isEmpty {
                let value = random.next()
                let place = slab.insert(value)
                #expect(model[place] == nil, "a live place was handed out again")
                model[place] = value
                peak = max(peak, model.count)
            } else if let place = model.keys.sorted().randomElement(using: &random) {
                let value = slab[place]
                #expect(value == model[place])
                if random.oneIn(3) {
                    slab[place] &+= 1
                    model[place]? &+= 1
                } else {
                    slab.remove(place)
                    model[place] = nil
                }
            }
            let count = slab.count
            #expect(count == model.count)
        }
        let last = model.keys.max() ?? 0
        #expect(last < peak, "freed places are used before the slab grows")
        for (place, value) in model {
            let held = slab[place]
            #expect(held == value)
        }
    }

    @Test func aPlaceNeverUsedTraps() async {
        await #expect(processExitsWith: .failure) {
            var slab = Slab<Int>()
            _ = slab.insert(1)
            _ = slab[1]
        }
        await #expect(processExitsWith: .failure) {
            let stack = Stack<Int>()
            _ = stack[0]
        }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func stack(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var stack = Stack<Int>(capacity: 1)
        var model: [Int] = []
        for _ in 0..<1500 {
            switch random.int(0...9) {
            case 0...5:
                let value = random.int(0...1_000_000)
                stack.push(value)
                model.append(value)
            case 6...8:
                let popped = stack.pop()
                #expect(popped == model.popLast())
            default:
                if random.oneIn(50) {
                    stack.removeAll()
                    model.removeAll()
                }
            }
            let (count, isEmpty) = (stack.count, stack.isEmpty)
            #expect(count == model.count && isEmpty == model.isEmpty)
        }
        for index in model.indices {
            let held = stack[index]
            #expect(held == model[index])
        }
    }

    @Test(arguments: SeededGenerator.seeds(6)) func ringQueue(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = RingQueue<Int>(capacity: random.int(0...5))
        var model: [Int] = []
        for _ in 0..<1500 {
            switch random.int(0...9) {
            case 0...3:
                let value = random.int(0...1_000_000)
                queue.push(value)
                model.append(value)
            case 4:
                let value = random.int(0...1_000_000)
                queue.pushFront(value)
                model.insert(value, at: 0)
            case 5:
                let last = queue.popLast()
                #expect(last == model.popLast())
            case 6...8:
                let first = queue.first
                #expect(first == model.first)
                let popped = queue.pop()
                #expect(popped == (model.isEmpty ? nil : model.removeFirst()))
            default:
                if random.oneIn(50) {
                    queue.removeAll()
                    model.removeAll()
                }
            }
            let count = queue.count
            #expect(count == model.count)
        }
        while let value = queue.pop() {
            #expect(value == model.removeFirst())
        }
        #expect(model.isEmpty)
    }

    /// Keys as honest peers use them (dense and rising), as unkind ones do (all of one home), and at random.
    @Test(arguments: SeededGenerator.seeds(6), [1, 64, 1 << 14, 0] as [UInt32]) func indexMap(seed: UInt64, stride: UInt32) {
        var random = SeededGenerator(seed: seed)
        var map = IndexMap()
        var model: [UInt32: Int] = [:]
        var order: [UInt32] = []
        var next: UInt32 = 0
        for _ in 0..<6000 {
            if random.int(0...9) < 5 || order.isEmpty {
                let key = stride == 0 ? UInt32(truncatingIfNeeded: random.next() % (1 << 31)) : next
                next &+= stride
                guard key < .max, model[key] == nil else { continue }
                model[key] = random.int(0...1 << 20)
                order.append(key)
                map.insert(key, index: model[key] ?? 0)
            } else {
                let place = random.oneIn(2) ? 0 : random.int(0...order.count - 1)
                let key = order.remove(at: place)
                map.remove(key)
                model[key] = nil
                let found = map.find(key)
                #expect(found == nil)
                if random.oneIn(10) { map.remove(key) }
            }
            let count = map.count
            #expect(count == model.count)
            let absent = UInt32(truncatingIfNeeded: random.next() % (1 << 31)), found = map.find(absent)
            #expect(found == model[absent])
        }
        for (key, index) in model {
            let found = map.find(key)
            #expect(found == index)
        }
    }

    @Test func theLargestKeyAndIndex() {
        var map = IndexMap(capacity: 1000)
        map.insert(.max - 1, index: Int(UInt32.max))
        map.insert(0, index: 0)
        let (last, first, other) = (map.find(.max - 1), map.find(0), map.find(1))
        #expect(last == Int(UInt32.max) && first == 0 && other == nil)
    }

    @Test(arguments: SeededGenerator.seeds(6)) func sliceQueues(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pool = BlockPool(blockByteCount: 64, blocksMax: 100_000)
        do {
            var queues = SliceQueues(capacity: 1)
            var fifos = [SliceQueues.Fifo](repeating: SliceQueues.Fifo(), count: 7)
            var models = [[Slice]](repeating: [], count: 7)
            for _ in 0..<1500 {
                let which = random.int(0...6)
                switch random.int(0...9) {
                case 0...3:
                    guard let block = pool.take() else { continue }
                    let slice = Slice(block, 0..<random.int(1...64))
                    queues.push(QueuedSlice(slice), on: &fifos[which])
                    models[which].append(slice)
                case 4:
                    guard let block = pool.take() else { continue }
                    let slice = Slice(block, 0..<random.int(1...64))
                    queues.pushFront(QueuedSlice(slice), on: &fifos[which])
                    models[which].insert(slice, at: 0)
                case 5...6:
                    guard let expected = models[which].first else { continue }
                    let slice = queues.popFront(&fifos[which]).shared()
                    #expect(slice.block === expected.block && slice.range == expected.range)
                    models[which].removeFirst()
                case 7...8:
                    guard let expected = models[which].first, expected.count > 1 else { continue }
                    let cut = random.int(1...expected.count - 1)
                    let front = queues.popFront(&fifos[which], byteCountMax: cut).shared()
                    #expect(front.block === expected.block && front.range == expected.prefix(cut).range)
                    models[which][0] = expected.dropFirst(cut)
                default:
                    guard random.oneIn(10) else { continue }
                    queues.removeAll(&fifos[which])
                    models[which].removeAll()
                }
                #expect(fifos[which].isEmpty == models[which].isEmpty)
                let count = queues.count
                #expect(count == models.reduce(0) { $0 + $1.count })
            }
            let distinct = Set(models.joined().map { ObjectIdentifier($0.block) })
            #expect(pool.outstanding == distinct.count, "a queue holds a block that it should have let go")
            // Leaves slices queued: the storage must let them go.
        }
        #expect(pool.outstanding == 0)
    }
}
