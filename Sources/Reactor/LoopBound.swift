/// Carries a value that belongs to a loop through code that does not, such as the closure of ``EventLoop/submit(_:)``. It can be looked at on the loop only.
///
/// The last reference to what it holds must be let go on the loop as well.
public struct LoopBound<Value>: @unchecked Sendable {
    private let stored: Value
    /// Where the value may be looked at.
    public let loop: EventLoop

    /// `value` belongs to `loop` from now on. Any thread.
    public init(_ value: Value, on loop: EventLoop) {
        stored = value
        self.loop = loop
    }

    /// The value. On the loop.
    public var value: Value {
        loop.requireOnLoop()
        return stored
    }
}
