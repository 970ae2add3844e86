public import Multiformats
import Foundation
import Kernel

/// A server of our own in a process of its own: so each side's processor time, memory and allocations are its own.
///
/// It is started with the same program, says where it listens on its standard output, and ends when its standard input does: it cannot
/// outlive us, however we end.
public final class ServerProcess {
    private let process: Process
    private let lifeline: Pipe
    private let hasEnded = DispatchSemaphore(value: 0)
    public let address: Multiaddr
    public var processID: Int32 { process.processIdentifier }

    /// What stands before the address in the line that a server prints when it is ready.
    public static let readyPrefix = "listening on "

    /// Starts `program serve` and waits until it is ready.
    ///
    /// - Throws: ``RunError/serverDidNotStart(_:)``.
    public init(program: String, listen: Multiaddr, threads: Int, io: String, core: Int?, spinSeconds: Double = 0) throws(RunError) {
        process = Process()
        lifeline = Pipe()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["serve", "--listen", listen.description, "--threads", "\(threads)", "--io", io, "--until-stdin-ends"]
            + (core.map { ["--core", "\($0)"] } ?? [])
            + (spinSeconds > 0 ? ["--spin", "\(UInt64(spinSeconds * 1e9))ns"] : [])
        process.standardInput = lifeline
        process.standardOutput = output
        process.terminationHandler = { [hasEnded] _ in hasEnded.signal() }
        do {
            try process.run()
        } catch {
            throw .serverDidNotStart("\(program) cannot be run: \(error.localizedDescription)")
        }
        let line = Self.firstLine(of: output.fileHandleForReading)
        guard let line, line.hasPrefix(Self.readyPrefix) else {
            process.terminate()
            process.waitUntilExit()
            // Why it could not is on standard error, which is ours too.
            throw .serverDidNotStart(line.map { "it said '\($0)'" } ?? "it ended with \(Self.end(of: process)) before it listened")
        }
        do {
            address = try Multiaddr(String(line.dropFirst(Self.readyPrefix.count)))
        } catch {
            process.terminate()
            throw .serverDidNotStart("\(error)")
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
        if hasEnded.wait(timeout: .now() + seconds) == .timedOut {
            kill(processID, SIGKILL)
            process.waitUntilExit()
            return "the server process \(processID) did not end when it was asked to, and was killed"
        }
        let isOrderly = process.terminationReason == .exit && process.terminationStatus == 0
        return isOrderly ? nil : "the server process \(processID) ended with \(Self.end(of: process))"
    }

    private static func end(of process: Process) -> String {
        (process.terminationReason == .uncaughtSignal ? "signal " : "status ") + "\(process.terminationStatus)"
    }
}
