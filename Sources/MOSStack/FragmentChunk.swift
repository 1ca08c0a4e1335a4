/// 2048 bytes of a datagram's payload, and which of them have come. Offsets of
/// fragments are multiples of 8 (RFC 791 §3.1), so a bit stands for 8 bytes.
///
///     | covered: 256 bits | starts: 256 bits | 2048 bytes |
///
/// `starts` marks the units where a run of fragments begins: what is inside
/// one run is a duplicate, what lies across two is an overlap.
struct FragmentChunk {
    var covered: (UInt64, UInt64, UInt64, UInt64)
    var starts: (UInt64, UInt64, UInt64, UInt64)

    @inline(__always) static var bytes: Int { 2048 }
    @inline(__always) static var units: Int { 256 }
    /// Bytes of memory for one.
    @inline(__always) static var stride: Int { 64 + 2048 }
    /// Chunks that the furthest fragment reaches: 65 528 + 65 515 bytes.
    @inline(__always) static var mostInDatagram: Int { 64 }
}

/// Access to a chunk where it lies.
struct FragmentChunkPointer {
    private let words: UnsafeMutablePointer<UInt64>

    /// `chunk` is followed by the chunk's bytes.
    @inline(__always)
    init(_ chunk: UnsafeMutablePointer<FragmentChunk>) {
        // Eight words lie at the chunk's start.
        words = UnsafeMutableRawPointer(chunk).assumingMemoryBound(to: UInt64.self)
    }

    @inline(__always)
    var data: UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(words + 8).assumingMemoryBound(to: UInt8.self)
    }

    /// Takes all marks away.
    @inline(__always)
    func clear() {
        for i in 0..<8 { words[i] = 0 }
    }

    /// The bits of word `i` that stand for units in `from ..< to`.
    @inline(__always)
    private static func mask(_ i: Int, _ from: Int, _ to: Int) -> UInt64 {
        let low = Swift.max(from &- i &* 64, 0)
        let high = Swift.min(to &- i &* 64, 64)
        guard low < high else { return 0 }
        return (UInt64.max &>> UInt64(64 &- (high &- low))) &<< UInt64(low)
    }

    /// Units in `from ..< to` (0 … 256) that have come.
    @inline(__always)
    func covered(_ from: Int, _ to: Int) -> Int {
        var count = 0
        for i in 0..<4 { count &+= (words[i] & Self.mask(i, from, to)).nonzeroBitCount }
        return count
    }

    /// Whether a run begins in `from ..< to`.
    @inline(__always)
    func hasStart(_ from: Int, _ to: Int) -> Bool {
        var found: UInt64 = 0
        for i in 0..<4 { found |= words[4 &+ i] & Self.mask(i, from, to) }
        return found != 0
    }

    @inline(__always)
    func cover(_ from: Int, _ to: Int) {
        for i in 0..<4 { words[i] |= Self.mask(i, from, to) }
    }

    /// Notes that a run begins at the unit, 0 … 255.
    @inline(__always)
    func start(at unit: Int) {
        words[4 &+ ((unit &>> 6) & 3)] |= 1 &<< UInt64(unit & 63)
    }
}
