import ArgumentParser
import Foundation
import Gauge
import Kernel
import Load
import Multiformats
import Reactor

/// `streamgauge serve`: the other side of a run, on its own.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "A server to measure against; prints its address when it is ready.",
        discussion: """
            It answers any number of runs, with whatever stack and workload each one asks for:

              streamgauge serve --listen /ip4/127.0.0.1/tcp/4001
              streamgauge run tcp+yamux -m 1000 --target /ip4/127.0.0.1/tcp/4001
            """)

    @Option(help: "Where to listen: /ip4/HOST/tcp/PORT, /ip6/HOST/tcp/PORT or /unix/PATH. Port 0 takes a free one.")
    var listen = "/ip4/127.0.0.1/tcp/0"

    @Option(help: "Event loops.")
    var threads = 1

    @Option(help: "I/O interface: auto, epoll or uring.")
    var io = "auto"

    @Option(help: "Pin the first event loop to this core.")
    var core: Int?

    @Option(help: "Poll for this long before sleeping, such as 50us.")
    var spin = "0ns"

    @Flag(help: "End when standard input does.")
    var untilStdinEnds = false

    func run() async throws {
        let address: Multiaddr
        let spinSeconds: Double
        do {
            address = try Multiaddr(listen)
            spinSeconds = Double(try Units.duration(spin)) / 1e9
        } catch {
            throw Exit.usage(error)
        }
        guard (1...64).contains(threads) else { throw ValidationError("--threads is \(threads); allowed is 1 to 64") }
        // As many connections as the machine allows: how many a run wants is known only when it comes.
        if let hard = try? ResourceLimits.descriptors().hard { _ = try? ResourceLimits.raiseDescriptors(to: hard) }
        let loops = try Loops.start(count: threads, io: io, name: "server", core: core, spin: spinSeconds)
        defer { Loops.stop(loops) }
        let responder: Responder
        do {
            responder = try await Responder.start(loops: loops, address: address) { line in
                FileHandle.standardError.write(Data("turned away \(line)\n".utf8))
            }
        } catch {
            FileHandle.standardError.write(Data("streamgauge: \(error)\n".utf8))
            throw Exit.failed
        }
        FileHandle.standardOutput.write(Data("\(ServerProcess.readyPrefix)\(responder.address)\n".utf8))
        if untilStdinEnds {
            // Ctrl-C reaches every program of the terminal; whoever holds our input decides what it means.
            signal(SIGINT, SIG_IGN)
            await Self.stdinEnd()
        } else {
            await Self.terminationSignal()
        }
        await responder.stop()
    }

    private static func stdinEnd() async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                while let data = try? FileHandle.standardInput.read(upToCount: 1), !data.isEmpty {}
                continuation.resume()
            }
        }
    }

    private static func terminationSignal() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            Signals.onTermination { continuation.resume() }
        }
    }
}
