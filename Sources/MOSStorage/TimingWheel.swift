import CSys

/// Timeouts of flows: a wheel of 4096 slots of 2²⁴ ns (16.8 ms), one turn in
/// 68.7 s. A node is a 32-bit index, usually that of a record in a pool; its
/// links are in the wheel, in reserved memory.
///
/// A timeout is reported at the first `popExpired` at or after its deadline,
/// rounded up to a slot. One that lies further ahead than a turn from the last
/// `popExpired` is reported early: whoever gets it checks the true deadline and
/// schedules again. That also lets a busy flow leave its timeout where it is.
///
/// Time never runs backwards inside: an earlier `now` than before counts as
/// the latest one. After a jump ahead each slot is visited once.
///
/// The value owns its memory: keep exactly one copy and call `destroy()`.
public struct TimingWheel {
    /// `next` and `previous`: index + 1, or `edge | list` at the ends of a
    /// list. Both 0: not scheduled.
    private struct Node {
        var next: UInt32
        var previous: UInt32
    }

    /// The nodes of a slot, in the order of scheduling: index + 1, 0 if none.
    private struct List {
        var head: UInt32
        var tail: UInt32
    }

    @inline(__always) private static var tickLog: UInt64 { 24 }
    @inline(__always) private static var slotCount: UInt64 { 4096 }
    @inline(__always) private static var slotMask: UInt64 { 4095 }
    @inline(__always) private static var edge: UInt32 { 0x8000_0000 }
    /// The list of what has expired and was not popped yet.
    @inline(__always) private static var expired: UInt32 { 4096 }

    /// In ns: what is further ahead is reported early.
    @inline(__always) public static var turn: UInt64 { slotCount &<< tickLog }

    private let nodes: UnsafeMutablePointer<Node>
    private let lists: UnsafeMutablePointer<List>
    /// One bit for each slot that has nodes.
    private let occupied: UnsafeMutablePointer<UInt64>
    /// The number of nodes there can be.
    public let capacity: Int
    /// The number of nodes that are scheduled or expired and not popped.
    public private(set) var count = 0
    /// The last tick whose slot was emptied. Nodes are in the slots of the
    /// 4096 ticks after it.
    private var cursor: UInt64
    /// No slot before this tick has nodes; `.max`: none has.
    private var firstTick: UInt64 = .max
    /// Nothing expires before this time in ns: a lower bound, 0 while there
    /// are expired nodes, `.max` when nothing is scheduled.
    public private(set) var nextExpiry: UInt64 = .max

    private static var fixedBytes: Int { 4097 * 8 + 4096 / 8 }

    /// - Parameters:
    ///   - capacity: nodes, 1 … 2³¹ − 2.
    ///   - now: the time to start from, in ns.
    /// Nil when out of range or when the system has no address space.
    public init?(capacity: Int, now: UInt64 = 0) {
        guard capacity > 0, capacity <= 0x7fff_fffe,
              let fixed = csys_reserve(Self.fixedBytes) else { return nil }
        guard let memory = csys_reserve(capacity * 8) else {
            csys_unreserve(fixed, Self.fixedBytes)
            return nil
        }
        nodes = memory.assumingMemoryBound(to: Node.self)
        occupied = fixed.assumingMemoryBound(to: UInt64.self)
        lists = (fixed + 4096 / 8).assumingMemoryBound(to: List.self)
        self.capacity = capacity
        cursor = now &>> Self.tickLog
    }

    /// Gives the address space back. Nothing of the wheel may be used after.
    public func destroy() {
        csys_unreserve(nodes, capacity * 8)
        csys_unreserve(occupied, Self.fixedBytes)
    }

    /// Whether the node waits in the wheel or has expired and was not popped.
    @inline(__always)
    public func isScheduled(_ index: UInt32) -> Bool {
        Int(index) < capacity && nodes[Int(index)].previous != 0
    }

    /// Asks the processor for the node, which will be scheduled or cancelled.
    @inline(__always)
    public func prefetch(_ index: UInt32) {
        csys_prefetch_write(nodes + Int(index))
    }

    /// Puts the node at `deadline` (ns), or moves it there. A deadline that
    /// has passed expires with the next tick. An index outside the capacity is
    /// ignored.
    public mutating func schedule(_ index: UInt32, at deadline: UInt64, now: UInt64) {
        guard Int(index) < capacity else { return }
        if nodes[Int(index)].previous != 0 { unlink(index) } else { count &+= 1 }
        // Slots that are known to be empty need not be kept for the past.
        let nowTick = now &>> Self.tickLog
        if nowTick > cursor { cursor = max(cursor, min(nowTick, firstTick &- 1)) }
        var tick = deadline &>> Self.tickLog
        if deadline & ((1 &<< Self.tickLog) &- 1) != 0 { tick &+= 1 }
        tick = min(max(tick, cursor &+ 1), cursor &+ Self.slotCount)
        let slot = tick & Self.slotMask
        append(index, to: UInt32(truncatingIfNeeded: slot))
        occupied[Int(slot &>> 6)] |= 1 &<< (slot & 63)
        if tick < firstTick {
            firstTick = tick
            if nextExpiry != 0 { nextExpiry = tick &<< Self.tickLog }
        }
    }

    /// Takes the node out. One that is not scheduled is ignored.
    public mutating func cancel(_ index: UInt32) {
        guard isScheduled(index) else { return }
        unlink(index)
        count &-= 1
    }

    /// Takes out one node that has expired at `now` (ns), earlier slots
    /// first; nil when there is none. What is scheduled between two calls with
    /// the same `now` does not expire in the second.
    @inline(__always)
    public mutating func popExpired(now: UInt64) -> UInt32? {
        if now < nextExpiry { return nil }
        return popSlowly(now)
    }

    @inline(never)
    private mutating func popSlowly(_ now: UInt64) -> UInt32? {
        let list = lists + Int(Self.expired)
        let nowTick = now &>> Self.tickLog
        if list.pointee.head == 0 || nowTick > cursor {
            collect(through: nowTick)
            guard list.pointee.head != 0 else { return nil }
            nextExpiry = 0
        }
        let index = list.pointee.head &- 1
        unlink(index)
        count &-= 1
        if list.pointee.head == 0 { updateNextExpiry() }
        return index
    }

    private mutating func updateNextExpiry() {
        nextExpiry = firstTick == .max ? .max : firstTick &<< Self.tickLog
    }

    /// Moves the nodes of all slots up to a tick to the expired list.
    private mutating func collect(through nowTick: UInt64) {
        while let tick = nextOccupied() {
            firstTick = tick
            if tick > nowTick { break }
            let slot = tick & Self.slotMask
            expire(Int(slot))
            occupied[Int(slot &>> 6)] &= ~(1 &<< (slot & 63))
        }
        if nowTick > cursor { cursor = nowTick }
        updateNextExpiry()
    }

    /// The tick of the first slot that has nodes. Clears marks of slots that
    /// cancelling has emptied, and sets `firstTick` to `.max` if none is left.
    private mutating func nextOccupied() -> UInt64? {
        guard firstTick != .max else { return nil }
        // Marked slots belong to ticks `cursor + 1 ... cursor + 4096`.
        var tick = max(firstTick, cursor &+ 1)
        let end = cursor &+ Self.slotCount
        while tick <= end {
            let slot = tick & Self.slotMask
            let word = occupied[Int(slot &>> 6)] &>> (slot & 63)
            if word == 0 {
                tick = (tick | 63) &+ 1
                continue
            }
            tick &+= UInt64(truncatingIfNeeded: word.trailingZeroBitCount)
            if tick > end { break }
            let found = tick & Self.slotMask
            if lists[Int(found)].head != 0 { return tick }
            occupied[Int(found &>> 6)] &= ~(1 &<< (found & 63))
        }
        firstTick = .max
        return nil
    }

    /// Appends a slot's nodes to the expired list in one step.
    private func expire(_ slot: Int) {
        let from = lists + slot
        let to = lists + Int(Self.expired)
        guard from.pointee.head != 0 else { return }
        if to.pointee.tail == 0 {
            to.pointee.head = from.pointee.head
            nodes[Int(from.pointee.head &- 1)].previous = Self.edge | Self.expired
        } else {
            nodes[Int(to.pointee.tail &- 1)].next = from.pointee.head
            nodes[Int(from.pointee.head &- 1)].previous = to.pointee.tail
        }
        nodes[Int(from.pointee.tail &- 1)].next = Self.edge | Self.expired
        to.pointee.tail = from.pointee.tail
        from.pointee = List(head: 0, tail: 0)
    }

    private func append(_ index: UInt32, to list: UInt32) {
        let ends = lists + Int(list)
        let tail = ends.pointee.tail
        nodes[Int(index)] = Node(next: Self.edge | list, previous: tail == 0 ? Self.edge | list : tail)
        if tail == 0 { ends.pointee.head = index &+ 1 } else { nodes[Int(tail &- 1)].next = index &+ 1 }
        ends.pointee.tail = index &+ 1
    }

    private func unlink(_ index: UInt32) {
        let node = nodes[Int(index)]
        // A link with `edge` names a list, any other one a node; both were
        // checked when they were stored.
        if node.previous & Self.edge != 0 {
            lists[Int(node.previous & ~Self.edge)].head = node.next & Self.edge != 0 ? 0 : node.next
        } else {
            nodes[Int(node.previous &- 1)].next = node.next
        }
        if node.next & Self.edge != 0 {
            lists[Int(node.next & ~Self.edge)].tail = node.previous & Self.edge != 0 ? 0 : node.previous
        } else {
            nodes[Int(node.next &- 1)].previous = node.previous
        }
        nodes[Int(index)] = Node(next: 0, previous: 0)
    }
}
