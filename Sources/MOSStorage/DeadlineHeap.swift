import CSys

/// Records of a pool by deadline: a binary heap in address space that is
/// reserved at once, so that adding never allocates. Equal deadlines come out in
/// any order.
///
/// The value owns its memory: keep exactly one copy and call `destroy()`.
public struct DeadlineHeap {
    public struct Entry: HeapOrdered {
        /// In ns.
        public var deadline: UInt64
        public var index: UInt32

        @inline(__always)
        static func precedes(_ a: Entry, _ b: Entry) -> Bool { a.deadline < b.deadline }
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let capacity: Int
    /// The number of entries.
    public private(set) var count = 0

    /// - Parameter capacity: entries, 1 … 2³¹.
    /// Nil when out of range or when the system has no address space.
    public init?(capacity: Int) {
        guard capacity > 0, capacity <= 1 << 31,
            let memory = csys_reserve(capacity * MemoryLayout<Entry>.stride)
        else { return nil }
        entries = memory.assumingMemoryBound(to: Entry.self)
        self.capacity = capacity
    }

    /// Gives the address space back.
    public func destroy() {
        csys_unreserve(entries, capacity * MemoryLayout<Entry>.stride)
    }

    /// The earliest deadline; `.max` when there is none.
    @inline(__always)
    public var peekDeadline: UInt64 { count == 0 ? .max : entries[0].deadline }

    /// Adds an entry. False when there is no room.
    public mutating func push(deadline: UInt64, index: UInt32) -> Bool {
        guard count < capacity else { return false }
        // The last place exists.
        entries.heapInsert(Entry(deadline: deadline, index: index), count: count)
        count &+= 1
        return true
    }

    /// Takes the earliest entry out; nil when there is none.
    public mutating func pop() -> Entry? {
        guard count != 0 else { return nil }
        count &-= 1
        return entries.heapRemoveFirst(count: count &+ 1)
    }
}
