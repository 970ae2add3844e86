/// How long a run waits for the other side before it gives up and says what it was waiting for.
public struct RunLimits: Sendable {
    /// Making all connections, getting the answers that are still under way after the window, finishing, and, where a count ends the
    /// run, the longest time without any progress. A server that is there needs a fraction of a second for each.
    public var phaseSeconds = 30.0
    /// The answer to one control request. Preparing a hundred thousand streams takes below a second.
    public var answerSeconds = 30.0
    /// A peer that connects and says nothing for this long is not one of ours.
    public var greetingSeconds = 10.0

    public init() {}
}
