import CSys
import MOSStorage
import MOSTCP
import MOSWire

/// The Ethernet header, tags included, of a flow's packets from client to
/// server (IEEE 802.3, 802.1Q): what a packet of our own has to wear to reach
/// an end of the flow through a bump in the wire.
struct LinkHeader {
    /// The flow's first packet, which tells it from others that had its place.
    var flowStarted: UInt64 = 0
    private var bytes: (UInt64, UInt64, UInt64) = (0, 0, 0)
    /// Bytes of it, up to the IP header; 0: not known.
    private(set) var length = 0

    /// An Ethernet header with two tags.
    static let capacity = 22

    /// Notes the header of a packet; of more than two tags nothing.
    mutating func note(_ p: UnsafePointer<Packet>) {
        length = 0
        let size = Int(p.pointee.ipOffset)
        guard size >= 14, size <= Self.capacity else { return }
        // In bounds: the parser has seen the header, and 24 bytes hold it.
        withUnsafeMutableBytes(of: &bytes) { _ = memcpy($0.baseAddress!, p.pointee.frame, size) }
        length = size
    }

    /// The same on the way back.
    mutating func turn() {
        withUnsafeMutableBytes(of: &bytes) {
            for i in 0..<6 { $0.swapAt(i, i + 6) }
        }
    }

    /// Writes `length` bytes.
    func write(to frame: UnsafeMutablePointer<UInt8>) {
        withUnsafeBytes(of: bytes) { _ = memcpy(frame, $0.baseAddress!, length) }
    }
}

extension Context {
    /// A packet is about to be forwarded as `nic_forward_table` says.
    @inline(__always)
    func noteLink(_ p: UnsafePointer<Packet>) {
        if p.pointee.flags & TCPFlags.syn != 0, p.pointee.kind == .tcp, current.flow != poolNil,
            current.sender == Sender.client
        {
            let link = links + Int(current.flow)
            link.pointee.note(p)
            link.pointee.flowStarted = flow(current.flow).pointee.started
        }
    }

    /// What a packet of our own wears on its way to an end of the flow: what
    /// the flow's packets do. nil: that is not known.
    func link(_ found: UInt32, toServer: Bool) -> LinkHeader? {
        var link = LinkHeader()
        var isToServer = true
        if current.flow == found, let p = current.packet {
            // It may be the first, which nobody has forwarded yet.
            link.note(p)
            isToServer = current.sender == Sender.client
        } else if forwarder.partner(of: Int(flow(found).pointee.clientInterface)) >= 0 {
            // Zeros, or what was noted for the flow that is named there.
            link = links[Int(found)]
            if link.flowStarted != flow(found).pointee.started { return nil }
        }
        guard link.length > 0 else { return nil }
        if toServer != isToServer { link.turn() }
        return link
    }
}
