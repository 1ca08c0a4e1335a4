import Glibc

/// Shared objects that are there or not.
enum Library {
    /// The DPDK backend, by the names under which libmos looks for it.
    static var backendNames: [String] { ["libmos-dpdk.so"] }

    /// Loads a shared object to stay; false when there is none.
    static func open(_ name: String) -> Bool {
        dlopen(name, RTLD_NOW | RTLD_GLOBAL) != nil
    }

    /// What a function `const char *f(void)` of a loaded object returns; nil
    /// when no loaded object has it.
    static func text(_ function: String) -> String? {
        guard let address = dlsym(nil, function) else { return nil }
        typealias Function = @convention(c) () -> UnsafePointer<CChar>?
        // Only for functions of that type: the callers name them.
        return unsafeBitCast(address, to: Function.self)().map { String(cString: $0) }
    }
}
