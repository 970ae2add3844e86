import Bytes
public import Multiformats
import SecureChannels

/// `/ipfs/id/1.0.0` and `/ipfs/id/push/1.0.0` (libp2p specification "Identify"): a host describes itself to whoever asks, and tells when that has changed. The
/// description is one protobuf message, or several that add up, each behind its length; then the sender finishes.
public enum Identify {
    /// The one who opens the stream is told.
    public static let protocolID: ProtocolID = "/ipfs/id/1.0.0"
    /// The one who opens the stream tells.
    public static let pushProtocolID: ProtocolID = "/ipfs/id/push/1.0.0"
    /// The longest description that is read: hundreds of addresses and protocols, and a signed record of the same, take some 20 KiB.
    static let bytesMax = 64 << 10

    /// Asks the far end who it is. A host does so by itself for every connection, see ``PeerConnection/identification``.
    ///
    /// - Throws: ``HostError/timedOut(afterNanoseconds:)``, ``HostError/identifyTooLarge(limitBytes:)``, ``HostError/malformedIdentify(_:)``,
    ///   ``HostError/identifyOfAnotherPeer(claimed:actual:)``, or why the stream failed.
    public static func ask(_ connection: PeerConnection, timeoutNanoseconds: UInt64) async throws(HostError) -> Identification {
        let stream = try await connection.openStream(protocolID)
        stream.setDeadline(afterNanoseconds: timeoutNanoseconds)
        try await stream.finish()
        var identification = Identification()
        try await receive(stream, into: &identification)
        return identification
    }

    /// Sends a description and finishes.
    static func send(_ identification: Identification, on stream: Stream) async throws(HostError) {
        let message = identification.encoded
        var bytes: [UInt8] = []
        Varint.append(UInt64(message.count), to: &bytes)
        try await stream.write(bytes + message)
        try await stream.finish()
    }

    /// Reads until the far end finishes, and takes over what it says.
    static func receive(_ stream: Stream, into identification: inout Identification) async throws(HostError) {
        var bytes: [UInt8] = []
        while let next = try await stream.read() {
            bytes += next
            guard bytes.count <= bytesMax else {
                stream.reset()
                throw .identifyTooLarge(limitBytes: bytesMax)
            }
        }
        do throws(MultiformatError) {
            try merge(bytes.rawSpan, into: &identification)
        } catch {
            throw .malformedIdentify(error)
        }
        guard let key = identification.publicKey, key != stream.connection.remotePublicKey else { return }
        throw .identifyOfAnotherPeer(claimed: PeerID(of: key), actual: stream.connection.remotePeerID)
    }

    private static func merge(_ bytes: RawSpan, into identification: inout Identification) throws(MultiformatError) {
        var offset = 0
        guard !bytes.isEmpty else { throw .truncated(.protobuf) }
        while offset < bytes.byteCount {
            guard case .value(let length, let byteCount) = Varint.read(bytes, at: offset), length <= UInt64(bytes.byteCount - offset - byteCount) else {
                throw .truncated(.protobuf)
            }
            let start = offset + byteCount
            offset = start + Int(length)
            try identification.merge(bytes.extracting(start..<offset))
        }
    }

    // MARK: The host's side

    static func answer(_ stream: Stream, _ host: Host) async throws(HostError) {
        stream.setDeadline(afterNanoseconds: host.configuration.limits.identifyNanoseconds)
        try await send(host.description(for: stream.connection), on: stream)
    }

    static func push(_ identification: Identification, to connection: PeerConnection, timeoutNanoseconds: UInt64) async throws(HostError) {
        let stream = try await connection.openStream(pushProtocolID)
        stream.setDeadline(afterNanoseconds: timeoutNanoseconds)
        try await send(identification, on: stream)
    }

    static func takePush(_ stream: Stream, _ host: Host) async throws(HostError) {
        stream.setDeadline(afterNanoseconds: host.configuration.limits.identifyNanoseconds)
        var identification = stream.connection.identification ?? Identification()
        try await receive(stream, into: &identification)
        host.identified(stream.connection, identification)
    }
}

extension Host {
    /// What this host tells about itself.
    func description(for connection: PeerConnection) -> Identification {
        var identification = Identification()
        identification.publicKey = configuration.identity.publicKey
        identification.listenAddresses = addresses.map(\.withoutPeerID)
        identification.protocols = protocols
        identification.observedAddress = connection.remoteAddress?.withoutPeerID
        identification.protocolVersion = configuration.protocolVersion
        identification.agentVersion = configuration.agentVersion
        return identification
    }

    /// Asks a new connection's far end who it is. One that does not answer is no less a peer.
    func identify(_ connection: PeerConnection) {
        let timeout = configuration.limits.identifyNanoseconds
        Task(executorPreference: connection.loop) { [weak self] in
            guard let identification = try? await Identify.ask(connection, timeoutNanoseconds: timeout) else { return }
            self?.identified(connection, identification)
        }
    }

    func identified(_ connection: PeerConnection, _ identification: Identification) {
        connection.identification = identification
        // What has ended is not told of any more: its end was the last event.
        guard isLive(connection) else { return }
        events.tell(.identified(connection, identification))
    }

    /// Tells every peer that wants to know what this host speaks and where it listens now.
    func announce() {
        for connection in connections where connection.identification?.protocols.contains(Identify.pushProtocolID) == true {
            Task(executorPreference: connection.loop) { [weak self] in
                guard let self else { return }
                try? await Identify.push(description(for: connection), to: connection, timeoutNanoseconds: configuration.limits.identifyNanoseconds)
            }
        }
    }
}
