import Bytes
public import Gauge
import Kernel
public import Multiformats
import Muxers
public import Reactor
import Synchronization

/// The client of a run: makes the connections, drives the phases on both sides, and puts together what both saw.
///
/// ```
/// set up ─▶ connect ─▶ start ─▶ warm-up ─▶ begin ─ window ─ end ─▶ stop ─▶ check all ─▶ finish ─▶ collect ─▶ reconcile
/// ```
///
/// Nothing is believed before it is reconciled: receipts of both ends, the ledger of every byte, what the kernel counted, and whatever went wrong on the
/// way decide whether the figures are valid.
public final class Generator: Sendable {
    let scenario: Scenario
    let stack: ProtocolStack
    let loops: [EventLoop]
    let server: Target
    let limits: RunLimits
    private let relay: Multiaddr?
    private let interruption = Mutex(false)
    private let windowTimes = Mutex<(began: Nanoseconds, ended: Nanoseconds)>((0, 0))

    /// Where the other side is.
    public enum Target: Sendable {
        /// A responder in another process.
        case address(Multiaddr)
        /// A responder on the same loops, for the memory transport and for tests.
        case responder(Responder)
    }

    /// Throws ``ScenarioError`` or ``SubjectError`` when the scenario cannot be run there.
    ///
    /// `relay` is where data connections go instead of to the server, see ``LinkRelay``: needed where the stack has a link. The control connection goes straight.
    public init(scenario: Scenario, loops: [EventLoop], server: Target, relay: Multiaddr? = nil, limits: RunLimits = RunLimits()) throws {
        try scenario.validate()
        self.scenario = scenario
        stack = try ProtocolStack(scenario.subject)
        self.loops = loops
        self.server = server
        self.limits = limits
        self.relay = relay
        guard (stack.link == nil) == (relay == nil) else {
            throw ScenarioError.contradiction(
                stack.link == nil ? "'\(stack)' has no link, and needs no relay" : "'\(stack)' has a link, and needs the relay that emulates it")
        }
        if case .address(let target) = server {
            try scenario.validate(on: stack, target: target)
        } else {
            try scenario.validate(on: stack)
        }
    }

    /// Ends the measured window as soon as possible; what has been measured is kept and marked partial. Any thread.
    public func interrupt() { interruption.withLock { $0 = true } }

    var isInterrupted: Bool { interruption.withLock { $0 } }

    /// When the measured window was, in nanoseconds of `CLOCK_MONOTONIC`, so that what other tools saw of this run can be cut to it; nil when it has not
    /// been whole.
    public var window: Range<UInt64>? {
        let (began, ended) = windowTimes.withLock { $0 }
        return began > 0 && ended > began ? began..<ended : nil
    }

    func windowBegan(at time: Nanoseconds) { windowTimes.withLock { $0 = (time, 0) } }

    func windowEnded(at time: Nanoseconds) { windowTimes.withLock { $0.ended = time } }

    /// How far a run has come, for people who wait.
    public enum Progress: Sendable {
        /// So many connections of all are up.
        case connecting(ready: Int, of: Int)
        /// Traffic flows, and nothing is counted yet.
        case warmingUp
        /// So far into the window, and what this side has counted in it.
        case measuring(seconds: Double, totals: Recording.Totals)
        /// The window is over: answers, receipts and accounts are collected.
        case finishing
    }

    /// Runs once.
    ///
    /// - Returns: the figures; `valid` says whether they may be believed. A server that goes away half-way is told there.
    /// - Throws: when nothing could be measured at all.
    public func run(progress: @escaping @Sendable (Progress) -> Void = { _ in }) async throws -> RunFigures {
        let address = try relay.map { try SocketAddress(ofRun: $0) } ?? controlAddress()
        let control = try await ControlClient.connect(to: controlAddress(), on: loops[0], answerSeconds: limits.answerSeconds)
        let token = UInt64.random(in: .min ... .max)
        try await control.call(.setup(scenario, token: token))
        let local = try await SideRun(
            side: .client, scenario: scenario, stack: stack, loops: loops, operations: scenario.count,
            sharesProcess: stack.transport == .memory)
        let attempt = Attempt(generator: self, control: control, local: local, token: token, address: address, progress: progress)
        let figures = await attempt.run()
        await control.close()
        await local.onEach { $0.abandon() }
        return figures
    }

    /// Where data connections go when there is no kernel between the sides.
    var memoryResponder: Responder? {
        if case .responder(let responder) = server, stack.transport == .memory { return responder }
        return nil
    }

    private func controlAddress() throws -> SocketAddress {
        switch server {
        case .address(let address): try SocketAddress(ofRun: address)
        case .responder(let responder): try SocketAddress(ofRun: responder.address)
        }
    }
}
