// RFC 8200 §4 (extension headers), RFC 2675 (jumbo payload), RFC 2711 (router
// alert), RFC 4942 §2.1.9.5 (padding), RFC 5095, 6554 and 8754 (routing
// headers), RFC 6275 §6.3 (home address), RFC 9486 (IOAM).

extension Packet {
    /// Whether a host takes a datagram with these extension headers, as Linux
    /// is set up: those up to TCP, or up to the fragment header of a fragment.
    var isHeededWithHeaders: Bool {
        let ip = Int(ipOffset)
        let end = Int(tcpOffset)
        // In bounds: the parser has seen these headers, and walked them in the
        // same way.
        var number = frame[ip &+ 6]
        var at = ip &+ 40
        while at < end {
            var size = (Int(frame[at &+ 1]) &+ 1) &* 8
            switch number {
            case 0:
                // RFC 8200 §4.1: right behind the fixed header only.
                guard at == ip &+ 40, areOptionsHeeded(at, at &+ size, isHopByHop: true) else { return false }
            case 60:
                guard areOptionsHeeded(at, at &+ size, isHopByHop: false) else { return false }
            case 43:
                // ipv6_rthdr_rcv(): RFC 5095 §3, and what is for mobile nodes.
                guard frame[at &+ 3] == 0 else { return false }
                // RFC 6554 and RFC 8754: off (rpl_seg_enabled, seg6_enabled).
                guard frame[at &+ 2] != 3, frame[at &+ 2] != 4 else { return false }
            default:
                // An atomic fragment's.
                size = 8
            }
            number = frame[at]
            at &+= size
        }
        return true
    }

    /// ip6_parse_tlv(), on the options of the header in `header ..< end`.
    private func areOptionsHeeded(_ header: Int, _ end: Int, isHopByHop: Bool) -> Bool {
        var i = header &+ 2
        var padding = 0
        var count = 0
        while i < end {
            let kind = frame[i]
            if kind == 0 {
                // Pad1. Padding aligns to 8 bytes: 7 in a row are the most.
                padding &+= 1
                guard padding <= 7 else { return false }
                i &+= 1
                continue
            }
            guard i &+ 1 < end else { return false }
            let size = Int(frame[i &+ 1]) &+ 2
            guard i &+ size <= end else { return false }
            if kind == 1 {
                // PadN, of zeros.
                padding &+= size
                guard padding <= 7 else { return false }
                for at in i &+ 2..<i &+ size where frame[at] != 0 { return false }
            } else {
                // max_hbh_opts_number, max_dst_opts_number.
                count &+= 1
                padding = 0
                guard count <= 8, isOptionHeeded(i, kind, size &- 2, isHopByHop) else { return false }
            }
            i &+= size
        }
        return true
    }

    /// An option that is no padding: where it lies, and the length of its data.
    private func isOptionHeeded(_ at: Int, _ kind: UInt8, _ length: Int, _ isHopByHop: Bool) -> Bool {
        let ip = Int(ipOffset)
        if isHopByHop {
            switch kind {
            case 5:
                // ipv6_hop_ra().
                return length == 2
            case 49:
                // ipv6_hop_ioam(): off, but for its alignment.
                return (at &- ip) & 3 == 0
            case 0xc2:
                // ipv6_hop_jumbo(): more than 65 535 bytes, all there, and no
                // payload length.
                guard length == 4, (at &- ip) & 3 == 2, frame.bigEndian16(ip &+ 4) == 0 else { return false }
                let payload = frame.bigEndian32(at &+ 2)
                return payload > 65535 && Int(payload) <= Int(wireLength) &- ip &- 40
            default:
                break
            }
        }
        // RFC 8200 §4.2: only 00 is to be skipped. A home address (0xc9) counts
        // with a binding alone (RFC 6275 §9.3.1).
        return kind & 0xc0 == 0
    }
}
