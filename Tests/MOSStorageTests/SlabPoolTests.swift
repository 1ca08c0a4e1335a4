import XCTest
@testable import MOSStorage

final class SlabPoolTests: XCTestCase {
    func testBlockSizes() {
        XCTAssertEqual([0, 1, 64, 65, 128, 129, 2048, 2049, 65536].map(SlabPool.blockSize),
                       [64, 64, 64, 128, 128, 256, 2048, 4096, 65536])
    }

    func testImpossibleArguments() throws {
        XCTAssertNil(SlabPool(limit: 0))
        XCTAssertNil(SlabPool(limit: .max))
        var pool = try XCTUnwrap(SlabPool(limit: 1 << 20))
        defer { pool.destroy() }
        XCTAssertNil(pool.allocate(65537))
        XCTAssertNil(pool.allocate(-1))
        XCTAssertNil(pool.allocate(.max))
        var outside: UInt64 = 0
        pool.free(&outside, 64)
        let block = try XCTUnwrap(pool.allocate(128))
        pool.free(block + 64, 128)
        pool.free(block, 64)
        XCTAssertEqual(pool.bytesInUse, 128)
        pool.free(block, 100)
        pool.free(block, 100)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    /// Every class can use the whole ceiling, to the byte.
    func testCeilingIsExactForEveryClass() throws {
        for log in 6...16 {
            let size = 1 << log
            var pool = try XCTUnwrap(SlabPool(limit: 3 << 16))
            defer { pool.destroy() }
            var blocks: [UnsafeMutableRawPointer] = []
            while let block = pool.allocate(size) { blocks.append(block) }
            XCTAssertEqual(blocks.count, (3 << 16) / size)
            XCTAssertEqual(pool.bytesInUse, 3 << 16)
            for block in blocks { pool.free(block, size) }
            XCTAssertEqual(pool.bytesInUse, 0)
            XCTAssertEqual(pool.peakBytes, 3 << 16)
        }
    }

    /// Memory that one class has finished with serves another.
    func testSlabsChangeClass() throws {
        var pool = try XCTUnwrap(SlabPool(limit: 64 << 16))
        defer { pool.destroy() }
        for log in [6, 16, 11, 8, 6] {
            var blocks: [UnsafeMutableRawPointer] = []
            while let block = pool.allocate(1 << log) { blocks.append(block) }
            XCTAssertEqual(pool.bytesInUse, 64 << 16)
            for block in blocks { pool.free(block, 1 << log) }
        }
        XCTAssertLessThanOrEqual(pool.residentBytes, 64 << 16)
    }

    /// Idle slabs beyond 256 lose their memory and can be used again.
    func testIdleMemoryIsReturned() throws {
        var pool = try XCTUnwrap(SlabPool(limit: 400 << 16))
        defer { pool.destroy() }
        for round in 0..<3 {
            var blocks: [UnsafeMutableRawPointer] = []
            while let block = pool.allocate(65536) {
                block.storeBytes(of: round, as: Int.self)
                blocks.append(block)
            }
            XCTAssertEqual(blocks.count, 400)
            XCTAssertEqual(Set(blocks).count, 400)
            for block in blocks { pool.free(block, 65536) }
            XCTAssertEqual(pool.residentBytes, 256 << 16)
        }
    }

    func testRandomAgainstModel() throws {
        struct Block { var pointer: UnsafeMutableRawPointer; var size: Int; var tag: UInt8 }
        for seed in 1...4 as ClosedRange<UInt64> {
            var random = TestRandom(seed)
            let limit = 1 << 20
            var pool = try XCTUnwrap(SlabPool(limit: limit))
            defer { pool.destroy() }
            var blocks: [Block] = []
            var inUse = 0
            for step in 0..<60_000 {
                // Phases that mostly take and phases that mostly free.
                let taking = (step / 3000) % 2 == 0 ? 70 : 30
                if random.below(100) < taking {
                    let size = 1 + random.below(1 << (1 + random.below(16)))
                    let whole = SlabPool.blockSize(for: size)
                    guard let pointer = pool.allocate(size) else {
                        // At the ceiling, or all of the address space is in
                        // slabs of other classes.
                        XCTAssertTrue(inUse + whole > limit || pool.residentBytes > limit,
                                      "seed \(seed) step \(step)")
                        continue
                    }
                    inUse += whole
                    let handle = pool.handle(of: pointer)
                    XCTAssertNotEqual(handle, 0)
                    XCTAssertEqual(pool.pointer(handle), pointer)
                    XCTAssertEqual(Int(bitPattern: pointer) % min(whole, 4096), 0)
                    // A tag at both ends finds any overlap of two blocks.
                    let tag = UInt8(truncatingIfNeeded: random.next())
                    pointer.storeBytes(of: tag, as: UInt8.self)
                    (pointer + whole - 1).storeBytes(of: ~tag, as: UInt8.self)
                    blocks.append(Block(pointer: pointer, size: size, tag: tag))
                } else if !blocks.isEmpty {
                    let i = random.below(blocks.count)
                    let block = blocks[i]
                    blocks[i] = blocks[blocks.count - 1]
                    blocks.removeLast()
                    let whole = SlabPool.blockSize(for: block.size)
                    guard block.pointer.load(as: UInt8.self) == block.tag,
                          (block.pointer + whole - 1).load(as: UInt8.self) == ~block.tag else {
                        return XCTFail("overlap: seed \(seed) step \(step)")
                    }
                    pool.free(block.pointer, block.size)
                    inUse -= whole
                }
                guard pool.bytesInUse == inUse else {
                    return XCTFail("bytes in use: seed \(seed) step \(step)")
                }
            }
            let spans = blocks.map { ($0.pointer, $0.pointer + SlabPool.blockSize(for: $0.size)) }
                .sorted { $0.0 < $1.0 }
            for (a, b) in zip(spans, spans.dropFirst()) { XCTAssertLessThanOrEqual(a.1, b.0) }
            for block in blocks { pool.free(block.pointer, block.size) }
            XCTAssertEqual(pool.bytesInUse, 0)
        }
    }
}
