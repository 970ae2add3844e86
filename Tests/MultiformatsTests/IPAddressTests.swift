import Multiformats
import TestSupport
import Testing

@Suite struct IPAddressTests {
    /// RFC 5952, sections 1 to 5, and RFC 4291, section 2.2.
    @Test(arguments: [
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8::0:1", "2001:db8::1"),
        ("2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:DB8::ABCD", "2001:db8::abcd"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"), ("::", "::"),
        ("0:0:0:0:0:0:0:0", "::"), ("1::", "1::"), ("::1", "::1"), ("FF01:0:0:0:0:0:0:101", "ff01::101"), ("0:0:0:0:0:0:13.1.68.3", "::d01:4403"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ])
    func oneForm(text: String, canonical: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == canonical)
        #expect(IPv6Address(canonical) == address)
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1::", "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4", "::1.2.3", "::1.2.3.256", "::1.2.3.4:1", "::+1", "fe80::1%2", "::1 ", "1:::2", "::0000000000000000000000000000000000000000000000",
    ])
    func refusals(text: String) {
        #expect(IPv6Address(text) == nil)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "01.1.1.1", "1.1.1.-1", "1.1.1.+1", "1.1.1.1 ", "٣.1.1.1"])
    func refusals4(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test(arguments: SeededGenerator.seeds(2)) func anythingComesBack(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            // Groups are zero half of the time, so that runs of all lengths occur.
            var halves: [UInt64] = [0, 0]
            for group in 0..<8 where random.oneIn(2) { halves[group / 4] |= UInt64(random.int(0...0xFFFF)) << UInt64(group % 4 * 16) }
            let address = IPv6Address(high: halves[0], low: halves[1])
            #expect(IPv6Address(address.description) == address)
            let short = IPv4Address(UInt32(truncatingIfNeeded: random.next()))
            #expect(IPv4Address(short.description) == short)
        }
    }
}
