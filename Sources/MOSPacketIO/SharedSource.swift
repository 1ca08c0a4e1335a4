import CMOS
import CSys

/// The software distributor: a source with one queue that several contexts
/// read. Whoever finds its own ring empty reads a burst for all and copies
/// each frame into its context's ring. Any thread may call anything; one
/// thread at a time receives for one queue.
///
/// Frames of one queue keep their order. Nothing is lost: where a ring is
/// full, or a context does not exist yet, the reading stops until there is
/// room, and nobody waits for that longer than the timeout of its call.
public struct SharedSource {
    /// Which of `queues` contexts gets a frame of `length` bytes. Called on any
    /// thread; a result that is too large is taken modulo `queues`.
    public typealias Index = @convention(c) (UnsafePointer<UInt8>, _ length: UInt32, _ queues: UInt32) -> UInt32

    private let state: UnsafeMutablePointer<State>

    private enum Phase: UInt8 {
        case unopened, open, closed
    }

    private struct Queue {
        var ring: FrameRing
        var phase = Phase.unopened
        var dropped: UInt64 = 0
    }

    /// The contexts that one interface feeds, in the order of its mask.
    private struct Feed {
        var port: Int32
        var count: UInt32
        var queues: UnsafeMutablePointer<UInt32>
    }

    private struct State {
        let source: FrameSource
        let index: Index
        let queues: UnsafeMutablePointer<Queue>
        let queueCount: UInt32
        let feeds: UnsafeMutablePointer<Feed>
        var feedCount = 0
        var lock = pthread_mutex_t()
        var changed = pthread_cond_t()

        /// A thread is inside source.receive, without the lock; the burst is its own.
        var reading = false
        var ended = false
        /// The source's last burst and where each frame goes. Frames before
        /// `next` are handed on.
        let burst: UnsafeMutablePointer<mos_io_frame>
        let targets: UnsafeMutablePointer<UInt32>
        var next = 0
        var count = 0
    }

    private static let ringSlots = 1024
    private static let ringBytes = 2 * 1024 * 1024
    private static let mostFeeds = 64

    /// Between two looks at a source that has no descriptor to wait for.
    private static let nap: UInt64 = 200_000

    /// All queues are `unopened`. nil without memory or queues. The source
    /// stays the caller's to close.
    public init?(source: FrameSource, queues queueCount: UInt32, index: @escaping Index) {
        guard queueCount > 0 else { return nil }
        let stateMemory = malloc(MemoryLayout<State>.stride)
        let queueMemory = malloc(Int(queueCount) * MemoryLayout<Queue>.stride)
        let feedMemory = malloc(Self.mostFeeds * MemoryLayout<Feed>.stride)
        let burstMemory = malloc(Int(MOS_IO_BURST) * MemoryLayout<mos_io_frame>.stride)
        let targetMemory = malloc(Int(MOS_IO_BURST) * MemoryLayout<UInt32>.stride)
        var made = 0
        if let stateMemory, let queueMemory, let feedMemory, let burstMemory, let targetMemory {
            let queues = queueMemory.bindMemory(to: Queue.self, capacity: Int(queueCount))
            while made < Int(queueCount), let ring = FrameRing(slots: Self.ringSlots, bytes: Self.ringBytes) {
                (queues + made).initialize(to: Queue(ring: ring))
                made += 1
            }
            if made == Int(queueCount) {
                state = stateMemory.bindMemory(to: State.self, capacity: 1)
                state.initialize(
                    to: State(
                        source: source, index: index, queues: queues, queueCount: queueCount,
                        feeds: feedMemory.bindMemory(to: Feed.self, capacity: Self.mostFeeds),
                        burst: burstMemory.bindMemory(to: mos_io_frame.self, capacity: Int(MOS_IO_BURST)),
                        targets: targetMemory.bindMemory(to: UInt32.self, capacity: Int(MOS_IO_BURST))))
                pthread_mutex_init(&state.pointee.lock, nil)
                var attributes = pthread_condattr_t()
                pthread_condattr_init(&attributes)
                pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
                pthread_cond_init(&state.pointee.changed, &attributes)
                pthread_condattr_destroy(&attributes)
                return
            }
            for i in 0..<made { queues[i].ring.free() }
        }
        free(stateMemory)
        free(queueMemory)
        free(feedMemory)
        free(burstMemory)
        free(targetMemory)
        return nil
    }

    /// Frees the distributor, not its source. No call may be under way.
    public func destroy() {
        for i in 0..<Int(state.pointee.queueCount) { state.pointee.queues[i].ring.free() }
        for i in 0..<state.pointee.feedCount { free(state.pointee.feeds[i].queues) }
        pthread_cond_destroy(&state.pointee.changed)
        pthread_mutex_destroy(&state.pointee.lock)
        free(state.pointee.queues)
        free(state.pointee.feeds)
        free(state.pointee.burst)
        free(state.pointee.targets)
        free(state)
    }

    /// Says that frames with this `mos_io_frame.port` go to these queues only:
    /// the index function is then asked for one of `queues.count`, and the k-th
    /// of the list gets the frame. Without this a port feeds all queues in
    /// order. Before the first receive.
    ///
    /// False: an empty list, a queue that does not exist, more than 64 ports, no memory.
    public func feed(port: Int32, queues: UnsafeBufferPointer<UInt32>) -> Bool {
        lock()
        defer { unlock() }
        guard queues.count > 0, state.pointee.feedCount < Self.mostFeeds else { return false }
        for i in 0..<queues.count where queues[i] >= state.pointee.queueCount { return false }
        guard let memory = malloc(queues.count * MemoryLayout<UInt32>.stride) else { return false }
        let copy = memory.bindMemory(to: UInt32.self, capacity: queues.count)
        for i in 0..<queues.count { copy[i] = queues[i] }
        state.pointee.feeds[state.pointee.feedCount] = Feed(
            port: port, count: UInt32(queues.count), queues: copy)
        state.pointee.feedCount += 1
        return true
    }

    /// The queue's context exists: its frames go to its ring. No effect on one
    /// that is closed.
    public func open(queue: UInt32) {
        lock()
        if let queue = self.queue(queue), queue.pointee.phase == .unopened { queue.pointee.phase = .open }
        changed()
        unlock()
    }

    /// Nobody will receive for this queue any more. What waits for it and what
    /// comes for it is counted as dropped.
    public func close(queue: UInt32) {
        lock()
        if let queue = self.queue(queue) { closeLocked(queue) }
        changed()
        unlock()
    }

    /// No further contexts will be made: closes the queues that are unopened.
    public func closeUnopened() {
        lock()
        for i in 0..<Int(state.pointee.queueCount) where state.pointee.queues[i].phase == .unopened {
            closeLocked(state.pointee.queues + i)
        }
        changed()
        unlock()
    }

    /// Frames for this queue that nobody received: it was closed, or one was
    /// longer than a ring.
    public func dropped(queue: UInt32) -> UInt64 {
        lock()
        defer { unlock() }
        return self.queue(queue)?.pointee.dropped ?? 0
    }

    /// Up to `max` frames for the queue, which must be open. They stay until
    /// its next receive. 0: none came within `timeout` nanoseconds (0: does not
    /// wait). `MOS_IO_END`: the source has ended or failed and all was given,
    /// or the queue is closed.
    ///
    /// It waits by itself, so a caller without another source need not sleep.
    public func receive(
        queue number: UInt32, into out: UnsafeMutablePointer<mos_io_frame>, max: UInt32,
        timeout: UInt64 = 2_000_000
    ) -> Int32 {
        lock()
        defer { unlock() }
        guard let queue = queue(number), max > 0 else { return Int32(MOS_IO_END) }
        queue.pointee.ring.release()
        if queue.pointee.phase == .unopened { queue.pointee.phase = .open }
        var deadline: UInt64 = 0
        var tried = false
        while true {
            if queue.pointee.phase == .closed { return Int32(MOS_IO_END) }
            if !state.pointee.reading, handOn() { changed() }
            let given = queue.pointee.ring.take(out, max: Int(clamping: max))
            if given > 0 { return Int32(given) }
            let free = !state.pointee.reading && state.pointee.next == state.pointee.count
            if free, state.pointee.ended { return Int32(MOS_IO_END) }

            let now = MonotonicClock.now()
            if deadline == 0 { deadline = now &+ timeout }
            if tried, now >= deadline { return 0 }
            if free {
                read(until: deadline)
            } else {
                if now >= deadline { return 0 }
                var time = MonotonicClock.specification(deadline)
                pthread_cond_timedwait(&state.pointee.changed, &state.pointee.lock, &time)
            }
            tried = true
        }
    }

    /// Reads one burst for everybody. Called, and returns, with the lock;
    /// without it in between.
    private func read(until deadline: UInt64) {
        state.pointee.reading = true
        unlock()
        // Safe without the lock: `reading` makes burst, targets and the source
        // this thread's own; the rest of the state is constant.
        let source = state.pointee.source
        let burst = state.pointee.burst
        var n = source.receive(into: burst, max: UInt32(MOS_IO_BURST))
        if n == 0 {
            wait(source.waitDescriptor, until: deadline)
            n = source.receive(into: burst, max: UInt32(MOS_IO_BURST))
        }
        let count = Int(Swift.max(n, 0))
        for i in 0..<count { state.pointee.targets[i] = target(of: burst + i) }
        lock()
        state.pointee.reading = false
        state.pointee.ended = n < 0
        state.pointee.next = 0
        state.pointee.count = count
        changed()
    }

    private func wait(_ descriptor: Int32, until deadline: UInt64) {
        let now = MonotonicClock.now()
        guard now < deadline else { return }
        if descriptor < 0 {
            MonotonicClock.sleep(min(Self.nap, deadline - now))
            return
        }
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        csys_poll(&poller, 1, deadline - now)
    }

    private func target(of frame: UnsafeMutablePointer<mos_io_frame>) -> UInt32 {
        guard let data = frame.pointee.data else { return 0 }
        for i in 0..<state.pointee.feedCount where state.pointee.feeds[i].port == frame.pointee.port {
            let feed = state.pointee.feeds[i]
            // In bounds: the remainder is below the list's count.
            return feed.queues[Int(state.pointee.index(data, frame.pointee.len, feed.count) % feed.count)]
        }
        let count = state.pointee.queueCount
        return state.pointee.index(data, frame.pointee.len, count) % count
    }

    /// Moves frames of the burst into rings, in order, until one has no room or
    /// no context. True if any was moved. With the lock; nobody is reading.
    private func handOn() -> Bool {
        let before = state.pointee.next
        while state.pointee.next < state.pointee.count {
            let at = state.pointee.next
            // In bounds: target() gives numbers below queueCount.
            let queue = state.pointee.queues + Int(state.pointee.targets[at])
            switch queue.pointee.phase {
            case .unopened: return at != before
            case .closed: queue.pointee.dropped &+= 1
            case .open:
                switch queue.pointee.ring.push(state.pointee.burst[at]) {
                case .pushed: break
                case .tooLong: queue.pointee.dropped &+= 1
                case .full: return at != before
                }
            }
            state.pointee.next = at + 1
        }
        return state.pointee.next != before
    }

    private func closeLocked(_ queue: UnsafeMutablePointer<Queue>) {
        guard queue.pointee.phase != .closed else { return }
        queue.pointee.phase = .closed
        queue.pointee.dropped &+= UInt64(queue.pointee.ring.waiting)
        queue.pointee.ring.discard()
    }

    private func queue(_ number: UInt32) -> UnsafeMutablePointer<Queue>? {
        number < state.pointee.queueCount ? state.pointee.queues + Int(number) : nil
    }

    private func lock() { pthread_mutex_lock(&state.pointee.lock) }
    private func unlock() { pthread_mutex_unlock(&state.pointee.lock) }
    private func changed() { pthread_cond_broadcast(&state.pointee.changed) }
}
