/// Samples written as `perf script` writes them, which is what other viewers read.
public enum PerfScriptText {
    /// - Parameters:
    ///   - process: put before the thread's name, since viewers tell threads apart by it.
    ///   - name: of a frame's function.
    public static func sample(_ sample: PerfSample, process: String, name: (PerfFrame) -> String) -> String {
        let thread = sample.thread.hasPrefix(process) ? sample.thread : "\(process) \(sample.thread)"
        let fraction = String(sample.time_ns % 1_000_000_000)
        let time = "\(sample.time_ns / 1_000_000_000).\(String(repeating: "0", count: 9 - fraction.count))\(fraction)"
        var text = "\(thread) \(sample.processID)/\(sample.threadID) \(time): \(sample.event): \n"
        for frame in sample.stack.reversed() {
            // A viewer takes the last bracket for the object's, and an object with a blank for none.
            let object = frame.object.map { $0 == " " || $0 == "\n" ? "_" : String($0) }.joined()
            text += "\t0 \(name(frame).map { $0 == "\n" ? " " : String($0) }.joined()) (\(object))\n"
        }
        return text + "\n"
    }
}
