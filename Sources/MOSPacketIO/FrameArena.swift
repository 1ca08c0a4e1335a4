import CMOS
import CSys

/// Where the bytes of one burst lie. libpcap uses its own buffer again for the
/// next packet (of a file) or gives the ring's block back to the kernel (of an
/// interface), so a burst needs one copy of each packet; it goes here.
///
/// It grows while it warms up, to at most a burst of the longest packets.
struct FrameArena {
    /// Longer packets are dropped: 256 KiB, libpcap's own bound.
    static let longestPacket: UInt32 = 256 * 1024

    private var base: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private var used = 0

    init() {}

    func free() {
        CSys.free(base)
    }

    /// Gives up all frames of the last burst.
    mutating func reset() {
        used = 0
    }

    enum Outcome {
        case added
        /// No IP on a link that carries only IP.
        case notIP
        case tooLong
        case noMemory
    }

    /// Copies a packet behind the others and describes it in frames[count].
    /// The frames before it are corrected if the arena has to move.
    mutating func append(
        _ data: UnsafePointer<UInt8>, captured: UInt32, original: UInt32, time: UInt64, link: LinkLayer,
        frames: UnsafeMutablePointer<mos_io_frame>, count: Int
    ) -> Outcome {
        guard captured <= Self.longestPacket else { return .tooLong }
        let captured = Int(captured)
        // The IP header of an untagged frame starts on 16 bytes.
        let start = used + 2
        let room = captured + LinkLayer.ethernetHeader
        if start + room > capacity, !grow(to: start + room, frames: frames, count: count) { return .noMemory }
        guard let base else { return .noMemory }

        // In bounds: start + room <= capacity, and each branch writes at most room.
        let target = base + start
        let length: Int
        if link.kind == .ethernet {
            memcpy(target, data, captured)
            length = captured
        } else {
            guard link.writeHeader(data, captured: captured, to: target) else { return .notIP }
            let packet = captured - link.stripped
            memcpy(target + LinkLayer.ethernetHeader, data + link.stripped, packet)
            length = packet + LinkLayer.ethernetHeader
        }
        used = (start + length + 15) & ~15

        let wire = max(Int(original) + link.growth, length)
        frames[count] = mos_io_frame(
            data: UnsafePointer(target), len: UInt32(length), wire_len: UInt32(clamping: wire),
            time_ns: time, flags: 0, port: 0, cookie: nil)
        return .added
    }

    private mutating func grow(to needed: Int, frames: UnsafeMutablePointer<mos_io_frame>, count: Int) -> Bool {
        var size = max(capacity, 128 * 1024)
        while size < needed { size *= 2 }
        guard let memory = malloc(size) else { return false }
        let moved = memory.bindMemory(to: UInt8.self, capacity: size)
        if let base {
            memcpy(moved, base, used)
            for i in 0..<count {
                guard let data = frames[i].data else { continue }
                frames[i].data = UnsafePointer(moved + (data - UnsafePointer(base)))
            }
            CSys.free(base)
        }
        base = moved
        capacity = size
        return true
    }
}
