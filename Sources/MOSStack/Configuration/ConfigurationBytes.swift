/// Some bytes of text that somebody else owns and keeps alive.
///
/// Text is compared byte by byte; nothing here knows about encodings.
struct ConfigurationBytes {
    let start: UnsafePointer<UInt8>
    let count: Int

    init(start: UnsafePointer<UInt8>, count: Int) {
        self.start = start
        self.count = count
    }

    /// The text of a C string, without its NUL.
    /// (By a label: a literal without one would become a C string that does
    /// not live on.)
    init(cString string: UnsafePointer<CChar>) {
        // Safe: CChar and UInt8 have the same layout, and the string ends at its NUL.
        start = UnsafeRawPointer(string).assumingMemoryBound(to: UInt8.self)
        var length = 0
        while string[length] != 0 {
            length += 1
        }
        count = length
    }

    /// A literal's text.
    init(_ literal: StaticString) {
        start = literal.utf8Start
        count = literal.utf8CodeUnitCount
    }

    static var empty: ConfigurationBytes { ConfigurationBytes("" as StaticString) }

    var isEmpty: Bool { count == 0 }

    subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return start[index]
    }

    func equals(_ text: StaticString) -> Bool {
        equals(ConfigurationBytes(text))
    }

    func equals(_ other: ConfigurationBytes) -> Bool {
        count == other.count && hasPrefix(other)
    }

    func hasPrefix(_ prefix: ConfigurationBytes) -> Bool {
        guard prefix.count <= count else { return false }
        for index in 0..<prefix.count where start[index] != prefix.start[index] {
            return false
        }
        return true
    }

    func dropFirst(_ length: Int) -> ConfigurationBytes {
        precondition(length >= 0 && length <= count)
        return ConfigurationBytes(start: start + length, count: count - length)
    }

    func prefix(_ length: Int) -> ConfigurationBytes {
        precondition(length >= 0 && length <= count)
        return ConfigurationBytes(start: start, count: length)
    }

    func firstIndex(of byte: UInt8) -> Int? {
        for index in 0..<count where start[index] == byte {
            return index
        }
        return nil
    }
}
