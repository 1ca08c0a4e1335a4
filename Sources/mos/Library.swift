import Glibc

/// What the shared objects say that this program is linked with.
enum Library {
    /// What a function `const char *f(void)` of a loaded object returns; nil
    /// when no loaded object has it.
    static func text(_ function: String) -> String? {
        guard let address = dlsym(nil, function) else { return nil }
        typealias Function = @convention(c) () -> UnsafePointer<CChar>?
        // Only for functions of that type: the callers name them.
        return unsafeBitCast(address, to: Function.self)().map { String(cString: $0) }
    }
}
