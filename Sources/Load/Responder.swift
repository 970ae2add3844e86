import Bytes
import Gauge
import Kernel
public import Multiformats
import Muxers
import P2P
public import Reactor
import Synchronization

/// The server of runs: accepts connections, answers their traffic, and reports what it saw. It serves any number of runs, one after the other or at
/// once.
///
/// Every loop has a listener (TCP, shared port) or the first one has (Unix), and a table of the runs under way, so that a data
/// connection finds its shard on the loop it arrived at.
public final class Responder: Sendable {
    let loops: [EventLoop]
    private let desks: [LoopBound<Desk>]
    /// The address that was bound.
    public let address: Multiaddr

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - loops: started loops.
    ///   - address: TCP or a Unix socket; port 0 takes any.
    ///   - limits: how long to wait for what.
    ///   - note: hears one line for every peer that was turned away.
    public static func start(
        loops: [EventLoop], address: Multiaddr, limits: RunLimits = RunLimits(), note: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> Responder {
        var target = try SocketAddress(ofRun: address)
        if case .unix = target, loops.count > 1 {
            throw ScenarioError.contradiction("a Unix socket has one listener: use one thread")
        }
        var desks: [LoopBound<Desk>] = []
        for loop in loops {
            let wanted = target
            let result = await loop.perform { () -> Result<(LoopBound<Desk>, SocketAddress), ChannelError> in
                Result { () throws(ChannelError) in
                    let desk = Desk(loop: loop, limits: limits, note: note)
                    let bound = try desk.listen(on: wanted, sharesPort: loops.count > 1)
                    return (LoopBound(desk, on: loop), bound)
                }
            }
            let (desk, bound) = try result.mapError { ListenError(address: address, reason: $0) }.get()
            target = bound
            desks.append(desk)
        }
        let responder = Responder(loops: loops, desks: desks, address: Multiaddr(target))
        // Before anybody can know the address: a desk that knows no responder turns control connections away.
        for (loop, desk) in zip(loops, desks) { await loop.perform { desk.value.responder = responder } }
        return responder
    }

    private init(loops: [EventLoop], desks: [LoopBound<Desk>], address: Multiaddr) {
        self.loops = loops
        self.desks = desks
        self.address = address
    }

    /// Stops listening and forgets all runs.
    public func stop() async {
        for (loop, desk) in zip(loops, desks) { await loop.perform { desk.value.close() } }
    }

    // MARK: Runs

    func register(_ run: SideRun, token: UInt64) async {
        for (number, loop) in loops.enumerated() {
            let (desk, shard) = (desks[number], run.shards[number])
            await loop.perform { desk.value.shards[token] = shard.value }
        }
    }

    func forget(token: UInt64) async {
        for (loop, desk) in zip(loops, desks) {
            await loop.perform {
                desk.value.shards[token]?.abandon()
                desk.value.shards[token] = nil
            }
        }
    }

    /// How many connections could not be taken so far, on all loops, and why the last one.
    func acceptFailures() async -> (count: UInt64, last: ChannelError?) {
        var sum: (count: UInt64, last: ChannelError?) = (0, nil)
        for (loop, desk) in zip(loops, desks) {
            let (count, last) = await loop.perform { desk.value.acceptFailures }
            sum = (sum.count + count, last ?? sum.last)
        }
        return sum
    }

    /// A data connection without a kernel: its other end, on the same loop.
    func acceptMemory(on loop: EventLoop) -> (any Channel)? {
        guard let number = loops.firstIndex(where: { $0 === loop }) else { return nil }
        let (near, far) = MemoryChannel.pair(on: loop)
        desks[number].value.greet(far)
        return near
    }
}

/// An address that could not be listened on.
public struct ListenError: Error, CustomStringConvertible {
    public let address: Multiaddr
    public let reason: ChannelError

    public var description: String {
        var text = "cannot listen on \(address): \(reason)"
        if case .addressInUse = reason { text += "; choose another port, or 0 for a free one" }
        return text
    }
}

/// One loop's part of a responder: its listener and the shards of the runs under way. On the loop only.
final class Desk {
    let loop: EventLoop
    weak var responder: Responder?
    var shards: [UInt64: Shard] = [:]
    private var listener: Listener?
    private var sessions: [ObjectIdentifier: ControlSession] = [:]
    private let limits: RunLimits
    private let note: @Sendable (String) -> Void

    init(loop: EventLoop, limits: RunLimits, note: @escaping @Sendable (String) -> Void) {
        self.loop = loop
        self.limits = limits
        self.note = note
    }

    func listen(on address: SocketAddress, sharesPort: Bool) throws(ChannelError) -> SocketAddress {
        var options = SocketOptions()
        options.reusePort = sharesPort
        let listener = try loop.listen(on: address, options: options) { [unowned self] in greet($0) }
        self.listener = listener
        return listener.address
    }

    var acceptFailures: (count: UInt64, last: ChannelError?) { (listener?.acceptFailures ?? 0, listener?.lastFailure) }

    func greet(_ channel: any Channel) {
        let note = note
        channel.start(
            Greeter(
                channel: channel, loop: loop, timeoutSeconds: limits.greetingSeconds, take: { [unowned self] in take($0, $1) },
                refuse: { note($0) }))
    }

    private func take(_ channel: any Channel, _ greeting: Greeting) -> (any ChannelHandler)? {
        switch greeting.role {
        case .data:
            return shards[greeting.token]?.accepted(channel, greeting)
        case .control:
            guard let responder else { return nil }
            let session = ControlSession(channel: channel, loop: loop, responder: responder) { [unowned self] in
                sessions[ObjectIdentifier($0)] = nil
            }
            sessions[ObjectIdentifier(session)] = session
            return session.control
        }
    }

    func close() {
        listener?.close()
        listener = nil
        for shard in shards.values { shard.abandon() }
        shards.removeAll()
        for session in sessions.values { session.control.close() }
        sessions.removeAll()
    }
}
