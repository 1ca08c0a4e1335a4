// Payload of which a monitor cannot tell whether its receiver takes it: that of
// a SYN or SYN/ACK (RFC 7413), what seems to come before the handshake's end,
// what lies across the window's edge or beyond it, what acknowledges bytes that
// were never seen, and what PAWS rejects: the capture may have missed a packet,
// and its receiver may have missed one that was captured. It is kept beside the
// stream and changes nothing, until the receiver acknowledges it, and enters the
// stream then, unless other bytes have come for its place: a kernel acknowledges
// nothing that it has not taken.
//
// Of several such copies of a byte the one counts against which the least speaks
// (HeldSegment.isBetter). What is never acknowledged is forgotten with the flow, or
// when more than `heldRoom` bytes wait.

import CSys
import MOSEvents
import MOSStorage
import MOSTCP
import MOSWire

extension Context {
    /// What the held segments of a flow may be charged for, bytes.
    private static var heldRoom: UInt32 { 65536 }

    // MARK: Words

    /// Keeps what the sender said until its peer bears it out.
    func noteDoubt(_ found: UInt32, _ tcp: TCPEmulation, _ p: UnsafePointer<Packet>, isEarly: Bool) {
        guard p.pointee.flags & (TCPFlags.ack | TCPFlags.syn | TCPFlags.rst) == TCPFlags.ack else { return }
        // No window is larger (RFC 7323 §2.3).
        if tcp.S.pointee.flags.contains(.iss), p.pointee.sequence.distance(after: tcp.S.pointee.sndNxt) > 1 << 30 { return }
        extend(found).doubts(tcp.sender).pointee.add(Doubt(p, isEarly: isEarly))
    }

    /// The packet may bear out what its receiver said before.
    func settleDoubt(_ found: UInt32, _ tcp: TCPEmulation, _ p: UnsafePointer<Packet>) {
        let doubts = (extensions + Int(found)).doubts(1 &- tcp.sender)
        guard doubts.pointee.oldest != nil,
            p.pointee.flags & (TCPFlags.ack | TCPFlags.syn | TCPFlags.rst) == TCPFlags.ack, !tcp.isSignedWrongly(p)
        else { return }
        if tcp.R.pointee.flags.contains(.answeredElse) {
            guard tcp.S.pointee.state == .synSent, let all = doubts.pointee.handshake(by: p) else { return }
            tcp.assumeHandshake(all)
            doubts.pointee.removeAll()
            return
        }
        // (A server's first word bears out what came before it once `send` has
        // concluded its number.)
        guard tcp.R.pointee.flags.contains(.iss), tcp.S.pointee.flags.contains(.iss) else { return }
        while let doubt = doubts.pointee.oldest, doubt.isBorneOut(by: p) {
            if tcp.sender == Sender.server { startEarlier(found, tcp, doubt.acknowledgement) }
            tcp.believe(doubt)
            doubts.pointee.removeOldest()
        }
    }

    /// The client's first word that counts to a server whose SYN/ACK was missed,
    /// but not everything: its stream begins where the client was first seen to
    /// expect it.
    func startWhereExpected(_ found: UInt32, _ tcp: TCPEmulation, _ ack: SequenceNumber) {
        guard tcp.R.pointee.flags.contains(.heard) else { return }
        var least = ack
        if flow(found).pointee.flags.contains(.extended),
            let first = (extensions + Int(found)).doubts(Sender.client).pointee.leastExpected, first.precedes(least)
        {
            least = first
        }
        startEarlier(found, tcp, least)
    }

    private func startEarlier(_ found: UInt32, _ tcp: TCPEmulation, _ ack: SequenceNumber) {
        // (What is held beside the stream finds its place later.)
        guard !flow(found).buffer(Sender.client).pointee.hasOutOfOrder, tcp.startsEarlier(ack) else { return }
        tcp.startEarlier(ack)
    }

    /// `receiver` has received now what it acknowledged before it was seen
    /// to have been sent: packets pass a capture in another order, too.
    func settleEarlyAcknowledgement(_ found: UInt32, _ receiver: Int) {
        let f = flow(found)
        let doubts = (extensions + Int(found)).doubts(receiver)
        guard let doubt = doubts.pointee.oldest, doubt.isEarly, f.side(receiver).pointee.state.knowsPeer,
            f.side(receiver).pointee.flags.contains(.iss), !f.side(receiver).pointee.rcvNxt.precedes(doubt.acknowledgement)
        else { return }
        doubts.pointee.removeOldest()
        // As if `receiver` sent it now; its window nobody has borne out.
        let tcp = TCPEmulation(f.connection, f.history, sender: receiver)
        if tcp.acknowledge(doubt.acknowledgement) {
            raise(f, BuiltInEvent.stateChange, .receive, side: 1 &- receiver, sender: receiver)
        }
    }

    /// The peer sent a RST at the number that the receiver said it expects,
    /// though nothing was seen of what is before. (Before the handshake's end
    /// that is how a wrong acknowledgement is answered, RFC 9293 §3.10.7.4.)
    func isResetAtDoubt(_ found: UInt32, _ tcp: TCPEmulation, _ p: UnsafePointer<Packet>) -> Bool {
        guard flow(found).pointee.flags.contains(.extended), tcp.R.pointee.state.isSynchronized,
            tcp.S.pointee.state.isSynchronized, !tcp.isSignedWrongly(p)
        else { return false }
        return p.pointee.sequence.follows(tcp.R.pointee.rcvNxt)
            && (extensions + Int(found)).doubts(1 &- tcp.sender).pointee.expects(p.pointee.sequence)
    }

    // MARK: Payload

    /// Keeps the payload of a segment, and its FIN, until its receiver has answered.
    func hold(_ found: UInt32, _ p: UnsafePointer<Packet>, _ receiver: Int, _ verdict: Verdict) {
        let isOld = verdict.contains(.oldTimestamp)
        let length = UInt32(p.pointee.payloadCaptured)
        let isSYN = p.pointee.flags & TCPFlags.syn != 0
        let hasFIN = !isSYN && p.pointee.flags & TCPFlags.fin != 0 && p.pointee.payloadCaptured == p.pointee.payloadLength
        guard length > 0 || hasFIN, UInt32(MemoryLayout<HeldSegment>.stride) &+ length <= Self.heldRoom else { return }
        let beside = extend(found)
        let f = flow(found)
        forgetHeld(found) { [side = f.side(receiver)] in
            Int($0.receiver) == receiver && side.pointee.state.knowsPeer && !$0.last.follows(side.pointee.rcvNxt)
        }
        var timestamp: UInt32 = 0
        var echo: UInt32 = 0
        if isOld { _ = p.pointee.timestamps(value: &timestamp, echo: &echo) }
        let segment = HeldSegment(
            next: 0, sequence: p.pointee.sequence &+ (isSYN ? 1 : 0), length: length, receiver: UInt8(receiver),
            hasFIN: hasFIN, isOfSYN: isSYN && receiver == Sender.server, isOld: isOld,
            objection: HeldSegment.Objection(verdict), isRefused: false, timestamp: timestamp)
        let charge = segment.charge
        if beside.pointee.heldBytes &+ charge > Self.heldRoom {
            if isUnanswering(f, receiver), f.side(receiver).pointee.state.knowsPeer {
                // That much goes to somebody who answers, whom the capture
                // does not show.
                takeUnanswered(found)
                takePayload(found, receiver, 1 &- receiver, p, streamOffset(f, receiver, of: p))
                return
            }
            while beside.pointee.heldBytes &+ charge > Self.heldRoom { forgetOldest(beside) }
        }
        guard let block = memory.allocate(segment.blockSize) else { return }
        block.initializeMemory(as: HeldSegment.self, to: segment).pointee.next = beside.pointee.held
        // In bounds: the block has room for the payload, and the parser
        // counted the captured bytes.
        memcpy(block + MemoryLayout<HeldSegment>.stride, p.pointee.frame + Int(p.pointee.payloadOffset), Int(length))
        beside.pointee.held = memory.handle(of: block)
        beside.pointee.heldBytes &+= charge
        f.pointee.bits.insert(.holds)
        noteMemory()
    }

    /// The side has sent an acknowledgement: what is held and not covered by it
    /// was not taken when it arrived, as far as that can be told.
    func noteRefused(_ found: UInt32, _ side: Int, _ ack: SequenceNumber) {
        var at = extensions[Int(found)].held
        while at != 0 {
            let segment = memory.pointer(at).assumingMemoryBound(to: HeldSegment.self)
            at = segment.pointee.next
            if Int(segment.pointee.receiver) == side, segment.pointee.last.follows(ack) { segment.pointee.isRefused = true }
        }
    }

    /// The side has acknowledged everything below `target`: what is held, and
    /// continues its stream, enters it.
    @inline(__always)
    func takeHeld(_ found: UInt32, _ side: Int, upTo target: SequenceNumber, ack: SequenceNumber?) {
        if flow(found).pointee.bits.contains(.holds) { takeHeldSlowly(found, side, upTo: target, ack: ack) }
    }

    /// A FIN counts only where `ack` is for it and nothing behind it; nil: the
    /// side is not captured.
    @inline(never)
    private func takeHeldSlowly(_ found: UInt32, _ side: Int, upTo target: SequenceNumber, ack: SequenceNumber?) {
        let f = flow(found)
        let end = f.side(side)
        // (It may have been closed before it knew any.)
        guard end.pointee.state.knowsPeer, f.side(1 &- side).pointee.flags.contains(.iss),
            !end.pointee.flags.contains(.finReceived)
        else { return }
        while target.follows(end.pointee.rcvNxt), let handle = heldSegment(found, side, at: end.pointee.rcvNxt) {
            let block = memory.pointer(handle)
            let segment = heldSegment(handle)
            if end.pointee.rcvNxt == segment.end {
                // Its FIN.
                if target.follows(segment.end), ack == nil || ack == segment.last {
                    TCPEmulation(f.connection, f.history, sender: 1 &- side).acceptFIN(segment.end)
                }
                break
            }
            let last = segment.end.follows(target) ? target : segment.end
            let before = end.pointee.rcvNxt
            let offset = f.streamEnd(side) &- UInt64(before &- segment.sequence)
            store(
                found, side, 1 &- side, offset,
                (block + MemoryLayout<HeldSegment>.stride).assumingMemoryBound(to: UInt8.self), last &- segment.sequence)
            // What the receiver took was not too old for it.
            if segment.isOld { end.pointee.tsRecent = segment.timestamp }
            if segment.hasFIN, target.follows(segment.end), ack == nil || ack == segment.last {
                TCPEmulation(f.connection, f.history, sender: 1 &- side).acceptFIN(segment.end)
            }
            if end.pointee.rcvNxt == before { break }
        }
        forgetHeld(found) { Int($0.receiver) == side && !$0.last.follows(end.pointee.rcvNxt) }
    }

    /// Where the first held segment begins that lies between the side's next
    /// byte and `target`.
    func nextHeld(_ found: UInt32, _ side: Int, before target: SequenceNumber) -> SequenceNumber? {
        let f = flow(found)
        guard f.pointee.bits.contains(.holds) else { return nil }
        let next = f.side(side).pointee.rcvNxt
        var first: SequenceNumber?
        var at = extensions[Int(found)].held
        while at != 0 {
            let segment = heldSegment(at)
            at = segment.next
            guard Int(segment.receiver) == side, segment.sequence.follows(next), segment.sequence.precedes(target) else {
                continue
            }
            if let found = first, !segment.sequence.precedes(found) { continue }
            first = segment.sequence
        }
        return first
    }

    /// Of the held segments that have this byte, the one that its receiver most
    /// probably took; if there is none, one with its FIN there.
    private func heldSegment(_ found: UInt32, _ side: Int, at sequence: SequenceNumber) -> UInt32? {
        var best: (handle: UInt32, segment: HeldSegment)?
        var fin: UInt32?
        var at = extensions[Int(found)].held
        // From the newest to the oldest.
        while at != 0 {
            let segment = heldSegment(at)
            if Int(segment.receiver) == side, !segment.sequence.follows(sequence) {
                if segment.end.follows(sequence) {
                    if best == nil || segment.isBetter(than: best!.segment) { best = (at, segment) }
                } else if segment.last.follows(sequence), fin == nil {
                    fin = at
                }
            }
            at = segment.next
        }
        return best?.handle ?? fin
    }

    @inline(__always)
    private func heldSegment(_ handle: UInt32) -> HeldSegment {
        memory.pointer(handle).assumingMemoryBound(to: HeldSegment.self).pointee
    }

    // MARK: Ends that are not captured

    /// Whether nothing of the side was ever seen but, of a client, its SYN.
    func isUnanswering(_ f: FlowPointer, _ side: Int) -> Bool {
        let end = f.side(side)
        if !end.pointee.flags.isDisjoint(with: [.heard, .answeredElse]) { return false }
        return side == Sender.client || !end.pointee.flags.contains(.iss) || end.pointee.flags.contains(.issInferred)
    }

    /// The client goes on, and nothing of the server is captured: what the
    /// client does not send again has been taken.
    @inline(__always)
    func takeUnanswered(_ found: UInt32, before p: UnsafePointer<Packet>) {
        let f = flow(found)
        guard f.pointee.bits.contains(.holds), isUnanswering(f, Sender.server) else { return }
        settleSYNPayload(found, p.pointee.sequence)
        takeHeldSlowly(found, Sender.server, upTo: p.pointee.sequence, ack: nil)
    }

    /// All that will be known of ends that never answered is known.
    func takeUnanswered(_ found: UInt32) {
        let f = flow(found)
        for side in [Sender.client, Sender.server] where isUnanswering(f, side) {
            takeHeld(found, side, upTo: f.side(side).pointee.rcvNxt &+ Self.heldRoom, ack: nil)
            while f.buffer(side).pointee.hasOutOfOrder, skipHole(found, side) {}
        }
    }

    /// Much has come behind a hole for an end that is not captured: nobody will
    /// tell that it has the missing bytes, but its peer would have sent them
    /// again by now.
    func skipUnanswered(_ found: UInt32, _ side: Int) {
        let f = flow(found)
        while f.buffer(side).pointee.highestEnd &- f.streamEnd(side) > UInt64(Self.heldRoom),
            f.buffer(side).pointee.hasOutOfOrder, isUnanswering(f, side), f.side(side).pointee.state.knowsPeer,
            skipHole(found, side)
        {}
    }

    // MARK: Payload of a SYN

    /// The SYN/ACK tells whether the server took the payload of the SYN.
    func answerSYNPayload(_ found: UInt32, _ p: UnsafePointer<Packet>, _ sender: Int) {
        let f = flow(found)
        guard sender == Sender.server, p.pointee.flags & TCPFlags.ack != 0, f.pointee.bits.contains(.holds) else { return }
        takeHeldSlowly(found, Sender.server, upTo: p.pointee.acknowledgement, ack: p.pointee.acknowledgement)
        settleSYNPayload(found, p.pointee.acknowledgement)
    }

    /// If `next` is the first number behind the SYN, the server did not take
    /// its payload, and the client sends it again (RFC 7413 §4.1.3).
    private func settleSYNPayload(_ found: UInt32, _ next: SequenceNumber) {
        let f = flow(found)
        guard next == f.pointee.history.clientISS &+ 1 else { return }
        let before = extensions[Int(found)].heldBytes
        forgetHeld(found) { $0.isOfSYN }
        if extensions[Int(found)].heldBytes != before { f.pointee.connection.client.sndNxt = next }
    }

    // MARK: Forgetting

    private func forgetHeld(_ found: UInt32, where isObsolete: (HeldSegment) -> Bool) {
        let beside = extensions + Int(found)
        var previous: UInt32 = 0
        var at = beside.pointee.held
        while at != 0 {
            let segment = heldSegment(at)
            if isObsolete(segment) {
                unlink(beside, at, after: previous, segment)
            } else {
                previous = at
            }
            at = segment.next
        }
    }

    private func forgetOldest(_ beside: UnsafeMutablePointer<FlowExtension>) {
        var previous: UInt32 = 0
        var at = beside.pointee.held
        guard at != 0 else {
            beside.pointee.heldBytes = 0
            return
        }
        while heldSegment(at).next != 0 {
            previous = at
            at = heldSegment(at).next
        }
        unlink(beside, at, after: previous, heldSegment(at))
    }

    private func unlink(
        _ beside: UnsafeMutablePointer<FlowExtension>, _ handle: UInt32, after previous: UInt32, _ segment: HeldSegment
    ) {
        if previous == 0 {
            beside.pointee.held = segment.next
        } else {
            memory.pointer(previous).assumingMemoryBound(to: HeldSegment.self).pointee.next = segment.next
        }
        beside.pointee.heldBytes &-= segment.charge
        if beside.pointee.held == 0 { flow(UInt32(beside - extensions)).pointee.bits.remove(.holds) }
        memory.free(memory.pointer(handle), segment.blockSize)
    }

    /// The flow's buffers go.
    func dropHeld(_ beside: UnsafeMutablePointer<FlowExtension>) {
        while beside.pointee.held != 0 { forgetOldest(beside) }
    }
}
