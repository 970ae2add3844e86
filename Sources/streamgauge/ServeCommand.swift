import ArgumentParser
import Foundation
import Gauge
import Kernel
import Load
import Multiformats
import P2P
import Reactor

/// `streamgauge serve`: the other side of a run, on its own.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "A server to measure against; prints its address when it is ready.",
        discussion: """
            It answers any number of runs, with whatever stack and workload each one asks for:

              streamgauge serve --listen /ip4/127.0.0.1/tcp/4001
              streamgauge run tcp+yamux -m 1000 --target /ip4/127.0.0.1/tcp/4001

            Beside that it is a libp2p node, at an address of its own that is printed in full: it answers ping, identify and echo, and perf when told to.

              streamgauge serve --libp2p /ip4/127.0.0.1/tcp/4002 --key node.key --perf
              streamgauge ping /ip4/127.0.0.1/tcp/4002
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

    @Option(help: "Where the libp2p node listens. (default: port 0 of /ip4/127.0.0.1)")
    var libp2p: String?

    @Flag(help: "Let libp2p peers measure against this node with /perf/1.0.0: whoever can connect can make it send without end.")
    var perf = false

    @OptionGroup var node: NodeOptions

    @Flag(help: "End when standard input does.")
    var untilStdinEnds = false

    func run() async throws {
        let address = try parsed("--listen", listen) { try Multiaddr($0) }
        let spinSeconds = try parsed("--spin", spin, by: seconds)
        guard (1...64).contains(threads) else { throw ValidationError("--threads is \(threads); allowed is 1 to 64") }
        if let core, let allowed = try? Affinity.allowedCores(), !allowed.contains(core) {
            throw ValidationError("--core is \(core); this process may use \(allowed.map { "\($0)" }.joined(separator: ", "))")
        }
        // As many connections as the machine allows: how many a run wants is known only when it comes.
        if let hard = try? ResourceLimits.descriptors().hard { _ = try? ResourceLimits.raiseDescriptors(to: hard) }
        let loops: [EventLoop]
        do {
            loops = try Loops.start(count: threads, io: io, name: "server", core: core, spin: spinSeconds)
        } catch let error as ValidationError {
            throw error
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
        defer { Loops.stop(loops) }
        let responder: Responder
        do {
            responder = try await Responder.start(loops: loops, address: address) { line in
                StandardError.write("turned away \(line)\n")
            }
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
        // Nobody is told that the server is ready before all of it is.
        let termination = untilStdinEnds ? nil : Signals.watchTermination()
        let host = try await startNode()
        var ready = "\(ServerProcess.readyPrefix)\(responder.address)\n"
        for address in host?.addresses ?? [] { ready += "libp2p node at \(address)\n" }
        try StandardOutput.print(Data(ready.utf8))
        if let termination {
            for await _ in termination {}
        } else {
            // Ctrl-C reaches every program of the terminal; whoever holds our input decides what it means.
            signal(SIGINT, SIG_IGN)
            await StandardInput.end()
        }
        await responder.stop()
        await host?.close()
    }

    /// A server that another program holds (``untilStdinEnds``) answers its runs and nothing else, unless told to.
    private var isNode: Bool { !untilStdinEnds || libp2p != nil }

    func validate() throws {
        guard isNode || !perf && node.isStandard else {
            throw ValidationError("--perf, --security, --muxer and --key are for the libp2p node: with --until-stdin-ends there is one only where --libp2p is given")
        }
        _ = try parsed("--libp2p", ifGiven: libp2p) { try Multiaddr($0) }
        try node.validate()
    }

    /// Listens as a libp2p node.
    private func startNode() async throws -> P2P.Host? {
        guard isNode else { return nil }
        let address = try parsed("--libp2p", libp2p ?? "/ip4/127.0.0.1/tcp/0") { try Multiaddr($0) }
        let configuration = try node.makeConfiguration(perf: perf ? .on : .off)
        do {
            let host = try P2P.Host(configuration)
            host.handle(Echo.protocolID, Echo.service)
            _ = try await host.listen(on: address)
            return host
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
    }
}
