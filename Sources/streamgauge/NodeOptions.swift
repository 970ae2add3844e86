import ArgumentParser
import Multiformats
import P2P
import SecureChannels

/// What the commands that are libp2p nodes have in common.
struct NodeOptions: ParsableArguments {
    private static let (securityStandard, muxerStandard) = ("noise,tls", "yamux,mplex")

    @Option(help: "What may secure a connection, the preferred first: noise, tls, plaintext.")
    var security = securityStandard

    @Option(help: "What may multiplex it, the preferred first: yamux, mplex.")
    var muxer = muxerStandard

    @Option(help: "A file with this node's private key; it is made when it does not exist. Default: a new identity each time.")
    var key: String?

    /// Whether nothing was asked for.
    var isStandard: Bool { key == nil && security == Self.securityStandard && muxer == Self.muxerStandard }

    private var securityKinds: [SecurityKind] { get throws { try parsed("--security", security) { try Self.kinds($0) } } }
    private var muxerKinds: [MuxerKind] { get throws { try parsed("--muxer", muxer) { try Self.kinds($0) } } }

    func validate() throws {
        _ = (try securityKinds, try muxerKinds)
    }

    /// - Parameter perf: whether others may measure against this node.
    func makeConfiguration(perf: PerfService = .off) throws -> HostConfiguration {
        let (securityKinds, muxerKinds) = (try self.securityKinds, try self.muxerKinds)
        do {
            var configuration = HostConfiguration(
                identity: try key.map { try KeyFile.identity(at: $0, whenMissing: .create) } ?? LocalIdentity(generating: .ed25519))
            configuration.security = securityKinds
            configuration.muxers = muxerKinds
            configuration.perf = perf
            return configuration
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
    }

    private static func kinds<Kind: RawRepresentable & CaseIterable & Equatable>(_ text: String) throws -> [Kind] where Kind.RawValue == String {
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        var kinds: [Kind] = []
        for name in names {
            guard let kind = Kind(rawValue: name) else { throw ValidationError("there is no '\(name)'; known are \(known)") }
            guard !kinds.contains(kind) else { throw ValidationError("'\(name)' is named twice") }
            kinds.append(kind)
        }
        return kinds
    }
}

/// A node for as long as a command takes.
enum Node {
    /// Makes a host, lets `body` use it, and closes it.
    static func with(_ configuration: HostConfiguration, _ body: (P2P.Host) async throws -> Void) async throws {
        let host = try P2P.Host(configuration)
        do {
            try await body(host)
        } catch {
            await host.close()
            throw error
        }
        await host.close()
    }

    /// Connects to `address`, lets `body` use the connection, and closes everything. Failures are told, and end the command with status 2.
    static func with(_ options: NodeOptions, _ address: String, _ body: (P2P.Host, PeerConnection) async throws -> Void) async throws {
        let target = try parsed("the address", address) { try Multiaddr($0) }
        let configuration = try options.makeConfiguration()
        do {
            try await with(configuration) { host in try await body(host, try await host.connect(to: target)) }
        } catch let code as ExitCode {
            throw code
        } catch {
            Exit.tell(error)
            throw Exit.failed
        }
    }

    /// The connection as one line.
    static func describe(_ connection: PeerConnection) -> String {
        let report = connection.upgradeReport
        return "\(connection.remotePeerID) over \(connection.security.rawValue) and \(connection.muxer.rawValue) (\(report.negotiated.rawValue) negotiation, \(report.roundTrips) round trips)"
    }
}
