import XCTest
@testable import MOSStorage

final class FlowIndexTests: XCTestCase {
    private func candidates(_ index: FlowIndex, _ hash: UInt32) -> [UInt32] {
        var probe = index.probe(hash: hash)
        var found: [UInt32] = []
        while let candidate = probe.next() { found.append(candidate) }
        return found
    }

    func testRandomAgainstDictionary() throws {
        for seed in 1...4 as ClosedRange<UInt64> {
            var random = TestRandom(seed)
            let capacity = 300
            var index = try XCTUnwrap(FlowIndex(capacity: capacity))
            defer { index.destroy() }
            var model: [UInt32: Set<UInt32>] = [:]
            var pairs: [(UInt32, UInt32)] = []
            for step in 0..<40_000 {
                let filling = (step / 1000) % 2 == 0 ? 65 : 35
                if random.below(100) < filling {
                    // Few hashes, some next to each other, some at the end of
                    // the table so that runs wrap around.
                    var hash = UInt32(random.below(40))
                    if random.below(3) == 0 { hash = 0xffff_fff0 + hash % 16 }
                    if random.below(3) == 0 { hash = UInt32(truncatingIfNeeded: random.next()) }
                    let value = UInt32(step) + (random.below(2) == 0 ? 0 : 0xf000_0000)
                    let inserted = index.insert(hash: hash, index: value)
                    XCTAssertEqual(inserted, pairs.count < capacity)
                    guard inserted else { continue }
                    model[hash, default: []].insert(value)
                    pairs.append((hash, value))
                } else if !pairs.isEmpty {
                    let i = random.below(pairs.count)
                    let (hash, value) = pairs[i]
                    XCTAssertFalse(index.remove(hash: hash, index: 0xefff_ffff))
                    XCTAssertTrue(index.remove(hash: hash, index: value), "seed \(seed) step \(step)")
                    model[hash]!.remove(value)
                    pairs[i] = pairs[pairs.count - 1]
                    pairs.removeLast()
                }
                XCTAssertEqual(index.count, pairs.count)
                if step % 500 == 0 {
                    for (hash, values) in model {
                        let found = candidates(index, hash)
                        guard Set(found) == values, found.count == values.count else {
                            return XCTFail("seed \(seed) step \(step) hash \(hash)")
                        }
                    }
                }
            }
            for (hash, value) in pairs { XCTAssertTrue(index.remove(hash: hash, index: value)) }
            XCTAssertEqual(index.count, 0)
            XCTAssertFalse(index.remove(hash: 1, index: 1))
        }
    }

    func testLimits() throws {
        XCTAssertNil(FlowIndex(capacity: 0))
        XCTAssertNil(FlowIndex(capacity: 1 << 31))
        var index = try XCTUnwrap(FlowIndex(capacity: 1))
        defer { index.destroy() }
        XCTAssertFalse(index.insert(hash: 5, index: .max))
        XCTAssertTrue(index.insert(hash: 5, index: .max - 1))
        XCTAssertFalse(index.insert(hash: 6, index: 0))
        XCTAssertEqual(candidates(index, 5), [.max - 1])
        XCTAssertEqual(candidates(index, 6), [])
        index.prefetch(hash: .max)
    }
}
