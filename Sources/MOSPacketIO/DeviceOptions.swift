/// The parts of what follows `scheme:`, in `NAME[,key=value]…`.
struct DeviceOptions {
    /// The file or interface: everything before the first comma.
    let name: TextSlice
    private var rest: TextSlice

    init(_ spec: UnsafePointer<CChar>) {
        let all = TextSlice(cString: spec)
        let comma = all.index(of: 44) ?? all.count
        name = all.prefix(comma)
        rest = comma < all.count ? all.dropping(comma + 1) : all.dropping(all.count)
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
            let comma = rest.index(of: 44) ?? rest.count
            let text = rest.prefix(comma)
            rest = comma < rest.count ? rest.dropping(comma + 1) : rest.dropping(rest.count)
            if text.isEmpty { continue }
            let equals = text.index(of: 61) ?? text.count
            let value = equals < text.count ? text.dropping(equals + 1) : text.dropping(text.count)
            return Option(text: text, key: text.prefix(equals), value: value)
        }
        return nil
    }
}
