// Looking at packets, changing them, sending new ones: 02-monitor.md §7. On
// the stack thread.

import CMOS
import CSys
import MOSEvents
import MOSStorage
import MOSTCP
import MOSWire

extension Context {
    /// `mtcp_getlastpkt`: a copy of the current packet, as the last handler
    /// left it.
    public func lastPacket(_ id: Int32, _ out: UnsafeMutablePointer<pkt_info>?) throws(Errno) {
        _ = try find(id)
        guard let p = current.packet else { throw .accessDenied }
        guard let out else { throw .invalid }
        let room = Context.frameRoom * 2
        if current.isModified, let m = current.modified {
            memcpy(copyFrame, outFrame, Int(m.length))
            withUnsafePointer(to: m) { describe($0, out) }
        } else {
            memcpy(copyFrame, p.pointee.frame, min(Int(p.pointee.length), room))
            describe(p, out)
        }
    }

    /// Fills `out` for a packet whose frame was copied to `copyFrame`.
    private func describe(_ p: UnsafePointer<Packet>, _ out: UnsafeMutablePointer<pkt_info>) {
        let base = UnsafeMutableRawPointer(copyFrame)
        out.pointee = pkt_info()
        out.pointee.cur_ts = UInt32(truncatingIfNeeded: p.pointee.timestamp / 1_000_000)
        out.pointee.in_ifidx = p.pointee.port
        out.pointee.eth_len = UInt16(clamping: p.pointee.length)
        out.pointee.ip_len = p.pointee.ipLength
        out.pointee.ethh = base.assumingMemoryBound(to: ethhdr.self)
        if p.pointee.ipVersion != 0 || p.pointee.ipOffset != 0 {
            out.pointee.iph = (base + Int(p.pointee.ipOffset)).assumingMemoryBound(to: iphdr.self)
        }
        guard p.pointee.kind == .tcp else { return }
        if current.flow != poolNil, let original = current.packet {
            out.pointee.offset = streamOffset(flow(current.flow), 1 &- current.sender, of: original)
        }
        out.pointee.payloadlen = p.pointee.payloadCaptured
        out.pointee.seq = p.pointee.sequence
        out.pointee.ack_seq = p.pointee.acknowledgement
        out.pointee.window = p.pointee.window
        out.pointee.tcph = (base + Int(p.pointee.tcpOffset)).assumingMemoryBound(to: tcphdr.self)
        out.pointee.payload = (base + Int(p.pointee.payloadOffset)).assumingMemoryBound(to: UInt8.self)
    }

    /// `mtcp_setlastpkt`.
    public func changeLastPacket(
        _ id: Int32, offset: Int, _ data: UnsafePointer<UInt8>?, _ count: UInt16, option: Int32
    ) throws(Errno) {
        _ = try find(id)
        guard let p = current.packet else { throw .noData }
        let bits = UInt32(bitPattern: option)
        let drop = UInt32(MOS_DROP)
        let overwrite = UInt32(MOS_OVERWRITE)
        let chomp = UInt32(MOS_CHOMP)
        let insert = UInt32(MOS_INSERT)
        let action = bits & (drop | overwrite | chomp | insert)
        guard action.nonzeroBitCount == 1 else { throw .again }
        if action == drop {
            current.isDropped = true
            return
        }
        let ethernet = UInt32(MOS_ETH_HDR)
        let ip = UInt32(MOS_IP_HDR)
        let tcp = UInt32(MOS_TCP_HDR)
        let payload = UInt32(MOS_TCP_PAYLOAD)
        let part = bits & (ethernet | ip | tcp | payload)
        guard part.nonzeroBitCount == 1 else { throw .invalid }
        if action != overwrite, part == ethernet { throw .accessDenied }
        if part == tcp || part == payload, p.pointee.kind != .tcp { throw .invalid }
        if action != chomp, count > 0, data == nil { throw .invalid }

        try beginChange(p)
        guard let m = current.modified else { throw .invalid }
        let start: Int
        var end: Int
        switch part {
        case ethernet: (start, end) = (0, Int(m.ipOffset))
        case ip: (start, end) = (Int(m.ipOffset), m.kind == .tcp ? Int(m.tcpOffset) : Int(m.ipOffset) + headerLength(m))
        case tcp: (start, end) = (Int(m.tcpOffset), Int(m.payloadOffset))
        // The length that it is about to have may be in the header already.
        default: (start, end) = (Int(m.payloadOffset), max(Int(m.payloadOffset), current.contentEnd))
        }
        // What is known of the layout may be older than the length, when the
        // headers do not parse any more.
        end = min(end, Int(m.length))
        let size = Int(count)
        guard offset >= 0, offset <= end - start else { throw .invalid }
        let at = start + offset
        if action == overwrite {
            guard size <= end - at else { throw .invalid }
            if let data { memcpy(outFrame + at, data, size) }
        } else {
            try resize(m, at, size, insert: action == insert, data, end)
        }
        reparse(m)
        if bits & UInt32(MOS_UPDATE_TCP_CHKSUM) != 0 { updateTCPChecksum() }
        if bits & UInt32(MOS_UPDATE_IP_CHKSUM) != 0 { updateIPChecksum() }
    }

    /// `mtcp_cb_dropcurpkt`: `MOS_DROP` without a socket.
    public func dropCurrentPacket() throws(Errno) {
        guard current.packet != nil else { throw .noData }
        current.isDropped = true
    }

    /// The received frame is never written to: the first change copies it.
    private func beginChange(_ p: UnsafePointer<Packet>) throws(Errno) {
        if current.isModified { return }
        guard Int(p.pointee.length) <= Context.frameRoom else { throw .invalid }
        memcpy(outFrame, p.pointee.frame, Int(p.pointee.length))
        var copy = p.pointee
        copy.frame = UnsafePointer(outFrame)
        current.modified = copy
        current.contentEnd = Int(min(UInt32(copy.ipOffset) + UInt32(copy.ipLength), copy.length))
        current.isModified = true
    }

    private func headerLength(_ m: Packet) -> Int {
        m.ipVersion == 6 ? 40 : Int(m.frame[Int(m.ipOffset)] & 0x0f) * 4
    }

    /// INSERT and CHOMP: the rest of the packet moves. The IP total length is
    /// the caller's word on how long the packet is afterwards.
    private func resize(
        _ m: Packet, _ at: Int, _ size: Int, insert: Bool, _ data: UnsafePointer<UInt8>?, _ partEnd: Int
    ) throws(Errno) {
        // Padding behind the packet does not come along.
        let length = current.contentEnd
        let available = insert ? length + size : length - size
        guard at <= length, insert ? available <= Context.frameRoom : size <= min(partEnd, length) - at else {
            throw .invalid
        }
        // What the header will say, looked up before anything moves.
        func byte(_ i: Int) -> UInt8 {
            // In bounds: `at` is in the IP header or behind it.
            if i < at { return outFrame[i] }
            if !insert { return outFrame[i + size] }
            return i < at + size ? data?[i - at] ?? 0 : outFrame[i - size]
        }
        let ip = Int(m.ipOffset)
        let field = m.ipVersion == 6 ? ip + 4 : ip + 2
        let header = m.ipVersion == 6 ? 40 : Int(byte(ip) & 0x0f) * 4
        let total = Int(byte(field)) << 8 + Int(byte(field + 1)) + (m.ipVersion == 6 ? 40 : 0)
        // What is left of the packet must hold what its header announces.
        guard total >= header, ip + total <= available else { throw .invalid }
        if insert {
            memmove(outFrame + at + size, outFrame + at, length - at)
            if let data { memcpy(outFrame + at, data, size) }
        } else {
            memmove(outFrame + at, outFrame + at + size, length - at - size)
        }
        current.modified?.length = UInt32(ip + total)
        current.contentEnd = ip + total
    }

    /// What the changed headers say. Ports and numbers follow the change; the
    /// emulated stacks do not.
    private func reparse(_ old: Packet) {
        let length = current.modified?.length ?? old.length
        let again = Packet(
            frame: UnsafePointer(outFrame), length: length, wireLength: length, timestamp: old.timestamp,
            vouched: 0, port: old.port, seed: seed)
        // A header that no longer parses is sent as it is: it is the
        // application's packet. What is known of its layout stays.
        if again.kind == old.kind {
            current.modified = again
        } else {
            current.modified?.length = length
        }
    }

    private func updateIPChecksum() {
        guard let m = current.modified, m.ipVersion == 4 else { return }
        Self.writeIPChecksum(outFrame + Int(m.ipOffset), headerLength(m))
    }

    private func updateTCPChecksum() {
        guard let m = current.modified, m.kind == .tcp, m.isComplete else { return }
        let length = Int(m.ipOffset) + Int(m.ipLength) - Int(m.tcpOffset)
        Self.writeTCPChecksum(outFrame + Int(m.ipOffset), isIPv6: m.ipVersion == 6, outFrame + Int(m.tcpOffset), length)
    }

    private static func writeIPChecksum(_ ip: UnsafeMutablePointer<UInt8>, _ length: Int) {
        // In bounds: the header was parsed, or is being made.
        UnsafeMutableRawPointer(ip + 10).storeBytes(of: 0, as: UInt16.self)
        UnsafeMutableRawPointer(ip + 10).storeBytes(of: Checksum.field(Checksum.sum(ip, length)), as: UInt16.self)
    }

    private static func writeTCPChecksum(
        _ ip: UnsafeMutablePointer<UInt8>, isIPv6: Bool, _ tcp: UnsafeMutablePointer<UInt8>, _ length: Int
    ) {
        UnsafeMutableRawPointer(tcp + 16).storeBytes(of: 0, as: UInt16.self)
        let pseudo = isIPv6
            ? Checksum.pseudoHeader(ipv6Source: ip + 8, destination: ip + 24, length: length)
            : Checksum.pseudoHeader(ipv4: ip, length: length)
        UnsafeMutableRawPointer(tcp + 16).storeBytes(
            of: Checksum.field(Checksum.sum(tcp, length, initial: pseudo)), as: UInt16.self)
    }

    // MARK: Sending

    /// `mtcp_sendpkt`: a packet made of the parts given.
    public func sendPacket(_ id: Int32, _ packet: UnsafePointer<pkt_info>?) throws(Errno) {
        let s = try find(id)
        guard let packet, let ip = packet.pointee.iph, let tcp = packet.pointee.tcph else { throw .noData }
        let payloadLength = packet.pointee.payload == nil ? 0 : Int(packet.pointee.payloadlen)
        let ipBytes = UnsafeRawPointer(ip).assumingMemoryBound(to: UInt8.self)
        let tcpBytes = UnsafeRawPointer(tcp).assumingMemoryBound(to: UInt8.self)
        let isIPv6 = ipBytes[0] >> 4 == 6
        let ipLength = isIPv6 ? 40 : 20
        let tcpLength = max(20, Int(tcpBytes[12] >> 4) * 4)
        let total = ipLength + tcpLength + payloadLength
        guard total <= 65_535 else { throw .invalid }
        // Built behind the copy that mtcp_getlastpkt made, which the caller's
        // pointers may point into.
        let frame = copyFrame + Context.frameRoom * 3 - 512
        memset(frame, 0, LinkHeader.capacity + ipLength)
        var linkLength = 14
        var input = Int(packet.pointee.in_ifidx)
        if s.pointee.kind == .monitorActive {
            let toServer = isFromClient(s.pointee.flow, ipBytes, isIPv6)
            input = inputInterface(s.pointee.flow, toServer: toServer)
            if let link = link(s.pointee.flow, toServer: toServer) {
                link.write(to: frame)
                linkLength = link.length
            } else if let ethernet = packet.pointee.ethh {
                memcpy(frame, ethernet, 12)
            }
        } else if let ethernet = packet.pointee.ethh {
            memcpy(frame, ethernet, 12)
        }
        frame.storeBigEndian16(isIPv6 ? 0x86dd : 0x0800, linkLength - 2)
        let header = frame + linkLength
        if isIPv6 {
            memcpy(header, ipBytes, 40)
            header.storeBigEndian16(UInt16(total - 40), 4)
            header[6] = 6
            if header[7] == 0 { header[7] = 64 }
        } else {
            header[0] = 0x45
            header[1] = ipBytes[1]
            header.storeBigEndian16(UInt16(total), 2)
            memcpy(header + 4, ipBytes + 4, 2)
            header.storeBigEndian16(0x4000, 6)
            header[8] = ipBytes[8] == 0 ? 64 : ipBytes[8]
            header[9] = 6
            memcpy(header + 12, ipBytes + 12, 8)
            Self.writeIPChecksum(header, 20)
        }
        let segment = header + ipLength
        memcpy(segment, tcpBytes, tcpLength)
        segment[12] = UInt8(tcpLength / 4) << 4
        if payloadLength > 0, let payload = packet.pointee.payload { memcpy(segment + tcpLength, payload, payloadLength) }
        Self.writeTCPChecksum(header, isIPv6: isIPv6, segment, tcpLength + payloadLength)

        let destination = isIPv6 ? 0 : UnsafePointer(header).bigEndian32(16)
        guard forwarder.sendLike(
            input: input, UnsafePointer(frame), UInt32(linkLength + total), destination: destination, isIPv4: !isIPv6, self)
        else {
            stats.pointee.drop_no_route &+= 1
            throw Errno(ENETUNREACH)
        }
    }

    /// Whether a packet with this IP header is one of the client's.
    private func isFromClient(_ found: UInt32, _ ip: UnsafePointer<UInt8>, _ isIPv6: Bool) -> Bool {
        let beside = extensions + Int(found)
        let f = flow(found)
        let source = isIPv6 ? IPv6Address(ip + 8) : IPv6Address(UInt64(ip.bigEndian32(12)), 0)
        let client = f.pointee.flags.contains(.ipv6)
            ? addresses6[Int(found)].client : IPv6Address(UInt64(f.pointee.clientAddress), 0)
        return source == client
            || f.pointee.flags.contains(.translated) && source == beside.pointee.outerClientAddress
    }

    /// The interface on which packets of the flow with this direction come in.
    private func inputInterface(_ found: UInt32, toServer: Bool) -> Int {
        let client = Int(flow(found).pointee.clientInterface)
        let server = Int(flow(found).pointee.serverInterface)
        if toServer { return client }
        if server >= 0 { return server }
        // It has not spoken yet: its packets will come by the wire's other end.
        let partner = forwarder.partner(of: client)
        return partner >= 0 ? partner : client
    }

    /// `mtcp_reset_conn`: a RST to both ends, with the numbers that each
    /// expects.
    public func resetConnection(_ id: Int32) throws(Errno) {
        let (_, found) = try findActive(id)
        for receiver in 0...1 { try sendReset(id, found, to: receiver) }
        flow(found).pointee.flags.insert(.wasReset)
    }

    private func sendReset(_ id: Int32, _ found: UInt32, to receiver: Int) throws(Errno) {
        let f = flow(found)
        let side = f.side(receiver)
        // An end that has sent its SYN and heard nothing takes a RST that
        // acknowledges it (RFC 9293 §3.10.7.3); one that knows of nothing
        // needs none.
        guard side.pointee.state.knowsPeer || side.pointee.state == .synSent else { return }
        let sender = 1 - receiver
        let isIPv6 = f.pointee.flags.contains(.ipv6)
        let beside = extensions + Int(found)
        // Two small headers at the end of the scratch area.
        let ip = copyFrame + Context.frameRoom * 4 - 64
        memset(ip, 0, 64)
        let tcp: UnsafeMutablePointer<UInt8>
        // The server knows the client as the SYN left.
        let outer = receiver == Sender.server && f.pointee.flags.contains(.translated)
        if isIPv6 {
            ip[0] = 0x60
            let client = outer ? beside.pointee.outerClientAddress : addresses6[Int(found)].client
            let server = outer ? beside.pointee.outerServerAddress : addresses6[Int(found)].server
            let from = sender == 0 ? client : server
            let to = sender == 0 ? server : client
            UnsafeMutableRawPointer(ip).storeBytes(of: from.low, toByteOffset: 8, as: UInt64.self)
            UnsafeMutableRawPointer(ip).storeBytes(of: from.high, toByteOffset: 16, as: UInt64.self)
            UnsafeMutableRawPointer(ip).storeBytes(of: to.low, toByteOffset: 24, as: UInt64.self)
            UnsafeMutableRawPointer(ip).storeBytes(of: to.high, toByteOffset: 32, as: UInt64.self)
            tcp = ip + 40
        } else {
            ip[0] = 0x45
            let client = outer
                ? UInt32(truncatingIfNeeded: beside.pointee.outerClientAddress.low) : f.pointee.clientAddress
            let server = outer
                ? UInt32(truncatingIfNeeded: beside.pointee.outerServerAddress.low) : f.pointee.serverAddress
            ip.storeBigEndian32(sender == 0 ? client : server, 12)
            ip.storeBigEndian32(sender == 0 ? server : client, 16)
            tcp = ip + 20
        }
        let clientPort = outer ? beside.pointee.outerClientPort : f.pointee.clientPort
        let serverPort = outer ? beside.pointee.outerServerPort : f.pointee.serverPort
        tcp.storeBigEndian16(sender == 0 ? clientPort : serverPort, 0)
        tcp.storeBigEndian16(sender == 0 ? serverPort : clientPort, 2)
        tcp.storeBigEndian32(side.pointee.state == .synSent ? 0 : side.pointee.rcvNxt, 4)
        tcp.storeBigEndian32(side.pointee.sndNxt, 8)
        tcp[12] = 0x50
        tcp[13] = TCPFlags.rst | TCPFlags.ack
        var info = pkt_info()
        info.iph = UnsafeMutableRawPointer(ip).assumingMemoryBound(to: iphdr.self)
        info.tcph = UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: tcphdr.self)
        try sendPacket(id, &info)
    }
}
