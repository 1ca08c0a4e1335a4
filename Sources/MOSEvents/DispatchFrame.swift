import CSys

/// One dispatch that is going on, as `mtcp_raise_event` needs to see it.
struct DispatchFrame {
    /// The set being walked, which is not freed meanwhile; nil when there is no more
    /// to the walk than one handler.
    var set: EventSetPointer?
    /// What was raised, in the order of raising: `count` entries. Room for all
    /// raisables of the set follows, once anything was raised.
    var entries: UnsafeMutablePointer<RaisedEvent>?
    /// Number of raisables that there is room for; kept for later dispatches.
    var capacity: UInt32
    var count: UInt32
    /// Entries that there were when the node at `position` began.
    var mark: UInt32
    /// The region being walked: an entry, or `RaisedEvent.none` for the
    /// built-in event's.
    var region: UInt32
    /// The node that runs.
    var position: UInt32
    /// The node of the built-in event's region that runs, or ran when the walk
    /// left that region.
    var rootPosition: UInt32
    /// What the dispatch is on.
    var socket: Int32
    var side: Int32
    /// Its socket was closed or stopped: nothing more of it runs.
    var isAbandoned: Bool
}

/// One event raised in a dispatch. Indexes are into the frame's entries (`batch`,
/// `previous`, `last`, `next`, `region`) or the set's nodes.
///
/// The entries that one node raised are a batch: neighbours, run one after
/// the other when the walk has come to the node's end. What the walk must
/// remember of a batch is kept in its first entry.
struct RaisedEvent {
    static let none = UInt32.max

    /// Place in the set's list of raisables.
    var raisable: UInt32
    /// The node of its region that runs, or ran when the walk went into another
    /// region; `none` before and after its own run.
    var position: UInt32
    /// First entry of the batch.
    var batch: UInt32

    /// In the first of a batch: the entry to run next, and where the batch ends.
    var next: UInt32
    var last: UInt32
    /// … the node that raised it, the end of its subtree, and its region.
    var node: UInt32
    var end: UInt32
    var region: UInt32
    /// … the batch of the same region that waits for this one.
    var previous: UInt32
}

extension DispatchFrame {
    /// For each raisable, the entry that it may have: true only if that entry
    /// is below `count` and names the raisable, so that nothing has to be
    /// cleared when a dispatch begins.
    private var places: UnsafeMutablePointer<UInt32>? {
        guard let entries else { return nil }
        return UnsafeMutableRawPointer(entries + Int(capacity)).assumingMemoryBound(to: UInt32.self)
    }

    /// The entry of a raisable that was raised in this dispatch.
    private func entry(of raisable: UInt32) -> UnsafeMutablePointer<RaisedEvent>? {
        guard count > 0, let places, let entries else { return nil }
        let place = places[Int(raisable)]
        guard place < count, entries[Int(place)].raisable == raisable else { return nil }
        return entries + Int(place)
    }

    /// `mtcp_raise_event`: true if `event` will run, or has run, under a node of
    /// this dispatch.
    mutating func raise(_ event: UInt32) -> Bool {
        guard let set, let wanted = set.raisable(of: event) else { return false }
        let raisable = set.raisables[Int(wanted)]
        guard isRunning(set, raisable) else { return false }
        if entry(of: wanted) != nil { return true }
        guard makeRoom(set.pointee.raisableCount), let places, let entries else { return false }
        places[Int(wanted)] = count
        entries[Int(count)] = RaisedEvent(
            raisable: wanted, position: RaisedEvent.none, batch: mark, next: count, last: count, node: 0,
            end: 0, region: RaisedEvent.none, previous: RaisedEvent.none)
        count &+= 1
        return true
    }

    /// Whether the walk is at the parent of `raisable` or anywhere below it.
    private func isRunning(_ set: EventSetPointer, _ raisable: Raisable) -> Bool {
        var at = rootPosition
        if raisable.region == 0 {
            if region == RaisedEvent.none { at = position }
        } else {
            guard let entry = entry(of: raisable.region &- 1) else { return false }
            at = entry == entries.map({ $0 + Int(region) }) ? position : entry.pointee.position
        }
        return at >= raisable.parent && at &- raisable.parent < set.nodes[Int(raisable.parent)].span
    }

    private mutating func makeRoom(_ wanted: UInt32) -> Bool {
        // Within one dispatch the first call settles it: entries do not move.
        guard wanted > capacity else { return true }
        let room = max(Int(wanted), 16)
        guard let memory = calloc(room, MemoryLayout<RaisedEvent>.stride + MemoryLayout<UInt32>.stride) else {
            return false
        }
        free(entries)
        entries = memory.assumingMemoryBound(to: RaisedEvent.self)
        capacity = UInt32(truncatingIfNeeded: room)
        return true
    }
}

extension EventSetPointer {
    /// The place of an allocated event in the list of raisables.
    fileprivate func raisable(of event: UInt32) -> UInt32? {
        let at = firstRaisable(from: event)
        guard at < Int(pointee.raisableCount), raisables[at].event == event else { return nil }
        return UInt32(truncatingIfNeeded: at)
    }
}
