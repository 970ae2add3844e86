public import Bytes
public import Reactor

/// One end of a connection as tests need it: sends what is queued or generated, in writes of a bounded size, whatever the outcome of a send is.
public final class Endpoint: ChannelHandler {
    public let channel: any Channel
    /// Called with what arrives, before anything else is done with it.
    public var onReceived: ((Endpoint, Block, Range<Int>) -> Void)?
    public var onEnded: ((Endpoint) -> Void)?
    public var onFailed: ((Endpoint, ChannelError) -> Void)?
    /// Produces what is sent when the queue is empty; nil ends it.
    public var source: (() -> Slice?)?
    /// Bytes of one write at most.
    public var writeBytesMax = 512 << 10

    public private(set) var bytesReceived = 0
    public private(set) var bytesSent = 0
    public private(set) var hasEnded = false
    public private(set) var failure: ChannelError?
    /// Why a send failed.
    public private(set) var sendFailure: ChannelError?
    public private(set) var partialSends = 0
    public private(set) var blockedSends = 0
    public private(set) var queuedBytes = 0
    public private(set) var callbacksAfterEnd = 0

    private var gather = Gather()
    private var queue: [Slice] = []
    private var queueHead = 0
    private var isPending = false
    private var isBlocked = false
    private var finishesWhenEmpty = false
    private var isFinished = false
    private var isClosed = false

    public init(_ channel: any Channel) { self.channel = channel }

    /// Whether everything was handed to the kernel.
    public var isIdle: Bool { gather.isEmpty && queueHead == queue.count && source == nil }

    public func queue(_ slice: Slice) {
        queue.append(slice)
        queuedBytes += slice.count
        pump()
    }

    public func finishWhenEmpty() {
        finishesWhenEmpty = true
        pump()
    }

    public func close() {
        isClosed = true
        channel.close()
    }

    public func pump() {
        while !isPending, !isBlocked, !isClosed, failure == nil, sendFailure == nil {
            fill()
            if gather.isEmpty {
                if finishesWhenEmpty, !isFinished {
                    isFinished = true
                    channel.finishSending()
                }
                return
            }
            switch channel.send(&gather) {
            case .complete(let count):
                advance(count)
            case .partial(let count):
                advance(count)
                partialSends += 1
                isBlocked = true
            case .blocked:
                blockedSends += 1
                isBlocked = true
            case .pending:
                isPending = true
            case .failed(let error):
                sendFailure = error
            }
        }
    }

    private func fill() {
        while gather.hasRoom, gather.byteCount < writeBytesMax {
            if queueHead < queue.count {
                let slice = queue[queueHead]
                queueHead += 1
                queuedBytes -= slice.count
                gather.endFrame(tag: 0, payload: slice)
                if queueHead == queue.count {
                    queue.removeAll(keepingCapacity: true)
                    queueHead = 0
                }
            } else if let slice = source?() {
                gather.endFrame(tag: 0, payload: slice)
            } else {
                source = nil
                return
            }
        }
    }

    private func advance(_ count: Int) {
        bytesSent += count
        gather.advance(by: count)
    }

    private func note() {
        if isClosed || failure != nil { callbacksAfterEnd += 1 }
    }

    // MARK: ChannelHandler

    public func channelReceived(_ block: Block, _ range: Range<Int>) {
        note()
        if hasEnded { callbacksAfterEnd += 1 }
        onReceived?(self, block, range)
        bytesReceived += range.count
    }

    public func channelWritable() {
        note()
        isBlocked = false
        pump()
    }

    public func channelSent(_ byteCount: Int) {
        note()
        isPending = false
        if byteCount < gather.byteCount { partialSends += 1 }
        advance(byteCount)
        pump()
    }

    public func channelEnded() {
        note()
        hasEnded = true
        onEnded?(self)
    }

    public func channelFailed(_ error: ChannelError) {
        note()
        failure = error
        onFailed?(self, error)
    }
}
