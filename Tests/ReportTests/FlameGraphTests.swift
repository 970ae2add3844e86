import Foundation
import FoundationXML
import Testing

@testable import Report

@Suite struct FlameGraphTests {
    private func faults(_ svg: String) -> [String] {
        guard let document = try? XMLDocument(data: Data(svg.utf8)) else { return ["not well-formed"] }
        return document.rootElement()?.name == "svg" ? [] : ["no svg"]
    }

    @Test func boxesLieOnTheirCallers() throws {
        let stacks = try #require(FoldedStacks(folded: "a;b 3\na;c 1\nd 2\n"))
        let boxes = FlameTree(stacks).boxes(least: 0)
        func box(_ name: String) -> FlameTree.Box? { boxes.first { $0.name == name } }
        #expect(box("all") == FlameTree.Box(name: "all", depth: 0, start: 0, weight: 6, earlier: 0))
        #expect(box("a") == FlameTree.Box(name: "a", depth: 1, start: 0, weight: 4, earlier: 0))
        #expect(box("c") == FlameTree.Box(name: "c", depth: 2, start: 3, weight: 1, earlier: 0))
        #expect(box("d") == FlameTree.Box(name: "d", depth: 1, start: 4, weight: 2, earlier: 0))
        #expect(FlameTree(stacks).boxes(least: 2).map(\.name).contains("c") == false)
    }

    @Test func namesAreEscaped() throws {
        let evil = "<script>alert(\"x\")</script>&']]>\u{1}"
        let svg = FlameGraph(try #require(FoldedStacks(folded: "\(evil);b 3\n")), title: evil, subtitle: evil).svg
        #expect(faults(svg) == [])
        #expect(!svg.contains("<script>alert"))
        #expect(svg.contains("&lt;script&gt;alert(&quot;x&quot;)"))
        #expect(faults(FlameGraph(FoldedStacks(), title: "", subtitle: "").svg) == [])
    }

    @Test func changesAreColoured() throws {
        let before = try #require(FoldedStacks(folded: "a 10\nb 10\nc 20\n"))
        let after = try #require(FoldedStacks(folded: "a 20\nb 5\nc 20\nd 1\n"))
        let svg = FlameGraph(after, earlier: before, scale: 1, title: "t", subtitle: "s").svg
        #expect(faults(svg) == [])
        func classes(_ name: String) -> String? {
            svg.split(separator: "\n").first { $0.contains("data-n=\"\(name)\"") }.map { String($0.prefix { $0 != "d" }.suffix(5)) }
        }
        #expect(classes("a") == " r5\" ")
        #expect(classes("b") == " b5\" ")
        #expect(classes("c") == " z0\" ")
        #expect(svg.contains("a (20 samples, 43.48 %), before 10 (+21.74 % of all)"))
    }

    @Test func textIsCutToTheWidth() {
        #expect(FlameGraph.fitted("abcdef", 60, letter: 10) == "abcdef")
        #expect(FlameGraph.fitted("abcdef", 59, letter: 10) == "abcd…")
        #expect(FlameGraph.fitted("abcdef", 20, letter: 10) == "")
        #expect(FlameGraph.grouped(1_234_567) == "1,234,567")
    }

    /// The shape that https://www.speedscope.app/file-format-schema.json asks for.
    @Test func speedscopeFilesHaveTheirShape() throws {
        let stacks = try #require(FoldedStacks(folded: "Muxers`a;x_[k] 3\nMuxers`a 2\n"))
        let bytes = try SpeedscopeFile.encode(name: "n", [("client", stacks), ("server", stacks)])
        let file = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        #expect(file["$schema"] as? String == "https://www.speedscope.app/file-format-schema.json")
        let frames = try #require((file["shared"] as? [String: Any])?["frames"] as? [[String: Any]])
        #expect(frames.map { $0["name"] as? String } == ["a", "x"])
        #expect(frames.map { $0["file"] as? String } == ["Muxers", "kernel"])
        let profiles = try #require(file["profiles"] as? [[String: Any]])
        #expect(profiles.map { $0["name"] as? String } == ["client", "server"])
        for profile in profiles {
            let samples = try #require(profile["samples"] as? [[Int]])
            let weights = try #require(profile["weights"] as? [Double])
            #expect(profile["type"] as? String == "sampled" && profile["unit"] as? String == "none")
            #expect(samples.count == weights.count && samples.joined().allSatisfy(frames.indices.contains))
            #expect(profile["startValue"] as? Double == 0 && profile["endValue"] as? Double == weights.reduce(0, +))
        }
    }
}
