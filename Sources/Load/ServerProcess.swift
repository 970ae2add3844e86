public import Links
public import Multiformats
import Foundation
import Kernel

/// A server of our own in a process of its own: so each side's processor time, memory and allocations are its own. Or a relay, whose costs are nobody's.
///
/// It is started with the same program, says where it listens on its standard output, and ends when its standard input does: it cannot
/// outlive us, however we end.
public final class ServerProcess {
    private let process: Process
    private let lifeline: Pipe
    private let output = Pipe()
    private let end: ProcessEnd
    private let role: Role
    public let address: Multiaddr
    public var processID: Int32 { process.processIdentifier }

    /// What stands before the address in the line that a server prints when it is ready.
    public static let readyPrefix = "listening on "

    private enum Role: String {
        case server, relay
    }

    /// Starts `program serve` and waits until it is ready.
    ///
    /// - Parameters:
    ///   - program: path of the program, this one's as a rule.
    ///   - listen: where it is to listen.
    ///   - threads: how many loops it has.
    ///   - io: `auto`, `epoll` or `uring`.
    ///   - core: the core that its first loop stays on, or nil to let the scheduler choose.
    ///   - spinSeconds: how long its loops look for events before they sleep.
    ///   - startSeconds: how long it may take to listen; one that takes longer is killed.
    /// - Throws: ``RunError/serverDidNotStart(_:)``.
    public convenience init(
        program: String, listen: Multiaddr, threads: Int, io: String, core: Int?, spinSeconds: Double = 0, startSeconds: Double = 30
    ) throws(RunError) {
        let arguments = ["serve", "--listen", listen.description, "--threads", "\(threads)", "--io", io, "--until-stdin-ends"]
            + (core.map { ["--core", "\($0)"] } ?? [])
            + (spinSeconds > 0 ? ["--spin", "\(UInt64(spinSeconds * 1e9))ns"] : [])
        try self.init(.server, program, arguments, startSeconds)
    }

    /// Starts `program relay` and waits until it is ready: the link between clients that connect to its ``address`` and the server.
    ///
    /// - Parameters:
    ///   - program: path of the program, this one's as a rule.
    ///   - link: the link it emulates.
    ///   - target: the server's address.
    ///   - startSeconds: how long it may take to listen; one that takes longer is killed.
    /// - Throws: ``RunError/relayDidNotStart(_:)``.
    public convenience init(program: String, relaying link: LinkShape, to target: Multiaddr, startSeconds: Double = 30) throws(RunError) {
        let inside = link.spelled.dropFirst("link(".count).dropLast()
        try self.init(.relay, program, ["relay", String(inside), "--to", target.description, "--until-stdin-ends"], startSeconds)
    }

    private init(_ role: Role, _ program: String, _ arguments: [String], _ startSeconds: Double) throws(RunError) {
        func failed(_ reason: String) -> RunError { role == .server ? .serverDidNotStart(reason) : .relayDidNotStart(reason) }
        self.role = role
        process = Process()
        lifeline = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = lifeline
        process.standardOutput = output
        end = ProcessEnd(of: process)
        do {
            try process.run()
        } catch {
            throw failed("\(program) cannot be run: \(error.localizedDescription)")
        }
        let deadline = DispatchTime.now() + startSeconds
        let killing = end.killing(process.processIdentifier, at: deadline)
        let line = Self.firstLine(of: output.fileHandleForReading)
        killing.cancel()
        guard let line, line.hasPrefix(Self.readyPrefix) else {
            // One whose output ends is about to end by itself.
            let how = (line == nil ? end.wait(5) : nil) ?? end.force(process.processIdentifier)
            if line == nil, DispatchTime.now() >= deadline {
                throw failed("it did not listen within \(startSeconds) s, and was killed")
            }
            // Why it could not is on standard error, which is ours too.
            throw failed(line.map { "it said '\($0)'" } ?? "it ended with \(how) before it listened")
        }
        do {
            address = try Multiaddr(String(line.dropFirst(Self.readyPrefix.count)))
        } catch {
            _ = end.force(process.processIdentifier)
            throw failed("\(error)")
        }
    }

    private static func firstLine(of handle: FileHandle) -> String? {
        var bytes: [UInt8] = []
        while let byte = try? handle.read(upToCount: 1)?.first {
            if byte == UInt8(ascii: "\n") { break }
            bytes.append(byte)
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// Ends the server and waits for its end; one that does not end is killed.
    ///
    /// - Parameter seconds: how long it may take; it has nothing left to do but to close sockets.
    /// - Returns: what was wrong, such as "the server process 4711 ended with signal 9"; nil for a server that ended because it was asked to.
    @discardableResult
    public func stop(within seconds: Double = 5) -> String? {
        // A write end that is closed is an input that has ended.
        try? lifeline.fileHandleForWriting.close()
        // Foundation may keep the process, and its pipes with it.
        defer { try? output.fileHandleForReading.close() }
        guard let how = end.wait(seconds) else {
            _ = end.force(processID)
            return "the \(role.rawValue) process \(processID) did not end when it was asked to, and was killed"
        }
        return how == .exit(0) ? nil : "the \(role.rawValue) process \(processID) ended with \(how)"
    }
}
