// Beginning and end of flows: 02-monitor.md §2.5, §4 (reuse of a tuple), §5.

import CMOS
import CSys
import MOSEvents
import MOSPacketIO
import MOSStorage
import MOSTCP
import MOSWire
import Synchronization

/// Why a flow ended: `enum mos_end_reason` of mos_ext.h.
enum EndReason: UInt8 {
    case none = 0
    case fin
    case reset
    case timeout
    case stopped
    case context
    case replaced
    case memory
}

extension Context {
    // MARK: Beginning

    /// A segment without a flow: the SYN of a new one, or an orphan.
    @inline(never)
    func handleStranger(_ p: UnsafeMutablePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>?) {
        // A RST is never the beginning of something (RFC 9293 §3.10.7.2).
        if p.pointee.flags & (TCPFlags.syn | TCPFlags.ack | TCPFlags.rst) == TCPFlags.syn {
            let wanted = wantedSockets(p)
            if wanted > 0 {
                if let found = start(p, sockets: wanted) {
                    advanceSlowly(found, p, Sender.client, frame)
                    return
                }
                stats.pointee.drop_flow_table_full &+= 1
            }
        }
        beginPacket(p, flow: poolNil, sender: 0)
        deliverOrphan(p)
        if current.isDropped {
            (portStats + Int(p.pointee.port)).pointee.drop_app &+= 1
        } else if settings.forwards, let frame {
            if current.isModified { forwarder.forwardModified(self, p) } else { forwarder.forward(frame, p, self) }
        }
        endPacket()
    }

    /// How many listeners' SYN filters let it in.
    private func wantedSockets(_ p: UnsafePointer<Packet>) -> Int {
        var wanted = 0
        for at in 0..<listeners.count where accepts(listeners[at], p) { wanted &+= 1 }
        return wanted
    }

    private func accepts(_ link: UnsafeMutablePointer<Chain.Link>, _ p: UnsafePointer<Packet>) -> Bool {
        let s = socket(link.pointee.socket)
        return !s.pointee.flags.contains(.closed) && s.pointee.families.contains(p.pointee.families)
            && matches(link.pointee.filter, p, .ip)
    }

    /// Makes the flow of a first SYN, with a socket for each listener that
    /// wants it; nil when `max_concurrency` is reached.
    private func start(_ p: UnsafePointer<Packet>, sockets wanted: Int) -> UInt32? {
        // A socket for each listener that wants it, or none at all.
        guard sockets.capacity &- sockets.count >= wanted, let found = flows.allocate() else { return nil }
        let f = flow(found)
        let buffersOff = settings.buffersOff
        f.initialize(
            to: FlowRecord(
                addresses: p.pointee.addresses, ports: p.pointee.ports,
                firstSocket: poolNil, lastSeen: now, flags: [.inUse, .starting, .lastToServer],
                nullMask: 0, sendMask: 0, receiveMask: 0,
                clientSegments: (noSegment, noSegment), serverSegments: (noSegment, noSegment),
                clientPending: 0, serverPending: 0, bits: [], endReason: 0, clientInterface: p.pointee.port,
                serverInterface: -1, clientPackets: 0, serverPackets: 0, clientOverhead: 0, serverOverhead: 0,
                connection: TCPConnection(), ownSocket: .unused,
                history: TCPHistory(), clientLimit: 0, serverLimit: 0, started: now,
                clientIrregular: 0, serverIrregular: 0, hash: p.pointee.hash, lastSocket: poolNil,
                clientOverheadCarry: 0, serverOverheadCarry: 0,
                clientBuffer: StreamBuffer(mode: buffersOff ? .rangesOnly : .payload),
                serverBuffer: StreamBuffer(mode: buffersOff ? .rangesOnly : .payload)))
        if p.pointee.ipVersion == 6 {
            f.pointee.flags.insert(.ipv6)
            addresses6[Int(found)] = FlowAddresses(client: Self.address(p, 8, 12), server: Self.address(p, 24, 16))
        }
        guard index.insert(hash: p.pointee.hash, index: found) else {
            discard(found)
            return nil
        }
        for at in 0..<listeners.count where accepts(listeners[at], p) {
            attach(found, to: listeners[at].pointee.socket)
        }
        refresh(found)
        stats.pointee.flows_now &+= 1
        stats.pointee.flows_total &+= 1
        if settings.idleTimeout != .max { schedule(found, at: now &+ settings.idleTimeout) }
        return found
    }

    private func discard(_ found: UInt32) {
        flow(found).pointee.flags = []
        flows.free(found)
    }

    /// The active socket of a listener on a flow.
    private func attach(_ found: UInt32, to listener: UInt32) {
        guard let id = sockets.allocate() else { return }
        let l = socket(listener)
        let f = flow(found)
        if f.pointee.lastSocket == poolNil { socketOwners[Int(id)] = found &+ 1 }
        sets.retain(l.pointee.nullSet)
        sets.retain(l.pointee.sendSet)
        sets.retain(l.pointee.receiveSet)
        socket(id).initialize(
            to: SocketRecord(
                kind: .monitorActive, families: l.pointee.families,
                flags: l.pointee.flags.intersection(
                    [.keepsHistory, .clientRangesOnly, .serverRangesOnly, .clientMute, .serverMute]),
                next: poolNil, previous: f.pointee.lastSocket, flow: found,
                nullSet: l.pointee.nullSet, sendSet: l.pointee.sendSet, receiveSet: l.pointee.receiveSet,
                uctx: nil, read: (0, 0)))
        options(id).pointee = options(listener).pointee
        options(id).pointee.listener = listener
        if f.pointee.lastSocket == poolNil {
            f.pointee.firstSocket = id
        } else {
            socket(f.pointee.lastSocket).pointee.next = id
            f.pointee.bits.insert(.several)
        }
        f.pointee.lastSocket = id
    }

    /// Recomputes what the flow derives from its sockets: masks, limits and
    /// the buffers' modes.
    func refresh(_ found: UInt32) {
        let f = flow(found)
        var null: UInt32 = 0
        var send: UInt32 = 0
        var receive: UInt32 = 0
        var limits: (UInt32, UInt32) = (0, 0)
        var payload = (false, false)
        var flags = f.pointee.flags.subtracting([.keepsHistory, .clientLastWins, .serverLastWins])
        var at = f.pointee.firstSocket
        var first = true
        while at != poolNil {
            let s = socket(at)
            let wanted = options(at).pointee
            if !s.pointee.flags.isSuperset(of: .bothStopped) {
                null |= s.pointee.nullSet.mask
                send |= s.pointee.sendSet.mask
                receive |= s.pointee.receiveSet.mask
            }
            if !s.pointee.flags.contains(.clientStopped) {
                limits.0 = max(limits.0, wanted.limit.0)
                if wanted.limit.0 > 0, !s.pointee.flags.contains(.clientRangesOnly) { payload.0 = true }
            }
            if !s.pointee.flags.contains(.serverStopped) {
                limits.1 = max(limits.1, wanted.limit.1)
                if wanted.limit.1 > 0, !s.pointee.flags.contains(.serverRangesOnly) { payload.1 = true }
            }
            if s.pointee.flags.contains(.keepsHistory) { flags.insert(.keepsHistory) }
            // The first socket of the chain decides which copy wins.
            if first {
                if wanted.overlap.0 == UInt8(MOS_OVERLAP_POLICY_LAST) { flags.insert(.clientLastWins) }
                if wanted.overlap.1 == UInt8(MOS_OVERLAP_POLICY_LAST) { flags.insert(.serverLastWins) }
                first = false
            }
            at = s.pointee.next
        }
        f.pointee.flags = flags
        f.pointee.nullMask = UInt16(truncatingIfNeeded: null)
        f.pointee.sendMask = UInt16(truncatingIfNeeded: send)
        f.pointee.receiveMask = UInt16(truncatingIfNeeded: receive)
        if settings.buffersOff {
            limits = (0, 0)
            payload = (false, false)
        }
        setBuffer(f, 0, limits.0, payload.0)
        setBuffer(f, 1, limits.1, payload.1)
    }

    private func setBuffer(_ f: FlowPointer, _ side: Int, _ limit: UInt32, _ payload: Bool) {
        let buffer = f.buffer(side)
        let mode: StreamBuffer.Mode = payload ? .payload : .rangesOnly
        if buffer.pointee.mode != mode {
            materialize(f, side)
            buffer.pointee.setMode(mode, pool: &memory)
            noteHole(f, side)
            noteMemory()
        }
        f.limit(side).pointee = limit
        if payload { f.pointee.bits.insert(.keeps(side)) } else { f.pointee.bits.remove(.keeps(side)) }
        if limit > 0, !payload {
            materialize(f, side)
            f.pointee.bits.insert(.ranges(side))
        } else {
            f.pointee.bits.remove(.ranges(side))
        }
    }

    // MARK: Another connection on the same addresses

    /// A SYN, or SYN/ACK, that is none of this connection's (§4). Returns
    /// whether it was handled as part of the next one.
    func considerNextConnection(
        _ found: UInt32, _ p: UnsafeMutablePointer<Packet>, _ sender: Int, _ frame: UnsafePointer<mos_io_frame>?
    ) -> Bool {
        let f = flow(found)
        let ack = p.pointee.flags & TCPFlags.ack != 0
        if !ack {
            let client = f.pointee.connection.client.state
            let server = f.pointee.connection.server.state
            if client.isFinished, server.isFinished {
                // TIME_WAIT is over for this pair of addresses.
                end(found, .replaced)
                handleStranger(p, frame)
                return true
            }
            rememberNextSYN(found, p, sender)
            return false
        }
        guard f.pointee.flags.contains(.extended) else { return false }
        let beside = extensions + Int(found)
        // It may cover data of that SYN (RFC 7413).
        guard beside.pointee.nextSYN != 0, beside.pointee.nextSYNSender != UInt32(sender),
            p.pointee.acknowledgement &- beside.pointee.nextSYNSequence &- 1 <= beside.pointee.nextSYNPayload
        else { return false }
        // The peer has answered it: the old connection is gone at both ends.
        beginNextConnection(found, p, frame)
        return true
    }

    /// The client goes on from a SYN on a connection's addresses whose answer
    /// the capture does not show, as it shows nothing of the server. Not before
    /// the old connection's client has closed, and not so soon that the
    /// server's answer may just be on its way: else somebody could make us take
    /// a connection for another.
    func continuesNextConnection(_ found: UInt32, _ p: UnsafePointer<Packet>, _ sender: Int) -> Bool {
        let f = flow(found)
        let beside = extensions + Int(found)
        return beside.pointee.nextSYN != 0 && sender == Sender.client && beside.pointee.nextSYNSender == 0
            && p.pointee.flags & (TCPFlags.ack | TCPFlags.syn | TCPFlags.rst) == TCPFlags.ack
            && p.pointee.sequence &- beside.pointee.nextSYNSequence &- 1 <= beside.pointee.nextSYNPayload
            && f.side(Sender.client).pointee.flags.contains(.finSent) && isUnanswering(f, Sender.server)
            && now &- f.pointee.started >= 1_000_000_000
    }

    /// The SYN that was remembered, and has passed already, begins a new flow,
    /// in which the packet is the next.
    func beginNextConnection(_ found: UInt32, _ p: UnsafeMutablePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>?) {
        let beside = extensions + Int(found)
        let handle = beside.pointee.nextSYN
        let length = beside.pointee.nextSYNLength
        beside.pointee.nextSYN = 0
        let bytes = memory.pointer(handle).assumingMemoryBound(to: UInt8.self)
        memcpy(copyFrame + Context.frameRoom * 2, bytes, Int(length))
        memory.free(memory.pointer(handle), Int(length))
        let port = Int8(truncatingIfNeeded: beside.pointee.nextSYNPort)
        let wireLength = beside.pointee.nextSYNWireLength
        end(found, .replaced)
        // Not the place of a reassembled datagram: this SYN/ACK may be one.
        let syn = packets + (Context.burst + 1)
        syn.initialize(
            to: Packet(
                frame: UnsafePointer(copyFrame + Context.frameRoom * 2), length: length, wireLength: wireLength,
                timestamp: now, vouched: UInt8(MOS_IO_IP_CSUM_OK | MOS_IO_L4_CSUM_OK), port: port, seed: seed))
        var frame = frame
        if current.isModified {
            // By a raw socket: the SYN's handlers may need the room.
            if settings.forwards { forwarder.forwardModified(self, p) }
            current.isModified = false
            frame = nil
        }
        if syn.pointee.kind == .tcp { handleStranger(syn, nil) }
        place(p, candidate: poolNil, frame: frame)
    }

    private func rememberNextSYN(_ found: UInt32, _ p: UnsafePointer<Packet>, _ sender: Int) {
        let beside = extend(found)
        forgetNextSYN(beside)
        // Headers and a TFO payload of usual size; more is not kept.
        let length = Int(min(p.pointee.length, 2048))
        guard let copy = memory.allocate(length) else { return }
        memcpy(copy, p.pointee.frame, length)
        beside.pointee.nextSYN = memory.handle(of: copy)
        beside.pointee.nextSYNLength = UInt32(length)
        beside.pointee.nextSYNSequence = p.pointee.sequence
        beside.pointee.nextSYNPort = Int32(p.pointee.port)
        beside.pointee.nextSYNWireLength = p.pointee.wireLength
        beside.pointee.nextSYNPayload = UInt32(p.pointee.payloadLength)
        beside.pointee.nextSYNSender = UInt32(sender)
    }

    private func forgetNextSYN(_ beside: UnsafeMutablePointer<FlowExtension>) {
        guard beside.pointee.nextSYN != 0 else { return }
        memory.free(memory.pointer(beside.pointee.nextSYN), Int(beside.pointee.nextSYNLength))
        beside.pointee.nextSYN = 0
    }

    // MARK: Translation

    /// A handler gave the first SYN other addresses or ports: the flow is
    /// known under both tuples from now on (§2.6).
    func noteTranslation(_ found: UInt32, _ p: UnsafePointer<Packet>) {
        guard let m = current.modified, m.kind == .tcp, m.ipVersion == p.pointee.ipVersion,
            m.hash != p.pointee.hash || m.source != p.pointee.source || m.sourcePort != p.pointee.sourcePort
        else { return }
        let f = flow(found)
        if f.pointee.flags.contains(.translated) {
            _ = index.remove(hash: extensions[Int(found)].outerHash, index: found)
            f.pointee.flags.remove(.translated)
        }
        guard index.insert(hash: m.hash, index: found) else { return }
        let beside = extend(found)
        withUnsafePointer(to: m) { m in
            beside.pointee.outerClientAddress = Self.address(m, 8, 12)
            beside.pointee.outerServerAddress = Self.address(m, 24, 16)
        }
        beside.pointee.outerClientPort = m.sourcePort
        beside.pointee.outerServerPort = m.destinationPort
        beside.pointee.outerHash = m.hash
        f.pointee.flags.insert(.translated)
    }

    // MARK: Without monitoring

    /// A flow that nobody monitors any more: its packets pass until it closes.
    func pass(_ found: UInt32, _ p: UnsafeMutablePointer<Packet>, _ sender: Int, _ frame: UnsafePointer<mos_io_frame>?) {
        let f = flow(found)
        let tcp = TCPEmulation(f.connection, f.history, sender: sender)
        let verdict = tcp.judge(p)
        if verdict.contains(.foreignSYN), considerNextConnection(found, p, sender, frame) { return }
        if settings.forwards, let frame {
            if current.isModified { forwarder.forwardModified(self, p) } else { forwarder.forward(frame, p, self) }
        }
        current.isModified = false
        tcp.send(p, verdict)
        tcp.sendFIN(p, verdict)
        _ = tcp.receive(p, verdict)
        let receiver = f.side(1 &- sender)
        if verdict.contains(.payload) {
            // Order does not matter here: what was sent has been received.
            let end = p.pointee.sequence &+ UInt32(p.pointee.payloadLength)
            if end.follows(receiver.pointee.rcvNxt) { receiver.pointee.rcvNxt = end }
        }
        tcp.arriveFIN(p, verdict)
        _ = tcp.receiveFIN()
        let client = f.pointee.connection.client.state
        let server = f.pointee.connection.server.state
        if client.isFinished, server.isFinished { remove(found) }
    }

    /// Looks after sockets that handlers stopped or closed.
    @inline(__always)
    func settleStops() {
        if stopCount > 0 { settleQueuedStops() }
    }

    @inline(never)
    private func settleQueuedStops() {
        let count = stopCount
        stopCount = 0
        for at in 0..<count {
            let found = stops[at]
            let f = flow(found)
            guard f.pointee.flags.contains(.inUse), f.pointee.flags.contains(.stopsPending) else { continue }
            settleStops(found)
        }
        if stopsOverflow {
            // Too many for the queue, when a listener closes: all are looked at.
            stopsOverflow = false
            for found in 0..<flows.highWater where flow(found).pointee.flags.isSuperset(of: [.inUse, .stopsPending]) {
                settleStops(found)
            }
        }
    }

    /// Notes that a socket of the flow has stopped something.
    func queueStop(_ found: UInt32) {
        let f = flow(found)
        refresh(found)
        guard !f.pointee.flags.contains(.stopsPending) else { return }
        f.pointee.flags.insert(.stopsPending)
        if stopCount == Context.stopRoom {
            stopsOverflow = true
            return
        }
        stops[stopCount] = found
        stopCount &+= 1
    }

    private func settleStops(_ found: UInt32) {
        let f = flow(found)
        f.pointee.flags.remove(.stopsPending)
        var at = f.pointee.firstSocket
        while at != poolNil {
            let next = socket(at).pointee.next
            if socket(at).pointee.flags.isSuperset(of: .bothStopped) { detach(f, at) }
            at = next
        }
        refresh(found)
        if f.pointee.firstSocket == poolNil {
            f.pointee.endReason = EndReason.stopped.rawValue
            f.pointee.flags.insert(.passing)
            notePrediction(f)
            f.pointee.flags.remove(.clientQueued)
            f.pointee.flags.remove(.serverQueued)
            strikeOut(found)
            freeBuffers(found)
        }
    }

    private func detach(_ f: FlowPointer, _ id: UInt32) {
        let s = socket(id)
        if s.pointee.previous == poolNil {
            f.pointee.firstSocket = s.pointee.next
        } else {
            socket(s.pointee.previous).pointee.next = s.pointee.next
        }
        if s.pointee.next == poolNil {
            f.pointee.lastSocket = s.pointee.previous
        } else {
            socket(s.pointee.next).pointee.previous = s.pointee.previous
        }
        freeSocket(id)
    }

    /// Gives an id back.
    func freeSocket(_ id: UInt32) {
        let s = socket(id)
        sets.release(s.pointee.nullSet)
        sets.release(s.pointee.sendSet)
        sets.release(s.pointee.receiveSet)
        s.pointee.kind = .unused
        socketOwners[Int(id)] = 0
        sockets.free(id)
    }

    // MARK: End

    /// Ends a flow: pending data, then the last events (§5), then its memory.
    @inline(never)
    func end(_ found: UInt32, _ reason: EndReason) {
        let f = flow(found)
        guard f.pointee.flags.contains(.inUse), !f.pointee.flags.contains(.ending) else { return }
        if !f.pointee.flags.contains(.passing) {
            f.pointee.flags.insert(.ending)
            takeUnanswered(found)
            // What waits, in the order in which it came (§2, 10).
            for at in 0..<newDataCount where newData[at] >> 1 == UInt64(found) && newData[at] != .max {
                deliverNewData(found, Int(newData[at] & 1))
            }
            strikeOut(found)
            f.pointee.endReason = reason.rawValue
            f.pointee.connection.client.state = .closed
            f.pointee.connection.server.state = .closed
            let byPacket = reason == .fin || reason == .reset
            let first = byPacket && f.pointee.flags.contains(.lastToServer) ? Sender.server : Sender.client
            let sender = byPacket && !f.pointee.flags.contains(.lastToServer) ? Sender.server : Sender.client
            for side in [first, 1 &- first] {
                raise(f, BuiltInEvent.stateChange, .receive, side: side, sender: sender)
                raise(f, BuiltInEvent.connectionEnd, .receive, side: side, sender: sender)
                raise(f, BuiltInEvent.stateChange, .send, side: side, sender: sender)
                raise(f, BuiltInEvent.connectionEnd, .send, side: side, sender: sender)
            }
        }
        remove(found)
    }

    private func strikeOut(_ found: UInt32) {
        for at in 0..<newDataCount where newData[at] >> 1 == UInt64(found) && newData[at] != .max {
            newData[at] = .max
        }
        // Room for the next: many flows may end before the queue is delivered.
        while newDataCount > 0, newData[newDataCount &- 1] == .max { newDataCount &-= 1 }
    }

    private func freeBuffers(_ found: UInt32) {
        let f = flow(found)
        f.pointee.clientPending = 0
        f.pointee.serverPending = 0
        f.buffer(0).pointee.removeAll(pool: &memory)
        f.buffer(1).pointee.removeAll(pool: &memory)
        if f.pointee.flags.contains(.extended) {
            let beside = extensions + Int(found)
            forgetNextSYN(beside)
            dropHeld(beside)
        }
        noteMemory()
    }

    private func remove(_ found: UInt32) {
        let f = flow(found)
        var at = f.pointee.firstSocket
        while at != poolNil {
            let next = socket(at).pointee.next
            freeSocket(at)
            at = next
        }
        f.pointee.firstSocket = poolNil
        freeBuffers(found)
        wheel.cancel(found)
        _ = index.remove(hash: f.pointee.hash, index: found)
        if f.pointee.flags.contains(.translated) {
            _ = index.remove(hash: extensions[Int(found)].outerHash, index: found)
        }
        f.pointee.flags = []
        flows.free(found)
        stats.pointee.flows_now &-= 1
    }

    /// Ends all flows: the trace is over, or the context goes.
    func endAll() {
        deliverNewData()
        settleStops()
        // In the order of their beginning as far as records tell.
        for found in 0..<flows.highWater where flow(found).pointee.flags.contains(.inUse) {
            end(found, .context)
        }
        settleStops()
        sets.reap(limit: .max)
    }

    // MARK: Time

    /// A packet of a flow that was silent for long, or is in TIME_WAIT. Returns
    /// whether the flow ended before it.
    @inline(never)
    func endedBefore(_ found: UInt32) -> Bool {
        let f = flow(found)
        let silence = now &- f.pointee.lastSeen
        if silence >= settings.idleTimeout {
            // Whatever the wheel's grain.
            end(found, .timeout)
            return true
        }
        if f.pointee.flags.contains(.lingering), silence >= settings.timeWait {
            endLingering(found)
            return true
        }
        if silence >= ContextSettings.timestampLife {
            f.pointee.connection.client.flags.remove(.tsRecent)
            f.pointee.connection.server.flags.remove(.tsRecent)
        }
        return false
    }

    /// TIME_WAIT is over.
    private func endLingering(_ found: UInt32) {
        end(found, flow(found).pointee.flags.contains(.wasReset) ? .reset : .fin)
    }

    func schedule(_ found: UInt32, at deadline: UInt64) {
        wheel.schedule(found, at: deadline, now: now)
        thread.nextDeadline = min(thread.nextDeadline, wheel.nextExpiry)
    }

    /// How many timers that were set since the last packet keep the clock from
    /// going on to the next one (mtcp_settimer(3)).
    static let mostFirings = 100_000

    /// Runs timers and ends idle flows up to `end`, in the order of their
    /// deadlines as far as the wheel's grain tells. In a trace each has its
    /// deadline for `now`, so that what a handler sets counts from there and
    /// may be due before `end`, too. That ends: after `mostFirings` of those,
    /// or when the context is to stop, `now` is `end`, and what is set then is
    /// due later.
    func expire(until end: UInt64) {
        let known = timers.nextSequence
        var firings = Context.mostFirings
        // `distant` has the flows whose deadline is more than a turn of the
        // wheel ahead, when `end` is so, too: each is looked at once, not in
        // every turn.
        /// The time up to which the wheel has been emptied.
        var reached: UInt64 = 0
        while true {
            let timer = timers.peekDeadline
            let idle = min(wheel.nextExpiry, distant.peekDeadline)
            guard min(timer, idle) <= end else { break }
            if timer <= idle {
                guard let due = timers.pop() else { break }
                if due.sequence >= known, firings > 0 { firings &-= 1 }
                let isLast = firings == 0 || thread.stopRequested.load(ordering: .relaxed)
                now = max(now, isLast ? end : due.deadline)
                stats.pointee.timers = UInt64(timers.count)
                let id = Int32(truncatingIfNeeded: due.first)
                if let callback = unsafeBitCast(UInt(due.second), to: callback_t?.self) {
                    callback(handle, id, 0, 0, nil)
                }
                continue
            }
            let found: UInt32
            if distant.peekDeadline < wheel.nextExpiry {
                guard let next = distant.pop() else { break }
                reached = max(reached, next.deadline)
                found = next.index
            } else {
                reached = max(reached, wheel.nextExpiry)
                guard let next = wheel.popExpired(now: reached) else { continue }
                found = next
            }
            guard let deadline = lastTime(of: found) else { continue }
            if deadline <= reached {
                now = max(now, deadline)
                if flow(found).pointee.flags.contains(.lingering) { endLingering(found) } else { self.end(found, .timeout) }
            } else if min(deadline, end) &- reached < TimingWheel.turn
                || !distant.push(deadline: deadline, index: found)
            {
                wheel.schedule(found, at: deadline, now: reached)
            }
        }
        while let next = distant.pop() {
            if let deadline = lastTime(of: next.index) { wheel.schedule(next.index, at: deadline, now: end) }
        }
        settleStops()
    }

    /// When the flow ends unless a packet comes; nil: it does not, or is none.
    private func lastTime(of found: UInt32) -> UInt64? {
        let f = flow(found)
        guard f.pointee.flags.contains(.inUse) else { return nil }
        let patience = f.pointee.flags.contains(.lingering) ? settings.timeWait : settings.idleTimeout
        return patience == .max ? nil : f.pointee.lastSeen &+ patience
    }
}
