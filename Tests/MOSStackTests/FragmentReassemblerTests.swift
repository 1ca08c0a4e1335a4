import MOSWire
import XCTest

@testable import MOSStack

final class FragmentReassemblerTests: XCTestCase {
    private var reassembler: FragmentReassembler!
    private var given: UInt64 = 0

    override func setUp() {
        reassembler = FragmentReassembler(maxDatagrams: 256, timeout: 30_000_000_000)
        given = 0
    }

    override func tearDown() {
        reassembler.destroy()
    }

    private func both(_ body: (Int) -> Void) {
        for version in [4, 6] {
            reassembler.destroy()
            setUp()
            body(version)
        }
    }

    private func add(_ piece: FragmentPiece, now: UInt64 = 0) -> [UInt8]? {
        given += 1
        return reassembler.add(piece, now: now)
    }

    private func piece(_ version: Int, _ start: Int, _ more: Bool, _ payload: String) -> FragmentPiece {
        FragmentPiece(version: version, start: start, more: more, payload: Array(payload.utf8))
    }

    /// Gives the pieces in turn; the payloads of the datagrams that come out.
    private func deliver(_ version: Int, _ pieces: [(Int, Bool, String)]) -> [String] {
        pieces.compactMap { start, more, payload in
            add(piece(version, start, more, payload)).map {
                String(decoding: $0[(version == 4 ? 34 : 54)...], as: UTF8.self)
            }
        }
    }

    private let a = (0, true, "aaaaaaaa")
    private let b = (8, true, "bbbbbbbb")
    private let c = (16, false, "ccccc")

    func testEveryOrder() {
        both { version in
            let orders = [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]
            for (i, order) in orders.enumerated() {
                XCTAssertEqual(deliver(version, order), ["aaaaaaaabbbbbbbbccccc"], "order \(i)")
            }
            XCTAssertEqual(reassembler.droppedFragments, 0)
            XCTAssertEqual(reassembler.datagramCount, 0)
            XCTAssertEqual(reassembler.bytesInUse, 0)
        }
    }

    func testFrameIsMadeRight() {
        both { version in
            var first = piece(version, 0, true, "12345678")
            first.tags = [(0x88a8, 5), (0x8100, 0x2007)]
            first.service = 0xb8
            if version == 4 {
                first.options = [0x94, 4, 0, 0]
            } else {
                // Hop-by-hop and destination options, then the fragment header.
                first.beforeNumber = 0
                first.before = [60, 0, 1, 4, 0, 0, 0, 0, 44, 1, 1, 12] + [UInt8](repeating: 0, count: 12)
            }
            var last = piece(version, 8, false, "9abc")
            last.service = 0xb8
            XCTAssertNil(add(last))
            let frame = add(first)
            XCTAssertEqual(frame, first.whole(Array("123456789abc".utf8)))
            if version == 4, let frame {
                XCTAssertEqual(FragmentPiece.checksum(Array(frame[22..<46])), 0)
            }
        }
    }

    func testWholeSegmentParsesAsTCP() {
        both { version in
            var segment: [UInt8] = [0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]
            segment += Array("an order to be kept".utf8)
            var first = FragmentPiece(version: version, number: 6, payload: Array(segment[..<24]))
            first.tags = [(0x8100, 1)]
            XCTAssertNil(add(first))
            let frame = add(
                FragmentPiece(version: version, number: 6, start: 24, more: false, payload: Array(segment[24...])))
            let packet = frame!.withUnsafeBufferPointer {
                Packet(
                    frame: $0.baseAddress!, length: UInt32($0.count), wireLength: UInt32($0.count), timestamp: 0,
                    vouched: 0, port: 0, seed: FlowHashSeed(1, 2))
            }
            XCTAssertEqual(packet.kind, .tcp)
            XCTAssertEqual(packet.payloadLength, 19)
            XCTAssertEqual(packet.sourcePort, 0x1234)
        }
    }

    /// What came out of a raw socket of Linux 6.18 for the same fragments.
    func testOverlapsAsLinux() {
        both { version in
            // The first copy of an exact duplicate stays.
            XCTAssertEqual(deliver(version, [a, (0, true, "XXXXXXXX"), b, c]), ["aaaaaaaabbbbbbbbccccc"])
            XCTAssertEqual(deliver(version, [a, b, (0, true, "XXXXXXXXXXXXXXXX"), c]), ["aaaaaaaabbbbbbbbccccc"])
            XCTAssertEqual(deliver(version, [a, b, (8, true, "XXXXXXXX"), c]), ["aaaaaaaabbbbbbbbccccc"])
            XCTAssertEqual(reassembler.droppedFragments, 3)
            // An overlap ends the datagram.
            XCTAssertEqual(
                deliver(version, [(0, true, "aaaaaaaaaaaaaaaa"), (8, true, "xxxxxxxxxxxxxxxx"), (24, false, "zzzz")]), [])
            XCTAssertEqual(reassembler.datagramCount, 1)
            setUp()
            XCTAssertEqual(
                deliver(
                    version,
                    [
                        (0, true, "aaaaaaaaaaaaaaaa"), (8, true, "xxxxxxxxxxxxxxxx"), (0, true, "pppppppppppppppp"),
                        (16, false, "qqqq"),
                    ]), ["ppppppppppppppppqqqq"])
            XCTAssertEqual(reassembler.droppedFragments, 2)
            // Two fragments that arrived in descending order are two runs.
            XCTAssertEqual(deliver(version, [b, a, (0, true, "XXXXXXXXXXXXXXXX"), (0, true, "YYYYYYYYYYYYYYYY"), c]),
                ["YYYYYYYYYYYYYYYYccccc"])
            XCTAssertEqual(reassembler.droppedFragments, 5)
        }
    }

    func testContradictoryEndsAsLinux() {
        both { version in
            for bad in [(16, false, "dddddddd"), (24, true, "dddddddd"), (8, false, "dddd")] {
                XCTAssertEqual(deliver(version, [a, c, bad, b]), [])
                XCTAssertEqual(reassembler.datagramCount, 1, "only the fourth is held")
                reassembler.destroy()
                setUp()
            }
            // A duplicate that only tells the end does not complete.
            XCTAssertEqual(deliver(version, [a, b, (8, false, "cccccccc")]), [])
            XCTAssertEqual(reassembler.droppedFragments, 1)
            XCTAssertEqual(reassembler.datagramCount, 1)
        }
    }

    func testEmptyFragmentsEndTheDatagram() {
        both { version in
            XCTAssertEqual(deliver(version, [a, (8, true, ""), b, c]), [])
            XCTAssertEqual(reassembler.droppedFragments, 2)
            reassembler.destroy()
            setUp()
            XCTAssertEqual(deliver(version, [a, b, (16, false, "")]), [])
            XCTAssertEqual(reassembler.droppedFragments, 3)
            XCTAssertEqual(reassembler.datagramCount, 0)
        }
    }

    func testLengthsThatAreNoMultipleOfEight() {
        XCTAssertEqual(deliver(4, [(0, true, "aaaaaaaaaaaaa"), b, c]), ["aaaaaaaabbbbbbbbccccc"])
        XCTAssertEqual(reassembler.droppedFragments, 0)
        XCTAssertEqual(deliver(4, [a, (8, true, "ttttt"), b, c]), [])
        XCTAssertEqual(reassembler.droppedFragments, 2)
        setUp()
        XCTAssertEqual(deliver(6, [(0, true, "aaaaaaaaaaaaa"), b, c]), [])
        XCTAssertEqual(reassembler.droppedFragments, 1)
        XCTAssertEqual(deliver(6, [a]), ["aaaaaaaabbbbbbbbccccc"])
    }

    func testBeyondTheLargestDatagram() {
        // IPv4: it stays in the way until something contradicts it.
        XCTAssertEqual(deliver(4, [(65528, false, String(repeating: "o", count: 200)), a, b, c, a, b, c]),
            ["aaaaaaaabbbbbbbbccccc"])
        XCTAssertEqual(reassembler.droppedFragments, 4)
        setUp()
        XCTAssertEqual(deliver(6, [(65528, false, String(repeating: "o", count: 200)), a, b, c]),
            ["aaaaaaaabbbbbbbbccccc"])
        XCTAssertEqual(reassembler.droppedFragments, 1)
    }

    func testLargestDatagram() {
        both { version in
            let room = version == 4 ? 65515 : 65535
            for (length, fits) in [(room, true), (room + 1, false)] {
                var random = FragmentRandom(7)
                let bytes = random.bytes(length)
                var out: [UInt8]?
                for start in stride(from: 0, to: length, by: 8192) {
                    let end = min(start + 8192, length)
                    var piece = FragmentPiece(version: version, start: start, payload: Array(bytes[start..<end]))
                    piece.more = end != length
                    out = add(piece)
                }
                XCTAssertEqual(out, fits ? FragmentPiece(version: version).whole(bytes) : nil)
            }
        }
    }

    func testKeysKeepDatagramsApart() {
        both { version in
            var pieces: [FragmentPiece] = []
            for variant in 0..<4 {
                var first = piece(version, 0, true, "firsthal")
                if variant == 1 { first.identification = 2 }
                if variant == 2 { first.source = 9 }
                if variant == 3 { first.destination = 9 }
                pieces.append(first)
            }
            if version == 4 {
                var other = pieces[0]
                other.number = 252
                pieces.append(other)
            }
            for piece in pieces { XCTAssertNil(add(piece)) }
            XCTAssertEqual(reassembler.datagramCount, pieces.count)
            for (i, piece) in pieces.enumerated() {
                var last = piece
                last.start = 8
                last.more = false
                last.payload = Array("end \(i)".utf8)
                XCTAssertEqual(add(last), piece.whole(piece.payload + last.payload))
            }
            XCTAssertEqual(reassembler.droppedFragments, 0)
        }
    }

    /// RFC 8200 §4.5: the protocol is that of the first fragment.
    func testIPv6TakesTheProtocolOfTheFirst() {
        var last = piece(6, 8, false, "b")
        last.number = 6
        XCTAssertNil(add(last))
        let first = piece(6, 0, true, "aaaaaaaa")
        XCTAssertEqual(add(first), first.whole(Array("aaaaaaaab".utf8)))
    }

    func testCongestion() {
        both { version in
            for (codepoints, service) in [
                ([0, 0], 0), ([2, 3], 3), ([3, 1], 3), ([2, 1], 2), ([3, 3], 3), ([0, 2], nil), ([3, 0], nil),
                ([1, 0], nil),
            ] as [([UInt8], UInt8?)] {
                var first = piece(version, 0, true, "aaaaaaaa")
                first.service = codepoints[0] | 0x20
                var last = piece(version, 8, false, "b")
                last.service = codepoints[1] | 0x20
                XCTAssertNil(add(first))
                XCTAssertEqual(add(last), service.map { first.whole(Array("aaaaaaaab".utf8), service: $0 | 0x20) })
            }
            XCTAssertEqual(reassembler.droppedFragments, 6)
        }
    }

    func testCutFragmentsNeverMakeADatagram() {
        both { version in
            let frame = piece(version, 8, true, "bbbbbbbb").frame
            XCTAssertNil(add(piece(version, 0, true, "aaaaaaaa")))
            XCTAssertNil(reassembler.add(frame: frame, captured: frame.count - 1))
            XCTAssertEqual(reassembler.droppedFragments, 1)
            // The receiver has it: this is a duplicate for it.
            XCTAssertNil(add(piece(version, 8, true, "BBBBBBBB")))
            XCTAssertNil(add(piece(version, 16, false, "c")))
            XCTAssertEqual(reassembler.droppedFragments, 4)
            XCTAssertEqual(reassembler.datagramCount, 0)
        }
    }

    func testLengthsOfZeroInTheHeader() {
        both { version in
            var bad = piece(version, 0, true, "aaaaaaaa")
            bad.statedLength = 0
            if version == 6 {
                bad.beforeNumber = 0
                bad.before = [44, 0, 1, 4, 0, 0, 0, 0]
            }
            XCTAssertNil(add(bad))
            XCTAssertEqual(reassembler.droppedFragments, 1)
            XCTAssertEqual(reassembler.datagramCount, 0)
        }
    }

    func testIPv6FirstFragmentHoldsTheTransportHeader() {
        for (number, least) in [(6, 24), (17, 8), (58, 8), (253, 8)] as [(UInt8, Int)] {
            for count in stride(from: 8, through: 32, by: 8) {
                let first = FragmentPiece(version: 6, number: number, payload: [UInt8](repeating: 0, count: count))
                XCTAssertNil(add(first))
                XCTAssertEqual(reassembler.datagramCount, count >= least ? 1 : 0, "\(number) \(count)")
                reassembler.destroy()
                setUp()
            }
        }
        // Behind options it has to be there too.
        for (length, isKept) in [(8, false), (16, true)] {
            let payload: [UInt8] = [253, 0, 1, 4, 0, 0, 0, 0] + [UInt8](repeating: 0, count: length - 8)
            XCTAssertNil(add(FragmentPiece(version: 6, number: 60, payload: payload)))
            XCTAssertEqual(reassembler.datagramCount, isKept ? 1 : 0)
        }
    }

    func testIPv6FragmentsInFragments() {
        let inner: [UInt8] = [253, 0, 0, 0, 0, 0, 0, 5]
        XCTAssertNil(add(FragmentPiece(version: 6, number: 44, payload: inner + [1, 2, 3, 4, 5, 6, 7, 8])))
        XCTAssertNil(add(FragmentPiece(version: 6, number: 44, start: 16, more: false, payload: [9])))
        XCTAssertEqual(reassembler.droppedFragments, 2)
        var outer = piece(6, 0, true, "aaaaaaaa")
        outer.before = [44, 0, 0, 0, 0, 0, 0, 5]
        // Behind an atomic fragment header a second one makes no fragment.
        XCTAssertNil(add(outer))
        XCTAssertEqual(reassembler.droppedFragments, 2)
        XCTAssertEqual(reassembler.datagramCount, 0)
    }

    /// RFC 8200 §4.1: what the first fragment's header names is not behind
    /// the fixed header.
    func testIPv6HopByHopHeaderInFragments() {
        let payload: [UInt8] = [253, 0, 1, 4, 0, 0, 0, 0] + [UInt8](repeating: 7, count: 8)
        for number: UInt8 in [0, 60] {
            var first = FragmentPiece(version: 6, number: number, payload: payload)
            first.identification = UInt32(number)
            var last = first
            last.start = 16
            last.more = false
            last.payload = [1, 2]
            XCTAssertNil(add(first))
            XCTAssertEqual(add(last), number == 0 ? nil : first.whole(payload + [1, 2]))
        }
        XCTAssertEqual(reassembler.droppedFragments, 2)
        XCTAssertEqual(reassembler.datagramCount, 0)
    }

    func testRecordsFitTheirRoom() {
        XCTAssertLessThanOrEqual(MemoryLayout<FragmentQueue>.size, FragmentQueue.chunkTableOffset)
        XCTAssertEqual(MemoryLayout<FragmentChunk>.size, 64)
        XCTAssertEqual(FragmentChunk.units * 8, FragmentChunk.bytes)
        XCTAssertGreaterThanOrEqual(FragmentChunk.mostInDatagram * FragmentChunk.bytes, 65528 + 65515)
    }
}
