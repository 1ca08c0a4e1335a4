import CSys

/// Messages for people, on standard error; never on standard output.
enum Log {
    static func line(_ text: UnsafePointer<CChar>?) {
        if let text { csys_log_line(text) }
    }

    static func line(_ text: StaticString) {
        // Literals are NUL-terminated.
        csys_log_line(UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self))
    }
}
