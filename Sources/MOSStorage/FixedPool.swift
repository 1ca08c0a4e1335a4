import CSys

/// The index that names no record.
public let poolNil: UInt32 = .max

/// Records of one size, named by 32-bit indexes from 0, in address space that
/// is reserved at once and backed by memory only where a record was used.
///
/// The free list lives beside the records, so that freeing does not touch
/// them. A record that was never used before is zero; a reused one holds what
/// its last user left. `Element` must be trivial. The value owns its memory:
/// keep exactly one copy and call `destroy()`.
public struct FixedPool<Element> {
    @usableFromInline let records: UnsafeMutableRawPointer
    /// One word for each record: the next free one plus one (0 ends the
    /// list), or `taken`.
    private let links: UnsafeMutablePointer<UInt32>
    /// Bytes from one record to the next; a multiple of 64 from 64 on.
    public let stride: Int
    /// The number of records there can be.
    public let capacity: Int
    /// The number of records in use.
    public private(set) var count = 0
    private var freeHead: UInt32 = 0
    private var fresh: UInt32 = 0

    private static var taken: UInt32 { .max }

    /// The stride of a pool for which none was asked.
    @inline(__always)
    private static var ownStride: Int { rounded(MemoryLayout<Element>.stride, to: 1) }

    @inline(__always)
    private static func rounded(_ size: Int, to alignment: Int) -> Int {
        let alignment = size >= 64 ? 64 : alignment
        return (size + alignment - 1) & ~(alignment - 1)
    }

    /// - Parameters:
    ///   - capacity: records, 1 … 2³¹.
    ///   - stride: bytes for each record when more room than `Element` needs
    ///     is wanted; raised to what `Element` needs, and from 64 on to a
    ///     multiple of 64.
    /// Nil when the arguments are out of range or the system has no address
    /// space.
    public init?(capacity: Int, stride wanted: Int = 0) {
        guard capacity > 0, capacity <= 1 << 31, wanted >= 0, wanted <= 1 << 20 else { return nil }
        let stride = max(Self.ownStride, Self.rounded(wanted, to: MemoryLayout<Element>.alignment))
        guard let records = csys_reserve(capacity * stride) else { return nil }
        guard let links = csys_reserve(capacity * 4) else {
            csys_unreserve(records, capacity * stride)
            return nil
        }
        self.records = records
        self.links = links.assumingMemoryBound(to: UInt32.self)
        self.stride = stride
        self.capacity = capacity
    }

    /// Takes a record: the one freed last, else the next that was never used.
    /// Nil when all are in use.
    public mutating func allocate() -> UInt32? {
        let index: UInt32
        if freeHead != 0 {
            index = freeHead &- 1
            freeHead = links[Int(index)]
        } else if Int(fresh) < capacity {
            index = fresh
            fresh &+= 1
        } else {
            return nil
        }
        links[Int(index)] = Self.taken
        count &+= 1
        return index
    }

    /// Gives a record back. An index that is not in use is ignored.
    public mutating func free(_ index: UInt32) {
        guard isAllocated(index) else { return }
        links[Int(index)] = freeHead
        freeHead = index &+ 1
        count &-= 1
    }

    /// Whether the index names a record in use.
    public func isAllocated(_ index: UInt32) -> Bool {
        index < fresh && links[Int(index)] == Self.taken
    }

    /// What `allocate` will give next, if it gives one and nothing is freed
    /// before.
    @inline(__always)
    public var next: UInt32 { freeHead != 0 ? freeHead &- 1 : fresh }

    /// Indexes from this one on were never used; for walking all records.
    public var highWater: UInt32 { fresh }

    /// Where the record is. The index must be below `capacity`.
    @inline(__always)
    public func pointer(_ index: UInt32) -> UnsafeMutablePointer<Element> {
        // Inside the reservation for every index that `allocate` gave out.
        (records + Int(index) &* stride).assumingMemoryBound(to: Element.self)
    }

    /// The same in a pool for which no stride was asked: a constant distance.
    @inline(__always)
    public func near(_ index: UInt32) -> UnsafeMutablePointer<Element> {
        // As above.
        (records + Int(index) &* Self.ownStride).assumingMemoryBound(to: Element.self)
    }

    public subscript(_ index: UInt32) -> Element {
        @inline(__always) unsafeAddress { UnsafePointer(pointer(index)) }
        @inline(__always) nonmutating unsafeMutableAddress { pointer(index) }
    }

    /// Gives the address space back. Nothing of the pool may be used after.
    public func destroy() {
        csys_unreserve(records, capacity * stride)
        csys_unreserve(links, capacity * 4)
    }
}
