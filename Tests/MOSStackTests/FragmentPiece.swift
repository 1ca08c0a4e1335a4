import MOSWire

@testable import MOSStack

/// One fragment as a test describes it, and the frame that carries it.
struct FragmentPiece {
    var version = 4
    var identification: UInt32 = 1
    var number: UInt8 = 253
    var source: UInt8 = 1
    var destination: UInt8 = 2
    var start = 0
    var more = true
    var payload: [UInt8] = []
    /// The type of service, or traffic class.
    var service: UInt8 = 0
    /// IPv4: options (a multiple of 4 bytes).
    var options: [UInt8] = []
    /// IPv6: headers before the fragment header, whose chain ends in 44, and
    /// the first one's number.
    var before: [UInt8] = []
    var beforeNumber: UInt8 = 44
    /// VLAN tags: type and identifier.
    var tags: [(UInt16, UInt16)] = []
    /// What the IP header says instead of the right length.
    var statedLength: UInt16?

    static func words(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum = 0
        for i in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[i]) << 8 + (i + 1 < bytes.count ? Int(bytes[i + 1]) : 0)
        }
        while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
        return ~UInt16(sum)
    }

    var ethernet: [UInt8] {
        var bytes: [UInt8] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]
        for tag in tags { bytes += Self.words(tag.0) + Self.words(tag.1) }
        return bytes + (version == 4 ? [8, 0] : [0x86, 0xdd])
    }

    func ipv4Header(length: Int, field: UInt16) -> [UInt8] {
        var header: [UInt8] = [0x45 + UInt8(options.count / 4), service]
        header += Self.words(UInt16(truncatingIfNeeded: length)) + Self.words(UInt16(truncatingIfNeeded: identification))
        header += Self.words(field) + [64, number, 0, 0, 10, 0, 0, source, 10, 0, 0, destination] + options
        let sum = Self.checksum(header)
        header[10] = UInt8(sum >> 8)
        header[11] = UInt8(sum & 255)
        return header
    }

    func ipv6Header(length: Int, first: UInt8) -> [UInt8] {
        [0x60 | service >> 4, service << 4, 0, 0] + Self.words(UInt16(truncatingIfNeeded: length)) + [first, 64]
            + [0xfd] + [UInt8](repeating: 0, count: 14) + [source]
            + [0xfd] + [UInt8](repeating: 0, count: 14) + [destination]
    }

    var frame: [UInt8] {
        let field = UInt16(start / 8)
        if version == 4 {
            let length = statedLength.map(Int.init) ?? 20 + options.count + payload.count
            return ethernet + ipv4Header(length: length, field: field | (more ? 0x2000 : 0)) + payload
        }
        let length = statedLength.map(Int.init) ?? before.count + 8 + payload.count
        var fragment: [UInt8] = [number, 0] + Self.words(field << 3 | (more ? 1 : 0))
        fragment += Self.words(UInt16(identification >> 16)) + Self.words(UInt16(identification & 0xffff))
        return ethernet + ipv6Header(length: length, first: beforeNumber) + before + fragment + payload
    }

    /// The whole datagram's frame when this is its first fragment.
    func whole(_ payload: [UInt8], service: UInt8? = nil) -> [UInt8] {
        var piece = self
        if let service { piece.service = service }
        if version == 4 {
            return ethernet + piece.ipv4Header(length: 20 + options.count + payload.count, field: 0) + payload
        }
        // The header in front of the fragment header names what followed it.
        var before = before
        if !before.isEmpty { before[lastHeader] = number }
        return ethernet
            + piece.ipv6Header(length: before.count + payload.count, first: before.isEmpty ? number : beforeNumber)
            + before + payload
    }

    private var lastHeader: Int {
        var at = 0
        while before[at] != 44 { at += (Int(before[at + 1]) + 1) * 8 }
        return at
    }
}

extension FragmentReassembler {
    /// The datagram's bytes; nil also for frames that are no fragments.
    mutating func add(frame: [UInt8], now: UInt64 = 0, captured: Int? = nil) -> [UInt8]? {
        // Its own allocation, so that a sanitizer sees reads beyond the frame.
        let count = min(captured ?? frame.count, frame.count)
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
        defer { copy.deallocate() }
        copy.initialize(repeating: 0, count: max(count, 1))
        for i in 0..<count { copy[i] = frame[i] }
        var packet = Packet(
            frame: copy, length: UInt32(count), wireLength: UInt32(frame.count), timestamp: now, vouched: 0, port: 0,
            seed: FlowHashSeed(1, 2))
        guard packet.kind == .fragment, let whole = add(&packet, now: now) else { return nil }
        return Array(UnsafeBufferPointer(start: whole.bytes, count: whole.length))
    }

    mutating func add(_ piece: FragmentPiece, now: UInt64 = 0) -> [UInt8]? {
        add(frame: piece.frame, now: now)
    }
}

/// Seeded (xorshift64*), so that a failure can be repeated.
struct FragmentRandom: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }

    mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 40) } }
}
