import CMOS
import CSys
import MOSPacketIO
import XCTest

/// Several traces in the order of time.
final class TraceMergerTests: PortTestCase {
    private func ports(_ files: [[UInt64]], options: String = "") throws -> [Port] {
        try files.enumerated().map { index, times in
            var file = TraceBytes.pcap(magic: TraceBytes.nano)
            for (i, time) in times.enumerated() {
                file.record(UInt32(time / 1_000_000_000), UInt32(time % 1_000_000_000), frame(i, size: 18 + i % 700))
            }
            write("m\(index).pcap", file.bytes)
            var port = try open("pcap:\(path("m\(index).pcap"))\(options)")
            port.index = Int32(index)
            return port
        }
    }

    private func drain(_ merger: TraceMerger, burst: Int) -> [Received] {
        var all: [Received] = []
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: burst)
        while true {
            let n = merger.receive(into: &frames, max: UInt32(burst))
            if n < 0 { return all }
            // Looked at only after the whole burst was given.
            all += frames.prefix(Int(n)).map(copy)
        }
    }

    private func merge(_ files: [[UInt64]], burst: Int = 64) throws -> [Received] {
        let ports = try ports(files)
        let merger = try XCTUnwrap(ports.withUnsafeBufferPointer { TraceMerger(ports: $0) })
        defer {
            merger.destroy()
            ports.forEach { $0.close() }
        }
        return drain(merger, burst: burst)
    }

    func testOrderAndTies() throws {
        let got = try merge([[10, 20, 30], [5, 20, 20, 40], [20]])
        XCTAssertEqual(got.map(\.time), [5, 10, 20, 20, 20, 20, 30, 40])
        XCTAssertEqual(got.map(\.port), [1, 0, 0, 1, 1, 2, 0, 1])
    }

    func testManyFramesAgainstASort() throws {
        var seed: UInt64 = 7
        func next(_ below: UInt64) -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (seed >> 33) % below
        }
        let files = (0..<3).map { _ in
            var time: UInt64 = 0
            return (0..<1500).map { _ in
                time += next(3)
                return time
            }
        }
        var expected: [(time: UInt64, port: Int32, number: Int)] = []
        for (port, times) in files.enumerated() {
            for (i, time) in times.enumerated() { expected.append((time, Int32(port), i)) }
        }
        expected.sort { ($0.time, $0.port, $0.number) < ($1.time, $1.port, $1.number) }
        for burst in [64, 1, 7] {
            let got = try merge(files, burst: burst)
            XCTAssertEqual(got.map(\.time), expected.map(\.time))
            XCTAssertEqual(got.map(\.port), expected.map(\.port))
            XCTAssertEqual(got.map(\.bytes), expected.map { frame($0.number, size: 18 + $0.number % 700) })
        }
    }

    func testTimesThatGoBackKeepTheFilesOrder() throws {
        let got = try merge([[100, 50, 200], [60, 150]])
        XCTAssertEqual(got.map(\.time), [60, 100, 50, 150, 200])
    }

    func testEmptyOnesAndNone() throws {
        XCTAssertEqual(try merge([[], [3], []]).map(\.time), [3])
        XCTAssertEqual(try merge([[], []]), [])
        XCTAssertNil(
            UnsafeBufferPointer<Port>(start: nil, count: 0).withMemoryRebound(to: Port.self) { TraceMerger(ports: $0) })
    }

    func testASilentPortHoldsTheOthersUpButNotForEver() throws {
        // Port 0 has its second frame in an hour.
        var slow = TraceBytes.pcap()
        slow.record(0, 0, frame(0))
        slow.record(3600, 0, frame(1))
        write("slow.pcap", slow.bytes)
        let ports = try [open("pcap:\(path("slow.pcap")),speed=1")] + ports([[1, 2, 3]])
        let merger = try XCTUnwrap(ports.withUnsafeBufferPointer { TraceMerger(ports: $0) })
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: 64)
        XCTAssertEqual(merger.receive(into: &frames, max: 64), 1, "the burst ends with port 0's")
        let begin = Date()
        var n: Int32 = 0
        while n == 0, Date().timeIntervalSince(begin) < 10 { n = merger.receive(into: &frames, max: 64) }
        XCTAssertEqual(n, 3)
        XCTAssertGreaterThan(Date().timeIntervalSince(begin), 0.19)
        XCTAssertEqual(merger.receive(into: &frames, max: 64), 0)
        merger.destroy()
        ports.forEach { $0.close() }
    }
}
