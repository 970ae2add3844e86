import Foundation

/// A program that obeys `Benchmarks/Peers/README.md`.
public struct Driver: Equatable, Sendable {
    public var name: String
    /// Program and first arguments.
    public var command: [String]

    public init(name: String, command: [String]) {
        self.name = name
        self.command = command
    }

    /// What it can do, as it says itself.
    ///
    /// - Throws: ``DriverError``.
    public func about() async throws -> DriverContract.About {
        let process = try DriverProcess(self, role: "about", arguments: [])
        do {
            let about = try await process.line(DriverContract.About.self, during: "about", seconds: 30)
            guard about.contract == DriverContract.version else {
                throw DriverError.broken(
                    driver: name, during: "about", reason: "it speaks version \(about.contract) of the contract; this program speaks \(DriverContract.version)")
            }
            if let problem = process.stop(afterReport: true) { throw DriverError.broken(driver: name, during: "about", reason: problem) }
            return about
        } catch {
            _ = process.stop(afterReport: false)
            throw error
        }
    }
}

/// The drivers that can be named: this program's own, those that `scripts/install-drivers` made, and those of the command line.
public struct DriverCatalogue: Sendable {
    public static let ownName = "swift"
    /// Where drivers are when nothing is said: `scripts/install-drivers` makes them there.
    public static let folder = ".peers/drivers"

    public private(set) var drivers: [Driver]

    /// - Parameters:
    ///   - program: this program's own file.
    ///   - folders: each executable file in them is the driver of its name; a later one with the same name counts.
    ///   - named: `NAME=COMMAND ARG...` from the command line; they count most.
    public init(program: String, folders: [String] = [DriverCatalogue.folder], named: [String] = []) throws(ScenarioError) {
        var found = [Driver(name: Self.ownName, command: [program, "driver"])]
        func add(_ driver: Driver) {
            found.removeAll { $0.name == driver.name }
            found.append(driver)
        }
        for folder in folders {
            for name in ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() {
                let path = URL(fileURLWithPath: folder).appendingPathComponent(name).resolvingSymlinksInPath().path
                let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
                guard type == .typeRegular, FileManager.default.isExecutableFile(atPath: path) else { continue }
                add(Driver(name: name, command: [path]))
            }
        }
        for text in named {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let words = parts.count == 2 ? parts[1].split(separator: " ").map(String.init) : []
            guard let name = parts.first, !name.isEmpty, !name.contains(where: { ":>+".contains($0) }), !words.isEmpty else {
                throw .contradiction("'\(text)' names no driver: it has the form NAME=COMMAND, such as mine='./driver --fast'")
            }
            add(Driver(name: String(name), command: words))
        }
        drivers = found
    }

    /// The driver of this name.
    public func driver(named name: String) throws(DriverError) -> Driver {
        if let driver = drivers.first(where: { $0.name == name }) { return driver }
        throw .unknown(name, nearest: Nearest.to(name, among: drivers.map(\.name)), known: drivers.map(\.name))
    }
}

/// Who is at each end, and over what: `tcp+yamux`, `go:tcp+yamux`, `swift>go:tcp+yamux` (Swift dials).
public struct Subject: Hashable, Sendable, CustomStringConvertible {
    public var client: String
    public var server: String
    public var stack: String

    public init(client: String = DriverCatalogue.ownName, server: String = DriverCatalogue.ownName, stack: String) {
        self.client = client
        self.server = server
        self.stack = stack
    }

    /// - Throws: ``ScenarioError`` for what has another form.
    public init(parsing text: String) throws(ScenarioError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), let stack = parts.last, !stack.isEmpty else { throw Self.malformed(text) }
        guard parts.count == 2 else {
            self.init(stack: stack)
            return
        }
        let ends = parts[0].split(separator: ">", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(ends.count), ends.allSatisfy({ !$0.isEmpty }) else { throw Self.malformed(text) }
        self.init(client: ends[0], server: ends[ends.count - 1], stack: stack)
    }

    private static func malformed(_ text: String) -> ScenarioError {
        .contradiction("'\(text)' is no subject: it has the form STACK, DRIVER:STACK or DRIVER>DRIVER:STACK, such as tcp+yamux, go:tcp+yamux, swift>go:tcp+yamux")
    }

    public var description: String {
        let own = DriverCatalogue.ownName
        if client == server { return client == own ? stack : "\(client):\(stack)" }
        return "\(client)>\(server):\(stack)"
    }
}
