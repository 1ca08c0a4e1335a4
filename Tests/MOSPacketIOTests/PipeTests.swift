import CMOS
import CSys
import MOSPacketIO
import XCTest

/// Traces that come through a FIFO or standard input.
final class PipeTests: PortTestCase {
    private func put(_ fd: Int32, _ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { XCTAssertEqual(CSys.write(fd, $0.baseAddress, $0.count), $0.count) }
    }

    /// A FIFO, opened for reading by the port and for writing by the test.
    private func fifo(_ header: [UInt8], _ options: String = "") throws -> (port: Port, writer: Int32) {
        XCTAssertEqual(mkfifo(path("fifo"), 0o600), 0)
        // Read and write, so that the open does not wait for the port's.
        let descriptor = try FileHandle(forUpdating: URL(fileURLWithPath: path("fifo")))
        let writer = dup(descriptor.fileDescriptor)
        put(writer, header[...])
        let port = try open("pcap:\(path("fifo"))\(options)")
        // The real writer: closing it is then the end.
        let only = try FileHandle(forWritingTo: URL(fileURLWithPath: path("fifo")))
        let result = dup(only.fileDescriptor)
        try only.close()
        CSys.close(writer)
        try descriptor.close()
        return (port, result)
    }

    private func checkByteByByte(_ file: TraceBytes, header: Int, starts: [Int]) throws {
        let (port, writer) = try fifo(Array(file.bytes.prefix(header)))
        var got: [Int] = []
        for at in header..<file.bytes.count {
            put(writer, file.bytes[at...at])
            let begin = Date()
            let (frames, n) = receive(port)
            XCTAssertGreaterThanOrEqual(n, 0)
            XCTAssertLessThan(Date().timeIntervalSince(begin), 1, "it does not wait in the middle of a packet")
            got += frames.map { number(of: $0.bytes) }
            XCTAssertEqual(got.count, starts.filter { $0 <= at + 1 }.count, "after \(at + 1) bytes")
        }
        var poller = pollfd(fd: port.waitDescriptor(queue: 0), events: Int16(POLLIN), revents: 0)
        XCTAssertEqual(poll(&poller, 1, 0), 0)
        CSys.close(writer)
        XCTAssertEqual(poll(&poller, 1, 1000), 1, "the end wakes")
        XCTAssertEqual(receive(port).result, Int32(MOS_IO_END))
        XCTAssertEqual(port.waitDescriptor(queue: 0), -1)
        XCTAssertEqual(got, Array(0..<starts.count))
        XCTAssertEqual(port.statistics().rx_errors, 0)
        port.close()
    }

    func testPcapByteByByte() throws {
        for (order, magic) in [(TraceBytes.Order.little, TraceBytes.micro), (.big, TraceBytes.nano)] {
            var file = TraceBytes.pcap(order, magic: magic)
            var ends: [Int] = []
            for i in 0..<4 {
                file.record(UInt32(i), 0, frame(i))
                ends.append(file.bytes.count)
            }
            try checkByteByByte(file, header: 24, starts: ends)
            unlink(path("fifo"))
        }
    }

    func testPcapngByteByByte() throws {
        for order in [TraceBytes.Order.little, .big] {
            var file = TraceBytes.pcapng(order)
            let header = file.bytes.count
            var ends: [Int] = []
            for i in 0..<4 {
                file.block(5) {
                    $0.put32(0)
                    $0.put32(0)
                    $0.put32(0)
                }
                file.enhancedPacket(UInt64(i), frame(i))
                ends.append(file.bytes.count)
            }
            try checkByteByByte(file, header: header, starts: ends)
            unlink(path("fifo"))
        }
    }

    func testWriterThatDiesInAPacket() throws {
        var file = TraceBytes.pcap()
        file.record(0, 0, frame(0))
        file.record(1, 0, frame(1))
        let (port, writer) = try fifo(Array(file.bytes.prefix(24)))
        defer { port.close() }
        put(writer, file.bytes[24..<(file.bytes.count - 10)])
        XCTAssertEqual(receive(port).frames.count, 1)
        XCTAssertEqual(receive(port).result, 0)
        CSys.close(writer)
        XCTAssertEqual(receive(port).result, Int32(MOS_IO_END))
        XCTAssertEqual(port.statistics().rx_errors, 1)
        XCTAssertEqual(log.count, 1)
    }

    func testALotThroughAPipe() throws {
        var file = TraceBytes.pcap()
        for i in 0..<2000 { file.record(UInt32(i), 0, frame(i, size: i % 100 == 0 ? 200_000 : 60 + i % 1400)) }
        let (port, writer) = try fifo(Array(file.bytes.prefix(24)))
        let bytes = file.bytes
        let thread = Thread {
            var at = 24
            while at < bytes.count {
                let n = min(bytes.count - at, 1 + (at * 7919) % 70_000)
                bytes[at..<(at + n)].withUnsafeBytes { raw in
                    var done = 0
                    while done < n { done += CSys.write(writer, raw.baseAddress! + done, n - done) }
                }
                at += n
            }
            CSys.close(writer)
        }
        thread.start()
        let (frames, end) = readAll(port)
        XCTAssertEqual(end, Int32(MOS_IO_END))
        XCTAssertEqual(frames.map { number(of: $0.bytes) }, Array(0..<2000))
        XCTAssertEqual(frames[100].bytes.count, 200_000)
        port.close()
    }

    func testLoopNeedsAFile() throws {
        XCTAssertEqual(failure("pcap:-,loop=2").code, EINVAL)
        XCTAssertEqual(failure("pcap:-,loop=2").message, "-: loop= needs a file that can be read again")
        XCTAssertEqual(mkfifo(path("f"), 0o600), 0)
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path("f")))
        XCTAssertEqual(failure("pcap:\(path("f")),loop=2").code, EINVAL)
        try handle.close()
    }

    func testStandardInput() throws {
        var file = TraceBytes.pcap()
        for i in 0..<3 { file.record(UInt32(i), 0, frame(i)) }
        write("in.pcap", file.bytes)
        let saved = dup(0)
        defer {
            dup2(saved, 0)
            CSys.close(saved)
        }
        // A redirected file, then a pipe.
        let redirected = try FileHandle(forReadingFrom: URL(fileURLWithPath: path("in.pcap")))
        dup2(redirected.fileDescriptor, 0)
        XCTAssertEqual(try readAll("pcap:-").map(\.bytes), [frame(0), frame(1), frame(2)])
        var ends: [Int32] = [0, 0]
        XCTAssertEqual(pipe(&ends), 0)
        dup2(ends[0], 0)
        CSys.close(ends[0])
        put(ends[1], file.bytes[...])
        CSys.close(ends[1])
        XCTAssertEqual(try readAll("pcap:-").map(\.bytes), [frame(0), frame(1), frame(2)])
        XCTAssertEqual(fcntlStillOpen(0), true, "standard input is not closed")
    }

    private func fcntlStillOpen(_ fd: Int32) -> Bool {
        var status = stat()
        return fstat(fd, &status) == 0
    }
}
