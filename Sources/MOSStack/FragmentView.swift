import MOSWire

/// One fragment's place in its datagram, read from its headers.
struct FragmentView {
    var key: FragmentKey
    /// Of the fragment's payload in the datagram's: 0 … 65 528.
    var start: Int
    /// The byte behind it: up to 131 043, which no datagram can have.
    var end: Int
    /// More fragments follow (the MF or M flag).
    var hasMore: Bool
    /// Where the payload begins in the frame.
    var payload: Int
    /// How many bytes of the frame come before the fragmentable part, without
    /// the fragment header.
    var headLength: Int
    /// IPv6: where in the frame the fragment header's number stands.
    var nextHeaderField: Int
    /// IPv6: what the fragment header is followed by.
    var nextHeader: UInt8
    /// One bit for the ECN codepoint (RFC 3168 §5): `1 << codepoint`.
    var ecn: UInt8
    /// The capture holds all of it.
    var isCaptured: Bool

    /// Nil for what Linux 6 throws away before it looks for the datagram:
    /// lengths of zero in the IP header; IPv6 fragments behind another
    /// fragment header; and first fragments of IPv6 that do not hold the whole
    /// transport header (RFC 8200 §4.5, RFC 7112).
    @inline(__always)
    init?(_ p: UnsafePointer<Packet>) {
        let frame = p.pointee.frame
        let ip = Int(p.pointee.ipOffset)
        let at = Int(p.pointee.tcpOffset)
        let ipEnd = ip &+ Int(p.pointee.ipLength)
        isCaptured = p.pointee.isComplete
        // In bounds, here and below: the parser has seen the IP header, and
        // for IPv6 the chain of headers up to the end of the fragment header.
        if p.pointee.ipVersion == 4 {
            guard at >= ip &+ 20, at <= ipEnd, frame.bigEndian16(ip &+ 2) != 0 else { return nil }
            let field = frame.bigEndian16(ip &+ 6)
            key = FragmentKey(
                ipv4: p.pointee.source, p.pointee.destination, identification: frame.bigEndian16(ip &+ 4),
                protocol: frame[ip &+ 9])
            start = Int(field & 0x1fff) &* 8
            hasMore = field & 0x2000 != 0
            end = start &+ (ipEnd &- at)
            // What is over a multiple of 8 bytes is cut off.
            if hasMore { end &= ~7 }
            payload = at
            headLength = at
            nextHeaderField = 0
            nextHeader = 0
            ecn = 1 &<< (frame[ip &+ 1] & 3)
            return
        }
        guard p.pointee.ipVersion == 6, at >= ip &+ 40, at &+ 8 <= ipEnd, frame.bigEndian16(ip &+ 4) != 0 else {
            return nil
        }
        let field = frame.bigEndian16(at &+ 2)
        key = FragmentKey(ipv6: frame + ip, identification: frame.bigEndian32(at &+ 4))
        start = Int(field & 0xfff8)
        hasMore = field & 1 != 0
        end = start &+ (ipEnd &- at &- 8)
        payload = at &+ 8
        headLength = at
        nextHeader = frame[at]
        ecn = 1 &<< ((frame[ip &+ 1] &>> 4) & 3)

        nextHeaderField = ip &+ 6
        var position = ip &+ 40
        while position < at {
            let number = frame[nextHeaderField]
            if number == 44 { return nil }
            nextHeaderField = position
            position &+= ExtensionHeader.length(number, frame[position &+ 1])
        }
        guard position == at else { return nil }
        if start == 0, isCaptured, ExtensionHeader.lacksTransport(frame, payload, ipEnd, nextHeader) { return nil }
    }
}

/// IPv6 extension headers as Linux walks them (RFC 8200 §4, RFC 4302 §2.2).
enum ExtensionHeader {
    /// Bytes of a header from its number and its length field.
    @inline(__always)
    static func length(_ number: UInt8, _ field: UInt8) -> Int {
        number == 51 ? (Int(field) &+ 2) &* 4 : (Int(field) &+ 1) &* 8
    }

    /// Whether the bytes `at ..< end`, whose first header is number `first`,
    /// name a transport whose header they do not hold whole. Where the walk
    /// ends otherwise (no next header, the bytes' end, another fragment's
    /// header) nothing is known to be missing.
    static func lacksTransport(_ bytes: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ first: UInt8) -> Bool {
        var number = first
        var position = at
        while true {
            switch number {
            case 0, 43, 44, 51, 60:
                // In bounds: checked before each header is read.
                guard position &+ 2 <= end else { return false }
                var size = length(number, bytes[position &+ 1])
                if number == 44 {
                    guard position &+ 4 <= end, bytes.bigEndian16(position &+ 2) & 0xfff8 == 0 else { return false }
                    size = 8
                }
                number = bytes[position]
                position &+= size
            case 59:
                return false
            case 6:
                return position &+ 20 > end
            case 17, 58:
                return position &+ 8 > end
            default:
                return position &+ 1 > end
            }
        }
    }

    /// Whether the headers in `at ..< end` that `first` begins hold a
    /// fragment header.
    static func holdsFragmentHeader(_ bytes: UnsafePointer<UInt8>, _ at: Int, _ end: Int, _ first: UInt8) -> Bool {
        var number = first
        var position = at
        // In bounds: checked before each header is read.
        while position &+ 8 <= end {
            switch number {
            case 44:
                return true
            case 0, 43, 51, 60, 135, 139, 140:
                let size = length(number, bytes[position &+ 1])
                number = bytes[position]
                position &+= size
            default:
                return false
            }
        }
        return number == 44
    }
}
