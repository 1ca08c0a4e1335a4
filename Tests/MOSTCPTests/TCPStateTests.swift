import XCTest

@testable import MOSTCP

final class TCPStateTests: XCTestCase {
    func testFinishedStatesAreThoseFromWhichNothingComes() {
        let finished = (0...10).compactMap { TCPState(rawValue: UInt8($0)) }.filter(\.isFinished)
        XCTAssertEqual(finished, [.closed, .timeWait])
    }

    func testSideIsAsSmallAsTheRecordAssumes() {
        XCTAssertEqual(MemoryLayout<TCPSide>.stride, 32)
        XCTAssertEqual(MemoryLayout<TCPConnection>.size, 64)
    }
}
