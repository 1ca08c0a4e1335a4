import CMOS
import CSys
import MOSEvents
import MOSPacketIO
import MOSStorage
import Synchronization

extension Context {
    /// This thread is the context's stack thread.
    @inline(__always)
    public var isCurrent: Bool {
        csys_current() == Unmanaged.passUnretained(self).toOpaque()
    }

    public var isDone: Bool { thread.done.load(ordering: .acquiring) }

    /// Another thread comes in to set something up. `EDEADLK` for a handler of
    /// another context, when this one stays busy: each may be waiting for the
    /// other.
    public func enter() throws(Errno) {
        if isCurrent { return }
        if csys_current() == nil {
            thread.lock()
        } else if !thread.lockWithinReason() {
            throw Errno(EDEADLK)
        }
    }

    public func leave() {
        if isCurrent { return }
        // Between bursts: what was closed or stopped goes at once.
        settleStops()
        settleClosed()
        sets.reap(limit: .max)
        thread.lastSetup.store(SystemClock.monotonic(), ordering: .releasing)
        thread.unlock()
        thread.wake()
    }

    /// Runs `body`, which only looks, on any thread and alone with the context.
    public func observe<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        if isCurrent { return try body() }
        if let raw = csys_current() {
            let own = Unmanaged<Context>.fromOpaque(raw).takeUnretainedValue()
            return try thread.observe(by: own.thread, body)
        }
        thread.lock()
        defer { thread.unlock() }
        return try body()
    }

    /// `mtcp_settimer`.
    public func setTimer(_ id: Int32, after duration: UInt64, _ callback: callback_t) throws(Errno) {
        if !isCurrent, !thread.virtualClock { now = max(now, SystemClock.wall()) }
        // At least a moment ahead: a handler that sets its timer again with no
        // delay must not keep the clock where it is. In a timer that is a
        // moment behind the packet that moves the clock.
        let start = duration == 0 ? max(now, comingTime) : now
        let (deadline, overflow) = start.addingReportingOverflow(max(duration, 1))
        guard timers.push(
            deadline: overflow ? .max : deadline, first: UInt64(UInt32(bitPattern: id)),
            second: UInt64(UInt(bitPattern: unsafeBitCast(callback, to: Int.self))))
        else { throw .noMemory }
        stats.pointee.timers = UInt64(timers.count)
        thread.nextDeadline = min(thread.nextDeadline, timers.peekDeadline)
    }

    /// The first packet starts the clock of a trace: timers that were set
    /// before count from there.
    func startClock(at time: UInt64) {
        thread.clockRuns = true
        let time = time < Context.endOfTime ? time : 0
        now = time
        guard timers.count > 0 else { return }
        var waiting = timers
        timers = TimerHeap()
        while let timer = waiting.pop() {
            let (deadline, overflow) = time.addingReportingOverflow(timer.deadline)
            _ = timers.push(deadline: overflow ? .max : deadline, first: timer.first, second: timer.second)
        }
        waiting.destroy()
        thread.nextDeadline = min(wheel.nextExpiry, timers.peekDeadline)
    }

    /// `mtcp_raise_event`.
    public func raise(event: UInt64) throws(Errno) {
        guard dispatcher.raise(event) else { throw .invalid }
    }

    /// Frees everything; the thread has ended.
    func tearDown() {
        flows.destroy()
        csys_unreserve(extensions, settings.maxFlows * MemoryLayout<FlowExtension>.stride)
        csys_unreserve(addresses6, settings.maxFlows * MemoryLayout<FlowAddresses>.stride)
        csys_unreserve(socketOptions, sockets.capacity * MemoryLayout<SocketOptions>.stride)
        csys_unreserve(socketOwners, sockets.capacity * 4)
        csys_unreserve(links, settings.maxFlows * MemoryLayout<LinkHeader>.stride)
        index.destroy()
        wheel.destroy()
        distant.destroy()
        memory.destroy()
        sockets.destroy()
        sets.destroy()
        dispatcher.destroy()
        timers.destroy()
        fragments.destroy()
        listeners.destroy()
        raws.destroy()
        forwarder.destroy()
        inputs.destroy()
        thread.destroy()
        csys_unreserve(scratch, Self.scratchSize(settings))
        free(handle)
    }
}

extension mos_stats {
    /// Adds the counters that interfaces have.
    mutating func add(_ other: mos_stats) {
        rx_packets &+= other.rx_packets
        rx_bytes &+= other.rx_bytes
        tx_packets &+= other.tx_packets
        tx_bytes &+= other.tx_bytes
        rx_short_frame &+= other.rx_short_frame
        rx_bad_length &+= other.rx_bad_length
        rx_bad_ip_checksum &+= other.rx_bad_ip_checksum
        rx_bad_tcp_checksum &+= other.rx_bad_tcp_checksum
        rx_bad_tcp_offset &+= other.rx_bad_tcp_offset
        rx_truncated &+= other.rx_truncated
        drop_app &+= other.drop_app
        drop_tx &+= other.drop_tx
        drop_no_route &+= other.drop_no_route
        drop_no_memory &+= other.drop_no_memory
        drop_fragment &+= other.drop_fragment
        fragments_in &+= other.fragments_in
        fragments_reassembled &+= other.fragments_reassembled
        non_tcp &+= other.non_tcp
        non_ip &+= other.non_ip
    }

    /// Adds what belongs to the context as a whole.
    mutating func addContext(_ context: Context) {
        let own = context.stats.pointee
        drop_no_route &+= own.drop_no_route
        drop_no_memory &+= own.drop_no_memory
        drop_flow_table_full = own.drop_flow_table_full
        flows_now = own.flows_now
        flows_total = own.flows_total
        orphans = own.orphans
        retransmissions = own.retransmissions
        memory_now = UInt64(context.memory.bytesInUse)
        memory_peak = UInt64(context.memory.peakBytes)
        gaps = own.gaps
        gap_bytes = own.gap_bytes
        overruns = own.overruns
        overrun_bytes = own.overrun_bytes
        timers = UInt64(context.timers.count)
        event_sets = UInt64(context.sets.liveCount)
        event_set_bytes = UInt64(context.sets.bytes)
    }
}

extension ContextSettings {
    init(_ configuration: Configuration) {
        maxFlows = configuration.maxConcurrency
        rmemSize = UInt32(clamping: configuration.rmemSize)
        rmemMax = UInt32(clamping: max(configuration.rmemMax, configuration.rmemSize))
        memoryLimit = configuration.memoryLimit
        idleTimeout = configuration.idleTimeoutSeconds < 0 ? .max : UInt64(configuration.idleTimeoutSeconds) &* 1_000_000_000
        timeWait = UInt64(max(configuration.timeWaitSeconds, 0)) &* 1_000_000_000
        verifiesChecksums = configuration.verifiesChecksums
        forwards = configuration.forwards
        buffersOff = configuration.noRingBuffers
        busyPoll = configuration.busyPoll
        burst = UInt32(clamping: min(max(configuration.burst, 1), Context.burst))
        fragmentTimeout = UInt64(max(configuration.fragmentTimeoutSeconds, 0)) &* 1_000_000_000
        maxFragmentedDatagrams = configuration.maxFragmentedDatagrams
        interfaceCount = configuration.devices.count
    }
}

extension Configuration {
    /// The CPU of a context: the n-th that a `netdev` mask names; for further
    /// ones, which `mtcp_setconf` allows, the first that none names.
    func cpu(ofCore core: Int) -> Int {
        let named = cpuMask.nonzeroBitCount
        var mask = core < named ? cpuMask : ~cpuMask
        for _ in 0..<(core < named ? core : core - named) { mask &= mask &- 1 }
        return mask.trailingZeroBitCount
    }
}
