// swift-tools-version: 6.2
import PackageDescription

/// The same rules as in the package that is measured.
let settings: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

func measured(_ module: String) -> Target.Dependency { .product(name: module, package: "StreamGauge") }

let package = Package(
    name: "Benchmarks",
    products: [
        .executable(name: "counts", targets: ["counts"]), .executable(name: "ceiling", targets: ["ceiling"]),
        // For the package in WallClock, so that nothing here waits for the harness to be built.
        .library(name: "Workloads", targets: ["Workloads"]),
    ],
    dependencies: [.package(name: "StreamGauge", path: "../")],
    targets: [
        // The work that is measured, whatever measures it. Kernel is there for what it links: with it every tool has the allocator of the program.
        .target(
            name: "Workloads",
            dependencies: [
                measured("Bytes"), measured("Gauge"), measured("Kernel"), measured("Multiformats"), measured("Muxers"), measured("Negotiation"),
                measured("P2P"), measured("Reactor"), measured("SecureChannels"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "counts", dependencies: ["Workloads", measured("Kernel")], path: "Sources/Counts", swiftSettings: settings),
        .executableTarget(
            name: "ceiling", dependencies: [measured("Bytes"), measured("Ciphers"), measured("Kernel"), measured("SecureChannels")],
            path: "Sources/Ceiling", swiftSettings: settings),
    ]
)
