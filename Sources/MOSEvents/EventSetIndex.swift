import CSys

/// Finds sets by id: a hash table with chains through the sets themselves,
/// grown by one bucket at a time (linear hashing), so that no insertion ever
/// pays for a rehash of all. Several sets may have the same id.
struct EventSetIndex {
    /// Room for as many buckets as there can be; pages come with use.
    private let buckets: UnsafeMutablePointer<EventSetPointer?>
    private var bucketCount = Self.minimum
    private(set) var count = 0

    private static let minimum = 64
    private static let maximum = 1 << 22

    /// nil: no memory.
    init?() {
        guard let space = calloc(Self.maximum, MemoryLayout<EventSetPointer?>.stride) else { return nil }
        buckets = space.assumingMemoryBound(to: EventSetPointer?.self)
    }

    /// Frees the sets too.
    func destroy() {
        for bucket in 0..<bucketCount {
            while let set = buckets[bucket] {
                buckets[bucket] = set.pointee.next
                free(set)
            }
        }
        free(buckets)
    }

    /// Bytes of the buckets in use.
    var byteCount: Int { bucketCount &* MemoryLayout<EventSetPointer?>.stride }

    /// The first set of the chain that one with this id would be in.
    func chain(of id: UInt64) -> EventSetPointer? {
        buckets[bucket(of: id)]
    }

    mutating func insert(_ set: EventSetPointer) {
        if count >= bucketCount, bucketCount < Self.maximum { split() }
        link(set)
        count &+= 1
    }

    mutating func remove(_ set: EventSetPointer) {
        let bucket = bucket(of: set.pointee.id)
        if buckets[bucket] == set {
            buckets[bucket] = set.pointee.next
        } else {
            var before = buckets[bucket]
            while let this = before, this.pointee.next != set { before = this.pointee.next }
            before?.pointee.next = set.pointee.next
        }
        set.pointee.next = nil
        count &-= 1
        // Twice at most, as it was full enough before.
        while count < bucketCount / 2, bucketCount > Self.minimum { merge() }
    }

    /// The lowest bits that number a bucket there is.
    private func bucket(of id: UInt64) -> Int {
        let mask = (1 << (Int.bitWidth &- (bucketCount &- 1).leadingZeroBitCount)) &- 1
        let number = Int(truncatingIfNeeded: id) & mask
        return number < bucketCount ? number : number & (mask >> 1)
    }

    private func link(_ set: EventSetPointer) {
        let bucket = bucket(of: set.pointee.id)
        set.pointee.next = buckets[bucket]
        buckets[bucket] = set
    }

    /// The bucket which shares all bits but the highest with the last one.
    private var twinOfLast: Int {
        let last = bucketCount &- 1
        return last & ~(1 << (Int.bitWidth &- 1 &- last.leadingZeroBitCount))
    }

    private mutating func split() {
        bucketCount &+= 1
        relink(twinOfLast)
    }

    private mutating func merge() {
        let last = bucketCount &- 1
        bucketCount &-= 1
        relink(last)
    }

    /// Puts the sets of one bucket where they belong now.
    private func relink(_ bucket: Int) {
        var rest = buckets[bucket]
        buckets[bucket] = nil
        while let set = rest {
            rest = set.pointee.next
            link(set)
        }
    }
}
