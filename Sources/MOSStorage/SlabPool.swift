import CSys

/// Blocks of 64 bytes to 64 KiB, in powers of two, under one ceiling.
///
/// Reserved address space is cut into slabs of 64 KiB. A slab serves one size
/// while any block of it is in use, and any size afterwards. Taking and
/// freeing are O(1). The memory of idle slabs is kept up to 16 MiB and given
/// back to the system beyond that, one slab at a time, so that a steady load
/// makes no system call.
///
///     slab:  | block 0 | block 1 | … | block n-1 |     n = 65536 / size
///     a free block's first two bytes: the next free block of its slab + 1
///
/// The value owns its memory: keep exactly one copy and call `destroy()`.
public struct SlabPool {
    /// What is known of one slab. All zero: never used.
    private struct Slab {
        var next: UInt32        // in the list that it is in, index + 1
        var previous: UInt32    // index + 1
        var freeHead: UInt16    // block + 1
        var fresh: UInt16       // blocks ever given out since it got its class
        var used: UInt16
        var sizeClass: UInt16
    }

    @inline(__always) public static var slabSize: Int { 65536 }
    @inline(__always) public static var smallestBlock: Int { 64 }
    @inline(__always) public static var largestBlock: Int { 65536 }
    @inline(__always) private static var classCount: Int { 11 }
    /// Idle slabs that keep their memory.
    @inline(__always) private static var idleKept: UInt32 { 256 }

    /// The first byte; handles count from here.
    public let base: UnsafeMutableRawPointer
    private let slabs: UnsafeMutablePointer<Slab>
    /// The slabs with a free block, one list for each class (index + 1).
    private let partial: UnsafeMutablePointer<UInt32>
    private let slabCount: UInt32
    private let metadataBytes: Int
    /// The ceiling of `bytesInUse`.
    public let limit: Int
    /// Bytes in blocks that are in use, each with its whole size.
    public private(set) var bytesInUse = 0
    /// The most that `bytesInUse` has been.
    public private(set) var peakBytes = 0
    private var idleHead: UInt32 = 0
    private var idleTail: UInt32 = 0
    private var idleCount: UInt32 = 0
    /// Idle slabs whose memory was given back.
    private var coldHead: UInt32 = 0
    private var fresh: UInt32 = 0

    /// - Parameter limit: the ceiling in bytes, 1 … 2³⁷. Address space for it
    ///   and for one half-used slab of each class is reserved.
    /// Nil when out of range or when the system has no address space.
    public init?(limit: Int) {
        guard limit > 0, limit <= 1 << 37 else { return nil }
        let count = (limit + Self.slabSize - 1) / Self.slabSize + Self.classCount
        let metadata = 64 + count * MemoryLayout<Slab>.stride
        guard let base = csys_reserve(count * Self.slabSize) else { return nil }
        guard let header = csys_reserve(metadata) else {
            csys_unreserve(base, count * Self.slabSize)
            return nil
        }
        self.base = base
        // 11 list heads fit in the 64 bytes before the slabs.
        partial = header.assumingMemoryBound(to: UInt32.self)
        slabs = (header + 64).assumingMemoryBound(to: Slab.self)
        slabCount = UInt32(count)
        metadataBytes = metadata
        self.limit = limit
    }

    /// More than three quarters are in use: what is kept only because it may be
    /// asked for has to leave the rest to what is needed.
    @inline(__always)
    public var isScarce: Bool { bytesInUse > limit &- limit / 4 }

    /// Whether storing `bytes` more may come to the ceiling, with what is
    /// allocated around them.
    @inline(__always)
    public func isShort(of bytes: Int) -> Bool { limit &- bytesInUse < bytes &+ 8192 }

    /// The size of the block that serves a request of `size` bytes.
    @inline(__always)
    public static func blockSize(for size: Int) -> Int {
        smallestBlock &<< classIndex(size)
    }

    @inline(__always)
    private static func classIndex(_ size: Int) -> Int {
        size <= 64 ? 0 : Int.bitWidth &- (size &- 1).leadingZeroBitCount &- 6
    }

    /// A block of at least `size` bytes, its content undefined, aligned to
    /// its size (up to a page). Nil at the ceiling, for sizes outside
    /// 0 … 65536, and when every slab partly serves other sizes, which can
    /// happen below the ceiling.
    public mutating func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard size >= 0, size <= Self.largestBlock else { return nil }
        let sizeClass = Self.classIndex(size)
        let block = Self.smallestBlock &<< sizeClass
        guard bytesInUse &+ block <= limit else { return nil }
        var link = partial[sizeClass]
        if link == 0 {
            link = takeSlab()
            guard link != 0 else { return nil }
            let slab = slabs + Int(link &- 1)
            slab.pointee = Slab(next: 0, previous: 0, freeHead: 0, fresh: 0, used: 0,
                                sizeClass: UInt16(truncatingIfNeeded: sizeClass))
            partial[sizeClass] = link
        }
        // `link` names one of our slabs, and a block index stays below the
        // number of blocks in it, so the address is inside the slab.
        let slab = slabs + Int(link &- 1)
        let memory = base + Int(link &- 1) &* Self.slabSize
        let result: UnsafeMutableRawPointer
        if slab.pointee.freeHead != 0 {
            result = memory + Int(slab.pointee.freeHead &- 1) &* block
            slab.pointee.freeHead = result.load(as: UInt16.self)
        } else {
            result = memory + Int(slab.pointee.fresh) &* block
            slab.pointee.fresh &+= 1
        }
        slab.pointee.used &+= 1
        if Int(slab.pointee.used) &* block == Self.slabSize {
            unlinkPartial(link, sizeClass)
        }
        bytesInUse &+= block
        if bytesInUse > peakBytes { peakBytes = bytesInUse }
        return result
    }

    /// Gives a block back. `size` is what it was asked with (only its class
    /// matters). A pointer that is no block of that class is ignored.
    public mutating func free(_ pointer: UnsafeMutableRawPointer, _ size: Int) {
        let offset = pointer - base
        guard offset >= 0, offset < Int(fresh) &* Self.slabSize else { return }
        let link = UInt32(truncatingIfNeeded: offset / Self.slabSize) &+ 1
        let slab = slabs + Int(link &- 1)
        let sizeClass = Int(slab.pointee.sizeClass)
        let block = Self.smallestBlock &<< sizeClass
        let inSlab = offset & (Self.slabSize &- 1)
        guard slab.pointee.used != 0, inSlab & (block &- 1) == 0,
              size <= Self.largestBlock, Self.classIndex(size) == sizeClass else { return }
        let wasFull = Int(slab.pointee.used) &* block == Self.slabSize
        pointer.storeBytes(of: slab.pointee.freeHead, as: UInt16.self)
        slab.pointee.freeHead = UInt16(truncatingIfNeeded: inSlab &>> (6 &+ sizeClass)) &+ 1
        slab.pointee.used &-= 1
        bytesInUse &-= block
        if slab.pointee.used == 0 {
            if !wasFull { unlinkPartial(link, sizeClass) }
            putIdle(link)
        } else if wasFull {
            let head = partial[sizeClass]
            slab.pointee.next = head
            slab.pointee.previous = 0
            if head != 0 { slabs[Int(head &- 1)].previous = link }
            partial[sizeClass] = link
        }
    }

    /// A block's name in 32 bits; never 0.
    @inline(__always)
    public func handle(of pointer: UnsafeMutableRawPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: (pointer - base) &>> 6) &+ 1
    }

    /// The block with that name, which must be one that `handle(of:)` gave.
    @inline(__always)
    public func pointer(_ handle: UInt32) -> UnsafeMutableRawPointer {
        // Inside the reservation, since the handle was made from a block.
        base + Int(handle &- 1) &<< 6
    }

    /// Bytes of slabs that hold blocks or wait with their memory: an upper
    /// bound of what the pool takes from the system.
    public var residentBytes: Int {
        var cold = 0
        var link = coldHead
        while link != 0 {
            cold += 1
            link = slabs[Int(link &- 1)].next
        }
        return (Int(fresh) - cold) * Self.slabSize
    }

    /// Gives the address space back. Nothing of the pool may be used after.
    public func destroy() {
        csys_unreserve(base, Int(slabCount) * Self.slabSize)
        csys_unreserve(partial, metadataBytes)
    }

    private mutating func takeSlab() -> UInt32 {
        if idleHead != 0 {
            let link = idleHead
            idleHead = slabs[Int(link &- 1)].next
            if idleHead == 0 { idleTail = 0 } else { slabs[Int(idleHead &- 1)].previous = 0 }
            idleCount &-= 1
            return link
        }
        if coldHead != 0 {
            let link = coldHead
            coldHead = slabs[Int(link &- 1)].next
            return link
        }
        guard fresh < slabCount else { return 0 }
        fresh &+= 1
        return fresh
    }

    private mutating func putIdle(_ link: UInt32) {
        let slab = slabs + Int(link &- 1)
        slab.pointee.previous = 0
        slab.pointee.next = idleHead
        if idleHead == 0 { idleTail = link } else { slabs[Int(idleHead &- 1)].previous = link }
        idleHead = link
        idleCount &+= 1
        guard idleCount > Self.idleKept else { return }
        // The one that has been idle longest goes; the list has others.
        let oldest = idleTail
        idleTail = slabs[Int(oldest &- 1)].previous
        slabs[Int(idleTail &- 1)].next = 0
        idleCount &-= 1
        _ = madvise(base + Int(oldest &- 1) &* Self.slabSize, Self.slabSize, MADV_DONTNEED)
        slabs[Int(oldest &- 1)].next = coldHead
        coldHead = oldest
    }

    private func unlinkPartial(_ link: UInt32, _ sizeClass: Int) {
        let slab = slabs + Int(link &- 1)
        let next = slab.pointee.next
        let previous = slab.pointee.previous
        if next != 0 { slabs[Int(next &- 1)].previous = previous }
        if previous != 0 { slabs[Int(previous &- 1)].next = next } else { partial[sizeClass] = next }
        slab.pointee.next = 0
        slab.pointee.previous = 0
    }
}
