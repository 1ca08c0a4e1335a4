// Payload: 02-monitor.md §4 (retransmission) and §6 (buffers, gaps, overruns).
//
// In-order payload of a burst is not copied: its segments are listed where
// they lie in their frames, and what nobody has read by the end of the burst
// (or is to be kept) is copied then. Whatever is not in order goes through
// the side's StreamBuffer at once.

import CMOS
import CSys
import MOSEvents
import MOSStorage
import MOSTCP
import MOSWire

extension Context {
    /// Payload that begins where the receiver's stream ends, with nothing out
    /// of order behind it: the road of nearly every segment.
    @inline(__always)
    func takeInOrder(_ f: FlowPointer, _ receiver: Int, _ p: UnsafePointer<Packet>, isPlain: Bool) {
        let length = UInt32(p.pointee.payloadLength)
        let bits = f.pointee.bits
        let isWhole = isPlain || p.pointee.payloadCaptured == p.pointee.payloadLength
        if isWhole, bits.isDisjoint(with: .concerned(receiver)) {
            // Counted, and that is all.
            let side = f.side(receiver)
            side.pointee.rcvNxt = side.pointee.rcvNxt &+ length
            f.pending(receiver).pointee &+= length
            if _slowPath(f.pending(receiver).pointee > 1 << 30) { materialize(f, receiver) }
            return
        }
        if isWhole, bits.isDisjoint(with: .irregular(receiver)), segmentCount < Context.segmentRoom,
            // What is listed has to be settled at the burst's end.
            newDataCount < Context.newDataRoom || f.pointee.flags.contains(.queued(receiver))
        {
            let side = f.side(receiver)
            side.pointee.rcvNxt = side.pointee.rcvNxt &+ length
            append(f, receiver, p.pointee.frame + Int(p.pointee.payloadOffset), length)
            f.pending(receiver).pointee &+= length
            queueNewData(current.flow, receiver)
            return
        }
        f.irregular(1 &- receiver).pointee &+= Int64(length)
        takePayload(current.flow, receiver, 1 &- receiver, p, f.streamEnd(receiver))
    }

    @inline(__always)
    private func append(_ f: FlowPointer, _ side: Int, _ bytes: UnsafePointer<UInt8>, _ length: UInt32) {
        let at = UInt8(truncatingIfNeeded: segmentCount)
        segments[segmentCount] = BurstSegment(bytes: bytes, length: length, next: noSegment)
        segmentCount &+= 1
        let list = f.segments(side)
        if f.pending(side).pointee == 0 {
            list.pointee = (head: at, tail: at)
        } else {
            segments[Int(list.pointee.tail)].next = at
            list.pointee.tail = at
        }
    }

    /// Payload that is new, old, ahead, or all of these.
    @inline(never)
    func takePayload(_ found: UInt32, _ receiver: Int, _ sender: Int, _ p: UnsafePointer<Packet>, _ offset: UInt64) {
        var captured = UInt32(p.pointee.payloadCaptured)
        let f = flow(found)
        if f.side(receiver).pointee.flags.contains(.finArrived) {
            captured = min(captured, roomBeforeFIN(f, receiver, sender, p, offset))
        }
        // Of what the capture has cut off, only the numbers are known; behind a
        // FIN there is nothing to know.
        let cut = p.pointee.payloadCaptured < p.pointee.payloadLength && !f.side(receiver).pointee.flags.contains(.finArrived)
        if cut, f.buffer(receiver).pointee.mode == .rangesOnly {
            storeNumbers(found, receiver, sender, offset, UInt32(p.pointee.payloadLength))
            return
        }
        if captured > 0 {
            // In bounds: the parser counted the captured payload.
            store(found, receiver, sender, offset, p.pointee.frame + Int(p.pointee.payloadOffset), captured)
        }
        if cut, f.streamEnd(receiver) &- offset <= UInt64(p.pointee.payloadLength) {
            skip(found, receiver, to: p.pointee.sequence &+ UInt32(p.pointee.payloadLength))
        }
    }

    /// Payload that was cut off, where only ranges are kept. (Never twice, as
    /// `store` may: a handler of the error in between can ask for payload.)
    private func storeNumbers(_ found: UInt32, _ receiver: Int, _ sender: Int, _ offset: UInt64, _ length: UInt32) {
        let f = flow(found)
        let buffer = f.buffer(receiver)
        materialize(f, receiver)
        let cut = Int64(bitPattern: offset) < 0 ? UInt64(bitPattern: -Int64(bitPattern: offset)) : 0
        guard cut < UInt64(length), buffer.pointee.mode == .rangesOnly else { return }
        let before = buffer.pointee.inOrderEnd
        // Without payload no byte is looked at.
        let result = buffer.pointee.insert(
            offset: offset &+ cut, bytes: UnsafePointer(outFrame), length: length &- UInt32(cut), lastWins: false,
            pool: &memory, outOfOrderLimit: UInt64(settings.rmemMax))
        if result.refused > 0 { stats.pointee.drop_no_memory &+= 1 }
        advanceReceiver(found, receiver, from: before)
        if buffer.pointee.hasOutOfOrder { skipUnanswered(found, receiver) }
    }

    /// How much of the segment lies before a FIN that has arrived already.
    private func roomBeforeFIN(
        _ f: FlowPointer, _ receiver: Int, _ sender: Int, _ p: UnsafePointer<Packet>, _ offset: UInt64
    ) -> UInt32 {
        let distance = f.pointee.history.fin(sender).distance(after: p.pointee.sequence)
        // Behind a FIN there is nothing.
        guard distance >= 0 else { return 0 }
        let room = UInt32(distance)
        let length = UInt32(p.pointee.payloadLength)
        guard length > room else { return room }
        // It goes over the FIN's place. Linux keeps the segment that begins
        // first, or is longer; the FIN's own begins where the bytes held
        // before it do.
        let finOffset = offset &+ UInt64(room)
        if offset > f.streamEnd(receiver), holds(f, receiver, from: offset, to: finOffset) { return room }
        TCPEmulation(f.connection, f.history, sender: sender).withdrawFIN()
        raise(f, BuiltInEvent.stateChange, .send, side: sender, sender: sender)
        return length
    }

    /// Whether one range of what is held ahead of a hole has `start`, and ends
    /// at `end`.
    private func holds(_ f: FlowPointer, _ side: Int, from start: UInt64, to end: UInt64) -> Bool {
        let buffer = f.buffer(side)
        var i = buffer.pointee.rangeCount
        while i > 0 {
            i &-= 1
            guard let range = buffer.pointee.range(i), range.end >= end else { return false }
            if range.end == end { return range.start <= start }
        }
        return false
    }

    func store(
        _ found: UInt32, _ receiver: Int, _ sender: Int, _ offset: UInt64, _ bytes: UnsafePointer<UInt8>, _ length: UInt32
    ) {
        let f = flow(found)
        let buffer = f.buffer(receiver)
        materialize(f, receiver)
        // Before the stream's first byte there is none.
        if Int64(bitPattern: offset) < 0 {
            let cut = UInt64(bitPattern: -Int64(bitPattern: offset))
            guard cut < UInt64(length) else { return }
            store(found, receiver, sender, 0, bytes + Int(cut), length &- UInt32(cut))
            return
        }
        let before = buffer.pointee.inOrderEnd
        if offset > before { irregularities(found, sender).pointee.outOfOrderPackets &+= 1 }
        var lastWins = f.pointee.flags.contains(.lastWins(receiver))
        var offset = offset
        var bytes = bytes
        var length = length
        if followsLinux(f, receiver) {
            // What is left of the segment replaces what is held.
            let cut = overlapCut(f, receiver, offset, length)
            guard cut < length else { return }
            offset &+= UInt64(cut)
            bytes += Int(cut)
            length &-= cut
            lastWins = true
        }
        var result = buffer.pointee.insert(
            offset: offset, bytes: bytes, length: length, lastWins: lastWins, pool: &memory,
            outOfOrderLimit: UInt64(settings.rmemMax))
        if result.refused > 0 {
            // Room is made where nobody reads; a handler may read, too.
            stats.pointee.drop_no_memory &+= 1
            raiseError(f, side: receiver, sender: sender)
            // What is too far ahead stays so, whatever goes.
            if result.flags.contains(.noMemory) { overrun(found, receiver, keep: 0) }
            result = buffer.pointee.insert(
                offset: offset, bytes: bytes, length: length, lastWins: lastWins, pool: &memory,
                outOfOrderLimit: UInt64(settings.rmemMax))
            if result.refused > 0, offset <= buffer.pointee.inOrderEnd {
                // In order and still no room: the stream goes on without it.
                let missing = offset &+ UInt64(length) &- buffer.pointee.inOrderEnd
                if Int64(bitPattern: missing) > 0 {
                    noteOverrun(missing)
                    _ = buffer.pointee.advanceWithoutStoring(length: UInt32(truncatingIfNeeded: missing), pool: &memory)
                }
            }
        }
        advanceReceiver(found, receiver, from: before)
        if buffer.pointee.hasOutOfOrder { skipUnanswered(found, receiver) }
    }

    private func followsLinux(_ f: FlowPointer, _ side: Int) -> Bool {
        let first = f.pointee.firstSocket
        guard first != poolNil else { return false }
        let overlap = options(first).pointee.overlap
        return (side == 0 ? overlap.0 : overlap.1) == UInt8(MOS_OVERLAP_POLICY_LINUX)
    }

    /// How many bytes at the segment's start Linux does not take
    /// (tcp_data_queue_ofo()): what is in order stays. Ahead of a hole the
    /// segment that begins first wins, and of two that begin at the same place
    /// the longer one.
    private func overlapCut(_ f: FlowPointer, _ side: Int, _ offset: UInt64, _ length: UInt32) -> UInt32 {
        let buffer = f.buffer(side)
        let inOrder = buffer.pointee.inOrderEnd
        let end = offset &+ UInt64(length)
        if offset <= inOrder { return UInt32(truncatingIfNeeded: min(inOrder &- offset, UInt64(length))) }
        var i = buffer.pointee.rangeCount
        while i > 0 {
            i &-= 1
            guard let range = buffer.pointee.range(i), range.end > offset else { return 0 }
            if range.start < offset || range.start == offset && end <= range.end {
                return UInt32(truncatingIfNeeded: min(range.end &- offset, UInt64(length)))
            }
        }
        return 0
    }

    /// RCV.NXT follows the buffer; `NEW_DATA` is due if it moved.
    private func advanceReceiver(_ found: UInt32, _ receiver: Int, from before: UInt64) {
        let f = flow(found)
        let gained = f.buffer(receiver).pointee.inOrderEnd &- before
        noteHole(f, receiver)
        guard gained > 0 else { return }
        f.irregular(1 &- receiver).pointee &-= Int64(truncatingIfNeeded: gained)
        let side = f.side(receiver)
        side.pointee.rcvNxt = side.pointee.rcvNxt &+ UInt32(truncatingIfNeeded: gained)
        if f.buffer(receiver).pointee.mode == .rangesOnly {
            trimRanges(f, receiver)
            return
        }
        if f.limit(receiver).pointee > 0 { queueNewData(found, receiver) }
        if f.buffer(receiver).pointee.inOrderEnd &- f.buffer(receiver).pointee.heldStart > UInt64(settings.rmemMax) {
            // Inside one burst or behind one hole: the limit is rmem_max.
            raiseError(f, side: receiver, sender: 1 &- receiver)
            overrun(found, receiver, keep: UInt64(settings.rmemMax))
        }
    }

    /// Keeps the flow's note of what the buffer says.
    func noteHole(_ f: FlowPointer, _ side: Int) {
        if f.buffer(side).pointee.hasOutOfOrder {
            f.pointee.bits.insert(.hole(side))
        } else {
            f.pointee.bits.remove(.hole(side))
        }
    }

    /// Without payload nothing is read: ranges are kept as far back as payload
    /// would be.
    private func trimRanges(_ f: FlowPointer, _ side: Int) {
        let end = f.buffer(side).pointee.inOrderEnd
        let limit = UInt64(f.limit(side).pointee)
        f.buffer(side).pointee.trim(below: end > limit ? end &- limit : 0, pool: &memory)
    }

    @inline(__always)
    private func queueNewData(_ found: UInt32, _ side: Int) {
        let f = flow(found)
        if f.pointee.flags.contains(.queued(side)) { return }
        if newDataCount == Context.newDataRoom { return }
        f.pointee.flags.insert(.queued(side))
        newData[newDataCount] = UInt64(found) << 1 | UInt64(side)
        newDataCount &+= 1
        // `lastSocket` and the limits.
        csys_prefetch(UnsafeRawPointer(f) + FlowLayout.history)
        if f.pointee.flags.contains(.keepsHistory) { prefetchTails(f, side) }
    }

    /// What `settle` will write to: the directory of this flow's chunks, and
    /// the chunk of one whose directory has come by now.
    @inline(__always)
    private func prefetchTails(_ f: FlowPointer, _ side: Int) {
        f.buffer(side).pointee.prefetchDirectory()
        let at = newDataCount &- 4
        guard at >= 0, newData[at] != .max else { return }
        let earlier = flow(UInt32(newData[at] >> 1))
        let side = Int(newData[at] & 1)
        earlier.buffer(side).pointee.prefetchTail(earlier.pending(side).pointee)
    }

    // MARK: Retransmission

    /// Raises `MOS_ON_REXMIT` before the payload is merged.
    func noteRetransmission(
        _ found: UInt32, _ p: UnsafePointer<Packet>, _ verdict: Verdict, _ receiver: Int, _ sender: Int, _ offset: UInt64
    ) {
        let f = flow(found)
        let length = UInt32(p.pointee.payloadLength)
        var repeated = !verdict.isDisjoint(with: [.repeatedSYN, .repeatedFIN])
        var bytes: UInt64 = 0
        if length > 0, p.pointee.flags & TCPFlags.syn == 0, f.side(receiver).pointee.state.knowsPeer {
            bytes = receivedBytes(f, receiver, offset, length)
            if bytes > 0 { repeated = true }
        }
        guard repeated else { return }
        stats.pointee.retransmissions &+= 1
        let odd = irregularities(found, sender)
        odd.pointee.retransmittedPackets &+= 1
        odd.pointee.retransmittedBytes &+= bytes
        raise(f, BuiltInEvent.retransmission, .receive, side: receiver, sender: sender)
    }

    /// How many of the bytes the receiver has had before, at least 1 if any.
    private func receivedBytes(_ f: FlowPointer, _ receiver: Int, _ offset: UInt64, _ length: UInt32) -> UInt64 {
        var start = offset
        var length = UInt64(length)
        if Int64(bitPattern: start) < 0 {
            // Before the first byte: a keep-alive's garbage byte, say.
            let cut = UInt64(bitPattern: -Int64(bitPattern: start))
            guard cut < length else { return 0 }
            start = 0
            length -= cut
        }
        let end = f.streamEnd(receiver)
        let buffer = f.buffer(receiver)
        let stored = buffer.pointee.inOrderEnd
        var count: UInt64 = 0
        if start < end {
            // What waits in frames was received without a gap.
            let low = max(start, stored)
            let high = min(start &+ length, end)
            if low < high { count = high &- low }
        }
        guard buffer.pointee.hasReceived(anyOf: start, length: UInt32(length)) else { return count }
        // What is forgotten was received; of the rest, the ranges tell.
        let stop = start &+ length
        let held = min(buffer.pointee.heldStart, stored)
        if start < held { count &+= min(stop, held) &- start }
        var at = 0
        while let range = buffer.pointee.range(at), range.start < stop {
            let low = max(start, max(range.start, held))
            let high = min(stop, range.end)
            if low < high { count &+= high &- low }
            at &+= 1
        }
        return count
    }

    // MARK: Gaps

    /// The end that sent this packet acknowledges bytes that were never seen
    /// on their way to it.
    @inline(never)
    func fillGap(_ found: UInt32, _ side: Int, _ p: UnsafePointer<Packet>) {
        let f = flow(found)
        let end = f.side(side)
        let other = f.side(1 &- side)
        guard end.pointee.state.knowsPeer, !end.pointee.flags.contains(.finReceived) else { return }
        var target = p.pointee.acknowledgement
        // Not beyond what its peer was seen to send.
        if target.follows(other.pointee.sndNxt) { target = other.pointee.sndNxt }
        let ack = p.pointee.acknowledgement
        takeHeld(found, side, upTo: target, ack: ack)
        // Bytes are below the FIN, which what is held may have brought.
        var finAcked: Bool {
            other.pointee.flags.contains(.finSent) && target.follows(f.pointee.history.fin(1 &- side))
        }
        var limit: SequenceNumber { finAcked ? f.pointee.history.fin(1 &- side) : target }
        while limit.follows(end.pointee.rcvNxt) {
            let before = end.pointee.rcvNxt
            skip(found, side, to: nextHeld(found, side, before: limit) ?? limit)
            takeHeld(found, side, upTo: target, ack: ack)
            if end.pointee.rcvNxt == before { break }
        }
        if finAcked { end.pointee.flags.insert(.finArrived) }
        _ = TCPEmulation(f.connection, f.history, sender: 1 &- side).receiveFIN()
    }

    /// The bytes up to the first that is held behind a hole were received and
    /// never seen. False: there is none.
    func skipHole(_ found: UInt32, _ side: Int) -> Bool {
        let f = flow(found)
        materialize(f, side)
        let buffer = f.buffer(side)
        let end = buffer.pointee.inOrderEnd
        var at = 0
        while let range = buffer.pointee.range(at) {
            at &+= 1
            guard range.start > end else { continue }
            skip(found, side, to: f.side(side).pointee.rcvNxt &+ UInt32(truncatingIfNeeded: range.start &- end))
            return buffer.pointee.inOrderEnd > end
        }
        return false
    }

    /// The bytes from RCV.NXT to `target` were received and never seen.
    private func skip(_ found: UInt32, _ side: Int, to target: SequenceNumber) {
        let f = flow(found)
        let end = f.side(side)
        let distance = target.distance(after: end.pointee.rcvNxt)
        guard distance > 0 else { return }
        materialize(f, side)
        let buffer = f.buffer(side)
        let before = buffer.pointee.inOrderEnd
        let skipped = buffer.pointee.skip(to: before &+ UInt64(UInt32(distance)), pool: &memory)
        if skipped.discarded > 0 { noteOverrun(skipped.discarded) }
        if skipped.missing > 0 {
            let odd = irregularities(found, 1 &- side)
            odd.pointee.gaps &+= 1
            odd.pointee.gapBytes &+= skipped.missing
            stats.pointee.gaps &+= 1
            stats.pointee.gap_bytes &+= skipped.missing
        }
        let gained = buffer.pointee.inOrderEnd &- before
        f.irregular(1 &- side).pointee &-= Int64(truncatingIfNeeded: gained)
        noteHole(f, side)
        end.pointee.rcvNxt = end.pointee.rcvNxt &+ UInt32(truncatingIfNeeded: gained)
        raiseError(f, side: side, sender: side)
        if buffer.pointee.mode == .rangesOnly {
            trimRanges(f, side)
        } else if f.limit(side).pointee > 0, gained > skipped.missing {
            queueNewData(found, side)
        }
    }

    // MARK: From frames to memory

    /// Copies what waits in frames into the buffer.
    @inline(__always)
    func materialize(_ f: FlowPointer, _ side: Int) {
        if f.pending(side).pointee > 0 { materializeSlowly(f, side, skip: 0) }
    }

    /// … all but the first `skip` bytes, which are gone afterwards.
    @inline(never)
    private func materializeSlowly(_ f: FlowPointer, _ side: Int, skip: UInt64) {
        let buffer = f.buffer(side)
        if !f.pointee.bits.contains(.keeps(side)) {
            _ = buffer.pointee.advanceWithoutStoring(length: f.pending(side).pointee, pool: &memory)
            f.pending(side).pointee = 0
            return
        }
        var left = skip
        if skip > 0 { _ = buffer.pointee.advanceWithoutStoring(length: UInt32(skip), pool: &memory) }
        var at = f.segments(side).pointee.head
        while at != noSegment {
            let segment = segments[Int(at)]
            at = segment.next
            var bytes = segment.bytes
            var length = segment.length
            if left > 0 {
                let cut = min(left, UInt64(length))
                left &-= cut
                bytes += Int(cut)
                length &-= UInt32(cut)
                if length == 0 { continue }
            }
            let offset = buffer.pointee.inOrderEnd
            let result = buffer.pointee.insert(
                offset: offset, bytes: bytes, length: length, lastWins: false, pool: &memory, outOfOrderLimit: 0)
            if result.refused > 0 {
                // No memory: these bytes are lost to readers, and counted
                // where there is one that has not had them.
                let end = offset &+ UInt64(length)
                let missing = end &- buffer.pointee.inOrderEnd
                let position = min(lowestPosition(f, side), end)
                if position < end { noteOverrun(min(missing, end &- position)) }
                stats.pointee.drop_no_memory &+= 1
                _ = buffer.pointee.advanceWithoutStoring(length: UInt32(missing), pool: &memory)
            }
        }
        f.pending(side).pointee = 0
    }

    /// Before frames go away in the middle of a burst.
    func materializeAll() {
        for at in 0..<newDataCount where newData[at] != .max {
            materialize(flow(UInt32(newData[at] >> 1)), Int(newData[at] & 1))
        }
    }

    // MARK: The end of a burst

    /// What is kept of a side's stream once its `NEW_DATA` was delivered.
    func settle(_ found: UInt32, _ side: Int) {
        let f = flow(found)
        let buffer = f.buffer(side)
        let waiting = f.pending(side).pointee
        if waiting > 0, !settings.verifiesChecksums { prefetchPayload(Int(f.segments(side).pointee.head) &+ 2) }
        var end = f.streamEnd(side)
        var position = lowestPosition(f, side)
        if position != end {
            let limit = UInt64(f.limit(side).pointee)
            if limit > 0, end &- position > limit || waiting > 0 && memory.isShort(of: Int(waiting)) {
                // An overrun: a handler can read, or enlarge the buffer.
                raiseError(f, side: side, sender: 1 &- side)
                guard f.pointee.flags.contains(.inUse) else { return }
                end = f.streamEnd(side)
                position = lowestPosition(f, side)
            }
        } else if waiting > 0, !f.pointee.flags.contains(.keepsHistory),
            buffer.pointee.heldStart == buffer.pointee.inOrderEnd
        {
            // All was read where it lay.
            _ = buffer.pointee.advanceWithoutStoring(length: waiting, pool: &memory)
            f.pending(side).pointee = 0
            return
        }
        let kept = UInt64(f.limit(side).pointee)
        // What was read makes room for what was not.
        var from = f.pointee.flags.contains(.keepsHistory) && !memory.isScarce ? 0 : position
        if end > kept { from = max(from, end &- kept) }
        noteOverrun(buffer, position, from)
        let stored = buffer.pointee.inOrderEnd
        // First, so that the memory of what goes is what comes next.
        buffer.pointee.trim(below: from, reusedUpTo: end, pool: &memory)
        if f.pending(side).pointee > 0 {
            materializeSlowly(f, side, skip: from > stored ? min(from &- stored, UInt64(f.pending(side).pointee)) : 0)
        }
        noteMemory()
    }

    /// Payload that no checksum was made of has not been looked at yet. Segments
    /// are settled about in the order in which they came: the bytes of this one
    /// will be read by the next handler but one.
    @inline(__always)
    private func prefetchPayload(_ at: Int) {
        guard at < segmentCount else { return }
        let bytes = segments[at].bytes
        let length = min(segments[at].length, 2048)
        var done: UInt32 = 0
        while done < length {
            csys_prefetch(bytes + Int(done))
            done &+= 64
        }
    }

    /// Forgets all but the last `keep` in-order bytes.
    func overrun(_ found: UInt32, _ side: Int, keep: UInt64) {
        let f = flow(found)
        let buffer = f.buffer(side)
        let end = buffer.pointee.inOrderEnd
        let from = end > keep ? end &- keep : 0
        let position = lowestPosition(f, side)
        noteOverrun(buffer, position, from)
        buffer.pointee.trim(below: from, pool: &memory)
    }

    /// Unread bytes below `from` go. What had gone before was counted then,
    /// even if the reader has not come by it yet.
    private func noteOverrun(_ buffer: UnsafeMutablePointer<StreamBuffer>, _ position: UInt64, _ from: UInt64) {
        let first = max(position, buffer.pointee.heldStart)
        if from > first { noteOverrun(from &- first) }
    }

    private func noteOverrun(_ bytes: UInt64) {
        stats.pointee.overruns &+= 1
        stats.pointee.overrun_bytes &+= bytes
    }

    @inline(__always)
    func noteMemory() {
        stats.pointee.memory_now = UInt64(memory.bytesInUse)
    }

    /// The lowest read position of the sockets that still read this side.
    func lowestPosition(_ f: FlowPointer, _ side: Int) -> UInt64 {
        var lowest = f.streamEnd(side)
        var at = f.pointee.firstSocket
        while at != poolNil {
            let s = socket(at)
            if s.pointee.flags.isDisjoint(with: .deaf(side)) {
                lowest = min(lowest, s.position(side))
            }
            at = s.pointee.next
        }
        return lowest
    }
}
