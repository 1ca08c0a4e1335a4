import CSys
import MOSStorage
import MOSTCP
import MOSWire

/// The Ethernet header, tags included, of a flow's packets from client to
/// server (IEEE 802.3, 802.1Q): what a packet of our own has to wear to reach
/// an end of the flow through a bump in the wire.
struct LinkHeader {
    /// An Ethernet header with two tags.
    static let capacity = 22

    /// 0: not known.
    var length: UInt8
    // Two words and three halves make 22 bytes.
    private var bytes: (UInt64, UInt64, UInt16, UInt16, UInt16)

    /// Notes what a packet of the client wears; of more than two tags nothing.
    static func note(_ p: UnsafePointer<Packet>, at target: UnsafeMutablePointer<LinkHeader>) {
        let length = Int(p.pointee.ipOffset)
        guard length >= 14, length <= capacity else {
            target.pointee.length = 0
            return
        }
        // In bounds: the parser has seen the header, and it fits.
        memcpy(UnsafeMutableRawPointer(target) + bytesOffset, p.pointee.frame, length)
        target.pointee.length = UInt8(length)
    }

    /// Writes it for a packet to the server, or to the client, to the
    /// `length` bytes at `frame`. The type behind the tags is the caller's.
    static func write(_ source: UnsafePointer<LinkHeader>, toServer: Bool, _ frame: UnsafeMutablePointer<UInt8>) {
        let bytes = UnsafeRawPointer(source) + bytesOffset
        memcpy(frame, bytes, Int(source.pointee.length))
        if !toServer {
            memcpy(frame, bytes + 6, 6)
            memcpy(frame + 6, bytes, 6)
        }
    }

    private static let bytesOffset = 8
}

extension Context {
    /// A packet of a flow is about to be forwarded by `nic_forward_table`.
    @inline(__always)
    func noteLink(_ p: UnsafePointer<Packet>) {
        if p.pointee.flags & TCPFlags.syn != 0, p.pointee.kind == .tcp, current.flow != poolNil, current.sender == Sender.client {
            LinkHeader.note(p, at: links + Int(current.flow))
        }
    }

    /// What a packet of our own wears on its way to an end of the flow: what
    /// the flow's packets do. nil: that is not known.
    func link(_ found: UInt32) -> LinkHeader? {
        var link = LinkHeader(length: 0, bytes: (0, 0, 0, 0, 0))
        if current.flow == found, let p = current.packet {
            // It may be the first, which nobody has forwarded.
            LinkHeader.note(p, at: &link)
            if current.sender == Sender.server, link.length > 0 { link.swap() }
        }
        if link.length == 0, forwarder.hasPartner(flow(found).pointee.clientInterface) { link = links[Int(found)] }
        return link.length == 0 ? nil : link
    }
}
