import CMOS
import CPcap
import CSys

/// `pcap:FILE[,out=FILE2][,speed=X][,loop=N]`: trace files through libpcap.
func pcapBackend() -> mos_io_ops {
    var ops = mos_io_ops()
    ops.abi = UInt32(MOS_IO_ABI)
    ops.scheme = BackendRegistry.cString("pcap")
    ops.open = { spec, queues, port, info, error, size in
        guard let spec, let port, let info else { return EINVAL }
        var message = MessageWriter(error, size: size)
        do throws(PortError) {
            port.pointee = UnsafeMutableRawPointer(try TracePort.open(spec, queues: queues, message: &message))
        } catch {
            return error.code
        }
        info.pointee.num_queues = 1
        info.pointee.is_trace = 1
        info.pointee.mtu = 1500
        return 0
    }
    // Safe in all of these: the handle is what open gave, until close.
    ops.recv = { port, _, frames, max in
        guard let port, let frames else { return Int32(MOS_IO_ERROR) }
        return TracePort.of(port).pointee.receive(frames, max: Int(max))
    }
    ops.wait_fd = { port, _ in
        guard let port else { return -1 }
        return TracePort.of(port).pointee.waitDescriptor
    }
    ops.tx_frame = { port, queue, length in
        guard let port else { return nil }
        return TracePort.of(port).pointee.output.room(queue, length)
    }
    ops.tx_send = { port, queue, frame, length, time in
        guard let port, let frame else { return EINVAL }
        return TracePort.of(port).pointee.output.send(queue, frame, length, time)
    }
    ops.tx_forward = { port, _, frame in
        guard let port, let frame else { return EINVAL }
        return TracePort.of(port).pointee.output.forward(frame)
    }
    ops.tx_flush = { port, _ in
        guard let port else { return }
        TracePort.of(port).pointee.output.writer?.flush()
    }
    ops.stats = { port, out in
        guard let port, let out else { return }
        TracePort.of(port).pointee.output.counters.copy(to: out)
    }
    ops.close = { port in
        guard let port else { return }
        TracePort.close(TracePort.of(port))
    }
    return ops
}
