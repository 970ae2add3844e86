// swift-tools-version: 6.2
import PackageDescription

/// The same rules for every target. Strict memory safety is an error, so an unsafe use that is not
/// spelled `unsafe` does not compile anywhere; the test target `HouseTests` keeps the spelling itself inside the
/// targets that are allowed to use it.
let settings: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
]

func house(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
    name: "StreamGauge",
    products: [
        .library(name: "P2P", targets: ["P2P"]),
        .executable(name: "streamgauge", targets: ["streamgauge"]),
        // For the package in Benchmarks, which measures these modules alone.
        .library(name: "Bytes", targets: ["Bytes"]),
        .library(name: "Ciphers", targets: ["Ciphers"]),
        .library(name: "Kernel", targets: ["Kernel"]),
        .library(name: "Multiformats", targets: ["Multiformats"]),
        .library(name: "Muxers", targets: ["Muxers"]),
        .library(name: "Negotiation", targets: ["Negotiation"]),
        .library(name: "SecureChannels", targets: ["SecureChannels"]),
        .library(name: "HTTP2", targets: ["HTTP2"]),
        .library(name: "Gauge", targets: ["Gauge"]),
        .library(name: "Reactor", targets: ["Reactor"]),
    ],
    traits: [
        .trait(name: "BurnsCycles", description: "Slower on purpose, to try whether a comparison finds it: see Sources/Muxers/Yamux/Burn.swift."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Floor 0
        .systemLibrary(name: "CKernel"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CUring", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CJemalloc", pkgConfig: "jemalloc", providers: [.apt(["libjemalloc-dev"])]),
        .systemLibrary(name: "CProbes", providers: [.apt(["systemtap-sdt-dev"])]),
        house("Bytes"),
        // Floor 1
        house("Kernel", ["Bytes", "CKernel", "CUring", "CJemalloc", "CProbes"]),
        house("Ciphers", ["Bytes", "COpenSSL"]),
        house("Multiformats", ["Bytes"]),
        // Floor 2
        house("Muxers", ["Bytes", "CProbes"]),
        house("HTTP2", ["Bytes", "CNghttp2", "Muxers"]),
        house("Negotiation", ["Bytes", "Multiformats"]),
        house("SecureChannels", ["Bytes", "Ciphers", "CProbes", "Multiformats"]),
        house("Reactor", ["Bytes", "CProbes", "Kernel"]),
        house("Links", ["Bytes"]),
        // Floor 3
        house("P2P", ["Bytes", "Ciphers", "CProbes", "Kernel", "Multiformats", "Muxers", "Negotiation", "Reactor", "SecureChannels"]),
        house("Gauge", ["Bytes", .product(name: "Histogram", package: "hdrhistogram-swift")]),
        // Floor 4
        house("Load", ["Bytes", "CProbes", "HTTP2", "Kernel", "Links", "Multiformats", "Muxers", "Reactor", "SecureChannels", "P2P", "Gauge"]),
        house("Report", ["Gauge"]),
        // Floor 5
        .executableTarget(
            name: "streamgauge",
            dependencies: [
                "Bytes", "Gauge", "Kernel", "Links", "Load", "Multiformats", "P2P", "Reactor", "Report", "SecureChannels", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),

        // The example of the README.
        .executableTarget(name: "chat", dependencies: ["Multiformats", "P2P"], path: "Examples/Chat", swiftSettings: settings),

        // What tests share: machines joined in pairs, a simulated network, seeded random numbers.
        .target(
            name: "TestSupport", dependencies: ["Bytes", "Kernel", "Multiformats", "Muxers", "Negotiation", "Reactor"], path: "Tests/Support", swiftSettings: settings),
        // Records of every kind, and a page of a report taken apart.
        .target(name: "ReportSamples", dependencies: ["Gauge", "Report"], path: "Tests/ReportSamples", swiftSettings: settings),
        tests("HouseTests", []),
        tests("BytesTests", ["Bytes", "TestSupport"]),
        tests("KernelTests", ["Bytes", "Kernel"]),
        tests("CiphersTests", ["Bytes", "Ciphers", "TestSupport"]),
        tests("MuxersTests", ["Bytes", "HTTP2", "Muxers", "TestSupport"]),
        tests("SecureChannelsTests", ["Bytes", "Ciphers", "Kernel", "Multiformats", "SecureChannels", "TestSupport"]),
        tests("LinksTests", ["Bytes", "Links", "Muxers", "TestSupport"]),
        tests("ReactorTests", ["Bytes", "Kernel", "Reactor", "TestSupport"]),
        tests("NegotiationTests", ["Bytes", "Multiformats", "Negotiation", "TestSupport"]),
        tests("MultiformatsTests", ["Bytes", "Multiformats", "TestSupport"]),
        tests("P2PTests", ["Bytes", "Kernel", "Multiformats", "Muxers", "Negotiation", "P2P", "Reactor", "SecureChannels", "TestSupport"]),
        tests("InteropTests", ["Bytes", "Ciphers", "Gauge", "Kernel", "Load", "Multiformats", "P2P", "Reactor", "SecureChannels", "TestSupport"]),
        tests("LoadTests", ["Bytes", "Gauge", "Kernel", "Links", "Load", "Multiformats", "Muxers", "P2P", "Reactor", "TestSupport", "streamgauge"]),
        // The program as a process.
        tests("CommandTests", ["Gauge", "Kernel", "Report", "ReportSamples", "TestSupport", "streamgauge"]),
        tests("GaugeTests", ["Bytes", "Gauge", .product(name: "Histogram", package: "hdrhistogram-swift")]),
        tests("ReportTests", ["Gauge", "Report", "ReportSamples"]),
    ]
)
