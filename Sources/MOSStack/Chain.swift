import CSys
import MOSPacketIO
import MOSStorage

/// The listeners or the raw sockets of a context, in the order of their
/// creation.
struct Chain {
    struct Link {
        var socket: UInt32
        /// Listener: on the SYN. Raw: on each packet.
        var filter: PacketFilter
        /// Listener: on orphans.
        var orphanFilter: PacketFilter
    }

    private(set) var count = 0
    private let links: UnsafeMutablePointer<Link>

    /// More sockets of this kind than that are refused.
    static let capacity = 1024

    init?() {
        guard let memory = csys_reserve(Self.capacity * MemoryLayout<Link>.stride) else { return nil }
        links = memory.assumingMemoryBound(to: Link.self)
    }

    @inline(__always)
    subscript(_ at: Int) -> UnsafeMutablePointer<Link> { links + at }

    mutating func append(_ socket: UInt32) -> Bool {
        guard count < Self.capacity else { return false }
        links[count] = Link(socket: socket, filter: .all, orphanFilter: .all)
        count += 1
        return true
    }

    func find(_ socket: UInt32) -> UnsafeMutablePointer<Link>? {
        for at in 0..<count where links[at].socket == socket { return links + at }
        return nil
    }

    mutating func remove(_ socket: UInt32) {
        guard let link = find(socket) else { return }
        link.pointee.filter.free()
        link.pointee.orphanFilter.free()
        let at = link - links
        memmove(link, link + 1, (count - at - 1) * MemoryLayout<Link>.stride)
        count -= 1
    }

    mutating func destroy() {
        for at in 0..<count {
            links[at].filter.free()
            links[at].orphanFilter.free()
        }
        csys_unreserve(links, Self.capacity * MemoryLayout<Link>.stride)
    }
}
