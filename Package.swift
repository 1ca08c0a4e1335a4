// swift-tools-version: 6.1
//
// Two builds from the same sources (docs/building.md):
//
//   swift build                     ordinary Swift: the rooms as modules, the
//                                   unit tests and the command-line tool
//   MOS_EMBEDDED=1 swift build      Embedded Swift: libmos.so, which needs no
//                                   Swift runtime, and nothing else
//
// The rooms and what may depend on what: docs/architecture.md.
import PackageDescription

let embedded = Context.environment["MOS_EMBEDDED"] == "1"

let swiftSettings: [SwiftSetting] = embedded
    ? [
        .enableExperimentalFeature("Embedded"),
        .unsafeFlags(["-wmo", "-enforce-exclusivity=unchecked"]),
    ]
    : []

// What Swift's clang importer needs to be told in both builds is nothing:
// every C target carries its own module map.
let cSettings: [CSetting] = embedded
    ? [.unsafeFlags(["-fvisibility=hidden", "-O2"])]
    : []

func room(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swiftSettings)
}

var targets: [Target] = [
    .target(name: "CMOS", cSettings: cSettings),
    .target(name: "CSys", cSettings: cSettings),
    .target(name: "CPcap", cSettings: cSettings, linkerSettings: [.linkedLibrary("pcap")]),
    room("MOSWire", ["CSys"]),
    room("MOSStorage", ["CSys"]),
    room("MOSEvents", ["CMOS", "CSys", "MOSStorage"]),
    room("MOSTCP", ["CSys", "MOSWire", "MOSStorage"]),
    room("MOSPacketIO", ["CMOS", "CSys", "CPcap", "MOSWire", "MOSStorage"]),
    room("MOSStack", ["CMOS", "CSys", "CPcap", "MOSWire", "MOSStorage", "MOSEvents", "MOSTCP", "MOSPacketIO"]),
    room("MOS", ["CMOS", "CSys", "MOSWire", "MOSEvents", "MOSPacketIO", "MOSStack"]),
]

var products: [Product] = []
var dependencies: [Package.Dependency] = []

if embedded {
    let versionScript = Context.packageDirectory + "/Sources/MOSExport/libmos.map"
    targets.append(
        .target(
            name: "MOSExport",
            dependencies: ["MOS"],
            exclude: ["libmos.map"],
            swiftSettings: swiftSettings,
            linkerSettings: [
                .linkedLibrary("m"),
                .unsafeFlags([
                    "-use-ld=lld", "-nostartfiles",
                    "-Xlinker", "--version-script=" + versionScript,
                    "-Xlinker", "-soname", "-Xlinker", "libmos.so.0",
                    "-Xlinker", "-z", "-Xlinker", "defs",
                    "-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now",
                    "-Xlinker", "--gc-sections",
                ]),
            ]))
    products.append(.library(name: "mos", type: .dynamic, targets: ["MOSExport"]))
} else {
    dependencies.append(.package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"))
    targets += [
        .executableTarget(
            name: "mos",
            dependencies: [
                "CMOS", "CSys", "MOS",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .testTarget(name: "MOSStorageTests", dependencies: ["MOSStorage", "CSys"]),
        .testTarget(name: "MOSEventsTests", dependencies: ["MOSEvents", "CMOS", "CSys"]),
        .testTarget(name: "MOSPacketIOTests", dependencies: ["MOSPacketIO", "CMOS", "CSys", "CPcap"]),
        .testTarget(name: "MOSConfigurationTests", dependencies: ["MOSStack", "CMOS", "CSys"]),
        .testTarget(name: "MOSABITests", dependencies: ["CMOS", "MOS", "MOSWire"]),
        .testTarget(name: "MOSWireTests", dependencies: ["MOSWire"]),
        .testTarget(name: "MOSTCPTests", dependencies: ["MOSTCP", "MOSWire", "MOSStorage"]),
        .testTarget(name: "ToolTests", dependencies: ["mos"]),
        .testTarget(name: "MOSStackTests", dependencies: ["MOS", "MOSStack", "MOSTCP", "MOSWire", "MOSStorage", "CMOS", "CSys"]),
    ]
    products.append(.executable(name: "mos", targets: ["mos"]))
    // The ordinary build as a shared library: what C programs are linked with
    // to run under a sanitizer (scripts/suites). It is never installed.
    products.append(.library(name: "mos-checked", type: .dynamic, targets: ["MOS"]))
}

let package = Package(
    name: "libmos",
    products: products,
    dependencies: dependencies,
    targets: targets,
    swiftLanguageModes: [.v5],
    cLanguageStandard: .gnu11
)
