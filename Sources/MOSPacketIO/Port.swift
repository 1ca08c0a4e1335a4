import CMOS
import CPcap
import CSys

/// One open device: a backend's functions and its port. A plain value without
/// an owner; all copies are the same port, and one of them closes it.
///
/// Threads and lifetimes are those that `mos_io.h` states.
public struct Port {
    private let ops: mos_io_ops
    private let handle: UnsafeMutableRawPointer?
    /// The backend is that of `pcap:`.
    private let isTraceFile: Bool

    /// What the backend says of the device.
    public let info: mos_io_info

    /// The interface index that `receive` writes into `mos_io_frame.port`.
    public var index: Int32 = 0

    /// Opens the device `spec`, as a configuration names it (`DeviceName`).
    /// Before it sends, `begin` has to be called.
    ///
    /// `queues`: how many contexts want to read it, at least 1. When it throws,
    /// `error` holds one line that says what is wrong and starts with the name
    /// of the file or device. May block (a file header from a pipe).
    ///
    /// Codes: `ENODEV` (no such interface, no DPDK here), `EINVAL` (unknown
    /// scheme or option, bad value, not a capture file), `ENOTSUP` (a link type
    /// that carries no IP), `EPERM`, `ENOENT`, `EACCES`, … from the system.
    public static func open(
        spec: UnsafePointer<CChar>, queues: UInt32, error: UnsafeMutablePointer<CChar>?, errorSize: Int
    ) throws(PortError) -> Port {
        var message = MessageWriter(error, size: errorSize)
        let name = DeviceName(spec)
        let found: mos_io_ops?
        switch name.kind {
        case .scheme(let scheme):
            found = BackendRegistry.find(scheme)
            if found == nil {
                message.append(name.text)
                if scheme.equals("dpdk") {
                    throw noDPDK(&message)
                }
                message.append(": unknown scheme \"")
                message.append(scheme)
                message.append("\"; known are ")
                BackendRegistry.describe(&message)
                throw PortError(code: EINVAL)
            }
        case .port:
            found = BackendRegistry.find(name.text.prefix(4))
            if found == nil {
                message.append(name.text)
                throw noDPDK(&message, name: name.text)
            }
        case .bare:
            guard cpcap_interface_index(spec) != 0 else {
                message.append(name.text)
                message.append(": no such interface; a trace is named pcap:FILE")
                throw PortError(code: ENODEV)
            }
            found = liveBackend()
        }

        guard let ops = found else { throw PortError(code: EINVAL) }
        var handle: UnsafeMutableRawPointer?
        var info = mos_io_info()
        let code = ops.open(name.rest, max(queues, 1), &handle, &info, error, errorSize)
        if code != 0 {
            if let error, errorSize > 0, error.pointee == 0 {
                var fallback = MessageWriter(error, size: errorSize)
                fallback.append(name.text)
                fallback.append(": ")
                fallback.append(errno: code)
            }
            throw PortError(code: code)
        }
        // A backend's word is not trusted further than this.
        info.num_queues = min(max(info.num_queues, 1), max(queues, 1))
        var isTraceFile = false
        if case .scheme(let scheme) = name.kind { isTraceFile = scheme.equals("pcap") }
        return Port(ops: ops, handle: handle, isTraceFile: isTraceFile, info: info)
    }

    /// To be called once for all the ports that are to be open together,
    /// before anything is sent: only here are files of `out=` emptied, and not
    /// one of them if a port reads or writes what another writes. Then it
    /// throws `EINVAL`, with a message as that of `open`; an error of the
    /// system's otherwise.
    public static func begin(
        _ ports: UnsafeBufferPointer<Port>, error: UnsafeMutablePointer<CChar>?, errorSize: Int
    ) throws(PortError) {
        var message = MessageWriter(error, size: errorSize)
        for at in 0..<ports.count {
            guard let trace = ports[at].trace else { continue }
            for other in 0...at {
                guard let earlier = ports[other].trace else { continue }
                try TracePort.check(earlier, with: trace, message: &message)
            }
        }
        for at in 0..<ports.count { try ports[at].trace?.pointee.output.writer?.begin(&message) }
    }

    private var trace: UnsafeMutablePointer<TracePort>? {
        // Safe: what the backend for traces opens is that, until close.
        isTraceFile ? handle.map { TracePort.of($0) } : nil
    }

    private static func noDPDK(_ message: inout MessageWriter, name: TextSlice? = nil) -> PortError {
        message.append(": no DPDK backend in this build; name a trace with MOS_NETDEV=\"")
        if let name { message.append(name) } else { message.append("DEVICE") }
        message.append("=pcap:FILE\"")
        return PortError(code: ENODEV)
    }

    /// Up to `max` frames of a queue; their bytes stay until the next receive
    /// on it. 0: none now. `MOS_IO_END`, `MOS_IO_ERROR`: see `mos_io.h`.
    @inline(__always)
    public func receive(queue: UInt32, into frames: UnsafeMutablePointer<mos_io_frame>, max: UInt32) -> Int32 {
        let n = ops.recv(handle, queue, frames, max)
        var i = 0
        // In bounds: no more than the backend has filled, nor than there is room.
        while i < Int(n), i < Int(max) {
            frames[i].port = index
            i &+= 1
        }
        return n <= Int32(clamping: max) ? n : Int32(clamping: max)
    }

    /// A descriptor that polls readable when `receive`, which has just given 0,
    /// would give something; -1 if there is none.
    public func waitDescriptor(queue: UInt32) -> Int32 {
        ops.wait_fd(handle, queue)
    }

    /// Room for a frame of `length` bytes, to be filled and sent before the
    /// next call on this queue. nil: none, and counted in `tx_drops`.
    @inline(__always)
    public func transmitFrame(queue: UInt32, length: UInt32) -> UnsafeMutablePointer<UInt8>? {
        ops.tx_frame(handle, queue, length)
    }

    /// Sends what `transmitFrame` gave room for. 0, or an errno value when it
    /// was dropped and counted.
    @inline(__always)
    public func send(queue: UInt32, frame: UnsafeMutablePointer<UInt8>, length: UInt32, time: UInt64) -> Int32 {
        ops.tx_send(handle, queue, frame, length, time)
    }

    /// Sends a received frame unchanged. 0, or an errno value when it was
    /// dropped and counted.
    @inline(__always)
    public func forward(queue: UInt32, frame: UnsafePointer<mos_io_frame>) -> Int32 {
        ops.tx_forward(handle, queue, frame)
    }

    /// What was sent goes out now.
    @inline(__always)
    public func flush(queue: UInt32) {
        ops.tx_flush(handle, queue)
    }

    /// The counters since `open`. Any thread.
    public func statistics() -> mos_io_stats {
        var out = mos_io_stats()
        ops.stats(handle, &out)
        return out
    }

    /// Flushes and frees; no copy of this value may be used afterwards.
    public func close() {
        ops.close(handle)
    }
}
