import CMOS
import CSys

/// The sending side of a trace port. Any thread, each with its own queue.
struct TraceOutput {
    let counters: PortCounters
    let writer: TraceWriter?
    let buffers: TransmitBuffers

    func room(_ queue: UInt32, _ length: UInt32) -> UnsafeMutablePointer<UInt8>? {
        let room = buffers.room(queue: queue, length: length)
        if room == nil { counters.add(.txDrops, 1) }
        return room
    }

    func send(_ queue: UInt32, _ frame: UnsafeMutablePointer<UInt8>, _ length: UInt32, _ time: UInt64) -> Int32 {
        guard buffers.owns(queue: queue, frame: frame, length: length) else {
            counters.add(.txDrops, 1)
            return EINVAL
        }
        return write(frame, length: length, wireLength: length, time: time)
    }

    func forward(_ frame: UnsafePointer<mos_io_frame>) -> Int32 {
        guard let data = frame.pointee.data, frame.pointee.len <= FrameArena.longestPacket else {
            counters.add(.txDrops, 1)
            return EMSGSIZE
        }
        return write(
            data, length: frame.pointee.len, wireLength: frame.pointee.wire_len, time: frame.pointee.time_ns)
    }

    /// To the `out=` file; without one it is only counted.
    private func write(_ data: UnsafePointer<UInt8>, length: UInt32, wireLength: UInt32, time: UInt64) -> Int32 {
        if let writer { return writer.write(data, length: length, wireLength: wireLength, time: time) }
        counters.add(.txPackets, 1)
        counters.add(.txBytes, UInt64(length))
        return 0
    }
}
