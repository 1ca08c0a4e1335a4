// The helpers of mtcp_util.h through their C names, and what of the hashes
// has no C name.
import CMOS
import MOSWire
import XCTest

import MOS

final class UtilTests: XCTestCase {
    /// The definition in "RSS Hashing Types", one bit after the other.
    private func toeplitzBitByBit(_ input: [UInt8]) -> UInt32 {
        let key = [UInt8](repeating: 0x05, count: input.count + 4)
        var hash: UInt32 = 0
        for bit in 0..<(input.count * 8) where input[bit / 8] >> (7 - bit % 8) & 1 == 1 {
            var window: UInt32 = 0
            for k in bit..<(bit + 32) {
                window = window << 1 | UInt32(key[k / 8] >> (7 - k % 8) & 1)
            }
            hash ^= window
        }
        return hash
    }

    private func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    func testToeplitz() {
        var generator = SeededGenerator(state: 1)
        for _ in 0..<2000 {
            let source = UInt32.random(in: 0...UInt32.max, using: &generator)
            let destination = UInt32.random(in: 0...UInt32.max, using: &generator)
            let sourcePort = UInt16.random(in: 0...UInt16.max, using: &generator)
            let destinationPort = UInt16.random(in: 0...UInt16.max, using: &generator)
            let expected = toeplitzBitByBit(
                bytes(source) + bytes(destination) + bytes(sourcePort) + bytes(destinationPort))
            let hash = Toeplitz.hash(source, destination, sourcePort, destinationPort)
            XCTAssertEqual(hash, expected)
            XCTAssertEqual(Toeplitz.hash(destination, source, destinationPort, sourcePort), hash)
            XCTAssertEqual(
                Toeplitz.hash(
                    source.byteSwapped, destination.byteSwapped, sourcePort.byteSwapped, destinationPort.byteSwapped),
                hash)
            XCTAssertEqual(
                GetRSSCPUCore(source, destination, sourcePort, destinationPort, 7),
                Int32(Toeplitz.queue(hash, of: 7)))
        }
    }

    func testToeplitzOverIPv6() {
        var generator = SeededGenerator(state: 2)
        for _ in 0..<500 {
            let source = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let destination = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let sourcePort = UInt16.random(in: 0...UInt16.max, using: &generator)
            let destinationPort = UInt16.random(in: 0...UInt16.max, using: &generator)
            XCTAssertEqual(
                Toeplitz.hash(ipv6: source, destination, sourcePort, destinationPort),
                toeplitzBitByBit(source + destination + bytes(sourcePort) + bytes(destinationPort)))
            XCTAssertEqual(
                Toeplitz.hash(ipv6: destination, source, destinationPort, sourcePort),
                Toeplitz.hash(ipv6: source, destination, sourcePort, destinationPort))
        }
    }

    func testQueues() {
        let correction = [3, 1, -1, -3]
        for hash in UInt32(0)..<1024 {
            let low = Int(hash & 0x1ff)
            for queues in [1, 2, 3, 8, 512, 600] {
                XCTAssertEqual(
                    Int(Toeplitz.queue(hash, of: UInt32(queues))), (low + correction[low & 3]) % queues)
                XCTAssertEqual(Int(Toeplitz.queueOfSmallTable(hash, of: UInt32(queues))), Int(hash & 0x7f) % queues)
            }
        }
        XCTAssertEqual(Toeplitz.queue(5, of: 0), 0)
        XCTAssertEqual(Toeplitz.queueOfSmallTable(5, of: 0), 0)
    }

    func testXXHash() {
        XCTAssertEqual(XXH32(nil, 0, 0), 0x02CC_5D05)
        XCTAssertEqual(XXH64(nil, 0, 0), 0xEF46_DB37_51D8_E999)
        XCTAssertEqual(XXH32("abc", 3, 0), 0x32D1_53FF)
        XCTAssertEqual(XXH64("abc", 3, 0), 0x44BC_2CF5_AD77_0999)
    }

    func testStrToArgs() {
        var line = Array("midstat -f 'tcp port 80'".utf8CString)
        var argv = [UnsafeMutablePointer<CChar>?](repeating: nil, count: 4)
        var argc: Int32 = 0
        line.withUnsafeMutableBufferPointer { line in
            XCTAssertEqual(StrToArgs(line.baseAddress, &argc, &argv, 4), 0)
            XCTAssertEqual(argc, 3)
            XCTAssertEqual(argv[..<3].map { String(cString: $0!) }, ["midstat", "-f", "tcp port 80"])
        }
    }

    func testEventNames() {
        XCTAssertEqual(String(cString: EventToString(UInt32(bitPattern: MOS_EPOLLET.rawValue))), "MOS_EPOLLET")
        XCTAssertEqual(String(cString: EventToString(0)), "unknown")
    }
}

/// SplitMix64, so that every run tries the same numbers.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
