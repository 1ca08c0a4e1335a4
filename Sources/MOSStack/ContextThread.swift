// Who may work on a context, and when.
//
// The stack thread holds the lock while it works. Another thread that wants in
// raises `waiters` and takes the lock; the stack thread gives way between
// bursts only when somebody waits, so a busy context touches no lock. While it
// sleeps it holds nothing.
//
// A mutex alone lets the thread that has just given it up take it again before
// the one that waits is awake. So both sides see to it that the other gets its
// turn: one setup call comes in between two bursts, and one burst between two
// setup calls of threads that make one after the other.

import CSys
import Synchronization

final class ContextThread {
    /// When the next timer or timeout is due, ns of the stack's clock.
    var nextDeadline: UInt64 = .max
    /// The clock is that of the packets.
    let virtualClock: Bool
    /// … and the first packet has come.
    var clockRuns = false
    /// How many packets have to be in before their checksums are judged, on
    /// live interfaces; `.max`: no more. (`Context.judgeChecksums`)
    var checksumsJudgedAt: UInt64 = 1000

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let waiters = Atomic<Int>(0)
    /// Grows whenever another thread comes in.
    private let entries = Atomic<Int>(0)
    /// The stack thread wants the lock.
    private let stackWaits = Atomic<Bool>(false)
    /// The stack thread stands still in `pause`: guarded by `pauseMutex`.
    private var isPaused = false
    private let pauseMutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// `mtcp_app_join` or the like was called, or 200 ms went by (§8).
    let started = Atomic<Bool>(false)
    let stopRequested = Atomic<Bool>(false)
    let done = Atomic<Bool>(false)
    /// Monotonic ns of the last call that set something up.
    let lastSetup = Atomic<UInt64>(0)
    /// Wakes the stack thread.
    let wakeDescriptor: Int32
    /// Readable for ever once the context is done.
    let doneDescriptor: Int32
    var thread = pthread_t()
    var isRunning = false

    init?(virtualClock: Bool) {
        self.virtualClock = virtualClock
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        doneDescriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        pthread_mutex_init(mutex, nil)
        pthread_mutex_init(pauseMutex, nil)
        if wakeDescriptor < 0 || doneDescriptor < 0 { return nil }
    }

    func destroy() {
        close(wakeDescriptor)
        close(doneDescriptor)
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        pthread_mutex_destroy(pauseMutex)
        pauseMutex.deallocate()
    }

    // MARK: The lock

    func lock() {
        csys_add_lock_depth(1)
        var patience = Self.mostYields
        while patience > 0, stackWaits.load(ordering: .acquiring) {
            patience -= 1
            sched_yield()
        }
        waiters.add(1, ordering: .sequentiallyConsistent)
        pthread_mutex_lock(mutex)
        waiters.subtract(1, ordering: .sequentiallyConsistent)
        entries.add(1, ordering: .releasing)
    }

    /// For a stack thread that wants into another context: it holds its own
    /// lock, so it must not wait without end. False: no luck within a while.
    func lockWithinReason() -> Bool {
        waiters.add(1, ordering: .sequentiallyConsistent)
        defer { waiters.subtract(1, ordering: .sequentiallyConsistent) }
        for _ in 0..<10_000 {
            if pthread_mutex_trylock(mutex) == 0 {
                csys_add_lock_depth(1)
                return true
            }
            sched_yield()
        }
        return false
    }

    func unlock() {
        pthread_mutex_unlock(mutex)
        csys_add_lock_depth(-1)
    }

    /// Runs `body`, which changes nothing, for the stack thread of the context
    /// `other` is of. That thread keeps its own lock, so two that look at each
    /// other would wait for ever; but one that waits here changes nothing
    /// either, and may be looked at meanwhile.
    func observe<Result>(by other: ContextThread, _ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        other.setPaused(true)
        waiters.add(1, ordering: .sequentiallyConsistent)
        defer {
            waiters.subtract(1, ordering: .sequentiallyConsistent)
            // Waits for whoever looks at us.
            other.setPaused(false)
        }
        var patience = Self.mostYields
        while true {
            if pthread_mutex_trylock(mutex) == 0 {
                entries.add(1, ordering: .releasing)
                defer { pthread_mutex_unlock(mutex) }
                return try body()
            }
            pthread_mutex_lock(pauseMutex)
            if isPaused {
                defer { pthread_mutex_unlock(pauseMutex) }
                return try body()
            }
            pthread_mutex_unlock(pauseMutex)
            if patience > 0 {
                patience -= 1
                sched_yield()
            } else {
                // A handler that takes long.
                poll(nil, 0, 1)
            }
        }
    }

    private func setPaused(_ value: Bool) {
        pthread_mutex_lock(pauseMutex)
        isPaused = value
        pthread_mutex_unlock(pauseMutex)
    }

    /// Of the stack thread, between bursts: lets those in who wait.
    @inline(__always)
    func giveWay() {
        if waiters.load(ordering: .relaxed) > 0 { giveWaySlowly() }
    }

    @inline(never)
    private func giveWaySlowly() {
        let before = entries.load(ordering: .acquiring)
        pthread_mutex_unlock(mutex)
        var patience = Self.mostYields
        while patience > 0, entries.load(ordering: .acquiring) == before {
            patience -= 1
            sched_yield()
        }
        lockForStack()
    }

    /// How long one side waits for the other to take its turn; it may be gone.
    private static let mostYields = 1000

    func lockForStack() {
        stackWaits.store(true, ordering: .releasing)
        pthread_mutex_lock(mutex)
        stackWaits.store(false, ordering: .releasing)
    }
    func unlockForStack() { pthread_mutex_unlock(mutex) }

    // MARK: Signals between threads (all async-signal-safe)

    func wake() { Self.ring(wakeDescriptor) }

    func requestStop() {
        stopRequested.store(true, ordering: .releasing)
        wake()
    }

    func markDone() {
        done.store(true, ordering: .releasing)
        Self.ring(doneDescriptor)
    }

    private static func ring(_ descriptor: Int32) {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    func drainWake() {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, 8)
    }

    /// Waits until the context is done; false when a signal came first.
    func waitUntilDone() -> Bool {
        while !done.load(ordering: .acquiring) {
            var poller = pollfd(fd: doneDescriptor, events: Int16(POLLIN), revents: 0)
            if poll(&poller, 1, -1) < 0, csys_errno() == EINTR { return false }
        }
        return true
    }
}

/// Nanoseconds of the system's clocks.
enum SystemClock {
    static func wall() -> UInt64 { read(CLOCK_REALTIME) }
    static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

    private static func read(_ id: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(id, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
