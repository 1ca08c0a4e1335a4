import XCTest
@testable import MOSStorage

final class RangeSetTests: XCTestCase {
    private func list(_ set: RangeSet) -> [[UInt64]] {
        (0..<Int(set.count)).map { [set[$0].start, set[$0].end] }
    }

    func testJoining() throws {
        var pool = try XCTUnwrap(SlabPool(limit: 1 << 20))
        defer { pool.destroy() }
        var set = RangeSet()
        for (start, end) in [(10, 20), (30, 40), (50, 60), (70, 80)] as [(UInt64, UInt64)] {
            XCTAssertEqual(set.add(start, end, pool: &pool), .done)
        }
        XCTAssertEqual(set.memoryBytes, 64)
        XCTAssertEqual(set.add(20, 30, pool: &pool), .done)
        XCTAssertEqual(list(set), [[10, 40], [50, 60], [70, 80]])
        XCTAssertEqual(set.add(45, 75, pool: &pool), .done)
        XCTAssertEqual(list(set), [[10, 40], [45, 80]])
        XCTAssertEqual(set.add(12, 13, pool: &pool), .done)
        XCTAssertEqual(set.add(5, 5, pool: &pool), .done)
        XCTAssertEqual(list(set), [[10, 40], [45, 80]])
        XCTAssertTrue(set.overlaps(39, 41))
        XCTAssertFalse(set.overlaps(40, 45))
        XCTAssertFalse(set.overlaps(80, .max))
        XCTAssertFalse(set.overlaps(50, 50))
        set.removeBelow(50, pool: &pool)
        XCTAssertEqual(list(set), [[50, 80]])
        set.removeBelow(80, pool: &pool)
        XCTAssertTrue(set.isEmpty)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testAtTheCap() throws {
        var pool = try XCTUnwrap(SlabPool(limit: 1 << 20))
        defer { pool.destroy() }
        var set = RangeSet()
        for i in 0..<UInt64(RangeSet.maxCount) {
            // From the far end, so that every insertion moves all the others.
            let start = (UInt64(RangeSet.maxCount) - i) * 10
            XCTAssertEqual(set.add(start, start + 1, pool: &pool), .done)
        }
        XCTAssertEqual(set.memoryBytes, 65536)
        XCTAssertEqual(set.add(5, 6, pool: &pool), .tooManyRanges)
        XCTAssertEqual(set.add(1_000_000, 1_000_001, pool: &pool), .tooManyRanges)
        XCTAssertEqual(Int(set.count), RangeSet.maxCount)
        // What joins others needs no room.
        XCTAssertEqual(set.add(11, 20, pool: &pool), .done)
        XCTAssertEqual(Int(set.count), RangeSet.maxCount - 1)
        XCTAssertEqual(set.add(5, 6, pool: &pool), .done)
        XCTAssertEqual(set.add(0, .max, pool: &pool), .done)
        XCTAssertEqual(list(set), [[0, .max]])
        set.removeAll(pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testWithoutMemory() throws {
        var pool = try XCTUnwrap(SlabPool(limit: 64))
        defer { pool.destroy() }
        var set = RangeSet()
        for i in 0..<4 as Range<UInt64> {
            XCTAssertEqual(set.add(i * 10, i * 10 + 5, pool: &pool), .done)
        }
        XCTAssertEqual(set.add(100, 101, pool: &pool), .noMemory)
        XCTAssertEqual(set.count, 4)
        XCTAssertEqual(set.add(0, 50, pool: &pool), .done)
        XCTAssertEqual(list(set), [[0, 50]])
        set.removeAll(pool: &pool)
    }

    func testRandomAgainstBytes() throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = TestRandom(seed)
            var pool = try XCTUnwrap(SlabPool(limit: 1 << 20))
            defer { pool.destroy() }
            var set = RangeSet()
            var bytes = [Bool](repeating: false, count: 512)
            for step in 0..<300 {
                let start = random.below(500)
                let end = min(512, start + random.below(step % 20 == 0 ? 200 : 6))
                XCTAssertEqual(set.overlaps(UInt64(start), UInt64(end)),
                               bytes[start..<max(start, end)].contains(true), "seed \(seed) step \(step)")
                XCTAssertEqual(set.add(UInt64(start), UInt64(end), pool: &pool), .done)
                for i in start..<max(start, end) { bytes[i] = true }
                if random.below(50) == 0 {
                    let below = random.below(300)
                    set.removeBelow(UInt64(below), pool: &pool)
                    for i in 0..<below { bytes[i] = false }
                }
                var expected: [[UInt64]] = []
                var i = 0
                while i < 512 {
                    guard bytes[i] else { i += 1; continue }
                    let first = i
                    while i < 512, bytes[i] { i += 1 }
                    expected.append([UInt64(first), UInt64(i)])
                }
                guard list(set) == expected else { return XCTFail("seed \(seed) step \(step)") }
            }
            set.removeAll(pool: &pool)
            XCTAssertEqual(pool.bytesInUse, 0)
        }
    }
}
