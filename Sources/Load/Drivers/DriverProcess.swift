import Foundation
import Kernel
import Synchronization

/// A driver as a process: commands go in and lines come out, each with a time limit. It ends when its standard input does: it cannot outlive us, however we
/// end.
///
/// One call at a time.
final class DriverProcess: Sendable {
    private struct State {
        /// Whole lines that nobody has asked for yet.
        var lines: [[UInt8]] = []
        var partial: [UInt8] = []
        var hasEnded = false
        var waiting: (id: Int, continuation: CheckedContinuation<Line, Never>)?
        var nextID = 0
    }

    private enum Line {
        case line([UInt8])
        case ended
        case late
        case tooLong
    }

    private let state = Mutex(State())
    private let process: Process
    private let input: FileHandle
    private let end: ProcessEnd
    /// For messages: `go server`.
    let name: String
    let outside: OtherProcess

    /// A command to a driver that has gone is an error to be told, and no signal that ends everything that was measured.
    private static let ignoresBrokenPipes: Void = { signal(SIGPIPE, SIG_IGN) }()

    /// Starts `command` with `arguments`.
    ///
    /// - Throws: ``DriverError/notStarted(command:reason:)``.
    init(_ driver: Driver, role: String, arguments: [String]) throws(DriverError) {
        _ = Self.ignoresBrokenPipes
        name = "\(driver.name) \(role)"
        process = Process()
        let (lifeline, output) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: driver.command[0])
        process.arguments = Array(driver.command.dropFirst()) + [role] + arguments
        process.standardInput = lifeline
        process.standardOutput = output
        input = lifeline.fileHandleForWriting
        end = ProcessEnd(of: process)
        do {
            try process.run()
        } catch {
            throw .notStarted(command: driver.command.joined(separator: " "), reason: error.localizedDescription)
        }
        outside = OtherProcess(processID: process.processIdentifier)
        let handle = output.fileHandleForReading
        Thread.detachNewThread { [self] in
            while case let bytes = handle.availableData, !bytes.isEmpty {
                guard take(bytes) else { break }
            }
            // Foundation may keep a process, and its pipes with it, for longer than anybody needs it: thousands are started in a comparison.
            try? handle.close()
            takeEnd()
        }
    }

    /// False when nothing more is read.
    private func take(_ bytes: Data) -> Bool {
        state.withLock { state in
            for byte in bytes {
                guard byte == UInt8(ascii: "\n") else {
                    state.partial.append(byte)
                    continue
                }
                state.lines.append(state.partial)
                state.partial = []
            }
            if state.partial.count > DriverContract.lineBytesMax {
                Self.resume(&state, .tooLong)
                return false
            }
            if state.waiting != nil, !state.lines.isEmpty { Self.resume(&state, .line(state.lines.removeFirst())) }
            return true
        }
    }

    private func takeEnd() {
        state.withLock { state in
            state.hasEnded = true
            Self.resume(&state, .ended)
        }
    }

    private static func resume(_ state: inout State, _ line: Line) {
        state.waiting?.continuation.resume(returning: line)
        state.waiting = nil
    }

    private func nextLine(seconds: Double) async -> Line {
        await withCheckedContinuation { continuation in
            let id = state.withLock { state -> Int? in
                precondition(state.waiting == nil, "one call at a time")
                if !state.lines.isEmpty {
                    continuation.resume(returning: .line(state.lines.removeFirst()))
                    return nil
                }
                if state.hasEnded {
                    continuation.resume(returning: .ended)
                    return nil
                }
                state.nextID += 1
                state.waiting = (state.nextID, continuation)
                return state.nextID
            }
            guard let id else { return }
            DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [weak self] in
                self?.state.withLock { state in
                    if state.waiting?.id == id { Self.resume(&state, .late) }
                }
            }
        }
    }

    /// Sends a command and decodes its answer.
    ///
    /// - Throws: ``DriverError``.
    func call<Answer: Decodable>(_ command: DriverContract.Command, _ type: Answer.Type, seconds: Double) async throws -> Answer {
        do {
            try input.write(contentsOf: Data("\(command.rawValue)\n".utf8))
        } catch {
            // It has gone: what it said before, or how it ended, tells why.
        }
        return try await line(type, during: command.rawValue, seconds: seconds)
    }

    /// The next line of its own accord: that it is ready.
    func line<Answer: Decodable>(_ type: Answer.Type, during what: String, seconds: Double) async throws -> Answer {
        switch await nextLine(seconds: seconds) {
        case .late: throw DriverError.timeout(driver: name, during: what, seconds: seconds)
        case .ended: throw DriverError.ended(driver: name, during: what, how: "\(end.wait(5) ?? .unheard)")
        case .tooLong: throw DriverError.broken(driver: name, during: what, reason: "a line of more than \(DriverContract.lineBytesMax) bytes")
        case .line(let bytes):
            let data = Data(bytes)
            if let failure = try? JSONDecoder().decode(DriverContract.Failure.self, from: data) {
                throw DriverError.failed(driver: name, during: what, reason: failure.error)
            }
            do {
                return try JSONDecoder().decode(type, from: data)
            } catch {
                throw DriverError.broken(driver: name, during: what, reason: "it answered '\(String(decoding: bytes.prefix(200), as: UTF8.self))'")
            }
        }
    }

    /// Ends it: its input ends, and it is killed if that does not help.
    ///
    /// - Parameter expectsReport: it has given its report, so it must end by itself with status 0.
    /// - Returns: what was wrong; nil for a driver that ended as it should.
    func stop(afterReport: Bool) -> String? {
        try? input.close()
        guard let how = end.wait(5) else {
            _ = end.force(process.processIdentifier)
            return "the driver \(name) did not end when its input ended, and was killed"
        }
        return how == .exit(0) || !afterReport ? nil : "the driver \(name) ended with \(how) after its report"
    }
}
