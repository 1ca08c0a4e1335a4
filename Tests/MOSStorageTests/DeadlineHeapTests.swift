import MOSStorage
import XCTest

final class DeadlineHeapTests: XCTestCase {
    func testComesOutInOrder() throws {
        var random = TestRandom(1)
        var heap = try XCTUnwrap(DeadlineHeap(capacity: 1000))
        defer { heap.destroy() }
        for _ in 0..<20 {
            let deadlines = (0..<1000).map { _ in UInt64(random.below(500)) }
            for (index, deadline) in deadlines.enumerated() {
                XCTAssertTrue(heap.push(deadline: deadline, index: UInt32(index)))
            }
            XCTAssertFalse(heap.push(deadline: 0, index: 0), "there is no room")
            var seen = Set<UInt32>()
            for expected in deadlines.sorted() {
                XCTAssertEqual(heap.peekDeadline, expected)
                let entry = try XCTUnwrap(heap.pop())
                XCTAssertEqual(entry.deadline, expected)
                XCTAssertEqual(deadlines[Int(entry.index)], expected)
                seen.insert(entry.index)
            }
            XCTAssertEqual(seen.count, 1000)
            XCTAssertNil(heap.pop())
            XCTAssertEqual(heap.peekDeadline, .max)
        }
    }

    func testSizesOutOfRangeAreRefused() {
        XCTAssertNil(DeadlineHeap(capacity: 0))
        XCTAssertNil(DeadlineHeap(capacity: 1 << 31 + 1))
    }
}
