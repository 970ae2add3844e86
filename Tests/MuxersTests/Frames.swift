import Bytes

/// Frames of yamux written out by hand from its specification, to be held against what the machine writes.
enum YamuxFrame {
    enum Flag: UInt8 {
        case none = 0, syn = 1, ack = 2, fin = 4, rst = 8
    }

    static func header(_ kind: UInt8, _ flags: UInt8, _ streamID: UInt32, _ length: UInt32) -> [UInt8] {
        [0, kind, 0, flags] + bigEndian(streamID) + bigEndian(length)
    }

    static func data(_ flag: Flag, _ streamID: UInt32, _ bytes: [UInt8]) -> [UInt8] {
        header(0, flag.rawValue, streamID, UInt32(bytes.count)) + bytes
    }

    static func windowUpdate(_ flag: Flag, _ streamID: UInt32, _ delta: UInt32) -> [UInt8] { header(1, flag.rawValue, streamID, delta) }
    static func ping(_ value: UInt32) -> [UInt8] { header(2, Flag.syn.rawValue, 0, value) }
    static func pong(_ value: UInt32) -> [UInt8] { header(2, Flag.ack.rawValue, 0, value) }
    static func goAway(_ code: UInt32) -> [UInt8] { header(3, 0, 0, code) }

    /// The frames that whole bytes hold: header and body together, what the length field says, whether it is a ping that asks, its stream, and whether it opens that.
    static func frames(in bytes: [UInt8]) -> [(byteCount: Int, length: UInt32, isPing: Bool, streamID: UInt32, opens: Bool)] {
        var frames: [(byteCount: Int, length: UInt32, isPing: Bool, streamID: UInt32, opens: Bool)] = []
        var offset = 0
        while offset + 12 <= bytes.count {
            let length = bytes[offset + 8..<offset + 12].reduce(0) { $0 << 8 | UInt32($1) }
            let byteCount = 12 + (bytes[offset + 1] == 0 ? Int(length) : 0)
            let streamID = bytes[offset + 4..<offset + 8].reduce(0) { $0 << 8 | UInt32($1) }
            let isSyn = bytes[offset + 3] == Flag.syn.rawValue
            frames.append((byteCount, length, bytes[offset + 1] == 2 && isSyn, streamID, bytes[offset + 1] < 2 && isSyn))
            offset += byteCount
        }
        return frames
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
}

/// The same for mplex.
enum MplexFrame {
    static func header(_ flag: UInt8, _ streamID: UInt64, length: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        Varint.append(streamID << 3 | UInt64(flag), to: &bytes)
        Varint.append(UInt64(length), to: &bytes)
        return bytes
    }

    static func open(_ streamID: UInt64, name: [UInt8] = []) -> [UInt8] { header(0, streamID, length: name.count) + name }
    static func data(_ flag: UInt8, _ streamID: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        header(flag, streamID, length: bytes.count) + bytes
    }
}
