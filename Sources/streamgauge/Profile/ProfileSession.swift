import Foundation
import Gauge
import Load
import Report

/// Makes the runs of a profile, one for each instrument, and writes the summary.
struct ProfileSession {
    let folder: String
    /// `run` and its arguments.
    let runArguments: [String]

    /// - Returns: whether every run was VALID and every instrument told something.
    func run(_ passes: [any ProfilePass]) async throws -> Bool {
        do {
            for pass in passes { try pass.check() }
        } catch {
            Exit.tell(error)
            return false
        }
        let interruption = ToolInterruption()
        Signals.onTermination { interruption.interrupt() }
        var isGood = true
        var summary = "# Profile\n\n```\n\(Runner.commandLine)\n```\n"
        for pass in passes {
            guard !interruption.isInterrupted else {
                StandardError.write("streamgauge: --\(pass.name) was not made: the profile was told to stop\n")
                summary += "\n## \(pass.name)\n\nnot made: the profile was told to stop\n"
                isGood = false
                continue
            }
            do {
                let (section, isValid) = try await make(pass, interruption)
                isGood = isGood && isValid
                summary += text(section, of: pass)
            } catch {
                // What the other instruments saw stands.
                Exit.tell(error)
                isGood = false
                summary += "\n## \(pass.name)\n\nnot available: \(error)\n"
            }
        }
        let written = Deliveries.attempt([
            { try OutputFile.prepare("\(folder)/summary.md").write(Array(summary.utf8)) }, { try StandardOutput.write(Data(summary.utf8)) },
        ])
        StandardError.write("the profile is in \(folder)\n")
        return isGood && written
    }

    private func make(_ pass: any ProfilePass, _ interruption: ToolInterruption) async throws -> (ProfileSection, isValid: Bool) {
        let place = "\(folder)/\(pass.name)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let (marks, record) = ("\(place)/marks.json", "\(place)/record.json")
        for old in [marks, record] where FileManager.default.fileExists(atPath: old) { try FileManager.default.removeItem(atPath: old) }
        if Terminal.width(of: .standardError) != nil { StandardError.write("\(pass.name): running\n") }
        let command = [Runner.program] + runArguments + ["--marks", marks, "--json", record]
        let how = try await ToolProcess.run(
            pass.wrapped(command, in: place), environment: pass.environment(in: place), output: "\(place)/run.txt", interruption: interruption)
        let decoded = try read(marks, record, pass.name, how)
        if Terminal.width(of: .standardError) != nil { StandardError.write("\(pass.name): reading what was recorded\n") }
        var section = try await pass.evaluate(ProfiledRun(folder: place, marks: decoded.marks, record: decoded.record))
        if !decoded.record.valid {
            let reasons = decoded.record.figures.invalidReasons.joined(separator: "; ")
            section = ProfileSection(title: section.title, text: "INVALID: \(reasons)\n\n" + section.text, files: section.files)
        } else if decoded.record.figures.partial {
            section = ProfileSection(title: section.title, text: "Partial: the run was ended early.\n\n" + section.text, files: section.files)
        }
        return (section, decoded.record.valid)
    }

    private func read(_ marks: String, _ record: String, _ pass: String, _ how: ProcessEnd.Kind) throws -> (marks: RunMarks, record: RunRecord) {
        guard FileManager.default.fileExists(atPath: marks), FileManager.default.fileExists(atPath: record) else {
            throw ProfileError.runFailed(pass: pass, detail: "the run was not whole (\(how)): nothing to look at")
        }
        do {
            let times = try JSONDecoder().decode(RunMarks.self, from: Data(contentsOf: URL(fileURLWithPath: marks)))
            guard let run = try RecordFile.read(record).runs.first else { throw ProfileError.unreadable(path: record, detail: "there is no run in it") }
            return (times, run)
        } catch let error as DecodingError {
            throw ProfileError.unreadable(path: marks, detail: "\(error)")
        }
    }

    private func text(_ section: ProfileSection, of pass: any ProfilePass) -> String {
        var text = "\n## \(section.title)\n\n\(section.text)\n"
        if !section.files.isEmpty {
            text += "\n| file | what is in it |\n|---|---|\n"
            for file in section.files { text += "| [\(pass.name)/\(file.name)](\(pass.name)/\(file.name)) | \(file.what) |\n" }
        }
        return text
    }
}
