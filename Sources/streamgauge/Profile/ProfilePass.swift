import Foundation
import Gauge
import Report

/// One instrument of `streamgauge profile`: makes a run under a tool, and tells what the tool saw in the run's window.
///
/// Call order: ``check()`` of every pass before the first run is made; then, pass by pass, ``wrapped(_:in:)``, the run, ``evaluate(_:)``. Each pass has a run of its own,
/// because tools disturb each other.
protocol ProfilePass {
    /// Of the option that asks for it, and of its files.
    var name: String { get }

    /// Throws ``ProfileError/unavailable(pass:reason:remedy:)`` where this machine does not allow it.
    func check() throws

    /// The command that makes the run, as the tool is to start it. `folder` is the pass's own.
    func wrapped(_ command: [String], in folder: String) -> [String]

    /// What the processes of the run find in their environment, beside what there is.
    func environment(in folder: String) -> [String: String]

    /// Reads what the tool has written, cuts it to the window and writes its files beside it.
    func evaluate(_ run: ProfiledRun) async throws -> ProfileSection
}

extension ProfilePass {
    func environment(in folder: String) -> [String: String] { [:] }
}

/// A run that was made under a tool.
struct ProfiledRun {
    /// Where the tool has written its data, and the pass writes its files.
    let folder: String
    let marks: RunMarks
    let record: RunRecord

    func path(_ file: String) -> String { "\(folder)/\(file)" }
}

/// What a pass has to say.
struct ProfileSection {
    let title: String
    /// Markdown: tables, and what is to be known of them.
    let text: String
    /// Files in the pass's folder, each with what is in it.
    let files: [(name: String, what: String)]
}

/// Why a profile cannot be made, and what to do.
enum ProfileError: Error, CustomStringConvertible {
    /// This machine lacks something or does not allow it; `remedy` is a command or setting that would help.
    case unavailable(pass: String, reason: String, remedy: String)
    case toolFailed(command: String, how: String)
    /// What a tool has written is not what was expected.
    case unreadable(path: String, detail: String)
    /// There was nothing to look at.
    case runFailed(pass: String, detail: String)

    var description: String {
        switch self {
        case .unavailable(let pass, let reason, let remedy): "--\(pass): \(reason); \(remedy)"
        case .toolFailed(let command, let how): "'\(command)' ended with \(how)"
        case .unreadable(let path, let detail): "\(path) cannot be read: \(detail)"
        case .runFailed(let pass, let detail): "--\(pass): \(detail)"
        }
    }
}
