import XCTest
@testable import MOSStorage

final class TimerHeapTests: XCTestCase {
    func testEmpty() {
        var heap = TimerHeap()
        XCTAssertNil(heap.pop())
        XCTAssertEqual(heap.peekDeadline, .max)
        heap.destroy()
    }

    /// The order is that of a stable sort by deadline, whatever is pushed and
    /// popped in between.
    func testRandomAgainstStableSort() {
        var random = TestRandom(7)
        var heap = TimerHeap()
        defer { heap.destroy() }
        var model: [(deadline: UInt64, id: UInt64)] = []
        for id in 0..<8_000 as Range<UInt64> {
            if random.below(100) < ((id / 200) % 2 == 0 ? 75 : 25) {
                let deadline = random.below(20) == 0 ? UInt64.max : UInt64(random.below(50))
                XCTAssertTrue(heap.push(deadline: deadline, first: id, second: ~id))
                let place = model.firstIndex { $0.deadline > deadline } ?? model.count
                model.insert((deadline, id), at: place)
            } else {
                XCTAssertEqual(heap.peekDeadline, model.first?.deadline ?? .max)
                let timer = heap.pop()
                XCTAssertEqual(timer?.first, model.first?.id)
                XCTAssertEqual(timer?.second, model.first.map { ~$0.id })
                if !model.isEmpty { model.removeFirst() }
            }
            XCTAssertEqual(heap.count, model.count)
        }
        while let timer = heap.pop() { XCTAssertEqual(timer.first, model.removeFirst().id) }
        XCTAssertTrue(model.isEmpty)
    }
}
