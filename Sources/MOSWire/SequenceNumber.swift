// RFC 9293 §3.4: sequence numbers wrap; a < b means that b is ahead of a by
// less than half of the space.

/// A TCP sequence number.
public typealias SequenceNumber = UInt32

extension UInt32 {
    /// How far `self` is ahead of `other`; negative when it is behind.
    @inline(__always)
    public func distance(after other: SequenceNumber) -> Int32 {
        Int32(bitPattern: self &- other)
    }

    /// RFC 9293 §3.4 `self < other`.
    @inline(__always)
    public func precedes(_ other: SequenceNumber) -> Bool {
        Int32(bitPattern: self &- other) < 0
    }

    /// RFC 9293 §3.4 `self > other`.
    @inline(__always)
    public func follows(_ other: SequenceNumber) -> Bool {
        Int32(bitPattern: other &- self) < 0
    }

    /// The one that is ahead. Without a branch: which of the two it is, nobody
    /// can foresee.
    @inline(__always)
    public static func furthest(_ a: SequenceNumber, _ b: SequenceNumber) -> SequenceNumber {
        a.follows(b) ? a : b
    }
}
