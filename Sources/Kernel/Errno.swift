import Glibc

/// Why a system call failed: the call, its error number, and what that means in words.
public struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
    /// The error number, as errno(3) has it; positive.
    public let code: Int32
    /// The system call's name, such as `connect`.
    public let call: String

    public init(_ code: Int32, _ call: String) {
        self.code = code
        self.call = call
    }

    /// ETIMEDOUT and ENOTSUP, for callers that find out by other means than a call's result.
    public static let timedOut = ETIMEDOUT
    public static let notSupported = ENOTSUP

    /// The system's own words, such as "Connection refused".
    public var text: String {
        guard let words = unsafe strerror(code) else { return "error" }
        return unsafe String(cString: words)
    }

    public var description: String { "\(call): \(text) (errno \(code))" }
}

/// What became of a call that may find nothing to do.
public enum Attempt<Value> {
    case done(Value)
    /// The call would have had to wait (EAGAIN).
    case wouldBlock
}

extension Attempt: Equatable where Value: Equatable {}
extension Attempt: Sendable where Value: Sendable {}

/// Runs a system call that reports failure by -1, again when a signal interrupted it.
///
/// This function and ``attempt(_:_:)`` are the only places that look at `errno`.
@inline(__always)
func syscall<Value: FixedWidthInteger & SignedInteger>(
    _ name: @autoclosure () -> String, _ body: () -> Value
) throws(Errno) -> Value {
    while true {
        let result = body()
        if result != -1 { return result }
        let code = errno
        if code != EINTR { throw Errno(code, name()) }
    }
}

/// Runs a system call on a non-blocking descriptor, again when a signal interrupted it; having to wait is not an error.
@inline(__always)
func attempt<Value: FixedWidthInteger & SignedInteger>(
    _ name: @autoclosure () -> String, _ body: () -> Value
) throws(Errno) -> Attempt<Value> {
    while true {
        let result = body()
        if result != -1 { return .done(result) }
        let code = errno
        if code == EAGAIN || code == EWOULDBLOCK { return .wouldBlock }
        if code != EINTR { throw Errno(code, name()) }
    }
}
