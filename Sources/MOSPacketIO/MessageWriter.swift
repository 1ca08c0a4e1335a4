import CSys

/// Writes one line of text into a C buffer; what does not fit is cut. The
/// buffer is NUL-terminated at all times.
struct MessageWriter {
    private let base: UnsafeMutablePointer<CChar>?
    private let capacity: Int
    private var count = 0

    /// A buffer that may be nil or of size 0: then nothing is written.
    init(_ base: UnsafeMutablePointer<CChar>?, size: Int) {
        self.base = size > 0 ? base : nil
        self.capacity = size
        self.base?.pointee = 0
    }

    private mutating func put(_ byte: UInt8) {
        guard let base, count + 1 < capacity else { return }
        // In bounds: count + 1 < capacity.
        base[count] = CChar(bitPattern: byte)
        base[count + 1] = 0
        count += 1
    }

    mutating func append(_ text: StaticString) {
        for i in 0..<text.utf8CodeUnitCount { put(text.utf8Start[i]) }
    }

    /// A NUL-terminated string; bytes that would break the line become '?'.
    mutating func append(_ text: UnsafePointer<CChar>?) {
        guard var p = text else { return }
        while p.pointee != 0 {
            put(printable(UInt8(bitPattern: p.pointee)))
            p += 1
        }
    }

    mutating func append(_ text: TextSlice) {
        for i in 0..<text.count { put(printable(UInt8(bitPattern: text.base[i]))) }
    }

    mutating func append(_ number: UInt64) {
        if number >= 10 { append(number / 10) }
        put(UInt8(truncatingIfNeeded: 48 + number % 10))
    }

    /// strerror(3).
    mutating func append(errno code: Int32) {
        append(UnsafePointer(strerror(code)))
    }

    private func printable(_ byte: UInt8) -> UInt8 {
        byte < 32 || byte == 127 ? 63 : byte
    }
}
