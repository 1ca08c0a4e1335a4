import CMOS
import CSys

/// `null:` gives nothing, so it has ended from the start, and swallows what is
/// sent. It takes no part in the question of which clock there is: it counts
/// as a trace that is empty.
func nullBackend() -> mos_io_ops {
    var ops = mos_io_ops()
    ops.abi = UInt32(MOS_IO_ABI)
    ops.scheme = BackendRegistry.cString("null")
    ops.open = { spec, queues, port, info, error, size in
        guard let spec, let port, let info else { return EINVAL }
        var message = MessageWriter(error, size: size)
        do throws(PortError) {
            try checkNullOptions(spec, &message)
        } catch {
            return error.code
        }
        guard let counters = PortCounters() else { return ENOMEM }
        guard let buffers = TransmitBuffers(queues: queues) else {
            counters.free()
            return ENOMEM
        }
        guard let memory = malloc(MemoryLayout<NullPort>.stride) else {
            buffers.free()
            counters.free()
            return ENOMEM
        }
        memory.bindMemory(to: NullPort.self, capacity: 1)
            .initialize(to: NullPort(counters: counters, buffers: buffers))
        port.pointee = memory
        info.pointee.num_queues = queues
        info.pointee.is_trace = 1
        info.pointee.mtu = 1500
        return 0
    }
    // Safe in all of these: the handle is what open gave, until close.
    ops.recv = { _, _, _, _ in Int32(MOS_IO_END) }
    ops.wait_fd = { _, _ in -1 }
    ops.tx_frame = { port, queue, length in
        guard let port else { return nil }
        let null = NullPort.of(port)
        let room = null.buffers.room(queue: queue, length: length)
        if room == nil { null.counters.add(.txDrops, 1) }
        return room
    }
    ops.tx_send = { port, _, _, length, _ in
        guard let port else { return EINVAL }
        NullPort.of(port).swallow(length)
        return 0
    }
    ops.tx_forward = { port, _, frame in
        guard let port, let frame else { return EINVAL }
        NullPort.of(port).swallow(frame.pointee.len)
        return 0
    }
    ops.tx_flush = { _, _ in }
    ops.stats = { port, out in
        guard let port, let out else { return }
        NullPort.of(port).counters.copy(to: out)
    }
    ops.close = { port in
        guard let port else { return }
        NullPort.of(port).buffers.free()
        NullPort.of(port).counters.free()
        free(port)
    }
    return ops
}

/// Nothing may follow `null:`.
func checkNullOptions(_ spec: UnsafePointer<CChar>, _ message: inout MessageWriter) throws(PortError) {
    guard spec.pointee != 0 else { return }
    message.append("null:")
    message.append(spec)
    message.append(": null: takes no options")
    throw PortError(code: EINVAL)
}

/// The state of one `null:` device.
private struct NullPort {
    let counters: PortCounters
    let buffers: TransmitBuffers

    static func of(_ port: UnsafeMutableRawPointer) -> NullPort {
        port.assumingMemoryBound(to: NullPort.self).pointee
    }

    func swallow(_ length: UInt32) {
        counters.add(.txPackets, 1)
        counters.add(.txBytes, UInt64(length))
    }
}
