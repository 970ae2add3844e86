import Foundation
import Testing

/// The rules of the house, applied to the tree.
@Suite struct HouseTests {
    @Test func theTreeIsFound() {
        #expect(House.sources.count > 50)
        #expect(House.exists("Package.swift"))
    }

    @Test func importsPointDown() {
        let violations = House.sources.flatMap { Floors.violations(target: $0.target, path: $0.path, House.text($0)) }
        #expect(violations == [])
        let unknown = Set(House.sources.map(\.target)).subtracting(Floors.own.keys)
        #expect(unknown == [], "a target without a floor")
    }

    @Test func floorsHaveNoCycles() {
        #expect(Floors.cycles(Floors.own) == [])
    }

    /// What the manifest lets a target import is what the diagram lets it import.
    @Test func manifestFollowsTheFloors() throws {
        let manifest = Manifest(try #require(House.file("Package.swift")).text)
        for (target, allowed) in Floors.own {
            let found = try #require(manifest.targets.first { $0.name == target }, "Package.swift has no target \(target)")
            let dependencies = found.dependencies.intersection(Set(Floors.own.keys).union(["CKernel", "COpenSSL", "CUring", "CJemalloc", "CNghttp2", "CProbes"]))
            #expect(dependencies.subtracting(allowed) == [], "\(target), Package.swift line \(found.line)")
        }
    }

    @Test func everySwiftTargetIsStrict() {
        for file in House.files where file.path.split(separator: "/").last == "Package.swift" {
            let manifest = Manifest(file.text)
            #expect(manifest.settingsMissing == [], "\(file.path)")
            #expect(manifest.targets.filter { !$0.hasSharedSettings }.map(\.name) == [], "\(file.path)")
            #expect(!file.text.contains("unsafe" + "Flags"), "\(file.path): packages with such flags cannot be dependencies")
        }
        #expect(House.file("Package.swift").map { Manifest($0.text).helpersWithoutSettings } == [])
    }

    @Test func memoryIsHandledBehindTheFence() {
        let violations = House.files.filter(\.isSwift).filter { !$0.path.hasSuffix("Package.swift") }
            .flatMap { Rules.fenceCrossings(path: $0.path, House.text($0)) }
        #expect(violations == [])
    }

    @Test func filesAreShort() {
        let violations = House.files.filter(\.isSwift).flatMap { Rules.fileLength(path: $0.path, lineCount: $0.lineCount) }
        #expect(violations == [])
    }

    @Test func functionsAreShort() {
        let violations = House.files.filter(\.isSwift).flatMap { Rules.functionLength(path: $0.path, House.text($0)) }
        #expect(violations == [])
    }

    @Test func nothingIsLeftUnfinished() {
        let inCode = House.files.filter(\.isSwift).flatMap { Rules.unfinished(path: $0.path, House.text($0).commentWords) }
        let elsewhere = House.files.filter { !$0.isSwift }.flatMap { Rules.unfinished(path: $0.path, SourceText.words(of: Array($0.text.utf8))) }
        #expect(inCode + elsewhere == [])
    }

    @Test func noPathOfOneMachineIsCommitted() {
        #expect(House.files.flatMap { Rules.machinePaths(path: $0.path, $0.text) } == [])
    }

    @Test func nothingWaitsForATime() {
        let inTests = House.under("Tests", "Benchmarks").filter(\.isSwift).flatMap { Rules.sleeps(path: $0.path, House.text($0)) }
        let inScripts = House.under("scripts", ".ci").flatMap { Rules.sleepsInScript(path: $0.path, $0.text) }
        #expect(inTests + inScripts == [])
    }

    @Test func scriptsThatTextsNameExist() {
        for file in House.files where file.path.hasSuffix(".md") {
            let missing = Rules.scripts(namedIn: file.text).filter { !House.exists($0) }.sorted()
            #expect(missing == [], "\(file.path)")
        }
    }

    /// What the README and the documentation show is what compiles.
    @Test func examplesOfTheDocumentsCompile() throws {
        let example = try #require(House.file("Examples/Chat/Main.swift")).text
        for path in ["README.md", "Sources/P2P/P2P.docc/Chat.md"] {
            #expect(try #require(House.file(path)).text.contains("```swift\n" + example + "```"), "\(path)")
        }
    }
}
