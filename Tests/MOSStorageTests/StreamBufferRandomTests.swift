import XCTest
@testable import MOSStorage

/// The buffer against `StreamModel`: more than a million random operations.
final class StreamBufferRandomTests: XCTestCase {
    private static let operations = 1_050_000

    /// One life of a buffer: what it may use and how it is treated.
    private struct Scene {
        var origin: UInt64
        var poolLimit: Int
        var outOfOrderLimit: UInt64
        var lastWins: Int          // percent
        var longest: Int
        var spread: Int
        var trims: Int             // in a thousand
        var modeChanges: Int       // in a thousand

        init(_ random: inout TestRandom) {
            let origins: [UInt64] = [0, 0, 1, 2047, (1 << 32) - 1000, (1 << 40) + 777]
            origin = origins[random.below(origins.count)]
            poolLimit = random.below(3) == 0 ? 64 << random.below(9) : 8 << 20
            outOfOrderLimit = random.below(3) == 0 ? UInt64(random.below(6000)) : .max
            lastWins = [0, 50, 100][random.below(3)]
            longest = [1, 8, 100, 1460, 5000][random.below(5)]
            spread = [20, 600, 3000, 30_000][random.below(4)]
            trims = [5, 50, 200][random.below(3)]
            modeChanges = [0, 0, 3][random.below(3)]
        }
    }

    private let noise = UnsafeMutablePointer<UInt8>.allocate(capacity: 8192)
    private let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: StreamModel.window)
    private let pieces = UnsafeMutablePointer<StreamSegment>.allocate(capacity: 64)

    override func setUp() {
        var random = TestRandom(99)
        for i in 0..<8192 { noise[i] = UInt8(truncatingIfNeeded: random.next()) }
    }

    deinit {
        noise.deallocate()
        copy.deallocate()
        pieces.deallocate()
    }

    func testMillionOperations() throws {
        var done = 0
        var refused = 0
        var discarded = 0
        var seed: UInt64 = 1
        while done < Self.operations {
            var step = 0
            if let complaint = play(seed, &step, &refused, &discarded) {
                return XCTFail("seed \(seed) step \(step): \(complaint)")
            }
            done += step
            seed += 1
        }
        // The scenes must have reached the hard cases.
        XCTAssertGreaterThan(refused, 1000)
        XCTAssertGreaterThan(discarded, 10)
        print("StreamBuffer: \(done) operations in \(seed - 1) scenes, \(refused) refusals, \(discarded) discards")
    }

    /// Plays one scene; returns what went wrong.
    private func play(_ seed: UInt64, _ step: inout Int, _ refusals: inout Int, _ discards: inout Int) -> String? {
        var random = TestRandom(seed)
        let scene = Scene(&random)
        guard var pool = SlabPool(limit: scene.poolLimit) else { return "no pool" }
        defer { pool.destroy() }
        let model = StreamModel(origin: scene.origin)
        var buffer = StreamBuffer(at: scene.origin)
        let room = StreamModel.window - 2 * (scene.spread + scene.longest) - 64
        while step < 3000, model.highestEnd < room {
            step += 1
            let dice = random.below(1000)
            if dice < scene.modeChanges {
                let mode: StreamBuffer.Mode = random.below(2) == 0 ? .payload : .rangesOnly
                buffer.setMode(mode, pool: &pool)
                model.setMode(mode)
            } else if dice < 10 {
                let to = model.inOrderEnd + random.below(scene.spread) - scene.spread / 4
                let result = buffer.skip(to: scene.origin &+ UInt64(bitPattern: Int64(to)), pool: &pool)
                let old = model.inOrderEnd
                let expected = model.skip(to: to, discard: result.discarded > 0)
                if result.discarded > 0 {
                    discards += 1
                    if pool.bytesInUse + 65536 < pool.limit { return "discarded without need" }
                }
                if result.missing != UInt64(expected.missing) { return "missing \(result.missing), not \(expected.missing)" }
                if result.discarded != UInt64(expected.discarded) { return "discarded \(result.discarded), not \(expected.discarded)" }
                if result.newInOrder != UInt64(model.inOrderEnd - old) { return "skip advanced \(result.newInOrder)" }
            } else if dice < 20 {
                let length = random.below(scene.longest + 1)
                let old = model.inOrderEnd
                model.advance(length)
                let advanced = buffer.advanceWithoutStoring(length: UInt32(length), pool: &pool)
                if advanced != UInt64(model.inOrderEnd - old) { return "advanced \(advanced)" }
            } else if dice < 20 + scene.trims {
                let span = model.inOrderEnd - model.heldStart
                let below = max(0, model.heldStart + random.below(span + 20) - 5)
                let offset = scene.origin &+ UInt64(bitPattern: Int64(below))
                // Every other time chunks are kept for what comes at once.
                let coming = random.below(2) == 0 ? random.below(scene.longest + 1) : nil
                let end = model.inOrderEnd + (coming ?? 0)
                buffer.trim(below: offset, reusedUpTo: coming == nil || end >= StreamModel.window
                            ? 0 : scene.origin &+ UInt64(bitPattern: Int64(end)), pool: &pool)
                model.trim(below: below)
                if let coming, end < StreamModel.window,
                   let complaint = insert(scene, &random, &buffer, model, &pool, &refusals, inOrder: coming) {
                    return complaint
                }
            } else if dice == 999, random.below(10) == 0 {
                buffer.removeAll(pool: &pool)
                model.removeAll()
                if pool.bytesInUse != 0 { return "removeAll left memory" }
            } else if let complaint = insert(scene, &random, &buffer, model, &pool, &refusals) {
                return complaint
            }
            if let complaint = compareOffsets(scene, &random, buffer, model) { return complaint }
            if step % 61 == 0, let complaint = compareAll(scene, buffer, model, pool) { return complaint }
        }
        if let complaint = compareAll(scene, buffer, model, pool) { return complaint }
        buffer.removeAll(pool: &pool)
        return pool.bytesInUse == 0 ? nil : "memory left at the end"
    }

    private func insert(_ scene: Scene, _ random: inout TestRandom, _ buffer: inout StreamBuffer,
                        _ model: StreamModel, _ pool: inout SlabPool, _ refusals: inout Int,
                        inOrder wanted: Int? = nil) -> String? {
        var offset: Int
        switch random.below(10) {
        case 0...3: offset = model.inOrderEnd
        case 4...7: offset = model.inOrderEnd + random.below(scene.spread)
        case 8: offset = model.highestEnd + random.below(3)
        default: offset = model.heldStart - 3 + random.below(model.inOrderEnd - model.heldStart + 6)
        }
        let length = wanted ?? (random.below(4) == 0 ? random.below(scene.longest + 1) : random.below(min(scene.longest, 64) + 1))
        if wanted != nil || offset + length >= StreamModel.window { offset = model.inOrderEnd }
        let absolute = scene.origin &+ UInt64(bitPattern: Int64(offset))
        if buffer.hasReceived(anyOf: absolute, length: UInt32(length)) != model.hasReceived(offset, length) {
            return "hasReceived(\(offset), \(length))"
        }
        let lastWins = random.below(100) < scene.lastWins
        let bytes = UnsafePointer(noise + random.below(8192 - length))
        let old = model.inOrderEnd
        let result = buffer.insert(offset: absolute, bytes: bytes, length: UInt32(length), lastWins: lastWins,
                                   pool: &pool, outOfOrderLimit: scene.outOfOrderLimit)
        let cut = offset + length - Int(result.refused)
        if result.flags.isEmpty {
            if result.refused != 0 { return "refused without a reason" }
        } else {
            refusals += 1
            if result.refused == 0 { return "a reason without refusal" }
        }
        // The limit must be kept, and only given as the reason where it is one.
        let isAhead = offset > old
        let limitEnd = scene.outOfOrderLimit == .max ? Int.max : old + Int(scene.outOfOrderLimit)
        let overLimit = isAhead && length > 0 && offset + length > limitEnd
        if result.flags.contains(.beyondLimit) != overLimit { return "beyondLimit" }
        if overLimit, cut > max(offset, limitEnd) { return "taken beyond the limit" }
        if result.flags == .beyondLimit, cut != max(offset, limitEnd) { return "cut at \(cut)" }
        if result.flags.contains(.noMemory), pool.bytesInUse + 65536 < pool.limit { return "noMemory" }
        if result.flags.contains(.tooManyRanges), buffer.rangeCount < RangeSet.maxCount { return "tooManyRanges" }
        let expected = model.insert(offset, bytes, length, lastWins: lastWins, cut: cut)
        if Int(result.stored) != expected.stored { return "stored \(result.stored), not \(expected.stored)" }
        if Int(result.replaced) != expected.replaced { return "replaced \(result.replaced), not \(expected.replaced)" }
        if result.newInOrder != UInt64(model.inOrderEnd - old) { return "newInOrder \(result.newInOrder)" }
        return nil
    }

    private func compareOffsets(_ scene: Scene, _ random: inout TestRandom, _ buffer: StreamBuffer,
                                _ model: StreamModel) -> String? {
        if buffer.inOrderEnd != scene.origin + UInt64(model.inOrderEnd) { return "inOrderEnd" }
        if buffer.heldStart != scene.origin + UInt64(model.heldStart) { return "heldStart \(Int(buffer.heldStart) - Int(scene.origin)), not \(model.heldStart)" }
        if buffer.highestEnd != scene.origin + UInt64(model.highestEnd) { return "highestEnd" }
        return nil
    }

    /// Every range and every byte, by all ways of reading.
    private func compareAll(_ scene: Scene, _ buffer: StreamBuffer, _ model: StreamModel,
                            _ pool: SlabPool) -> String? {
        if buffer.memoryBytes != pool.bytesInUse { return "memoryBytes" }
        let isReadable = buffer.mode == .payload
        if !isReadable, buffer.storedBytes != 0 { return "payload kept" }
        var p = model.heldStart
        var i = 0
        var chunks = 0
        var nextChunk: UInt64 = 0
        while true {
            let from = p
            while p < model.highestEnd, model.held[p] == 0 { p += 1 }
            guard p < model.highestEnd else {
                if buffer.nextHeld(after: scene.origin + UInt64(from)) != nil { return "held behind the last range" }
                if from < model.inOrderEnd, buffer.nextInOrder(from: scene.origin + UInt64(from)) != buffer.inOrderEnd {
                    return "nextInOrder at the end"
                }
                break
            }
            let start = p
            while model.held[p] != 0, p != model.inOrderEnd || start >= p { p += 1 }
            let at = scene.origin + UInt64(start)
            guard let range = buffer.range(i) else { return "range \(i) is missing" }
            if range.start != at || range.end != scene.origin + UInt64(p) { return "range \(i)" }
            i += 1
            let lastChunk = (range.end - 1) / 2048
            nextChunk = max(nextChunk, range.start / 2048)
            if nextChunk <= lastChunk {
                chunks += Int(lastChunk - nextChunk) + 1
                nextChunk = lastChunk + 1
            }
            let next = buffer.nextHeld(after: scene.origin + UInt64(from))
            if next != at { return "nextHeld" }
            if from < model.inOrderEnd {
                let expected = min(start, model.inOrderEnd)
                if buffer.nextInOrder(from: scene.origin + UInt64(from)) != scene.origin + UInt64(expected) { return "nextInOrder" }
            }
            let length = p - start
            if buffer.contiguous(at: at) != (isReadable ? UInt64(length) : 0) { return "contiguous" }
            // From the start, and from inside.
            let inside = length / 3
            if buffer.copy(from: at + UInt64(inside), into: copy, count: Int.max) != (isReadable ? length - inside : 0) {
                return "copy's count"
            }
            guard isReadable else { continue }
            if memcmp(copy, model.content + start + inside, length - inside) != 0 { return "content of range \(i - 1)" }
            let wanted = max(1, length / 2)
            var position = start
            for piece in 0..<buffer.segments(at: at, count: wanted, into: pieces, max: 64) {
                if memcmp(pieces[piece].base, model.content + position, pieces[piece].count) != 0 { return "segment" }
                position += pieces[piece].count
            }
            if position - start != wanted { return "segments' count" }
        }
        if buffer.rangeCount != i || buffer.range(i) != nil || buffer.range(-1) != nil { return "rangeCount" }
        // Where memory never ran out there is not one chunk too many.
        if pool.limit > 1 << 20, buffer.storedBytes > chunks * 2048 { return "a chunk too many" }
        if i == 0, buffer.memoryBytes != 0 { return "memory without content" }
        return nil
    }
}
