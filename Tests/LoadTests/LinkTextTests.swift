import Foundation
import Gauge
import Links
@testable import Load
import P2P
import Testing

/// `link(...)` and `yamux(...)` in subjects.
@Suite struct LinkTextTests {
    @Test func aLinkIsReadAndSpelled() throws {
        let stack = try ProtocolStack("link(rtt=60ms,rate=1Gbit,buffer=4MiB)+tcp+noise+yamux(window=512KiB)")
        #expect(stack.link == LinkShape(roundTripNanoseconds: 60_000_000, bitsPerSecond: 1_000_000_000, bufferBytes: 4 << 20))
        #expect(stack.security == .noise && stack.yamuxWindowBytesMax == 512 << 10)
        #expect(stack.description == "link(rtt=60ms,rate=1Gbit,buffer=4MiB)+tcp+noise+yamux(window=512KiB)")
        #expect(try ProtocolStack(stack.description) == stack)
        let short = try ProtocolStack("link(rate=2500kbit/s,rtt=1s,jitter=2ms,seed=7)+tcp")
        #expect(short.link?.bufferBytes == 312_500, "one bandwidth-delay product")
        #expect(short.description == "link(rtt=1s,rate=2500kbit,buffer=312500,jitter=2ms,seed=7)+tcp")
        #expect(try ProtocolStack("link(rtt=0s,rate=1Mbit)+tcp").link?.bufferBytes == LinkShape.bufferBytesDefaultMin)
        #expect(try ProtocolStack("tcp+yamux").link == nil)
    }

    @Test(arguments: [
        ("link(rt=60ms,rate=1Gbit)+tcp+yamux", ["no option 'rt'", "did you mean 'rtt'?", "rtt, rate, buffer, jitter, seed"]),
        ("link(rtt=60ms)+tcp+yamux", ["rate is missing", "link(rtt=60ms,rate=1Gbit)"]),
        ("link(rate=1Gbit)+tcp+yamux", ["rtt is missing"]),
        ("link+tcp+yamux", ["rtt is missing"]),
        ("link()+tcp+yamux", ["no option ''"]),
        ("link(rtt=,rate=1Gbit)+tcp", ["rtt is missing"]),
        ("link(rtt=60ms,rtt=6ms,rate=1Gbit)+tcp", ["rtt twice"]),
        ("link(rtt=60,rate=1Gbit)+tcp", ["rtt: \"60\" has no unit"]),
        ("link(rtt=60ms,rate=1Gb)+tcp", ["rate: \"1Gb\" is ambiguous"]),
        ("link(rtt=60ms,rate=125MiB)+tcp", ["not in bits", "1Gbit"]),
        ("link(rtt=60ms,rate=1Gbit,buffer=7.5MB)+tcp", ["buffer: \"7.5MB\" is ambiguous: write 7.5MiB"]),
        ("link(rtt=60ms,rate=1Gbit,buffer=1KiB)+tcp", ["buffer is 1KiB; allowed is 16KiB to 1GiB"]),
        ("link(rtt=1h,rate=1Gbit)+tcp", ["rtt is 1h; allowed is 0s to 10s"]),
        ("link(rtt=60ms,rate=0bit)+tcp", ["rate is 0bit"]),
        ("link(rtt=10s,rate=100Gbit)+tcp", ["one bandwidth-delay product; allowed is 16KiB to 1GiB"]),
        ("link(rtt=60ms,rate=1Gbit+tcp", ["closing parenthesis"]),
        ("lnk(rtt=60ms,rate=1Gbit)+tcp", ["'lnk' takes no options", "did you mean 'link'?"]),
        ("tcp+link(rtt=60ms,rate=1Gbit)", ["stands first"]),
        ("link(rtt=60ms,rate=1Gbit)+unix+yamux", ["transport is unix: use tcp"]),
        ("link(rtt=60ms,rate=1Gbit)+memory+yamux", ["transport is memory: use tcp"]),
        ("tcp+yamux(windows=256KiB)", ["did you mean 'window'?"]),
        ("tcp+yamux(window=64KiB)", ["window is 64KiB; allowed is 256KiB"]),
        ("tcp+mplex(window=256KiB)", ["'mplex' takes no options"]),
        ("link(rtt=60ms,rate=1Gbit)+tcp+yamx", ["there is no stack", "did you mean 'tcp+yamux'?"]),
    ])
    func nonsenseIsExplained(text: String, words: [String]) {
        do {
            _ = try ProtocolStack(text)
            Issue.record("'\(text)' was taken")
        } catch {
            #expect(error.subject == text)
            for word in words { #expect(error.description.contains(word), "no '\(word)' in: \(error.description)") }
        }
    }

    /// The files that ship are what the catalogue has.
    @Test func scenarioFilesAreTheCatalogue() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Benchmarks/Scenarios")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".json") }
        #expect(Set(files) == Set(Catalogue.links.entries.map { "\($0.name).json" }))
        for entry in Catalogue.links.entries {
            try entry.scenario.validate()
            try entry.scenario.validate(on: ProtocolStack(entry.scenario.subject))
            let file = try Data(contentsOf: folder.appendingPathComponent("\(entry.name).json"))
            let text = String(decoding: try entry.scenario.encoded(), as: UTF8.self) + "\n"
            #expect(String(decoding: file, as: UTF8.self) == text, "write it with: streamgauge scenarios --show \(entry.name)")
            #expect(try Scenario.decode(file, file: entry.name) == entry.scenario)
        }
        let names = Catalogue.all.entries.map(\.name)
        #expect(Set(names).count == names.count)
    }
}
