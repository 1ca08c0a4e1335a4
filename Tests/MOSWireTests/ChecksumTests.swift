import XCTest

@testable import MOSWire

final class ChecksumTests: XCTestCase {
    /// RFC 1071 §4.1's definition, word by word.
    private func naive(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        var i = 0
        while i < bytes.count {
            let high = UInt32(bytes[i]) << 8
            let low = i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0
            sum += high + low
            sum = (sum & 0xffff) + (sum >> 16)
            i += 2
        }
        return UInt16(sum)
    }

    func testEqualsTheDefinitionForEveryLength() {
        var generator = SystemRandomNumberGenerator()
        for count in Array(0...200) + [1459, 1460, 9000, 65535] {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            bytes.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let ours = UInt16(bigEndian: Checksum.fold(Checksum.sum(base, count)))
                XCTAssertEqual(ours % 0xffff, naive(bytes) % 0xffff, "length \(count)")
            }
        }
    }

    func testAllOnesDoNotOverflowTheLanes() {
        let bytes = [UInt8](repeating: 0xff, count: 1 << 20)
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return XCTFail() }
            XCTAssertEqual(Checksum.fold(Checksum.sum(base, bytes.count)), 0xffff)
        }
    }
}
