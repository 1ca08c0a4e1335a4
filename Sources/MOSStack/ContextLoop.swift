// What a context's thread does: 02-monitor.md §8.

import CMOS
import CSys
import MOSPacketIO
import MOSStorage
import Synchronization

/// Where a context's frames come from.
enum Input {
    /// All that this source gives.
    case source(FrameSource)
    /// One queue of a port with several.
    case queue(Port, UInt32)
    /// A share of what the software distributor reads.
    case shared(SharedSource, UInt32)

    func receive(into frames: UnsafeMutablePointer<mos_io_frame>, _ max: UInt32, timeout: UInt64) -> Int32 {
        switch self {
        case .source(let source): return source.receive(into: frames, max: max)
        case .queue(let port, let queue): return port.receive(queue: queue, into: frames, max: max)
        case .shared(let source, let queue): return source.receive(queue: queue, into: frames, max: max, timeout: timeout)
        }
    }

    var descriptor: Int32 {
        switch self {
        case .source(let source): return source.waitDescriptor
        case .queue(let port, let queue): return port.waitDescriptor(queue: queue)
        case .shared: return -1
        }
    }

    /// It waits by itself when it has nothing.
    var waits: Bool {
        if case .shared = self { return true }
        return false
    }
}

/// The inputs of one context; a raw array, since the loop runs over it for
/// each burst.
struct Inputs {
    private let inputs: UnsafeMutablePointer<Input>
    private let open: UnsafeMutablePointer<Bool>
    let count: Int
    private(set) var openCount: Int

    init(_ list: [Input]) {
        count = list.count
        openCount = list.count
        inputs = .allocate(capacity: list.count + 1)
        open = .allocate(capacity: list.count + 1)
        for (at, input) in list.enumerated() {
            (inputs + at).initialize(to: input)
            open[at] = true
        }
    }

    subscript(_ at: Int) -> Input { inputs[at] }
    func isOpen(_ at: Int) -> Bool { open[at] }

    mutating func end(_ at: Int) {
        guard open[at] else { return }
        open[at] = false
        openCount -= 1
    }

    func destroy() {
        inputs.deinitialize(count: count)
        inputs.deallocate()
        open.deallocate()
    }
}

extension Context {
    /// The body of the stack thread.
    func run(_ stack: Stack) {
        csys_set_current(Unmanaged.passUnretained(self).toOpaque())
        thread.lockForStack()
        if waitForStart(stack) {
            loop(stack)
            // What is due at the very time of a trace's last packet.
            if !thread.stopRequested.load(ordering: .acquiring) { runDue() }
        }
        if !thread.virtualClock { judgeChecksums(atEnd: true) }
        endAll()
        forwarder.flush()
        // Others may still set something up until it is done.
        Log.totals(self)
        thread.unlockForStack()
        stack.closeInputs(of: self)
        csys_set_current(nil)
        thread.markDone()
        stack.contextIsDone()
    }

    /// Reading begins when the application is ready. False: it never was.
    private func waitForStart(_ stack: Stack) -> Bool {
        while !thread.stopRequested.load(ordering: .acquiring) {
            if thread.started.load(ordering: .acquiring) { return true }
            var timeout: Int32 = -1
            if stack.someContextStarted.load(ordering: .acquiring) {
                // 200 ms after the last call that set something up here.
                let quiet = SystemClock.monotonic() &- thread.lastSetup.load(ordering: .acquiring)
                if quiet >= Stack.patience {
                    thread.started.store(true, ordering: .releasing)
                    return true
                }
                timeout = Int32((Stack.patience - quiet) / 1_000_000) + 1
            } else if !thread.virtualClock {
                // Live interfaces are read from the start.
                return true
            }
            sleep(timeout, descriptors: 0)
        }
        return false
    }

    private func loop(_ stack: Stack) {
        let frames = UnsafeMutablePointer<mos_io_frame>.allocate(capacity: Context.burst)
        defer { frames.deallocate() }
        if inputs.count == 0 {
            idleWithoutInput(stack)
            return
        }
        if !thread.virtualClock { now = SystemClock.wall() }
        while !thread.stopRequested.load(ordering: .relaxed) {
            var received = false
            for at in 0..<inputs.count where inputs.isOpen(at) {
                let input = inputs[at]
                let patient = inputs.openCount == 1 && input.waits
                if patient { thread.unlockForStack() }
                let count = input.receive(into: frames, settings.burst, timeout: patient ? 5_000_000 : 0)
                if patient { thread.lockForStack() }
                if count > 0 {
                    received = true
                    if thread.virtualClock, !thread.clockRuns { startClock(at: frames[0].time_ns) }
                    process(frames, Int(count))
                } else if count < 0 {
                    inputs.end(at)
                }
            }
            if !thread.virtualClock {
                now = max(now, SystemClock.wall())
                runDue()
                if thread.checksumsJudgedAt != .max { judgeChecksums(atEnd: false) }
            }
            thread.giveWay()
            if inputs.openCount == 0 {
                if thread.virtualClock { break }
                // Live interfaces that are gone: timeouts still run.
                idleWithoutInput(stack)
                break
            }
            if !received, !settings.busyPoll, !(inputs.openCount == 1 && soleInputWaits) { rest() }
        }
    }

    /// Timers and timeouts while no packet comes: what their handlers sent
    /// goes out, and what they closed or stopped is looked after.
    private func runDue() {
        guard now >= thread.nextDeadline else { return }
        runDeadlines(until: now)
        finishBurst()
    }

    /// On a live interface, says once that many checksums are wrong: most
    /// likely those that the machine's own card was still to fill in. Asked
    /// after 1000 packets, after twice as many each time, and at the end.
    private func judgeChecksums(atEnd: Bool) {
        guard settings.verifiesChecksums, thread.checksumsJudgedAt != .max else {
            thread.checksumsJudgedAt = .max
            return
        }
        var packets: UInt64 = 0
        var bad: UInt64 = 0
        for at in 0..<settings.interfaceCount {
            packets &+= portStats[at].rx_packets
            bad &+= portStats[at].rx_bad_tcp_checksum
        }
        guard atEnd || packets >= thread.checksumsJudgedAt else { return }
        if bad > 0, bad &* 20 >= packets {
            thread.checksumsJudgedAt = .max
            Log.checksums(self, bad: bad, of: packets)
        } else {
            thread.checksumsJudgedAt = packets &* 2
        }
    }

    private var soleInputWaits: Bool {
        for at in 0..<inputs.count where inputs.isOpen(at) { return inputs[at].waits }
        return false
    }

    /// Sleeps until an input, another thread or a deadline wants something.
    private func rest() {
        var timeout: UInt64 = 100_000_000
        if !thread.virtualClock, thread.nextDeadline != .max {
            timeout = min(timeout, thread.nextDeadline > now ? thread.nextDeadline &- now : 0)
        }
        var blind = false
        for at in 0..<inputs.count where inputs.isOpen(at) && inputs[at].descriptor < 0 { blind = true }
        if blind { timeout = min(timeout, 1_000_000) }
        sleep(Int32((timeout + 999_999) / 1_000_000), descriptors: inputs.count)
    }

    /// Polls the first `descriptors` inputs and the wake-up without the lock.
    private func sleep(_ milliseconds: Int32, descriptors: Int) {
        withUnsafeTemporaryAllocation(of: pollfd.self, capacity: descriptors + 1) { list in
            var count = 1
            list[0] = pollfd(fd: thread.wakeDescriptor, events: Int16(POLLIN), revents: 0)
            for at in 0..<descriptors where inputs.isOpen(at) {
                let descriptor = inputs[at].descriptor
                guard descriptor >= 0 else { continue }
                list[count] = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                count += 1
            }
            thread.unlockForStack()
            poll(list.baseAddress, nfds_t(count), milliseconds)
            thread.lockForStack()
        }
        thread.drainWake()
    }

    /// A context that no interface feeds is done when the others are.
    private func idleWithoutInput(_ stack: Stack) {
        while !thread.stopRequested.load(ordering: .acquiring), !stack.fedContextsAreDone {
            var timeout: Int32 = 100
            if !thread.virtualClock {
                now = max(now, SystemClock.wall())
                runDue()
                if thread.nextDeadline != .max, thread.nextDeadline > now {
                    timeout = Int32(min(100, (thread.nextDeadline &- now) / 1_000_000 + 1))
                }
            }
            sleep(timeout, descriptors: 0)
        }
    }
}
