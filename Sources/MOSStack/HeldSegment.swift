import MOSTCP
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
    var objection: Objection
    /// Its receiver has acknowledged since, and not this.
    var isRefused: Bool
    var timestamp: UInt32

    /// What speaks against it, from the least to the most.
    enum Objection: UInt8 {
        /// Only where it lies: in a SYN, across the window's edge or at it.
        case place
        /// Its acknowledgement is older than it should be, or none.
        case acknowledgement
        /// No receiver takes it unless the capture has missed something.
        case all

        init(_ verdict: Verdict) {
            if !verdict.isDisjoint(with: [.doubtful, .oldTimestamp]) {
                self = .all
            } else if verdict.contains(.oldAcknowledgement) {
                self = .acknowledgement
            } else {
                self = .place
            }
        }
    }

    /// Whether its receiver more probably took this one than `newer`, which
    /// came later: less speaks against it. Of two that only lie at the edge,
    /// the first was taken if it was taken when it came; else the last, right
    /// before the acknowledgement.
    func isBetter(than newer: HeldSegment) -> Bool {
        if objection != newer.objection { return objection.rawValue < newer.objection.rawValue }
        return objection == .place && !isRefused
    }

    var end: SequenceNumber { sequence &+ length }
    /// One beyond its last number, which may be that of a FIN.
    var last: SequenceNumber { end &+ (hasFIN ? 1 : 0) }
    var blockSize: Int { MemoryLayout<HeldSegment>.stride &+ Int(length) }
    /// What it counts for among what a flow may hold: small ones count for
    /// more, since every look at what is held goes along all of it.
    var charge: UInt32 { max(UInt32(truncatingIfNeeded: blockSize), 256) }
}
