import CMOS
import CPcap
import CSys

/// A network interface: one libpcap handle for each queue, between which the
/// kernel spreads the flows (packet(7), PACKET_FANOUT). All but the first
/// fragment of a datagram may land on another queue than its flow.
///
/// Only what comes in is captured, so that nothing that is sent here is seen
/// again. An interface that goes down is waited for; one that vanishes ends.
struct LivePort {
    /// Constant after open, so that sending threads share nothing that the
    /// receiving ones change.
    let output: LiveOutput
    private let name: UnsafeMutablePointer<CChar>
    private let queues: UnsafeMutablePointer<LiveQueue>

    /// Milliseconds after which the kernel hands over a block that is not full.
    private static let timeout: Int32 = 1

    static func of(_ port: UnsafeMutableRawPointer) -> UnsafeMutablePointer<LivePort> {
        port.assumingMemoryBound(to: LivePort.self)
    }

    static func queue(_ port: UnsafeMutableRawPointer, _ queue: UInt32) -> UnsafeMutablePointer<LiveQueue>? {
        let live = of(port)
        guard queue < live.pointee.output.handleCount else { return nil }
        // In bounds: checked above.
        return live.pointee.queues + Int(queue)
    }

    static func open(
        _ spec: UnsafePointer<CChar>, queues wanted: UInt32, info: UnsafeMutablePointer<mos_io_info>,
        message: inout MessageWriter
    ) throws(PortError) -> UnsafeMutablePointer<LivePort> {
        let options = try LiveOptions(spec, &message)
        guard let name = DeviceOptions.copy(options.interface) else { throw PortError(code: ENOMEM) }
        do throws(PortError) {
            var interface = cpcap_interface()
            let any = options.interface.equals("any")
            if !any, cpcap_interface_read(name, &interface) != 0 {
                message.append(name)
                message.append(": no such interface")
                throw PortError(code: ENODEV)
            }
            let port = try open(name, queues: wanted, buffer: options.buffer, message: &message)
            info.pointee.num_queues = port.pointee.output.handleCount
            info.pointee.is_trace = 0
            info.pointee.mtu = interface.mtu == 0 ? 1500 : interface.mtu
            info.pointee.mac = interface.mac
            info.pointee.has_mac = interface.has_mac
            info.pointee.addr = interface.address
            info.pointee.netmask = interface.netmask
            info.pointee.ifindex = interface.index
            return port
        } catch {
            free(name)
            throw error
        }
    }

    /// Takes the name over if it does not throw.
    private static func open(
        _ name: UnsafeMutablePointer<CChar>, queues wanted: UInt32, buffer: Int32, message: inout MessageWriter
    ) throws(PortError) -> UnsafeMutablePointer<LivePort> {
        let wanted = Int(wanted)
        guard let counters = PortCounters() else { throw PortError(code: ENOMEM) }
        let buffers = TransmitBuffers(queues: UInt32(wanted))
        let handleMemory = calloc(wanted, MemoryLayout<OpaquePointer?>.stride)
        let queueMemory = malloc(wanted * MemoryLayout<LiveQueue>.stride)
        let portMemory = malloc(MemoryLayout<LivePort>.stride)
        var opened = 0
        do throws(PortError) {
            guard let buffers, let handleMemory, let queueMemory, let portMemory else { throw PortError(code: ENOMEM) }
            let handles = handleMemory.bindMemory(to: OpaquePointer?.self, capacity: wanted)
            let queues = queueMemory.bindMemory(to: LiveQueue.self, capacity: wanted)
            var link: LinkLayer?
            var group: Int32 = -1
            while opened < wanted {
                let pcap = try activate(name, buffer: buffer, message: &message)
                if wanted > 1 {
                    let number = cpcap_fanout(pcap_fileno(pcap), group)
                    if number < 0, opened == 0 {
                        // No fanout here: one queue, and the library spreads the flows.
                        handles[0] = pcap
                        opened = 1
                        link = LinkLayer(dataLink: pcap_datalink(pcap))
                        break
                    }
                    if number < 0 {
                        pcap_close(pcap)
                        message.append(name)
                        message.append(": PACKET_FANOUT: ")
                        message.append(errno: -number)
                        throw PortError(code: -number)
                    }
                    group = number
                }
                handles[opened] = pcap
                opened += 1
                link = LinkLayer(dataLink: pcap_datalink(pcap))
            }
            guard let link else {
                message.append(name)
                message.append(": link type ")
                if let first = handles[0] { TracePort.describe(pcap_datalink(first), &message) }
                message.append(" is not supported")
                throw PortError(code: ENOTSUP)
            }
            for i in 0..<opened {
                guard let pcap = handles[i] else { continue }
                (queues + i).initialize(to: LiveQueue(pcap: pcap, name: name, counters: counters, link: link))
            }
            let port = portMemory.bindMemory(to: LivePort.self, capacity: 1)
            port.initialize(
                to: LivePort(
                    output: LiveOutput(
                        counters: counters, buffers: buffers, handles: handles, handleCount: UInt32(opened), link: link),
                    name: name, queues: queues))
            return port
        } catch {
            if let handleMemory {
                let handles = handleMemory.assumingMemoryBound(to: OpaquePointer?.self)
                for i in 0..<opened { pcap_close(handles[i]) }
            }
            buffers?.free()
            counters.free()
            free(handleMemory)
            free(queueMemory)
            free(portMemory)
            throw error
        }
    }

    private static func activate(
        _ name: UnsafePointer<CChar>, buffer: Int32, message: inout MessageWriter
    ) throws(PortError) -> OpaquePointer {
        var created: OpaquePointer?
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PCAP_ERRBUF_SIZE)) { reason in
            reason.initialize(repeating: 0)
            created = pcap_create(name, reason.baseAddress)
            if created == nil {
                message.append(name)
                message.append(": ")
                message.append(reason.baseAddress.map { UnsafePointer($0) })
            }
        }
        guard let pcap = created else { throw PortError(code: ENODEV) }
        // These fail only on a handle that is already active, or with a
        // precision that the kernel lacks, which LiveQueue asks for afterwards.
        pcap_set_snaplen(pcap, Int32(FrameArena.longestPacket))
        pcap_set_promisc(pcap, 1)
        pcap_set_timeout(pcap, timeout)
        pcap_set_buffer_size(pcap, buffer)
        pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO)
        let result = pcap_activate(pcap)
        if result < 0 {
            let code = explain(result, pcap, name, &message)
            pcap_close(pcap)
            throw PortError(code: code)
        }
        // The kernel skips copying what goes out, if it can; libpcap's own
        // direction check holds in any case.
        _ = cpcap_ignore_outgoing(pcap_fileno(pcap))
        var failed = pcap_setdirection(pcap, PCAP_D_IN) != 0
        if !failed {
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PCAP_ERRBUF_SIZE)) { reason in
                reason.initialize(repeating: 0)
                failed = pcap_setnonblock(pcap, 1, reason.baseAddress) != 0
            }
        }
        if failed {
            message.append(name)
            message.append(": ")
            message.append(pcap_geterr(pcap))
            pcap_close(pcap)
            throw PortError(code: EIO)
        }
        return pcap
    }

    private static func explain(
        _ result: Int32, _ pcap: OpaquePointer, _ name: UnsafePointer<CChar>, _ message: inout MessageWriter
    ) -> Int32 {
        message.append(name)
        switch result {
        case Int32(CPCAP_PERM_DENIED), Int32(CPCAP_PROMISC_PERM_DENIED):
            message.append(": capturing is not permitted; run as root, or give the program the capability:")
            message.append(" setcap cap_net_raw+ep PROGRAM")
            return EPERM
        case Int32(CPCAP_NO_SUCH_DEVICE):
            message.append(": no such interface")
            return ENODEV
        case Int32(CPCAP_IFACE_NOT_UP):
            message.append(": the interface is down; ip link set ")
            message.append(name)
            message.append(" up")
            return ENETDOWN
        default:
            message.append(": ")
            let detail = pcap_geterr(pcap)
            if let detail, detail.pointee != 0 {
                message.append(detail)
            } else {
                message.append(pcap_statustostr(result))
            }
            return EIO
        }
    }

    static func close(_ port: UnsafeMutablePointer<LivePort>) {
        let output = port.pointee.output
        for i in 0..<Int(output.handleCount) {
            (port.pointee.queues + i).pointee.free()
            if let pcap = output.handles[i] { pcap_close(pcap) }
        }
        output.buffers.free()
        output.counters.free()
        free(output.handles)
        CSys.free(port.pointee.queues)
        CSys.free(port.pointee.name)
        CSys.free(port)
    }
}
