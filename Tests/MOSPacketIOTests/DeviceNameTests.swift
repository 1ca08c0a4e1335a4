import CMOS
import CSys
import MOSPacketIO
import XCTest

/// What a device's name means, and what is said when it means nothing.
final class DeviceNameTests: PortTestCase {
    func testLayoutOfTheInterfaceStructures() {
        XCTAssertEqual(MemoryLayout<mos_io_frame>.size, 40)
        XCTAssertEqual(MemoryLayout<mos_io_info>.size, 32)
        XCTAssertEqual(MemoryLayout<mos_io_stats>.size, 56)
        XCTAssertEqual(MemoryLayout<mos_io_ops>.size, 88)
        XCTAssertEqual(Int32(MOS_IO_END), -1)
        XCTAssertEqual(Int32(MOS_IO_ERROR), -2)
    }

    func testDPDKNameWithoutBackend() {
        let bare = failure("dpdk0")
        XCTAssertEqual(bare.code, ENODEV)
        XCTAssertEqual(
            bare.message,
            "dpdk0: no DPDK backend in this build; name a trace with MOS_NETDEV=\"dpdk0=pcap:FILE\"")
        let full = failure("dpdk:0000:03:00.0")
        XCTAssertEqual(full.code, ENODEV)
        XCTAssertEqual(
            full.message,
            "dpdk:0000:03:00.0: no DPDK backend in this build; name a trace with MOS_NETDEV=\"DEVICE=pcap:FILE\"")
    }

    func testNoSuchInterface() {
        for name in ["nosuchif9", "dpdkx", "trace.pcap", "", "a-name-that-is-longer-than-any-interface"] {
            let failed = failure(name)
            XCTAssertEqual(failed.code, ENODEV)
            XCTAssertEqual(failed.message, "\(name): no such interface; a trace is named pcap:FILE")
        }
        XCTAssertEqual(failure("live:nosuchif9").code, ENODEV)
        XCTAssertEqual(failure("live:nosuchif9").message, "nosuchif9: no such interface")
    }

    func testUnknownSchemeNamesTheKnownOnes() {
        let failed = failure("pcapng:x")
        XCTAssertEqual(failed.code, EINVAL)
        XCTAssertTrue(
            failed.message.hasPrefix("pcapng:x: unknown scheme \"pcapng\"; known are pcap live null"), failed.message)
    }

    func testMessageIsCutToTheBuffer() {
        var message = [CChar](repeating: 88, count: 10)
        XCTAssertThrowsError(
            try message.withUnsafeMutableBufferPointer { buffer throws(PortError) in
                _ = try Port.open(spec: "nosuchinterface", queues: 1, error: buffer.baseAddress, errorSize: 8)
            })
        XCTAssertEqual(String(cString: message), "nosuchi")
        XCTAssertEqual(message[8], 88)
        XCTAssertThrowsError(try Port.open(spec: "nosuchinterface", queues: 1, error: nil, errorSize: 0))
    }

    func testBadOptions() {
        write("a.pcap", TraceBytes.pcap().bytes)
        let file = path("a.pcap")
        for (option, reason) in [
            ("speed=0", "speed= takes a number above 0"), ("speed=-1", "speed= takes a number above 0"),
            ("speed=fast", "speed= takes a number above 0"), ("speed=", "speed= takes a number above 0"),
            ("speed=1.", nil), ("speed=.5", nil), ("speed=1.5.2", "speed= takes a number above 0"),
            ("speed=.", "speed= takes a number above 0"),
            ("loop=0", "loop= takes a whole number from 1"), ("loop=x", "loop= takes a whole number from 1"),
            ("loop=99999999999999999999", "loop= takes a whole number from 1"),
            ("out=", "out= takes a file"), ("looop=2", "known are out= speed= loop=; a comma in a name is written \\,"),
            ("x", "known are out= speed= loop=; a comma in a name is written \\,"),
        ] as [(String, String?)] {
            guard let reason else {
                XCTAssertNoThrow(try open("pcap:\(file),\(option)").close())
                continue
            }
            let failed = failure("pcap:\(file),\(option)")
            XCTAssertEqual(failed.code, EINVAL)
            XCTAssertEqual(failed.message, "\(file): bad option \"\(option)\": \(reason)")
        }
        XCTAssertEqual(failure("pcap:").code, EINVAL)
        XCTAssertEqual(
            failure("pcap:,out=x").message, "pcap: no file named; write pcap:FILE, or pcap:- for standard input")
        XCTAssertEqual(failure("null:x").message, "null:x: null: takes no options")
        XCTAssertEqual(failure("live:").code, EINVAL)
        XCTAssertEqual(
            failure("live:lo,buffer=1").message,
            "lo: bad option \"buffer=1\": known is buffer= with bytes from 64K to below 2G")
        XCTAssertEqual(failure("live:lo,promisc=1").code, EINVAL)
    }

    func testFilesThatCannotBeRead() {
        XCTAssertEqual(failure("pcap:\(path("none"))").code, ENOENT)
        XCTAssertEqual(failure("pcap:\(path("none"))").message, "\(path("none")): No such file or directory")
        XCTAssertEqual(failure("pcap:\(folder)").code, EISDIR)
        write("empty", [])
        XCTAssertEqual(failure("pcap:\(path("empty"))").code, EINVAL)
        XCTAssertTrue(failure("pcap:\(path("empty"))").message.hasPrefix("\(path("empty")): "))
        write("text", Array("this is not a capture file at all\n".utf8))
        XCTAssertEqual(failure("pcap:\(path("text"))").code, EINVAL)
        XCTAssertTrue(failure("pcap:\(path("text"))").message.contains("unknown file format"))
    }

    func testLinkTypeThatCarriesNoIP() {
        write("wifi.pcap", TraceBytes.pcap(link: 105).bytes)
        let failed = failure("pcap:\(path("wifi.pcap"))")
        XCTAssertEqual(failed.code, ENOTSUP)
        XCTAssertTrue(failed.message.contains("link type IEEE802_11 is not supported"), failed.message)
    }

    func testOutputThatCannotBeWritten() {
        write("a.pcap", TraceBytes.pcap().bytes)
        let file = path("a.pcap")
        XCTAssertEqual(failure("pcap:\(file),out=\(folder)/no/such/x.pcap").code, ENOENT)
        XCTAssertEqual(failure("pcap:\(file),out=\(file)").code, EINVAL)
        XCTAssertEqual(failure("pcap:\(file),out=\(file)").message, "\(file): out= names the trace that is read")
        XCTAssertEqual(read("a.pcap"), TraceBytes.pcap().bytes, "the trace is untouched")
        // A bad input makes no output.
        XCTAssertEqual(failure("pcap:\(path("none")),out=\(path("out.pcap"))").code, ENOENT)
        XCTAssertFalse(FileManager.default.fileExists(atPath: path("out.pcap")))
    }

    /// What a configuration is told before anything is opened.
    func testNamesAreCheckedWithoutOpening() throws {
        func check(_ spec: String) throws -> DeviceCheck {
            var message = [CChar](repeating: 1, count: 300)
            do {
                return try message.withUnsafeMutableBufferPointer { buffer throws(PortError) in
                    try Port.check(spec: spec, error: buffer.baseAddress, errorSize: buffer.count)
                }
            } catch {
                throw OpenFailure(code: error.code, message: String(cString: message))
            }
        }
        for spec in ["pcap:/no/such,out=/no/such/x,speed=2,loop=3", "live:nosuchif9,buffer=1M", "null:", "eth0", "dpdk0", "dpdk:x"] {
            XCTAssertEqual(try check(spec), .fine, spec)
        }
        XCTAssertEqual(try check("pcap:-,out=x"), .readsStandardInput)
        XCTAssertEqual(try check("nosuch:x,y=z"), .unknownScheme)
        for spec in ["pcap:x,speed=foo", "pcap:", "pcap:x,y", "live:", "live:lo,buffer=1", "null:x"] {
            XCTAssertThrowsError(try check(spec), spec) {
                let opened = failure(spec)
                XCTAssertEqual(($0 as? OpenFailure)?.code, EINVAL, spec)
                XCTAssertEqual(($0 as? OpenFailure)?.message, opened.message, spec)
            }
        }
    }

    func testCommasInNames() throws {
        var file = TraceBytes.pcap()
        file.record(1, 0, frame(1))
        write("a,b.pcap", file.bytes)
        write("c\\d", file.bytes)
        XCTAssertEqual(failure("pcap:\(path("a,b.pcap"))").code, EINVAL)
        XCTAssertEqual(try readAll("pcap:\(path("a\\,b.pcap"))").count, 1)
        XCTAssertEqual(try readAll("pcap:\(path("c\\d"))").count, 1, "a backslash elsewhere is one")
        try open("pcap:\(path("a\\,b.pcap")),out=\(path("x\\,\\,y")),speed=9").close()
        XCTAssertEqual(read("x,,y").count, 24)
        XCTAssertEqual(failure("pcap:\(path("a\\,b"))").message, "\(path("a,b")): No such file or directory")
    }

    /// No device may write what another one reads or writes, in any order, and
    /// then no file is touched.
    func testClashesOfFiles() throws {
        var file = TraceBytes.pcap()
        file.record(1, 0, frame(1))
        for name in ["a", "b", "old"] { write(name, file.bytes) }
        XCTAssertEqual(link(path("b"), path("b2")), 0)
        let (a, b, b2) = ("pcap:\(path("a"))", "pcap:\(path("b"))", "pcap:\(path("b2"))")
        for (specs, name, reason) in [
            ([a + ",out=\(path("b2"))", b], "b2", "out= names a trace that another device reads"),
            ([b, "null:", a + ",out=\(path("b2"))"], "b2", "out= names a trace that another device reads"),
            ([a + ",out=\(path("old"))", b2 + ",out=\(path("b"))"], "b", "out= names the trace that is read"),
            ([a + ",out=\(path("old"))", b + ",out=\(path("./old"))"], "./old", "two devices have this out="),
            ([a + ",out=\(path("new"))", a + ",out=\(path("./new"))"], "./new", "two devices have this out="),
        ] {
            let ports = try specs.map { try openOnly($0) }
            XCTAssertThrowsError(try begin(ports), specs.joined(separator: " ")) {
                XCTAssertEqual(($0 as? OpenFailure)?.code, EINVAL)
                XCTAssertEqual(($0 as? OpenFailure)?.message, "\(path(name)): \(reason)")
            }
            ports.forEach { $0.close() }
            for name in ["a", "b", "old"] { XCTAssertEqual(read(name), file.bytes, name) }
        }
        // One trace may be read twice; /dev/null bears two writers.
        let fine = try [a + ",out=/dev/null", a + ",out=/dev/null", b + ",out=\(path("old"))"].map { try openOnly($0) }
        XCTAssertNoThrow(try begin(fine))
        fine.forEach { $0.close() }
        XCTAssertEqual(read("old").count, 24)
    }

    func testNullGivesNothingAndCounts() throws {
        let port = try open("null:", queues: 3)
        defer { port.close() }
        XCTAssertEqual(port.info.num_queues, 3)
        XCTAssertEqual(receive(port).result, Int32(MOS_IO_END))
        let room = try XCTUnwrap(port.transmitFrame(queue: 2, length: 100))
        memset(room, 1, 100)
        XCTAssertEqual(port.send(queue: 2, frame: room, length: 90, time: 1), 0)
        var bytes = frame(1)
        bytes.withUnsafeMutableBufferPointer {
            var received = mos_io_frame()
            received.data = UnsafePointer($0.baseAddress)
            received.len = 60
            received.wire_len = 60
            XCTAssertEqual(port.forward(queue: 0, frame: &received), 0)
        }
        XCTAssertNil(port.transmitFrame(queue: 3, length: 100))
        XCTAssertNil(port.transmitFrame(queue: 0, length: 1 << 20))
        port.flush(queue: 0)
        let stats = port.statistics()
        XCTAssertEqual(stats.tx_packets, 2)
        XCTAssertEqual(stats.tx_bytes, 150)
        XCTAssertEqual(stats.tx_drops, 2)
    }
}
