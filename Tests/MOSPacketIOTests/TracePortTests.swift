import CMOS
import CSys
import MOSPacketIO
import XCTest

/// Reading trace files.
final class TracePortTests: PortTestCase {
    func testOrdersAndPrecisions() throws {
        for order in [TraceBytes.Order.little, .big] {
            for (magic, scale) in [(TraceBytes.micro, UInt64(1000)), (TraceBytes.nano, 1)] {
                var file = TraceBytes.pcap(order, magic: magic)
                file.record(1_700_000_000, 123_456, frame(1))
                file.record(1_700_000_001, 999_999, frame(2, size: 1514))
                // After 2038, and the last moment of 32 bits.
                file.record(0x8000_0000, 0, frame(3))
                file.record(0xFFFF_FFFF, 1, frame(4))
                write("a.pcap", file.bytes)
                let frames = try readAll("pcap:\(path("a.pcap"))")
                XCTAssertEqual(
                    frames,
                    [
                        Received(bytes: frame(1), wireLength: 60, time: 1_700_000_000_000_000_000 + 123_456 * scale),
                        Received(
                            bytes: frame(2, size: 1514), wireLength: 1514,
                            time: 1_700_000_001_000_000_000 + 999_999 * scale),
                        Received(bytes: frame(3), wireLength: 60, time: 0x8000_0000 * 1_000_000_000),
                        Received(bytes: frame(4), wireLength: 60, time: 0xFFFF_FFFF * 1_000_000_000 + scale),
                    ])
            }
        }
        XCTAssertEqual(log, [])
    }

    func testPcapng() throws {
        for order in [TraceBytes.Order.little, .big] {
            for (resolution, scale) in [(UInt8?.none, UInt64(1000)), (9, 1), (6, 1000), (3, 1_000_000)] {
                var file = TraceBytes.pcapng(order, resolution: resolution)
                let ticks = 1_700_000_000_123_456_789 / scale
                file.enhancedPacket(ticks, frame(1, size: 61))
                file.block(5) {
                    $0.put32(0)
                    $0.put32(0)
                    $0.put32(0)
                }  // statistics, to be passed over
                file.enhancedPacket(ticks + 1, frame(2))
                write("a.pcapng", file.bytes)
                let frames = try readAll("pcap:\(path("a.pcapng"))")
                XCTAssertEqual(frames.map(\.bytes), [frame(1, size: 61), frame(2)])
                XCTAssertEqual(frames.map(\.time), [ticks * scale, (ticks + 1) * scale])
            }
        }
    }

    func testInfoStatisticsAndTheEnd() throws {
        var file = TraceBytes.pcap()
        for i in 0..<130 { file.record(UInt32(i), 0, frame(i), original: 100) }
        write("a.pcap", file.bytes)
        var port = try open("pcap:\(path("a.pcap"))", queues: 4)
        defer { port.close() }
        port.index = 7
        XCTAssertEqual(port.info.num_queues, 1)
        XCTAssertEqual(port.info.is_trace, 1)
        XCTAssertEqual(port.info.has_mac, 0)
        XCTAssertEqual(port.waitDescriptor(queue: 0), -1)
        var sizes: [Int32] = []
        while true {
            let (frames, n) = receive(port)
            sizes.append(n)
            XCTAssertTrue(frames.allSatisfy { $0.port == 7 })
            if n < 0 { break }
        }
        XCTAssertEqual(sizes, [64, 64, 2, Int32(MOS_IO_END)])
        XCTAssertEqual(receive(port).result, Int32(MOS_IO_END))
        let stats = port.statistics()
        XCTAssertEqual(stats.rx_packets, 130)
        XCTAssertEqual(stats.rx_bytes, 13000)
        XCTAssertEqual(stats.rx_errors, 0)
        XCTAssertEqual(stats.rx_drops, 0)
    }

    func testFramesOfOneBurstStayValidWhileTheArenaGrows() throws {
        var file = TraceBytes.pcap()
        var expected: [[UInt8]] = []
        for i in 0..<64 { expected.append(frame(i, size: 18 + i * 1000)) }
        for bytes in expected { file.record(0, 0, bytes) }
        write("a.pcap", file.bytes)
        let port = try open("pcap:\(path("a.pcap"))")
        defer { port.close() }
        let (frames, n) = receive(port)
        XCTAssertEqual(n, 64)
        XCTAssertEqual(frames.map(\.bytes), expected)
    }

    func testSnaplenCutsAndOddLengths() throws {
        var file = TraceBytes.pcap(snaplen: 64)
        file.record(1, 0, Array(frame(1).prefix(54)), original: 1514)
        file.record(2, 0, frame(2, size: 100), original: 100)  // longer than the header's snaplen
        file.record(3, 0, frame(3), original: 10)  // a wire length below the captured one
        file.record(4, 0, [], original: 60)
        file.record(5, 0, [1, 2, 3], original: 3)
        write("a.pcap", file.bytes)
        let frames = try readAll("pcap:\(path("a.pcap"))")
        XCTAssertEqual(frames.map(\.bytes.count), [54, 64, 60, 0, 3])
        XCTAssertEqual(frames.map(\.wireLength), [1514, 100, 60, 60, 3])
    }

    func testWireLengthDoesNotOverflow() throws {
        var file = TraceBytes.pcap(link: 101)
        file.record(1, 0, [0x45] + [UInt8](repeating: 0, count: 39), original: 0xFFFF_FFFF)
        write("a.pcap", file.bytes)
        XCTAssertEqual(try readAll("pcap:\(path("a.pcap"))").map(\.wireLength), [0xFFFF_FFFF])
    }

    func testTruncatedFileGivesWhatIsThere() throws {
        var file = TraceBytes.pcap()
        for i in 0..<3 { file.record(UInt32(i), 0, frame(i)) }
        for cut in [1, 50, 60, 61, 75] {
            write("cut.pcap", Array(file.bytes.dropLast(cut)))
            let port = try open("pcap:\(path("cut.pcap"))")
            let logged = log.count
            let (frames, end) = readAll(port)
            XCTAssertEqual(frames.map { number(of: $0.bytes) }, [0, 1])
            XCTAssertEqual(end, Int32(MOS_IO_END))
            XCTAssertEqual(port.statistics().rx_errors, 1)
            XCTAssertEqual(log.count, logged + 1)
            XCTAssertTrue(log.last?.hasPrefix("\(path("cut.pcap")): truncated dump file") ?? false, "\(log)")
            port.close()
        }
    }

    func testCorruptLengthEndsTheFile() throws {
        var file = TraceBytes.pcap()
        file.record(0, 0, frame(0))
        file.put32(1)
        file.put32(0)
        file.put32(0x7FFF_FFFF)
        file.put32(60)
        file.bytes += [UInt8](repeating: 0, count: 200)
        write("bad.pcap", file.bytes)
        let port = try open("pcap:\(path("bad.pcap"))")
        defer { port.close() }
        let (frames, end) = readAll(port)
        XCTAssertEqual(frames.count, 1)
        XCTAssertEqual(end, Int32(MOS_IO_END))
        XCTAssertEqual(port.statistics().rx_errors, 1)
        XCTAssertEqual(log.count, 1)
    }

    func testFuzzedFilesNeverTrap() throws {
        var random = SystemRandomNumberGenerator()
        var seed = random.next()
        print("fuzz seed \(seed)")
        func next() -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return seed >> 33
        }
        var classic = TraceBytes.pcap(link: 113)
        var blocks = TraceBytes.pcapng(.big)
        for i in 0..<20 {
            classic.record(UInt32(i), 0, frame(i, size: 40 + i))
            blocks.enhancedPacket(UInt64(i), frame(i, size: 40 + i))
        }
        for round in 0..<400 {
            var bytes = round % 2 == 0 ? classic.bytes : blocks.bytes
            for _ in 0..<(1 + next() % 8) {
                bytes[Int(next()) % bytes.count] = UInt8(truncatingIfNeeded: next())
            }
            if next() % 4 == 0 { bytes.removeLast(Int(next()) % bytes.count) }
            write("fuzz", bytes)
            guard let port = try? open("pcap:\(path("fuzz")),loop=2,out=\(path("fuzz-out"))") else { continue }
            let (frames, end) = readAll(port)
            XCTAssertEqual(end, Int32(MOS_IO_END))
            XCTAssertLessThan(frames.count, 1000)
            port.close()
        }
    }

    func testLoopMovesTheClockOn() throws {
        var file = TraceBytes.pcap()
        file.record(10, 0, frame(0))
        file.record(10, 500_000, frame(1))
        file.record(12, 0, frame(2))
        write("a.pcap", file.bytes)
        let frames = try readAll("pcap:\(path("a.pcap")),loop=3")
        XCTAssertEqual(frames.map { number(of: $0.bytes) }, [0, 1, 2, 0, 1, 2, 0, 1, 2])
        let pass = [10_000_000_000, 10_500_000_000, 12_000_000_000] as [UInt64]
        XCTAssertEqual(
            frames.map(\.time), pass + pass.map { $0 + 2_001_000_000 } + pass.map { $0 + 4_002_000_000 })
    }

    func testLoopOverATruncatedFileSaysSoOnce() throws {
        var file = TraceBytes.pcap()
        for i in 0..<3 { file.record(UInt32(i), 0, frame(i)) }
        write("cut.pcap", Array(file.bytes.dropLast(5)))
        let port = try open("pcap:\(path("cut.pcap")),loop=4")
        defer { port.close() }
        XCTAssertEqual(readAll(port).frames.count, 8)
        XCTAssertEqual(port.statistics().rx_errors, 4)
        XCTAssertEqual(log.count, 1)
    }

    func testLoopOverAnEmptyTraceEnds() throws {
        write("a.pcap", TraceBytes.pcap().bytes)
        XCTAssertEqual(try readAll("pcap:\(path("a.pcap")),loop=1000000000000"), [])
    }

    func testSpeedPaces() throws {
        var file = TraceBytes.pcap()
        for i in 0..<5 { file.record(100, UInt32(i) * 100_000, frame(i)) }
        write("a.pcap", file.bytes)
        // 400 ms of trace at four times the speed.
        let port = try open("pcap:\(path("a.pcap")),speed=4")
        defer { port.close() }
        let start = Date()
        let first = receive(port)
        XCTAssertEqual(first.frames.map { number(of: $0.bytes) }, [0])
        let early = receive(port)
        XCTAssertEqual(early.result, 0)
        // The descriptor wakes when the next one is due, not before.
        var poller = pollfd(fd: port.waitDescriptor(queue: 0), events: Int16(POLLIN), revents: 0)
        XCTAssertGreaterThanOrEqual(poller.fd, 0)
        XCTAssertEqual(poll(&poller, 1, 2000), 1)
        XCTAssertGreaterThan(Date().timeIntervalSince(start), 0.024)
        XCTAssertEqual(receive(port).frames.map { number(of: $0.bytes) }, [1])
        let rest = readAll(port)
        XCTAssertEqual(rest.frames.map { number(of: $0.bytes) }, [2, 3, 4])
        XCTAssertEqual(rest.frames.last?.time, 100_400_000_000)
        let took = Date().timeIntervalSince(start)
        XCTAssertGreaterThan(took, 0.099)
        XCTAssertLessThan(took, 5)
    }

    func testSharedTracesOpen() throws {
        // As the suites have it: MOS_SHARED, or beside the checkout.
        let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let shared = ProcessInfo.processInfo.environment["MOS_SHARED"].map { URL(fileURLWithPath: $0) }
            ?? top.deletingLastPathComponent().appendingPathComponent("shared")
        let root = shared.appendingPathComponent("traces").path
        guard let walk = FileManager.default.enumerator(atPath: root) else { throw XCTSkip("no \(root) here") }
        let capinfos = "/usr/bin/capinfos"
        var opened = 0
        var refused = 0
        var compared = 0
        for case let name as String in walk {
            let file = "\(root)/\(name)"
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder.boolValue else {
                continue
            }
            let port: Port
            do {
                port = try open("pcap:\(file)")
            } catch let failed as OpenFailure {
                refused += 1
                XCTAssertTrue(failed.message.hasPrefix("\(file): "), failed.message)
                print("refused \(failed.message)")
                continue
            }
            opened += 1
            let (frames, end) = readAll(port)
            XCTAssertEqual(end, Int32(MOS_IO_END), name)
            let stats = port.statistics()
            port.close()
            guard FileManager.default.isExecutableFile(atPath: capinfos) else { continue }
            let tool = Process()
            let pipe = Pipe()
            tool.executableURL = URL(fileURLWithPath: capinfos)
            tool.arguments = ["-rcMT", file]
            tool.standardOutput = pipe
            tool.standardError = FileHandle.nullDevice
            try tool.run()
            let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            tool.waitUntilExit()
            guard tool.terminationStatus == 0,
                let count = text.split(whereSeparator: { $0 == "\t" || $0 == "\n" }).last.flatMap({ Int($0) })
            else { continue }
            // A pcapng file whose interfaces have different link types is beyond libpcap.
            if let line = log.last, line.hasPrefix(file),
                line.hasSuffix("different from the type of the first interface")
            {
                print("cut short \(line)")
                continue
            }
            compared += 1
            XCTAssertEqual(frames.count + Int(stats.rx_errors + stats.rx_drops), count, name)
        }
        print("traces: \(opened) opened, \(refused) refused, \(compared) counted by capinfos as by us")
        XCTAssertGreaterThan(opened, 0)
    }
}
