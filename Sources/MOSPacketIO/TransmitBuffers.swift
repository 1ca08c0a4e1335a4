import CSys

/// One frame's room for each transmit queue of a port.
struct TransmitBuffers {
    private struct Buffer {
        var base: UnsafeMutablePointer<UInt8>?
        var capacity: Int
    }

    private let buffers: UnsafeMutablePointer<Buffer>
    private let count: Int

    /// nil without memory.
    init?(queues: UInt32) {
        count = Int(max(queues, 1))
        guard let memory = calloc(count, MemoryLayout<Buffer>.stride) else { return nil }
        buffers = memory.bindMemory(to: Buffer.self, capacity: count)
    }

    func free() {
        for i in 0..<count { CSys.free(buffers[i].base) }
        CSys.free(buffers)
    }

    /// Room for `length` bytes, the same until it has to grow. nil: no such
    /// queue, a frame longer than 256 KiB, or no memory.
    func room(queue: UInt32, length: UInt32) -> UnsafeMutablePointer<UInt8>? {
        guard queue < UInt32(count), length <= FrameArena.longestPacket else { return nil }
        // In bounds: checked above.
        let buffer = buffers + Int(queue)
        if buffer.pointee.base == nil || Int(length) > buffer.pointee.capacity {
            let capacity = max(Int(length), 2048)
            guard let memory = malloc(capacity) else { return nil }
            CSys.free(buffer.pointee.base)
            buffer.pointee.base = memory.bindMemory(to: UInt8.self, capacity: capacity)
            buffer.pointee.capacity = capacity
        }
        return buffer.pointee.base
    }

    /// Whether this is the room that the queue was given, with at least so many bytes.
    func owns(queue: UInt32, frame: UnsafeMutablePointer<UInt8>, length: UInt32) -> Bool {
        guard queue < UInt32(count) else { return false }
        let buffer = buffers[Int(queue)]
        return buffer.base == frame && Int(length) <= buffer.capacity
    }
}
