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

let package = Package(
    name: "WallClock",
    dependencies: [
        .package(path: "../"),
        // Without its traits: what it would count with them is counted by scripts/count, and their packages are not needed.
        .package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "wallclock",
            dependencies: [.product(name: "Workloads", package: "Benchmarks"), .product(name: "Benchmark", package: "benchmark")],
            path: ".", sources: ["WallClock.swift"], swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
    ]
)
