import CPcap
import CSys

/// A compiled pcap-filter(7) expression. Trivial: who stores it frees it.
public struct PacketFilter {
    /// What the expression is applied to.
    public enum Base {
        /// The Ethernet frame.
        case frame
        /// The IP packet, wherever it lies in the frame.
        case ip
    }

    private var program: UnsafeMutablePointer<bpf_program>?

    /// Matches everything.
    public static var all: PacketFilter { PacketFilter() }

    private init() { program = nil }

    @inline(__always)
    public var matchesAll: Bool { program == nil }

    /// nil when the expression is not one; `message` then holds libpcap's
    /// words, `size` bytes at most.
    public init?(
        _ expression: UnsafePointer<CChar>, base: Base, message: UnsafeMutablePointer<CChar>? = nil, size: Int = 0
    ) {
        guard let handle = pcap_open_dead(base == .frame ? DLT_EN10MB : DLT_RAW, 262_144) else { return nil }
        defer { pcap_close(handle) }
        let compiled = UnsafeMutablePointer<bpf_program>.allocate(capacity: 1)
        guard pcap_compile(handle, compiled, expression, 1, bpf_u_int32(0xffff_ffff)) == 0 else {
            if let message, size > 0, let error = pcap_geterr(handle) { strncpy(message, error, size - 1); message[size - 1] = 0 }
            compiled.deallocate()
            return nil
        }
        program = compiled
    }

    /// Whether the packet passes.
    @inline(__always)
    public func matches(_ bytes: UnsafePointer<UInt8>, wireLength: UInt32, length: UInt32) -> Bool {
        guard let program else { return true }
        return bpf_filter(program.pointee.bf_insns, bytes, wireLength, length) != 0
    }

    public mutating func free() {
        guard let old = program else { return }
        pcap_freecode(old)
        old.deallocate()
        program = nil
    }

    /// The words that `mtcp_bind_monitor_filter` allows in the expressions of
    /// a listener, which see TCP packets only: tests on addresses and ports.
    /// Returns the expression with `&` and `|` written out, malloc'ed, or nil
    /// when something else stands in it.
    public static func normalizedStreamExpression(_ text: UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>? {
        let length = strlen(text)
        guard length <= 4096, let out = malloc(length * 5 + 1)?.assumingMemoryBound(to: CChar.self) else { return nil }
        var used = 0
        var at = 0
        var afterNot = false
        func put(_ word: StaticString) {
            for i in 0..<word.utf8CodeUnitCount {
                out[used] = CChar(bitPattern: word.utf8Start[i])
                used += 1
            }
        }
        while at < length {
            let c = UInt8(bitPattern: text[at])
            switch c {
            case 0x20, 0x09, 0x0a, 0x0d:
                out[used] = 0x20
                used += 1
                at += 1
            case UInt8(ascii: "("), UInt8(ascii: ")"):
                out[used] = text[at]
                used += 1
                at += 1
                afterNot = false
            case UInt8(ascii: "&"), UInt8(ascii: "|"):
                // `&`, `&&`, `|` and `||`.
                put(c == UInt8(ascii: "&") ? " and " : " or ")
                at += at + 1 < length && UInt8(bitPattern: text[at + 1]) == c ? 2 : 1
                afterNot = false
            case UInt8(ascii: "!"):
                put(" not ")
                at += 1
                afterNot = true
            default:
                let start = at
                while at < length, isWordByte(UInt8(bitPattern: text[at])) { at += 1 }
                guard at > start, isAllowed(text + start, at - start, afterNot: afterNot) else {
                    Self.release(out)
                    return nil
                }
                afterNot = equals(text + start, at - start, "not")
                memcpy(out + used, text + start, at - start)
                used += at - start
            }
        }
        out[used] = 0
        return out
    }

    private static func release(_ p: UnsafeMutablePointer<CChar>) { CSys.free(p) }

    private static func isWordByte(_ c: UInt8) -> Bool {
        switch c {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            return true
        default:
            return false
        }
    }

    private static func equals(_ word: UnsafePointer<CChar>, _ length: Int, _ keyword: StaticString) -> Bool {
        length == keyword.utf8CodeUnitCount && memcmp(word, keyword.utf8Start, length) == 0
    }

    /// pcap-filter's other keywords are refused; whatever else is a word is an
    /// address, a number or a name, and libpcap tells whether it is one.
    private static func isAllowed(_ word: UnsafePointer<CChar>, _ length: Int, afterNot: Bool) -> Bool {
        if equals(word, length, "tcp") { return !afterNot }
        for keyword: StaticString in [
            "udp", "icmp", "icmp6", "igmp", "arp", "rarp", "ip", "ip6", "ether", "vlan", "mpls", "pppoed", "pppoes",
            "proto", "protochain", "broadcast", "multicast", "gateway", "less", "greater", "len", "inbound",
            "outbound", "sctp", "ah", "esp", "pim", "vrrp", "carp", "igrp", "wlan", "link", "fddi", "tr", "ppp",
            "slip", "radio", "atalk", "aarp", "decnet", "iso", "stp", "ipx", "netbeui", "lat", "moprc", "mopdl",
            "geneve", "type", "subtype", "dir", "llc", "ifname", "on", "rnr", "rulenum", "reason", "rset",
            "ruleset", "srnr", "subrulenum", "action", "ifindex",
        ] where equals(word, length, keyword) {
            return false
        }
        return true
    }
}
