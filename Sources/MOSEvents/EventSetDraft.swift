import CMOS
import CSys

/// A set under construction: a copy of an existing one, changed by one pair.
/// Its buffers grow to the largest set ever built and stay.
struct EventSetDraft {
    private var nodes: UnsafeMutablePointer<EventNode>
    private var raisables: UnsafeMutablePointer<Raisable>
    private var chain: UnsafeMutablePointer<UInt32>
    private var starts: UnsafeMutablePointer<UInt32>
    private let records: EventRecords
    private var nodeCapacity = 64
    private var raisableCapacity = 16
    private var chainCapacity = 16
    private var nodeCount = 0
    private var raisableCount = 0
    private var pairCount = 0
    private var mask: UInt32 = 0

    private static let absent = -1

    /// nil: no memory.
    init?(records: EventRecords) {
        guard let nodes: UnsafeMutablePointer<EventNode> = Self.room(nil, nodeCapacity),
            let raisables: UnsafeMutablePointer<Raisable> = Self.room(nil, raisableCapacity),
            let chain: UnsafeMutablePointer<UInt32> = Self.room(nil, chainCapacity),
            let starts: UnsafeMutablePointer<UInt32> = Self.room(nil, BuiltInEvent.count)
        else { return nil }
        self.nodes = nodes
        self.raisables = raisables
        self.chain = chain
        self.starts = starts
        self.records = records
    }

    func destroy() {
        free(nodes)
        free(raisables)
        free(chain)
        free(starts)
    }

    /// Bytes held.
    var byteCount: Int {
        nodeCapacity &* MemoryLayout<EventNode>.stride &+ raisableCapacity &* MemoryLayout<Raisable>.stride
            &+ (chainCapacity &+ BuiltInEvent.count) &* MemoryLayout<UInt32>.stride
    }

    /// The pairs of `set`, with `handler` for `event`, which is a known one.
    /// False: no memory.
    mutating func load(_ set: EventSet, setting event: UInt32, to handler: callback_t) -> Bool {
        var chainCount = 0
        var missing = event
        while set.index(of: missing) == nil {
            guard appendToChain(missing, at: chainCount) else { return false }
            chainCount &+= 1
            guard records[Int(missing)].parent != 0 else { break }
            missing = records[Int(missing)].parent
        }
        guard copy(set, room: chainCount) else { return false }
        // The chain is from the bottom up; it goes in from the top down, one
        // piece for each region that it runs through.
        var top = chainCount
        while top > 0 {
            var bottom = top &- 1
            while bottom > 0, !records[Int(chain[bottom &- 1])].isAllocated { bottom &-= 1 }
            insert(from: top &- 1, through: bottom)
            top = bottom
        }
        let node = index(of: event)
        if nodes[node].handler == nil { pairCount &+= 1 }
        nodes[node].handler = handler
        return true
    }

    /// The pairs of `set` without that of `event`, which has one. False: no memory.
    mutating func load(_ set: EventSet, removing event: UInt32) -> Bool {
        guard copy(set, room: 0) else { return false }
        var node = index(of: event)
        nodes[node].handler = nil
        pairCount &-= 1
        while node != Self.absent, isUseless(node) {
            var top = node
            while top > 0, nodes[top &- 1].event == records[Int(nodes[top].event)].parent,
                nodes[top &- 1].handler == nil, !records[Int(nodes[top].event)].isAllocated,
                Int(nodes[top &- 1].span) == node &- top &+ 2, !isParentOfRaisable(top &- 1)
            {
                top &-= 1
            }
            node = remove(from: top, through: node)
        }
        return true
    }

    /// A block that holds what was loaded; nil: no memory. Not for the empty set.
    func build(id: UInt64, serial: UInt64) -> EventSetPointer? {
        let size = EventSetHeader.byteCount(nodes: nodeCount, raisables: raisableCount)
        guard let block = malloc(size) else { return nil }
        let set = block.assumingMemoryBound(to: EventSetHeader.self)
        set.initialize(
            to: EventSetHeader(
                mask: mask, references: 0, nodeCount: UInt32(truncatingIfNeeded: nodeCount),
                raisableCount: UInt32(truncatingIfNeeded: raisableCount),
                starts: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), packetHandler: packetHandler, id: id, serial: serial, next: nil,
                nextInLimbo: nil, pairCount: UInt32(truncatingIfNeeded: pairCount), isInLimbo: false))
        set.starts.update(from: starts, count: BuiltInEvent.count)
        set.nodes.initialize(from: nodes, count: nodeCount)
        set.raisables.initialize(from: raisables, count: raisableCount)
        return set
    }

    /// See `EventSetHeader.packetHandler`. With something to raise in the set
    /// the long way is needed.
    private var packetHandler: callback_t? {
        guard mask & BuiltInEvent.packetIn != 0, raisableCount == 0 else { return nil }
        let node = nodes[Int(starts[0])]
        return node.span == 1 ? node.handler : nil
    }

    var isEmpty: Bool { pairCount == 0 }

    // MARK: Pieces

    /// Puts `chain[first]` down to `chain[last]`, each the only child of the one
    /// before, below the node of the parent of the first, or as a new region.
    private mutating func insert(from first: Int, through last: Int) {
        let length = first &- last &+ 1
        let event = chain[first]
        let parent = records[Int(event)].parent
        let place: Int
        if parent == 0 {
            let bit = event.trailingZeroBitCount
            let above = mask & ~(event | (event &- 1))
            place = above == 0 ? firstAllocated : Int(starts[above.trailingZeroBitCount])
            openGap(at: place, length)
            mask |= event
            starts[bit] = UInt32(truncatingIfNeeded: place)
        } else if records[Int(event)].isAllocated {
            let parentNode = index(of: parent)
            let region = region(of: parentNode)
            var at = 0
            while at < raisableCount, raisables[at].event < event { at &+= 1 }
            place = at < raisableCount ? Int(raisables[at].node) : nodeCount
            openGap(at: place, length)
            (raisables + at + 1).update(from: raisables + at, count: raisableCount &- at)
            raisableCount &+= 1
            // A parent's id is below its children's: `region` is not behind `at`.
            raisables[at] = Raisable(
                event: event, node: UInt32(truncatingIfNeeded: place),
                parent: UInt32(truncatingIfNeeded: parentNode), region: region)
            for other in 0..<raisableCount where raisables[other].region > UInt32(truncatingIfNeeded: at) {
                raisables[other].region &+= 1
            }
        } else {
            let parentNode = index(of: parent)
            let end = parentNode &+ Int(nodes[parentNode].span)
            var at = parentNode &+ 1
            while at < end, nodes[at].event < event { at &+= Int(nodes[at].span) }
            place = at
            openGap(at: place, length)
            widen(through: parentNode, by: UInt32(truncatingIfNeeded: length))
        }
        for step in 0..<length {
            let event = chain[first &- step]
            nodes[place &+ step] = EventNode(
                filter: records[Int(event)].filter, handler: nil, event: event,
                span: UInt32(truncatingIfNeeded: length &- step))
        }
    }

    /// Takes out a node and those below it, each the only child of the one
    /// before. Returns the node above if that may have become useless.
    private mutating func remove(from first: Int, through last: Int) -> Int {
        let length = last &- first &+ 1
        let event = nodes[first].event
        let parent = records[Int(event)].parent
        if parent == 0 {
            mask &= ~event
            starts[event.trailingZeroBitCount] = 0
            closeGap(at: first, length)
            return Self.absent
        }
        if records[Int(event)].isAllocated {
            var at = 0
            while raisables[at].event != event { at &+= 1 }
            let parentNode = Int(raisables[at].parent)
            (raisables + at).update(from: raisables + at + 1, count: raisableCount &- at &- 1)
            raisableCount &-= 1
            for other in 0..<raisableCount where raisables[other].region > UInt32(truncatingIfNeeded: at) {
                raisables[other].region &-= 1
            }
            closeGap(at: first, length)
            return parentNode
        }
        widen(through: index(of: parent), by: 0 &- UInt32(truncatingIfNeeded: length))
        closeGap(at: first, length)
        return Self.absent
    }

    /// Adds to the spans of `node` and of the nodes above it.
    private func widen(through node: Int, by length: UInt32) {
        for at in 0...node where at &+ Int(nodes[at].span) > node {
            nodes[at].span &+= length
        }
    }

    private mutating func openGap(at place: Int, _ length: Int) {
        (nodes + place + length).update(from: nodes + place, count: nodeCount &- place)
        nodeCount &+= length
        shift(from: place, by: UInt32(truncatingIfNeeded: length))
    }

    private mutating func closeGap(at place: Int, _ length: Int) {
        nodeCount &-= length
        (nodes + place).update(from: nodes + place + length, count: nodeCount &- place)
        shift(from: place, by: 0 &- UInt32(truncatingIfNeeded: length))
    }

    /// Renumbers what refers to the nodes from `place` on.
    private func shift(from place: Int, by length: UInt32) {
        var bits = mask
        while bits != 0 {
            let bit = bits.trailingZeroBitCount
            if Int(starts[bit]) >= place { starts[bit] &+= length }
            bits &= bits &- 1
        }
        for at in 0..<raisableCount {
            if Int(raisables[at].node) >= place { raisables[at].node &+= length }
            if Int(raisables[at].parent) >= place { raisables[at].parent &+= length }
        }
    }

    // MARK: Looking up

    private func index(of event: UInt32) -> Int {
        var at = 0
        while at < nodeCount, nodes[at].event != event { at &+= 1 }
        return at
    }

    private var firstAllocated: Int {
        raisableCount > 0 ? Int(raisables[0].node) : nodeCount
    }

    private func region(of node: Int) -> UInt32 {
        var region = 0
        while region < raisableCount, Int(raisables[region].node) <= node { region &+= 1 }
        return UInt32(truncatingIfNeeded: region)
    }

    private func isParentOfRaisable(_ node: Int) -> Bool {
        for at in 0..<raisableCount where Int(raisables[at].parent) == node { return true }
        return false
    }

    private func isUseless(_ node: Int) -> Bool {
        nodes[node].handler == nil && nodes[node].span == 1 && !isParentOfRaisable(node)
    }

    // MARK: Memory

    private mutating func copy(_ set: EventSet, room: Int) -> Bool {
        let count = Int(set.pointer?.pointee.nodeCount ?? 0)
        let raisableCount = Int(set.pointer?.pointee.raisableCount ?? 0)
        guard Self.grow(&nodes, &nodeCapacity, to: count &+ room),
            Self.grow(&raisables, &raisableCapacity, to: raisableCount &+ room)
        else { return false }
        nodeCount = count
        self.raisableCount = raisableCount
        guard let pointer = set.pointer else {
            mask = 0
            pairCount = 0
            starts.update(repeating: 0, count: BuiltInEvent.count)
            return true
        }
        mask = pointer.pointee.mask
        pairCount = Int(pointer.pointee.pairCount)
        starts.update(from: pointer.starts, count: BuiltInEvent.count)
        nodes.update(from: pointer.nodes, count: count)
        raisables.update(from: pointer.raisables, count: raisableCount)
        return true
    }

    private mutating func appendToChain(_ event: UInt32, at place: Int) -> Bool {
        guard Self.grow(&chain, &chainCapacity, to: place &+ 1) else { return false }
        chain[place] = event
        return true
    }

    private static func grow<Element>(
        _ buffer: inout UnsafeMutablePointer<Element>, _ capacity: inout Int, to count: Int
    ) -> Bool {
        guard count > capacity else { return true }
        let wanted = max(count, capacity &* 2)
        guard let grown = room(buffer, wanted) else { return false }
        buffer = grown
        capacity = wanted
        return true
    }

    private static func room<Element>(
        _ old: UnsafeMutablePointer<Element>?, _ count: Int
    ) -> UnsafeMutablePointer<Element>? {
        realloc(old, count &* MemoryLayout<Element>.stride)?.assumingMemoryBound(to: Element.self)
    }
}
