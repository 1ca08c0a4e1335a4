import CMOS
import CSys

/// The event sets of one context. Not for use by two threads at once.
///
/// Each distinct set exists once. A set's id is the XOR of its pairs' hashes,
/// so the id after a change is known before the set is, and the set is built
/// only when none with that id has these pairs.
///
/// Nothing is freed while handlers may be walking it: a set that nobody holds
/// any more waits in limbo for `reap()`, and comes back if it is wanted before.
public struct EventSetTable {
    private struct State {
        var index: EventSetIndex
        var draft: EventSetDraft
        var transitions: TransitionCache
        var limbo: EventSetPointer?
        var limboCount: Int
        var lastSerial: UInt64
        var liveCount: Int
        var setBytes: Int
        var hashMask: UInt64
    }

    private let state: UnsafeMutablePointer<State>

    /// nil: no memory.
    public init?() {
        self.init(hashMask: .max)
    }

    /// `hashMask`: the bits of ids that are used. Tests leave few, to see equal
    /// ids of different sets.
    init?(hashMask: UInt64) {
        guard let records = EventForest.recordsIfPossible(), let memory = malloc(MemoryLayout<State>.stride)
        else { return nil }
        guard let index = EventSetIndex() else {
            free(memory)
            return nil
        }
        guard let draft = EventSetDraft(records: records) else {
            index.destroy()
            free(memory)
            return nil
        }
        guard let transitions = TransitionCache() else {
            draft.destroy()
            index.destroy()
            free(memory)
            return nil
        }
        state = memory.assumingMemoryBound(to: State.self)
        state.initialize(
            to: State(
                index: index, draft: draft, transitions: transitions, limbo: nil, limboCount: 0, lastSerial: 0,
                liveCount: 0, setBytes: 0, hashMask: hashMask))
    }

    /// Frees the table and all its sets; every handle is void then.
    public func destroy() {
        state.pointee.transitions.destroy()
        state.pointee.draft.destroy()
        state.pointee.index.destroy()
        free(state)
    }

    /// Distinct sets that somebody holds, the empty one not counted.
    public var liveCount: Int { state.pointee.liveCount }

    /// Memory in bytes: sets, those in limbo too, and what it takes to find and
    /// build them.
    public var bytes: Int {
        state.pointee.setBytes &+ state.pointee.index.byteCount &+ state.pointee.draft.byteCount
            &+ TransitionCache.byteCount &+ MemoryLayout<State>.stride
    }

    /// Bytes of the sets alone.
    var setBytes: Int { state.pointee.setBytes }

    // MARK: References

    /// One more reference to a set that the caller holds already (a new flow
    /// gets its listener's).
    @inline(__always)
    public func retain(_ set: EventSet) {
        guard let pointer = set.pointer else { return }
        if pointer.pointee.references == 0 { state.pointee.liveCount &+= 1 }
        pointer.pointee.references &+= 1
    }

    /// Gives one reference back.
    @inline(__always)
    public func release(_ set: EventSet) {
        guard let pointer = set.pointer else { return }
        pointer.pointee.references &-= 1
        if pointer.pointee.references == 0 { enterLimbo(pointer) }
    }

    @inline(never)
    private func enterLimbo(_ set: EventSetPointer) {
        state.pointee.liveCount &-= 1
        guard !set.pointee.isInLimbo else { return }
        set.pointee.isInLimbo = true
        set.pointee.nextInLimbo = state.pointee.limbo
        state.pointee.limbo = set
        state.pointee.limboCount &+= 1
    }

    /// Frees sets that nobody holds, at most `limit` of them (or of those that
    /// came back meanwhile) or an eighth of all, whichever is more: the end of
    /// many flows at once is no long pause, and no more wait than eight times
    /// what comes between two calls. Call it between bursts, never while
    /// anything is dispatched on this context.
    @inline(__always)
    public func reap(limit: Int = 256) {
        if state.pointee.limbo != nil { emptyLimbo(limit) }
    }

    @inline(never)
    private func emptyLimbo(_ limit: Int) {
        var left = max(limit, state.pointee.limboCount / 8)
        while left > 0, let set = state.pointee.limbo {
            left &-= 1
            state.pointee.limboCount &-= 1
            state.pointee.limbo = set.pointee.nextInLimbo
            set.pointee.nextInLimbo = nil
            set.pointee.isInLimbo = false
            if set.pointee.references == 0 { discard(set) }
        }
    }

    private func discard(_ set: EventSetPointer) {
        state.pointee.index.remove(set)
        state.pointee.setBytes &-= set.byteCount
        free(set)
    }

    // MARK: Changes

    /// `set` with `handler` for `event`, in place of the one that it may have
    /// there. `event` is to be one that `EventForest.isRegistrable` accepts.
    ///
    /// - Returns: a set with a reference (+1) for the caller, who keeps his
    ///   reference to `set` too; nil: no memory, or no such event.
    public func setting(_ set: EventSet, event: UInt64, handler: callback_t) -> EventSet? {
        guard EventForest.rootBit(of: event) != 0 else { return nil }
        let event = UInt32(truncatingIfNeeded: event)
        let from = set.pointer?.pointee.serial ?? 0
        let transition = state.pointee.transitions.place(from, event, handler)
        if transition.pointee.isFor(from, event, handler), let known = resolve(transition) { return known }

        let old = set.handler(of: UInt64(event))
        if isSame(old, handler) {
            retain(set)
            return set
        }
        var id = set.id ^ hash(event, handler)
        if let old { id ^= hash(event, old) }
        let made: EventSetPointer
        if let known = find(id, set, event, handler) {
            made = known
        } else {
            guard state.pointee.draft.load(set, setting: event, to: handler), let new = build(id) else {
                return nil
            }
            made = new
        }
        retain(EventSet(made))
        transition.pointee = TransitionCache.Entry(
            from: from, to: made.pointee.serial, toID: id, handler: handler, event: event)
        return EventSet(made)
    }

    /// `set` without the handler for `event`.
    ///
    /// - Returns: a set with a reference (+1) for the caller, who keeps his
    ///   reference to `set` too; nil: `set` has none for `event`
    ///   (`EventSet.handler(of:)` tells), or no memory.
    public func removing(_ set: EventSet, event: UInt64) -> EventSet? {
        guard let pointer = set.pointer, let event = UInt32(exactly: event) else { return nil }
        let from = pointer.pointee.serial
        let transition = state.pointee.transitions.place(from, event, nil)
        if transition.pointee.isFor(from, event, nil), let known = resolve(transition) { return known }

        guard let old = set.handler(of: UInt64(event)) else { return nil }
        let id = pointer.pointee.id ^ hash(event, old)
        var made: EventSetPointer?
        if pointer.pointee.pairCount > 1 {
            made = find(id, set, event, nil)
            if made == nil {
                guard state.pointee.draft.load(set, removing: event), let new = build(id) else { return nil }
                made = new
            }
        }
        retain(EventSet(made))
        transition.pointee = TransitionCache.Entry(
            from: from, to: made?.pointee.serial ?? 0, toID: id, handler: nil, event: event)
        return EventSet(made)
    }

    /// The set that a remembered change led to, if it still exists (+1).
    private func resolve(_ transition: UnsafeMutablePointer<TransitionCache.Entry>) -> EventSet? {
        let serial = transition.pointee.to
        if serial == 0 { return EventSet.empty }
        var next = state.pointee.index.chain(of: transition.pointee.toID)
        while let candidate = next {
            if candidate.pointee.serial == serial {
                retain(EventSet(candidate))
                return EventSet(candidate)
            }
            next = candidate.pointee.next
        }
        return nil
    }

    /// An existing set with this id which has the pairs of `set`, but `handler`
    /// for `event`.
    private func find(
        _ id: UInt64, _ set: EventSet, _ event: UInt32, _ handler: callback_t?
    ) -> EventSetPointer? {
        var next = state.pointee.index.chain(of: id)
        while let candidate = next {
            if candidate.pointee.id == id, candidate.hasPairs(of: set, except: event, handler) {
                return candidate
            }
            next = candidate.pointee.next
        }
        return nil
    }

    private func build(_ id: UInt64) -> EventSetPointer? {
        guard let set = state.pointee.draft.build(id: id, serial: state.pointee.lastSerial &+ 1) else {
            return nil
        }
        state.pointee.lastSerial &+= 1
        state.pointee.setBytes &+= set.byteCount
        state.pointee.index.insert(set)
        return set
    }

    private func hash(_ event: UInt32, _ handler: callback_t) -> UInt64 {
        PairHash.mix(UInt64(event), UInt64(unsafeBitCast(handler, to: UInt.self))) & state.pointee.hashMask
    }
}

extension EventSetPointer {
    fileprivate var byteCount: Int {
        EventSetHeader.byteCount(nodes: Int(pointee.nodeCount), raisables: Int(pointee.raisableCount))
    }

    /// Whether this set has the pairs of `set`, but for `event` exactly `handler`.
    ///
    /// Two events come in the same order in every set that has both, so one
    /// pass over both sets tells.
    fileprivate func hasPairs(of set: EventSet, except event: UInt32, _ handler: callback_t?) -> Bool {
        let ours = Int(pointee.nodeCount)
        let theirs = Int(set.pointer?.pointee.nodeCount ?? 0)
        var found: callback_t?
        var a = 0
        var b = 0
        while true {
            while a < ours, nodes[a].handler == nil || nodes[a].event == event {
                if nodes[a].event == event { found = nodes[a].handler }
                a &+= 1
            }
            guard let other = set.pointer else { break }
            while b < theirs, other.nodes[b].handler == nil || other.nodes[b].event == event { b &+= 1 }
            guard a < ours, b < theirs else { break }
            guard nodes[a].event == other.nodes[b].event,
                isSame(nodes[a].handler, other.nodes[b].handler)
            else { return false }
            a &+= 1
            b &+= 1
        }
        return a == ours && b == theirs && isSame(found, handler)
    }
}
