import CMOS
import Glibc

/// A line on standard error that tells how far a long trace is, while another
/// thread waits for its end. Nothing is shown in the first second, nor when
/// standard error is not a terminal.
final class Progress {
    private let context: mctx_t
    private let trace: TraceFile
    private var thread = pthread_t()
    private var mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isFinished = false

    /// Nil when there is nobody to see it.
    init?(of context: mctx_t, reading trace: TraceFile) {
        guard StandardStream.error.isTerminal else { return nil }
        self.context = context
        self.trace = trace
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        // Signals are the main thread's.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let result = pthread_create(&thread, nil, progressThread, Unmanaged.passUnretained(self).toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        if result != 0 { return nil }
    }

    deinit {
        mutex.deallocate()
        condition.deallocate()
    }

    /// Ends the thread and clears the line.
    func finish() {
        pthread_mutex_lock(mutex)
        isFinished = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        pthread_join(thread, nil)
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
    }

    fileprivate func run() {
        var isShown = false
        var tenths = 10
        pthread_mutex_lock(mutex)
        while !isFinished {
            if wait(tenths: tenths) { continue }
            tenths = 3
            show()
            isShown = true
        }
        pthread_mutex_unlock(mutex)
        if isShown { StandardStream.error.write("\r\u{1B}[K") }
    }

    /// True when it was woken before the time.
    private func wait(tenths: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_nsec += tenths % 10 * 100_000_000
        deadline.tv_sec += tenths / 10 + deadline.tv_nsec / 1_000_000_000
        deadline.tv_nsec %= 1_000_000_000
        return pthread_cond_timedwait(condition, mutex, &deadline) == 0
    }

    private func show() {
        var stats = mos_stats()
        guard mos_get_stats(context, -1, &stats, MemoryLayout<mos_stats>.size) == 0 else { return }
        var line = trace.name + ": "
        if let position, let size = trace.size, size > 0 {
            line += "\(min(100, position * 100 / size)) %, "
        }
        line += "\(Quantity.count(stats.rx_packets)) packets, \(Quantity.count(stats.flows_total)) connections"
        let width = max(20, (StandardStream.error.columns ?? 80) - 1)
        StandardStream.error.write("\r" + line.suffix(width) + "\u{1B}[K")
    }

    /// How far the library's own descriptor of the trace has been read.
    private var position: UInt64? {
        guard trace.size != nil, let wanted = realpath(trace.devicePath, nil) else { return nil }
        defer { free(wanted) }
        var furthest: UInt64?
        for name in SystemFile.names(in: "/proc/self/fd") {
            guard let path = realpath("/proc/self/fd/" + name, nil) else { continue }
            defer { free(path) }
            if strcmp(path, wanted) == 0, let position = SystemFile.number("pos", of: "/proc/self/fdinfo/" + name) {
                furthest = max(furthest ?? 0, position)
            }
        }
        return furthest
    }
}

@c
private func progressThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    // The object outlives its thread: finish() joins it.
    Unmanaged<Progress>.fromOpaque(argument!).takeUnretainedValue().run()
    return nil
}
