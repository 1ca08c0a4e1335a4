import Foundation
@testable import MOSStack

/// A file of `Tests/config-examples`, and what `x.expect` beside `x.conf` says
/// should come of it:
///
///     @cpus 2                    the machine's CPUs (8 without it)
///     @MOS_NETDEV dpdk0=null:    the environment
///     @MOS_LOG info
///     warning x.conf:3: …        the warnings, in order
///     mos { …                    good: the configuration's dump
///     EINVAL x.conf:3: …         bad: errno's name and the message
struct ConfigurationExample {
    let file: URL
    var cpuCount = 8
    var netdev: String?
    var logLevel: String?
    /// The rest of the expectation; nil: there is no such file.
    var outcome: String?

    init(_ file: URL) throws {
        self.file = file
        let expectation = file.deletingPathExtension().appendingPathExtension("expect")
        guard FileManager.default.fileExists(atPath: expectation.path) else { return }
        var rest: [Substring] = []
        for line in try String(contentsOf: expectation, encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        {
            if line.hasPrefix("@cpus ") {
                cpuCount = Int(line.dropFirst(6)) ?? 0
            } else if line.hasPrefix("@MOS_NETDEV ") {
                netdev = String(line.dropFirst(12))
            } else if line.hasPrefix("@MOS_LOG ") {
                logLevel = String(line.dropFirst(9))
            } else {
                rest.append(line)
            }
        }
        outcome = rest.joined(separator: "\n")
    }

    /// What comes of it, written as in the expectation.
    func run() throws -> String {
        let outcome = ConfigurationOutcome(
            Array(try Data(contentsOf: file)), fileName: file.lastPathComponent, cpuCount: cpuCount, netdev: netdev,
            logLevel: logLevel)
        return outcome.written
    }

    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("config-examples")

    static func all(_ kind: String) throws -> [ConfigurationExample] {
        try FileManager.default.contentsOfDirectory(at: folder.appendingPathComponent(kind), includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "conf" }
            .sorted { $0.path < $1.path }
            .map { try ConfigurationExample($0) }
    }
}
