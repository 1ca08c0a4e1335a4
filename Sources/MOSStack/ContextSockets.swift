// Sockets, filters, registrations and options: 02-monitor.md §1, §3, §6.
// The caller holds the context's lock or is its stack thread.

import CMOS
import CSys
import MOSEvents
import MOSPacketIO
import MOSStorage
import MOSTCP

extension Context {
    /// The socket of an id, of any kind.
    @inline(__always)
    func find(_ id: Int32) throws(Errno) -> SocketPointer {
        let index = UInt32(bitPattern: id)
        guard id >= 0, index < sockets.highWater else { throw .badSocket }
        let s = socket(index)
        guard s.pointee.kind != .unused, !s.pointee.flags.contains(.closed) else { throw .badSocket }
        return s
    }

    /// An active monitoring socket and its flow.
    @inline(__always)
    func findActive(_ id: Int32) throws(Errno) -> (socket: SocketPointer, flow: UInt32) {
        let s = try find(id)
        guard s.pointee.kind == .monitorActive else { throw .notSocket }
        return (s, s.pointee.flow)
    }

    // MARK: Creating and closing

    public func makeSocket(domain: Int32, type: Int32) throws(Errno) -> Int32 {
        let families: Families
        switch domain {
        case AF_INET: families = .ipv4
        case AF_INET6: families = .ipv6
        case AF_UNSPEC: families = [.ipv4, .ipv6]
        default: throw .familyUnsupported
        }
        let kind: SocketKind
        switch type {
        case Int32(SocketKind.monitorStream.rawValue): kind = .monitorStream
        case Int32(SocketKind.monitorRaw.rawValue): kind = .monitorRaw
        // SOCK_STREAM: the end-host stack is not in this version.
        case 1: throw Errno(ENOSYS)
        default: throw .invalid
        }
        guard let id = sockets.allocate() else { throw .noSocketLeft }
        guard kind == .monitorStream ? listeners.append(id) : raws.append(id) else {
            sockets.free(id)
            throw .noSocketLeft
        }
        let limit = settings.buffersOff ? 0 : settings.rmemSize
        socket(id).initialize(
            to: SocketRecord(
                kind: kind, families: families, flags: [.keepsHistory], next: poolNil, previous: poolNil,
                flow: poolNil, nullSet: .empty, sendSet: .empty, receiveSet: .empty, uctx: nil, read: (0, 0)))
        options(id).initialize(
            to: SocketOptions(
                listener: poolNil, overlap: (UInt8(MOS_OVERLAP_POLICY_FIRST), UInt8(MOS_OVERLAP_POLICY_FIRST)),
                limit: (limit, limit)))
        socket(id).noteMute(0, limit: limit)
        socket(id).noteMute(1, limit: limit)
        return Int32(bitPattern: id)
    }

    public func close(_ id: Int32) throws(Errno) {
        let s = try find(id)
        switch s.pointee.kind {
        case .monitorActive:
            try stop(id, side: Int32(MOS_SIDE_BOTH))
        case .monitorStream:
            s.pointee.flags.insert(.closed)
            dispatcher.abandon(socket: id, side: Int32(MOS_SIDE_BOTH))
            // No handler of its active sockets is called again.
            for active in 0..<sockets.highWater { stop(active, of: UInt32(bitPattern: id)) }
            closeLater(UInt32(bitPattern: id))
        case .monitorRaw:
            s.pointee.flags.insert(.closed)
            dispatcher.abandon(socket: id, side: Int32(MOS_SIDE_BOTH))
            closeLater(UInt32(bitPattern: id))
        case .unused:
            throw .badSocket
        }
        refreshOrphans()
    }

    /// If the socket is an active one of this listener.
    private func stop(_ id: UInt32, of listener: UInt32) {
        let s = socket(id)
        guard s.pointee.kind == .monitorActive, options(id).pointee.listener == listener,
            !s.pointee.flags.isSuperset(of: .bothStopped)
        else { return }
        s.pointee.flags.formUnion(.bothStopped)
        dispatcher.abandon(socket: Int32(bitPattern: id), side: Int32(MOS_SIDE_BOTH))
        queueStop(s.pointee.flow)
    }

    /// Frees a closed listener or raw socket: at once, or after the handlers
    /// that are running.
    private func closeLater(_ id: UInt32) {
        if dispatcher.depth == 0 {
            freeClosed(id)
        } else {
            closing = true
        }
    }

    private func freeClosed(_ id: UInt32) {
        listeners.remove(id)
        raws.remove(id)
        freeSocket(id)
    }

    /// After the burst: what handlers closed.
    func settleClosed() {
        guard closing else { return }
        closing = false
        for chain in [listeners, raws] {
            var at = chain.count
            while at > 0 {
                at -= 1
                let id = chain[at].pointee.socket
                if socket(id).pointee.flags.contains(.closed) { freeClosed(id) }
            }
        }
    }

    /// Whether somebody wants orphans.
    func refreshOrphans() {
        orphanWanted = false
        for at in 0..<listeners.count { noteOrphans(listeners[at].pointee.socket) }
        for at in 0..<raws.count { noteOrphans(raws[at].pointee.socket) }
    }

    private func noteOrphans(_ id: UInt32) {
        let s = socket(id)
        if !s.pointee.flags.contains(.closed), s.pointee.nullSet.mask & BuiltInEvent.orphan != 0 { orphanWanted = true }
    }

    // MARK: Filters

    public func bindFilter(_ id: Int32, _ filter: monitor_filter_t?) throws(Errno) {
        let s = try find(id)
        switch s.pointee.kind {
        case .monitorRaw:
            guard let link = raws.find(UInt32(bitPattern: id)) else { throw .badSocket }
            let compiled = try compile(filter?.pointee.raw_pkt_filter, base: .frame)
            link.pointee.filter.free()
            link.pointee.filter = compiled
        case .monitorStream:
            guard let link = listeners.find(UInt32(bitPattern: id)) else { throw .badSocket }
            var syn = try compile(filter?.pointee.stream_syn_filter, base: .ip)
            let orphan: PacketFilter
            do throws(Errno) {
                orphan = try compile(filter?.pointee.stream_orphan_filter, base: .ip)
            } catch {
                syn.free()
                throw error
            }
            link.pointee.filter.free()
            link.pointee.filter = syn
            link.pointee.orphanFilter.free()
            link.pointee.orphanFilter = orphan
        default:
            throw .noFilterHere
        }
    }

    private func compile(_ text: UnsafePointer<CChar>?, base: PacketFilter.Base) throws(Errno) -> PacketFilter {
        guard let text else { return .all }
        if base == .frame {
            guard let filter = PacketFilter(text, base: base) else { throw .invalid }
            return filter
        }
        guard let normal = PacketFilter.normalizedStreamExpression(text) else { throw .invalid }
        defer { free(normal) }
        guard let filter = PacketFilter(normal, base: base) else { throw .invalid }
        return filter
    }

    // MARK: Registration

    public func register(_ id: Int32, event: UInt64, hookPoint: Int32, handler: callback_t?) throws(Errno) {
        let s = try find(id)
        guard let hook = Hook(hookPoint: hookPoint), EventForest.isRegistrable(event: event, hook: hook) else {
            throw .invalid
        }
        let old = s.set(hook)
        let new: EventSet
        if let handler {
            guard let set = sets.setting(old, event: event, handler: handler) else { throw .noMemory }
            new = set
        } else {
            guard let set = sets.removing(old, event: event) else {
                throw old.handler(of: event) == nil ? .invalid : .noMemory
            }
            new = set
        }
        s.setSet(hook, new)
        sets.release(old)
        sets.trim(sparing: dispatcher)
        if s.pointee.kind == .monitorActive {
            refreshMasks(s.pointee.flow)
        } else {
            refreshOrphans()
        }
    }

    /// The masks alone: a registration changes nothing else of a flow.
    private func refreshMasks(_ found: UInt32) {
        let f = flow(found)
        var null: UInt32 = 0
        var send: UInt32 = 0
        var receive: UInt32 = 0
        var at = f.pointee.firstSocket
        while at != poolNil {
            let s = socket(at)
            if !s.pointee.flags.isSuperset(of: .bothStopped) {
                null |= s.pointee.nullSet.mask
                send |= s.pointee.sendSet.mask
                receive |= s.pointee.receiveSet.mask
            }
            at = s.pointee.next
        }
        f.pointee.nullMask = UInt16(truncatingIfNeeded: null)
        f.pointee.sendMask = UInt16(truncatingIfNeeded: send)
        f.pointee.receiveMask = UInt16(truncatingIfNeeded: receive)
    }

    // MARK: Stopping

    /// `MOS_STOP_MON`.
    public func stop(_ id: Int32, side: Int32) throws(Errno) {
        let s = try find(id)
        guard s.pointee.kind != .monitorStream else { throw .notPermitted }
        guard s.pointee.kind == .monitorActive else { throw .notSocket }
        switch side {
        case Int32(MOS_SIDE_CLI): s.pointee.flags.insert(.clientStopped)
        case Int32(MOS_SIDE_SVR): s.pointee.flags.insert(.serverStopped)
        case Int32(MOS_SIDE_BOTH): s.pointee.flags.formUnion(.bothStopped)
        default: throw .invalid
        }
        dispatcher.abandon(socket: id, side: side)
        queueStop(s.pointee.flow)
    }

    // MARK: User context

    public func setUserContext(_ id: Int32, _ value: UnsafeMutableRawPointer?) throws(Errno) {
        try find(id).pointee.uctx = value
    }

    /// What `mtcp_get_uctx` is asked for most: of the current flow's own
    /// socket, when it has no other. nil: none, or not that.
    @inline(__always)
    public func currentUserContext(_ id: Int32) -> UnsafeMutableRawPointer? {
        guard current.flow != poolNil else { return nil }
        let f = flow(current.flow)
        guard f.pointee.firstSocket == UInt32(bitPattern: id), !f.pointee.bits.contains(.several) else { return nil }
        return f.ownSocket.pointee.uctx
    }

    public func userContext(_ id: Int32) throws(Errno) -> UnsafeMutableRawPointer? {
        try find(id).pointee.uctx
    }

    // MARK: Options

    public func setOption(_ id: Int32, level: Int32, name: Int32, _ value: UnsafeRawPointer?, _ length: UInt32) throws(Errno) {
        let s = try find(id)
        guard level == Int32(SOL_MONSOCKET) else { throw .noSuchOption }
        switch name {
        case Int32(MOS_CLIBUF.rawValue), Int32(MOS_SVRBUF.rawValue), Int32(MOS_FRAG_CLIBUF.rawValue),
            Int32(MOS_FRAG_SVRBUF.rawValue), Int32(MOS_STOP_MON.rawValue), Int32(MOS_CLIOVERLAP.rawValue),
            Int32(MOS_SVROVERLAP.rawValue), Int32(MOS_HISTORY):
            break
        case Int32(MOS_SEQ_REMAP.rawValue):
            throw .noSuchOption
        default:
            throw .noSuchOption
        }
        guard s.pointee.kind == .monitorStream || s.pointee.kind == .monitorActive else { throw .notSocket }
        guard let value, length >= 4 else { throw .invalid }
        let number = value.loadUnaligned(as: Int32.self)
        switch name {
        case Int32(MOS_STOP_MON.rawValue):
            try stop(id, side: number)
            return
        case Int32(MOS_CLIBUF.rawValue), Int32(MOS_SVRBUF.rawValue):
            guard number >= 0, number <= settings.rmemMax else { throw .invalid }
            let side = name == Int32(MOS_CLIBUF.rawValue) ? 0 : 1
            setBuffer(UInt32(bitPattern: id), side, UInt32(number))
        case Int32(MOS_FRAG_CLIBUF.rawValue), Int32(MOS_FRAG_SVRBUF.rawValue):
            guard number >= 0 else { throw .invalid }
            let side = name == Int32(MOS_FRAG_CLIBUF.rawValue) ? 0 : 1
            if number == 0 {
                s.pointee.flags.insert(.rangesOnly(side))
            } else {
                s.pointee.flags.remove(.rangesOnly(side))
            }
            s.noteMute(side, limit: options(id).pointee.limit(side))
        case Int32(MOS_CLIOVERLAP.rawValue), Int32(MOS_SVROVERLAP.rawValue):
            guard number >= 0, number < Int32(MOS_OVERLAP_CNT) || number == Int32(MOS_OVERLAP_POLICY_LINUX) else {
                throw .invalid
            }
            if name == Int32(MOS_CLIOVERLAP.rawValue) {
                options(id).pointee.overlap.0 = UInt8(number)
            } else {
                options(id).pointee.overlap.1 = UInt8(number)
            }
        default:
            guard number == 0 || number == 1 else { throw .invalid }
            if number == 1 { s.pointee.flags.insert(.keepsHistory) } else { s.pointee.flags.remove(.keepsHistory) }
        }
        if s.pointee.kind == .monitorActive { refresh(s.pointee.flow) }
    }

    /// `MOS_CLIBUF` / `MOS_SVRBUF`. On an active socket it works at once.
    private func setBuffer(_ id: UInt32, _ side: Int, _ bytes: UInt32) {
        let s = socket(id)
        let old = options(id).pointee.limit(side)
        options(id).pointee.setLimit(side, bytes)
        s.noteMute(side, limit: bytes)
        guard s.pointee.kind == .monitorActive else { return }
        let f = flow(s.pointee.flow)
        if old == 0, bytes > 0 {
            // What came while it was off was not kept: reading begins here.
            s.setPosition(side, f.streamEnd(side))
        }
        refresh(s.pointee.flow)
        let kept = UInt64(f.limit(side).pointee)
        if bytes < old, kept > 0 {
            materialize(f, side)
            overrun(s.pointee.flow, side, keep: kept)
        }
    }
}
