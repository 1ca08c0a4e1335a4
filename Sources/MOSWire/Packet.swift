// IEEE 802.3, 802.1Q, 802.1ad; RFC 2516 (PPPoE); RFC 791 (IPv4), RFC 8200 (IPv6 and its
// extension headers), RFC 9293 (TCP).

/// What a frame turned out to be.
public enum PacketKind: UInt8 {
    case tcp
    /// IP, but not TCP.
    case otherIP
    /// A fragment of an IP datagram.
    case fragment
    /// Not IP: ARP, LLDP …
    case notIP
    /// TCP whose data offset is below five words or beyond the segment.
    case badTCPOffset
    /// Shorter than the headers that it announces, and cut by the capture.
    case truncated
    /// Shorter than the headers that it announces.
    case tooShort
    /// Lengths or versions contradict each other.
    case malformed
}

/// What the stack knows of one frame after it has looked at it once. The
/// record travels with the frame through the stack; it owns nothing.
public struct Packet {
    /// The Ethernet frame; valid until the burst is done.
    public var frame: UnsafePointer<UInt8>
    /// Nanoseconds since the epoch.
    public var timestamp: UInt64
    /// Bytes at `frame`.
    public var length: UInt32
    /// Bytes that the frame had on the wire.
    public var wireLength: UInt32
    /// IPv4 addresses in host order, the source's in the upper half; 0 for
    /// IPv6.
    public var addresses: UInt64
    public var acknowledgement: SequenceNumber
    public var sequence: SequenceNumber
    /// Ports in host order, the source's in the upper half.
    public var ports: UInt32
    /// The flow's hash, the same in both directions.
    public var hash: UInt32
    /// Offsets into the frame.
    public var ipOffset: UInt16
    public var tcpOffset: UInt16
    public var payloadOffset: UInt16
    /// Payload bytes by the IP header's account.
    public var payloadLength: UInt16
    /// Payload bytes that were captured.
    public var payloadCaptured: UInt16
    /// The IP datagram's length by its header's account (IPv6: with the
    /// fixed header).
    public var ipLength: UInt16
    public var window: UInt16
    public var kind: PacketKind
    /// 4, 6, or 0 when it is not IP.
    public var ipVersion: UInt8
    /// The transport protocol's number.
    public var transport: UInt8
    /// TCP right behind an IPv4 header without options right behind an
    /// Ethernet header without tags, and all of it was captured.
    public var isPlain: Bool
    public var flags: UInt8
    /// `MOS_IO_…_CSUM_OK` bits of the source.
    public var vouched: UInt8
    /// Index of the interface in the configuration.
    public var port: Int8

    @inline(__always)
    public var source: UInt32 { UInt32(truncatingIfNeeded: addresses >> 32) }
    @inline(__always)
    public var destination: UInt32 { UInt32(truncatingIfNeeded: addresses) }
    @inline(__always)
    public var sourcePort: UInt16 { UInt16(truncatingIfNeeded: ports >> 16) }
    @inline(__always)
    public var destinationPort: UInt16 { UInt16(truncatingIfNeeded: ports) }

    /// SEG.LEN (RFC 9293 §3.4). A FIN on a SYN is not looked at.
    @inline(__always)
    public var sequenceLength: UInt32 {
        // FIN is bit 0, SYN bit 1.
        UInt32(payloadLength) &+ UInt32((flags | flags >> 1) & 1)
    }

    /// Parses the frame's headers into `p`, which need not be initialised.
    /// Never reads beyond `length`; whatever the bytes are, the result is one
    /// of the `PacketKind`s. (Field by field in place: a record built on the
    /// stack would be copied with wide loads behind narrow stores.)
    @inline(__always)
    public static func parse(
        into p: UnsafeMutablePointer<Packet>, frame: UnsafePointer<UInt8>, length: UInt32, wireLength: UInt32,
        timestamp: UInt64, vouched: UInt8, port: Int8, seed: FlowHashSeed
    ) {
        p.pointee.frame = frame
        p.pointee.timestamp = timestamp
        p.pointee.length = length
        p.pointee.wireLength = Swift.max(wireLength, length)
        p.pointee.vouched = vouched
        p.pointee.port = port
        p.pointee.parseEthernet(frame, length, wireLength, seed)
    }

    /// The same as a value.
    public init(
        frame: UnsafePointer<UInt8>, length: UInt32, wireLength: UInt32, timestamp: UInt64,
        vouched: UInt8, port: Int8, seed: FlowHashSeed
    ) {
        self.frame = frame
        self.timestamp = timestamp
        self.length = length
        self.wireLength = Swift.max(wireLength, length)
        self.vouched = vouched
        self.port = port
        hash = 0
        addresses = 0
        acknowledgement = 0
        sequence = 0
        ports = 0
        ipOffset = 0
        tcpOffset = 0
        payloadOffset = 0
        payloadLength = 0
        payloadCaptured = 0
        ipLength = 0
        window = 0
        flags = 0
        kind = .tooShort
        ipVersion = 0
        transport = 0
        isPlain = false
        parseEthernet(frame, length, wireLength, seed)
    }

    @inline(__always)
    private mutating func parseEthernet(
        _ frame: UnsafePointer<UInt8>, _ length: UInt32, _ wireLength: UInt32, _ seed: FlowHashSeed
    ) {
        // The usual frame first: every field of the record is written here,
        // neighbours in the frame by one load.
        if length >= 54 {
            let link = UInt64(littleEndian: frame.native64(12))
            let protocols = frame.bigEndian32(20)
            // EtherType, version and header length; neither fragment nor
            // anything but TCP.
            if link & 0xff_ffff == 0x45_0008, protocols & 0x3fff_00ff == 6 {
                let total = frame.bigEndian16(16)
                let control = frame.bigEndian32(46)
                let header = (control >> 28) << 2
                if header >= 20, UInt32(total) >= 20 &+ header, UInt32(total) &+ 14 <= length {
                    addresses = frame.bigEndian64(26)
                    ports = frame.bigEndian32(34)
                    let numbers = frame.bigEndian64(38)
                    acknowledgement = SequenceNumber(truncatingIfNeeded: numbers)
                    sequence = SequenceNumber(truncatingIfNeeded: numbers >> 32)
                    ipOffset = 14
                    tcpOffset = 34
                    payloadOffset = 34 &+ UInt16(truncatingIfNeeded: header)
                    let payload = total &- 20 &- UInt16(truncatingIfNeeded: header)
                    payloadLength = payload
                    payloadCaptured = payload
                    ipLength = total
                    window = UInt16(truncatingIfNeeded: control)
                    flags = UInt8(truncatingIfNeeded: control >> 16)
                    kind = .tcp
                    ipVersion = 4
                    transport = 6
                    isPlain = true
                    hash = seed.hash(addresses: addresses, ports: ports)
                    return
                }
            }
        }
        parseAny(frame, length, wireLength, seed)
    }

    @inline(never)
    private mutating func parseAny(
        _ frame: UnsafePointer<UInt8>, _ length: UInt32, _ wireLength: UInt32, _ seed: FlowHashSeed
    ) {
        hash = 0
        addresses = 0
        acknowledgement = 0
        sequence = 0
        ports = 0
        ipOffset = 0
        tcpOffset = 0
        payloadOffset = 0
        payloadLength = 0
        payloadCaptured = 0
        ipLength = 0
        window = 0
        flags = 0
        kind = .tooShort
        ipVersion = 0
        transport = 0
        isPlain = false
        let count = Int(length)
        let cut = wireLength > length
        guard count >= 14 else {
            kind = cut ? .truncated : .tooShort
            return
        }
        var offset = 12
        var type = frame.bigEndian16(12)
        // Any number of tags, as long as the frame holds them.
        while type == 0x8100 || type == 0x88a8 || type == 0x9100 {
            guard offset &+ 6 <= count, offset < 256 else {
                kind = cut ? .truncated : .tooShort
                return
            }
            offset &+= 4
            type = frame.bigEndian16(offset)
        }
        offset &+= 2
        if type == 0x8864, offset &+ 8 <= count, frame[offset] == 0x11, frame[offset &+ 1] == 0 {
            // A PPPoE session (RFC 2516 §4): its header, then the PPP
            // protocol's number (RFC 1332 §3, RFC 5072 §3).
            let content = frame.bigEndian16(offset &+ 6)
            if content == 0x0021 || content == 0x0057 {
                type = content == 0x0021 ? 0x0800 : 0x86dd
                offset &+= 8
            }
        }
        ipOffset = UInt16(truncatingIfNeeded: offset)
        if type == 0x0800 {
            parseIPv4(offset, count, cut, seed)
        } else if type == 0x86dd {
            parseIPv6(offset, count, cut, seed)
        } else {
            kind = .notIP
        }
    }

    @inline(__always)
    private mutating func parseIPv4(_ ip: Int, _ count: Int, _ cut: Bool, _ seed: FlowHashSeed) {
        guard ip &+ 20 <= count else {
            kind = cut ? .truncated : .tooShort
            return
        }
        let first = frame[ip]
        let headerLength = Int(first & 0x0f) &* 4
        guard first >> 4 == 4, headerLength >= 20 else {
            kind = .malformed
            return
        }
        var total = Int(frame.bigEndian16(ip &+ 2))
        // A capture of a segment that the card cuts later (TSO) has length 0.
        if total == 0 { total = Swift.min(Int(wireLength) &- ip, 65535) }
        guard total >= headerLength else {
            kind = .malformed
            return
        }
        guard ip &+ headerLength <= count else {
            kind = cut ? .truncated : .tooShort
            return
        }
        if ip &+ total > Int(wireLength) {
            kind = .tooShort
            return
        }
        ipVersion = 4
        ipLength = UInt16(truncatingIfNeeded: total)
        transport = frame[ip &+ 9]
        addresses = frame.bigEndian64(ip &+ 12)
        tcpOffset = UInt16(truncatingIfNeeded: ip &+ headerLength)
        // More fragments, or an offset: a fragment (RFC 791 §3.1).
        if frame.bigEndian16(ip &+ 6) & 0x3fff != 0 {
            kind = .fragment
            return
        }
        guard transport == 6 else {
            kind = .otherIP
            return
        }
        parseTCP(ip &+ headerLength, end: ip &+ total, count, cut)
        if kind == .tcp {
            hash = seed.hash(addresses: addresses, ports: ports)
        }
    }

    private mutating func parseIPv6(_ ip: Int, _ count: Int, _ cut: Bool, _ seed: FlowHashSeed) {
        guard ip &+ 40 <= count else {
            kind = cut ? .truncated : .tooShort
            return
        }
        guard frame[ip] >> 4 == 6 else {
            kind = .malformed
            return
        }
        var total = Int(frame.bigEndian16(ip &+ 4)) &+ 40
        if total == 40, frame[ip &+ 6] == 6 || frame[ip &+ 6] == 0 {
            // TSO, or a jumbogram (RFC 2675), which is taken by its frame.
            total = Swift.min(Int(wireLength) &- ip, 65535)
        }
        if ip &+ total > Int(wireLength) || total > 65535 {
            kind = .tooShort
            return
        }
        ipVersion = 6
        ipLength = UInt16(truncatingIfNeeded: total)
        let end = ip &+ total
        var next = frame[ip &+ 6]
        var at = ip &+ 40
        var isAtomic = false
        while true {
            switch next {
            case 0, 43, 60:
                // Any number, as on Linux: each is 8 bytes at least. (Behind
                // others, AH and mobility among them, no host finds TCP.)
                guard at &+ 8 <= end else {
                    kind = .malformed
                    return
                }
                guard at &+ 8 <= count else {
                    kind = cut ? .truncated : .tooShort
                    return
                }
                let size = (Int(frame[at &+ 1]) &+ 1) &* 8
                // Offsets have 16 bits, and a fragment header's end is one.
                guard at &+ size <= end, at &+ size &+ 8 <= 65535 else {
                    kind = .malformed
                    return
                }
                guard at &+ size <= count else {
                    kind = cut ? .truncated : .tooShort
                    return
                }
                next = frame[at]
                at &+= size
                continue
            case 44:
                guard at &+ 8 <= end else {
                    kind = .malformed
                    return
                }
                guard at &+ 8 <= count else {
                    kind = cut ? .truncated : .tooShort
                    return
                }
                if frame.bigEndian16(at &+ 2) & 0xfff9 == 0, !isAtomic {
                    // RFC 6946: an atomic fragment is the whole datagram. (A
                    // second such header is refused, as Linux does.)
                    isAtomic = true
                    next = frame[at]
                    at &+= 8
                    continue
                }
                if isAtomic {
                    kind = .malformed
                    return
                }
                transport = frame[at]
                tcpOffset = UInt16(truncatingIfNeeded: at)
                kind = .fragment
                return
            default:
                break
            }
            break
        }
        transport = next
        tcpOffset = UInt16(truncatingIfNeeded: at)
        guard next == 6 else {
            kind = .otherIP
            return
        }
        parseTCP(at, end: end, count, cut)
        if kind == .tcp {
            hash = seed.hash(
                ipv6: frame + (ip &+ 8), sourcePort, frame + (ip &+ 24), destinationPort)
        }
    }

    @inline(__always)
    private mutating func parseTCP(_ tcp: Int, end: Int, _ count: Int, _ cut: Bool) {
        tcpOffset = UInt16(truncatingIfNeeded: tcp)
        guard tcp &+ 20 <= end, tcp &+ 20 <= 65535 else {
            kind = .badTCPOffset
            return
        }
        guard tcp &+ 20 <= count else {
            kind = cut ? .truncated : .tooShort
            return
        }
        ports = frame.bigEndian32(tcp)
        sequence = frame.bigEndian32(tcp &+ 4)
        acknowledgement = frame.bigEndian32(tcp &+ 8)
        flags = frame[tcp &+ 13]
        window = frame.bigEndian16(tcp &+ 14)
        let headerLength = Int(frame[tcp &+ 12] >> 4) &* 4
        guard headerLength >= 20, tcp &+ headerLength <= end else {
            kind = .badTCPOffset
            return
        }
        guard tcp &+ headerLength <= count || cut else {
            kind = .tooShort
            return
        }
        // Where a capture keeps less than the options, they end with it.
        payloadOffset = UInt16(truncatingIfNeeded: Swift.min(tcp &+ headerLength, count))
        payloadLength = UInt16(truncatingIfNeeded: end &- tcp &- headerLength)
        payloadCaptured = UInt16(truncatingIfNeeded: Swift.max(Swift.min(end, count) &- tcp &- headerLength, 0))
        kind = .tcp
    }

    /// The capture has cut the segment's options.
    public var hasCutOptions: Bool {
        kind == .tcp && tcpOffset &+ UInt16(frame[Int(tcpOffset) &+ 12] >> 4) &* 4 > payloadOffset
    }

    /// Whether all of the datagram was captured.
    @inline(__always)
    public var isComplete: Bool {
        UInt32(ipOffset) &+ UInt32(ipLength) <= length
    }

    /// Whether a Linux host looks at what the IP header's options, or the
    /// extension headers, are followed by (`kind` is `.tcp` or `.fragment`).
    @inline(__always)
    public var isHeeded: Bool {
        let length = tcpOffset &- ipOffset
        if ipVersion == 4 { return length == 20 || isHeededWithOptions }
        return length == 40 || isHeededWithHeaders
    }

    /// The IP header gives no length, and the frame's was taken (`kind` is
    /// `.tcp`): a capture of what the card cuts later (TSO); on the wire it
    /// means a datagram without a payload, or none.
    @inline(__always)
    public var hasGuessedLength: Bool {
        let ip = Int(ipOffset)
        // In bounds: the parser has seen the whole header.
        if ipVersion == 4 { return frame.bigEndian16(ip &+ 2) == 0 }
        // Behind a hop-by-hop header a host takes the frame's, too (RFC 2675,
        // ip6_rcv_core()).
        return frame.bigEndian16(ip &+ 4) == 0 && frame[ip &+ 6] != 0
    }

    /// RFC 791 header checksum; IPv6 has none.
    @inline(__always)
    public func verifyIPChecksum() -> Bool {
        guard ipVersion == 4 else { return true }
        // In bounds: the parser has seen the whole header.
        return Checksum.verifyIPv4Header(frame + Int(ipOffset), Int(frame[Int(ipOffset)] & 0x0f) &* 4)
    }

    /// RFC 9293 §3.1 checksum of a complete segment.
    @inline(__always)
    public func verifyTCPChecksum() -> Bool {
        let ip = frame + Int(ipOffset)
        let length = Int(ipOffset) &+ Int(ipLength) &- Int(tcpOffset)
        let pseudo: UInt64
        if ipVersion == 4 {
            pseudo = Checksum.pseudoHeader(ipv4: ip, length: length)
        } else {
            // With the fixed header's addresses: a routing header that has
            // another way to go, or a home address, is not heeded.
            pseudo = Checksum.pseudoHeader(ipv6Source: ip + 8, destination: ip + 24, length: length)
        }
        // In bounds: the caller asks this of complete datagrams only.
        return Checksum.fold(Checksum.sum(frame + Int(tcpOffset), length, initial: pseudo)) == 0xffff
    }

    /// The segment's options; empty unless `kind` is `.tcp`.
    @inline(__always)
    public var options: TCPOptions {
        guard payloadOffset > tcpOffset &+ 20 else { return TCPOptions() }
        // In bounds: the parser has seen the whole header.
        return TCPOptions(frame + (Int(tcpOffset) &+ 20), length: Int(payloadOffset) &- Int(tcpOffset) &- 20)
    }

    /// RFC 7323 §3.2 timestamps, by the layout that every current stack
    /// sends (appendix A), else by a walk over the options.
    @inline(__always)
    public func timestamps(value: inout UInt32, echo: inout UInt32) -> Bool {
        let length = Int(payloadOffset) &- Int(tcpOffset) &- 20
        guard length >= 12 else { return false }
        let at = Int(tcpOffset) &+ 20
        if frame.bigEndian32(at) == 0x0101_080a {
            value = frame.bigEndian32(at &+ 4)
            echo = frame.bigEndian32(at &+ 8)
            return true
        }
        let options = options
        value = options.timestampValue
        echo = options.timestampEcho
        return options.hasTimestamps
    }
}
