import Bytes
import Gauge
import Kernel
import Muxers
import Reactor

/// The server's end of one run's control connection: carries out requests in order, one at a time, and answers each.
///
/// On its loop; the work itself is asynchronous, as a run's shards may live on other loops.
final class ControlSession {
    private(set) var control: ControlChannel!
    private let loop: EventLoop
    private let responder: Responder
    private var requests: [ControlRequest] = []
    private var isWorking = false
    private var run: SideRun?
    private var token: UInt64?
    private var begin = Usage()
    private var end = Usage()
    /// Connections that could not be taken before this run.
    private var acceptFailuresBefore: UInt64 = 0

    init(channel: any Channel, loop: EventLoop, responder: Responder, ended: @escaping (ControlSession) -> Void) {
        self.loop = loop
        self.responder = responder
        control = ControlChannel(
            channel: channel, messageBytesMax: ControlCodec.requestBytesMax,
            onMessage: { [unowned self] kind, body in received(kind, body) },
            onEnd: { [unowned self] _ in
                abandonRun()
                ended(self)
            })
    }

    private func received(_ kind: ControlCodec.Kind, _ body: [UInt8]) {
        do {
            guard kind == .json else { throw ControlError.malformed("a request is JSON") }
            requests.append(try ControlCodec.decode(ControlRequest.self, body))
            work()
        } catch {
            reply(.problem("\(error)"))
        }
    }

    /// The next request, unless one is being carried out.
    private func work() {
        guard !isWorking, !requests.isEmpty else { return }
        isWorking = true
        Self.carryOut(requests.removeFirst(), LoopBound(self, on: loop), loop)
    }

    private static func carryOut(_ request: ControlRequest, _ session: LoopBound<ControlSession>, _ loop: EventLoop) {
        Task {
            let answer = await answer(to: request, session, loop)
            await loop.perform { session.value.finished(answer) }
        }
    }

    private func finished(_ answer: ControlReply) {
        reply(answer)
        isWorking = false
        work()
    }

    private func reply(_ reply: ControlReply) {
        do {
            control.send(try ControlCodec.frame(reply))
        } catch {
            control.close()
        }
    }

    private func abandonRun() {
        guard let token else { return }
        self.token = nil
        let responder = responder
        Task { await responder.forget(token: token) }
    }

    // MARK: Requests

    static func answer(to request: ControlRequest, _ session: LoopBound<ControlSession>, _ loop: EventLoop) async -> ControlReply {
        if case .setup(let scenario, let token) = request { return await setUp(scenario, token, session, loop) }
        guard let run = await loop.perform({ session.value.run }) else { return .problem("no run has been set up") }
        switch request {
        case .setup: return .problem("a run is set up once")
        case .start: await run.onEach { $0.startTraffic() }
        case .begin:
            let usage = await run.begin()
            await loop.perform { session.value.begin = usage }
        case .end:
            let usage = await run.end()
            await loop.perform { session.value.end = usage }
        case .stop: await run.onEach { $0.stopTraffic() }
        case .checkAll: await run.onEach { $0.checkAll() }
        case .finish: await run.onEach { $0.finishTraffic() }
        case .progress:
            var state = await run.state()
            let (responder, before) = await loop.perform { (session.value.responder, session.value.acceptFailuresBefore) }
            let failures = await responder.acceptFailures()
            if failures.count > before { state.acceptFailure = failures.last?.description }
            return .progress(state)
        case .collect(let seconds):
            return await collect(run, seconds, session, loop)
        }
        return .done
    }

    private static func setUp(
        _ scenario: Scenario, _ token: UInt64, _ session: LoopBound<ControlSession>, _ loop: EventLoop
    ) async -> ControlReply {
        let responder = await loop.perform { session.value.responder }
        do {
            try scenario.validate()
            let stack = try ProtocolStack(scenario.subject)
            let run = try await SideRun(
                side: .server, scenario: scenario, stack: stack, loops: responder.loops,
                operations: scenario.serverSends ? scenario.count : nil,
                sharesProcess: stack.transport == .memory)
            await responder.register(run, token: token)
            let failures = await responder.acceptFailures().count
            await loop.perform {
                session.value.acceptFailuresBefore = failures
                session.value.run = run
                session.value.token = token
            }
            return .done
        } catch {
            return .problem("\(error)")
        }
    }

    private static func collect(
        _ run: SideRun, _ seconds: Double, _ session: LoopBound<ControlSession>, _ loop: EventLoop
    ) async -> ControlReply {
        let ended = await run.wait(seconds: seconds) { $0.liveCount == 0 }
        if !ended { await run.onEach { $0.abandon() } }
        let (begin, end) = await loop.perform { (session.value.begin, session.value.end) }
        let (outcome, receipts) = await run.outcome(begin: begin, end: end)
        let encoded = ReceiptList.encode(receipts)
        await loop.perform { session.value.control.send(ControlCodec.frame(.receipts, encoded)) }
        return .outcome(outcome)
    }
}
