import Bytes

/// Measures round trips with pings, one at a time, and notices silence.
struct RoundTrip: ~Copyable {
    /// How long a measurement is good for: paths change, and a window is tuned by it.
    static let validNanoseconds: Nanoseconds = 1_000_000_000

    private(set) var latest: Nanoseconds?
    private var measuredAt: Nanoseconds = 0
    private var lastValue: UInt32 = 0
    /// When the ping under way was sent.
    private(set) var sentAt: Nanoseconds?
    private(set) var heardAt: Nanoseconds?
    /// A ping is on the control queue.
    var isQueued = false

    mutating func start(at now: Nanoseconds) {
        if heardAt == nil { heardAt = now }
    }

    mutating func heard(at now: Nanoseconds) { heardAt = now }

    /// Notes that a ping leaves now, and returns its value.
    mutating func sent(at now: Nanoseconds) -> UInt32 {
        isQueued = false
        // The upper half of the values belongs to markers.
        lastValue = (lastValue + 1) & 0x7fff_ffff
        sentAt = now
        return lastValue
    }

    /// The time since the ping with this value was sent; nil for an answer to something else.
    mutating func answered(_ value: UInt32, at now: Nanoseconds) -> Nanoseconds? {
        guard let sent = sentAt, value == lastValue else { return nil }
        sentAt = nil
        measuredAt = now
        latest = now &- sent
        return latest
    }

    func isStale(at now: Nanoseconds) -> Bool {
        sentAt == nil && (latest == nil || now &- measuredAt > Self.validNanoseconds)
    }
}

/// A ping in the outgoing data whose answer says that all before it has arrived.
struct Mark: BitwiseCopyable {
    let value: UInt32
    /// Data bytes sent up to the mark.
    let position: UInt64
    /// The same of the mark before it.
    let previousPosition: UInt64
    let sentAt: Nanoseconds
    /// Bytes that were confirmed when the mark was sent.
    let confirmedAtSend: UInt64
    /// Openings that were answered when the mark was sent.
    let openingsAnsweredAtSend: UInt64
}

/// The marks in the outgoing data and what is known of their arrival (see ``YamuxMarkers``).
///
/// After every `spacingBytes` of data a mark is due; it is sent when the data is to be marked at all, and skipped otherwise.
///
/// A far end that was found to be slow is trusted with more step by step: with every step twice as much may be unconfirmed, and when that shows
/// it to be slow still it is back at the first. So finding out costs a small message little.
///
/// Invariant: data and openings wait only for the answer to a mark that is under way or due. Data of sparse streams that are open waits for
/// nothing: it is what the others wait for, and there is no more of it than a quantum a stream.
struct MarkerState: ~Copyable {
    /// Spacings (8 MiB of data sent, with the usual spacing) for which a small message beside bulk or openings, those openings, or bulk from the
    /// far end, are remembered: all come in bursts, and a small message that has to wait must not be forgotten meanwhile.
    private static let memory = 128
    /// Spacings between two marks that only ask how long the far end takes, while a small message is remembered and data does not wait.
    private static let probeSpacings = 8
    /// A far end that answers sooner is quick enough for a small message to wait behind what it has not read.
    private static let slowNanoseconds: Nanoseconds = 400_000
    /// One that mostly takes longer although it has been sent no more than the least gets half of that.
    private static let verySlowNanoseconds: Nanoseconds = 600_000
    /// Such answers, of which each quicker one takes back two.
    private static let verySlowAnswersMax = 8
    /// The same while nothing is known of the path but answers that waited behind data themselves.
    private static let slowUnknownNanoseconds: Nanoseconds = 1_000_000
    /// Answers that came while data waited for them, after which the shortest is that of the path.
    private static let trustedAnswers = 8
    /// Spacings (8 MiB before a slow far end) for which a far end that was slow is trusted with the least, the first time.
    private static let slowSpacings = 512
    /// Doublings of that, to 512 MiB.
    private static let slowLevelMax = 6
    /// Openings that count as much as a spacing of data.
    private static let openingsPerSpacing = 8
    /// Steps of trust: at 0 the least is let go, at the last the far end is not slow.
    private static let trustMin = -1
    private static let trustMax = 3
    /// Spacings of the first step of trust, behind the least: as much data as fills what may be unconfirmed. Each step is twice as long as the
    /// one before it.
    private static let trustSpacings = 16

    private let limits: YamuxMarkers?
    /// What an opening counts as, in bytes of data.
    private let openingBytes: UInt64
    private var marks = RingQueue<Mark>()
    private var sentBytes: UInt64 = 0
    private var confirmedBytes: UInt64 = 0
    private var lastPosition: UInt64 = 0
    private var lastValue: UInt32 = 0
    private var roundTripMin: Nanoseconds = .max
    private var unconfirmedMax: UInt64
    /// Marks are being sent, and data waits for their answers.
    private var isEngaged = false
    private var sparseMemory = 0
    private var bulkMemory = 0
    private var receivedBytes: UInt64 = 0
    /// How much more than the least a slow far end is trusted with, in doublings.
    private var trust = MarkerState.trustMax
    private var verySlowAnswers = 0
    /// Spacings to the next step of trust.
    private var spacingsToTrust = 0
    /// How often it was found slow again with more trust: the least then lasts longer.
    private var slowLevel = 0
    private var spacingsToProbe = 0
    private var engagedAnswers = 0
    private var openings = OpeningPace()
    private var openingCount: UInt64 = 0
    private var openingCountSeen: UInt64 = 0
    private var openingMemory = 0

    init(limits: YamuxMarkers?) {
        self.limits = limits
        openingBytes = UInt64((limits?.spacingBytes ?? 0) / Self.openingsPerSpacing)
        unconfirmedMax = UInt64(limits?.unconfirmedBytesMin ?? 0)
    }

    @inline(__always) var isEnabled: Bool { limits != nil }

    /// The far end was found to be slow, not long ago.
    private var isSlow: Bool { trust < Self.trustMax }

    /// Data that no answered mark covers. Below zero when a far end answers marks before it has got them, and they are then taken back.
    private var unconfirmed: Int64 { Int64(bitPattern: sentBytes &- confirmedBytes) }
    /// Data behind the last mark.
    private var unmarked: Int64 { Int64(bitPattern: sentBytes &- lastPosition) }

    /// Whether more data may be sent before the far end has confirmed some.
    @inline(__always) var allowsData: Bool { mutating get { !isEngaged || unconfirmed < Int64(unconfirmedMax) || isWithoutAnswer } }

    /// What has to wait for the far end.
    ///
    /// Mutating, as what follows, though none changes anything: the optimizer makes a getter that borrows so large a value copy it first.
    @inline(__always) var hold: SendScheduler.Hold {
        mutating get {
            guard isEngaged else { return .nothing }
            return !allowsData ? .allButSparse : holdsOpenings ? .openings : .nothing
        }
    }

    /// Openings are held back for small messages only, which nobody looks for where all is marked.
    private var holdsOpenings: Bool {
        mutating get {
            guard isEngaged, isSlow, case .whenContended? = limits?.use else { return false }
            return openings.isFull(least: 1 << trust)
        }
    }

    /// Streams were being opened one after another, not long ago.
    @inline(__always) var remembersOpenings: Bool { openingMemory > 0 }

    /// No answer is to come, and none can be asked for: marks were skipped or taken back.
    private var isWithoutAnswer: Bool { marks.isEmpty && unmarked <= 0 }

    /// Whether a mark is due: after so much data, and when data or openings must wait for an answer and none is under way.
    ///
    /// - Parameter openingsWait: there are streams to be opened.
    @inline(__always)
    mutating func isDue(openingsWait: Bool) -> Bool {
        guard let limits else { return false }
        return unmarked >= Int64(spacingBytes(limits)) || isEngaged && marks.isEmpty && (unmarked > 0 && !allowsData || openingsWait && holdsOpenings)
    }

    /// How many bytes of data may be framed before ``isDue`` and ``allowsData`` are to be asked again; at least 1.
    @inline(__always) var byteCountToMark: Int {
        mutating get {
            guard let limits else { return .max }
            let left = spacingBytes(limits) &- Int(unmarked)
            return max(isEngaged ? min(left, Int(Int64(bitPattern: unconfirmedMax) &- unconfirmed)) : left, 1)
        }
    }

    /// Data between two marks, as things are.
    @inline(__always)
    private mutating func spacingBytes(_ limits: YamuxMarkers) -> Int {
        isEngaged && isSlow ? min(limits.spacingBytes, limits.spacingBytesBeforeSlow) : limits.spacingBytes
    }

    /// Notes data that was framed.
    mutating func sent(_ byteCount: Int) {
        sentBytes &+= UInt64(byteCount)
    }

    /// Notes an opening that was framed; whether it is one of those that are waited for.
    mutating func sentOpening() -> Bool {
        sentBytes &+= openingBytes
        openingCount &+= 1
        guard isEngaged, isSlow else { return false }
        openings.sent()
        return true
    }

    /// An opening that is waited for was answered.
    mutating func openingAnswered() { openings.answered() }

    /// An opening that is waited for will not be answered.
    mutating func openingForgotten() { openings.forget() }

    /// A small message goes ahead of bulk or of openings.
    @inline(__always) mutating func rememberSparse() { sparseMemory = Self.memory }

    /// Whether the mark that is due is to be sent. One that is not counts as sent and answered.
    ///
    /// - Parameter received: payload bytes received so far.
    mutating func engages(received: UInt64) -> Bool {
        guard let limits else { return false }
        if case .always = limits.use {
            isEngaged = true
            return true
        }
        sparseMemory = max(sparseMemory - 1, 0)
        bulkMemory = received &- receivedBytes >= UInt64(limits.spacingBytes / 4) ? Self.memory : max(bulkMemory - 1, 0)
        receivedBytes = received
        openingMemory = openingCount == openingCountSeen ? max(openingMemory - 1, 0) : Self.memory
        openingCountSeen = openingCount
        if isSlow { trustMore() }
        isEngaged = sparseMemory > 0 && (bulkMemory > 0 || isSlow)
        if isEngaged { return true }
        spacingsToProbe -= 1
        if sparseMemory > 0, marks.isEmpty, spacingsToProbe <= 0 {
            spacingsToProbe = Self.probeSpacings
            return true
        }
        lastPosition = sentBytes
        if marks.isEmpty { confirmedBytes = sentBytes }
        return false
    }

    private mutating func trustMore() {
        spacingsToTrust -= 1
        guard spacingsToTrust <= 0 else { return }
        trust += 1
        spacingsToTrust = Self.trustSpacings << trust
    }

    /// How long an answer took tells whether the far end reads as fast as we write: if not, its socket's buffer is full of our data, and a small message waits behind
    /// it.
    private mutating func judge(_ elapsed: Nanoseconds) {
        if isEngaged { engagedAnswers += 1 }
        if trust <= 0 {
            verySlowAnswers = elapsed >= Self.verySlowNanoseconds ? min(verySlowAnswers + 1, Self.verySlowAnswersMax) : max(verySlowAnswers - 2, 0)
        }
        let isSlowNow = engagedAnswers >= Self.trustedAnswers
            ? elapsed >= Self.slowNanoseconds && elapsed / 4 > roundTripMin : elapsed >= Self.slowUnknownNanoseconds
        if isSlowNow {
            if trust > 0 { slowLevel = min(slowLevel + 1, Self.slowLevelMax) }
            trust = verySlowAnswers >= Self.verySlowAnswersMax ? Self.trustMin : min(trust, 0)
            spacingsToTrust = Self.slowSpacings << slowLevel
        } else if !isEngaged {
            slowLevel = max(slowLevel - 1, 0)
        }
    }

    /// Notes a mark that is framed now, and returns its value.
    mutating func mark(at now: Nanoseconds) -> UInt32 {
        lastValue = (lastValue &+ 1) | 0x8000_0000
        marks.push(Mark(
            value: lastValue, position: sentBytes, previousPosition: lastPosition, sentAt: now, confirmedAtSend: confirmedBytes,
            openingsAnsweredAtSend: openings.answeredCount))
        lastPosition = sentBytes
        return lastValue
    }

    /// The far end has answered the mark `value`: all that was sent before it has arrived.
    mutating func confirm(_ value: UInt32, at now: Nanoseconds) {
        guard let limits, value & 0x8000_0000 != 0 else { return }
        // Values run round below the highest bit.
        while let mark = marks.first, (value &- mark.value) & 0x7fff_ffff < 0x4000_0000 {
            _ = marks.pop()
            confirmedBytes = mark.position
            let elapsed = max(now &- mark.sentAt, 1)
            judge(elapsed)
            roundTripMin = min(roundTripMin, elapsed)
            // Twice the delivery rate over this round trip, times the shortest round trip: enough to fill the path.
            let delivered = max(Int64(bitPattern: confirmedBytes &- mark.confirmedAtSend), 0)
            let share = Double(roundTripMin) / Double(elapsed)
            let product = UInt64(2 * Double(delivered) * share)
            openings.roundEnded(answeredAtSend: mark.openingsAnsweredAtSend, share: share)
            let least = isSlow ? min(limits.unconfirmedBytesMin, limits.unconfirmedBytesMinBeforeSlow) << trust : limits.unconfirmedBytesMin
            unconfirmedMax = min(max(product, UInt64(least)), UInt64(limits.unconfirmedBytesMax))
            if mark.value == value { return }
        }
    }

    mutating func takeBack(_ byteCount: Int, opens: Bool) {
        guard isEnabled else { return }
        sentBytes &-= UInt64(byteCount) &+ (opens ? openingBytes : 0)
    }

    /// The last mark was not written: what it covered is to be marked again.
    mutating func takeBackMark() {
        guard let mark = marks.popLast() else { return }
        lastPosition = mark.previousPosition
    }
}

extension YamuxMachine {
    mutating func requestPing() {
        guard !roundTrip.isQueued, roundTrip.sentAt == nil else { return }
        roundTrip.isQueued = true
        control.push(.ping)
    }

    var deadline: Nanoseconds? {
        guard !hasFailed else { return nil }
        if let sent = roundTrip.sentAt { return sent &+ limits.pingTimeoutNanoseconds }
        guard limits.keepaliveNanoseconds > 0, !roundTrip.isQueued, let heard = roundTrip.heardAt else { return nil }
        return heard &+ limits.keepaliveNanoseconds
    }

    mutating func advanceTime(to now: Nanoseconds, events: inout EventList) throws(MuxerError) {
        guard let due = deadline, now >= due else { return }
        if roundTrip.sentAt != nil { throw fail(.keepaliveTimeout(afterNanoseconds: limits.pingTimeoutNanoseconds)) }
        requestPing()
    }
}
