import XCTest

@testable import mos

final class CPUListTests: XCTestCase {
    func testMasksBecomeRanges() {
        XCTAssertEqual(CPUList.text(0), "")
        XCTAssertEqual(CPUList.text(0b1), "0")
        XCTAssertEqual(CPUList.text(0b1001111), "0-3 6")
        XCTAssertEqual(CPUList.text(.max), "0-63")
    }

    func testKernelListsAreRead() {
        XCTAssertEqual(CPUList.numbers("0-3,6"), [0, 1, 2, 3, 6])
        XCTAssertEqual(CPUList.numbers("7"), [7])
        XCTAssertEqual(CPUList.numbers(""), [])
        XCTAssertEqual(CPUList.numbers("3-1"), [])
    }
}
