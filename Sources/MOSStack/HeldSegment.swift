import MOSWire

/// A segment's payload that waits for its receiver's word: see
/// ContextDoubts.swift. The bytes follow it in its block.
struct HeldSegment {
    /// The one that was held before it; 0: none.
    var next: UInt32
    /// Of the first byte.
    var sequence: SequenceNumber
    var length: UInt32
    /// The side whose buffer it is for.
    var receiver: UInt8
    /// A FIN follows the payload.
    var hasFIN: Bool
    /// The payload of the first SYN.
    var isOfSYN: Bool
    /// PAWS rejected it for its timestamp.
    var isOld: Bool
    var timestamp: UInt32

    var end: SequenceNumber { sequence &+ length }
    /// One beyond its last number, which may be that of a FIN.
    var last: SequenceNumber { end &+ (hasFIN ? 1 : 0) }
    var blockSize: Int { MemoryLayout<HeldSegment>.stride &+ Int(length) }
    /// What it counts for among what a flow may hold: small ones count for
    /// more, since every look at what is held goes along all of it.
    var charge: UInt32 { max(UInt32(truncatingIfNeeded: blockSize), 256) }
}
