import XCTest

@testable import MOSWire

/// What a Linux host takes of IPv4 options and IPv6 extension headers: each
/// case was tried on Linux 6.18.
final class HeededHeadersTests: XCTestCase {
    private static let tcp: [UInt8] = [
        0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xfa, 0xf0, 0, 0, 0, 0,
    ]
    private static let payload: [UInt8] = Array("EVIL".utf8)

    private struct Seen: Equatable {
        var kind: PacketKind
        var transport: UInt8
        var isHeeded: Bool
        var hasGuessedLength: Bool
        var payloadLength: Int
    }

    /// The frame's bytes lie in memory of exactly their number.
    private func see(_ frame: [UInt8], wireLength: Int? = nil) -> Seen {
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: frame.count)
        defer { bytes.deallocate() }
        bytes.update(from: frame, count: frame.count)
        let p = Packet(
            frame: bytes, length: UInt32(frame.count), wireLength: UInt32(wireLength ?? frame.count), timestamp: 0,
            vouched: 0, port: 0, seed: FlowHashSeed(1, 2))
        let hasForm = p.kind == .tcp || p.kind == .fragment
        return Seen(
            kind: p.kind, transport: p.transport, isHeeded: hasForm && p.isHeeded,
            hasGuessedLength: p.kind == .tcp && p.hasGuessedLength, payloadLength: Int(p.payloadLength))
    }

    private func ipv4(_ options: [UInt8], length: Int? = nil, field: UInt16 = 0) -> [UInt8] {
        let header = 20 + options.count
        let total = length ?? header + Self.tcp.count + Self.payload.count
        var frame = [UInt8](repeating: 2, count: 12) + [0x08, 0x00]
        frame += [0x40 | UInt8(header / 4), 0, UInt8(total >> 8), UInt8(total & 0xff), 0, 1]
        frame += [UInt8(field >> 8), UInt8(field & 0xff), 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
        return frame + options + Self.tcp + Self.payload
    }

    private func ipv6(_ first: UInt8, _ headers: [UInt8], length: Int? = nil) -> [UInt8] {
        let total = length ?? headers.count + Self.tcp.count + Self.payload.count
        var frame = [UInt8](repeating: 2, count: 12) + [0x86, 0xdd]
        frame += [0x60, 0, 0, 0, UInt8(total >> 8), UInt8(total & 0xff), first, 64]
        frame += [0x20, 0x01] + [UInt8](repeating: 0, count: 13) + [1]
        frame += [0x20, 0x01] + [UInt8](repeating: 0, count: 13) + [2]
        return frame + headers + Self.tcp + Self.payload
    }

    /// A hop-by-hop or destination options header: these options as they are,
    /// of 8n + 6 bytes.
    private func options(_ bytes: [UInt8], next: UInt8 = 6) -> [UInt8] {
        XCTAssertEqual(bytes.count % 8, 6)
        return [next, UInt8((bytes.count + 2) / 8 - 1)] + bytes
    }

    private func routing(_ kind: UInt8, left: UInt8, next: UInt8 = 6) -> [UInt8] {
        [next, 2, kind, left] + [UInt8](repeating: 0, count: 20)
    }

    private func check(
        _ frame: [UInt8], _ isHeeded: Bool, _ name: String, kind: PacketKind = .tcp, line: UInt = #line
    ) {
        let seen = see(frame)
        XCTAssertEqual(seen.kind, kind, name, line: line)
        XCTAssertEqual(seen.isHeeded, isHeeded, name, line: line)
        if kind == .tcp { XCTAssertEqual(seen.payloadLength, Self.payload.count, name, line: line) }
    }

    // MARK: Lengths

    func testGuessedLengths() {
        XCTAssertFalse(see(ipv4([])).hasGuessedLength)
        XCTAssertFalse(see(ipv6(6, [])).hasGuessedLength)
        // Still a segment: of a capture in front of the card.
        let zero4 = see(ipv4([], length: 0))
        XCTAssertTrue(zero4.hasGuessedLength)
        XCTAssertEqual(zero4.payloadLength, 4)
        let zero6 = see(ipv6(6, [], length: 0))
        XCTAssertTrue(zero6.hasGuessedLength)
        XCTAssertEqual(zero6.payloadLength, 4)
        // A host, too, goes by the frame.
        let jumbo = see(ipv6(0, options([1, 4, 0, 0, 0, 0]), length: 0))
        XCTAssertFalse(jumbo.hasGuessedLength)
        XCTAssertTrue(jumbo.isHeeded)
        XCTAssertEqual(see(ipv6(60, options([1, 4, 0, 0, 0, 0]), length: 0)).kind, .malformed)
    }

    // MARK: IPv4 options

    func testRecordRoute() {
        check(ipv4([7, 7, 4, 0, 0, 0, 0, 0]), true, "room")
        check(ipv4([7, 7, 8, 0, 0, 0, 0, 0]), true, "full")
        check(ipv4([7, 7, 250, 0, 0, 0, 0, 0]), true, "far beyond")
        check(ipv4([7, 3, 4, 0]), true, "no room at all")
        check(ipv4([7, 7, 3, 0, 0, 0, 0, 0]), false, "pointer into the option's head")
        for pointer in UInt8(5)...7 { check(ipv4([7, 7, pointer, 0, 0, 0, 0, 0]), false, "room for \(8 - pointer) bytes") }
        check(ipv4([7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0]), false, "two")
    }

    func testTimestamps() {
        check(ipv4([68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0]), true, "room")
        check(ipv4([68, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0]), true, "unknown flag")
        check(ipv4([68, 12, 9, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0]), true, "overflown, but room")
        check(ipv4([68, 12, 13, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0]), true, "overflown 14 times")
        check(ipv4([68, 12, 13, 0xf3, 0, 0, 0, 0, 0, 0, 0, 0]), true, "prespecified addresses do not overflow")
        check(ipv4([68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0]), true, "room with an address")
        for flags in UInt8(0)...2 {
            check(ipv4([68, 12, 13, 0xf0 | flags, 0, 0, 0, 0, 0, 0, 0, 0]), false, "overflown 15 times")
            check(ipv4([68, 12, 10, flags, 0, 0, 0, 0, 0, 0, 0, 0]), false, "room for 3 bytes")
        }
        check(ipv4([68, 12, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]), false, "no room for an address")
        check(ipv4([68, 12, 9, 3, 0, 0, 0, 0, 0, 0, 0, 0]), false, "no room for a prespecified one")
        check(ipv4([68, 12, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]), false, "pointer into the option's head")
        check(ipv4([68, 8, 5, 0, 0, 0, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0]), false, "two")
    }

    func testOtherOptions() {
        check(ipv4([1, 1, 1, 1]), true, "no operation")
        check(ipv4([148, 4, 1, 1]), true, "router alert of an unknown value")
        check(ipv4([130, 3, 0, 130, 3, 0, 0, 0]), true, "two unknown ones")
        check(ipv4([0, 131, 3, 4]), true, "behind the end")
        check(ipv4([131, 7, 4, 10, 0, 0, 1, 0]), false, "loose source route")
        check(ipv4([137, 7, 4, 10, 0, 0, 1, 0]), false, "strict source route")
        check(ipv4([130, 0, 0, 0]), false, "length 0")
        check(ipv4([130, 5, 0, 0]), false, "beyond the header")
        check(ipv4([1, 1, 1, 130]), false, "no length")
    }

    func testOptionsOfFragments() {
        check(ipv4([1, 1, 1, 1], field: 5), true, "no operation", kind: .fragment)
        check(ipv4([131, 7, 4, 10, 0, 0, 1, 0], field: 5), false, "source route", kind: .fragment)
        check(ipv4([7, 7, 5, 0, 0, 0, 0, 0], field: 5), false, "record route", kind: .fragment)
    }

    // MARK: IPv6 options

    func testPadding() {
        for first: UInt8 in [0, 60] {
            check(ipv6(first, options([1, 4, 0, 0, 0, 0])), true, "PadN")
            check(ipv6(first, options([0, 0, 0, 0, 0, 0])), true, "Pad1, 6 times")
            check(ipv6(first, options([1, 5, 0, 0, 0, 0, 0, 0x1e, 1, 0, 1, 2, 0, 0])), true, "7 bytes")
            check(ipv6(first, options([0, 0, 0, 0, 0, 0, 0x1e, 0, 0, 0, 0, 0, 0, 0])), true, "6 and 6 bytes")
            check(ipv6(first, options([1, 4, 9, 9, 9, 9])), false, "not zero")
            check(ipv6(first, options([1, 4, 0, 0, 0, 1])), false, "not all zero")
            check(ipv6(first, options([1, 12] + [UInt8](repeating: 0, count: 12))), false, "PadN of 14")
            check(ipv6(first, options([UInt8](repeating: 0, count: 14))), false, "Pad1, 14 times")
            check(ipv6(first, options([0, 1, 5, 0, 0, 0, 0, 0, 0x1e, 4, 0, 0, 0, 0])), false, "Pad1 and PadN: 8 bytes")
            check(ipv6(first, options([1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0])), false, "PadN and PadN")
        }
    }

    func testUnknownOptions() {
        for first: UInt8 in [0, 60] {
            check(ipv6(first, options([0x1e, 4, 0, 0, 0, 0])), true, "to be skipped")
            check(ipv6(first, options([0x3e, 4, 9, 9, 9, 9])), true, "to be skipped, may change")
            for kind: UInt8 in [0x5e, 0x9e, 0xde, 0xc9] {
                check(ipv6(first, options([kind, 4, 0, 0, 0, 0])), false, "\(kind): to be discarded")
            }
            check(ipv6(first, options([0x1e, 20, 0, 0, 0, 0])), false, "beyond its header")
            check(ipv6(first, options([0x1e, 3, 0, 0, 0, 0x1e])), false, "no length")
            check(ipv6(first, options([0x1e, 5, 0, 0, 0, 0])), false, "one byte beyond its header")
            let eight = [[UInt8]](repeating: [0x1e, 0], count: 8).flatMap { $0 }
            check(ipv6(first, options(eight + [1, 4, 0, 0, 0, 0])), true, "eight of them")
            check(ipv6(first, options(eight + [0x1e, 0, 1, 2, 0, 0])), false, "nine of them")
        }
    }

    func testKnownOptions() {
        check(ipv6(0, options([5, 2, 0, 0, 1, 0])), true, "router alert")
        check(ipv6(0, options([5, 3, 0, 0, 0, 0])), false, "router alert of 3 bytes")
        check(ipv6(60, options([5, 3, 0, 0, 0, 0])), true, "an unknown option of 3 bytes")
        check(ipv6(0, options([1, 0, 49, 2, 0, 0])), true, "IOAM")
        check(ipv6(0, options([49, 2, 0, 0, 1, 0])), false, "IOAM, not aligned")
        check(ipv6(60, options([49, 2, 0, 0, 1, 0])), true, "an unknown option, not aligned")
        let home: [UInt8] = [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [1]
        check(ipv6(60, options([1, 2, 0, 0, 0xc9, 16] + home)), false, "home address")
    }

    func testJumboPayload() {
        check(ipv6(0, options([0xc2, 4, 0, 0, 0, 32])), false, "small, with a payload length")
        check(ipv6(0, options([0xc2, 4, 0, 0, 0, 32]), length: 0), false, "small")
        check(ipv6(60, options([0xc2, 4, 0, 1, 0, 0])), false, "in destination options")
        let large = [UInt8](repeating: 0, count: 70000)
        func jumbogram(_ option: [UInt8], length: Int = 0) -> Seen {
            see(ipv6(0, options(option), length: length) + large)
        }
        // 8 + 20 + 4 + 70 000 bytes.
        XCTAssertTrue(jumbogram([0xc2, 4, 0, 1, 0, 0]).isHeeded)
        XCTAssertTrue(jumbogram([0xc2, 4, 0, 1, 0x11, 0x90]).isHeeded)
        XCTAssertFalse(jumbogram([0xc2, 4, 0, 1, 0x11, 0x91]).isHeeded, "beyond the frame")
        XCTAssertFalse(jumbogram([0xc2, 4, 0xff, 0xff, 0xff, 0xff]).isHeeded, "far beyond the frame")
        XCTAssertFalse(jumbogram([0xc2, 4, 0, 0, 0xff, 0xff]).isHeeded, "no jumbogram's length")
        XCTAssertFalse(jumbogram([0xc2, 4, 0, 1, 0, 0], length: 32).isHeeded, "with a payload length")
        XCTAssertFalse(jumbogram([0, 0, 0xc2, 4, 0, 1, 0, 0, 1, 4, 0, 0, 0, 0]).isHeeded, "not aligned")
        XCTAssertFalse(jumbogram([0xc2, 2, 0, 1, 0, 0]).isHeeded, "of 2 bytes")
    }

    // MARK: IPv6 headers

    func testHeaderOrder() {
        let padding: [UInt8] = [1, 4, 0, 0, 0, 0]
        check(ipv6(0, options(padding, next: 60) + options(padding)), true, "hop-by-hop, then destination")
        check(ipv6(60, options(padding, next: 60) + options(padding)), true, "two of destination")
        check(ipv6(60, options(padding, next: 0) + options(padding)), false, "hop-by-hop behind destination")
        check(ipv6(0, options(padding, next: 0) + options(padding)), false, "two of hop-by-hop")
        check(ipv6(60, options(padding, next: 60) + options([0x5e, 4, 0, 0, 0, 0])), false, "bad option in the second")
        let many = (0..<200).flatMap { options(padding, next: $0 == 199 ? 6 : 60) }
        check(ipv6(60, many), true, "two hundred")
    }

    func testRoutingHeaders() {
        for kind: UInt8 in [0, 1, 2, 77] {
            check(ipv6(43, routing(kind, left: 0)), true, "type \(kind), nothing left")
            check(ipv6(43, routing(kind, left: 1)), false, "type \(kind), 1 left")
        }
        for kind: UInt8 in [3, 4] {
            check(ipv6(43, routing(kind, left: 0)), false, "type \(kind), nothing left")
            check(ipv6(43, routing(kind, left: 1)), false, "type \(kind), 1 left")
        }
    }

    func testHeadersBehindWhichThereIsNoTCP() {
        for number: UInt8 in [51, 135, 139, 140] {
            let seen = see(ipv6(number, [6, 0, 1, 4, 0, 0, 0, 0]))
            XCTAssertEqual(seen.kind, .otherIP)
            XCTAssertEqual(seen.transport, number)
        }
    }

    func testFragmentHeaders() {
        let whole: [UInt8] = [6, 0, 0, 0, 0, 0, 0, 9]
        let part: [UInt8] = [6, 0, 0, 1, 0, 0, 0, 9]
        let padding: [UInt8] = [1, 4, 0, 0, 0, 0]
        let bad: [UInt8] = [0x5e, 4, 0, 0, 0, 0]
        check(ipv6(44, whole), true, "atomic")
        check(ipv6(44, [60] + whole.dropFirst() + options(padding)), true, "atomic, options behind")
        check(ipv6(44, [60] + whole.dropFirst() + options(bad)), false, "atomic, a bad one behind")
        check(ipv6(44, [0] + whole.dropFirst() + options(padding)), false, "atomic, hop-by-hop behind")
        check(ipv6(60, options(bad, next: 44) + whole), false, "atomic, a bad option before")
        check(ipv6(44, part), true, "fragment", kind: .fragment)
        check(ipv6(0, options(padding, next: 44) + part), true, "hop-by-hop before", kind: .fragment)
        check(ipv6(60, options(bad, next: 44) + part), false, "a bad option before", kind: .fragment)
        check(ipv6(43, routing(0, left: 0, next: 44) + part), true, "no segments left", kind: .fragment)
        check(ipv6(43, routing(0, left: 1, next: 44) + part), false, "segments left", kind: .fragment)
    }

    /// Offsets have 16 bits: chains of headers up to the end of the longest
    /// datagram.
    func testLongestChain() {
        let header = options([1, 4, 0, 0, 0, 0], next: 60)
        func kind(_ count: Int, _ last: UInt8) -> PacketKind {
            var headers = [[UInt8]](repeating: header, count: count).flatMap { $0 }
            headers[headers.count - 8] = last
            // A fragment header that is not atomic, or a port.
            let frame = ipv6(60, headers + [6, 0, 0, 1], length: min(headers.count + 24, 65495))
            return see(frame).kind
        }
        XCTAssertEqual(kind(8180, 44), .fragment)
        XCTAssertEqual(kind(8184, 44), .fragment)
        XCTAssertEqual(kind(8184, 6), .badTCPOffset)
        for count in 8185...8186 {
            XCTAssertEqual(kind(count, 44), .malformed)
            XCTAssertEqual(kind(count, 6), .malformed)
        }
    }

    /// Whatever the bytes: nothing traps, nothing is read beyond them.
    func testRandomChains() {
        var generator = SystemRandomNumberGenerator()
        let numbers: [UInt8] = [0, 43, 44, 60, 6, 51]
        for _ in 0..<20000 {
            let size = Int.random(in: 0...12, using: &generator) * 8
            var headers = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) & 0x47 }
            for at in stride(from: 0, to: size, by: 8) {
                headers[at] = numbers.randomElement(using: &generator)!
                headers[at + 1] = UInt8.random(in: 0...1, using: &generator)
            }
            let frame = ipv6(numbers.randomElement(using: &generator)!, headers)
            _ = see(Array(frame.prefix(Int.random(in: 54...frame.count, using: &generator))), wireLength: frame.count)
            let options = (0..<Int.random(in: 0...10, using: &generator) * 4).map { _ in
                [0, 1, 2, 3, 4, 5, 7, 8, 12, 68, 131, 148, UInt8.random(in: 0...255, using: &generator)]
                    .randomElement(using: &generator)!
            }
            _ = see(ipv4(options))
        }
    }
}
