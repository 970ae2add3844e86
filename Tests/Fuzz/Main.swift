/// The drivers by name; the script reads the names from these lines.
let targets: [String: ([UInt8]) -> Void] = [
    "yamux": { MachineDriver.run($0, YamuxSubject.self) },
    "mplex": { MachineDriver.run($0, MplexSubject.self) },
    "http2": { MachineDriver.run($0, HTTP2Subject.self) },
    "pair": PairDriver.run,
    "listener": NegotiationDriver.listener,
    "dialer": NegotiationDriver.dialer,
    "negotiation": NegotiationDriver.pair,
    "varint": CodecDrivers.varint,
    "receipts": CodecDrivers.receipts,
    "multiaddr": CodecDrivers.multiaddr,
    "multiaddrbinary": CodecDrivers.multiaddrBinary,
    "peerid": CodecDrivers.peerID,
    "multibase": CodecDrivers.multibase,
    "protobuf": CodecDrivers.protobuf,
    "channel": ChannelDriver.run,
    "exchange": ChannelDriver.exchange,
    "payload": ChannelDriver.payload,
    "signedkey": ChannelDriver.signedKey,
]

/// libFuzzer runs one input after another on one thread.
private var pushed: [UInt8] = []
private var target: (([UInt8]) -> Void)?

@_cdecl("fuzz_push") public func fuzzPush(_ byte: UInt8) { pushed.append(byte) }

@_cdecl("fuzz_select") public func fuzzSelect() {
    let name = String(decoding: pushed, as: UTF8.self)
    pushed.removeAll()
    target = targets[name]
    require(target != nil, "FUZZ_TARGET is '\(name)'; it may be one of \(targets.keys.sorted().joined(separator: ", "))")
}

@_cdecl("fuzz_run") public func fuzzRun() {
    let input = pushed
    pushed.removeAll(keepingCapacity: true)
    target?(input)
}

/// Stops the fuzzer with what was found.
func require(_ condition: Bool, _ what: @autoclosure () -> String) {
    if !condition { fatalError(what()) }
}

/// The fuzzer's input as a program for a driver: each decision takes a byte, and at the end all are zero.
struct Input {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isEmpty: Bool { position >= bytes.count }

    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        position += 1
        return bytes[position - 1]
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = Array(bytes[position..<min(position + count, bytes.count)])
        position += taken.count
        return taken
    }

    mutating func pick<T>(_ choices: [T]) -> T { choices[Int(byte()) % choices.count] }
}
