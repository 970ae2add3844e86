import ArgumentParser
import Foundation
import Kernel
import Links
import Load
import Multiformats
import Reactor

/// `streamgauge relay`: an emulated link between any TCP client and server.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay", abstract: "Emulates a link: relays TCP connections with delay, rate and buffer; prints its address when it is ready.",
        discussion: """
            The LINK is what a subject has in parentheses behind link: the round trip, the rate of each direction, and perhaps the buffer (one bandwidth-delay
            product if not given, at least 128 KiB), a jitter and its seed. 'streamgauge run' starts a relay by itself for a subject such as
            'link(rtt=60ms,rate=1Gbit)+tcp+yamux'; by hand it goes between any two programs that speak over TCP:

              streamgauge relay rtt=60ms,rate=1Gbit --to /ip4/127.0.0.1/tcp/4001
              streamgauge relay rtt=20ms,rate=100Mbit,buffer=256KiB,jitter=2ms --to /ip4/127.0.0.1/tcp/5201 --listen /ip4/127.0.0.1/tcp/5202

            All connections share the link. Nothing is lost: a full buffer makes the relay stop reading. TCP's own handshake does not go over the link.
            """)

    @Argument(help: "The link, such as rtt=60ms,rate=1Gbit,buffer=4MiB.")
    var link: String

    @Option(help: "Where the server is: /ip4/HOST/tcp/PORT or /ip6/HOST/tcp/PORT.")
    var to: String

    @Option(help: "Where to listen. Port 0 takes a free one.")
    var listen = "/ip4/127.0.0.1/tcp/0"

    @Option(help: "Pin the relay's loop to this core.")
    var core: Int?

    @Flag(help: "End when standard input does.")
    var untilStdinEnds = false

    func validate() throws { _ = try shape }

    private var shape: LinkShape {
        get throws {
            do {
                return try LinkShape(parsing: link)
            } catch {
                throw Exit.usage(error)
            }
        }
    }

    func run() async throws {
        let target = try parsed("--to", to) { try Multiaddr($0) }
        let address = try parsed("--listen", listen) { try Multiaddr($0) }
        if let core, let allowed = try? Affinity.allowedCores(), !allowed.contains(core) {
            throw ValidationError("--core is \(core); this process may use \(allowed.map { "\($0)" }.joined(separator: ", "))")
        }
        if let hard = try? ResourceLimits.descriptors().hard { _ = try? ResourceLimits.raiseDescriptors(to: hard) }
        let shape = try shape
        let loop: EventLoop
        let relay: LinkRelay
        do {
            loop = try EventLoop.forRelay(over: shape, core: core)
            relay = try await LinkRelay.start(shape, to: target, listeningOn: address, loop: loop) { StandardError.write("\($0)\n") }
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
        defer { Loops.stop([loop]) }
        let termination = untilStdinEnds ? nil : Signals.watchTermination()
        try StandardOutput.print(Data("\(ServerProcess.readyPrefix)\(relay.address)\n".utf8))
        if let termination {
            for await _ in termination {}
        } else {
            // Ctrl-C reaches every program of the terminal; whoever holds our input decides what it means.
            signal(SIGINT, SIG_IGN)
            await StandardInput.end()
        }
        await relay.stop()
    }
}

/// What another program holds to say how long we are to live.
enum StandardInput {
    /// Waits until it has ended.
    static func end() async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                while let data = try? FileHandle.standardInput.read(upToCount: 1), !data.isEmpty {}
                continuation.resume()
            }
        }
    }
}
