import Glibc

/// What the library says on standard error, held back while it works: so that
/// it can be told whether it said anything, and be said under the name that the
/// user gave.
struct LibraryMessages {
    private let file: TemporaryFile

    /// Until ``end()``, only ``StandardStream/error`` reaches standard error.
    init() throws {
        file = try TemporaryFile()
        let original = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
        guard original >= 0 else {
            file.close()
            throw ToolError("standard error: \(reason(errno))")
        }
        StandardStream.errorDescriptor = original
        dup2(file.descriptor, STDERR_FILENO)
    }

    /// Gives standard error back. Returns the lines that came, without the
    /// library's name before them. `errno` stays as it is.
    func end() -> [String] {
        let code = errno
        fflush(nil)
        dup2(StandardStream.errorDescriptor, STDERR_FILENO)
        Glibc.close(StandardStream.errorDescriptor)
        StandardStream.errorDescriptor = STDERR_FILENO
        let lines = file.text.split(separator: "\n").map {
            String($0.hasPrefix("libmos: ") ? $0.dropFirst(8) : $0)
        }
        file.close()
        errno = code
        return lines
    }
}
