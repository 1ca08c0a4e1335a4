import MOSWire
import XCTest

@testable import MOSStack

final class FragmentRandomTests: XCTestCase {
    /// Datagrams cut at random places, mixed with each other and given in
    /// random order, come out as they were.
    func testRandomOrder() {
        for seed in 1...3000 as ClosedRange<UInt64> {
            var random = FragmentRandom(seed)
            var r = FragmentReassembler(maxDatagrams: 8, timeout: 1000)!
            defer { r.destroy() }
            var pieces: [FragmentPiece] = []
            var wanted: [[UInt8]] = []
            for identification in 0..<UInt32(1 + random.below(3)) {
                let version = random.below(2) == 0 ? 4 : 6
                let (parts, whole) = datagram(&random, version, identification)
                pieces += parts
                wanted.append(whole)
            }
            pieces.shuffle(using: &random)
            var got: [[UInt8]] = []
            for piece in pieces {
                if let whole = r.add(piece) { got.append(whole) }
            }
            XCTAssertEqual(got.count, wanted.count, "seed \(seed)")
            for whole in wanted { XCTAssertTrue(got.contains(whole), "seed \(seed)") }
            XCTAssertEqual(r.droppedFragments, 0, "seed \(seed)")
            XCTAssertEqual(r.bytesInUse, 0, "seed \(seed)")
        }
    }

    /// Duplicates, overlaps, contradictions, other codepoints and strangers
    /// thrown in: the same as the model, fragment by fragment.
    func testAgainstTheModel() {
        var wholes = 0
        for seed in 1...4000 as ClosedRange<UInt64> {
            var random = FragmentRandom(seed &+ 100_000)
            var model = FragmentModel()
            var r = FragmentReassembler(maxDatagrams: 500, timeout: 1000)!
            var pieces: [FragmentPiece] = []
            let unit = [8, 16, 40, 2048][random.below(4)]
            for identification in 0..<UInt32(1 + random.below(2)) {
                let version = random.below(2) == 0 ? 4 : 6
                let count = 2 + random.below(6)
                var parts: [FragmentPiece] = []
                for i in 0..<count {
                    var size = unit
                    if i == count - 1 { size += random.below(9) }
                    parts.append(
                        FragmentPiece(
                            version: version, identification: identification, start: i * unit, more: i != count - 1,
                            payload: random.bytes(size)))
                }
                if random.below(3) == 0 { parts.reverse() }
                if random.below(3) == 0 { parts.shuffle(using: &random) }
                for _ in 0..<random.below(4) {
                    var odd = parts[random.below(parts.count)]
                    switch random.below(6) {
                    case 0:
                        odd.payload = random.bytes(odd.payload.count)
                    case 1:
                        odd.payload = random.bytes(random.below(3 * unit))
                    case 2:
                        odd.start = 8 * random.below(count * unit / 8 + 2)
                    case 3:
                        odd.start = 8 * random.below(count * unit / 8 + 2)
                        odd.payload = random.bytes(8 * random.below(2 * unit / 8))
                        odd.more = random.below(2) == 0
                    case 4:
                        odd.service = UInt8(random.below(4))
                    default:
                        odd.start = 65528 - 8 * random.below(4)
                    }
                    parts.insert(odd, at: random.below(parts.count + 1))
                }
                if random.below(4) == 0 { for i in parts.indices { parts[i].service = UInt8(2 + random.below(2)) } }
                pieces += parts
                if random.below(3) == 0 { pieces += parts }
            }
            if random.below(8) == 0 {
                let at = random.below(pieces.count)
                for i in 0..<(60 + random.below(8)) {
                    pieces.insert(
                        FragmentPiece(identification: UInt32(1000 + i), payload: [1, 2, 3, 4, 5, 6, 7, 8]), at: at)
                }
            }
            for (i, piece) in pieces.enumerated() where piece.start != 0 || piece.more {
                let whole = r.add(piece)
                let wanted = model.add(piece)
                if whole != nil { wholes += 1 }
                guard whole == wanted, r.droppedFragments == model.dropped else {
                    XCTFail("seed \(seed), fragment \(i): \(whole?.count ?? -1) for \(wanted?.count ?? -1) bytes, "
                        + "\(r.droppedFragments) for \(model.dropped) dropped")
                    r.destroy()
                    return
                }
            }
            r.destroy()
            XCTAssertEqual(r.droppedFragments, model.dropped + model.held, "seed \(seed)")
        }
        XCTAssertGreaterThan(wholes, 2000)
    }

    /// Whatever the bytes: no trap, no read beyond the frame, bounded memory,
    /// and frames that can be parsed.
    func testMutatedBytes() {
        var random = FragmentRandom(99)
        var r = FragmentReassembler(maxDatagrams: 64, timeout: 5000)!
        var taken: UInt64 = 0
        var inWholes = 0
        var now: UInt64 = 0
        for _ in 0..<4000 {
            let version = random.below(2) == 0 ? 4 : 6
            var (pieces, _) = datagram(&random, version, UInt32(random.below(40)))
            if random.below(2) == 0 { pieces.shuffle(using: &random) }
            for piece in pieces.prefix(12) {
                var frame = piece.frame
                let isMutated = random.below(2) == 0
                if isMutated {
                    for _ in 0..<(1 + random.below(4)) {
                        let at = random.below(min(frame.count, random.below(4) == 0 ? frame.count : 90))
                        frame[at] = random.below(2) == 0 ? UInt8(random.below(256)) : frame[at] ^ 1 << UInt8(random.below(8))
                    }
                }
                let captured = random.below(6) == 0 ? random.below(frame.count + 1) : frame.count
                now = random.below(100) == 0 ? random.next() : now &+ UInt64(random.below(20))
                let kind = frame.withUnsafeBufferPointer {
                    Packet(
                        frame: $0.baseAddress!, length: UInt32(captured), wireLength: UInt32(frame.count), timestamp: 0,
                        vouched: 0, port: 0, seed: FlowHashSeed(1, 2)
                    ).kind
                }
                if kind == .fragment { taken += 1 }
                if let whole = r.add(frame: frame, now: now, captured: captured) {
                    inWholes += 1
                    whole.withUnsafeBufferPointer {
                        let packet = Packet(
                            frame: $0.baseAddress!, length: UInt32(whole.count), wireLength: UInt32(whole.count),
                            timestamp: 0, vouched: 0, port: 0, seed: FlowHashSeed(1, 2))
                        XCTAssertNotEqual(packet.kind, .fragment)
                        XCTAssertTrue(packet.verifyIPChecksum())
                        if packet.ipVersion != 0 {
                            XCTAssertEqual(Int(packet.ipOffset) + Int(packet.ipLength), whole.count)
                        }
                    }
                }
                XCTAssertLessThanOrEqual(r.bytesInUse, 4 << 20)
                XCTAssertLessThanOrEqual(r.datagramCount, 64)
            }
        }
        r.destroy()
        XCTAssertGreaterThan(taken, 10000)
        XCTAssertGreaterThan(inWholes, 500)
        XCTAssertLessThan(r.droppedFragments, taken)
    }

    private func datagram(
        _ random: inout FragmentRandom, _ version: Int, _ identification: UInt32
    ) -> ([FragmentPiece], [UInt8]) {
        let size = 9 + random.below([40, 400, 5000, 20000][random.below(4)])
        let bytes = random.bytes(size)
        var first = FragmentPiece(version: version, identification: identification)
        for _ in 0..<random.below(3) { first.tags.append(([0x8100, 0x88a8, 0x9100][random.below(3)], UInt16(random.below(4096)))) }
        if random.below(3) == 0 {
            if version == 4 {
                first.options = [UInt8](repeating: 1, count: 4 * (1 + random.below(10)))
            } else {
                first.beforeNumber = 0
                let length = random.below(4)
                first.before = [44, UInt8(length)] + [UInt8](repeating: 0, count: 6 + 8 * length)
            }
        }
        var pieces: [FragmentPiece] = []
        var start = 0
        while start < size {
            var piece = first
            let most = min([64, 600, 6000][random.below(3)], size)
            var count = 8 * (1 + random.below(most / 8 + 1))
            // The last is not the only one, else it would be no fragment.
            if start == 0, count >= size { count = 8 }
            piece.start = start
            piece.payload = Array(bytes[start..<min(start + count, size)])
            piece.more = start + count < size
            pieces.append(piece)
            start += count
        }
        return (pieces, first.whole(bytes))
    }
}
