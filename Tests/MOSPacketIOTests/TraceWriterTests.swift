import CMOS
import CSys
import MOSPacketIO
import XCTest

/// `out=` files.
final class TraceWriterTests: PortTestCase {
    private func forwardAll(_ port: Port) -> [Int32] {
        var codes: [Int32] = []
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
        while true {
            let n = port.receive(queue: 0, into: &frames, max: 64)
            if n < 0 { return codes }
            for i in 0..<Int(n) { codes.append(port.forward(queue: 0, frame: &frames[i])) }
            port.flush(queue: 0)
        }
    }

    func testForwardedTraceIsTheSameTrace() throws {
        var file = TraceBytes.pcap(magic: TraceBytes.nano)
        for i in 0..<200 { file.record(UInt32(i), 123_456_789, frame(i, size: 60 + i), original: 300) }
        write("in.pcap", file.bytes)
        let port = try open("pcap:\(path("in.pcap")),out=\(path("out.pcap"))")
        XCTAssertEqual(forwardAll(port), [Int32](repeating: 0, count: 200))
        let stats = port.statistics()
        XCTAssertEqual(stats.tx_packets, 200)
        XCTAssertEqual(stats.tx_bytes, stats.tx_packets * 60 + UInt64((0..<200).reduce(0, +)))
        // It is all there before the port is closed.
        XCTAssertEqual(try readAll("pcap:\(path("out.pcap"))").count, 200)
        port.close()
        XCTAssertEqual(read("out.pcap"), file.bytes, "byte for byte")
    }

    func testFramesThatTheStackMakes() throws {
        write("in.pcap", TraceBytes.pcap().bytes)
        write("out.pcap", [UInt8](repeating: 1, count: 100_000))  // what was there before goes away
        let port = try open("pcap:\(path("in.pcap")),out=\(path("out.pcap"))", queues: 2)
        for i in 0..<10 {
            let bytes = frame(i, size: 60 + 1000 * i)
            let queue = UInt32(i % 2)
            let room = try XCTUnwrap(port.transmitFrame(queue: queue, length: UInt32(bytes.count + 50)))
            room.update(from: bytes, count: bytes.count)
            XCTAssertEqual(
                port.send(queue: queue, frame: room, length: UInt32(bytes.count), time: UInt64(i) * 1_000_000_007), 0)
        }
        var stray: UInt8 = 0
        XCTAssertEqual(port.send(queue: 0, frame: &stray, length: 1, time: 0), EINVAL)
        XCTAssertNil(port.transmitFrame(queue: 2, length: 60))
        XCTAssertEqual(port.statistics().tx_packets, 0, "not before the flush")
        port.flush(queue: 1)
        XCTAssertEqual(port.statistics().tx_packets, 10)
        XCTAssertEqual(port.statistics().tx_drops, 2)
        port.close()
        XCTAssertEqual(
            try readAll("pcap:\(path("out.pcap"))"),
            (0..<10).map {
                Received(
                    bytes: frame($0, size: 60 + 1000 * $0), wireLength: 60 + 1000 * $0, time: UInt64($0) * 1_000_000_007
                )
            })
    }

    func testClosingFlushesAndAnEmptyOutputIsATrace() throws {
        write("in.pcap", TraceBytes.pcap().bytes)
        let empty = try open("pcap:\(path("in.pcap")),out=\(path("empty.pcap"))")
        empty.close()
        XCTAssertEqual(try readAll("pcap:\(path("empty.pcap"))"), [])
        let one = try open("pcap:\(path("in.pcap")),out=\(path("one.pcap"))")
        let room = try XCTUnwrap(one.transmitFrame(queue: 0, length: 60))
        room.update(from: frame(5), count: 60)
        XCTAssertEqual(one.send(queue: 0, frame: room, length: 60, time: 5), 0)
        one.close()
        XCTAssertEqual(try readAll("pcap:\(path("one.pcap"))").map(\.bytes), [frame(5)])
        XCTAssertEqual(log, [])
    }

    func testRawIPLeavesAsEthernet() throws {
        var file = TraceBytes.pcap(link: 101)
        file.record(1, 0, [0x45] + [UInt8](repeating: 0, count: 39))
        write("in.pcap", file.bytes)
        let port = try open("pcap:\(path("in.pcap")),out=\(path("out.pcap"))")
        XCTAssertEqual(forwardAll(port), [0])
        port.close()
        XCTAssertEqual(try readAll("pcap:\(path("out.pcap"))").map(\.bytes.count), [54])
    }

    func testFullDiskCountsDropsAndSaysSoOnce() throws {
        guard FileManager.default.fileExists(atPath: "/dev/full") else { throw XCTSkip("no /dev/full") }
        var file = TraceBytes.pcap()
        for i in 0..<300 { file.record(UInt32(i), 0, frame(i, size: 1500)) }
        write("in.pcap", file.bytes)
        let port = try open("pcap:\(path("in.pcap")),out=/dev/full")
        let codes = forwardAll(port)
        XCTAssertEqual(codes.count, 300)
        XCTAssertEqual(codes.last, EIO)
        let stats = port.statistics()
        XCTAssertEqual(stats.tx_packets, 0)
        XCTAssertEqual(stats.tx_drops, 300)
        port.close()
        XCTAssertEqual(log, ["/dev/full: writing stopped: No space left on device"])
    }

    func testWithoutOutputFramesAreCounted() throws {
        var file = TraceBytes.pcap()
        for i in 0..<5 { file.record(UInt32(i), 0, frame(i)) }
        write("in.pcap", file.bytes)
        let port = try open("pcap:\(path("in.pcap"))")
        defer { port.close() }
        XCTAssertEqual(forwardAll(port), [0, 0, 0, 0, 0])
        XCTAssertEqual(port.statistics().tx_packets, 5)
        XCTAssertEqual(port.statistics().tx_bytes, 300)
    }

    func testSeveralContextsWriteOneFile() throws {
        write("in.pcap", TraceBytes.pcap().bytes)
        let port = try open("pcap:\(path("in.pcap")),out=\(path("out.pcap"))", queues: 4)
        let done = DispatchGroup()
        for queue in 0..<4 {
            done.enter()
            Thread {
                for i in 0..<500 {
                    guard let room = port.transmitFrame(queue: UInt32(queue), length: 100) else { continue }
                    let bytes = frame(queue * 1000 + i, size: 100)
                    room.update(from: bytes, count: 100)
                    _ = port.send(queue: UInt32(queue), frame: room, length: 100, time: UInt64(i))
                    if i % 64 == 63 { port.flush(queue: UInt32(queue)) }
                    _ = port.statistics()
                }
                done.leave()
            }.start()
        }
        XCTAssertEqual(done.wait(timeout: .now() + 60), .success)
        port.close()
        let frames = try readAll("pcap:\(path("out.pcap"))")
        XCTAssertEqual(frames.count, 2000)
        for queue in 0..<4 {
            XCTAssertEqual(
                frames.map { number(of: $0.bytes) }.filter { $0 / 1000 == queue }, (0..<500).map { queue * 1000 + $0 })
        }
        for frame in frames { XCTAssertEqual(Set(frame.bytes.dropFirst(18)).count, 1) }
    }
}
