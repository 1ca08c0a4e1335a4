import CSys

/// Bytes `start ..< end` of a stream.
public struct ByteRange {
    public var start: UInt64
    public var end: UInt64

    @inline(__always)
    public init(start: UInt64, end: UInt64) {
        self.start = start
        self.end = end
    }
}

/// Disjoint ranges that do not touch, sorted, in one block of a `SlabPool`
/// that grows from 64 bytes (4 ranges) to 64 KiB (4096).
///
/// Trivial: all zero bytes are an empty set. Whoever drops one calls
/// `removeAll(pool:)` first.
public struct RangeSet {
    private var entries: UnsafeMutablePointer<ByteRange>?
    /// The number of ranges.
    public private(set) var count: UInt16
    /// The block's size as a power of two; 0: none.
    private var blockLog: UInt8

    /// The most ranges that a set holds.
    @inline(__always) public static var maxCount: Int { 4096 }

    public enum Outcome: UInt8 {
        case done
        /// The pool is at its ceiling.
        case noMemory
        /// There are `maxCount` ranges already.
        case tooManyRanges
    }

    @inline(__always)
    public init() {
        entries = nil
        count = 0
        blockLog = 0
    }

    @inline(__always) public var isEmpty: Bool { count == 0 }

    /// Bytes of the block.
    public var memoryBytes: Int { blockLog == 0 ? 0 : 1 &<< Int(blockLog) }

    /// The range at `index`, which must be below `count`.
    @inline(__always)
    public subscript(_ index: Int) -> ByteRange {
        // An index below `count` implies a block with that many entries.
        entries.unsafelyUnwrapped[index]
    }

    /// The first range from `first` on whose end is at or above `offset`;
    /// `count` if there is none.
    public func index(endingAtOrAbove offset: UInt64, from first: Int = 0) -> Int {
        var low = first
        var high = Int(count)
        while low < high {
            let middle = (low &+ high) &>> 1
            if self[middle].end < offset { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The first range from `first` on that holds a byte at or above
    /// `offset`; `count` if there is none.
    @inline(__always)
    public func index(endingAbove offset: UInt64, from first: Int = 0) -> Int {
        offset == .max ? Int(count) : index(endingAtOrAbove: offset &+ 1, from: first)
    }

    /// Whether a byte of `start ..< end` is in the set.
    public func overlaps(_ start: UInt64, _ end: UInt64) -> Bool {
        guard count != 0, start < end else { return false }
        let i = index(endingAbove: start)
        return i < Int(count) && self[i].start < end
    }

    /// Makes room for one more range.
    public mutating func reserveOne(pool: inout SlabPool) -> Outcome {
        if Int(count) &* 16 < memoryBytes { return .done }
        guard Int(count) < Self.maxCount else { return .tooManyRanges }
        let oldBytes = memoryBytes
        let newLog: UInt8 = blockLog == 0 ? 6 : blockLog &+ 1
        guard let block = pool.allocate(1 &<< Int(newLog)) else { return .noMemory }
        if let old = entries {
            block.copyMemory(from: old, byteCount: oldBytes)
            pool.free(old, oldBytes)
        }
        entries = block.assumingMemoryBound(to: ByteRange.self)
        blockLog = newLog
        return .done
    }

    /// Puts a range in at its sorted place, which the caller knows. Room must
    /// have been made with `reserveOne`.
    public mutating func insert(_ range: ByteRange, at index: Int) {
        guard let entries, Int(count) &* 16 < memoryBytes, index <= Int(count) else { return }
        // One entry more fits, as just checked.
        memmove(entries + (index &+ 1), entries + index, (Int(count) &- index) &* 16)
        entries[index] = range
        count &+= 1
    }

    /// Replaces `count` (≥ 1) ranges from `index` on by one.
    public mutating func replace(_ index: Int, count replaced: Int, by range: ByteRange) {
        guard let entries, replaced >= 1, index &+ replaced <= Int(count) else { return }
        entries[index] = range
        remove(index &+ 1, count: replaced &- 1)
    }

    /// Takes `count` ranges out from `index` on.
    public mutating func remove(_ index: Int, count removed: Int) {
        guard let entries, removed > 0, index &+ removed <= Int(count) else { return }
        // Source and target are inside the block.
        memmove(entries + index, entries + (index &+ removed),
                (Int(count) &- index &- removed) &* 16)
        count &-= UInt16(truncatingIfNeeded: removed)
    }

    /// Adds `start ..< end`, joining it with the ranges that it overlaps or
    /// touches. The set is unchanged unless the outcome is `.done`.
    public mutating func add(_ start: UInt64, _ end: UInt64, from first: Int = 0,
                             pool: inout SlabPool) -> Outcome {
        guard start < end else { return .done }
        let i = index(endingAtOrAbove: start, from: first)
        var joined = ByteRange(start: start, end: end)
        var j = i
        while j < Int(count), self[j].start <= end {
            joined.start = min(joined.start, self[j].start)
            joined.end = max(joined.end, self[j].end)
            j &+= 1
        }
        if j > i {
            replace(i, count: j &- i, by: joined)
            return .done
        }
        let outcome = reserveOne(pool: &pool)
        if outcome == .done { insert(joined, at: i) }
        return outcome
    }

    /// Takes out every byte below `offset`.
    public mutating func removeBelow(_ offset: UInt64, pool: inout SlabPool) {
        let i = index(endingAbove: offset)
        remove(0, count: i)
        if count != 0, let entries, entries[0].start < offset { entries[0].start = offset }
        releaseIfEmpty(pool: &pool)
    }

    /// Gives the block back when there are no ranges.
    @inline(__always)
    public mutating func releaseIfEmpty(pool: inout SlabPool) {
        if count == 0, entries != nil { removeAll(pool: &pool) }
    }

    /// Forgets all ranges and gives the block back.
    public mutating func removeAll(pool: inout SlabPool) {
        if let entries { pool.free(entries, memoryBytes) }
        entries = nil
        count = 0
        blockLog = 0
    }
}
