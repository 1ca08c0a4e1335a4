import CMOS
import CSys
import MOSPacketIO
import XCTest

/// Interfaces, on a veth pair that the test makes and removes. Needs root.
final class LivePortTests: PortTestCase {
    private var left = ""
    private var right = ""

    override func setUp() {
        super.setUp()
        left = "mosa\(getpid() % 100_000)"
        right = "mosb\(getpid() % 100_000)"
    }

    override func tearDown() {
        _ = try? run("link", "del", left)
        super.tearDown()
    }

    private func run(_ arguments: String...) throws -> Int32 {
        let tool = Process()
        tool.executableURL = URL(fileURLWithPath: "/usr/sbin/ip")
        tool.arguments = arguments
        tool.standardError = FileHandle.nullDevice
        try tool.run()
        tool.waitUntilExit()
        return tool.terminationStatus
    }

    private func makePair() throws {
        guard geteuid() == 0 else { throw XCTSkip("needs root") }
        guard FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip") else { throw XCTSkip("needs ip") }
        guard try run("link", "add", left, "type", "veth", "peer", "name", right) == 0 else {
            throw XCTSkip("this kernel or container makes no veth")
        }
        for name in [left, right] {
            // No IPv6 of the kernel's own on it.
            _ = FileManager.default.createFile(
                atPath: "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", contents: Data("1".utf8))
            XCTAssertEqual(try run("link", "set", name, "up"), 0)
        }
    }

    /// Frames of this test, from all queues, until there are so many.
    private func collect(_ port: Port, _ wanted: Int, seconds: Double = 5) -> [[Received]] {
        var got = [[Received]](repeating: [], count: Int(port.info.num_queues))
        let deadline = Date().addingTimeInterval(seconds)
        while got.reduce(0, { $0 + $1.count }) < wanted, Date() < deadline {
            for queue in got.indices {
                got[queue] += receive(port, queue: UInt32(queue)).frames.filter {
                    $0.bytes.starts(with: [2, 0, 0, 0, 0, 1])
                }
            }
            usleep(500)
        }
        return got
    }

    private func send(_ port: Port, _ bytes: [UInt8]) throws -> Int32 {
        let room = try XCTUnwrap(port.transmitFrame(queue: 0, length: UInt32(bytes.count)))
        room.update(from: bytes, count: bytes.count)
        return port.send(queue: 0, frame: room, length: UInt32(bytes.count), time: 0)
    }

    func testBothWaysAndForwarding() throws {
        try makePair()
        XCTAssertEqual(try run("addr", "add", "192.0.2.1/24", "dev", left), 0)
        let a = try open(left)  // a bare name
        let b = try open("live:\(right),buffer=4M")
        defer {
            a.close()
            b.close()
        }
        XCTAssertEqual(a.info.num_queues, 1)
        XCTAssertEqual(a.info.is_trace, 0)
        XCTAssertEqual(a.info.mtu, 1500)
        XCTAssertEqual(a.info.has_mac, 1)
        XCTAssertEqual(a.info.addr, UInt32(bigEndian: 0xC000_0201))
        XCTAssertEqual(a.info.netmask, UInt32(bigEndian: 0xFFFF_FF00))
        XCTAssertGreaterThan(a.info.ifindex, 0)
        XCTAssertEqual(b.info.addr, 0)
        XCTAssertGreaterThanOrEqual(a.waitDescriptor(queue: 0), 0)

        let begin = UInt64(Date().timeIntervalSince1970 * 1e9)
        for i in 0..<100 { XCTAssertEqual(try send(a, frame(i, size: 60 + i * 10)), 0) }
        let got = collect(b, 100)[0]
        XCTAssertEqual(got.map(\.bytes), (0..<100).map { frame($0, size: 60 + $0 * 10) })
        XCTAssertEqual(got.map(\.wireLength), (0..<100).map { 60 + $0 * 10 })
        for one in got { XCTAssertLessThan(max(one.time, begin) - min(one.time, begin), 10_000_000_000) }

        // What a sent is not received on a; what b forwards is.
        var bytes = frame(7, size: 300)
        bytes.withUnsafeMutableBufferPointer { buffer in
            var received = mos_io_frame()
            received.data = UnsafePointer(buffer.baseAddress)
            received.len = 300
            received.wire_len = 300
            XCTAssertEqual(b.forward(queue: 0, frame: &received), 0)
            received.wire_len = 301
            XCTAssertEqual(b.forward(queue: 0, frame: &received), EMSGSIZE, "a cut frame is not sent")
        }
        XCTAssertEqual(collect(a, 2, seconds: 0.3)[0].map(\.bytes), [frame(7, size: 300)])
        XCTAssertEqual(try send(a, frame(1, size: 9000)), EMSGSIZE)

        let stats = a.statistics()
        XCTAssertEqual(stats.tx_packets, 100)
        XCTAssertEqual(stats.tx_drops, 1)
        XCTAssertGreaterThanOrEqual(stats.rx_packets, 1)
        XCTAssertGreaterThanOrEqual(b.statistics().rx_packets, 100)
        XCTAssertEqual(b.statistics().tx_drops, 1)
    }

    func testFanoutKeepsFlowsTogether() throws {
        try makePair()
        let a = try open("live:\(left)")
        let b = try open("live:\(right)", queues: 3)
        defer {
            a.close()
            b.close()
        }
        XCTAssertEqual(b.info.num_queues, 3)
        // TCP segments of 60 flows, five each in both directions.
        func segment(_ flow: Int, _ reverse: Bool) -> [UInt8] {
            var bytes = frame(0, size: 74)
            let one: [UInt8] = [10, 0, 0, UInt8(flow)]
            let two: [UInt8] = [10, 0, 1, 1]
            bytes.replaceSubrange(
                14..<34, with: [0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0] + (reverse ? two + one : one + two))
            let ports: [[UInt8]] = [[0x30, UInt8(flow)], [0, 80]]
            bytes.replaceSubrange(34..<38, with: reverse ? ports[1] + ports[0] : ports[0] + ports[1])
            bytes.replaceSubrange(46..<48, with: [0x50, 0x10])
            bytes[48] = UInt8(flow)
            return bytes
        }
        for _ in 0..<5 {
            for flow in 0..<60 {
                for reverse in [false, true] { XCTAssertEqual(try send(a, segment(flow, reverse)), 0) }
            }
        }
        let got = collect(b, 600)
        XCTAssertEqual(got.map(\.count).reduce(0, +), 600)
        XCTAssertGreaterThan(got.filter { !$0.isEmpty }.count, 1, "spread: \(got.map(\.count))")
        var home: [UInt8: Int] = [:]
        for (queue, frames) in got.enumerated() {
            for one in frames {
                XCTAssertEqual(home[one.bytes[48], default: queue], queue, "both directions on one queue")
                home[one.bytes[48]] = queue
            }
        }
        XCTAssertEqual(home.count, 60)
    }

    func testInterfaceThatGoesDownAndVanishes() throws {
        try makePair()
        let a = try open("live:\(left)")
        let b = try open("live:\(right)")
        defer {
            a.close()
            b.close()
        }
        XCTAssertEqual(try run("link", "set", right, "down"), 0)
        for _ in 0..<5 {
            XCTAssertGreaterThanOrEqual(receive(b).result, 0, "a pause, not an end")
            usleep(2000)
        }
        XCTAssertEqual(try run("link", "set", right, "up"), 0)
        let deadline = Date().addingTimeInterval(5)
        while try send(a, frame(1)) != 0, Date() < deadline { usleep(10_000) }
        XCTAssertEqual(collect(b, 1)[0].first?.bytes, frame(1), "it goes on when the interface is back")

        XCTAssertEqual(try run("link", "del", left), 0)
        var results: [Int32] = []
        let gone = Date().addingTimeInterval(5)
        while Date() < gone {
            let n = receive(b).result
            if n < 0 { results.append(n) }
            if n == Int32(MOS_IO_END) { break }
            usleep(1000)
        }
        XCTAssertEqual(results, [Int32(MOS_IO_ERROR), Int32(MOS_IO_END)])
        XCTAssertEqual(b.waitDescriptor(queue: 0), -1)
        XCTAssertEqual(log.count, 1, "\(log)")
        XCTAssertTrue(log.first?.hasPrefix("\(right): ") ?? false)
        XCTAssertNotEqual(try send(b, frame(1)), 0)
        XCTAssertEqual(b.statistics().tx_drops, 1)
    }

    func testDownInterfaceIsExplained() throws {
        try makePair()
        XCTAssertEqual(try run("link", "set", right, "down"), 0)
        do {
            try open("live:\(right)").close()
            XCTFail("opened")
        } catch let failed as OpenFailure {
            XCTAssertEqual(failed.code, ENETDOWN)
            XCTAssertEqual(failed.message, "\(right): the interface is down; ip link set \(right) up")
        }
    }
}
