import Testing

/// The checkers themselves, on texts that break the rules and on texts that only look so.
@Suite struct CheckerTests {
    private func code(_ text: String) -> String { String(decoding: SourceText(text).code, as: UTF8.self) }
    private func comments(_ text: String) -> String { String(decoding: SourceText(text).comments, as: UTF8.self) }

    @Test func commentsAndStringsAreNotCode() {
        #expect(code("a // b") == "a     ")
        #expect(code("a /* b /* c */ d */ e") == "a                   e")
        #expect(code(#"f("unsafe", x)"#) == #"f(        , x)"#)
        #expect(code("let s = \"\"\"\n  \"quoted\" }\n  \"\"\"\nb").hasSuffix("\nb"))
        #expect(!code("let s = \"\"\"\n  \"quoted\" }\n  \"\"\"\nb").contains("}"))
        #expect(code(##"#"a "quoted" \(x) "# + y"##).filter { $0 != " " } == "+y")
        #expect(code(#""a \" b" c"#).filter { $0 != " " } == "c")
        #expect(comments("a // b\nc") .filter { $0 != " " } == "b\n")
        #expect(comments("a /* b */ c").contains("b"))
    }

    @Test func interpolationsAreCode() {
        #expect(code(#""x \(f(y)) z" + w"#).contains("f(y)"))
        #expect(!code(#""x \(f(y)) z" + w"#).contains("z"))
        #expect(code(#""x \(g("in")) z" + w"#).contains("+ w"))
        #expect(!code(#""x \(g("in")) z" + w"#).contains("in"))
    }

    @Test func lengthAndLinesAreKept() {
        for text in ["", "a", "// x\n\"y\\\n", "/* open", "\"open\nb", "é // ü\n\"ö\""] {
            let source = SourceText(text)
            #expect(source.code.count == text.utf8.count)
            #expect(source.comments.count == text.utf8.count)
            #expect(source.code.filter { $0 == 10 }.count == text.utf8.filter { $0 == 10 }.count)
        }
    }

    @Test func importsAreRead() {
        let text = SourceText("import A\npublic import B\n@testable import C\nimport struct D.E\n// import F\nlet s = \"import G\"\n@_exported import H\n")
        #expect(text.imports.map(\.module) == ["A", "B", "C", "D", "H"])
        #expect(text.imports.map(\.line) == [1, 2, 3, 4, 7])
    }

    @Test func importsUpwardsAreFound() {
        #expect(Floors.violations(target: "Muxers", path: "p", SourceText("import Bytes\npublic import Kernel\n")) == ["p:2: Muxers imports Kernel, which is not below it"])
        #expect(Floors.violations(target: "Bytes", path: "p", SourceText("import Foundation")).count == 1)
        #expect(Floors.violations(target: "Load", path: "p", SourceText("import P2P\nimport Gauge")) == [])
        #expect(Floors.violations(target: "Nowhere", path: "p", SourceText("import Bytes")).count == 1)
        #expect(Floors.cycles(["A": ["B"], "B": ["C"], "C": ["A"], "D": ["A"]]) == ["A", "B", "C"])
    }

    @Test func fenceCrossingsAreFound() {
        let spellings = [
            "let x = unsafe f()", "@unsafe func f() {}", "nonisolated(unsafe) var x = 1", "unowned(unsafe) let x: C",
            "unsafeBitCast(x, to: Int.self)", "p.withUnsafeBytes { _ in }", "var p: UnsafePointer<Int>", #"let s = "\(unsafe x)""#,
        ]
        for spelling in spellings {
            #expect(Rules.fenceCrossings(path: "Sources/Muxers/A.swift", SourceText(spelling)).count == 1, "\(spelling)")
            #expect(Rules.fenceCrossings(path: "Sources/Bytes/A.swift", SourceText(spelling)) == [], "\(spelling)")
        }
        #expect(Rules.fenceCrossings(path: "Sources/BytesMore/A.swift", SourceText(spellings[0])).count == 1)
        #expect(Rules.fenceCrossings(path: "Sources/Muxers/A.swift", SourceText("// unsafe\nlet s = \"unsafe\"\n/* unsafe */")) == [])
    }

    private func function(lines: Int) -> String { "func long() {\n" + String(repeating: "    f()\n", count: lines - 2) + "}\n" }

    @Test func longFunctionsAreFound() {
        #expect(Rules.functionLength(path: "p", SourceText(function(lines: 80))) == [])
        #expect(Rules.functionLength(path: "p", SourceText(function(lines: 81))) == ["p:1: 'long' has 81 lines; at most 80"])
        #expect(Rules.functionLength(path: "p", SourceText("struct S {\n" + function(lines: 40) + function(lines: 45) + "}\n")) == [])
        #expect(Rules.fileLength(path: "p", lineCount: 500) == [])
        #expect(Rules.fileLength(path: "p", lineCount: 501).count == 1)
    }

    @Test func functionsAreFoundByTheirBraces() {
        let text = """
            protocol P {
                func required(_ x: Int) -> Int
                var value: Int { get }
                init()
            }
            struct S {
                var stored = 1
                let other: Int
                var computed: Int { 1 }
                init(_ x: Int = 1, then: () -> Void = { print("}") }) {
                    self.init()
                }
                func generic<T>(_ x: T) throws(E) -> [T] where T: Q {
                    if x { return { $0 } }
                }
                subscript(x: Int) -> Int { x }
                deinit {
                }
            }
            func last() -> String { "{" }
            """
        let functions = SourceText(text).functions
        #expect(functions.map(\.name) == ["value", "computed", "init", "generic", "subscript", "deinit", "last"])
        #expect(functions.map(\.lineCount) == [1, 1, 3, 3, 1, 2, 1])
    }

    @Test func unfinishedWordsAreFound() {
        func found(_ text: String) -> Int { Rules.unfinished(path: "p", SourceText(text).commentWords).count }
        #expect(found("// TODO: later") == 1)
        #expect(found("/* FIXME */ let x = 1") == 1)
        #expect(found("let todo = \"TODO\"") == 0)
        #expect(found("// TODOS are others") == 0)
    }

    @Test func sleepsAreFound() {
        func found(_ text: String) -> Int { Rules.sleeps(path: "p", SourceText(text)).count }
        #expect(found("Thread.sleep(forTimeInterval: 1)") == 1)
        #expect(found("try await Task.sleep(for: .seconds(1))") == 1)
        #expect(found("usleep(5)") == 1)
        #expect(found("// sleep(5)\nlet sleeper = sleepy(1)") == 0)
        #expect(Rules.sleepsInScript(path: "p", "set -e\nsleep 1\n") == ["p:2: sleep 1"])
        #expect(Rules.sleepsInScript(path: "p", "# sleep 1\nrun --sleepy # or sleep\n") == [])
    }

    @Test func machinePathsAreFound() {
        func found(_ text: String) -> Int { Rules.machinePaths(path: "p", text).count }
        #expect(found("cd " + "/ho" + "me/someone/x") == 1)
        #expect(found("\"" + "/ro" + "ot/x\"") == 1)
        #expect(found("a path such as $HOME/x, ./ho" + "me/x, https://example.org/ho" + "me/x, usr/wo" + "rk/x") == 0)
    }

    @Test func scriptNamesAreRead() {
        #expect(Rules.scripts(namedIn: "run `scripts/bench`, then scripts/test. Or ./scripts/count --update; myscripts/x, scripts/ too") ==
            ["scripts/bench", "scripts/test", "scripts/count"])
    }

    @Test func manifestsAreRead() {
        let manifest = Manifest("""
            func house(_ name: String) -> Target { .target(name: name, swiftSettings: settings) }
            func tests(_ name: String) -> Target { .testTarget(name: name, swiftSettings: settings) }
                house("A"),
                house("B", ["A", .product(name: "X", package: "x")]),
                .target(name: "C", dependencies: ["A"]),
                .executableTarget(name: "D", dependencies: ["C"], swiftSettings: settings),
            """)
        #expect(Set(manifest.targets.map(\.name)) == ["A", "B", "C", "D"])
        #expect(manifest.targets.first { $0.name == "B" }?.dependencies == ["A", "X", "x"])
        #expect(manifest.targets.filter { !$0.hasSharedSettings }.map(\.name) == ["C"])
        #expect(manifest.helpersWithoutSettings == [])
        #expect(manifest.settingsMissing.count == Manifest.settingsRequired.count)
    }
}
