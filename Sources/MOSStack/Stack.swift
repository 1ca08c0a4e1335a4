// What belongs to the process: the configuration, the ports, the contexts.
// Setting up takes a lock; what the packet path needs of it was handed to the
// contexts when they were made.

import CMOS
import CPcap
import CSys
import MOSPacketIO
import MOSStorage
import Synchronization

public final class Stack {
    /// The process's stack.
    public static let shared = Stack()

    /// How long after the last setup call a context begins to read a trace
    /// that another one reads already, ns (02-monitor.md §8).
    static let patience: UInt64 = 200_000_000

    /// More CPUs than that no mask can name.
    public static let maxContexts = 64

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// By CPU. Written under the lock, read without it.
    private let contexts = UnsafeMutablePointer<Atomic<UnsafeMutableRawPointer?>>.allocate(capacity: maxContexts)
    private var configuration: Configuration?
    private var ports: [OpenPort] = []
    private var shares: [Share] = []
    private var portsAreOpen = false
    /// `mtcp_destroy` waits for the contexts' threads.
    private var isEnding = false
    /// Grows with each `mtcp_destroy`.
    private var life: UInt = 1
    /// `stat_print`.
    private var ratePrinter: RatePrinter?
    let someContextStarted = Atomic<Bool>(false)
    private let fedContexts = Atomic<Int>(0)

    private struct OpenPort {
        var port: Port
        /// Where several contexts send on one queue.
        var lock: UnsafeMutablePointer<pthread_mutex_t>?
    }

    /// A source that several contexts read through the software distributor.
    private struct Share {
        var source: SharedSource
        var merger: TraceMerger?
        /// Devices that it reads.
        var devices: UInt64
        var queues: UInt32
    }

    private init() {
        pthread_mutex_init(mutex, nil)
        for cpu in 0..<Self.maxContexts { (contexts + cpu).initialize(to: Atomic(nil)) }
    }

    private func lock() {
        csys_add_lock_depth(1)
        pthread_mutex_lock(mutex)
    }

    private func unlock() {
        pthread_mutex_unlock(mutex)
        csys_add_lock_depth(-1)
    }

    // MARK: Configuration

    /// `mtcp_init`.
    public func initialize(path: UnsafePointer<CChar>?) throws(Errno) {
        lock()
        defer { unlock() }
        if configuration != nil { throw Errno(EALREADY) }
        var diagnostics = ConfigurationDiagnostics()
        do throws(ConfigurationError) {
            let read = try Configuration.load(path: path, diagnostics: &diagnostics)
            Log.open(read, &diagnostics)
            report(diagnostics)
            configuration = read
        } catch {
            report(diagnostics)
            error.message.withUnsafeBufferPointer { Log.error($0.baseAddress) }
            throw Errno(error.code)
        }
        Interrupts.install()
    }

    private func report(_ diagnostics: ConfigurationDiagnostics) {
        for message in diagnostics.messages {
            message.withUnsafeBufferPointer { Log.warning($0.baseAddress) }
        }
    }

    /// `mtcp_getconf`.
    public func getConfiguration(_ out: UnsafeMutablePointer<mtcp_conf>) throws(Errno) {
        lock()
        defer { unlock() }
        guard let configuration else { throw .notPermitted }
        configuration.fill(out)
    }

    /// `mtcp_setconf`: for contexts made afterwards.
    public func setConfiguration(_ values: UnsafePointer<mtcp_conf>) throws(Errno) {
        lock()
        defer { unlock() }
        guard configuration != nil else { throw .notPermitted }
        do throws(ConfigurationError) {
            try configuration?.apply(values)
        } catch {
            error.message.withUnsafeBufferPointer { Log.error($0.baseAddress) }
            throw Errno(error.code)
        }
    }

    /// `mtcp_destroy`: ends the contexts and forgets everything.
    public func destroy() throws(Errno) {
        guard csys_current() == nil else { throw .notPermitted }
        lock()
        defer { unlock() }
        guard configuration != nil, !isEnding else { throw .notPermitted }
        isEnding = true
        forEachContext { $0.thread.requestStop() }
        // Contexts that close their inputs need this lock.
        unlock()
        for cpu in 0..<Self.maxContexts {
            guard let context = context(cpu: cpu), context.thread.isRunning else { continue }
            pthread_join(context.thread.thread, nil)
            context.thread.isRunning = false
        }
        ratePrinter?.stop()
        ratePrinter = nil
        lock()
        for cpu in 0..<Self.maxContexts {
            guard let raw = contexts[cpu].load(ordering: .acquiring) else { continue }
            contexts[cpu].store(nil, ordering: .releasing)
            let unmanaged = Unmanaged<Context>.fromOpaque(raw)
            unmanaged.takeUnretainedValue().tearDown()
            unmanaged.release()
        }
        closePorts()
        configuration = nil
        isEnding = false
        life &+= 1
        someContextStarted.store(false, ordering: .releasing)
        fedContexts.store(0, ordering: .releasing)
        Interrupts.remove()
        Log.close()
    }

    // MARK: Contexts

    /// The context of a CPU, if there is one.
    public func context(cpu: Int) -> Context? {
        guard cpu >= 0, cpu < Self.maxContexts, let raw = contexts[cpu].load(ordering: .acquiring) else { return nil }
        return Unmanaged<Context>.fromOpaque(raw).takeUnretainedValue()
    }

    func forEachContext(_ body: (Context) -> Void) {
        for cpu in 0..<Self.maxContexts {
            if let context = context(cpu: cpu) { body(context) }
        }
    }

    /// `mtcp_create_context`.
    public func makeContext(cpu: Int) throws(Errno) -> Context {
        lock()
        defer { unlock() }
        guard let configuration, !isEnding else { throw .notPermitted }
        guard cpu >= 0, cpu < configuration.coreCount, cpu < Self.maxContexts else { throw .invalid }
        guard contexts[cpu].load(ordering: .acquiring) == nil else { throw Errno(EEXIST) }
        if !portsAreOpen { try openPorts(configuration) }

        let inputs = inputs(of: cpu, configuration)
        var virtual = true
        for (at, device) in configuration.devices.enumerated()
        where device.cpuMask & (1 << UInt64(configuration.cpu(ofCore: cpu))) != 0 && ports[at].port.info.is_trace == 0 {
            virtual = false
        }
        guard let context = Context(
            cpu: cpu, settings: ContextSettings(configuration), forwarder: forwarder(for: cpu, configuration),
            virtualClock: virtual)
        else { throw .noMemory }
        context.inputs.destroy()
        context.inputs = Inputs(inputs)
        if !inputs.isEmpty { fedContexts.add(1, ordering: .sequentiallyConsistent) }
        context.thread.lastSetup.store(SystemClock.monotonic(), ordering: .releasing)
        let raw = Unmanaged.passRetained(context).toOpaque()
        let code = Interrupts.withoutSignals {
            csys_start_thread(&context.thread.thread, "mos", Int32(configuration.cpu(ofCore: cpu)), stackThreadMain, raw)
        }
        guard code == 0 else {
            context.tearDown()
            Unmanaged<Context>.fromOpaque(raw).release()
            throw Errno(code)
        }
        context.thread.isRunning = true
        contexts[cpu].store(raw, ordering: .releasing)
        csys_log_context(Int32(CSYS_LOG_INFO), Int32(cpu), Int32(configuration.cpu(ofCore: cpu)), "is made")
        if ratePrinter == nil, !configuration.statisticsDevices.isEmpty {
            ratePrinter = RatePrinter(self, configuration)
        }
        return context
    }

    /// `mtcp_app_join` and every other call that means "the application is
    /// ready".
    public func begin(_ context: Context) {
        context.thread.started.store(true, ordering: .releasing)
        someContextStarted.store(true, ordering: .releasing)
        forEachContext { $0.thread.wake() }
        releaseUnopened()
    }

    /// `mtcp_app_join`.
    public func join(_ context: Context) {
        begin(context)
        while !context.thread.waitUntilDone() {
            // A signal whose handler is the application's own: it goes on
            // unless that has ended the context.
        }
    }

    /// `mtcp_destroy_context`: asks, and waits where that cannot block for
    /// ever (not on a stack thread, not inside another call of this thread).
    public func destroyContext(_ context: Context) {
        context.thread.requestStop()
        guard csys_current() == nil, csys_lock_depth() == 0 else { return }
        while !context.thread.waitUntilDone() {}
    }

    /// SIGINT without a handler of the application's.
    func stopAll() {
        forEachContext { $0.thread.requestStop() }
    }

    func contextIsDone() {
        forEachContext { $0.thread.wake() }
    }

    /// All contexts that an interface feeds have come to their end.
    var fedContextsAreDone: Bool {
        guard someContextStarted.load(ordering: .acquiring) else { return false }
        var all = true
        forEachContext { if $0.inputs.count > 0, !$0.thread.done.load(ordering: .acquiring) { all = false } }
        return all
    }

    // MARK: Ports

    /// Opens all interfaces, or none.
    private func openPorts(_ configuration: Configuration) throws(Errno) {
        do throws(Errno) {
            for device in configuration.devices { try openPort(device, configuration) }
            try beginPorts()
            try makeShares(configuration)
            portsAreOpen = true
        } catch {
            closePorts()
            throw error
        }
    }

    private func openPort(_ device: ConfigurationDevice, _ configuration: Configuration) throws(Errno) {
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Self.messageRoom)
        defer { message.deallocate() }
        message[0] = 0
        do throws(PortError) {
            let queues = max(cores(of: device, configuration).count, 1)
            var port = try Port.open(
                spec: device.specification, queues: UInt32(queues), error: message, errorSize: Self.messageRoom)
            port.index = Int32(ports.count)
            var lock: UnsafeMutablePointer<pthread_mutex_t>?
            // Every context may forward out of every interface.
            if configuration.coreCount > Int(port.info.num_queues), configuration.coreCount > 1 {
                let made = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
                pthread_mutex_init(made, nil)
                lock = made
            }
            ports.append(OpenPort(port: port, lock: lock))
        } catch {
            Log.error(message, of: device)
            throw Errno(error.code)
        }
    }

    /// No device may write what another one reads or writes.
    private func beginPorts() throws(Errno) {
        var list: [Port] = []
        for open in ports { list.append(open.port) }
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Self.messageRoom)
        defer { message.deallocate() }
        message[0] = 0
        do throws(PortError) {
            try list.withUnsafeBufferPointer { (ports) throws(PortError) in
                try Port.begin(ports, error: message, errorSize: Self.messageRoom)
            }
        } catch {
            Log.error(message)
            throw Errno(error.code)
        }
    }

    private static let messageRoom = 512

    private func closePorts() {
        for share in shares {
            share.source.destroy()
            share.merger?.destroy()
        }
        shares = []
        ownMerger?.destroy()
        ownMerger = nil
        for open in ports {
            open.port.close()
            if let lock = open.lock {
                pthread_mutex_destroy(lock)
                lock.deallocate()
            }
        }
        ports = []
        portsAreOpen = false
    }

    /// The cores that read an interface. None: `mtcp_setconf` has taken away
    /// those of its mask; then nobody reads it.
    private func cores(of device: ConfigurationDevice, _ configuration: Configuration) -> [UInt32] {
        var list: [UInt32] = []
        for core in 0..<configuration.coreCount
        where device.cpuMask & (1 << UInt64(configuration.cpu(ofCore: core))) != 0 {
            list.append(UInt32(core))
        }
        return list
    }

    /// One queue, and a clock of its own.
    private func isTrace(_ device: Int) -> Bool {
        ports[device].port.info.is_trace != 0 && ports[device].port.info.num_queues <= 1
    }

    /// Sources with one queue that more than one context reads: all traces
    /// together, in time, and each other device by itself.
    private func makeShares(_ configuration: Configuration) throws(Errno) {
        var traces: [Int] = []
        var readers: UInt64 = 0
        for (at, device) in configuration.devices.enumerated() {
            let cores = cores(of: device, configuration)
            if cores.isEmpty { continue }
            if isTrace(at) {
                traces.append(at)
                for core in cores { readers |= 1 << UInt64(core) }
            } else if ports[at].port.info.num_queues <= 1, cores.count > 1 {
                try share(.port(ports[at].port), nil, [at], configuration)
            }
        }
        guard readers.nonzeroBitCount > 1 else { return }
        if traces.count == 1 {
            try share(.port(ports[traces[0]].port), nil, traces, configuration)
        } else {
            guard let merger = merge(traces) else { throw .noMemory }
            try share(.merger(merger), merger, traces, configuration)
        }
    }

    private func merge(_ devices: [Int]) -> TraceMerger? {
        var list: [Port] = []
        for device in devices { list.append(ports[device].port) }
        return list.withUnsafeBufferPointer { TraceMerger(ports: $0) }
    }

    private func share(
        _ source: FrameSource, _ merger: TraceMerger?, _ devices: [Int], _ configuration: Configuration
    ) throws(Errno) {
        guard let shared = SharedSource(
            source: source, queues: UInt32(configuration.coreCount), index: Distribution.index)
        else { throw .noMemory }
        var mask: UInt64 = 0
        for device in devices {
            mask |= 1 << UInt64(device)
            let queues = cores(of: configuration.devices[device], configuration)
            let fed = queues.withUnsafeBufferPointer { shared.feed(port: Int32(device), queues: $0) }
            guard fed else {
                shared.destroy()
                throw .noMemory
            }
        }
        shares.append(
            Share(source: shared, merger: merger, devices: mask, queues: UInt32(configuration.coreCount)))
    }

    /// What a context reads.
    private func inputs(of core: Int, _ configuration: Configuration) -> [Input] {
        let bit: UInt64 = 1 << UInt64(configuration.cpu(ofCore: core))
        var list: [Input] = []
        var ownTraces: [Int] = []
        for (at, device) in configuration.devices.enumerated() where device.cpuMask & bit != 0 {
            var isShared = false
            for share in shares where share.devices & (1 << UInt64(at)) != 0 { isShared = true }
            if isShared { continue }
            if isTrace(at) {
                ownTraces.append(at)
            } else if ports[at].port.info.num_queues > 1 {
                // The k-th bit of the mask reads queue k.
                list.append(.queue(ports[at].port, UInt32((device.cpuMask & (bit - 1)).nonzeroBitCount)))
            } else {
                list.append(.source(.port(ports[at].port)))
            }
        }
        if ownTraces.count == 1 {
            list.append(.source(.port(ports[ownTraces[0]].port)))
        } else if ownTraces.count > 1, let merger = merge(ownTraces) {
            ownMerger?.destroy()
            ownMerger = merger
            list.append(.source(.merger(merger)))
        }
        for share in shares {
            var feeds = false
            for (at, device) in configuration.devices.enumerated()
            where share.devices & (1 << UInt64(at)) != 0 && device.cpuMask & bit != 0 { feeds = true }
            if feeds {
                share.source.open(queue: UInt32(core))
                list.append(.shared(share.source, UInt32(core)))
            }
        }
        return list
    }

    /// Only with a single context are traces read by it alone: one merger.
    private var ownMerger: TraceMerger?

    /// The context reads no more: what still comes for it is counted.
    func closeInputs(of context: Context) {
        lock()
        for share in shares { share.source.close(queue: UInt32(context.cpu)) }
        unlock()
        fedContexts.subtract(context.inputs.count > 0 ? 1 : 0, ordering: .sequentiallyConsistent)
    }

    /// Frames for contexts that were never made are counted as dropped, once
    /// nobody has set anything up for a while.
    private func releaseUnopened() {
        lock()
        let isNeeded = !shares.isEmpty && configurationHasMissingContexts
        let argument = UnsafeMutableRawPointer(bitPattern: life)
        unlock()
        guard isNeeded else { return }
        var thread = pthread_t()
        let code = Interrupts.withoutSignals { csys_start_thread(&thread, "mos-start", -1, lateStartMain, argument) }
        if code == 0 { pthread_detach(thread) }
    }

    private var configurationHasMissingContexts: Bool {
        guard let configuration else { return false }
        for core in 0..<configuration.coreCount where context(cpu: core) == nil { return true }
        return false
    }

    /// In the life of the stack for which it was asked.
    func closeUnopenedShares(_ asked: UInt) {
        lock()
        defer { unlock() }
        // 200 ms after the last context was made or set up. Contexts go away
        // under the lock only.
        while life == asked {
            var latest: UInt64 = 0
            forEachContext { latest = max(latest, $0.thread.lastSetup.load(ordering: .acquiring)) }
            let quiet = SystemClock.monotonic() &- latest
            if quiet >= Self.patience {
                for share in shares { share.source.closeUnopened() }
                return
            }
            unlock()
            usleep(UInt32((Self.patience - quiet) / 1000) + 1)
            lock()
        }
    }

    private func forwarder(for core: Int, _ configuration: Configuration) -> Forwarder {
        var list: [OutPort] = []
        for (at, open) in ports.enumerated() {
            let device = configuration.devices[at]
            let queues = max(open.port.info.num_queues, 1)
            list.append(
                OutPort(
                    port: open.port, queue: UInt32(core) % queues, lock: open.lock,
                    partner: configuration.forwardPartner(of: at) ?? -1,
                    mac: device.hasMAC ? device.mac : open.port.info.mac))
        }
        var routes: [Route] = []
        for route in configuration.routes {
            let mask = Self.mask(route.prefix)
            routes.append(Route(network: route.address & mask, mask: mask, interface: route.device))
        }
        for (at, device) in configuration.devices.enumerated() where device.address != 0 {
            let mask = Self.mask(device.prefix)
            routes.append(Route(network: device.address & mask, mask: mask, interface: at))
        }
        routes.sort { $0.mask > $1.mask }
        var neighbours: [Neighbour] = []
        for entry in configuration.arpEntries {
            let mask = Self.mask(entry.prefix)
            neighbours.append(Neighbour(address: entry.address & mask, mask: mask, mac: entry.mac))
        }
        neighbours.sort { $0.mask > $1.mask }
        return Forwarder(ports: list, routes: routes, neighbours: neighbours)
    }

    private static func mask(_ prefix: UInt8) -> UInt32 {
        prefix == 0 ? 0 : ~UInt32(0) << UInt32(32 - min(prefix, 32))
    }

    // MARK: Statistics

    /// An interface's counters over all contexts.
    func total(interface: Int) -> mos_stats {
        var sum = mos_stats()
        var source: UInt64 = 0
        var flows: UInt64 = 0
        forEachContext { context in
            guard let one = try? statistics(of: context, interface: interface) else { return }
            source = one.drop_source
            sum.add(one)
            flows &+= (try? context.observe { context.stats.pointee.flows_now }) ?? 0
        }
        sum.drop_source = source
        sum.flows_now = flows
        return sum
    }

    /// `mos_get_stats`.
    ///
    /// The context comes before the stack's own lock: its handlers may ask, too.
    public func statistics(of context: Context, interface: Int) throws(Errno) -> mos_stats {
        try context.observe { () throws(Errno) in try counters(of: context, interface: interface) }
    }

    private func counters(of context: Context, interface: Int) throws(Errno) -> mos_stats {
        lock()
        defer { unlock() }
        guard interface >= -1, interface < ports.count else { throw .invalid }
        var out = mos_stats()
        let range = interface == -1 ? 0..<ports.count : interface..<(interface + 1)
        for at in range {
            out.add(context.portStats[at])
            let source = ports[at].port.statistics()
            out.drop_source &+= source.rx_drops
        }
        // Frames for contexts that were never made, or have ended.
        for share in shares where interface == -1 || share.devices == 1 << UInt64(interface) {
            for queue in 0..<share.queues { out.drop_source &+= share.source.dropped(queue: queue) }
        }
        if interface == -1 { out.addContext(context) }
        return out
    }
}

/// Where a stack thread begins.
private let stackThreadMain: @convention(c) (UnsafeMutableRawPointer?) -> Void = { raw in
    guard let raw else { return }
    let context = Unmanaged<Context>.fromOpaque(raw).takeUnretainedValue()
    context.run(Stack.shared)
}

private let lateStartMain: @convention(c) (UnsafeMutableRawPointer?) -> Void = { life in
    Stack.shared.closeUnopenedShares(UInt(bitPattern: life))
}
