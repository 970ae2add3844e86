import Bytes
public import Multiformats

/// What a host tells about itself (libp2p specification "Identify"). The claims are the far end's: only ``PeerConnection/remotePeerID`` is proved.
public struct Identification: Equatable, Sendable {
    /// Addresses and protocols that are kept of one peer: thousands of either are no honest host's.
    static let itemsMax = 1000

    /// Always that of the connection, when it is there: another ends the exchange.
    public var publicKey: PublicKey?
    /// Where it says that it can be reached.
    public var listenAddresses: [Multiaddr] = []
    /// What it says that it speaks.
    public var protocols: [ProtocolID] = []
    /// Where the far end sees this host.
    public var observedAddress: Multiaddr?
    /// The network that it is part of, such as `ipfs/0.1.0`.
    public var protocolVersion: String?
    /// The program that it runs.
    public var agentVersion: String?

    public init() {}

    private enum Field {
        static let publicKey: UInt32 = 1
        static let listenAddress: UInt32 = 2
        static let protocolID: UInt32 = 3
        static let observedAddress: UInt32 = 4
        static let protocolVersion: UInt32 = 5
        static let agentVersion: UInt32 = 6
    }

    /// The protobuf message.
    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        if let publicKey { writer.append(publicKey.encoded, field: Field.publicKey) }
        for address in listenAddresses { writer.append(address.bytes, field: Field.listenAddress) }
        for id in protocols { writer.append(id.utf8, field: Field.protocolID) }
        if let observedAddress { writer.append(observedAddress.bytes, field: Field.observedAddress) }
        if let protocolVersion { writer.append(protocolVersion, field: Field.protocolVersion) }
        if let agentVersion { writer.append(agentVersion, field: Field.agentVersion) }
        return writer.bytes
    }

    /// Takes over what a message says; what it does not say stays. Fields that are not known, addresses of unknown kinds and IDs that are none are passed over.
    mutating func merge(_ message: RawSpan) throws(MultiformatError) {
        var reader = ProtobufReader(message, fieldsMax: 4 * Self.itemsMax)
        var addresses: [Multiaddr] = []
        var ids: [ProtocolID] = []
        while let field = try reader.next() {
            switch field.number {
            case Field.publicKey: publicKey = try PublicKey(encoded: message.extracting(try field.bytes()))
            case Field.listenAddress:
                if addresses.count < Self.itemsMax, let address = try? Multiaddr(bytes: message.extracting(try field.bytes())) { addresses.append(address) }
            case Field.protocolID:
                if ids.count < Self.itemsMax, let id = try? ProtocolID(bytes: message.extracting(try field.bytes())) { ids.append(id) }
            case Field.observedAddress: observedAddress = try? Multiaddr(bytes: message.extracting(try field.bytes()))
            case Field.protocolVersion: protocolVersion = try reader.text(try field.bytes())
            case Field.agentVersion: agentVersion = try reader.text(try field.bytes())
            default: break
            }
        }
        if !addresses.isEmpty { listenAddresses = addresses }
        if !ids.isEmpty { protocols = ids }
    }
}
