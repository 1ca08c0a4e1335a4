import XCTest
@testable import MOSStorage

final class StreamBufferTests: XCTestCase {
    private var pool: SlabPool!
    private let bytes = [UInt8]((0..<65536).map { UInt8(truncatingIfNeeded: $0 &* 7) })

    override func setUp() {
        pool = SlabPool(limit: 64 << 20)
    }

    override func tearDown() {
        pool.destroy()
    }

    @discardableResult
    private func put(_ buffer: inout StreamBuffer, _ offset: UInt64, _ length: Int, lastWins: Bool = false,
                     from source: Int = 0, limit: UInt64 = .max) -> StreamInsertResult {
        bytes.withUnsafeBufferPointer {
            buffer.insert(offset: offset, bytes: $0.baseAddress! + source, length: UInt32(length),
                          lastWins: lastWins, pool: &pool, outOfOrderLimit: limit)
        }
    }

    private func read(_ buffer: StreamBuffer, _ offset: UInt64, _ count: Int = 65536) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: count)
        let n = target.withUnsafeMutableBytes { buffer.copy(from: offset, into: $0.baseAddress!, count: count) }
        return Array(target[..<n])
    }

    private func ranges(_ buffer: StreamBuffer) -> [[UInt64]] {
        (0..<buffer.rangeCount).map { [buffer.range($0)!.start, buffer.range($0)!.end] }
    }

    func testLayout() {
        XCTAssertLessThanOrEqual(MemoryLayout<StreamBuffer>.stride, 64)
        XCTAssertTrue(_isPOD(StreamBuffer.self))
        XCTAssertTrue(_isPOD(RangeSet.self))
    }

    func testZeroBytesAreAnEmptyBuffer() {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
        var buffer = memory.load(as: StreamBuffer.self)
        XCTAssertEqual(buffer.mode, .payload)
        XCTAssertEqual(buffer.rangeCount, 0)
        XCTAssertNil(buffer.nextHeld(after: 0))
        put(&buffer, 0, 10)
        put(&buffer, 20, 10)
        XCTAssertEqual(ranges(buffer), [[0, 10], [20, 30]])
        buffer.removeAll(pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testSmallStreamsTakeLittleMemory() {
        var buffer = StreamBuffer()
        XCTAssertEqual(put(&buffer, 0, 200).newInOrder, 200)
        XCTAssertEqual(pool.bytesInUse, 256)
        put(&buffer, 200, 200)
        XCTAssertEqual(pool.bytesInUse, 512)
        XCTAssertEqual(read(buffer, 0), Array(bytes[0..<200]) + Array(bytes[0..<200]))
        put(&buffer, 400, 1648)
        XCTAssertEqual(pool.bytesInUse, 2048)
        put(&buffer, 2048, 1)
        XCTAssertEqual(pool.bytesInUse, 2 * 2048 + 64)
        buffer.trim(below: 2048, pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 2048 + 64)
        buffer.trim(below: 2049, pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    /// A steady stream with a history turns its chunks over without the pool.
    func testTrimmedChunksAreUsedAgain() {
        var buffer = StreamBuffer()
        var end: UInt64 = 0
        for round in 0..<200 {
            if end > 8192 { buffer.trim(below: end - 8192, reusedUpTo: end + 1460, pool: &pool) }
            put(&buffer, end, 1460, from: round)
            end += 1460
            if round >= 10 {
                XCTAssertLessThanOrEqual(pool.bytesInUse, 6 * 2048 + 64)
            }
            XCTAssertEqual(Array(read(buffer, end - 1460)), Array(bytes[round..<round + 1460]))
        }
        buffer.removeAll(pool: &pool)
    }

    /// Where the pool is larger than the caches, long copies go past them:
    /// any alignment and length, and the neighbours stay.
    func testCopiesPastTheCaches() {
        var blocks: [UnsafeMutableRawPointer] = []
        for _ in 0..<270 { blocks.append(pool.allocate(65536)!) }
        XCTAssertGreaterThan(pool.bytesInUse, 16 << 20)
        for start in 0..<130 {
            for length in [255, 256, 257, 300, 1460, 2047, 4096] {
                var buffer = StreamBuffer()
                put(&buffer, 0, start, from: 11)
                put(&buffer, UInt64(start), length, from: start * 5 + length)
                put(&buffer, UInt64(start + length), 70, from: 3)
                let expected = Array(bytes[11..<11 + start]) + Array(bytes[start * 5 + length..<start * 5 + 2 * length])
                    + Array(bytes[3..<73])
                guard read(buffer, 0) == expected else { return XCTFail("\(length) bytes at \(start)") }
                buffer.removeAll(pool: &pool)
            }
        }
        for block in blocks { pool.free(block, 65536) }
    }

    /// A chunk that holds nothing any more goes, also when later ones stay.
    func testEmptyChunkBeforeOutOfOrderBytes() {
        var buffer = StreamBuffer()
        put(&buffer, 0, 10)
        put(&buffer, 5000, 10)
        XCTAssertEqual(buffer.storedBytes, 2 * 2048)
        buffer.trim(below: 10, pool: &pool)
        XCTAssertEqual(buffer.storedBytes, 2048)
        XCTAssertEqual(put(&buffer, 10, 4990).newInOrder, 5000)
        XCTAssertEqual(buffer.storedBytes, 3 * 2048)
        buffer.removeAll(pool: &pool)
    }

    func testFirstAndLastCopy() {
        for lastWins in [false, true] {
            var buffer = StreamBuffer()
            put(&buffer, 0, 10, from: 0)
            put(&buffer, 20, 10, from: 100)
            let result = put(&buffer, 5, 20, lastWins: lastWins, from: 200)
            XCTAssertEqual(result.newInOrder, 20)
            XCTAssertEqual(result.stored, 10)
            XCTAssertEqual(result.replaced, lastWins ? 10 : 0)
            let middle = Array(bytes[205..<215])
            XCTAssertEqual(read(buffer, 0), lastWins
                ? Array(bytes[0..<5]) + Array(bytes[200..<220]) + Array(bytes[105..<110])
                : Array(bytes[0..<10]) + middle + Array(bytes[100..<110]))
            buffer.removeAll(pool: &pool)
        }
    }

    func testGapsAreRememberedAndReported() {
        var buffer = StreamBuffer()
        put(&buffer, 0, 10)
        put(&buffer, 20, 10)
        put(&buffer, 40, 10)
        let result = buffer.skip(to: 45, pool: &pool)
        XCTAssertEqual(result.missing, 20)
        XCTAssertEqual(result.newInOrder, 40)
        XCTAssertEqual(result.discarded, 0)
        XCTAssertEqual(ranges(buffer), [[0, 10], [20, 30], [40, 50]])
        XCTAssertFalse(buffer.hasOutOfOrder)
        XCTAssertEqual(buffer.nextInOrder(from: 10), 20)
        XCTAssertTrue(buffer.hasReceived(anyOf: 9, length: 5))
        XCTAssertFalse(buffer.hasReceived(anyOf: 10, length: 10))
        // Late bytes in a gap are not taken: readers may be past it.
        let late = put(&buffer, 5, 20)
        XCTAssertEqual(late.stored, 0)
        XCTAssertEqual(ranges(buffer), [[0, 10], [20, 30], [40, 50]])
        buffer.trim(below: 25, pool: &pool)
        XCTAssertEqual(ranges(buffer), [[25, 30], [40, 50]])
        XCTAssertTrue(buffer.hasReceived(anyOf: 10, length: 1))
        XCTAssertFalse(buffer.hasReceived(anyOf: 35, length: 1))
        XCTAssertEqual(buffer.skip(to: 50, pool: &pool).missing, 0)
        XCTAssertEqual(buffer.skip(to: 60, pool: &pool).missing, 10)
        XCTAssertEqual(buffer.nextInOrder(from: 50), 60)
        buffer.trim(below: 1000, pool: &pool)
        XCTAssertEqual(buffer.heldStart, 60)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testAdvanceReachesWhatWaited() {
        var buffer = StreamBuffer()
        put(&buffer, 0, 10)
        put(&buffer, 30, 10)
        put(&buffer, 60, 10)
        XCTAssertEqual(buffer.advanceWithoutStoring(length: 25, pool: &pool), 30)
        XCTAssertEqual(buffer.heldStart, 35)
        XCTAssertEqual(ranges(buffer), [[35, 40], [60, 70]])
        XCTAssertTrue(buffer.hasReceived(anyOf: 12, length: 1))
        XCTAssertEqual(read(buffer, 35), Array(bytes[5..<10]))
        buffer.removeAll(pool: &pool)
        XCTAssertEqual(buffer.advanceWithoutStoring(length: 0, pool: &pool), 0)
    }

    func testImpossibleOffsets() {
        var buffer = StreamBuffer()
        // Before the stream: the part from 0 on counts.
        XCTAssertEqual(put(&buffer, 0 &- 4, 10).newInOrder, 6)
        XCTAssertEqual(read(buffer, 0), Array(bytes[4..<10]))
        XCTAssertEqual(put(&buffer, 0 &- 4, 4).stored, 0)
        XCTAssertEqual(put(&buffer, UInt64(Int64.min.magnitude), 10).stored, 0)
        XCTAssertEqual(put(&buffer, UInt64(Int64.max) - 3, 10).refused, 10)
        XCTAssertEqual(put(&buffer, UInt64(Int64.max) - 100, 10).flags, .noMemory)
        XCTAssertEqual(put(&buffer, 6, 0).stored, 0)
        XCTAssertFalse(buffer.hasReceived(anyOf: 0 &- 1, length: 1))
        XCTAssertTrue(buffer.hasReceived(anyOf: 0 &- 1, length: 2))
        XCTAssertFalse(buffer.hasReceived(anyOf: 0, length: 0))
        XCTAssertFalse(buffer.hasReceived(anyOf: UInt64(Int64.max), length: .max))
        XCTAssertEqual(buffer.skip(to: .max, pool: &pool).newInOrder, 0)
        buffer.trim(below: .max, pool: &pool)
        XCTAssertEqual(buffer.contiguous(at: .max), 0)
        XCTAssertNil(buffer.nextHeld(after: .max))
        XCTAssertEqual(buffer.nextInOrder(from: .max), 6)
        XCTAssertEqual(pool.bytesInUse, 0)
        XCTAssertEqual(buffer.skip(to: UInt64(Int64.max), pool: &pool).missing, UInt64(Int64.max) - 6)
        XCTAssertEqual(buffer.advanceWithoutStoring(length: 1, pool: &pool), 0)
        XCTAssertEqual(put(&buffer, UInt64(Int64.max), 1).stored, 0)
    }

    /// Someone who sends every second byte: the ranges are capped, memory is
    /// bounded, and one segment that covers it all gets through.
    func testOneByteSegments() {
        var buffer = StreamBuffer()
        for i in 0..<RangeSet.maxCount {
            XCTAssertEqual(put(&buffer, UInt64(i * 2 + 1), 1, from: i * 2 + 1).stored, 1)
        }
        let refused = put(&buffer, 20_000, 1)
        XCTAssertEqual(refused.flags, .tooManyRanges)
        XCTAssertEqual(refused.refused, 1)
        XCTAssertEqual(buffer.memoryBytes, 65536 + 64 + 4 * 2048)
        // Between two ranges there is room still.
        XCTAssertEqual(put(&buffer, 2, 1, from: 2).stored, 1)
        XCTAssertEqual(put(&buffer, 0, 65535).newInOrder, 65535)
        XCTAssertEqual(read(buffer, 0, 65535), Array(bytes[..<65535]))
        XCTAssertEqual(buffer.rangeCount, 1)
        buffer.removeAll(pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testSkipWithoutRoomForTheGap() {
        var buffer = StreamBuffer()
        put(&buffer, 0, 10)
        for i in 0..<RangeSet.maxCount { put(&buffer, UInt64(i * 2 + 20), 1) }
        let result = buffer.skip(to: 15, pool: &pool)
        XCTAssertEqual(result.missing, 5)
        XCTAssertEqual(result.discarded, 10)
        XCTAssertEqual(buffer.heldStart, 15)
        XCTAssertEqual(buffer.rangeCount, RangeSet.maxCount)
        XCTAssertEqual(buffer.skip(to: 20, pool: &pool).newInOrder, 6)
        XCTAssertEqual(read(buffer, 20), [bytes[0]])
        buffer.removeAll(pool: &pool)
    }

    /// With the pool empty, skipping still moves the stream.
    func testProgressWithoutMemory() {
        var blocks: [UnsafeMutableRawPointer] = []
        while let block = pool.allocate(65536) { blocks.append(block) }
        var buffer = StreamBuffer()
        let result = put(&buffer, 0, 100)
        XCTAssertEqual(result.flags, .noMemory)
        XCTAssertEqual(result.refused, 100)
        XCTAssertEqual(buffer.inOrderEnd, 0)
        XCTAssertEqual(put(&buffer, 50, 100).flags, .noMemory)
        XCTAssertEqual(buffer.skip(to: 100, pool: &pool).missing, 100)
        XCTAssertEqual(buffer.advanceWithoutStoring(length: 100, pool: &pool), 100)
        for block in blocks { pool.free(block, 65536) }
        XCTAssertEqual(put(&buffer, 200, 100).newInOrder, 100)
        buffer.removeAll(pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    /// A segment that would have joined the next range, but is cut by a lack of
    /// memory before it, while no range can be added: it leaves no trace.
    func testCutSegmentThatCannotBeNoted() {
        var buffer = StreamBuffer()
        for i in 0..<RangeSet.maxCount - 1 { put(&buffer, UInt64(i * 2 + 1), 1) }
        XCTAssertEqual(put(&buffer, 5 * 2048, 1).stored, 1)
        var blocks: [UnsafeMutableRawPointer] = []
        while let block = pool.allocate(2048) { blocks.append(block) }
        let before = ranges(buffer)
        let result = put(&buffer, 8191, 2049)
        XCTAssertEqual(result.flags, .noMemory)
        XCTAssertEqual(result.stored, 0)
        XCTAssertEqual(result.refused, 2049)
        XCTAssertEqual(ranges(buffer), before)
        for block in blocks { pool.free(block, 2048) }
        buffer.removeAll(pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testSpan() {
        var buffer = StreamBuffer()
        put(&buffer, 0, 1)
        XCTAssertEqual(put(&buffer, StreamBuffer.maxSpan - 10, 10, from: 3).stored, 10)
        XCTAssertEqual(put(&buffer, StreamBuffer.maxSpan + 2048, 10).flags, .noMemory)
        XCTAssertEqual(read(buffer, StreamBuffer.maxSpan - 10), Array(bytes[3..<13]))
        // What is held may move along with the window.
        XCTAssertEqual(buffer.skip(to: 1 << 24, pool: &pool).missing, 1 << 24 - 1)
        buffer.trim(below: 1 << 24, pool: &pool)
        XCTAssertEqual(put(&buffer, StreamBuffer.maxSpan + 2048, 10).stored, 10)
        XCTAssertEqual(read(buffer, StreamBuffer.maxSpan - 10), Array(bytes[3..<13]))
        buffer.removeAll(pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
    }

    func testRangesOnlyNeedsNoMemoryInOrder() {
        var buffer = StreamBuffer(mode: .rangesOnly)
        for i in 0..<2000 { put(&buffer, UInt64(i) * 60000, 60000) }
        XCTAssertEqual(buffer.inOrderEnd, 120_000_000)
        XCTAssertEqual(ranges(buffer), [[0, 120_000_000]])
        XCTAssertEqual(pool.bytesInUse, 0)
        XCTAssertTrue(buffer.hasReceived(anyOf: 5, length: 1))
        XCTAssertEqual(buffer.contiguous(at: 5), 0)
        put(&buffer, 120_000_010, 10)
        XCTAssertEqual(pool.bytesInUse, 64)
        XCTAssertTrue(buffer.hasReceived(anyOf: 120_000_000, length: 11))
        buffer.setMode(.payload, pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
        XCTAssertEqual(buffer.heldStart, 120_000_000)
        XCTAssertEqual(put(&buffer, 120_000_000, 20).newInOrder, 20)
        buffer.setMode(.rangesOnly, pool: &pool)
        XCTAssertEqual(pool.bytesInUse, 0)
        XCTAssertEqual(ranges(buffer), [[120_000_000, 120_000_020]])
    }

    func testSegmentsPointIntoTheBuffer() {
        var buffer = StreamBuffer()
        put(&buffer, 0, 5000)
        var pieces = [StreamSegment](repeating: StreamSegment(base: UnsafeRawPointer(bitPattern: 1)!, count: 0), count: 4)
        XCTAssertEqual(buffer.segments(at: 2000, count: 2100, into: &pieces, max: 4), 3)
        XCTAssertEqual(pieces.map(\.count), [48, 2048, 4, 0])
        XCTAssertEqual(buffer.segments(at: 0, count: 5000, into: &pieces, max: 2), 2)
        XCTAssertEqual(buffer.segments(at: 5000, count: 1, into: &pieces, max: 2), 0)
        XCTAssertEqual(buffer.segments(at: 0, count: -1, into: &pieces, max: 2), 0)
        XCTAssertEqual(pieces[0].base.load(as: UInt8.self), bytes[0])
        buffer.removeAll(pool: &pool)
    }
}
