import Kernel
import Reactor

/// Keeps a loop from its work for ten milliseconds out of every fifteen.
final class Stalls: Sendable {
    private let loop: EventLoop
    private let box: LoopBound<Box>

    private final class Box {
        var timer: LoopTimer?
        var isOver = false
    }

    init(_ loop: EventLoop) {
        self.loop = loop
        box = LoopBound(Box(), on: loop)
    }

    func begin() { loop.submit { [self] in stall() } }

    func end() {
        loop.submit { [self] in
            box.value.isOver = true
            box.value.timer?.cancel()
        }
    }

    private func stall() {
        guard !box.value.isOver else { return }
        let until = Clock.now + 10_000_000
        while Clock.now < until {}
        box.value.timer = loop.schedule(at: Clock.now + 5_000_000) { [self] in stall() }
    }
}
