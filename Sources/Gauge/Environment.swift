/// The machine and the build that a run was measured with: what a reader needs to judge its figures. The name of the machine is not recorded.
///
/// Everything about the machine is read from `/proc` and `/sys`; what is not there is absent with a reason.
public struct Environment: Codable, Sendable, Equatable {
    /// Of the program's source.
    public var commit: Measured<String>
    /// Of Swift, with its version.
    public var compiler: String
    /// `release` or `debug`. Figures of a debug build mean nothing.
    public var buildConfiguration: String
    /// The kernel's release.
    public var kernel: Measured<String>
    public var architecture: String
    public var cpuModel: Measured<String>
    /// Processors that are online.
    public var cores: Measured<Int>
    /// Processors that this process may use.
    public var coresAllowed: Measured<Int>
    /// Of the whole machine.
    public var memoryBytes: Measured<Int>
    /// Frequency governor of the first processor.
    public var governor: Measured<String>
    public var hypervisor: Measured<String>
    /// As the program names it.
    public var allocator: String
    /// `epoll` or `io_uring`.
    public var ioBackend: String
    /// Kernel settings that decide throughput and what can be measured, by their name under `/proc/sys`.
    public var sysctls: [String: Measured<String>]

    enum CodingKeys: String, CodingKey {
        case commit, compiler
        case buildConfiguration = "build_configuration"
        case kernel, architecture
        case cpuModel = "cpu_model"
        case cores
        case coresAllowed = "cores_allowed"
        case memoryBytes = "memory_bytes"
        case governor, hypervisor, allocator
        case ioBackend = "io_backend"
        case sysctls
    }

    static let sysctlNames = [
        "net.core.rmem_max", "net.core.wmem_max", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.core.somaxconn", "net.core.busy_poll",
        "net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_congestion_control", "kernel.perf_event_paranoid", "kernel.io_uring_disabled",
    ]

    /// Reads the machine.
    ///
    /// - Parameters:
    ///   - allocator: which allocator the program uses, as it is written into the record.
    ///   - ioBackend: which I/O interface the loops use, `epoll` or `io_uring`.
    ///   - commit: what the program was built from, when whoever built it said so; otherwise it is looked up in `repository`.
    ///   - repository: a directory that may lie in a git checkout; nil means the directory of this program's file, because the directory a
    ///     program is started in may be another project's checkout.
    ///   - root: the directory that stands for `/`, so that a test can bring its own machine.
    public static func current(
        allocator: String, ioBackend: String, commit: String? = nil, repository: String? = nil, root: String = ""
    ) -> Environment {
        let machine = MachineFiles(root: root)
        return Environment(
            commit: commit.map { .value($0) } ?? GitCheckout(directory: repository ?? MachineFiles(root: "").programDirectory).commit,
            compiler: compilerVersion, buildConfiguration: builtFor, kernel: machine.line("/proc/sys/kernel/osrelease"), architecture: builtOn,
            cpuModel: machine.cpuModel, cores: machine.cores, coresAllowed: machine.coresAllowed, memoryBytes: machine.memoryBytes,
            governor: machine.governor, hypervisor: machine.hypervisor, allocator: allocator, ioBackend: ioBackend,
            sysctls: Dictionary(
                uniqueKeysWithValues: sysctlNames.map { name in
                    (name, machine.line("/proc/sys/" + name.split(separator: ".").joined(separator: "/")))
                }))
    }

    /// One line for the head of a report: `AMD EPYC, 2 cores, 3.8 GiB, Linux 6.18 (KVM), Swift 6.3.1 release, epoll, jemalloc`.
    public var machineLine: String {
        var parts = [cpuModel.value ?? architecture]
        if let cores = cores.value { parts.append("\(cores) \(cores == 1 ? "core" : "cores")") }
        if let memory = memoryBytes.value { parts.append(Units.format(bytes: memory)) }
        let virtual = hypervisor.value.map { " on \($0)" } ?? ""
        if let kernel = kernel.value { parts.append("Linux \(kernel)\(virtual)") }
        parts.append("\(compiler) \(buildConfiguration)")
        parts.append(ioBackend)
        parts.append(allocator)
        return parts.joined(separator: ", ")
    }

    #if DEBUG
    static let builtFor = "debug"
    #else
    static let builtFor = "release"
    #endif

    #if arch(x86_64)
    static let builtOn = "x86_64"
    #elseif arch(arm64)
    static let builtOn = "arm64"
    #else
    static let builtOn = "another"
    #endif

    // The compiler does not tell its version to the program; the conditions below find it between two known ones.
    #if compiler(>=6.4)
    static let compilerVersion = "Swift 6.4 or later"
    #elseif compiler(>=6.3.4)
    static let compilerVersion = "Swift 6.3.4 or later"
    #elseif compiler(>=6.3.3)
    static let compilerVersion = "Swift 6.3.3"
    #elseif compiler(>=6.3.2)
    static let compilerVersion = "Swift 6.3.2"
    #elseif compiler(>=6.3.1)
    static let compilerVersion = "Swift 6.3.1"
    #elseif compiler(>=6.3)
    static let compilerVersion = "Swift 6.3.0"
    #else
    static let compilerVersion = "Swift 6.2"
    #endif
}
