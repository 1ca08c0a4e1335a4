import XCTest

@testable import mos

final class QuantityTests: XCTestCase {
    func testBytesHaveThreeDigits() {
        XCTAssertEqual(Quantity.bytes(0), "0 B")
        XCTAssertEqual(Quantity.bytes(999), "999 B")
        XCTAssertEqual(Quantity.bytes(1000), "1.00 kB")
        XCTAssertEqual(Quantity.bytes(12_345), "12.3 kB")
        XCTAssertEqual(Quantity.bytes(999_999), "999 kB")
        XCTAssertEqual(Quantity.bytes(1_234_567), "1.23 MB")
        XCTAssertEqual(Quantity.bytes(.max), "18.4 EB")
        XCTAssertEqual(Quantity.count(12), "12")
        XCTAssertEqual(Quantity.count(45_600), "45.6 k")
    }

    func testDurationsChooseTheirUnit() {
        XCTAssertEqual(Quantity.duration(0), "0 s")
        XCTAssertEqual(Quantity.duration(1_500), "1.50 µs")
        XCTAssertEqual(Quantity.duration(28_000_000), "28.0 ms")
        XCTAssertEqual(Quantity.duration(59_999_999_999), "59.9 s")
        XCTAssertEqual(Quantity.duration(65_000_000_000), "1 min 05 s")
        XCTAssertEqual(Quantity.duration(8_000_000_000_000), "2 h 13 min")
        XCTAssertEqual(Quantity.seconds(1_000_000_001, digits: 9), "1.000000001")
        XCTAssertEqual(Quantity.seconds(98_765_432_123), "98.765432")
    }

    func testTimestampIsRFC3339() {
        XCTAssertEqual(Quantity.timestamp(0), "1970-01-01T00:00:00.000000Z")
        XCTAssertEqual(Quantity.timestamp(1_700_000_000_012_345_678), "2023-11-14T22:13:20.012345Z")
    }
}
