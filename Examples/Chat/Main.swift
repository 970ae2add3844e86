import Multiformats
import P2P

/// Two nodes that greet each other. `swift run chat` waits for somebody; `swift run chat ADDRESS` calls whoever waits there.
@main struct Chat {
    static let protocolID: ProtocolID = "/chat/1.0.0"

    static func main() async throws {
        // Who we are is kept in a file, so that our peer ID is the same tomorrow.
        let name = CommandLine.arguments.count > 1 ? "caller" : "waiter"
        let host = try Host(HostConfiguration(identity: KeyFile.identity(at: "\(name).key", whenMissing: .create)))
        if CommandLine.arguments.count > 1 {
            try await call(Multiaddr(CommandLine.arguments[1]), from: host)
            await host.close()
        } else {
            try await wait(on: host, at: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        }
    }

    /// Answers whatever anybody sends, piece by piece as it arrives, until the process is stopped.
    static func wait(on host: Host, at address: Multiaddr) async throws {
        host.handle(protocolID) { stream in
            for try await bytes in stream {
                try await stream.write("\(stream.connection.remotePeerID) said: \(String(decoding: bytes, as: UTF8.self))")
            }
        }
        print("waiting at \(try await host.listen(on: address))")
        for await case .connected(let connection) in host.makeEvents() { print("\(connection)") }
    }

    /// Says something and prints the answer. The address ends with the peer's ID, and nobody else is talked to.
    static func call(_ address: Multiaddr, from host: Host) async throws {
        let stream = try await host.openStream(to: address, protocols: [protocolID])
        try await stream.write("hello")
        try await stream.finish()
        for try await bytes in stream { print(String(decoding: bytes, as: UTF8.self)) }
        print("round trip: \(try await Ping.open(on: stream.connection).roundTrip() / 1000) us")
    }
}
