import CSys

/// Owns the C strings of a configuration; they live as long as it does.
final class ConfigurationText {
    private var strings: [UnsafeMutablePointer<CChar>] = []

    /// A copy of the bytes with a NUL behind them, or nil without memory.
    func copy(_ bytes: ConfigurationBytes) -> UnsafeMutablePointer<CChar>? {
        guard let memory = malloc(bytes.count + 1) else { return nil }
        // Safe: the block has room for count bytes and the NUL.
        memcpy(memory, bytes.start, bytes.count)
        let string = memory.assumingMemoryBound(to: CChar.self)
        string[bytes.count] = 0
        strings.append(string)
        return string
    }

    deinit {
        for string in strings {
            free(string)
        }
    }
}
