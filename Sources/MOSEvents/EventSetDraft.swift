import CMOS
import CSys

/// A set under construction: a copy of an existing one, changed by one pair, in one
/// pass, however many nodes come or go with it. `locate` says which set and event.
/// Its buffers grow to the largest set ever built and stay.
struct EventSetDraft {
    /// The event or one above it.
    private struct Link {
        var event: UInt32
        /// Its node, while it has one.
        var node: UInt32
    }

    /// Nodes that come or go together: neighbours, each the only child of the one
    /// before. The chain falls into one for each region that it runs through.
    private struct Piece {
        /// The highest and the lowest of it, in the chain.
        var top: Int
        var bottom: Int
        /// Where it goes in or is, in the nodes of the old set, and in its
        /// raisables if it begins with an allocated event.
        var node: Int
        var raisable: Int
        var isRegion: Bool
        /// Old nodes from this one on move by `nodeShift`, as far as no further
        /// piece says otherwise. The same for raisables.
        var nodesFrom = 0
        var nodeShift = 0
        var raisablesFrom = 0
        var raisableShift = 0

        var count: Int { top &- bottom &+ 1 }
    }

    private var nodes: UnsafeMutablePointer<EventNode>
    private var raisables: UnsafeMutablePointer<Raisable>
    /// From the event that was located up to the built-in one: ids go down.
    private var chain: UnsafeMutablePointer<Link>
    /// From the top down: places in the old set go up.
    private var pieces: UnsafeMutablePointer<Piece>
    private var starts: UnsafeMutablePointer<UInt32>
    private let records: EventRecords
    private var nodeCapacity = 64
    private var raisableCapacity = 16
    private var chainCapacity = 16
    private var pieceCapacity = 4
    private var nodeCount = 0
    private var raisableCount = 0
    private var chainCount = 0
    private var pieceCount = 0
    private var pairCount = 0
    private var mask: UInt32 = 0

    /// What was located.
    private var set: EventSetPointer?
    /// Of the chain, the lower ones that the set has no node for.
    private var missing = 0
    /// The region of the lowest one that it has, as in `Raisable.region`, and where
    /// a child of that one would go in.
    private var region: UInt32 = 0
    private var place = 0

    /// nil: no memory.
    init?(records: EventRecords) {
        guard let nodes: UnsafeMutablePointer<EventNode> = Self.room(nil, nodeCapacity),
            let raisables: UnsafeMutablePointer<Raisable> = Self.room(nil, raisableCapacity),
            let chain: UnsafeMutablePointer<Link> = Self.room(nil, chainCapacity),
            let pieces: UnsafeMutablePointer<Piece> = Self.room(nil, pieceCapacity),
            let starts: UnsafeMutablePointer<UInt32> = Self.room(nil, BuiltInEvent.count)
        else { return nil }
        self.nodes = nodes
        self.raisables = raisables
        self.chain = chain
        self.pieces = pieces
        self.starts = starts
        self.records = records
    }

    func destroy() {
        free(nodes)
        free(raisables)
        free(chain)
        free(pieces)
        free(starts)
    }

    /// Bytes held.
    var byteCount: Int {
        nodeCapacity &* MemoryLayout<EventNode>.stride &+ raisableCapacity &* MemoryLayout<Raisable>.stride
            &+ chainCapacity &* MemoryLayout<Link>.stride &+ pieceCapacity &* MemoryLayout<Piece>.stride
            &+ BuiltInEvent.count &* MemoryLayout<UInt32>.stride
    }

    // MARK: Where the event is

    /// Looks for `event`, which is a known one, in `set`. False: no memory.
    ///
    /// From the built-in event down, over what stands beside the way.
    mutating func locate(_ event: UInt32, in set: EventSet) -> Bool {
        chainCount = 0
        var above = event
        while above != 0 {
            guard Self.grow(&chain, &chainCapacity, to: chainCount &+ 1) else { return false }
            chain[chainCount] = Link(event: above, node: 0)
            chainCount &+= 1
            above = records[Int(above)].parent
        }
        self.set = set.pointer
        missing = chainCount
        region = 0
        place = 0
        guard let set = set.pointer else { return true }
        let nodes = set.nodes
        while missing > 0 {
            let event = chain[missing &- 1].event
            if missing == chainCount {
                guard set.pointee.mask & event != 0 else { break }
                place = Int(set.starts[event.trailingZeroBitCount])
            } else if records[Int(event)].isAllocated {
                let raisables = set.raisables
                let count = Int(set.pointee.raisableCount)
                // In a chain of nothing else it is the next one.
                var at = Int(region)
                if at >= count || raisables[at].event != event { at = set.firstRaisable(from: event) }
                guard at < count, raisables[at].event == event else { break }
                place = Int(raisables[at].node)
                region = UInt32(truncatingIfNeeded: at &+ 1)
            } else {
                let end = place &+ Int(nodes[place].span)
                place &+= 1
                while place < end, nodes[place].event < event { place &+= Int(nodes[place].span) }
                guard place < end, nodes[place].event == event else { break }
            }
            missing &-= 1
            chain[missing].node = UInt32(truncatingIfNeeded: place)
        }
        return true
    }

    /// What the set that was looked in has for the event.
    var handler: callback_t? {
        guard missing == 0, let set else { return nil }
        return set.nodes[Int(chain[0].node)].handler
    }

    // MARK: The new set

    /// The pairs of the set, with `handler` for the event. False: no memory.
    mutating func load(setting handler: callback_t) -> Bool {
        guard cut(missing), let room = makeRoom(missing) else { return false }
        for at in 0..<pieceCount { pieces[at] = placed(pieces[at]) }
        copy(inserting: true)
        nodeCount = room.nodes
        raisableCount = room.raisables
        let node = nodes + Int(chain[0].node)
        pairCount = Int(set?.pointee.pairCount ?? 0)
        if node.pointee.handler == nil { pairCount &+= 1 }
        node.pointee.handler = handler
        return true
    }

    /// The pairs of the set without that of the event, which has one. False: no
    /// memory.
    mutating func loadRemoving() -> Bool {
        guard let set, cut(useless(set)), let room = makeRoom(0) else { return false }
        for at in 0..<pieceCount {
            pieces[at].node = Int(chain[pieces[at].top].node)
            if pieces[at].isRegion { pieces[at].raisable = set.firstRaisable(from: chain[pieces[at].top].event) }
        }
        copy(inserting: false)
        nodeCount = room.nodes
        raisableCount = room.raisables
        for at in 0..<pieceCount {
            nodeCount &-= pieces[at].count
            if pieces[at].isRegion { raisableCount &-= 1 }
        }
        if pieceCount == 0 { nodes[Int(chain[0].node)].handler = nil }
        pairCount = Int(set.pointee.pairCount) &- 1
        return true
    }

    /// A block that holds what was loaded; nil: no memory. Not for the empty set.
    func build(id: UInt64, serial: UInt64, neighbour: Neighbour) -> EventSetPointer? {
        let size = EventSetHeader.byteCount(nodes: nodeCount, raisables: raisableCount)
        guard let block = malloc(size) else { return nil }
        let set = block.assumingMemoryBound(to: EventSetHeader.self)
        set.initialize(
            to: EventSetHeader(
                mask: mask, references: 0, nodeCount: UInt32(truncatingIfNeeded: nodeCount),
                raisableCount: UInt32(truncatingIfNeeded: raisableCount),
                starts: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), packetHandler: packetHandler, id: id, serial: serial, next: nil,
                nextInLimbo: nil, neighbour: neighbour, pairCount: UInt32(truncatingIfNeeded: pairCount),
                isInLimbo: false))
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

    // MARK: Pieces

    /// Makes pieces of the lowest `count` events of the chain. False: no memory.
    private mutating func cut(_ count: Int) -> Bool {
        pieceCount = 0
        var end = count
        while end > 0 {
            var bottom = end &- 1
            while bottom > 0, !records[Int(chain[bottom &- 1].event)].isAllocated { bottom &-= 1 }
            guard Self.grow(&pieces, &pieceCapacity, to: pieceCount &+ 1) else { return false }
            pieces[pieceCount] = Piece(
                top: end &- 1, bottom: bottom, node: 0, raisable: 0,
                isRegion: records[Int(chain[end &- 1].event)].isAllocated)
            pieceCount &+= 1
            end = bottom
        }
        return true
    }

    /// A new piece, with where it goes in.
    private func placed(_ piece: Piece) -> Piece {
        var piece = piece
        guard let set else { return piece }
        let event = chain[piece.top].event
        if piece.isRegion {
            piece.raisable = set.firstRaisable(from: event)
            piece.node = set.node(ofRaisable: piece.raisable)
        } else if piece.top == chainCount &- 1 {
            let above = set.pointee.mask & ~(event | (event &- 1))
            piece.node = above == 0 ? set.node(ofRaisable: 0) : Int(set.starts[above.trailingZeroBitCount])
        } else {
            piece.node = place
        }
        return piece
    }

    /// How many events of the chain go when the lowest has no handler any more: each
    /// has nothing else at it or below it.
    private func useless(_ set: EventSetPointer) -> Int {
        var count = 0
        while count < chainCount {
            let node = set.nodes + Int(chain[count].node)
            var left = node.pointee.span &- 1
            if count > 0 {
                let below = chain[count &- 1]
                if node.pointee.handler != nil { break }
                if !records[Int(below.event)].isAllocated { left &-= set.nodes[Int(below.node)].span }
            }
            guard left == 0 else { break }
            count &+= 1
        }
        // Above another event that can be raised it stays, too.
        for at in 0..<Int(set.pointee.raisableCount) where count > 0 {
            let raisable = set.raisables[at]
            guard raisable.parent >= chain[count &- 1].node, let link = link(at: raisable.parent, below: count),
                link == 0 || chain[link &- 1].event != raisable.event
            else { continue }
            count = link
        }
        return count
    }

    /// Which of the lowest `count` events of the chain has this node.
    private func link(at node: UInt32, below count: Int) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) / 2
            if chain[middle].node > node { low = middle &+ 1 } else { high = middle }
        }
        return low < count && chain[low].node == node ? low : nil
    }

    // MARK: Copying

    /// The old set's nodes and raisables, with the pieces among them or without
    /// those.
    private mutating func copy(inserting: Bool) {
        var oldNode = 0
        var newNode = 0
        var oldRaisable = 0
        var newRaisable = 0
        var region = self.region
        for at in 0..<pieceCount {
            let piece = pieces[at]
            copyNodes(oldNode, piece.node, to: newNode)
            newNode &+= piece.node &- oldNode
            oldNode = piece.node
            if piece.isRegion {
                copyRaisables(oldRaisable, piece.raisable, to: newRaisable, behind: at)
                newRaisable &+= piece.raisable &- oldRaisable
                oldRaisable = piece.raisable
            }
            if inserting {
                let first = newNode
                for link in stride(from: piece.top, through: piece.bottom, by: -1) {
                    chain[link].node = UInt32(truncatingIfNeeded: newNode)
                    let event = chain[link].event
                    nodes[newNode] = EventNode(
                        filter: records[Int(event)].filter, handler: nil, event: event,
                        span: UInt32(truncatingIfNeeded: link &- piece.bottom &+ 1))
                    newNode &+= 1
                }
                if piece.isRegion {
                    raisables[newRaisable] = Raisable(
                        event: chain[piece.top].event, node: UInt32(truncatingIfNeeded: first),
                        parent: chain[piece.top &+ 1].node, region: region)
                    newRaisable &+= 1
                    region = UInt32(truncatingIfNeeded: newRaisable)
                }
            } else {
                oldNode &+= piece.count
                if piece.isRegion { oldRaisable &+= 1 }
            }
            pieces[at].nodesFrom = oldNode
            pieces[at].nodeShift = newNode &- oldNode
            pieces[at].raisablesFrom = oldRaisable
            pieces[at].raisableShift = newRaisable &- oldRaisable
        }
        copyNodes(oldNode, Int(set?.pointee.nodeCount ?? 0), to: newNode)
        copyRaisables(oldRaisable, Int(set?.pointee.raisableCount ?? 0), to: newRaisable, behind: pieceCount)
        copyStarts()
        // Only the uppermost can be part of a region that there is in both sets.
        if pieceCount > 0, !pieces[0].isRegion { adjust(pieces[0], inserting) }
    }

    private func copyNodes(_ from: Int, _ end: Int, to place: Int) {
        guard let set, end > from else { return }
        (nodes + place).update(from: set.nodes + from, count: end &- from)
    }

    /// What they refer to stands before them: `done` pieces say where it went.
    private func copyRaisables(_ from: Int, _ end: Int, to place: Int, behind done: Int) {
        guard let set, end > from else { return }
        let old = set.raisables
        if done == 0 {
            (raisables + place).update(from: old + from, count: end &- from)
            return
        }
        for at in from..<end {
            var raisable = old[at]
            raisable.node = moved(raisable.node, done)
            raisable.parent = moved(raisable.parent, done)
            if raisable.region != 0 { raisable.region = movedRegion(raisable.region, done) }
            raisables[place &+ at &- from] = raisable
        }
    }

    private mutating func copyStarts() {
        guard let set else {
            mask = 0
            starts.update(repeating: 0, count: BuiltInEvent.count)
            return
        }
        mask = set.pointee.mask
        for bit in 0..<BuiltInEvent.count {
            starts[bit] = mask >> UInt32(bit) & 1 == 0 ? 0 : moved(set.starts[bit], pieceCount)
        }
    }

    /// The region that a piece was put into or taken from: a built-in event's mask
    /// and start, or the spans of the nodes above.
    private mutating func adjust(_ piece: Piece, _ inserting: Bool) {
        let event = chain[piece.top].event
        if piece.top == chainCount &- 1 {
            mask = inserting ? mask | event : mask & ~event
            starts[event.trailingZeroBitCount] = inserting ? chain[piece.top].node : 0
            return
        }
        var link = piece.top
        repeat {
            link &+= 1
            let node = nodes + Int(chain[link].node)
            let count = UInt32(truncatingIfNeeded: piece.count)
            node.pointee.span = inserting ? node.pointee.span &+ count : node.pointee.span &- count
        } while link < chainCount &- 1 && !records[Int(chain[link].event)].isAllocated
    }

    /// The new place of a node that both sets have.
    private func moved(_ node: UInt32, _ done: Int) -> UInt32 {
        var low = 0
        var high = done
        while low < high {
            let middle = (low &+ high) / 2
            if pieces[middle].nodesFrom <= Int(node) { low = middle &+ 1 } else { high = middle }
        }
        return low == 0 ? node : UInt32(truncatingIfNeeded: Int(node) &+ pieces[low &- 1].nodeShift)
    }

    private func movedRegion(_ region: UInt32, _ done: Int) -> UInt32 {
        var low = 0
        var high = done
        while low < high {
            let middle = (low &+ high) / 2
            if pieces[middle].raisablesFrom < Int(region) { low = middle &+ 1 } else { high = middle }
        }
        return low == 0 ? region : UInt32(truncatingIfNeeded: Int(region) &+ pieces[low &- 1].raisableShift)
    }

    // MARK: Memory

    /// Room for the old set and the pieces, of `added` nodes together. Returns how many
    /// nodes and raisables that is; nil: no memory.
    private mutating func makeRoom(_ added: Int) -> (nodes: Int, raisables: Int)? {
        let count = Int(set?.pointee.nodeCount ?? 0) &+ added
        var raisableCount = Int(set?.pointee.raisableCount ?? 0)
        if added > 0 {
            raisableCount &+= pieceCount
            if !pieces[0].isRegion { raisableCount &-= 1 }
        }
        guard Self.grow(&nodes, &nodeCapacity, to: count),
            Self.grow(&raisables, &raisableCapacity, to: raisableCount)
        else { return nil }
        return (count, raisableCount)
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
