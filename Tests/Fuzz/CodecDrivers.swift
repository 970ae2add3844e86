import Bytes
import Multiformats

/// Decoders of bytes and text from outside: what they accept must come back the same when it is written again.
enum CodecDrivers {
    static func varint(_ bytes: [UInt8]) {
        let outcome = Varint.read(bytes.rawSpan, at: 0)
        guard case .value(let value, let byteCount) = outcome else { return }
        var written: [UInt8] = []
        Varint.append(value, to: &written)
        require(written == Array(bytes.prefix(byteCount)), "\(value) is written otherwise than it was read")
        require(Varint.byteCount(of: value) == byteCount, "\(value) takes another size")
    }

    static func receipts(_ bytes: [UInt8]) {
        guard let receipts = try? ReceiptList.decode(bytes.rawSpan, receiptsMax: 1000) else { return }
        require(ReceiptList.encode(receipts) == bytes, "receipts are written otherwise than they were read")
    }

    static func multiaddr(_ bytes: [UInt8]) {
        guard let address = try? Multiaddr(String(decoding: bytes, as: UTF8.self)) else { return }
        check(address)
    }

    static func multiaddrBinary(_ bytes: [UInt8]) {
        guard let address = try? Multiaddr(bytes: bytes.rawSpan) else { return }
        require(address.bytes == bytes, "\(address) is written otherwise than it was read")
        check(address)
    }

    /// Both forms of an address hold the same.
    private static func check(_ address: Multiaddr) {
        let text = "\(address)"
        let again = try? Multiaddr(text)
        require(again == address && again.map { "\($0)" } == text, "\(text) does not come back")
        let binary = address.bytes
        require(binary.count <= Multiaddr.byteCountMax, "\(text) takes \(binary.count) bytes")
        require((try? Multiaddr(bytes: binary.rawSpan)) == address, "\(text) does not come back from bytes")
        require(address.decapsulating(address) == nil, "\(text) is not inside itself")
    }

    static func peerID(_ bytes: [UInt8]) {
        if let peerID = try? PeerID(bytes: bytes.rawSpan) { require(peerID.bytes == bytes, "\(peerID) is written otherwise than it was read") }
        guard let peerID = try? PeerID(String(decoding: bytes, as: UTF8.self)) else { return }
        require((try? PeerID("\(peerID)")) == peerID, "\(peerID) does not come back")
        for base in Multibase.allCases {
            require((try? PeerID(peerID.cidText(in: base))) == peerID, "\(peerID) does not come back from \(base)")
        }
        guard let key = try? peerID.inlinePublicKey() else { return }
        require(PeerID(of: key) { _ in [] } == peerID, "\(peerID) is not the ID of its key")
    }

    static func multibase(_ bytes: [UInt8]) {
        guard let (base, decoded) = try? Multibase.decode(String(decoding: bytes, as: UTF8.self)) else { return }
        let again = try? Multibase.decode(base.text(of: decoded))
        require(again?.base == base && again?.bytes == decoded, "\(decoded) do not come back from \(base)")
    }

    static func protobuf(_ bytes: [UInt8]) {
        if let key = try? PublicKey(encoded: bytes.rawSpan) { require(key.encoded == bytes, "the key is written otherwise than it was read") }
        _ = try? PrivateKey(encoded: bytes.rawSpan)
        var writer = ProtobufWriter()
        guard let fields = try? fields(of: bytes, into: &writer) else { return }
        // Longer forms of the same fields are allowed, so the bytes may differ, but not what they say.
        var rewriter = ProtobufWriter()
        let message = writer.bytes
        require((try? Self.fields(of: message, into: &rewriter)) == fields, "\(fields) fields do not come back")
        require(rewriter.bytes == message, "the fields do not come back")
    }

    /// Reads all fields and writes them again; returns how many they are.
    private static func fields(of bytes: [UInt8], into writer: inout ProtobufWriter) throws -> Int {
        var reader = ProtobufReader(bytes.rawSpan)
        var count = 0
        while let field = try reader.next() {
            count += 1
            switch field.value {
            case .varint(let value): writer.appendVarint(value, field: field.number)
            case .fixed64(let value): writer.appendFixed64(value, field: field.number)
            case .fixed32(let value): writer.appendFixed32(value, field: field.number)
            case .bytes(let range): writer.append(reader.array(range), field: field.number)
            }
        }
        return count
    }
}
