import Foundation
import Testing

@testable import Report

@Suite struct LayerRulesTests {
    @Test func everyLayerIsReached() {
        let loop = ["libc.so.6`start_thread", "Reactor`EventLoop.run()"]
        let expected: [(String, [String])] = [
            ("kernel send", ["libc.so.6`__libc_sendmsg", "__sys_sendmsg_[k]", "net_rx_action_[k]"]), ("kernel receive", ["__sys_recvfrom_[k]", "_copy_to_iter_[k]"]),
            ("kernel other and waiting", ["do_epoll_wait_[k]", "schedule_[k]"]), ("crypto", ["libcrypto.so.3`[unknown]"]), ("ARC", ["Muxers`x", "libswiftCore.so`swift_retain"]),
            ("allocation", ["libswiftCore.so`swift_release", "libjemalloc.so.2`je_free_default"]), ("scheduling", ["Muxers`YamuxMachine.transmit()", "Muxers`SendScheduler.next()"]),
            ("muxer decode", ["Muxers`Yamux: Muxer.receive(_:at:now:events:)"]), ("muxer encode", ["Muxers`YamuxMachine.transmit()", "libc.so.6`memmove"]),
            ("connection", ["P2P`Connection.fill()", "Bytes`Gather.advance(by:)"]), ("handler", ["P2P`Connection.fill()", "Load`TrafficConnection.fill(_:on:)"]),
            ("reactor", ["Reactor`EpollBackend.reap()"]),
        ]
        var sorter = LayerSorter(.standard)
        for (layer, stack) in expected { #expect(sorter.layer(of: loop + stack) == layer) }
        #expect(Set(expected.map(\.0)).union(["other"]) == Set(LayerRules.standard.layers))
        #expect(sorter.layer(of: ["libdispatch.so`x"]) == "other")
    }

    @Test func theFirstRuleThatMatchesDecides() throws {
        let rules = try LayerRules("a: leaf x*\n# words\n\nb:nearest  f?o\nc: nearest *bar\n d e :  stack  root\n", file: "r")
        #expect(rules.layers == ["a", "b", "c", "d e", "other"])
        var sorter = LayerSorter(rules)
        #expect(sorter.layer(of: ["foo", "xyz"]) == "a")
        #expect(sorter.layer(of: ["foo", "bar", "y"]) == "c", "the nearest to the leaf, not the first rule")
        #expect(sorter.layer(of: ["bar", "fo", "foo"]) == "b")
        #expect(sorter.layer(of: ["root", "y"]) == "d e")
        #expect(sorter.layer(of: []) == "other")
        for (pattern, name, expected) in [("a*b*c", "aXbYbc", true), ("a*b", "ab", true), ("a?b", "ab", false), ("*", "", true), ("a[k]", "a[k]", true), ("a", "ab", false)] {
            #expect(LayerRules.matches(Array(pattern.utf8), Array(name.utf8)) == expected, "\(pattern) \(name)")
        }
    }

    @Test(arguments: [
        ("kernel leaf x", "r:2: there is no colon"), (": leaf x", "no layer"), ("a: leef x", "leaf, stack, nearest, and not 'leef'"), ("a: leaf", "no pattern after 'leaf'"),
        ("a|b: leaf x", "without '|'"),
    ])
    func badRulesAreRefusedWithTheirLine(line: String, words: String) {
        let error = #expect(throws: LayerRulesError.self) { try LayerRules("# first\n\(line)\n", file: "r") }
        #expect(error?.description.contains(words) == true && error?.description.hasPrefix("r:2: ") == true, "\(String(describing: error))")
        #expect(throws: LayerRulesError.self) { try LayerRules("# nothing\n", file: "r") }
    }

    @Test func tablesAddUp() throws {
        let stacks = try #require(FoldedStacks(folded: "r;Muxers`a 3\nr;x_[k] 1\nr;q 4\nr;r;q 2\n"))
        let table = LayerTable(stacks, .standard)
        #expect(table.total == 10)
        #expect(table.rows.map(\.samples).reduce(0, +) == 10)
        #expect(abs(table.rows.map(\.share).reduce(0, +) - 1) < 1e-12)
        #expect(table.others.map(\.name) == ["q"] && table.others.map(\.samples) == [6])
        #expect(LayerReport.others(table) == "In *other*: `q` 60.0.")
        let functions = LayerTable.functions(stacks)
        #expect(functions.first == LayerTable.Function(name: "q", own: 6, total: 6))
        #expect(functions.contains(LayerTable.Function(name: "r", own: 0, total: 10)), "a function that calls itself counts once")
    }
}
