import CKernel
import Glibc

/// The size of a terminal.
public enum TerminalSize {
    /// Columns of the terminal behind `descriptor`, or nil when there is none or it does not say.
    public static func columns(of descriptor: Int32) -> Int? {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }
}
