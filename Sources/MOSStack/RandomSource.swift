import CSys

/// Secrets for hashing and numbering.
enum RandomSource {
    /// From the kernel's generator; from the clock and an address where it
    /// has none.
    static func word() -> UInt64 {
        var value: UInt64 = 0
        if csys_getrandom(&value, 8) == 8 { return value }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(bitPattern: Int64(time.tv_nsec)) &* 0x9e37_79b9_7f4a_7c15
    }
}
