import CMOS
import CPcap
import CSys

/// The sending side of an interface. Any thread, each with its own queue;
/// where there are more of these than handles, the kernel orders them.
struct LiveOutput {
    let counters: PortCounters
    let buffers: TransmitBuffers
    /// One handle for each receive queue.
    let handles: UnsafeMutablePointer<OpaquePointer?>
    let handleCount: UInt32
    let link: LinkLayer

    func room(_ queue: UInt32, _ length: UInt32) -> UnsafeMutablePointer<UInt8>? {
        let room = buffers.room(queue: queue, length: length)
        if room == nil { counters.add(.txDrops, 1) }
        return room
    }

    func send(_ queue: UInt32, _ frame: UnsafeMutablePointer<UInt8>, _ length: UInt32) -> Int32 {
        guard buffers.owns(queue: queue, frame: frame, length: length) else {
            counters.add(.txDrops, 1)
            return EINVAL
        }
        return inject(queue, frame, length)
    }

    func forward(_ queue: UInt32, _ frame: UnsafePointer<mos_io_frame>) -> Int32 {
        // What the capture has cut is not the frame that was sent.
        guard let data = frame.pointee.data, frame.pointee.len >= frame.pointee.wire_len else {
            counters.add(.txDrops, 1)
            return EMSGSIZE
        }
        return inject(queue, data, frame.pointee.len)
    }

    private func inject(_ queue: UInt32, _ data: UnsafePointer<UInt8>, _ length: UInt32) -> Int32 {
        let code = trySend(queue, data, length)
        if code == 0 {
            counters.add(.txPackets, 1)
            counters.add(.txBytes, UInt64(length))
        } else {
            counters.add(.txDrops, 1)
        }
        return code
    }

    private func trySend(_ queue: UInt32, _ data: UnsafePointer<UInt8>, _ length: UInt32) -> Int32 {
        // In bounds: the remainder is below handleCount, which is at least 1.
        guard let pcap = handles[Int(queue % handleCount)] else { return ENODEV }
        let skipped: Int
        switch link.kind {
        case .ethernet: skipped = 0
        case .rawIP: skipped = LinkLayer.ethernetHeader
        case .loopback, .cooked, .cooked2: return ENOTSUP
        }
        guard Int(length) > skipped else { return EINVAL }
        csys_set_errno(0)
        if pcap_inject(pcap, data + skipped, Int(length) - skipped) >= 0 { return 0 }
        let code = csys_errno()
        return code == 0 ? EIO : code
    }
}
