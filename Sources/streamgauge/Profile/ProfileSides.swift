import Foundation
import Gauge
import Report

/// One end of a profiled run.
struct ProfileSide {
    /// `client` or `server`: of its files.
    let name: String
    let processID: Int32

    var title: String { name == "client" ? "Client" : "Server" }

    /// One where both are one process.
    static func of(_ marks: RunMarks) -> [ProfileSide] {
        [ProfileSide(name: "client", processID: marks.clientID)] + (marks.serverID.map { [ProfileSide(name: "server", processID: $0)] } ?? [])
    }

    func costs(_ record: RunRecord) -> SideCosts { SideCosts(record.figures, isClient: name == "client") }
}

/// An earlier profile to compare with.
struct ProfileBaseline {
    struct Side {
        let stacks: FoldedStacks
        /// Nil where the folder has no record that can be read.
        let costs: SideCosts?
    }

    /// As the user named it.
    let folder: String
    let sides: [String: Side]

    /// - Parameter folder: what an earlier `--out` was, or the folder `cpu` in it.
    init(_ folder: String) throws {
        let files = FileManager.default
        guard let place = ["\(folder)/cpu", folder].first(where: { files.fileExists(atPath: "\($0)/client.folded") }) else {
            throw ProfileError.unreadable(path: folder, detail: "it has no cpu/client.folded: name a folder that `streamgauge profile --cpu` has written")
        }
        let record = try? RecordFile.read("\(place)/record.json").runs.first
        var sides: [String: Side] = [:]
        for name in ["client", "server"] where files.fileExists(atPath: "\(place)/\(name).folded") {
            let path = "\(place)/\(name).folded"
            let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
            guard let stacks = FoldedStacks(folded: text) else { throw ProfileError.unreadable(path: path, detail: "it is not in the folded format: 'a;b;c 12' on each line") }
            sides[name] = Side(stacks: stacks, costs: record.map { SideCosts($0.figures, isClient: name == "client") })
        }
        self.folder = folder
        self.sides = sides
    }
}

extension ProfiledRun {
    /// What was run, without what the profile added to it.
    var commandLine: String { record.command.components(separatedBy: " --marks ")[0] }
}
