import CMOS
import CSys
import MOSPacketIO
import XCTest

/// One trace read by several contexts.
final class SharedSourceTests: PortTestCase {
    /// The number in the frame decides.
    private static let byNumber: SharedSource.Index = { data, length, queues in
        guard length >= 18 else { return 0 }
        return (UInt32(data[16]) << 8 | UInt32(data[17])) % queues
    }

    private func trace(_ count: Int, size: (Int) -> Int = { 60 + $0 % 1000 }) throws -> Port {
        var file = TraceBytes.pcap()
        for i in 0..<count { file.record(UInt32(i), 0, frame(i, size: size(i))) }
        write("shared.pcap", file.bytes)
        return try open("pcap:\(path("shared.pcap"))", queues: 4)
    }

    private func drain(_ source: SharedSource, _ queue: UInt32, slow: Bool = false) -> [Int] {
        var numbers: [Int] = []
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
        while true {
            let n = source.receive(queue: queue, into: &frames, max: 64)
            if n < 0 { return numbers }
            if slow, n > 0 { usleep(500) }
            for i in 0..<Int(n) {
                let bytes = UnsafeBufferPointer(start: frames[i].data, count: Int(frames[i].len))
                XCTAssertNil(frames[i].cookie)
                numbers.append(number(of: Array(bytes)))
            }
        }
    }

    private func parallel(_ queues: Int, _ body: @escaping @Sendable (UInt32) -> [Int]) -> [[Int]] {
        nonisolated(unsafe) var results = [[Int]](repeating: [], count: queues)
        let lock = NSLock()
        let done = DispatchGroup()
        // Threads of their own: concurrentPerform runs no more than there are CPUs.
        for queue in 0..<queues {
            done.enter()
            Thread {
                let numbers = body(UInt32(queue))
                lock.lock()
                results[queue] = numbers
                lock.unlock()
                done.leave()
            }.start()
        }
        XCTAssertEqual(done.wait(timeout: .now() + 60), .success, "stuck")
        lock.lock()
        defer { lock.unlock() }
        return results
    }

    func testOneThreadForAll() throws {
        let port = try trace(300)
        let source = try XCTUnwrap(SharedSource(source: .port(port), queues: 3, index: Self.byNumber))
        for queue in 0..<3 { source.open(queue: UInt32(queue)) }
        for queue in 0..<3 {
            XCTAssertEqual(drain(source, UInt32(queue)), (0..<300).filter { $0 % 3 == queue })
        }
        source.destroy()
        port.close()
    }

    func testSeveralThreads() throws {
        let port = try trace(20_000)
        nonisolated(unsafe) let source = try XCTUnwrap(
            SharedSource(source: .port(port), queues: 4, index: Self.byNumber))
        for queue in 0..<4 { source.open(queue: UInt32(queue)) }
        // One of them is slow, so that its ring fills and the others wait.
        nonisolated(unsafe) let test = self
        let results = parallel(4) { test.drain(source, $0, slow: $0 == 2) }
        for queue in 0..<4 { XCTAssertEqual(results[queue], (0..<20_000).filter { $0 % 4 == queue }) }
        XCTAssertEqual(port.statistics().rx_packets, 20_000)
        source.destroy()
        port.close()
    }

    func testBigFramesFillTheRingByBytes() throws {
        let port = try trace(400) { 60_000 + $0 }
        nonisolated(unsafe) let source = try XCTUnwrap(
            SharedSource(source: .port(port), queues: 2, index: Self.byNumber))
        for queue in 0..<2 { source.open(queue: UInt32(queue)) }
        nonisolated(unsafe) let test = self
        let results = parallel(2) { test.drain(source, $0, slow: $0 == 1) }
        for queue in 0..<2 { XCTAssertEqual(results[queue], (0..<400).filter { $0 % 2 == queue }) }
        source.destroy()
        port.close()
    }

    func testUnopenedQueueHoldsBackUntilItIsOpenedOrClosed() throws {
        for closes in [false, true] {
            let port = try trace(300)
            let source = try XCTUnwrap(SharedSource(source: .port(port), queues: 2, index: Self.byNumber))
            var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
            // Frame 0 is for queue 0, frame 1 for queue 1, which does not exist yet.
            XCTAssertEqual(source.receive(queue: 0, into: &frames, max: 64), 1)
            for _ in 0..<3 {
                let begin = Date()
                XCTAssertEqual(source.receive(queue: 0, into: &frames, max: 64, timeout: 3_000_000), 0)
                XCTAssertLessThan(Date().timeIntervalSince(begin), 1)
            }
            XCTAssertEqual(source.receive(queue: 0, into: &frames, max: 64, timeout: 0), 0)
            if closes {
                source.closeUnopened()
                XCTAssertEqual(drain(source, 0), (1..<300).filter { $0 % 2 == 0 })
                XCTAssertEqual(source.dropped(queue: 1), 150)
                XCTAssertEqual(source.receive(queue: 1, into: &frames, max: 64), Int32(MOS_IO_END))
            } else {
                source.open(queue: 1)
                XCTAssertEqual(drain(source, 0), (1..<300).filter { $0 % 2 == 0 })
                XCTAssertEqual(drain(source, 1), (0..<300).filter { $0 % 2 == 1 })
                XCTAssertEqual(source.dropped(queue: 1), 0)
            }
            source.destroy()
            port.close()
        }
    }

    func testClosingAQueueLetsTheOthersGoOn() throws {
        let port = try trace(10_000)
        nonisolated(unsafe) let source = try XCTUnwrap(
            SharedSource(source: .port(port), queues: 2, index: Self.byNumber))
        source.open(queue: 0)
        source.open(queue: 1)
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
        let n = source.receive(queue: 1, into: &frames, max: 10)
        XCTAssertEqual(n, 10)
        // Queue 1 is not read: 0 comes to a stop when its ring is full.
        var got = 0
        var stops = 0
        while stops < 3 {
            let n = source.receive(queue: 0, into: &frames, max: 64, timeout: 100_000)
            if n == 0 { stops += 1 } else { got += Int(n) }
        }
        XCTAssertGreaterThan(got, 500)
        XCTAssertLessThan(got, 5000)
        // It is closed while 0 waits.
        Thread {
            usleep(20_000)
            source.close(queue: 1)
        }.start()
        got += drain(source, 0).count
        XCTAssertEqual(got, 5000)
        XCTAssertEqual(source.dropped(queue: 1), 4990)
        XCTAssertEqual(source.receive(queue: 1, into: &frames, max: 64), Int32(MOS_IO_END))
        source.destroy()
        port.close()
    }

    func testFramesStayUntilTheNextReceiveOfTheirQueue() throws {
        let port = try trace(2000)
        let source = try XCTUnwrap(SharedSource(source: .port(port), queues: 2, index: Self.byNumber))
        source.open(queue: 0)
        source.open(queue: 1)
        var held = [mos_io_frame](repeating: mos_io_frame(), count: 64)
        let n = Int(source.receive(queue: 0, into: &held, max: 64))
        let before = held.prefix(n).map(copy)
        XCTAssertGreaterThan(n, 0)
        // The other one reads on, into both rings.
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
        for _ in 0..<100 { _ = source.receive(queue: 1, into: &frames, max: 64, timeout: 10_000) }
        XCTAssertEqual(held.prefix(n).map(copy), before)
        source.destroy()
        port.close()
    }

    func testFeedsOfSeveralPortsInOneOrder() throws {
        // Port 0 feeds contexts 0 and 1, port 1 feeds 1 and 2.
        var ports: [Port] = []
        for index in 0..<2 {
            var file = TraceBytes.pcap()
            for i in 0..<200 { file.record(UInt32(i), UInt32(index), frame(index * 1000 + i)) }
            write("p\(index).pcap", file.bytes)
            var port = try open("pcap:\(path("p\(index).pcap"))")
            port.index = Int32(index)
            ports.append(port)
        }
        let merger = try XCTUnwrap(ports.withUnsafeBufferPointer { TraceMerger(ports: $0) })
        let source = try XCTUnwrap(SharedSource(source: .merger(merger), queues: 3, index: Self.byNumber))
        XCTAssertTrue([0, 1].withUnsafeBufferPointer { source.feed(port: 0, queues: $0) })
        XCTAssertTrue([1, 2].withUnsafeBufferPointer { source.feed(port: 1, queues: $0) })
        XCTAssertFalse([3].withUnsafeBufferPointer { source.feed(port: 2, queues: $0) })
        XCTAssertFalse(([UInt32]()).withUnsafeBufferPointer { source.feed(port: 2, queues: $0) })
        for queue in 0..<3 { source.open(queue: UInt32(queue)) }
        XCTAssertEqual(drain(source, 0), (0..<200).filter { $0 % 2 == 0 })
        XCTAssertEqual(
            drain(source, 1), (0..<200).map { $0 % 2 == 1 ? $0 : 1000 + $0 })
        XCTAssertEqual(drain(source, 2), (1000..<1200).filter { $0 % 2 == 1 })
        source.destroy()
        merger.destroy()
        ports.forEach { $0.close() }
    }

    func testASilentSourceDoesNotKeepItsReaders() throws {
        var file = TraceBytes.pcap()
        file.record(0, 0, frame(0))
        file.record(3600, 0, frame(1))
        write("slow.pcap", file.bytes)
        let port = try open("pcap:\(path("slow.pcap")),speed=1")
        nonisolated(unsafe) let source = try XCTUnwrap(
            SharedSource(source: .port(port), queues: 2, index: Self.byNumber))
        for queue in 0..<2 { source.open(queue: UInt32(queue)) }
        let begin = Date()
        let counts = parallel(2) { queue in
            var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
            return (0..<20).map { _ in Int(source.receive(queue: queue, into: &frames, max: 64)) }
        }
        XCTAssertEqual(counts.map { $0.reduce(0, +) }, [1, 0])
        let took = Date().timeIntervalSince(begin)
        XCTAssertGreaterThan(took, 0.02, "it waits instead of spinning")
        XCTAssertLessThan(took, 5)
        source.destroy()
        port.close()
    }
}
