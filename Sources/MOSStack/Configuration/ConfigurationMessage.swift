/// Builds one line of a message, as bytes.
///
/// Whatever comes from a file is shown with its control characters replaced
/// and cut to a bounded length, so that a message is always one line.
struct ConfigurationMessage {
    private var bytes: [CChar] = []

    /// At most this many bytes of a text from outside are shown.
    private static let shownBytes = 80

    init() {}

    /// Starts a message about a place: `file:line: `.
    init(fileName: UnsafePointer<CChar>, line: Int) {
        bytes.reserveCapacity(128)
        appendCleaned(ConfigurationBytes(cString: fileName), limit: 1024)
        append(":")
        append(line)
        append(": ")
    }

    mutating func append(_ text: StaticString) {
        for index in 0..<text.utf8CodeUnitCount {
            append(byte: text.utf8Start[index])
        }
    }

    mutating func append(byte: UInt8) {
        bytes.append(CChar(bitPattern: byte))
    }

    mutating func append(_ number: Int) {
        if number < 0 {
            append("-")
        }
        append(decimal: UInt64(number.magnitude))
    }

    mutating func append(decimal number: UInt64) {
        var divisor: UInt64 = 1
        while number / divisor >= 10 {
            divisor *= 10
        }
        while divisor > 0 {
            append(byte: UInt8(truncatingIfNeeded: number / divisor % 10) + 0x30)
            divisor /= 10
        }
    }

    /// The number with `0x` before it, without leading zeros.
    mutating func append(hexadecimal number: UInt64) {
        append("0x")
        var shift = 60
        while shift > 0 && number >> UInt64(shift) == 0 {
            shift -= 4
        }
        while shift >= 0 {
            append(hexadecimalDigit: UInt8(truncatingIfNeeded: number >> UInt64(shift)) & 15)
            shift -= 4
        }
    }

    /// Two hexadecimal digits.
    mutating func append(hexadecimalByte byte: UInt8) {
        append(hexadecimalDigit: byte >> 4)
        append(hexadecimalDigit: byte & 15)
    }

    private mutating func append(hexadecimalDigit digit: UInt8) {
        append(byte: digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
    }

    /// A text from outside, between single quotation marks.
    mutating func append(quoted text: ConfigurationBytes) {
        append("'")
        appendCleaned(text, limit: Self.shownBytes)
        append("'")
    }

    /// A text from outside, whole.
    mutating func append(cleaned text: UnsafePointer<CChar>) {
        appendCleaned(ConfigurationBytes(cString: text), limit: Int.max)
    }

    /// The bytes of a C string as they are.
    mutating func append(raw text: UnsafePointer<CChar>) {
        let text = ConfigurationBytes(cString: text)
        for index in 0..<text.count {
            append(byte: text[index])
        }
    }

    /// The message with the NUL that ends a C string.
    func finished() -> [CChar] {
        var result = bytes
        result.append(0)
        return result
    }

    private mutating func appendCleaned(_ text: ConfigurationBytes, limit: Int) {
        for index in 0..<min(text.count, limit) {
            let byte = text[index]
            append(byte: byte < 0x20 || byte == 0x7F ? 0x3F : byte)
        }
        if text.count > limit {
            append("...")
        }
    }
}
