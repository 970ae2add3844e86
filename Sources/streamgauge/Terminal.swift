import Foundation
import Kernel

/// What is known of the terminal, if there is one.
enum Terminal {
    /// The width in columns, or nil when the file is no terminal.
    static func width(of file: FileHandle) -> Int? {
        guard isatty(file.fileDescriptor) == 1 else { return nil }
        return TerminalSize.columns(of: file.fileDescriptor) ?? 80
    }

    /// The width to lay a report out for.
    static var reportWidth: Int { max(80, min(width(of: .standardOutput) ?? 100, 160)) }
}
