import Foundation
import XCTest

@testable import MOSStack

/// Damaged files end in a configuration or in a message, whatever is in them.
final class ConfigurationMutationTests: XCTestCase {
    private var random = SplitMix(state: 0x5EED_0C0F)

    func testMutatedExamples() throws {
        let good = try ConfigurationExample.all("good").map { Array(try Data(contentsOf: $0.file)) }
        let files = try good + ConfigurationExample.all("bad").map { Array(try Data(contentsOf: $0.file)) }
        var accepted = 0
        for round in 0..<20_000 {
            var bytes = random.below(4) == 0 ? files[random.below(files.count)] : good[random.below(good.count)]
            if random.below(8) == 0 {
                bytes += files[random.below(files.count)]
            }
            for _ in 0...random.below(4) {
                mutate(&bytes, with: files)
            }
            accepted += check(bytes, "round \(round)") ? 1 : 0
        }
        // Both ways are walked: the mutations are neither harmless nor hopeless.
        XCTAssertGreaterThan(accepted, 2_000)
        XCTAssertLessThan(accepted, 18_000)
    }

    func testRandomBytes() {
        let alphabet = Array("{}{}==##\"'\\ \n\t0x1K./:,-\u{0}mosnetdv_\u{ff}".utf8)
        for round in 0..<5_000 {
            let bytes = (0..<random.below(200)).map { _ in
                random.below(4) == 0 ? UInt8(random.below(256)) : alphabet[random.below(alphabet.count)]
            }
            _ = check(bytes, "round \(round)")
        }
    }

    /// Time grows with the size alone, whatever a file repeats.
    func testLargeFilesEnd() {
        let pieces = [
            "a{}", "mos{netdev{}}", "mos{rmem_size=1}", "mos{", "}", "a ", "a=", "a=b\n", "a='\n", "\"", "a\n\n", "x{'\"", "x{'}\n",
            "application{run=", "#", "\\", "mos { stat_print = a\n}", "mos{arp_table{10.0.0.1 1:1:1:1:1:1\n}}", " ", "\n", "x{y=\"",
        ]
        for piece in pieces {
            let prefix = "mos { netdev { d 1 } }\n"
            let count = ConfigurationLimits.fileSize / 4 / piece.utf8.count
            let bytes = Array((prefix + String(repeating: piece, count: count)).utf8)
            let start = Date()
            _ = check(bytes, piece)
            XCTAssertLessThan(Date().timeIntervalSince(start), 20, piece)
        }
    }

    /// True: a configuration. What it holds is then within its bounds, and its
    /// dump reads back as the same.
    private func check(_ bytes: [UInt8], _ what: String) -> Bool {
        let netdevs = ["dpdk0=null:", "dpdk0=\"", "a b", "=", "dpdk0=pcap:x dpdk1='a\nb'", "dpdk0"]
        let cpuCount = random.below(4) == 0 ? 1 + random.below(70) : 64
        let outcome = ConfigurationOutcome(
            bytes, cpuCount: cpuCount, netdev: random.below(4) == 0 ? netdevs[random.below(netdevs.count)] : nil)
        XCTAssertLessThanOrEqual(outcome.warnings.count, ConfigurationDiagnostics.limit, what)
        for line in outcome.warnings + (outcome.configuration == nil ? [outcome.message] : []) {
            XCTAssertFalse(line.contains("\n"), what)
            XCTAssertNotNil(line.range(of: "^(x\\.conf|MOS_NETDEV):[0-9]+: .", options: .regularExpression), line)
        }
        guard let configuration = outcome.configuration else {
            XCTAssertTrue(outcome.code == EINVAL, what)
            return false
        }
        XCTAssertTrue((1...ConfigurationLimits.devices).contains(configuration.devices.count), what)
        XCTAssertLessThanOrEqual(configuration.applications.count, ConfigurationLimits.applications, what)
        for route in configuration.routes {
            XCTAssertTrue(configuration.devices.indices.contains(route.device), what)
        }
        XCTAssertGreaterThan(configuration.coreCount, 0, what)
        XCTAssertLessThanOrEqual(configuration.rmemSize, configuration.rmemMax, what)
        XCTAssertLessThanOrEqual(configuration.rmemMax, configuration.memoryLimit, what)
        checkDump(configuration, cpuCount, what)
        return true
    }

    private func checkDump(_ configuration: Configuration, _ cpuCount: Int, _ what: String) {
        let isReplaced = configuration.devices.contains { $0.replacement != nil }
        let dump = configuration.dump().dropLast().map { UInt8(bitPattern: $0) }
        // Quoting can make a line longer than a file may have it.
        guard dump.split(separator: 10).allSatisfy({ $0.count <= ConfigurationLimits.lineLength }) else { return }
        let again = ConfigurationOutcome(dump, cpuCount: cpuCount)
        XCTAssertEqual(again.warningsOfText, [], what)
        XCTAssertEqual(again.message, "", what)
        guard let second = again.configuration, !isReplaced else { return }
        XCTAssertEqual(second.dump().dropLast().map { UInt8(bitPattern: $0) }, dump, what)
    }

    private func mutate(_ bytes: inout [UInt8], with files: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = [UInt8(random.below(256))]
            return
        }
        let place = random.below(bytes.count)
        switch random.below(7) {
        case 0:
            bytes[place] = UInt8(random.below(256))
        case 1:
            bytes.remove(at: place)
        case 2:
            bytes.insert(Array("{}=#\"'\\\n \u{0}0".utf8)[random.below(11)], at: place)
        case 3:
            bytes.removeSubrange(place..<min(bytes.count, place + random.below(20)))
        case 4:
            let end = min(bytes.count, place + random.below(40))
            bytes.insert(contentsOf: bytes[place..<end], at: random.below(bytes.count))
        case 5:
            bytes.swapAt(place, random.below(bytes.count))
        default:
            let other = files[random.below(files.count)]
            let start = random.below(other.count + 1)
            bytes.insert(contentsOf: other[start..<min(other.count, start + random.below(60))], at: place)
        }
    }
}

/// A small seeded generator (SplitMix64), so that a failure repeats.
private struct SplitMix {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(bound))
    }
}
