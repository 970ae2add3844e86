import Foundation

/// A number that several threads change.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var value = 0

    func withLock<R>(_ body: (inout Int) -> R) -> R { lock.withLock { body(&value) } }
}
