import Testing

@testable import Report

/// What the allocator's profiler writes, and what is made of it.
@Suite struct HeapProfileTests {
    private func text(_ rate: Int, _ first: String, _ second: String) -> String {
        """
        heap_v2/\(rate)
          t*: 3: 400 [7: 900]
          t1: 3: 400 [7: 900]
        @ 0x1005 0x2005
          t*: \(first)
          t1: 1: 100 [2: 200]
        @ 0x1105 0x2105 0x2005
          t*: \(second)

        MAPPED_LIBRARIES:
        00001000-00002000 r-xp 00001000 fe:00 1 /usr/lib/libone.so
        00002000-00003000 r-xp 00000000 fe:00 1 /opt/a program
        00003000-00004000 rw-p 00000000 fe:00 1 /opt/data
        00005000-00006000 r-xp 00000000 00:00 0 [vdso]
        """
    }

    @Test func profilesAreRead() throws {
        let begin = try HeapProfile(text(1, "1: 100 [2: 200]", "2: 300 [5: 700]"))
        #expect(begin.sampleBytes == 1 && begin.entries.count == 2)
        #expect(begin.entries[[0x1005, 0x2005]] == HeapProfile.Entry(held: .init(objects: 1, bytes: 100), allocated: .init(objects: 2, bytes: 200)))
        #expect(begin.total.held == .init(objects: 3, bytes: 400) && begin.total.allocated == .init(objects: 7, bytes: 900))
        #expect(begin.mappings.map(\.path) == ["/usr/lib/libone.so", "/opt/a program"] && begin.mappings[0].addresses == 0x1000..<0x2000)
        let end = try HeapProfile(text(1, "1: 100 [12: 1200]", "2: 300 [5: 700]"))
        #expect(end.allocations(since: begin) == [[0x1005, 0x2005]: .init(objects: 10, bytes: 1000)])
    }

    /// A sampled piece of 4096 bytes stands for 1 / (1 - 1/e) of them when one is noted in 4096 bytes.
    @Test func samplesAreScaled() throws {
        let profile = try HeapProfile(text(4096, "1: 4096 [1: 4096]", "0: 0 [0: 0]"))
        #expect(abs(profile.total.held.objects - 1.58198) < 0.0001 && abs(profile.total.held.bytes - 6479.8) < 0.1)
    }

    @Test(arguments: ["", "heap_v1/1\n", "heap_v2/1\n@ 0xzz\n", "heap_v2/1\n@ 0x10\n t*: 1: 2\n"])
    func othersAreRefused(text: String) {
        #expect(throws: HeapProfile.FormatError.self) { try HeapProfile(text) }
    }

    /// Two segments, the second with its addresses a page further on than in the file.
    private func elf() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64 + 2 * 56)
        func put(_ value: UInt64, _ count: Int, at place: Int) { for index in 0..<count { bytes[place + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) } }
        bytes.replaceSubrange(0..<6, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1])
        put(64, 8, at: 32)
        put(56, 2, at: 54)
        put(2, 2, at: 56)
        let segments: [(UInt64, UInt64, UInt64)] = [(0, 0, 0x1000), (0x1000, 0x2000, 0x1000)]
        for (index, (offset, address, size)) in segments.enumerated() {
            put(1, 4, at: 64 + 56 * index)
            put(offset, 8, at: 64 + 56 * index + 8)
            put(address, 8, at: 64 + 56 * index + 16)
            put(size, 8, at: 64 + 56 * index + 32)
        }
        return bytes
    }

    @Test func functionsAreFound() throws {
        let nm = "0000000000000000 r header\n0000000000002010 T first\n0000000000002100 t second@@VERSION_1\n0000000000002100 D data\n                 U other\n"
        let symbols = try #require(ObjectSymbols(header: elf(), nm: nm))
        #expect(symbols.name(atFileOffset: 0x1000) == nil && symbols.name(atFileOffset: 0x1010) == "first" && symbols.name(atFileOffset: 0x10ff) == "first")
        #expect(symbols.name(atFileOffset: 0x1100) == "second" && symbols.name(atFileOffset: 0x1fff) == "second" && symbols.name(atFileOffset: 0x2000) == nil)
        #expect(ObjectSymbols(header: Array("#!/bin/sh".utf8), nm: nm) == nil && ObjectSymbols(header: Array(elf().prefix(70)), nm: nm) == nil)
    }

    @Test func sitesAreAddedUp() {
        func frame(_ name: String, _ object: String = "/opt/program") -> HeapSites.Frame { .init(name: name, object: object) }
        var sites = HeapSites()
        let allocator = [frame("prof", "/lib/libjemalloc.so.2"), frame("swift_allocObject", "/lib/libswiftCore.so")]
        sites.add(allocator + [frame("open;it"), frame("main")], 30)
        sites.add(allocator + [frame("array", "/lib/libswiftCore.so"), frame("open;it"), frame("main")], 12)
        sites.add([frame("leaf"), frame("a"), frame("b"), frame("c"), frame("d")], 1)
        sites.add([frame("prof", "/lib/libjemalloc.so.2")], 5)
        #expect(sites.total == 48)
        #expect(sites.top(2) == [.init(name: "open;it", callers: "main", amount: 42), .init(name: "prof", callers: "-", amount: 5)])
        #expect(sites.top(9).last == .init(name: "leaf", callers: "a < b < c", amount: 1))
        #expect(sites.folded.text == "d;c;b;a;leaf 1\nmain;open,it;array;swift_allocObject 12\nmain;open,it;swift_allocObject 30\nprof 5\n")
    }
}
