import CMOS
import CPcap
import CSys

/// `live:INTERFACE[,buffer=SIZE]`: a network interface through libpcap.
func liveBackend() -> mos_io_ops {
    var ops = mos_io_ops()
    ops.abi = UInt32(MOS_IO_ABI)
    ops.scheme = BackendRegistry.cString("live")
    ops.open = { spec, queues, port, info, error, size in
        guard let spec, let port, let info else { return EINVAL }
        var message = MessageWriter(error, size: size)
        do throws(PortError) {
            port.pointee = UnsafeMutableRawPointer(
                try LivePort.open(spec, queues: queues, info: info, message: &message))
        } catch {
            return error.code
        }
        return 0
    }
    // Safe in all of these: the handle is what open gave, until close.
    ops.recv = { port, queue, frames, max in
        guard let port, let frames, let live = LivePort.queue(port, queue) else { return Int32(MOS_IO_ERROR) }
        return LiveQueue.receive(live, frames, max: max)
    }
    ops.wait_fd = { port, queue in
        guard let port, let live = LivePort.queue(port, queue) else { return -1 }
        return live.pointee.waitDescriptor
    }
    ops.tx_frame = { port, queue, length in
        guard let port else { return nil }
        return LivePort.of(port).pointee.output.room(queue, length)
    }
    ops.tx_send = { port, queue, frame, length, _ in
        guard let port, let frame else { return EINVAL }
        return LivePort.of(port).pointee.output.send(queue, frame, length)
    }
    ops.tx_forward = { port, queue, frame in
        guard let port, let frame else { return EINVAL }
        return LivePort.of(port).pointee.output.forward(queue, frame)
    }
    // Each frame has gone to the kernel when it was sent.
    ops.tx_flush = { _, _ in }
    ops.stats = { port, out in
        guard let port, let out else { return }
        LivePort.of(port).pointee.output.counters.copy(to: out)
    }
    ops.close = { port in
        guard let port else { return }
        LivePort.close(LivePort.of(port))
    }
    return ops
}
