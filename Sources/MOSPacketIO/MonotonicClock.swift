import CPcap
import CSys

/// CLOCK_MONOTONIC in nanoseconds: for pacing and for waiting.
enum MonotonicClock {
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000
            &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }

    static func specification(_ nanoseconds: UInt64) -> timespec {
        var time = timespec()
        time.tv_sec = Int(truncatingIfNeeded: nanoseconds / 1_000_000_000)
        time.tv_nsec = Int(truncatingIfNeeded: nanoseconds % 1_000_000_000)
        return time
    }

    static func sleep(_ nanoseconds: UInt64) {
        var time = specification(nanoseconds)
        nanosleep(&time, nil)
    }
}
