import CMOS
import XCTest

@testable import MOSStack

/// `struct mtcp_conf`: `mtcp_getconf` and `mtcp_setconf`.
final class ConfigurationInterchangeTests: XCTestCase {
    private func configuration(_ text: String) throws -> Configuration {
        let outcome = ConfigurationOutcome(text)
        return try XCTUnwrap(outcome.configuration, outcome.message)
    }

    private let text = """
        application { type = end
            run = epserver -p "my www"
            core_mask = 0x5 }
        application { }
        mos { netdev {
            dpdk0 0x5
            dpdk1 0x6 }
            max_concurrency = 1000
            rmem_size = 4096
            wmem_size = 2048
            tcp_tw_interval = 7
            tcp_timeout = 11
        }
        """

    func testFill() throws {
        let configuration = try configuration(text)
        var conf = mtcp_conf()
        memset(&conf, 0xFF, MemoryLayout<mtcp_conf>.size)
        configuration.fill(&conf)
        XCTAssertEqual(conf.num_cores, 3)
        XCTAssertEqual(conf.max_concurrency, 1000)
        XCTAssertEqual(conf.cpu_mask, 7)
        XCTAssertEqual(conf.max_num_buffers, 1000)
        XCTAssertEqual(conf.rcvbuf_size, 4096)
        XCTAssertEqual(conf.sndbuf_size, 2048)
        XCTAssertEqual(conf.tcp_timewait, 7)
        XCTAssertEqual(conf.tcp_timeout, 11)
        XCTAssertEqual(conf.num_app, 2)
        XCTAssertEqual(conf.app_argc.0, 3)
        XCTAssertEqual(conf.app_argc.1, 0)
        XCTAssertEqual(conf.app_cpu_mask.0, 5)
        XCTAssertEqual(conf.app_cpu_mask.1, 0xFF)
        XCTAssertEqual(conf.app_cpu_mask.2, 0)
        XCTAssertEqual(string(UnsafePointer(conf.app_argv.0.0)), "epserver")
        XCTAssertEqual(string(UnsafePointer(conf.app_argv.0.2)), "my www")
        XCTAssertNil(conf.app_argv.0.3)
        XCTAssertNil(conf.app_argv.1.0)
        XCTAssertNil(conf.app_argv.19.19)
    }

    /// 20 applications of 20 words fill the structure's arrays and no more.
    func testFillToTheBrim() throws {
        let words = (0..<20).map { "w\($0)" }.joined(separator: " ")
        let blocks = String(repeating: "application { run = \(words) }\n", count: 20)
        let configuration = try configuration(blocks + "mos { netdev { d 1 } }")
        let conf = UnsafeMutablePointer<mtcp_conf>.allocate(capacity: 2)
        defer { conf.deallocate() }
        memset(conf, 0x5A, 2 * MemoryLayout<mtcp_conf>.size)
        configuration.fill(conf)
        XCTAssertEqual(conf[0].num_app, 20)
        XCTAssertEqual(conf[0].app_argc.19, 20)
        XCTAssertEqual(string(UnsafePointer(conf[0].app_argv.19.19)), "w19")
        XCTAssertEqual(string(UnsafePointer(conf[0].app_argv.1.0)), "w0")
        let behind = UnsafeRawBufferPointer(start: conf + 1, count: MemoryLayout<mtcp_conf>.size)
        XCTAssertTrue(behind.allSatisfy { $0 == 0x5A })
    }

    func testApply() throws {
        var configuration = try configuration(text)
        var conf = mtcp_conf()
        configuration.fill(&conf)
        conf.num_cores = 1
        conf.max_concurrency = 5
        conf.rcvbuf_size = 4 << 20
        conf.sndbuf_size = 6
        conf.tcp_timewait = 0
        conf.tcp_timeout = -1
        conf.cpu_mask = 0xFFFF
        conf.num_app = -1
        try configuration.apply(&conf)
        XCTAssertEqual(configuration.coreCount, 1)
        XCTAssertEqual(configuration.maxConcurrency, 5)
        XCTAssertEqual(configuration.rmemSize, 4 << 20)
        XCTAssertEqual(configuration.rmemMax, 4 << 20)
        XCTAssertEqual(configuration.wmemSize, 6)
        XCTAssertEqual(configuration.timeWaitSeconds, 0)
        XCTAssertEqual(configuration.idleTimeoutSeconds, -1)
        XCTAssertEqual(configuration.cpuMask, 7)
        XCTAssertEqual(configuration.applications.count, 2)
    }

    /// Programs clear the structure and set what they care for.
    func testApplyKeepsWhatIsNotSaid() throws {
        for number: Int32 in [0, -1, -2, .min] {
            var configuration = try configuration(text)
            var conf = mtcp_conf()
            conf.num_cores = number
            conf.max_concurrency = number
            conf.rcvbuf_size = number
            conf.sndbuf_size = number
            conf.tcp_timewait = number
            conf.tcp_timeout = number
            try configuration.apply(&conf)
            XCTAssertEqual(configuration.coreCount, 3)
            XCTAssertEqual(configuration.maxConcurrency, 1000)
            XCTAssertEqual(configuration.rmemSize, 4096)
            XCTAssertEqual(configuration.wmemSize, 2048)
            // 0 seconds in TIME_WAIT, and -1 for never, mean something.
            XCTAssertEqual(configuration.timeWaitSeconds, number == 0 ? 0 : 7)
            XCTAssertEqual(configuration.idleTimeoutSeconds, number == -1 ? -1 : 11)
        }
    }

    func testApplyRefusesWhatIsTooLarge() throws {
        let changes: [(String, WritableKeyPath<mtcp_conf, Int32>, [Int32])] = [
            ("num_cores", \.num_cores, [9, .max]),
            ("max_concurrency", \.max_concurrency, [.max]),
            ("rcvbuf_size", \.rcvbuf_size, [.max]),
            ("sndbuf_size", \.sndbuf_size, [.max]),
        ]
        for (name, field, values) in changes {
            for value in values {
                var configuration = try configuration(text)
                let before = string(configuration.dump())
                var conf = mtcp_conf()
                configuration.fill(&conf)
                conf.tcp_timeout = 5
                conf[keyPath: field] = value
                do throws(ConfigurationError) {
                    try configuration.apply(&conf)
                    XCTFail("\(name) = \(value) was taken")
                } catch {
                    XCTAssertEqual(errnoName(error.code), "EINVAL")
                    XCTAssertTrue(string(error.message).hasPrefix("mtcp_setconf:0: \(name) takes"), string(error.message))
                }
                XCTAssertEqual(string(configuration.dump()), before)
            }
        }
    }

    /// The strings outlive the first of two copies.
    func testCopiesShareTheStrings() throws {
        var first: Configuration? = try configuration(text)
        let second = first
        first = nil
        var conf = mtcp_conf()
        try XCTUnwrap(second).fill(&conf)
        XCTAssertEqual(string(UnsafePointer(conf.app_argv.0.1)), "-p")
    }
}

