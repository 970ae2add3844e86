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
        let text = "\(address)"
        require((try? Multiaddr(text)).map { "\($0)" } == text, "\(text) does not come back")
    }
}
