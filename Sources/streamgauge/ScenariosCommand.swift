import ArgumentParser
import Foundation
import Load

/// `streamgauge scenarios`: those that have names.
struct ScenariosCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scenarios", abstract: "Lists the named scenarios, or shows one as the file that `run --scenario` reads.")

    @Option(help: "Print this scenario's file.")
    var show: String?

    func run() throws {
        guard let show else {
            for entry in Catalogue.all.entries {
                print(entry.name.padding(toLength: 20, withPad: " ", startingAt: 0) + entry.question)
            }
            return
        }
        let file: Data
        do {
            file = try Catalogue.all.entry(named: show).scenario.encoded()
        } catch {
            throw Exit.usage(error)
        }
        try StandardOutput.print(file + Data("\n".utf8))
    }
}
