// Reading: 02-monitor.md §6, §7 (addresses), §8 (clock). On the stack thread.

import CMOS
import CSys
import MOSEvents
import MOSStorage
import MOSTCP

extension Context {
    // MARK: Streams

    /// The side's buffer as a reader may use it.
    @inline(__always)
    private func readable(_ id: Int32, _ side: Int32) throws(Errno) -> (s: SocketPointer, f: FlowPointer, side: Int) {
        let (s, found) = try findActive(id)
        guard side == Int32(MOS_SIDE_CLI) || side == Int32(MOS_SIDE_SVR) else { throw .invalid }
        let side = Int(side)
        guard s.pointee.flags.isDisjoint(with: .deaf(side)), flow(found).buffer(side).pointee.mode == .payload
        else { throw .invalid }
        return (s, flow(found), side)
    }

    /// Where the reader's next byte is; moves over bytes that are gone.
    /// Returns their number, 0 if there are none.
    @inline(__always)
    private func passLost(_ s: SocketPointer, _ f: FlowPointer, _ side: Int) -> UInt64 {
        let position = s.position(side)
        let stored = f.buffer(side).pointee.inOrderEnd
        guard position < stored else { return 0 }
        let next = f.buffer(side).pointee.nextInOrder(from: position)
        guard next > position else { return 0 }
        s.setPosition(side, next)
        return next &- position
    }

    /// `mtcp_peek`: the number of bytes, or minus the number of bytes lost.
    public func peek(_ id: Int32, _ side: Int32, _ target: UnsafeMutablePointer<CChar>?, _ count: Int) throws(Errno) -> Int {
        let (s, f, side) = try readable(id, side)
        let position = s.position(side)
        let stored = f.buffer(side).pointee.inOrderEnd
        let waiting = f.pending(side).pointee
        if position >= stored, let target {
            // Most often there is nothing, or one segment where it lies.
            if position == stored &+ UInt64(waiting) { return 0 }
            let list = f.segments(side).pointee
            if position == stored, list.head == list.tail, count >= Int(waiting),
                segments[Int(list.head)].length == waiting
            {
                // In bounds: the caller has room for `count` bytes.
                memcpy(target, segments[Int(list.head)].bytes, Int(waiting))
                s.setPosition(side, position &+ UInt64(waiting))
                return Int(waiting)
            }
        }
        return try peekSlowly(s, f, side, target, count)
    }

    @inline(never)
    private func peekSlowly(
        _ s: SocketPointer, _ f: FlowPointer, _ side: Int, _ target: UnsafeMutablePointer<CChar>?, _ count: Int
    ) throws(Errno) -> Int {
        let lost = passLost(s, f, side)
        if lost > 0 { return -Int(truncatingIfNeeded: lost) }
        guard count > 0 else { return 0 }
        guard let target else { throw .invalid }
        let read = copyInOrder(f, side, from: s.position(side), UnsafeMutableRawPointer(target), count)
        s.setPosition(side, s.position(side) &+ UInt64(read))
        return read
    }

    /// Copies held in-order bytes from `offset` on: first what is stored, then
    /// what waits in frames.
    private func copyInOrder(
        _ f: FlowPointer, _ side: Int, from offset: UInt64, _ target: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        let buffer = f.buffer(side)
        let stored = buffer.pointee.inOrderEnd
        var done = 0
        var offset = offset
        if offset < stored {
            done = buffer.pointee.copy(from: offset, into: target, count: min(count, Int(clamping: stored &- offset)))
            offset &+= UInt64(done)
            if offset < stored { return done }
        }
        guard f.pending(side).pointee > 0, done < count else { return done }
        var start = stored
        var at = f.segments(side).pointee.head
        while at != noSegment, done < count {
            let segment = segments[Int(at)]
            let end = start &+ UInt64(segment.length)
            if offset < end {
                let skip = Int(offset &- start)
                let part = min(Int(segment.length) &- skip, count &- done)
                // In bounds: `skip + part` is at most the segment's length.
                memcpy(target + done, segment.bytes + skip, part)
                done &+= part
                offset &+= UInt64(part)
            }
            start = end
            at = segment.next
        }
        return done
    }

    /// `mtcp_ppeek`.
    public func peek(
        _ id: Int32, _ side: Int32, _ target: UnsafeMutablePointer<CChar>?, _ count: Int, at offset: UInt64
    ) throws(Errno) -> Int {
        let (_, f, side) = try readable(id, side)
        guard count > 0 else { return 0 }
        guard let target else { throw .invalid }
        let buffer = f.buffer(side)
        let stored = buffer.pointee.inOrderEnd
        let read: Int
        if f.pending(side).pointee > 0, offset >= stored || buffer.pointee.contiguous(at: offset) == stored &- offset {
            read = copyInOrder(f, side, from: offset, UnsafeMutableRawPointer(target), count)
        } else {
            read = buffer.pointee.copy(from: offset, into: UnsafeMutableRawPointer(target), count: count)
        }
        guard read > 0 else { throw .noData }
        return read
    }

    /// `mos_peek_iov`.
    public func pieces(
        _ id: Int32, _ side: Int32, _ target: UnsafeMutablePointer<iovec>?, _ room: Int32
    ) throws(Errno) -> Int {
        let (s, f, side) = try readable(id, side)
        guard let target, room >= 1 else { throw .invalid }
        for at in 0..<Int(room) { target[at] = iovec() }
        let lost = passLost(s, f, side)
        if lost > 0 { return -Int(truncatingIfNeeded: lost) }
        let buffer = f.buffer(side)
        let stored = buffer.pointee.inOrderEnd
        var offset = s.position(side)
        var used = 0
        var total = 0
        while offset < stored, used < Int(room) {
            var piece = StreamSegment(base: UnsafeRawPointer(outFrame), count: 0)
            let got = buffer.pointee.segments(at: offset, count: Int(clamping: stored &- offset), into: &piece, max: 1)
            guard got == 1, piece.count > 0 else { return total }
            target[used] = iovec(iov_base: UnsafeMutableRawPointer(mutating: piece.base), iov_len: piece.count)
            used += 1
            total &+= piece.count
            offset &+= UInt64(piece.count)
        }
        guard offset >= stored, f.pending(side).pointee > 0 else { return total }
        var start = stored
        var at = f.segments(side).pointee.head
        while at != noSegment, used < Int(room) {
            let segment = segments[Int(at)]
            let end = start &+ UInt64(segment.length)
            if offset < end {
                let skip = Int(offset &- start)
                target[used] = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: segment.bytes + skip),
                    iov_len: Int(segment.length) &- skip)
                used += 1
                total &+= Int(segment.length) &- skip
                offset = end
            }
            start = end
            at = segment.next
        }
        return total
    }

    /// `mos_peek_advance`.
    public func advance(_ id: Int32, _ side: Int32, _ count: Int) throws(Errno) {
        let (s, f, side) = try readable(id, side)
        let position = s.position(side)
        let end = f.streamEnd(side)
        guard count >= 0, UInt64(count) <= end &- min(position, end) else { throw .invalid }
        let stored = f.buffer(side).pointee.inOrderEnd
        if position < stored {
            // Not over bytes that are lost: those are to be reported.
            let held = f.buffer(side).pointee.contiguous(at: position)
            guard UInt64(count) <= held || held == stored &- position else { throw .invalid }
        }
        s.setPosition(side, position &+ UInt64(count))
    }

    // MARK: What is known of a flow

    public func option(
        _ id: Int32, level: Int32, name: Int32, _ value: UnsafeMutableRawPointer?,
        _ length: UnsafeMutablePointer<UInt32>?
    ) throws(Errno) {
        let s = try find(id)
        guard level == Int32(SOL_MONSOCKET) else { throw .noSuchOption }
        switch name {
        case Int32(MOS_TCP_STATE_CLI.rawValue), Int32(MOS_TCP_STATE_SVR.rawValue), Int32(MOS_TIMESTAMP.rawValue),
            Int32(MOS_INFO_CLIBUF.rawValue), Int32(MOS_INFO_SVRBUF.rawValue), Int32(MOS_FRAGINFO_CLIBUF.rawValue),
            Int32(MOS_FRAGINFO_SVRBUF.rawValue):
            guard s.pointee.kind == .monitorActive else { throw .notSocket }
        case Int32(MOS_CLIBUF.rawValue), Int32(MOS_SVRBUF.rawValue), Int32(MOS_CLIOVERLAP.rawValue),
            Int32(MOS_SVROVERLAP.rawValue), Int32(MOS_HISTORY):
            guard s.pointee.kind == .monitorActive || s.pointee.kind == .monitorStream else { throw .notSocket }
        default:
            throw .noSuchOption
        }
        guard let value, let length else { throw .invalid }
        switch name {
        case Int32(MOS_TCP_STATE_CLI.rawValue):
            try put(Int32(flow(s.pointee.flow).pointee.connection.client.state.rawValue), value, length)
        case Int32(MOS_TCP_STATE_SVR.rawValue):
            try put(Int32(flow(s.pointee.flow).pointee.connection.server.state.rawValue), value, length)
        case Int32(MOS_TIMESTAMP.rawValue):
            try put(UInt32(truncatingIfNeeded: flow(s.pointee.flow).pointee.lastSeen / 1000), value, length)
        case Int32(MOS_INFO_CLIBUF.rawValue):
            try putInfo(id, s, 0, value, length)
        case Int32(MOS_INFO_SVRBUF.rawValue):
            try putInfo(id, s, 1, value, length)
        case Int32(MOS_FRAGINFO_CLIBUF.rawValue):
            try putRanges(id, s, 0, value, length)
        case Int32(MOS_FRAGINFO_SVRBUF.rawValue):
            try putRanges(id, s, 1, value, length)
        case Int32(MOS_CLIBUF.rawValue):
            try put(Int32(bitPattern: options(id).pointee.limit.0), value, length)
        case Int32(MOS_SVRBUF.rawValue):
            try put(Int32(bitPattern: options(id).pointee.limit.1), value, length)
        case Int32(MOS_CLIOVERLAP.rawValue):
            try put(Int32(options(id).pointee.overlap.0), value, length)
        case Int32(MOS_SVROVERLAP.rawValue):
            try put(Int32(options(id).pointee.overlap.1), value, length)
        default:
            try put(Int32(s.pointee.flags.contains(.keepsHistory) ? 1 : 0), value, length)
        }
    }

    private func put<T>(_ number: T, _ value: UnsafeMutableRawPointer, _ length: UnsafeMutablePointer<UInt32>) throws(Errno) {
        guard length.pointee >= 4 else { throw .invalid }
        value.storeBytes(of: number, as: T.self)
        length.pointee = 4
    }

    /// `MOS_INFO_CLIBUF` / `_SVRBUF`.
    private func putInfo(
        _ id: Int32, _ s: SocketPointer, _ side: Int, _ value: UnsafeMutableRawPointer, _ length: UnsafeMutablePointer<UInt32>
    ) throws(Errno) {
        guard length.pointee == UInt32(MemoryLayout<tcp_buf_info>.size) else { throw .invalid }
        let f = flow(s.pointee.flow)
        guard options(id).pointee.limit(side) > 0, !s.pointee.flags.contains(.stopped(side)), f.side(side).pointee.state.knowsPeer
            || f.pointee.flags.contains(.ending)
        else { throw .noData }
        let end = f.streamEnd(side)
        value.storeBytes(
            of: tcp_buf_info(
                tcpbi_init_seq: f.pointee.history.iss(1 &- side) &+ 1,
                tcpbi_last_byte_read: UInt32(truncatingIfNeeded: s.position(side)),
                tcpbi_next_byte_expected: UInt32(truncatingIfNeeded: end),
                tcpbi_last_byte_received: UInt32(truncatingIfNeeded: max(end, f.buffer(side).pointee.highestEnd))),
            as: tcp_buf_info.self)
    }

    /// `MOS_FRAGINFO_CLIBUF` / `_SVRBUF`.
    private func putRanges(
        _ id: Int32, _ s: SocketPointer, _ side: Int, _ value: UnsafeMutableRawPointer, _ length: UnsafeMutablePointer<UInt32>
    ) throws(Errno) {
        let f = flow(s.pointee.flow)
        guard options(id).pointee.limit(side) > 0, !s.pointee.flags.contains(.stopped(side)) else { throw .noData }
        materialize(f, side)
        let stride = MemoryLayout<tcp_ring_fragment>.stride
        let room = Int(length.pointee) / stride
        let buffer = f.buffer(side)
        var count = 0
        while count < room, let range = buffer.pointee.range(count) {
            // In bounds: `count` entries fit below `room`.
            (value + count * stride).storeBytes(
                of: tcp_ring_fragment(offset: range.start, len: UInt32(truncatingIfNeeded: range.end &- range.start)),
                as: tcp_ring_fragment.self)
            count += 1
        }
        if count < room { memset(value + count * stride, 0, stride) }
        length.pointee = UInt32(count)
    }

    /// `mtcp_getpeername`.
    public func peerName(
        _ id: Int32, _ target: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<UInt32>?, _ side: Int32
    ) throws(Errno) {
        let s = try find(id)
        guard s.pointee.kind == .monitorActive else { throw .notConnected }
        guard let target, let length else { throw .invalid }
        let both = side == Int32(MOS_SIDE_BOTH)
        guard both || side == Int32(MOS_SIDE_CLI) || side == Int32(MOS_SIDE_SVR) else { throw .invalid }
        let found = s.pointee.flow
        let v6 = flow(found).pointee.flags.contains(.ipv6)
        let count: UInt32 = both ? 2 : 1
        if v6, length.pointee == 16 * count { throw .familyUnsupported }
        guard length.pointee == (v6 ? 28 : 16) * count else { throw .invalid }
        var at = target
        if both || side == Int32(MOS_SIDE_CLI) {
            putAddress(found, Sender.client, at)
            at += v6 ? 28 : 16
        }
        if both || side == Int32(MOS_SIDE_SVR) { putAddress(found, Sender.server, at) }
    }

    private func putAddress(_ found: UInt32, _ side: Int, _ target: UnsafeMutableRawPointer) {
        let f = flow(found)
        let translated = side == Sender.server && f.pointee.flags.contains(.translated)
        let beside = extensions + Int(found)
        let port = translated
            ? beside.pointee.outerServerPort : side == 0 ? f.pointee.clientPort : f.pointee.serverPort
        if f.pointee.flags.contains(.ipv6) {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            let ip = translated
                ? beside.pointee.outerServerAddress : side == 0 ? addresses6[Int(found)].client : addresses6[Int(found)].server
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: ip.low, toByteOffset: 0, as: UInt64.self)
                $0.storeBytes(of: ip.high, toByteOffset: 8, as: UInt64.self)
            }
            withUnsafeBytes(of: &address) { _ = memcpy(target, $0.baseAddress!, 28) }
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            let ip = translated
                ? UInt32(truncatingIfNeeded: beside.pointee.outerServerAddress.low)
                : side == 0 ? f.pointee.clientAddress : f.pointee.serverAddress
            address.sin_addr.s_addr = ip.bigEndian
            withUnsafeBytes(of: &address) { _ = memcpy(target, $0.baseAddress!, 16) }
        }
    }

    /// `mos_flow_info`.
    public func account(_ id: Int32) throws(Errno) -> mos_flow_info {
        let s = try find(id)
        guard s.pointee.kind == .monitorActive else { throw .notSocket }
        let f = flow(s.pointee.flow)
        var info = mos_flow_info()
        info.start_ns = f.pointee.started
        info.last_ns = f.pointee.lastSeen
        info.end_reason = UInt32(f.pointee.endReason)
        info.family = UInt32(f.pointee.flags.contains(.ipv6) ? AF_INET6 : AF_INET)
        info.side.0 = account(s.pointee.flow, 0)
        info.side.1 = account(s.pointee.flow, 1)
        return info
    }

    private func account(_ found: UInt32, _ sender: Int) -> mos_flow_side {
        let f = flow(found)
        var out = mos_flow_side()
        out.packets = UInt64(f.packets(sender).pointee)
        out.payload_bytes = f.streamEnd(1 &- sender) &+ UInt64(bitPattern: f.irregular(sender).pointee)
        out.wire_bytes = UInt64(f.overheadCarry(sender).pointee) << 32 &+ UInt64(f.overhead(sender).pointee)
            &+ out.payload_bytes
        if f.pointee.flags.contains(.extended) {
            let odd = irregularities(found, sender).pointee
            out.retransmitted_packets = UInt64(odd.retransmittedPackets)
            out.retransmitted_bytes = odd.retransmittedBytes
            out.out_of_order_packets = UInt64(odd.outOfOrderPackets)
            out.gaps = UInt64(odd.gaps)
            out.gap_bytes = odd.gapBytes
        }
        return out
    }
}
