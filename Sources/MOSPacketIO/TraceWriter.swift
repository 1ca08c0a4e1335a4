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
        let id: cpcap_file_id
        var counters: PortCounters
        var name: UnsafeMutablePointer<CChar>
        /// Only tells libpcap the link type and precision.
        var dead: OpaquePointer
        /// nil before `begin`.
        var dumper: OpaquePointer?
        var file: UnsafeMutablePointer<FILE>
        var pendingPackets: UInt64 = 0
        var pendingBytes: UInt64 = 0
        /// Nothing is written: not begun, or a write has failed.
        var isStopped = true
    }

    private static let bufferSize = 128 * 1024

    var name: UnsafePointer<CChar> { UnsafePointer(state.pointee.name) }
    /// What is written.
    var file: cpcap_file_id { state.pointee.id }

    /// Makes the file if it is missing, and leaves what is in it alone; `-` is
    /// standard output. Throws after writing the reason to `message`.
    init(name text: TextSlice, counters: PortCounters, message: inout MessageWriter) throws(PortError) {
        guard let name = DeviceOptions.copy(text) else { throw PortError(code: ENOMEM) }
        let descriptor = text.equals("-") ? dup(STDOUT_FILENO) : cpcap_open_write(name)
        var id = cpcap_file_id()
        var stream: UnsafeMutablePointer<FILE>?
        if descriptor >= 0, cpcap_identify(descriptor, &id) == 0 {
            stream = cpcap_stream(descriptor, "w", Self.bufferSize)
        }
        guard let stream else {
            let code = csys_errno()
            if descriptor >= 0 { CSys.close(descriptor) }
            message.append(name)
            message.append(": ")
            message.append(errno: code)
            free(name)
            throw PortError(code: code)
        }
        let memory = malloc(MemoryLayout<State>.stride)
        let dead = pcap_open_dead_with_tstamp_precision(
            DLT_EN10MB, Int32(FrameArena.longestPacket), UInt32(PCAP_TSTAMP_PRECISION_NANO))
        guard let memory, let dead else {
            free(memory)
            if let dead { pcap_close(dead) }
            fclose(stream)
            free(name)
            throw PortError(code: ENOMEM)
        }
        state = memory.bindMemory(to: State.self, capacity: 1)
        state.initialize(
            to: State(
                lock: pthread_mutex_t(), id: id, counters: counters, name: name, dead: dead, dumper: nil, file: stream))
        pthread_mutex_init(&state.pointee.lock, nil)
    }

    /// Empties the file: before this nothing is written. Once, before any
    /// frame. Throws after writing the reason to `message`.
    func begin(_ message: inout MessageWriter) throws(PortError) {
        var code: Int32 = 0
        if cpcap_truncate(fileno(state.pointee.file)) != 0 {
            code = csys_errno()
        } else {
            // The file header goes to the stream's buffer, so that it cannot fail here.
            state.pointee.dumper = pcap_dump_fopen(state.pointee.dead, state.pointee.file)
            if state.pointee.dumper == nil { code = ENOMEM }
        }
        guard code == 0 else {
            message.append(name)
            message.append(": ")
            message.append(errno: code)
            throw PortError(code: code)
        }
        state.pointee.isStopped = false
    }

    /// Writes one frame. 0, or an errno value when it is dropped and counted.
    func write(_ data: UnsafePointer<UInt8>, length: UInt32, wireLength: UInt32, time: UInt64) -> Int32 {
        pthread_mutex_lock(&state.pointee.lock)
        defer { pthread_mutex_unlock(&state.pointee.lock) }
        guard let dumper = state.pointee.dumper, !state.pointee.isStopped else {
            state.pointee.counters.add(.txDrops, 1)
            return EIO
        }
        var header = pcap_pkthdr()
        header.ts.tv_sec = Int(truncatingIfNeeded: time / 1_000_000_000)
        header.ts.tv_usec = Int(truncatingIfNeeded: time % 1_000_000_000)  // nanoseconds: see init
        header.caplen = length
        header.len = max(wireLength, length)
        pcap_dump(UnsafeMutableRawPointer(dumper).assumingMemoryBound(to: UInt8.self), &header, data)
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
        guard !state.pointee.isStopped, state.pointee.pendingPackets > 0 else { return }
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
        state.pointee.isStopped = true
        state.pointee.counters.add(.txDrops, state.pointee.pendingPackets)
        state.pointee.pendingPackets = 0
        state.pointee.pendingBytes = 0
        PacketIOLog.say(state.pointee.name, "writing stopped", errno: code)
    }

    func close() {
        flushLocked()
        // Also writes the header of a file without packets.
        if !state.pointee.isStopped, fflush(state.pointee.file) != 0 { fail(csys_errno()) }
        if let dumper = state.pointee.dumper { pcap_dump_close(dumper) } else { fclose(state.pointee.file) }
        pcap_close(state.pointee.dead)
        pthread_mutex_destroy(&state.pointee.lock)
        free(state.pointee.name)
        free(state)
    }
}
