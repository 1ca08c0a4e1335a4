import CPcap
import CSys

/// How a capture's link layer becomes Ethernet. Read first:
/// https://www.tcpdump.org/linktypes.html, and pcap-linktype(7).
struct LinkLayer {
    enum Kind: UInt8 {
        /// EN10MB.
        case ethernet
        /// RAW, IPV4, IPV6: the IP header is first.
        case rawIP
        /// NULL and LOOP: four bytes of address family, in some byte order.
        case loopback
        /// LINUX_SLL: cooked capture, 16 bytes.
        case cooked
        /// LINUX_SLL2: 20 bytes.
        case cooked2
    }

    static let ethernetHeader = 14

    let kind: Kind

    /// Bytes before the packet that give way to the Ethernet header.
    let stripped: Int

    /// nil: a link type that this does not carry.
    init?(dataLink: Int32) {
        switch dataLink {
        case DLT_EN10MB: (kind, stripped) = (.ethernet, 0)
        // 12 and 101 are one DLT for libpcap; 14 is RAW as OpenBSD numbers it.
        case DLT_RAW, 14, 101, DLT_IPV4, DLT_IPV6: (kind, stripped) = (.rawIP, 0)
        case DLT_NULL, DLT_LOOP: (kind, stripped) = (.loopback, 4)
        case DLT_LINUX_SLL: (kind, stripped) = (.cooked, 16)
        case DLT_LINUX_SLL2: (kind, stripped) = (.cooked2, 20)
        default: return nil
        }
    }

    /// Bytes that a frame grows by when its header is replaced; may be negative.
    var growth: Int { kind == .ethernet ? 0 : Self.ethernetHeader - stripped }

    /// Writes the 14 bytes of Ethernet header for a captured packet. False: the
    /// packet is no IP, or too short to tell, and has no place in Ethernet.
    ///
    /// `out` has room for 14 bytes, `data` holds `captured`.
    func writeHeader(_ data: UnsafePointer<UInt8>, captured: Int, to out: UnsafeMutablePointer<UInt8>) -> Bool {
        memset(out, 0, Self.ethernetHeader)
        var etherType: UInt16
        switch kind {
        case .ethernet:
            return false
        case .rawIP:
            guard captured >= 1, let type = Self.etherType(ofIP: data[0]) else { return false }
            etherType = type
        case .loopback:
            guard captured >= 4, let type = Self.etherType(ofFamily: data) else { return false }
            etherType = type
        case .cooked:
            guard captured >= stripped else { return false }
            etherType = Self.bigEndian(data + 14)
            let deviceType = Self.bigEndian(data + 2)
            if deviceType == Self.netlinkDevice { return false }
            copyAddress(data + 6, length: Int(Self.bigEndian(data + 4)), to: out)
            if Self.bigEndian(data) == Self.broadcastPacket { memset(out, 0xFF, 6) }
        case .cooked2:
            guard captured >= stripped else { return false }
            etherType = Self.bigEndian(data)
            let deviceType = Self.bigEndian(data + 8)
            if deviceType == Self.netlinkDevice { return false }
            copyAddress(data + 12, length: Int(data[11]), to: out)
            if UInt16(data[10]) == Self.broadcastPacket { memset(out, 0xFF, 6) }
        }
        if etherType < 0x0600 {
            // ETH_P_802_3 and ETH_P_802_2 stand for frames with a length field.
            guard etherType == 1 || etherType == 4 else { return false }
            etherType = UInt16(min(captured - stripped, 1500))
        }
        out[12] = UInt8(truncatingIfNeeded: etherType >> 8)
        out[13] = UInt8(truncatingIfNeeded: etherType)
        return true
    }

    private static let broadcastPacket: UInt16 = 1  // PACKET_BROADCAST
    private static let netlinkDevice: UInt16 = 824  // ARPHRD_NETLINK: the protocol is no Ethertype

    private func copyAddress(_ address: UnsafePointer<UInt8>, length: Int, to out: UnsafeMutablePointer<UInt8>) {
        if length == 6 { memcpy(out + 6, address, 6) }
    }

    private static func bigEndian(_ p: UnsafePointer<UInt8>) -> UInt16 {
        UInt16(p[0]) << 8 | UInt16(p[1])
    }

    private static func etherType(ofIP first: UInt8) -> UInt16? {
        switch first >> 4 {
        case 4: return 0x0800
        case 6: return 0x86DD
        default: return nil
        }
    }

    /// NULL has the byte order of the machine that captured, which need not be
    /// the file's; a family is a small number, so the order shows.
    private static func etherType(ofFamily p: UnsafePointer<UInt8>) -> UInt16? {
        let family: UInt8
        if p[0] == 0, p[1] == 0, p[2] == 0 {
            family = p[3]
        } else if p[1] == 0, p[2] == 0, p[3] == 0 {
            family = p[0]
        } else {
            return nil
        }
        switch family {
        case 2: return 0x0800
        // Linux 10, Windows 23, NetBSD and OpenBSD 24, Solaris 26, FreeBSD 28, Darwin 30.
        case 10, 23, 24, 26, 28, 30: return 0x86DD
        default: return nil
        }
    }
}
