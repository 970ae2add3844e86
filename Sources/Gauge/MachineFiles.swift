import FoundationEssentials

/// What `/proc` and `/sys` say about the machine.
struct MachineFiles {
    /// The directory that stands for `/`.
    let root: String

    /// The whole file, or why it cannot be read.
    func text(_ path: String) -> Measured<String> {
        guard FileManager.default.fileExists(atPath: root + path) else { return .unavailable("\(path) does not exist") }
        guard let text = try? String(contentsOfFile: root + path, encoding: .utf8) else { return .unavailable("\(path) cannot be read") }
        return .value(text)
    }

    /// The file as one line; runs of white space become one space.
    func line(_ path: String) -> Measured<String> {
        let line = text(path).map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
        return line.value == "" ? .unavailable("\(path) is empty") : line
    }

    /// The first value of `key` in a file of `key : value` lines.
    private func field(_ key: String, in path: String) -> Measured<String> {
        switch text(path) {
        case .unavailable(let reason): return .unavailable(reason)
        case .value(let text):
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2, parts[0].split(whereSeparator: \.isWhitespace).joined(separator: " ") == key else { continue }
                let value = parts[1].split(whereSeparator: \.isWhitespace).joined(separator: " ")
                return value.isEmpty ? .unavailable("\(path) has an empty \"\(key)\"") : .value(value)
            }
            return .unavailable("\(path) has no \"\(key)\"")
        }
    }

    var cpuModel: Measured<String> { field("model name", in: "/proc/cpuinfo") }

    var cores: Measured<Int> {
        let path = "/sys/devices/system/cpu/online"
        return number(line(path).map(Self.countOfList), in: path)
    }

    var coresAllowed: Measured<Int> {
        number(field("Cpus_allowed_list", in: "/proc/self/status").map(Self.countOfList), in: "/proc/self/status")
    }

    var memoryBytes: Measured<Int> {
        let path = "/proc/meminfo"
        return number(
            field("MemTotal", in: path).map { text in
                text.split(separator: " ").first.flatMap { Int($0) }.map { $0 * 1024 }
            }, in: path)
    }

    var governor: Measured<String> {
        let governor = line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        return governor.value == nil ? .unavailable("the kernel does not control the processor's frequency here") : governor
    }

    /// The hypervisor's name where the firmware tells it, or only that there is one.
    var hypervisor: Measured<String> {
        if let type = line("/sys/hypervisor/type").value, type != "none" { return .value(type) }
        let flags = field("flags", in: "/proc/cpuinfo")
        guard let flags = flags.value else { return .unavailable("/proc/cpuinfo has no \"flags\" that would tell") }
        guard flags.split(separator: " ").contains("hypervisor") else { return .unavailable("the processor reports no hypervisor") }
        return .value(line("/sys/class/dmi/id/sys_vendor").value.map { "a hypervisor (\($0))" } ?? "a hypervisor")
    }

    /// Where this program's file lies.
    var programDirectory: String {
        let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: root + "/proc/self/exe")) ?? "."
        return program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
    }

    private func number(_ parsed: Measured<Int?>, in path: String) -> Measured<Int> {
        switch parsed {
        case .value(let value): Measured(value, else: "\(path) holds no number")
        case .unavailable(let reason): .unavailable(reason)
        }
    }

    /// How many numbers a kernel list such as `0-3,8` names.
    static func countOfList(_ text: String) -> Int? {
        var total = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, last >= first else { return nil }
            total += last - first + 1
        }
        return total > 0 ? total : nil
    }
}

/// The commit that a git checkout has checked out, read from its files: no program is started for it.
struct GitCheckout {
    let directory: String

    var commit: Measured<String> {
        guard let gitDirectory = findGitDirectory() else { return .unavailable("not run from a git checkout") }
        guard let head = read(gitDirectory + "/HEAD") else { return .unavailable("the git checkout has no readable HEAD") }
        guard head.hasPrefix("ref: ") else { return .value(head) }
        let reference = String(head.dropFirst(5))
        // A linked work tree keeps its branches in the main one.
        let common = read(gitDirectory + "/commondir").map { $0.hasPrefix("/") ? $0 : gitDirectory + "/" + $0 } ?? gitDirectory
        if let commit = read(common + "/" + reference) { return .value(commit) }
        for line in (read(common + "/packed-refs") ?? "").split(separator: "\n") where line.hasSuffix(" " + reference) {
            return .value(String(line.prefix { $0 != " " }))
        }
        return .unavailable("\(reference) has no commit yet")
    }

    private func findGitDirectory() -> String? {
        var current = directory
        for _ in 0..<32 {
            let candidate = current + "/.git"
            var isDirectory: Bool = false
            if FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory) {
                if isDirectory { return candidate }
                guard let pointer = read(candidate), pointer.hasPrefix("gitdir: ") else { return nil }
                let target = String(pointer.dropFirst(8))
                return target.hasPrefix("/") ? target : current + "/" + target
            }
            current += "/.."
        }
        return nil
    }

    private func read(_ path: String) -> String? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        let trimmed = text.drop(while: \.isWhitespace)
        let end = trimmed.lastIndex { !$0.isWhitespace }
        return end.map { String(trimmed[...$0]) }
    }
}
