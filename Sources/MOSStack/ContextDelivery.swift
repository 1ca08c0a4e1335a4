// Calling handlers: 02-monitor.md §1 (chain), §2, §3.

import CMOS
import CPcap
import CSys
import MOSEvents
import MOSPacketIO
import MOSStorage
import MOSTCP
import MOSWire

extension Context {
    /// Raises the built-in events in `events` at one hook on the flow's
    /// sockets, in the order of their bits: for a packet of the client in the
    /// order of the chain, for one of the server in the reverse.
    @inline(__always)
    func raise(_ f: FlowPointer, _ events: UInt32, _ hook: Hook, side: Int, sender: Int) {
        let wanted = events & mask(f, hook)
        if wanted == 0 { return }
        if events & (events &- 1) == 0 {
            raiseOne(f, wanted, hook, side: side, sender: sender)
            return
        }
        raiseSeveral(f, events, hook, side: side, sender: sender)
    }

    @inline(__always)
    private func mask(_ f: FlowPointer, _ hook: Hook) -> UInt32 {
        switch hook {
        case .null: return UInt32(f.pointee.nullMask)
        case .send: return UInt32(f.pointee.sendMask)
        case .receive: return UInt32(f.pointee.receiveMask)
        }
    }

    /// `MOS_ON_PKT_IN`, which most packets raise alone, where the flow's mask
    /// for the hook has it: then the flow has a socket.
    @inline(__always)
    func raisePacketIn(_ f: FlowPointer, _ hook: Hook, side: Int, sender: Int) {
        let s = f.ownSocket
        if !f.pointee.bits.contains(.several) {
            if s.pointee.flags.contains(.stopped(side)) { return }
            if dispatcher.dispatchPacketIn(
                s.set(hook), handle, socket: Int32(bitPattern: f.pointee.firstSocket),
                side: Int32(truncatingIfNeeded: side))
            {
                return
            }
        }
        raisePacketInSlowly(f, hook, side: side, sender: sender)
    }

    @inline(never)
    private func raisePacketInSlowly(_ f: FlowPointer, _ hook: Hook, side: Int, sender: Int) {
        raise(f, BuiltInEvent.packetIn, hook, side: side, sender: sender)
    }

    @inline(never)
    private func raiseSeveral(_ f: FlowPointer, _ events: UInt32, _ hook: Hook, side: Int, sender: Int) {
        var left = events
        while true {
            // Anew for each: a handler may have registered for a later one.
            let wanted = left & mask(f, hook)
            if wanted == 0 { return }
            let bit = wanted & (0 &- wanted)
            // Those after it.
            left &= 0 &- (bit << 1)
            if bit == BuiltInEvent.packetIn {
                raisePacketIn(f, hook, side: side, sender: sender)
            } else {
                raiseOne(f, bit, hook, side: side, sender: sender)
            }
        }
    }

    @inline(__always)
    private func raiseOne(_ f: FlowPointer, _ event: UInt32, _ hook: Hook, side: Int, sender: Int) {
        let forwards = sender == Sender.client || !f.pointee.bits.contains(.several)
        var at = forwards ? f.pointee.firstSocket : f.pointee.lastSocket
        while at != poolNil {
            let s = socket(at)
            if !s.pointee.flags.contains(.stopped(side)) {
                dispatcher.dispatch(s.set(hook), root: event, handle, socket: Int32(bitPattern: at), side: Int32(side))
            }
            // Nobody leaves the chain while handlers run.
            at = forwards ? s.pointee.next : s.pointee.previous
        }
    }

    func raiseError(_ f: FlowPointer, side: Int, sender: Int) {
        raise(f, BuiltInEvent.error, .null, side: side, sender: sender)
    }

    /// `MOS_ON_PKT_IN` on raw sockets.
    func deliverRaw(_ p: UnsafePointer<Packet>) {
        // From the server to the client the chain is walked backwards; what
        // belongs to no flow goes forwards.
        let count = raws.count
        let backwards = count > 1 && p.pointee.kind == .tcp && find(p, candidate: poolNil)?.sender == Sender.server
        for step in 0..<count {
            // The chain may change under the handlers; it never shrinks here.
            let link = raws[backwards ? count &- 1 &- step : step]
            let s = socket(link.pointee.socket)
            guard !s.pointee.flags.contains(.closed), s.pointee.families.contains(p.pointee.families),
                s.pointee.nullSet.mask & BuiltInEvent.packetIn != 0,
                link.pointee.filter.matches(p.pointee.frame, wireLength: p.pointee.wireLength, length: p.pointee.length)
            else { continue }
            dispatcher.dispatch(
                s.pointee.nullSet, root: BuiltInEvent.packetIn, handle, socket: Int32(bitPattern: link.pointee.socket),
                side: Int32(MOS_SIDE_BOTH))
        }
    }

    /// `MOS_ON_ORPHAN` on listeners and raw sockets.
    func deliverOrphan(_ p: UnsafePointer<Packet>) {
        stats.pointee.orphans &+= 1
        guard orphanWanted else { return }
        for at in 0..<listeners.count {
            let link = listeners[at]
            deliverOrphan(p, link.pointee.socket, link.pointee.orphanFilter, .ip)
        }
        for at in 0..<raws.count {
            let link = raws[at]
            deliverOrphan(p, link.pointee.socket, link.pointee.filter, .frame)
        }
    }

    private func deliverOrphan(
        _ p: UnsafePointer<Packet>, _ id: UInt32, _ filter: PacketFilter, _ base: PacketFilter.Base
    ) {
        let s = socket(id)
        guard !s.pointee.flags.contains(.closed), s.pointee.families.contains(p.pointee.families),
            s.pointee.nullSet.mask & BuiltInEvent.orphan != 0, matches(filter, p, base)
        else { return }
        dispatcher.dispatch(
            s.pointee.nullSet, root: BuiltInEvent.orphan, handle, socket: Int32(bitPattern: id), side: Int32(MOS_SIDE_BOTH))
    }

    func matches(_ filter: PacketFilter, _ p: UnsafePointer<Packet>, _ base: PacketFilter.Base) -> Bool {
        if filter.matchesAll { return true }
        let skip = base == .ip ? UInt32(p.pointee.ipOffset) : 0
        return filter.matches(
            p.pointee.frame + Int(skip), wireLength: p.pointee.wireLength &- skip, length: p.pointee.length &- skip)
    }

    /// `MOS_ON_CONN_NEW_DATA`: once for each flow and side that got new bytes
    /// since the last time, in the order in which they first did.
    @inline(__always)
    func deliverNewData() {
        if newDataCount > 0 { deliverQueue() }
    }

    @inline(never)
    private func deliverQueue() {
        // Handlers cannot add to the queue: only packets do.
        var at = 0
        while at < newDataCount {
            prefetchEntry(at &+ 4)
            let entry = newData[at]
            at &+= 1
            if entry == .max { continue }
            deliverNewData(UInt32(entry >> 1), Int(entry & 1))
        }
        newDataCount = 0
        segmentCount = 0
    }

    /// What delivery touches first has left the nearest cache since its packet.
    @inline(__always)
    private func prefetchEntry(_ at: Int) {
        guard at < newDataCount, newData[at] != .max else { return }
        let f = flow(UInt32(newData[at] >> 1))
        csys_prefetch_write(f)
        csys_prefetch_write(f.buffer(Int(newData[at] & 1)))
        csys_prefetch_write(f.ownSocket)
        guard at >= 2, newData[at &- 2] != .max else { return }
        csys_prefetch(socketOwners + Int(flow(UInt32(newData[at &- 2] >> 1)).pointee.firstSocket))
    }

    func deliverNewData(_ found: UInt32, _ side: Int) {
        let f = flow(found)
        guard f.pointee.flags.contains(.queued(side)) else { return }
        f.pointee.flags.remove(.queued(side))
        if UInt32(f.pointee.nullMask) & BuiltInEvent.newData != 0 {
            let sender = 1 &- side
            var at = sender == Sender.client ? f.pointee.firstSocket : f.pointee.lastSocket
            while at != poolNil {
                let s = socket(at)
                if s.pointee.flags.isDisjoint(with: .deaf(side)) {
                    dispatcher.dispatch(
                        s.pointee.nullSet, root: BuiltInEvent.newData, handle, socket: Int32(bitPattern: at),
                        side: Int32(side))
                }
                at = sender == Sender.client ? s.pointee.next : s.pointee.previous
            }
        }
        settle(found, side)
    }
}

extension Packet {
    var families: Families { ipVersion == 6 ? .ipv6 : .ipv4 }
}
