import CMOS
import CSys
import MOSPacketIO
import XCTest

/// Every link type that carries IP arrives as Ethernet.
final class LinkTypeTests: PortTestCase {
    private let four: [UInt8] = [0x45, 0, 0, 20] + [UInt8](repeating: 7, count: 16)
    private let six: [UInt8] = [0x60, 0, 0, 0] + [UInt8](repeating: 9, count: 36)
    private let zeros = [UInt8](repeating: 0, count: 12)

    private func frames(_ link: UInt32, _ packets: [[UInt8]], order: TraceBytes.Order = .little) throws -> [Received] {
        var file = TraceBytes.pcap(order, link: link)
        for (i, packet) in packets.enumerated() { file.record(UInt32(i), 0, packet, original: packet.count + 100) }
        write("link.pcap", file.bytes)
        return try readAll("pcap:\(path("link.pcap"))")
    }

    private func errors(_ link: UInt32, _ packets: [[UInt8]]) throws -> (given: Int, errors: UInt64) {
        var file = TraceBytes.pcap(link: link)
        for packet in packets { file.record(0, 0, packet) }
        write("link.pcap", file.bytes)
        let port = try open("pcap:\(path("link.pcap"))")
        defer { port.close() }
        return (readAll(port).frames.count, port.statistics().rx_errors)
    }

    func testRawIP() throws {
        for link: UInt32 in [12, 14, 101, 228, 229] {
            let got = try frames(link, [four, six])
            XCTAssertEqual(got.map(\.bytes), [zeros + [0x08, 0x00] + four, zeros + [0x86, 0xDD] + six], "\(link)")
            XCTAssertEqual(got.map(\.wireLength), [four.count + 114, six.count + 114])
        }
        let refused = try errors(101, [[0x15], [], [0xF0, 1, 2, 3], four])
        XCTAssertEqual(refused.given, 1)
        XCTAssertEqual(refused.errors, 3)
    }

    func testLoopback() throws {
        let ethernet4 = zeros + [0x08, 0x00] + four
        let ethernet6 = zeros + [0x86, 0xDD] + six
        // NULL in both byte orders, in files of both; LOOP is big-endian.
        for order in [TraceBytes.Order.little, .big] {
            for link: UInt32 in [0, 108] {
                let got = try frames(link, [[2, 0, 0, 0] + four, [0, 0, 0, 2] + four], order: order)
                XCTAssertEqual(got.map(\.bytes), [ethernet4, ethernet4])
                XCTAssertEqual(got[0].wireLength, 4 + 20 + 100 + 10)
                for family: UInt8 in [10, 23, 24, 26, 28, 30] {
                    let got = try frames(link, [[family, 0, 0, 0] + six, [0, 0, 0, family] + six], order: order)
                    XCTAssertEqual(got.map(\.bytes), [ethernet6, ethernet6])
                }
            }
        }
        let refused = try errors(0, [[7, 0, 0, 0] + four, [2, 0, 2, 0] + four, [2, 0, 0]])
        XCTAssertEqual(refused.given, 0)
        XCTAssertEqual(refused.errors, 3)
    }

    func testCooked() throws {
        let mac: [UInt8] = [2, 1, 2, 3, 4, 5]
        func cooked(_ type: UInt8, _ protocolNumber: [UInt8], length: UInt8 = 6, device: [UInt8] = [0, 1]) -> [UInt8] {
            [0, type] + device + [0, length] + mac + [0xEE, 0xEE] + protocolNumber
        }
        let got = try frames(
            113,
            [
                cooked(0, [0x08, 0x00]) + four,
                cooked(1, [0x86, 0xDD]) + six,
                cooked(4, [0x08, 0x00], length: 0) + four,
                cooked(0, [0x81, 0x00]) + [0, 5, 8, 0] + four,
                cooked(0, [0x00, 0x04]) + [0x42, 0x42, 3],
            ])
        XCTAssertEqual(
            got.map(\.bytes),
            [
                [0, 0, 0, 0, 0, 0] + mac + [0x08, 0x00] + four,
                [255, 255, 255, 255, 255, 255] + mac + [0x86, 0xDD] + six,
                zeros + [0x08, 0x00] + four,
                [0, 0, 0, 0, 0, 0] + mac + [0x81, 0x00, 0, 5, 8, 0] + four,
                [0, 0, 0, 0, 0, 0] + mac + [0, 3, 0x42, 0x42, 3],
            ])
        XCTAssertEqual(got[0].wireLength, four.count + 114)
        let refused = try errors(
            113,
            [
                cooked(0, [0, 12]) + four, cooked(0, [8, 0], device: [3, 0x38]) + four,
                Array(cooked(0, [8, 0]).dropLast()),
            ])
        XCTAssertEqual(refused.given, 0)
        XCTAssertEqual(refused.errors, 3)
    }

    func testCookedVersion2() throws {
        let mac: [UInt8] = [2, 1, 2, 3, 4, 5]
        func cooked(_ type: UInt8, _ protocolNumber: [UInt8], length: UInt8 = 6) -> [UInt8] {
            protocolNumber + [0, 0, 0, 0, 0, 3, 0, 1, type, length] + mac + [0xEE, 0xEE]
        }
        let got = try frames(
            276,
            [
                cooked(0, [0x08, 0x00]) + four, cooked(1, [0x86, 0xDD]) + six,
                cooked(3, [0x08, 0x00], length: 8) + four,
            ])
        XCTAssertEqual(
            got.map(\.bytes),
            [
                [0, 0, 0, 0, 0, 0] + mac + [0x08, 0x00] + four,
                [255, 255, 255, 255, 255, 255] + mac + [0x86, 0xDD] + six,
                zeros + [0x08, 0x00] + four,
            ])
        XCTAssertEqual(got[0].wireLength, four.count + 114)
        XCTAssertEqual(try errors(276, [Array(cooked(0, [8, 0]).dropLast())]).errors, 1)
    }

    func testBlocksOfPcapngToo() throws {
        var file = TraceBytes.pcapng(.big, link: 101)
        file.enhancedPacket(1, four)
        write("raw.pcapng", file.bytes)
        XCTAssertEqual(try readAll("pcap:\(path("raw.pcapng"))").map(\.bytes), [zeros + [0x08, 0x00] + four])
    }
}
