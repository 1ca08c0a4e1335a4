import CMOS
import CPcap
import CSys

/// One trace file that is read, and perhaps one that is written.
struct TracePort {
    /// Constant after open, so that sending threads share nothing that the
    /// receiving one changes.
    let output: TraceOutput
    private var counters: PortCounters { output.counters }
    private let name: UnsafeMutablePointer<CChar>

    /// Of the file itself, for reading it again; -1 unless `loop=` asks for it.
    private let descriptor: Int32
    private var pcap: OpaquePointer?
    /// Set if the trace comes through a pipe; lives as long as `pcap`.
    private var pipe: OpaquePointer?
    private let pipeDescriptor: Int32
    /// What is read, for `Port.begin`.
    private let input: cpcap_file_id
    private let link: LinkLayer
    private var arena = FrameArena()

    /// Nothing more is to be read.
    private var ended = false
    /// libpcap's packet that was read and not yet given, because its time has
    /// not come. Stays valid until the next pcap_next_ex.
    private var held: UnsafeMutablePointer<pcap_pkthdr>?
    private var heldData: UnsafePointer<UInt8>?

    // loop=: the passes to come, and what moves the times of this one so that
    // it starts one millisecond after the end of the last.
    private var passesLeft: UInt64
    private var shift: UInt64 = 0
    private var passEmpty = true
    private var firstTime: UInt64 = 0
    private var lastTime: UInt64 = 0
    private static let gapBetweenPasses: UInt64 = 1_000_000

    // speed=: trace time per wall time, 0 for as fast as it goes.
    private let speed: Double
    private let timer: Int32
    private var started = false
    private var wallStart: UInt64 = 0
    private var traceStart: UInt64 = 0

    /// Packets looked at in one receive, so that a file of packets that are all
    /// left out does not keep the caller.
    private static let mostReads = 1024
    private static let bufferSize = 256 * 1024

    static func of(_ port: UnsafeMutableRawPointer) -> UnsafeMutablePointer<TracePort> {
        port.assumingMemoryBound(to: TracePort.self)
    }

    // MARK: Opening

    static func open(
        _ spec: UnsafePointer<CChar>, queues: UInt32, message: inout MessageWriter
    ) throws(PortError) -> UnsafeMutablePointer<TracePort> {
        let options = try TraceOptions(spec, &message)
        guard let name = DeviceOptions.copy(options.file) else { throw PortError(code: ENOMEM) }
        guard let counters = PortCounters() else {
            free(name)
            throw PortError(code: ENOMEM)
        }
        guard let buffers = TransmitBuffers(queues: queues) else {
            counters.free()
            free(name)
            throw PortError(code: ENOMEM)
        }
        do throws(PortError) {
            let source = try Source(name, isStandardInput: options.isStandardInput, loops: options.loop > 1, &message)
            var writer: TraceWriter?
            var timer: Int32 = -1
            let memory = malloc(MemoryLayout<TracePort>.stride)
            do throws(PortError) {
                guard memory != nil else { throw PortError(code: ENOMEM) }
                if options.speed > 0 {
                    timer = cpcap_timer()
                    if timer < 0 { throw PortError(code: csys_errno()) }
                }
                // Last, so that nothing is made if something else is wrong.
                if let out = options.out {
                    writer = try TraceWriter(name: out, counters: counters, message: &message)
                }
            } catch {
                source.close()
                if timer >= 0 { CSys.close(timer) }
                free(memory)
                throw error
            }
            guard let memory else { throw PortError(code: ENOMEM) }
            let port = memory.bindMemory(to: TracePort.self, capacity: 1)
            port.initialize(
                to: TracePort(
                    output: TraceOutput(counters: counters, writer: writer, buffers: buffers), name: name,
                    source: source, passes: options.loop, speed: options.speed, timer: timer))
            return port
        } catch {
            buffers.free()
            counters.free()
            free(name)
            throw error
        }
    }

    private init(
        output: TraceOutput, name: UnsafeMutablePointer<CChar>, source: Source, passes: UInt64, speed: Double,
        timer: Int32
    ) {
        self.output = output
        self.name = name
        descriptor = source.descriptor
        pcap = source.pcap
        pipe = source.pipe
        pipeDescriptor = source.pipeDescriptor
        input = source.id
        link = source.link
        passesLeft = passes - 1
        self.speed = speed
        self.timer = timer
    }

    /// An opened file before it is a port.
    private struct Source {
        let id: cpcap_file_id
        let pcap: OpaquePointer
        let pipe: OpaquePointer?
        let pipeDescriptor: Int32
        let link: LinkLayer
        let descriptor: Int32

        init(
            _ name: UnsafePointer<CChar>, isStandardInput: Bool, loops: Bool, _ message: inout MessageWriter
        ) throws(PortError) {
            let fd = isStandardInput ? dup(STDIN_FILENO) : cpcap_open_read(name)
            var id = cpcap_file_id()
            if fd < 0 || cpcap_identify(fd, &id) != 0 || id.directory != 0 {
                let code = id.directory != 0 ? EISDIR : csys_errno()
                if fd >= 0 { CSys.close(fd) }
                message.append(name)
                message.append(": ")
                message.append(errno: code)
                throw PortError(code: code)
            }
            if loops, isStandardInput || id.regular == 0 {
                CSys.close(fd)
                message.append(name)
                message.append(": loop= needs a file that can be read again")
                throw PortError(code: EINVAL)
            }
            let kept = loops ? dup(fd) : -1
            var pipe: OpaquePointer?
            let stream =
                id.regular != 0
                ? cpcap_stream(fd, "r", TracePort.bufferSize)
                : cpcap_pipe_open(fd, &pipe)
            guard let stream, !loops || kept >= 0 else {
                let code = csys_errno()
                if let stream { fclose(stream) } else { CSys.close(fd) }
                if kept >= 0 { CSys.close(kept) }
                message.append(name)
                message.append(": ")
                message.append(errno: code)
                throw PortError(code: code)
            }
            do throws(PortError) {
                pcap = try TracePort.begin(stream, name, &message)
            } catch {
                if kept >= 0 { CSys.close(kept) }
                throw error
            }
            let type = pcap_datalink(pcap)
            guard let link = LinkLayer(dataLink: type) else {
                pcap_close(pcap)
                if kept >= 0 { CSys.close(kept) }
                message.append(name)
                message.append(": link type ")
                TracePort.describe(type, &message)
                message.append(" is not supported; EN10MB, RAW, IPV4, IPV6, NULL, LOOP, LINUX_SLL, LINUX_SLL2 are")
                throw PortError(code: ENOTSUP)
            }
            self.id = id
            self.pipe = pipe
            self.link = link
            pipeDescriptor = pipe == nil ? -1 : fd
            descriptor = kept
        }

        func close() {
            pcap_close(pcap)
            if descriptor >= 0 { CSys.close(descriptor) }
        }
    }

    static func describe(_ dataLink: Int32, _ message: inout MessageWriter) {
        if let name = pcap_datalink_val_to_name(dataLink) {
            message.append(name)
        } else {
            message.append(UInt64(UInt32(bitPattern: dataLink)))
        }
    }

    /// libpcap on a stream, which it owns from here on, also when this throws.
    private static func begin(
        _ stream: UnsafeMutablePointer<FILE>, _ name: UnsafePointer<CChar>, _ message: inout MessageWriter
    ) throws(PortError) -> OpaquePointer {
        var opened: OpaquePointer?
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PCAP_ERRBUF_SIZE)) { reason in
            reason.initialize(repeating: 0)
            opened = pcap_fopen_offline_with_tstamp_precision(
                stream, UInt32(PCAP_TSTAMP_PRECISION_NANO), reason.baseAddress)
            if opened == nil {
                message.append(name)
                message.append(": ")
                message.append(reason.baseAddress.map { UnsafePointer($0) })
            }
        }
        guard let opened else {
            fclose(stream)
            throw PortError(code: EINVAL)
        }
        return opened
    }

    /// Looks whether two devices, or one with itself, can be open together.
    /// Throws `EINVAL` after writing to `message` why not.
    static func check(
        _ one: UnsafeMutablePointer<TracePort>, with two: UnsafeMutablePointer<TracePort>,
        message: inout MessageWriter
    ) throws(PortError) {
        try checkOutput(of: one, with: two, &message)
        if one == two { return }
        try checkOutput(of: two, with: one, &message)
        if let first = one.pointee.output.writer, let second = two.pointee.output.writer,
            first.file.mixes(with: second.file)
        {
            throw refused(second.name, ": two devices have this out=", &message)
        }
        if one.pointee.input.competes(with: two.pointee.input) {
            throw refused(two.pointee.name, ": two devices read this, and it can be read only once", &message)
        }
    }

    private static func checkOutput(
        of writing: UnsafeMutablePointer<TracePort>, with reading: UnsafeMutablePointer<TracePort>,
        _ message: inout MessageWriter
    ) throws(PortError) {
        guard let writer = writing.pointee.output.writer, writer.file.overwrites(reading.pointee.input) else { return }
        throw refused(
            writer.name,
            writing == reading
                ? ": out= names the trace that is read" : ": out= names a trace that another device reads",
            &message)
    }

    private static func refused(
        _ name: UnsafePointer<CChar>, _ reason: StaticString, _ message: inout MessageWriter
    ) -> PortError {
        message.append(name)
        message.append(reason)
        return PortError(code: EINVAL)
    }

    static func close(_ port: UnsafeMutablePointer<TracePort>) {
        port.pointee.output.writer?.close()
        if let pcap = port.pointee.pcap { pcap_close(pcap) }
        if port.pointee.descriptor >= 0 { CSys.close(port.pointee.descriptor) }
        if port.pointee.timer >= 0 { CSys.close(port.pointee.timer) }
        port.pointee.arena.free()
        port.pointee.output.buffers.free()
        port.pointee.output.counters.free()
        free(port.pointee.name)
        free(port)
    }

    // MARK: Receiving

    /// The timer of `speed=`, the pipe, or -1 for a file, which always has
    /// something or has ended.
    var waitDescriptor: Int32 {
        if ended { return -1 }
        // A paced pipe waits for its writer unless a packet is held.
        if pipe != nil, held == nil { return pipeDescriptor }
        return timer
    }

    mutating func receive(_ frames: UnsafeMutablePointer<mos_io_frame>, max: Int) -> Int32 {
        if ended { return Int32(MOS_IO_END) }
        arena.reset()
        var count = 0
        var bytes: UInt64 = 0
        var reads = 0
        let now = speed > 0 ? MonotonicClock.now() : 0
        while count < max, reads < Self.mostReads, !ended {
            guard let header = next() else { break }
            reads += 1
            let time = Self.nanoseconds(header.pointee.ts)
            if passEmpty {
                passEmpty = false
                firstTime = time
                lastTime = time
            }
            let shifted = time &+ shift
            if speed > 0, let due = notDue(shifted, now: now) {
                cpcap_timer_set(timer, due)
                break
            }
            lastTime = Swift.max(lastTime, time)
            firstTime = Swift.min(firstTime, time)
            guard let data = heldData else { break }
            held = nil
            switch arena.append(
                data, captured: header.pointee.caplen, original: header.pointee.len, time: shifted, link: link,
                frames: frames, count: count)
            {
            case .added:
                bytes &+= UInt64(frames[count].wire_len)
                count += 1
            case .notIP: counters.add(.rxErrors, 1)
            case .tooLong, .noMemory: counters.add(.rxDrops, 1)
            }
        }
        counters.add(.rxPackets, UInt64(count))
        counters.add(.rxBytes, bytes)
        return count == 0 && ended ? Int32(MOS_IO_END) : Int32(count)
    }

    /// The packet that is held or else the next one of the file; nil if there
    /// is none now or, with `ended` set, none any more.
    private mutating func next() -> UnsafeMutablePointer<pcap_pkthdr>? {
        if let held { return held }
        while let pcap {
            if let pipe, cpcap_pipe_ready(pipe) == 0 { return nil }
            let result = pcap_next_ex(pcap, &held, &heldData)
            if result == 1 { return held }
            held = nil
            if result == CPCAP_ERROR {
                counters.add(.rxErrors, 1)
                // One line for each damaged file, not for each pass over it.
                if shift == 0 { PacketIOLog.say(name, pcap_geterr(pcap)) }
            }
            guard passesLeft > 0, !passEmpty, rewind() else { break }
        }
        ended = true
        return nil
    }

    /// Starts the next pass.
    private mutating func rewind() -> Bool {
        passesLeft -= 1
        shift = shift &+ (lastTime &- firstTime) &+ Self.gapBetweenPasses
        passEmpty = true
        if let pcap { pcap_close(pcap) }
        pcap = nil
        let again = dup(descriptor)
        guard again >= 0, lseek(again, 0, SEEK_SET) == 0,
            let stream = cpcap_stream(again, "r", Self.bufferSize)
        else {
            PacketIOLog.say(name, "reading it again", errno: csys_errno())
            counters.add(.rxErrors, 1)
            if again >= 0 { CSys.close(again) }
            return false
        }
        var failed = false
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text in
            var message = MessageWriter(text.baseAddress, size: text.count)
            do throws(PortError) {
                pcap = try Self.begin(stream, name, &message)
            } catch {
                PacketIOLog.say(name, text.baseAddress.map { UnsafePointer($0) })
                failed = true
            }
        }
        if failed { counters.add(.rxErrors, 1) }
        return !failed
    }

    /// The monotonic time at which a packet is due, nil if it is now.
    private mutating func notDue(_ time: UInt64, now: UInt64) -> UInt64? {
        if !started {
            started = true
            wallStart = now
            traceStart = time
        }
        guard time > traceStart else { return nil }
        let wait = Double(time - traceStart) / speed
        // A corrupt time would otherwise wait for centuries, or trap here.
        guard wait < 1e18 else { return nil }
        let due = wallStart &+ UInt64(wait)
        return due > now ? due : nil
    }

    /// A capture's time. A 32-bit time after 2038 reaches us as a negative one.
    private static func nanoseconds(_ time: timeval) -> UInt64 {
        let seconds =
            time.tv_sec >= 0
            ? UInt64(time.tv_sec) : UInt64(UInt32(truncatingIfNeeded: time.tv_sec))
        return seconds &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_usec)
    }
}
