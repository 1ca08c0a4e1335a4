import CMOS
import CSys

/// The event sets of one context. Not for use by two threads at once.
///
/// Each distinct set exists once. A set's id is the XOR of its pairs' hashes,
/// so the id after a change is known before the set is, and the set is built
/// only when none with that id has these pairs.
///
/// Nothing is freed while handlers may be walking it: a set that nobody holds
/// any more waits in limbo for `reap()`, or for `trim(sparing:)`, and comes back if
/// it is wanted before.
public struct EventSetTable {
    private struct State {
        var index: EventSetIndex
        var draft: EventSetDraft
        var transitions: TransitionCache
        var limbo: EventSetPointer?
        var limboCount: Int
        var limboBytes: Int
        /// Beyond this many `limboBytes` it is trimmed.
        var trimAt: Int
        let limboLimit: Int
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
    /// ids of different sets. `limboLimit`: bytes, see `trim(sparing:)`.
    init?(hashMask: UInt64, limboLimit: Int = 1 << 20) {
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
                index: index, draft: draft, transitions: transitions, limbo: nil, limboCount: 0,
                limboBytes: 0, trimAt: limboLimit, limboLimit: limboLimit, lastSerial: 0, liveCount: 0,
                setBytes: 0, hashMask: hashMask))
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

    /// Bytes of the sets alone, and of those in limbo.
    var setBytes: Int { state.pointee.setBytes }
    var limboBytes: Int { state.pointee.limboBytes }

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
        state.pointee.limboBytes &+= set.byteCount
    }

    private func leaveLimbo(_ set: EventSetPointer) {
        state.pointee.limboCount &-= 1
        state.pointee.limboBytes &-= set.byteCount
        set.pointee.nextInLimbo = nil
        set.pointee.isInLimbo = false
        if set.pointee.references == 0 { discard(set) }
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
            state.pointee.limbo = set.pointee.nextInLimbo
            leaveLimbo(set)
        }
        state.pointee.trimAt = state.pointee.limboLimit
    }

    /// Frees what is in limbo when a megabyte of it has come since the last time, but
    /// for the sets that `stack` walks: a handler may leave as many sets as it
    /// likes. Call it after a change; nothing but dispatches may have a handle then
    /// that it holds no reference for.
    @inline(__always)
    public func trim(sparing stack: DispatchStack) {
        if state.pointee.limboBytes > state.pointee.trimAt { trimLimbo(stack) }
    }

    @inline(never)
    private func trimLimbo(_ stack: DispatchStack) {
        var next = state.pointee.limbo
        state.pointee.limbo = nil
        while let set = next {
            next = set.pointee.nextInLimbo
            if stack.isWalking(set) {
                set.pointee.nextInLimbo = state.pointee.limbo
                state.pointee.limbo = set
            } else {
                leaveLimbo(set)
            }
        }
        state.pointee.trimAt = state.pointee.limboBytes &+ state.pointee.limboLimit
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

        if let known = neighbour(set, event, handler) {
            return remember(transition, from, event, handler, known)
        }
        guard state.pointee.draft.locate(event, in: set) else { return nil }
        let old = state.pointee.draft.handler
        if isSame(old, handler) { return remember(transition, from, event, handler, set.pointer) }
        var made = find(set, event, from: old, to: handler)
        if made == nil, state.pointee.draft.load(setting: handler) { made = build(set, event, from: old, to: handler) }
        guard let made else { return nil }
        return remember(transition, from, event, handler, made)
    }

    /// `set` without the handler for `event`.
    ///
    /// - Returns: a set with a reference (+1) for the caller, who keeps his
    ///   reference to `set` too; nil: `set` has none for `event`
    ///   (`EventSet.handler(of:)` tells), or no memory.
    public func removing(_ set: EventSet, event: UInt64) -> EventSet? {
        guard let pointer = set.pointer, EventForest.rootBit(of: event) != 0 else { return nil }
        let event = UInt32(truncatingIfNeeded: event)
        let from = pointer.pointee.serial
        let transition = state.pointee.transitions.place(from, event, nil)
        if transition.pointee.isFor(from, event, nil), let known = resolve(transition) { return known }

        if let known = neighbour(set, event, nil) { return remember(transition, from, event, nil, known) }
        guard state.pointee.draft.locate(event, in: set), let old = state.pointee.draft.handler else { return nil }
        guard pointer.pointee.pairCount > 1 else { return remember(transition, from, event, nil, nil) }
        var made = find(set, event, from: old, to: nil)
        if made == nil, state.pointee.draft.loadRemoving() { made = build(set, event, from: old, to: nil) }
        guard let made else { return nil }
        return remember(transition, from, event, nil, made)
    }

    /// A handle (+1) to what the change led to, nil: the empty set.
    private func remember(
        _ transition: UnsafeMutablePointer<TransitionCache.Entry>, _ from: UInt64, _ event: UInt32,
        _ handler: callback_t?, _ to: EventSetPointer?
    ) -> EventSet {
        let to = EventSet(to)
        retain(to)
        transition.pointee = TransitionCache.Entry(
            from: from, to: to.pointer?.pointee.serial ?? 0, toID: to.id, handler: handler, event: event)
        return to
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

    /// The set that this change leads to, if `set` is the neighbour of that or that
    /// the neighbour of `set`: no look at the pairs is needed then.
    ///
    /// What `set` has for the event is its neighbour's to tell; else that is taken to
    /// be nothing.
    private func neighbour(_ set: EventSet, _ event: UInt32, _ handler: callback_t?) -> EventSetPointer? {
        let own = set.pointer?.pointee.neighbour
        let old = own?.event == event ? own?.own : nil
        guard !isSame(old, handler) else { return nil }
        let serial = set.pointer?.pointee.serial ?? 0
        let id = id(set, event, from: old, to: handler)
        var next = state.pointee.index.chain(of: id)
        while let candidate = next {
            if candidate.pointee.neighbour.isOther(serial, event, old, handler)
                || own?.isOther(candidate.pointee.serial, event, handler, old) == true
            {
                return candidate
            }
            next = candidate.pointee.next
        }
        return nil
    }

    /// An existing set with the pairs of `set`, but `handler` for `event`, for which
    /// `set` has `old`. The younger of the two is then the other's neighbour.
    private func find(
        _ set: EventSet, _ event: UInt32, from old: callback_t?, to handler: callback_t?
    ) -> EventSetPointer? {
        let id = id(set, event, from: old, to: handler)
        let serial = set.pointer?.pointee.serial ?? 0
        var next = state.pointee.index.chain(of: id)
        while let candidate = next {
            if candidate.pointee.id == id {
                if candidate.pointee.neighbour.isOther(serial, event, old, handler) { return candidate }
                if candidate.hasPairs(of: set, except: event, handler) {
                    if let pointer = set.pointer, serial > candidate.pointee.serial {
                        pointer.pointee.neighbour = Neighbour(
                            serial: candidate.pointee.serial, handler: handler, own: old, event: event)
                    } else {
                        candidate.pointee.neighbour = Neighbour(
                            serial: serial, handler: old, own: handler, event: event)
                    }
                    return candidate
                }
            }
            next = candidate.pointee.next
        }
        return nil
    }

    /// What was loaded into the draft.
    private func build(
        _ set: EventSet, _ event: UInt32, from old: callback_t?, to handler: callback_t?
    ) -> EventSetPointer? {
        let from = Neighbour(serial: set.pointer?.pointee.serial ?? 0, handler: old, own: handler, event: event)
        guard let made = state.pointee.draft.build(
            id: id(set, event, from: old, to: handler), serial: state.pointee.lastSerial &+ 1, neighbour: from)
        else { return nil }
        state.pointee.lastSerial &+= 1
        state.pointee.setBytes &+= made.byteCount
        state.pointee.index.insert(made)
        return made
    }

    /// The id after a change.
    private func id(
        _ set: EventSet, _ event: UInt32, from old: callback_t?, to handler: callback_t?
    ) -> UInt64 {
        var id = set.id
        if let old { id ^= hash(event, old) }
        if let handler { id ^= hash(event, handler) }
        return id
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
