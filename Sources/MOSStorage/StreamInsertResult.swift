/// What became of bytes given to a `StreamBuffer`.
///
/// Bytes of the segment that are in none of the counts were duplicates, or
/// lay below what is still held.
public struct StreamInsertResult {
    /// Reasons why bytes were refused.
    public struct Flags: OptionSet {
        public let rawValue: UInt8
        @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The pool is at its ceiling, or the bytes held would span more than
        /// `StreamBuffer.maxSpan`. Trimming the oldest bytes helps; if in-order
        /// bytes are still refused then, `skip` keeps the stream going.
        @inline(__always) public static var noMemory: Flags { Flags(rawValue: 1) }
        /// As many separate ranges as `RangeSet.maxCount` are held.
        @inline(__always) public static var tooManyRanges: Flags { Flags(rawValue: 2) }
        /// Out-of-order bytes at or beyond the limit.
        @inline(__always) public static var beyondLimit: Flags { Flags(rawValue: 4) }
    }

    /// By how much `inOrderEnd` advanced.
    public var newInOrder: UInt64 = 0
    /// Bytes of the segment that were not held before and are now.
    public var stored: UInt32 = 0
    /// Bytes already held that were replaced (last copy wins).
    public var replaced: UInt32 = 0
    /// Bytes that were not taken, from the place on where `flags` came up.
    public var refused: UInt32 = 0
    public var flags: Flags = []

    @inline(__always)
    public init() {}
}

/// What `StreamBuffer.skip` did.
public struct StreamSkipResult {
    /// Bytes that were passed over because they were never received.
    public var missing: UInt64 = 0
    /// By how much `inOrderEnd` advanced.
    public var newInOrder: UInt64 = 0
    /// In-order bytes held before the gap that had to be forgotten, because
    /// there was no room to remember the gap.
    public var discarded: UInt64 = 0

    @inline(__always)
    public init() {}
}

/// A contiguous piece of held payload, valid until the buffer changes.
public struct StreamSegment {
    public var base: UnsafeRawPointer
    public var count: Int

    @inline(__always)
    public init(base: UnsafeRawPointer, count: Int) {
        self.base = base
        self.count = count
    }
}
