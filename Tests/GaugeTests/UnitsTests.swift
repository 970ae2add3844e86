import Gauge
import Testing

@Suite struct UnitsParsingTests {
    @Test(arguments: [
        ("64", 64), ("0", 0), ("64B", 64), ("64KiB", 65_536), ("64 KiB", 65_536), ("1MiB", 1_048_576), ("2GiB", 2 << 30), ("1TiB", 1 << 40),
        ("1.5MiB", 1_572_864), ("0.5KiB", 512), ("8Gbit", 1_000_000_000), ("800kbit", 100_000), ("12Mbit", 1_500_000), ("64bit", 8),
    ])
    func sizes(_ text: String, _ bytes: Int) throws {
        #expect(try Units.bytes(text) == bytes)
    }

    @Test func sizesThatDoNotParse() {
        #expect(throws: UnitsError.sizeUnitUnknown("64KB", unit: "KB", suggestion: "64KiB")) { try Units.bytes("64KB") }
        #expect(throws: UnitsError.sizeUnitUnknown("64k", unit: "k", suggestion: "64KiB")) { try Units.bytes("64k") }
        #expect(throws: UnitsError.sizeUnitUnknown("1Gbps", unit: "Gbps", suggestion: "1Gbit")) { try Units.bytes("1Gbps") }
        #expect(throws: UnitsError.sizeUnitUnknown("3 apples", unit: "apples", suggestion: nil)) { try Units.bytes("3 apples") }
        #expect(throws: UnitsError.sizeNotWholeBytes("1bit")) { try Units.bytes("1bit") }
        #expect(throws: UnitsError.sizeNotWholeBytes("0.3KiB")) { try Units.bytes("0.3KiB") }
        for text in ["", "KiB", "-1", "-64KiB", ".5KiB", "٣"] {
            #expect(throws: UnitsError.sizeMalformed(text)) { try Units.bytes(text) }
        }
        for text in ["9223372036854775808", "9999999TiB", "99999999999999999999"] {
            #expect(throws: UnitsError.tooLarge(text, limit: "\(Int.max) bytes")) { try Units.bytes(text) }
        }
        #expect(UnitsError.sizeUnitUnknown("64KB", unit: "KB", suggestion: "64KiB").description.contains("write 64KiB"))
    }

    @Test(arguments: [
        ("10s", 10_000_000_000), ("1m30s", 90_000_000_000), ("500ms", 500_000_000), ("250us", 250_000), ("250µs", 250_000), ("7ns", 7),
        ("1.5s", 1_500_000_000), ("2h", 7_200_000_000_000), ("1h0m1s", 3_601_000_000_000), ("0s", 0), ("0.25ms", 250_000),
    ] as [(String, UInt64)])
    func durations(_ text: String, _ nanoseconds: UInt64) throws {
        #expect(try Units.duration(text) == nanoseconds)
    }

    @Test func durationsThatDoNotParse() {
        #expect(throws: UnitsError.durationWithoutUnit("10")) { try Units.duration("10") }
        #expect(throws: UnitsError.durationUnitUnknown("10sec", unit: "sec")) { try Units.duration("10sec") }
        #expect(throws: UnitsError.durationUnitsOutOfOrder("30s1m")) { try Units.duration("30s1m") }
        #expect(throws: UnitsError.durationUnitsOutOfOrder("1s1s")) { try Units.duration("1s1s") }
        #expect(throws: UnitsError.durationBelowOneNanosecond("0.5ns")) { try Units.duration("0.5ns") }
        #expect(throws: UnitsError.tooLarge("9999999999h", limit: "500 years")) { try Units.duration("9999999999h") }
        for text in ["", "s", "-1s", "1m30", "1s.", "1s-2ms"] {
            #expect(throws: UnitsError.durationMalformed(text)) { try Units.duration(text) }
        }
    }

    @Test func counts() throws {
        #expect(try Units.count("1000") == 1000)
        #expect(try Units.count("1_000_000") == 1_000_000)
        #expect(try Units.count("1,000") == 1000)
        #expect(throws: UnitsError.countWithSuffix("1k", suggestion: "1000")) { try Units.count("1k") }
        #expect(throws: UnitsError.countWithSuffix("2M", suggestion: "2000000")) { try Units.count("2M") }
        #expect(throws: UnitsError.tooLarge("9223372036854775808", limit: "\(Int.max)")) { try Units.count("9223372036854775808") }
        for text in ["", "k", "-5", "1.5", "_1", "1_", "one", "+1"] {
            #expect(throws: UnitsError.countMalformed(text)) { try Units.count(text) }
        }
    }

    @Test func rates() throws {
        #expect(try Units.rate("10000") == 10_000)
        #expect(try Units.rate("10,000/s") == 10_000)
        #expect(try Units.rate("0.5") == 0.5)
        for text in ["", "0", "-1", "1k", "1/m", "1.", ".5", "inf", "nan"] {
            #expect(throws: UnitsError.rateMalformed(text)) { try Units.rate(text) }
        }
    }

    @Test func whatIsSpelledReadsBack() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = Seeded(seed)
        for _ in 0..<2_000 {
            let bytes = Int(random.next() >> UInt64.random(in: 1...63, using: &random)) & ~((1 << Int.random(in: 0...40, using: &random)) - 1)
            #expect(try Units.bytes(Units.spelled(bytes: bytes)) == bytes, "seed \(seed)")
            let nanoseconds = random.next() >> UInt64.random(in: 0...63, using: &random)
            #expect(try Units.duration(Units.spelled(nanoseconds: nanoseconds)) == nanoseconds, "seed \(seed)")
            let count = Int(random.next() >> 1)
            #expect(try Units.count(Units.format(count: count)) == count, "seed \(seed)")
        }
        #expect(Units.spelled(bytes: 65_536) == "64KiB" && Units.spelled(bytes: 1000) == "1000")
        #expect(Units.spelled(nanoseconds: 90_000_000_000) == "1m30s" && Units.spelled(nanoseconds: 0) == "0s")
    }

    @Test func noiseNeverTraps() {
        let seed = UInt64.random(in: .min ... .max)
        var random = Seeded(seed)
        let letters = Array("0123456789.,_-+ kKMGTiBbtmsunhµ٣/")
        for _ in 0..<20_000 {
            let text = String((0..<Int.random(in: 0...24, using: &random)).map { _ in letters[Int.random(in: letters.indices, using: &random)] })
            _ = try? Units.bytes(text)
            _ = try? Units.duration(text)
            _ = try? Units.count(text)
            _ = try? Units.rate(text)
        }
    }
}

@Suite struct UnitsFormatTests {
    @Test func threeSignificantDigits() {
        #expect(Units.format(bytesPerSecond: 3.514e9) == "3.51 GB/s")
        #expect(Units.format(bytesPerSecond: 999.6e6) == "1.00 GB/s")
        #expect(Units.format(bytesPerSecond: 15_230) == "15.2 kB/s")
        #expect(Units.format(bytesPerSecond: 0) == "0 B/s")
        #expect(Units.format(bitsPerSecond: 28.1e9) == "28.1 Gbit/s")
        #expect(Units.format(perSecond: 941) == "941 /s")
        #expect(Units.format(perSecond: 1_523_400) == "1.52 M/s")
        #expect(Units.format(perSecond: 0.25) == "0.250 /s")
        #expect(Units.format(bytes: 65_536) == "64.0 KiB")
        #expect(Units.format(bytes: 512) == "512 B")
        #expect(Units.format(bytes: 1023) == "1,023 B")
        #expect(Units.format(nanoseconds: 850) == "850 ns")
        #expect(Units.format(nanoseconds: 65_200) == "65.2 us")
        #expect(Units.format(nanoseconds: 999_700) == "1.00 ms")
        #expect(Units.format(nanoseconds: 2_350_000_000) == "2.35 s")
        #expect(Units.format(seconds: 5) == "5.00 s")
    }

    @Test func numbers() {
        #expect(Units.format(count: 1_234_567) == "1,234,567")
        #expect(Units.format(count: -1_000) == "-1,000")
        #expect(Units.format(count: 999) == "999")
        #expect(Units.fixed(1234.567, places: 2) == "1,234.57")
        #expect(Units.fixed(0.05, places: 2) == "0.05")
        #expect(Units.fixed(-0.001, places: 2) == "0.00")
        #expect(Units.fixed(-1.5, places: 1) == "-1.5")
        #expect(Units.significant(0.00123) == "0.001230")
        #expect(Units.significant(.nan) == "not a number")
        #expect(Units.format(bytesPerSecond: .infinity) == "not a number")
    }
}
