import CMOS
import CPcap
import CSys

/// One receive queue of an interface: a libpcap handle.
struct LiveQueue {
    private let pcap: OpaquePointer
    /// The interface, for messages; the port's.
    private let name: UnsafePointer<CChar>
    private let counters: PortCounters
    private let link: LinkLayer
    /// Nanoseconds in a unit of libpcap's second time field: 1 or 1000.
    private let subsecondUnit: UInt64
    private let descriptor: Int32
    private var arena = FrameArena()
    private var state = State.running

    // The burst that libpcap's callback fills.
    private var frames: UnsafeMutablePointer<mos_io_frame>?
    private var room = 0
    private var count = 0
    private var bytes: UInt64 = 0

    // libpcap's drop counter is asked for now and then, by the thread that
    // owns the handle.
    private var receives: UInt32 = 0
    private var unasked = false
    private var kernelDrops: UInt32 = 0
    private static let receivesBetweenDropCounts: UInt32 = 64

    private enum State {
        case running
        /// It broke while frames were at hand; the next receive says so.
        case failing
        case ended
    }

    init(
        pcap: OpaquePointer, name: UnsafePointer<CChar>, counters: PortCounters, link: LinkLayer
    ) {
        self.pcap = pcap
        self.name = name
        self.counters = counters
        self.link = link
        subsecondUnit = pcap_get_tstamp_precision(pcap) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000
        descriptor = pcap_get_selectable_fd(pcap)
    }

    /// -1 once it has failed: the descriptor would poll in error for ever.
    var waitDescriptor: Int32 {
        state == .running ? descriptor : -1
    }

    func free() {
        arena.free()
    }

    /// `queue` stays where it is: libpcap's callback finds it by address.
    static func receive(
        _ queue: UnsafeMutablePointer<LiveQueue>, _ frames: UnsafeMutablePointer<mos_io_frame>, max: UInt32
    ) -> Int32 {
        switch queue.pointee.state {
        case .running: break
        case .failing:
            queue.pointee.state = .ended
            return Int32(MOS_IO_ERROR)
        case .ended: return Int32(MOS_IO_END)
        }
        let max = Int32(clamping: max)
        guard max > 0 else { return 0 }  // 0 would mean "all" to libpcap
        queue.pointee.arena.reset()
        queue.pointee.frames = frames
        queue.pointee.room = Int(max)
        queue.pointee.count = 0
        queue.pointee.bytes = 0

        // Safe: the queue is not used by another thread meanwhile, and libpcap
        // calls back only before it returns.
        let result = pcap_dispatch(
            queue.pointee.pcap, max,
            { user, header, data in
                guard let user, let header, let data else { return }
                UnsafeMutableRawPointer(user).assumingMemoryBound(to: LiveQueue.self)
                    .pointee.take(header, data)
            }, UnsafeMutableRawPointer(queue).assumingMemoryBound(to: UInt8.self))
        return queue.pointee.finish(result)
    }

    private mutating func take(_ header: UnsafePointer<pcap_pkthdr>, _ data: UnsafePointer<UInt8>) {
        guard let frames, count < room else {
            counters.add(.rxDrops, 1)
            return
        }
        let time =
            UInt64(truncatingIfNeeded: header.pointee.ts.tv_sec) &* 1_000_000_000
            &+ UInt64(truncatingIfNeeded: header.pointee.ts.tv_usec) &* subsecondUnit
        switch arena.append(
            data, captured: header.pointee.caplen, original: header.pointee.len, time: time, link: link,
            frames: frames, count: count)
        {
        case .added:
            bytes &+= UInt64(frames[count].wire_len)
            count &+= 1
        case .notIP: counters.add(.rxErrors, 1)
        case .tooLong, .noMemory: counters.add(.rxDrops, 1)
        }
    }

    private mutating func finish(_ result: Int32) -> Int32 {
        counters.add(.rxPackets, UInt64(count))
        counters.add(.rxBytes, bytes)
        if count > 0 { unasked = true }
        receives &+= 1
        if receives % Self.receivesBetweenDropCounts == 0 || (count == 0 && unasked) { countDrops() }
        if result == CPCAP_ERROR {
            counters.add(.rxErrors, 1)
            PacketIOLog.say(name, pcap_geterr(pcap))
            state = count > 0 ? .failing : .ended
            return count > 0 ? Int32(count) : Int32(MOS_IO_ERROR)
        }
        return Int32(count)
    }

    private mutating func countDrops() {
        unasked = false
        var stat = pcap_stat()
        guard pcap_stats(pcap, &stat) == 0 else { return }
        // 32 bits that wrap.
        counters.add(.rxDrops, UInt64(stat.ps_drop &- kernelDrops))
        kernelDrops = stat.ps_drop
    }
}
