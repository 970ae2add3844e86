import ArgumentParser
import Dispatch
import Foundation
import Kernel
import Reactor

/// The event loops of a process.
enum Loops {
    /// Starts `count` loops.
    static func start(count: Int, io: String, name: String, core: Int?, spin: Double = 0) throws -> [EventLoop] {
        guard let choice = IOChoice(rawValue: io) else {
            throw ValidationError("there is no I/O interface '\(io)'; known are \(IOChoice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return try (0..<count).map { number in
            var configuration = EventLoopConfiguration()
            configuration.name = "\(name)-\(number)"
            configuration.io = choice
            configuration.spinNanoseconds = UInt64(spin * 1e9)
            configuration.core = number == 0 ? core : nil
            let loop = try EventLoop(configuration)
            try loop.start()
            return loop
        }
    }

    /// The I/O interface that loops choose here by themselves.
    static var chosenIOName: String {
        get throws {
            let loops = try start(count: 1, io: "auto", name: "probe", core: nil)
            defer { stop(loops) }
            return loops[0].io.name
        }
    }

    static func stop(_ loops: [EventLoop]) {
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }
}

/// Signals that ask a program to end.
enum Signals {
    /// Calls `action` at the first SIGINT or SIGTERM; the second one ends the program at once.
    ///
    /// Returns when signals are heard, and timers can be: sources take their descriptors on a thread of the runtime's own, and one that finds none left
    /// ends the process.
    static func onTermination(_ action: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "signals")
        let registered = DispatchGroup()
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                // The source keeps itself alive through its handler until it has fired.
                source.cancel()
                signal(number, SIG_DFL)
                action()
            }
            register(source, registered)
        }
        // The runtime watches its threads by a timer of its own, which shares its descriptor with this one.
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { timer.cancel() }
        timer.schedule(deadline: .now())
        register(timer, registered)
        registered.wait()
    }

    private static func register(_ source: any DispatchSourceProtocol, _ registered: DispatchGroup) {
        registered.enter()
        source.setRegistrationHandler { registered.leave() }
        source.resume()
    }

    /// Hears the first SIGINT or SIGTERM from now on: to be called before anybody is told that the program is ready, and awaited later.
    static func watchTermination() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        onTermination { continuation.finish() }
        return stream
    }
}
