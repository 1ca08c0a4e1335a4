import CSys

/// From a 32-bit hash to the indexes that were entered with it.
///
/// Open addressing with linear probing in reserved memory, at most four fifths
/// full (two fifths where each flow stands in it once), so a look-up is one
/// cache line nearly always. An entry is `hash << 32 | index + 1`; 0 is an empty
/// place. Removal shifts followers back, so there are no tombstones. The caller
/// compares keys: equal hashes give several candidates.
///
/// The value owns its memory: keep exactly one copy and call `destroy()`.
public struct FlowIndex {
    private let entries: UnsafeMutablePointer<UInt64>
    private let mask: UInt32
    /// The number of entries there can be.
    public let capacity: Int
    /// The number of entries.
    public private(set) var count = 0

    /// - Parameter capacity: entries, 1 … 2³⁰.
    /// Nil when out of range or when the system has no address space.
    public init?(capacity: Int) {
        guard capacity > 0, capacity <= 1 << 30 else { return nil }
        var slots = 16
        while slots < capacity + capacity / 4 { slots *= 2 }
        guard let memory = csys_reserve(slots * 8) else { return nil }
        entries = memory.assumingMemoryBound(to: UInt64.self)
        mask = UInt32(truncatingIfNeeded: slots - 1)
        self.capacity = capacity
    }

    /// Asks the processor for the place where a look-up will start.
    @inline(__always)
    public func prefetch(hash: UInt32) {
        csys_prefetch(entries + Int(hash & mask))
    }

    /// The candidates for one hash, one after the other. Valid until the
    /// index changes.
    public struct Probe {
        fileprivate let entries: UnsafeMutablePointer<UInt64>
        fileprivate let mask: UInt32
        fileprivate let hash: UInt32
        fileprivate var slot: UInt32

        /// The next index that was entered with the hash.
        @inline(__always)
        public mutating func next() -> UInt32? {
            // The mask keeps the slot inside the table; the table is never
            // full, so an empty place ends the loop.
            while true {
                let entry = entries[Int(slot)]
                if entry == 0 { return nil }
                slot = (slot &+ 1) & mask
                if UInt32(truncatingIfNeeded: entry &>> 32) == hash {
                    return UInt32(truncatingIfNeeded: entry) &- 1
                }
            }
        }
    }

    /// Starts a look-up.
    @inline(__always)
    public func probe(hash: UInt32) -> Probe {
        Probe(entries: entries, mask: mask, hash: hash, slot: hash & mask)
    }

    /// Enters an index (below 2³² − 1). The same pair may be entered twice.
    /// False when the index is full.
    public mutating func insert(hash: UInt32, index: UInt32) -> Bool {
        guard count < capacity, index != .max else { return false }
        var slot = hash & mask
        while entries[Int(slot)] != 0 { slot = (slot &+ 1) & mask }
        entries[Int(slot)] = UInt64(hash) &<< 32 | UInt64(index &+ 1)
        count &+= 1
        return true
    }

    /// Takes one such entry out. False if there is none.
    public mutating func remove(hash: UInt32, index: UInt32) -> Bool {
        guard index != .max else { return false }
        let wanted = UInt64(hash) &<< 32 | UInt64(index &+ 1)
        var hole = hash & mask
        while entries[Int(hole)] != wanted {
            if entries[Int(hole)] == 0 { return false }
            hole = (hole &+ 1) & mask
        }
        var slot = hole
        while true {
            slot = (slot &+ 1) & mask
            let entry = entries[Int(slot)]
            if entry == 0 { break }
            let home = UInt32(truncatingIfNeeded: entry &>> 32) & mask
            // It may move back only if its home is not behind the hole.
            if (slot &- home) & mask >= (slot &- hole) & mask {
                entries[Int(hole)] = entry
                hole = slot
            }
        }
        entries[Int(hole)] = 0
        count &-= 1
        return true
    }

    /// Gives the memory back. Nothing of the index may be used after.
    public func destroy() {
        csys_unreserve(entries, (Int(mask) + 1) * 8)
    }
}
