import CSys

/// The parts of what follows `scheme:`, in `NAME[,key=value]…`. `\,` is a
/// comma of the name or value that it stands in.
struct DeviceOptions {
    /// The file or interface: everything before the first comma.
    let name: TextSlice
    private var rest: TextSlice

    init(_ spec: UnsafePointer<CChar>) {
        let all = TextSlice(cString: spec)
        let end = Self.end(of: all)
        name = all.prefix(end)
        rest = end < all.count ? all.dropping(end + 1) : all.dropping(all.count)
    }

    struct Option {
        /// The whole option, for messages.
        let text: TextSlice
        let key: TextSlice
        /// Empty if there is no `=`.
        let value: TextSlice
    }

    /// The next option; nil after the last. Empty ones (",,") are passed over.
    mutating func next() -> Option? {
        while !rest.isEmpty {
            let end = Self.end(of: rest)
            let text = rest.prefix(end)
            rest = end < rest.count ? rest.dropping(end + 1) : rest.dropping(rest.count)
            if text.isEmpty { continue }
            let equals = text.index(of: 61) ?? text.count
            let value = equals < text.count ? text.dropping(equals + 1) : text.dropping(text.count)
            return Option(text: text, key: text.prefix(equals), value: value)
        }
        return nil
    }

    /// Says in `message` what is wrong with one of the options of `name`.
    func refuse(_ option: Option, _ reason: StaticString, _ message: inout MessageWriter) -> PortError {
        message.append(name)
        message.append(": bad option \"")
        message.append(option.text)
        message.append("\": ")
        message.append(reason)
        return PortError(code: EINVAL)
    }

    /// A name or value as it is meant, NUL-terminated, to be freed with
    /// free(); nil without memory.
    static func copy(_ part: TextSlice) -> UnsafeMutablePointer<CChar>? {
        guard let copy = part.copy() else { return nil }
        var to = 0
        // In bounds: as many bytes are written as are read, or fewer.
        for from in 0..<part.count where !escapes(part, from) {
            copy[to] = part.base[from]
            to += 1
        }
        copy[to] = 0
        return copy
    }

    /// Where the first part ends: at its comma, or with the text.
    private static func end(of text: TextSlice) -> Int {
        var at = 0
        while at < text.count, text[at] != 44 { at += escapes(text, at) ? 2 : 1 }
        return at
    }

    /// The byte is a backslash before a comma.
    private static func escapes(_ text: TextSlice, _ at: Int) -> Bool {
        text[at] == 92 && at + 1 < text.count && text[at + 1] == 44
    }
}
