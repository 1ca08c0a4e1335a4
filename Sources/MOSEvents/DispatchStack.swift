// Dispatch of one built-in event on one socket and hook (mOS: mtcp_raise_event(3),
// docs/events.md): a node's filter, its handler, its children in the order of
// their ids, then what was raised while its filter and handler ran.
import CMOS
import CSys

/// Runs handlers, on the thread of its context. One for each context; it holds
/// what is to be known of the dispatches that are going on, the innermost on
/// top: a handler may cause another dispatch.
public struct DispatchStack {
    /// Dispatches inside dispatches; deeper ones are refused, so that handlers
    /// that cause each other cannot use up the thread's stack.
    public static let maximumDepth = 64

    private struct State {
        var depth: Int
        let records: EventRecords
    }

    /// The frames follow it.
    private let state: UnsafeMutablePointer<State>

    /// nil: no memory.
    public init?() {
        guard let records = EventForest.recordsIfPossible(),
            let memory = calloc(
                1, MemoryLayout<State>.stride + Self.maximumDepth * MemoryLayout<DispatchFrame>.stride)
        else { return nil }
        state = memory.assumingMemoryBound(to: State.self)
        state.initialize(to: State(depth: 0, records: records))
    }

    /// Frees it; not from inside a dispatch.
    public func destroy() {
        for depth in 0..<Self.maximumDepth { free(frames[depth].entries) }
        free(state)
    }

    @inline(__always)
    private var frames: UnsafeMutablePointer<DispatchFrame> {
        UnsafeMutableRawPointer(state + 1).assumingMemoryBound(to: DispatchFrame.self)
    }

    /// How many dispatches are going on; 0 outside handlers and filters.
    @inline(__always)
    public var depth: Int { state.pointee.depth }

    /// Raises an allocated event for the dispatch that is going on (mOS:
    /// `mtcp_raise_event`).
    ///
    /// - Returns: true if it will run after the children of the node that is
    ///   running, or was raised before in this dispatch; false outside a
    ///   dispatch, if it is not an allocated event whose parent is running or
    ///   above what is running, if the set has nothing for it or below it, or
    ///   without memory.
    public func raise(_ event: UInt64) -> Bool {
        guard depth > 0, let event = UInt32(exactly: event) else { return false }
        return frames[depth &- 1].raise(event)
    }

    /// No filter or handler runs any more in the dispatches that are going on
    /// for this socket and side (2: all sides): a handler has closed it, or
    /// stopped its monitoring.
    public func abandon(socket: Int32, side: Int32) {
        for at in 0..<depth where frames[at].socket == socket && (side == 2 || frames[at].side == side) {
            frames[at].isAbandoned = true
        }
    }

    /// Whether a dispatch that is going on will read more of this set.
    func isWalking(_ set: EventSetPointer) -> Bool {
        for at in 0..<depth where frames[at].set == set { return true }
        return false
    }

    /// Raises the built-in event `root`, one bit, on a socket: runs what `set`
    /// has for it and below it.
    ///
    /// - Returns: false when `maximumDepth` dispatches are going on already;
    ///   then nothing ran.
    @inline(__always)
    @discardableResult
    public func dispatch(_ set: EventSet, root: UInt32, _ context: mctx_t?, socket: Int32, side: Int32) -> Bool {
        guard let pointer = set.pointer, pointer.pointee.mask & root != 0 else { return true }
        return run(pointer, root, context, socket, side)
    }

    /// Raises `MOS_ON_PKT_IN` where that takes no more than a call: outside
    /// other dispatches, and the set has just one handler for it and nothing
    /// below it.
    ///
    /// - Returns: false if it was not raised; `dispatch` does.
    @inline(__always)
    public func dispatchPacketIn(_ set: EventSet, _ context: mctx_t?, socket: Int32, side: Int32) -> Bool {
        guard let pointer = set.pointer, let handler = pointer.pointee.packetHandler, state.pointee.depth == 0
        else { return false }
        // The frame has no set: whoever used it before has seen to it.
        state.pointee.depth = 1
        // Record 1 is the event's own; its argument is NULL and 0.
        handler(
            context, socket, side, UInt64(BuiltInEvent.packetIn),
            UnsafeMutableRawPointer(state.pointee.records + 1).assumingMemoryBound(to: filter_arg_t.self))
        state.pointee.depth = 0
        return true
    }

    @inline(never)
    private func run(
        _ set: EventSetPointer, _ root: UInt32, _ context: mctx_t?, _ socket: Int32, _ side: Int32
    ) -> Bool {
        let start = Int(set.starts[root.trailingZeroBitCount])
        let node = set.nodes + start
        let depth = state.pointee.depth
        guard depth < Self.maximumDepth else { return false }
        let frame = frames + depth
        state.pointee.depth = depth &+ 1
        frame.pointee.set = nil
        frame.pointee.socket = socket
        frame.pointee.side = side
        frame.pointee.isAbandoned = false
        if set.pointee.raisableCount == 0 {
            if node.pointee.span == 1, let handler = node.pointee.handler {
                // Nothing but the built-in event's own handler: the set may go
                // while it runs.
                handler(context, socket, side, UInt64(root), argument(of: node))
            } else {
                frame.pointee.set = set
                walk(frame, set.nodes, start, context, socket, side)
                frame.pointee.set = nil
            }
        } else {
            walkRaising(frame, set, start, context, socket, side)
        }
        state.pointee.depth = depth
        return true
    }

    /// The argument's copy is the record's first field.
    @inline(__always)
    private func argument(of node: UnsafeMutablePointer<EventNode>) -> UnsafeMutablePointer<filter_arg_t> {
        UnsafeMutableRawPointer(state.pointee.records + Int(node.pointee.event))
            .assumingMemoryBound(to: filter_arg_t.self)
    }

    /// The walk of a set without allocated events.
    private func walk(
        _ frame: UnsafeMutablePointer<DispatchFrame>, _ nodes: UnsafeMutablePointer<EventNode>, _ start: Int,
        _ context: mctx_t?, _ socket: Int32, _ side: Int32
    ) {
        var node = nodes + start
        let end = node + Int(node.pointee.span)
        while node < end {
            let event = UInt64(node.pointee.event)
            let argument = argument(of: node)
            if let filter = node.pointee.filter {
                let holds = filter(context, socket, side, event, argument)
                if frame.pointee.isAbandoned { return }
                if !holds {
                    node += Int(node.pointee.span)
                    continue
                }
            }
            if let handler = node.pointee.handler {
                handler(context, socket, side, event, argument)
                if frame.pointee.isAbandoned { return }
            }
            node += 1
        }
    }

    /// The walk of a set with allocated events. It does not recurse: what it has
    /// to come back to is in the frame's entries, and each event of the set is
    /// raised at most once.
    ///
    /// User code runs between any two steps; it changes the frame only through
    /// `raise`, which adds entries.
    @inline(never)
    private func walkRaising(
        _ frame: UnsafeMutablePointer<DispatchFrame>, _ set: EventSetPointer, _ start: Int,
        _ context: mctx_t?, _ socket: Int32, _ side: Int32
    ) {
        let none = RaisedEvent.none
        let nodes = set.nodes
        let raisables = set.raisables
        var at = UInt32(truncatingIfNeeded: start)
        var end = at &+ nodes[start].span
        var region = none
        var pending = none
        frame.pointee.set = set
        frame.pointee.count = 0
        frame.pointee.region = none
        frame.pointee.rootPosition = at

        while true {
            if pending != none, let entries = frame.pointee.entries, entries[Int(pending)].end == at {
                let batch = entries + Int(pending)
                guard batch.pointee.next < batch.pointee.last else {
                    pending = batch.pointee.previous
                    continue
                }
                // Into the region of the next event of the batch.
                if region == none {
                    frame.pointee.rootPosition = batch.pointee.node
                } else {
                    entries[Int(region)].position = batch.pointee.node
                }
                region = batch.pointee.next
                batch.pointee.next &+= 1
                pending = none
                at = raisables[Int(entries[Int(region)].raisable)].node
                end = at &+ nodes[Int(at)].span
                frame.pointee.region = region
            }
            if at == end {
                guard region != none, let entries = frame.pointee.entries else { break }
                // Back to the region that the event was raised in.
                entries[Int(region)].position = none
                pending = entries[Int(region)].batch
                at = entries[Int(pending)].end
                region = entries[Int(pending)].region
                let first = region == none
                    ? UInt32(truncatingIfNeeded: start)
                    : raisables[Int(entries[Int(region)].raisable)].node
                end = first &+ nodes[Int(first)].span
                frame.pointee.region = region
                continue
            }

            let node = nodes + Int(at)
            let mark = frame.pointee.count
            frame.pointee.position = at
            frame.pointee.mark = mark
            let event = UInt64(node.pointee.event)
            let argument = argument(of: node)
            if let filter = node.pointee.filter {
                let holds = filter(context, socket, side, event, argument)
                if frame.pointee.isAbandoned { break }
                if !holds {
                    frame.pointee.count = mark
                    at &+= node.pointee.span
                    continue
                }
            }
            if let handler = node.pointee.handler {
                handler(context, socket, side, event, argument)
                if frame.pointee.isAbandoned { break }
            }
            if frame.pointee.count != mark, let entries = frame.pointee.entries {
                let batch = entries + Int(mark)
                batch.pointee.next = mark
                batch.pointee.last = frame.pointee.count
                batch.pointee.node = at
                batch.pointee.end = at &+ node.pointee.span
                batch.pointee.region = region
                batch.pointee.previous = pending
                pending = mark
            }
            at &+= 1
        }
        frame.pointee.set = nil
    }
}
