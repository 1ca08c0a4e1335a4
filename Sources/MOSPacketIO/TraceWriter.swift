import CMOS
import CPcap
import CSys

/// The `out=` file of a trace port: a pcap file, Ethernet, nanoseconds. Any
/// thread writes; a mutex orders them.
///
/// Frames count as sent when the burst that they are in has reached the
/// system (`flush`). After the first failed write (a full disk, a reader that
/// is gone) nothing more is written and every frame is a drop.
struct TraceWriter {
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var lock: pthread_mutex_t
        var counters: PortCounters
        var name: UnsafeMutablePointer<CChar>
        /// Only tells libpcap the link type and precision.
        var dead: OpaquePointer
        var dumper: OpaquePointer
        var file: UnsafeMutablePointer<FILE>
        var pendingPackets: UInt64
        var pendingBytes: UInt64
        var failed: Bool
    }

    private static let bufferSize = 128 * 1024

    /// Makes or empties the file; `-` is standard output. `input` is the trace
    /// that is read, which must not be the same file. Throws after writing the
    /// reason to `message`.
    init(
        name text: TextSlice, input: cpcap_file_id, counters: PortCounters, message: inout MessageWriter
    ) throws(PortError) {
        guard let name = text.copy() else { throw PortError(code: ENOMEM) }
        var stream: UnsafeMutablePointer<FILE>?
        let descriptor = text.equals("-") ? dup(STDOUT_FILENO) : cpcap_open_write(name)
        var code = descriptor < 0 ? csys_errno() : 0
        var id = cpcap_file_id()
        if descriptor >= 0, cpcap_identify(descriptor, &id) == 0,
            id.regular != 0, id.device == input.device, id.inode == input.inode
        {
            message.append(name)
            message.append(": out= names the trace that is read")
            CSys.close(descriptor)
            free(name)
            throw PortError(code: EINVAL)
        }
        if code == 0 {
            if cpcap_truncate(descriptor) != 0 { code = csys_errno() }
            if code == 0 {
                stream = cpcap_stream(descriptor, "w", Self.bufferSize)
                if stream == nil { code = csys_errno() }
            }
            if code != 0 { CSys.close(descriptor) }
        }
        guard let stream else {
            message.append(name)
            message.append(": ")
            message.append(errno: code)
            free(name)
            throw PortError(code: code)
        }
        let memory = malloc(MemoryLayout<State>.stride)
        let dead = pcap_open_dead_with_tstamp_precision(
            DLT_EN10MB, Int32(FrameArena.longestPacket), UInt32(PCAP_TSTAMP_PRECISION_NANO))
        // The file header goes to the stream's buffer, so that it cannot fail here.
        let dumper = dead == nil ? nil : pcap_dump_fopen(dead, stream)
        guard let memory, let dead, let dumper else {
            free(memory)
            if let dead { pcap_close(dead) }
            fclose(stream)
            free(name)
            throw PortError(code: ENOMEM)
        }
        state = memory.bindMemory(to: State.self, capacity: 1)
        state.initialize(
            to: State(
                lock: pthread_mutex_t(), counters: counters, name: name, dead: dead, dumper: dumper, file: stream,
                pendingPackets: 0, pendingBytes: 0, failed: false))
        pthread_mutex_init(&state.pointee.lock, nil)
    }

    /// Writes one frame. 0, or an errno value when it is dropped and counted.
    func write(_ data: UnsafePointer<UInt8>, length: UInt32, wireLength: UInt32, time: UInt64) -> Int32 {
        pthread_mutex_lock(&state.pointee.lock)
        defer { pthread_mutex_unlock(&state.pointee.lock) }
        if state.pointee.failed {
            state.pointee.counters.add(.txDrops, 1)
            return EIO
        }
        var header = pcap_pkthdr()
        header.ts.tv_sec = Int(truncatingIfNeeded: time / 1_000_000_000)
        header.ts.tv_usec = Int(truncatingIfNeeded: time % 1_000_000_000)  // nanoseconds: see init
        header.caplen = length
        header.len = max(wireLength, length)
        pcap_dump(UnsafeMutableRawPointer(state.pointee.dumper).assumingMemoryBound(to: UInt8.self), &header, data)
        state.pointee.pendingPackets += 1
        state.pointee.pendingBytes += UInt64(length)
        if ferror(state.pointee.file) != 0 {
            fail(csys_errno())
            return EIO
        }
        return 0
    }

    /// Hands what is buffered to the system.
    func flush() {
        pthread_mutex_lock(&state.pointee.lock)
        defer { pthread_mutex_unlock(&state.pointee.lock) }
        flushLocked()
    }

    private func flushLocked() {
        guard !state.pointee.failed, state.pointee.pendingPackets > 0 else { return }
        if fflush(state.pointee.file) != 0 {
            fail(csys_errno())
            return
        }
        state.pointee.counters.add(.txPackets, state.pointee.pendingPackets)
        state.pointee.counters.add(.txBytes, state.pointee.pendingBytes)
        state.pointee.pendingPackets = 0
        state.pointee.pendingBytes = 0
    }

    private func fail(_ code: Int32) {
        state.pointee.failed = true
        state.pointee.counters.add(.txDrops, state.pointee.pendingPackets)
        state.pointee.pendingPackets = 0
        state.pointee.pendingBytes = 0
        PacketIOLog.say(state.pointee.name, "writing stopped", errno: code)
    }

    func close() {
        flushLocked()
        // Also writes the header of a file without packets.
        if !state.pointee.failed, fflush(state.pointee.file) != 0 { fail(csys_errno()) }
        pcap_dump_close(state.pointee.dumper)
        pcap_close(state.pointee.dead)
        pthread_mutex_destroy(&state.pointee.lock)
        free(state.pointee.name)
        free(state)
    }
}
