import Kernel

/// Raised receive marks (SO_RCVLOWAT) of the sockets that are in the middle of a bulk transfer.
///
/// A raised mark lets the kernel gather bytes before it wakes the loop, which waking is the dearest part of a bulk transfer. But it also holds back whatever
/// is shorter than the mark, so a mark is raised only after several large receives in a row, the loop's waits are bounded as long as any is
/// raised, and a wait that ends without an event lowers them all; lowering makes the kernel announce what it has held back.
///
/// Invariant: a socket is in `raised` exactly while its mark is above 1.
struct LowWaterMarks {
    /// What a slot keeps.
    struct State: BitwiseCopyable {
        /// The mark that was asked for, bytes; 1 means never to raise it.
        var wantedBytes: Int32 = 1
        var largeReceives: UInt8 = 0
        var isRaised = false

        init(_ options: SocketOptions) { wantedBytes = Int32(clamping: options.receiveLowWaterBytes) }
        init() {}
    }

    /// Large receives in a row that make a bulk transfer.
    static let largeReceivesMin: UInt8 = 4
    /// The longest wait while a mark is raised: what a short message can be late by.
    static let waitNanosecondsMax: UInt64 = 200_000

    private var raised: [(token: Token, socket: Socket)] = []

    func bounded(_ timeoutNanoseconds: UInt64?) -> UInt64? {
        raised.isEmpty ? timeoutNanoseconds : min(timeoutNanoseconds ?? .max, Self.waitNanosecondsMax)
    }

    /// Notes a receive and raises the mark when it was one large receive too many.
    @inline(__always)
    mutating func note(_ byteCount: Int, _ state: inout State, _ token: Token, _ socket: Socket, _ counts: inout SyscallCounts) {
        guard state.wantedBytes > 1, !state.isRaised else { return }
        noteSlowly(byteCount, &state, token, socket, &counts)
    }

    private mutating func noteSlowly(
        _ byteCount: Int, _ state: inout State, _ token: Token, _ socket: Socket, _ counts: inout SyscallCounts
    ) {
        guard byteCount >= Int(state.wantedBytes) / 2 else { return state.largeReceives = 0 }
        state.largeReceives += 1
        guard state.largeReceives >= Self.largeReceivesMin else { return }
        state.largeReceives = 0
        if set(socket, Int(state.wantedBytes), &counts) {
            state.isRaised = true
            raised.append((token, socket))
        }
    }

    /// Lowers all marks after a wait without events. `lowered` gets the sockets' tokens, to note it in their states.
    mutating func lowerAll(_ counts: inout SyscallCounts, lowered: (Token) -> Void) {
        guard !raised.isEmpty else { return }
        for (token, socket) in raised {
            _ = set(socket, 1, &counts)
            lowered(token)
        }
        raised.removeAll(keepingCapacity: true)
    }

    /// The socket is about to be closed.
    mutating func forget(_ token: Token, _ state: State) {
        if state.isRaised { raised.removeAll { $0.token == token } }
    }

    /// Whether it was done: a socket that is already gone needs no mark.
    private func set(_ socket: Socket, _ bytes: Int, _ counts: inout SyscallCounts) -> Bool {
        do throws(Errno) {
            try socket.setReceiveLowWater(bytes: bytes, counts: &counts)
            return true
        } catch {
            return false
        }
    }
}
