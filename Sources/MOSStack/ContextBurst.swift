// The way of a packet: docs/architecture.md, 02-monitor.md §2.

import CMOS
import CSys
import MOSEvents
import MOSPacketIO
import MOSStorage
import MOSTCP
import MOSWire

extension Context {
    /// Handles a burst of at most 64 frames, which stay valid and unchanged
    /// until this returns. (Not inline: scripts/test path begins here.)
    @inline(never)
    func process(_ frames: UnsafePointer<mos_io_frame>, _ count: Int) {
        segmentCount = 0
        handle(frames, count)
        finishBurst()
    }

    /// The year 2262: a later stamp is none. Deadlines can be added to any
    /// time before without an overflow.
    static var endOfTime: UInt64 { 1 << 63 }

    /// Packets that are looked up together, and what they need asked for: as
    /// many as the processor can wait for at a time.
    private static var group: Int { 4 }
    /// How many groups ahead of the packets that are handled others are parsed
    /// (and the index asked for), looked up (and their flows asked for), the
    /// flows' sockets asked for, and what these point to; and how many groups
    /// ahead of the parsed ones frames are.
    private static var parseLead: Int { 5 }
    private static var lookUpLead: Int { 3 }
    private static var socketLead: Int { 2 }
    private static var ownLead: Int { 1 }
    private static var frameLead: Int { 3 }
    /// Of `candidates`, some beyond the burst's end: no bounds to look at.
    static var candidateRoom: Int { burst + lookUpLead * group + group }

    /// Takes the frames group by group through all of it.
    private func handle(_ frames: UnsafePointer<mos_io_frame>, _ count: Int) {
        let group = Context.group
        let index = self.index
        for i in 0..<min(count, Context.frameLead &* group) { csys_prefetch(frames[i].data) }
        parse(frames, 0, Context.parseLead &* group, count, index)
        lookUp(0, Context.lookUpLead &* group, index, count)
        prefetchBeside(0, Context.socketLead &* group)
        prefetchOwn(0, Context.ownLead &* group)
        var i = 0
        while i < count {
            parse(frames, i &+ Context.parseLead &* group, group, count, index)
            lookUp(i &+ Context.lookUpLead &* group, group, index, count)
            prefetchBeside(i &+ Context.socketLead &* group, group)
            prefetchOwn(i &+ Context.ownLead &* group, group)
            let end = min(i &+ group, count)
            while i < end {
                let time = packets[i].timestamp
                if time > now, time < Context.endOfTime {
                    if _slowPath(time >= thread.nextDeadline) { runDeadlines(until: time) }
                    now = time
                }
                handle(packets + i, candidate: candidates[i], frame: frames + i)
                i &+= 1
            }
        }
    }

    private func parse(
        _ frames: UnsafePointer<mos_io_frame>, _ first: Int, _ length: Int, _ count: Int, _ index: FlowIndex
    ) {
        let end = min(first &+ length, count)
        var i = first
        guard i < end else { return }
        var arrivals = Arrivals(port: frames[i].port, first: i)
        // (Not `for … in`: its look at the bounds is left in these loops.)
        while i < end {
            parse(frames, i, count, index)
            if _slowPath(frames[i].port != arrivals.port) {
                note(arrivals, end: i)
                arrivals = Arrivals(port: frames[i].port, first: i)
            }
            arrivals.bytes &+= UInt64(packets[i].wireLength)
            i &+= 1
        }
        note(arrivals, end: end)
    }

    /// Frames one after the other that came in on one interface.
    private struct Arrivals {
        let port: Int32
        let first: Int
        var bytes: UInt64 = 0
    }

    @inline(__always)
    private func note(_ arrivals: Arrivals, end: Int) {
        let port = portStats + Int(Int8(truncatingIfNeeded: arrivals.port))
        port.pointee.rx_packets &+= UInt64(end &- arrivals.first)
        port.pointee.rx_bytes &+= arrivals.bytes
    }

    @inline(__always)
    private func parse(_ frames: UnsafePointer<mos_io_frame>, _ i: Int, _ count: Int, _ index: FlowIndex) {
        let frame = frames + i
        let ahead = i &+ Context.frameLead &* Context.group
        if ahead < count { csys_prefetch(frames[ahead].data) }
        // A backend that gives no bytes gives an empty frame.
        let bytes = frame.pointee.data ?? UnsafePointer(outFrame)
        Packet.parse(
            into: packets + i, frame: bytes, length: frame.pointee.data == nil ? 0 : frame.pointee.len,
            wireLength: frame.pointee.wire_len, timestamp: frame.pointee.time_ns,
            vouched: UInt8(truncatingIfNeeded: frame.pointee.flags),
            port: Int8(truncatingIfNeeded: frame.pointee.port), seed: seed)
        if packets[i].kind == .tcp { index.prefetch(hash: packets[i].hash) }
    }

    /// By hash alone: a flow that an earlier packet of the burst makes or
    /// ends is found again, or not, when this one is handled.
    @inline(__always)
    private func lookUp(_ first: Int, _ length: Int, _ index: FlowIndex, _ count: Int) {
        var i = first
        while i < first &+ length {
            var found = poolNil
            if i < count, packets[i].kind == .tcp {
                var probe = index.probe(hash: packets[i].hash)
                found = probe.next() ?? poolNil
                if found != poolNil {
                    let record = UnsafeRawPointer(flow(found))
                    csys_prefetch_write(record)
                    csys_prefetch_write(record + 64)
                } else if packets[i].flags & TCPFlags.syn != 0 {
                    prefetchForStart()
                }
            }
            candidates[i] = found
            i &+= 1
        }
    }

    /// What the next flow will take. (An address behind all of them does no
    /// harm.)
    private func prefetchForStart() {
        let record = UnsafeRawPointer(flow(flows.next))
        for line in 0..<MemoryLayout<FlowRecord>.stride / 64 { csys_prefetch_write(record + line * 64) }
        let id = sockets.next
        csys_prefetch_write(socketOptions + Int(id))
        csys_prefetch_write(socketOwners + Int(id))
        wheel.prefetch(flows.next)
    }

    /// What a handler looks at first: what its uctx points to. (Asking for an
    /// address that is none does no harm.)
    @inline(__always)
    private func prefetchOwn(_ first: Int, _ length: Int) {
        var i = first
        while i < first &+ length {
            let candidate = candidates[i]
            if candidate != poolNil { csys_prefetch_write(flow(candidate).ownSocket.pointee.uctx) }
            i &+= 1
        }
    }

    @inline(__always)
    private func prefetchBeside(_ first: Int, _ length: Int) {
        var i = first
        while i < first &+ length {
            prefetchBeside(i)
            i &+= 1
        }
    }

    @inline(__always)
    private func prefetchBeside(_ i: Int) {
        let candidate = candidates[i]
        if candidate == poolNil { return }
        let f = flow(candidate)
        csys_prefetch_write(f.ownSocket)
        if !f.pointee.connection.client.flags.intersection(f.pointee.connection.server.flags).contains(.predictable)
            || packets[i].flags & (TCPFlags.syn | TCPFlags.fin | TCPFlags.rst) != 0
        {
            // It will not take the short way: all of the record.
            csys_prefetch_write(UnsafeRawPointer(f) + FlowLayout.history)
            csys_prefetch_write(f.buffer(0))
            csys_prefetch_write(f.buffer(1))
            wheel.prefetch(candidate)
            return
        }
        if f.pointee.bits.isDisjoint(with: [.clientKeeps, .serverKeeps]) { return }
        csys_prefetch_write(f.buffer(0))
        csys_prefetch_write(f.buffer(1))
    }

    /// What is due after the last packet of a burst.
    func finishBurst() {
        deliverNewData()
        settleStops()
        settleClosed()
        sets.reap(limit: .max)
        forwarder.flush()
    }

    /// Timers and timeouts up to a time, which is `now` afterwards.
    func runDeadlines(until time: UInt64) {
        if !thread.virtualClock { now = time }
        comingTime = time
        deliverNewData()
        settleStops()
        expire(until: time)
        now = time
        thread.nextDeadline = min(wheel.nextExpiry, timers.peekDeadline)
    }

    /// One packet. A function of its own, for the sake of registers; all that
    /// a plain packet of a known flow needs is in it. (`place` and what it
    /// calls are transparent: on a cycle of calls, which this is for packets
    /// that are not plain, the optimizer does not heed `@inline(__always)`.)
    @inline(never)
    private func handle(_ p: UnsafeMutablePointer<Packet>, candidate: UInt32, frame: UnsafePointer<mos_io_frame>) {
        if _slowPath(!p.pointee.isPlain) || _slowPath(raws.count != 0) {
            handleSlowly(p, candidate: candidate, frame: frame)
            return
        }
        if settings.verifiesChecksums, _slowPath(!Packet.isVerified(p)) {
            refuseChecksum(p, frame)
            return
        }
        let f = flow(candidate)
        guard _fastPath(candidate != poolNil), case let sender = match(f, p), _fastPath(sender >= 0) else {
            place(p, candidate: candidate, frame: frame)
            return
        }
        advance(candidate, f, p, sender, frame, isPlain: true)
    }

    /// Everything but a plain packet without raw sockets.
    @inline(never)
    private func handleSlowly(
        _ p: UnsafeMutablePointer<Packet>, candidate: UInt32, frame: UnsafePointer<mos_io_frame>
    ) {
        let port = portStats + Int(p.pointee.port)
        switch p.pointee.kind {
        case .notIP:
            port.pointee.non_ip &+= 1
            forwarder.forwardNonIP(frame, p, self)
            return
        case .tooShort:
            port.pointee.rx_short_frame &+= 1
            if p.pointee.ipOffset == 0 { forwarder.forwardNonIP(frame, p, self) }
            return
        case .malformed:
            port.pointee.rx_bad_length &+= 1
            return
        case .truncated:
            port.pointee.rx_truncated &+= 1
            return
        default:
            break
        }
        if raws.count > 0 {
            beginPacket(p, flow: poolNil, sender: 0)
            deliverRaw(p)
            let isModified = current.isModified
            endPacket()
            if current.isDropped {
                port.pointee.drop_app &+= 1
                return
            }
            // What a handler has made of it leaves; the flows learn from the
            // packet that came.
            current.isModified = isModified
        }
        defer { current.isModified = false }
        if p.pointee.ipVersion == 4, p.pointee.isHeaderComplete, !p.pointee.ipVouched,
            !p.pointee.verifyIPChecksum(), settings.verifiesChecksums
        {
            port.pointee.rx_bad_ip_checksum &+= 1
            return
        }
        switch p.pointee.kind {
        case .tcp:
            guard p.pointee.isHeeded else {
                refuseForm(p, frame, port)
                return
            }
            if settings.verifiesChecksums {
                if !Packet.isVerified(p) {
                    refuseChecksum(p, frame)
                    return
                }
                if p.pointee.hasGuessedLength, !p.pointee.tcpVouched {
                    refuseForm(p, frame, port)
                    return
                }
            }
            place(p, candidate: candidate, frame: frame)
        case .fragment:
            port.pointee.fragments_in &+= 1
            handleFragment(p, frame, port)
        case .badTCPOffset:
            port.pointee.rx_bad_tcp_offset &+= 1
            forwardAsIs(p, frame)
        default:
            port.pointee.non_tcp &+= 1
            forwardAsIs(p, frame)
        }
    }

    private func refuseChecksum(_ p: UnsafeMutablePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>) {
        let port = portStats + Int(p.pointee.port)
        if p.pointee.ipVersion == 4, !p.pointee.ipVouched, !p.pointee.verifyIPChecksum() {
            // §2, 3: not even forwarded.
            port.pointee.rx_bad_ip_checksum &+= 1
            return
        }
        port.pointee.rx_bad_tcp_checksum &+= 1
        forwardAsIs(p, frame)
    }

    /// No host looks at what is in it.
    private func refuseForm(
        _ p: UnsafeMutablePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>, _ port: UnsafeMutablePointer<mos_stats>
    ) {
        port.pointee.rx_bad_length &+= 1
        forwardAsIs(p, frame)
    }

    /// … but for what a raw socket's handler changed.
    private func forwardAsIs(_ p: UnsafePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>) {
        guard settings.forwards else { return }
        if current.isModified { forwarder.forwardModified(self, p) } else { forwarder.forward(frame, p, self) }
    }

    // MARK: Fragments

    /// The datagram that the fragment completes is handled like a packet; the
    /// fragments themselves have been forwarded as they came.
    private func handleFragment(
        _ p: UnsafeMutablePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>, _ port: UnsafeMutablePointer<mos_stats>
    ) {
        // Each fragment is a datagram, with options of its own.
        guard p.pointee.isHeeded else {
            refuseForm(p, frame, port)
            return
        }
        forwardAsIs(p, frame)
        current.isModified = false
        let dropped = fragments.droppedFragments
        let whole = fragments.add(p, now: now)
        port.pointee.drop_fragment &+= fragments.droppedFragments &- dropped
        guard let whole else { return }
        port.pointee.fragments_reassembled &+= 1
        // Its bytes are valid until the next fragment: what is still unread
        // afterwards is copied by `materialize`.
        let slot = packets + Context.burst
        slot.initialize(
            to: Packet(
                frame: UnsafePointer(whole.bytes), length: UInt32(whole.length), wireLength: UInt32(whole.length),
                timestamp: p.pointee.timestamp, vouched: 0, port: p.pointee.port, seed: seed))
        guard slot.pointee.kind == .tcp else {
            if slot.pointee.kind == .badTCPOffset { port.pointee.rx_bad_tcp_offset &+= 1 } else { port.pointee.non_tcp &+= 1 }
            return
        }
        guard slot.pointee.isHeeded else {
            port.pointee.rx_bad_length &+= 1
            return
        }
        if settings.verifiesChecksums, !slot.pointee.verifyTCPChecksum() {
            port.pointee.rx_bad_tcp_checksum &+= 1
            return
        }
        place(slot, candidate: poolNil, frame: nil)
        materializeAll()
    }

    // MARK: TCP

    /// The flow that the packet belongs to, and which end sent it.
    func find(_ p: UnsafePointer<Packet>, candidate: UInt32) -> (flow: UInt32, sender: Int)? {
        if candidate != poolNil {
            let sender = matchAny(candidate, p)
            if sender >= 0 { return (candidate, sender) }
        }
        var probe = index.probe(hash: p.pointee.hash)
        while let found = probe.next() {
            let sender = matchAny(found, p)
            if sender >= 0 { return (found, sender) }
        }
        return nil
    }

    private func matchAny(_ index: UInt32, _ p: UnsafePointer<Packet>) -> Int {
        if p.pointee.ipVersion == 4 {
            let sender = match(flow(index), p)
            if sender >= 0 { return sender }
        }
        return matchSlowly(index, p)
    }

    /// Which end of an IPv4 flow sent the IPv4 packet: 0, 1, or -1 for neither
    /// so far as the tuple tells that it began with. Which of the two cannot be
    /// foreseen, so there is no branch for it.
    @_transparent
    private func match(_ f: FlowPointer, _ p: UnsafePointer<Packet>) -> Int {
        let addresses = p.pointee.addresses
        let ports = p.pointee.ports
        // 0 where the tuple is that of the client's packets, or the server's.
        let client = addresses ^ f.pointee.addresses | UInt64(ports ^ f.pointee.ports)
        let server = (addresses << 32 | addresses >> 32) ^ f.pointee.addresses
            | UInt64((ports << 16 | ports >> 16) ^ f.pointee.ports)
        if _slowPath(min(client, server) != 0) || _slowPath(f.pointee.flags.intersection([.inUse, .ipv6]) != .inUse) {
            return -1
        }
        return client == 0 ? 0 : 1
    }

    @inline(never)
    private func matchSlowly(_ index: UInt32, _ p: UnsafePointer<Packet>) -> Int {
        let f = flow(index)
        guard f.pointee.flags.contains(.inUse) else { return -1 }
        if f.pointee.flags.contains(.ipv6) { return match6(index, p) }
        // The tuple of an IPv4 flow was compared before.
        return p.pointee.ipVersion == 4 && f.pointee.flags.contains(.translated) ? matchOuter(index, p) : -1
    }

    private func match6(_ index: UInt32, _ p: UnsafePointer<Packet>) -> Int {
        guard p.pointee.ipVersion == 6 else { return -1 }
        let f = flow(index)
        let e = addresses6 + Int(index)
        let source = IPv6Address(p.pointee.frame + (Int(p.pointee.ipOffset) &+ 8))
        let destination = IPv6Address(p.pointee.frame + (Int(p.pointee.ipOffset) &+ 24))
        if e.pointee.client == source, e.pointee.server == destination,
            f.pointee.clientPort == p.pointee.sourcePort, f.pointee.serverPort == p.pointee.destinationPort
        {
            return 0
        }
        if e.pointee.server == source, e.pointee.client == destination,
            f.pointee.serverPort == p.pointee.sourcePort, f.pointee.clientPort == p.pointee.destinationPort
        {
            return 1
        }
        return f.pointee.flags.contains(.translated) ? matchOuter(index, p) : -1
    }

    /// Against the tuple that a handler gave the first SYN.
    private func matchOuter(_ index: UInt32, _ p: UnsafePointer<Packet>) -> Int {
        let e = extensions + Int(index)
        let source = Self.address(p, 8, 12)
        let destination = Self.address(p, 24, 16)
        if e.pointee.outerServerAddress == source, e.pointee.outerClientAddress == destination,
            e.pointee.outerServerPort == p.pointee.sourcePort, e.pointee.outerClientPort == p.pointee.destinationPort
        {
            return 1
        }
        if e.pointee.outerClientAddress == source, e.pointee.outerServerAddress == destination,
            e.pointee.outerClientPort == p.pointee.sourcePort, e.pointee.outerServerPort == p.pointee.destinationPort
        {
            return 0
        }
        return -1
    }

    /// An address of the packet in the form of the extension's fields.
    static func address(_ p: UnsafePointer<Packet>, _ offset6: Int, _ offset4: Int) -> IPv6Address {
        let ip = p.pointee.frame + Int(p.pointee.ipOffset)
        // In bounds: the parser has seen the whole header.
        return p.pointee.ipVersion == 6 ? IPv6Address(ip + offset6) : IPv6Address(UInt64(ip.bigEndian32(offset4)), 0)
    }

    /// Finds the flow of a TCP segment whose checksums are right, in a form
    /// that hosts take, or what else to do with it.
    @inline(never)
    func place(_ p: UnsafeMutablePointer<Packet>, candidate: UInt32, frame: UnsafePointer<mos_io_frame>?) {
        guard let (found, sender) = find(p, candidate: candidate) else {
            handleStranger(p, frame)
            return
        }
        advance(found, flow(found), p, sender, frame, isPlain: false)
    }

    /// A segment of a known flow: §2, steps 6 to 9, if it is the next one in
    /// order.
    @_transparent
    private func advance(
        _ found: UInt32, _ f: FlowPointer, _ p: UnsafeMutablePointer<Packet>, _ sender: Int,
        _ frame: UnsafePointer<mos_io_frame>?, isPlain: Bool
    ) {
        let tcp = TCPEmulation(f.connection, f.history, sender: sender)
        guard _fastPath(now &- f.pointee.lastSeen < longSilence), _fastPath(tcp.isNextInOrder(p)) else {
            advanceSlowly(found, p, sender, frame)
            return
        }
        account(f, p, sender)
        beginPacket(p, flow: found, sender: sender)
        tcp.sendInOrder(p)
        if UInt32(f.pointee.sendMask) & BuiltInEvent.packetIn != 0 {
            raisePacketIn(f, .send, side: sender, sender: sender)
            if _slowPath(current.isDropped) {
                completePacket(f, p, frame)
                return
            }
        }
        tcp.receiveInOrder(p)
        if p.pointee.payloadLength > 0 { takeInOrder(f, 1 &- sender, p, isPlain: isPlain) }
        if UInt32(f.pointee.receiveMask) & BuiltInEvent.packetIn != 0 {
            raisePacketIn(f, .receive, side: 1 &- sender, sender: sender)
            if _slowPath(current.isDropped) {
                completePacket(f, p, frame)
                return
            }
        }
        if settings.forwards {
            completePacket(f, p, frame)
        } else {
            endPacket()
        }
    }

    /// What the flow remembers of every packet.
    @_transparent
    private func account(_ f: FlowPointer, _ p: UnsafePointer<Packet>, _ sender: Int) {
        f.pointee.lastSeen = now
        f.packets(sender).pointee &+= 1
        let (sum, overflow) = f.overhead(sender).pointee.addingReportingOverflow(
            p.pointee.wireLength &- UInt32(p.pointee.payloadLength))
        f.overhead(sender).pointee = sum
        if overflow { f.overheadCarry(sender).pointee &+= 1 }
        f.interface(sender).pointee = p.pointee.port
    }

    /// A segment of a known flow that is not foreseen: §2, steps 6 to 9.
    @inline(never)
    func advanceSlowly(
        _ found: UInt32, _ p: UnsafeMutablePointer<Packet>, _ sender: Int, _ frame: UnsafePointer<mos_io_frame>?
    ) {
        let f = flow(found)
        if now &- f.pointee.lastSeen >= longSilence || f.pointee.flags.contains(.lingering), endedBefore(found) {
            handleStranger(p, frame)
            return
        }
        account(f, p, sender)
        f.pointee.flags = f.pointee.flags.subtracting(.lastToServer).union(.direction(sender))
        if f.pointee.flags.contains(.passing) {
            pass(found, p, sender, frame)
            return
        }
        let tcp = TCPEmulation(f.connection, f.history, sender: sender)
        let receiver = 1 &- sender
        let before = tcp.S.pointee.state
        let receiverBefore = tcp.R.pointee.state
        if f.pointee.flags.contains(.extended) {
            if continuesNextConnection(found, p, sender) {
                beginNextConnection(found, p, frame)
                return
            }
            settleDoubt(found, tcp, p)
        }
        var verdict = tcp.judge(p)
        if verdict.contains(.foreignSYN), considerNextConnection(found, p, sender, frame) { return }
        if p.pointee.flags & TCPFlags.rst != 0, isResetAll(found, tcp, p) { verdict = [.acceptable, .reset] }

        if p.pointee.payloadLength > 0 { f.irregular(sender).pointee &+= Int64(p.pointee.payloadLength) }
        beginPacket(p, flow: found, sender: sender)

        // The sender's end.
        let starting = f.pointee.flags.contains(.starting)
        let isSegment = verdict.contains(.acceptable) && p.pointee.flags & (TCPFlags.syn | TCPFlags.rst) == 0
        if isSegment, sender == Sender.client { takeUnanswered(found, before: p) }
        let isOtherAnswer = !verdict.contains(.acceptable) && tcp.isOtherAnswer
        let isFirst = isSegment && sender == Sender.client && !tcp.S.pointee.flags.contains(.heard)
        let knewSender = tcp.S.pointee.flags.contains(.iss)
        tcp.send(p, verdict)
        if isFirst { startWhereExpected(found, tcp, p.pointee.acknowledgement) }
        if verdict.contains(.doubtful) || isOtherAnswer {
            noteDoubt(found, tcp, p, isEarly: verdict.contains(.beyondSent))
        } else if !knewSender, f.pointee.flags.contains(.extended) {
            settleDoubt(found, tcp, p)
        }
        if isSegment {
            if p.pointee.acknowledgement.follows(tcp.S.pointee.rcvNxt) { fillGap(found, sender, p) }
            if f.pointee.bits.contains(.holds) { noteRefused(found, sender, p.pointee.acknowledgement) }
            tcp.sendFIN(p, verdict)
        } else if verdict.contains(.beyondSent) {
            if p.pointee.acknowledgement.follows(tcp.S.pointee.rcvNxt) { fillGap(found, sender, p) }
        } else if verdict.contains(.acceptable), p.pointee.flags & TCPFlags.syn != 0 {
            answerSYNPayload(found, p, sender)
        }
        raise(
            f, BuiltInEvent.packetIn | (starting ? BuiltInEvent.connectionStart : 0)
                | (tcp.S.pointee.state != before ? BuiltInEvent.stateChange : 0), .send, side: sender, sender: sender)
        if starting { f.pointee.flags.remove(.starting) }
        if current.isDropped {
            notePrediction(f)
            completePacket(f, p, frame)
            return
        }

        // The receiver's end.
        if verdict.contains(.beyondWindow) { raiseError(f, side: receiver, sender: sender) }
        let offset = streamOffset(f, receiver, of: p)
        noteRetransmission(found, p, verdict, receiver, sender, offset)
        let settledReceiver = tcp.R.pointee.state
        var changed = tcp.receive(p, verdict)
        if p.pointee.flags & TCPFlags.syn != 0 {
            // RFC 7413 §2: it counts when the answer covers it.
            if verdict.contains(.synchronize) { hold(found, p, receiver, verdict) }
        } else if verdict.contains(.held) {
            hold(found, p, receiver, verdict)
        } else if verdict.contains(.payload), !f.side(receiver).pointee.flags.contains(.finReceived) {
            takePayload(found, receiver, sender, p, offset)
        }
        if verdict.contains(.timestamps) { tcp.rememberTimestamp(p) }
        if tcp.S.pointee.flags.contains(.finSent) {
            tcp.arriveFIN(p, verdict)
            if tcp.receiveFIN() { changed = true }
        }
        if verdict.contains(.reset) { f.pointee.flags.insert(.wasReset) }
        if receiverBefore != settledReceiver { changed = true }
        raise(
            f, BuiltInEvent.packetIn | (starting ? BuiltInEvent.connectionStart : 0)
                | (changed ? BuiltInEvent.stateChange : 0), .receive, side: receiver, sender: sender)
        if f.pointee.flags.contains(.extended) { settleEarlyAcknowledgement(found, receiver) }
        notePrediction(f)
        completePacket(f, p, frame)
    }

    /// Keeps the note of where the next segment can be foreseen: not where
    /// bytes are held behind a hole, since those that fill it may repeat some
    /// of them.
    @inline(__always)
    func notePrediction(_ f: FlowPointer) {
        let isWatched = f.pointee.bits.isDisjoint(with: .holds) && f.pointee.flags.isDisjoint(with: .passing)
        f.pointee.connection.notePrediction(
            isWatched && f.pointee.bits.isDisjoint(with: .hole(Sender.client)),
            isWatched && f.pointee.bits.isDisjoint(with: .hole(Sender.server)))
    }

    /// A RST that its receiver takes although it is not at the next number
    /// expected of it here.
    private func isResetAll(_ found: UInt32, _ tcp: TCPEmulation, _ p: UnsafePointer<Packet>) -> Bool {
        let f = flow(found)
        let receiver = 1 &- tcp.sender
        if f.pointee.bits.contains(.hole(receiver)), tcp.isResetAtSACK(p, highest: highestReceived(f, receiver)) { return true }
        return isResetAtDoubt(found, tcp, p)
    }

    /// One beyond the highest number received, in order or not.
    private func highestReceived(_ f: FlowPointer, _ side: Int) -> SequenceNumber {
        let ahead = f.buffer(side).pointee.highestEnd &- f.streamEnd(side)
        return f.side(side).pointee.rcvNxt &+ UInt32(truncatingIfNeeded: ahead)
    }

    /// Forwards, and ends the flow if both ends are through. Without a frame
    /// it has left before: in fragments, or as the SYN of the next connection.
    @inline(never)
    private func completePacket(_ f: FlowPointer, _ p: UnsafeMutablePointer<Packet>, _ frame: UnsafePointer<mos_io_frame>?) {
        let found = current.flow
        if current.isDropped {
            (portStats + Int(p.pointee.port)).pointee.drop_app &+= 1
        } else if settings.forwards, let frame {
            if current.isModified {
                if p.pointee.flags & (TCPFlags.syn | TCPFlags.ack) == TCPFlags.syn { noteTranslation(found, p) }
                forwarder.forwardModified(self, p)
            } else {
                forwarder.forward(frame, p, self)
            }
        }
        endPacket()
        if f.pointee.connection.client.state.isFinished || f.pointee.connection.server.state.isFinished {
            finish(found)
        }
    }

    /// Both ends closed: the flow ends, at once or after TIME_WAIT.
    @inline(never)
    private func finish(_ found: UInt32) {
        let f = flow(found)
        let client = f.pointee.connection.client.state
        let server = f.pointee.connection.server.state
        guard client.isFinished, server.isFinished, f.pointee.flags.contains(.inUse) else { return }
        if client == .timeWait || server == .timeWait, settings.timeWait > 0 {
            if !f.pointee.flags.contains(.lingering) {
                f.pointee.flags.insert(.lingering)
                schedule(found, at: now &+ settings.timeWait)
            }
            return
        }
        end(found, f.pointee.flags.contains(.wasReset) ? .reset : .fin)
    }

    // MARK: Current packet

    @inline(__always)
    func beginPacket(_ p: UnsafePointer<Packet>, flow: UInt32, sender: Int) {
        current.packet = p
        current.flow = flow
        current.sender = sender
        current.isDropped = false
    }

    @inline(__always)
    func endPacket() {
        current.packet = nil
        current.flow = poolNil
        current.isModified = false
    }

    /// Where the payload lies in the receiver's stream. The same before and
    /// after it was merged, since RCV.NXT and the stream's end move together.
    @inline(__always)
    func streamOffset(_ f: FlowPointer, _ receiver: Int, of p: UnsafePointer<Packet>) -> UInt64 {
        let side = f.side(receiver)
        var next = side.pointee.rcvNxt
        if side.pointee.flags.contains(.finReceived) { next &-= 1 }
        var sequence = p.pointee.sequence
        if p.pointee.flags & TCPFlags.syn != 0 { sequence &+= 1 }
        if !side.pointee.state.knowsPeer { return 0 }
        let distance = sequence.distance(after: next)
        return f.streamEnd(receiver) &+ UInt64(bitPattern: Int64(distance))
    }
}

extension TCPState {
    /// Whether RCV.NXT means anything.
    @inline(__always)
    var knowsPeer: Bool { self != .listen && self != .synSent }
}

extension Packet {
    @inline(__always)
    var ipVouched: Bool { vouched & UInt8(MOS_IO_IP_CSUM_OK) != 0 }

    @inline(__always)
    var tcpVouched: Bool { vouched & UInt8(MOS_IO_L4_CSUM_OK) != 0 }

    @inline(__always)
    var isHeaderComplete: Bool { ipVersion == 4 && kind != .truncated }

    /// Whether the checksums are right, vouched for, or impossible to tell
    /// because the capture cut the packet. (By reference: the record would be
    /// copied.)
    @inline(never)
    static func isVerified(_ p: UnsafePointer<Packet>) -> Bool {
        if !p.pointee.ipVouched, !p.pointee.verifyIPChecksum() { return false }
        if p.pointee.tcpVouched || !p.pointee.isComplete { return true }
        return p.pointee.verifyTCPChecksum()
    }
}
