import CSys
import XCTest

@testable import MOSStack

/// What the examples' dumps do not show.
final class ConfigurationTests: XCTestCase {
    private func configuration(_ text: String, netdev: String? = nil) throws -> Configuration {
        let outcome = ConfigurationOutcome(text, netdev: netdev)
        return try XCTUnwrap(outcome.configuration, outcome.message)
    }

    func testDefaults() throws {
        let it = try configuration("mos { netdev { dpdk0 0x3 } }")
        XCTAssertTrue(it.forwards)
        XCTAssertEqual(it.memoryChannels, 4)
        XCTAssertEqual(it.maxConcurrency, 100_000)
        XCTAssertFalse(it.noRingBuffers)
        XCTAssertEqual(it.rmemSize, 8192)
        XCTAssertEqual(it.wmemSize, 8192)
        XCTAssertEqual(it.rmemMax, 1_048_576)
        XCTAssertEqual(it.memoryLimit, 1_073_741_824)
        XCTAssertEqual(it.timeWaitSeconds, 0)
        XCTAssertEqual(it.idleTimeoutSeconds, 30)
        XCTAssertNil(it.multiprocess)
        XCTAssertTrue(it.verifiesChecksums)
        XCTAssertFalse(it.busyPoll)
        XCTAssertEqual(it.burst, 64)
        XCTAssertEqual(it.logLevel, .warning)
        XCTAssertNil(it.logDirectory)
        XCTAssertTrue(it.statisticsDevices.isEmpty)
        XCTAssertTrue(it.dpdkArguments.isEmpty)
        XCTAssertEqual(it.coreCount, 2)
        XCTAssertEqual(it.machineCPUCount, 8)
    }

    /// There is no end host to be: `type = end` is only said to have no effect.
    func testEndHostsAreNotThereYet() {
        let text = "application { type = monitor }\napplication {\n type = end\n}\nmos { netdev { d 1 } }"
        let outcome = ConfigurationOutcome(text)
        XCTAssertNotNil(outcome.configuration)
        XCTAssertEqual(
            outcome.warnings, ["x.conf:3: there is no end-host stack in this version: 'type = end' has no effect"])
        XCTAssertEqual(ConfigurationOutcome("application { type = monitor }\nmos { netdev { d 1 } }").warnings, [])
    }

    /// A device that is replaced is not opened under its own name.
    func testReplacedDevicesAreNotChecked() {
        let text = "mos { netdev { \"pcap:x,speed=foo\" 1\n nosuch:y 1\n null: 1 } }"
        XCTAssertEqual(ConfigurationOutcome(text).code, EINVAL)
        let outcome = ConfigurationOutcome(text, netdev: "pcap:x,speed=foo=null: nosuch:y=pcap:-")
        XCTAssertNotNil(outcome.configuration, outcome.message)
        XCTAssertEqual(outcome.warnings, [])
    }

    /// What is wrong with the log is said of its line.
    func testTheLogHasAPlace() throws {
        let it = try configuration("mos {\n netdev { d 1 }\n mos_log = /no/such\n}")
        var diagnostics = ConfigurationDiagnostics()
        it.warnOfLog(EACCES, &diagnostics)
        XCTAssertEqual(
            diagnostics.messages.map(string), ["x.conf:3: no log file in '/no/such': Permission denied"])
    }

    func testDevices() throws {
        let it = try configuration(
            "mos { netdev { a 1 addr=10.0.0.2/24 mac=02:00:00:00:00:0a\n b 2\n } stat_print = b }",
            netdev: "b=pcap:in.pcap")
        XCTAssertEqual(it.deviceIndex(named: "b"), 1)
        XCTAssertNil(it.deviceIndex(named: "ab"))
        XCTAssertNil(it.deviceIndex(named: ""))
        XCTAssertEqual(it.devices[0].address, 0x0A00_0002)
        XCTAssertEqual(it.devices[0].prefix, 24)
        XCTAssertTrue(it.devices[0].hasMAC)
        XCTAssertEqual(it.devices[0].mac.0, 2)
        XCTAssertEqual(it.devices[0].mac.5, 10)
        XCTAssertFalse(it.devices[0].printsStatistics)
        XCTAssertEqual(string(it.devices[0].specification), "a")
        XCTAssertEqual(it.devices[1].address, 0)
        XCTAssertFalse(it.devices[1].hasMAC)
        XCTAssertTrue(it.devices[1].printsStatistics)
        XCTAssertEqual(it.statisticsDevices, [1])
        XCTAssertEqual(string(it.devices[1].name), "b")
        XCTAssertEqual(string(it.devices[1].specification), "pcap:in.pcap")
    }

    func testForwardPartners() throws {
        let it = try configuration(
            "mos { netdev { a 1\n b 1\n c 1\n d 1\n }\n nic_forward_table { a b\n c c\n } }")
        XCTAssertEqual((0..<4).map { it.forwardPartner(of: $0) }, [1, 0, 2, nil])
    }

    func testTables() throws {
        let it = try configuration(
            "mos { netdev { a 1 }\n arp_table { 10.1.2.3/24 1:2:3:4:5:ff\n }\n route_table { 10.1.2.3/0 a\n 10.1.2.3 a\n } }")
        XCTAssertEqual(it.arpEntries[0].address, 0x0A01_0200)
        XCTAssertEqual(it.arpEntries[0].prefix, 24)
        XCTAssertEqual(it.arpEntries[0].mac.5, 0xFF)
        XCTAssertEqual(it.routes[0].address, 0)
        XCTAssertEqual(it.routes[0].prefix, 0)
        XCTAssertEqual(it.routes[1].address, 0x0A01_0203)
        XCTAssertEqual(it.routes[1].prefix, 32)
    }

    /// Every key is found under its name, and only in its block.
    func testKeys() {
        for value in 0..<ConfigurationKey.count {
            guard let key = ConfigurationKey(rawValue: value) else {
                XCTFail("\(value)")
                continue
            }
            let other: ConfigurationBlock = key.block == .mos ? .application : .mos
            XCTAssertEqual(ConfigurationKey.named(ConfigurationBytes(key.name), in: key.block), key)
            XCTAssertNil(ConfigurationKey.named(ConfigurationBytes(key.name), in: other))
        }
    }

    func testWarningsAreBounded() {
        let outcome = ConfigurationOutcome(String(repeating: "x = 1\n", count: 1000) + "mos { netdev { a 1 } }")
        XCTAssertNotNil(outcome.configuration)
        XCTAssertEqual(outcome.warnings.count, ConfigurationDiagnostics.limit)
        XCTAssertEqual(outcome.warnings.last, "x.conf:64: unknown key 'x' outside of the blocks")
    }

    func testTableLimits() {
        let routes = { (count: Int) in
            "mos { netdev { a 1 }\nroute_table {\n" + String(repeating: "10.0.0.0/8 a\n", count: count) + "} }"
        }
        XCTAssertEqual(ConfigurationOutcome(routes(1024)).configuration?.routes.count, 1024)
        XCTAssertEqual(
            ConfigurationOutcome(routes(1025)).message, "x.conf:1027: there are more than 1024 entries in route_table")
        let entries = { (count: Int) in
            "mos { netdev { a 1 }\narp_table {\n" + String(repeating: "10.0.0.1 2:0:0:0:0:1\n", count: count) + "} }"
        }
        XCTAssertEqual(ConfigurationOutcome(entries(1024)).configuration?.arpEntries.count, 1024)
        XCTAssertEqual(
            ConfigurationOutcome(entries(1025)).message, "x.conf:1027: there are more than 1024 entries in arp_table")
    }

    func testLineLength() {
        let text = { (length: Int) in "mos { netdev { a 1 }\nmos_log =\(String(repeating: "x", count: length)) # c\n}" }
        // The blank before the comment belongs to the line.
        XCTAssertNotNil(ConfigurationOutcome(text(8190)).configuration)
        XCTAssertEqual(ConfigurationOutcome(text(8191)).message, "x.conf:2: the line is longer than 8191 bytes")
    }
}
