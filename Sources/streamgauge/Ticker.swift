import Foundation

/// How far it has come, on one line of standard error that is written over; nothing where nobody sits.
final class Ticker {
    private let width = Terminal.width(of: .standardError)

    func show(_ text: String) {
        guard let width else { return }
        StandardError.write("\r\u{1b}[2K\(text.prefix(max(10, width - 1)))")
    }

    /// What stays on the screen.
    func tell(_ text: String) {
        finish()
        StandardError.write("streamgauge: \(text)\n")
    }

    func finish() { if width != nil { StandardError.write("\r\u{1b}[2K") } }
}
