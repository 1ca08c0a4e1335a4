import Glibc

/// A file without a name, gone when it is closed. `path` leads to it meanwhile.
struct TemporaryFile {
    let descriptor: Int32

    var path: String { "/dev/fd/\(descriptor)" }

    init() throws {
        let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((directory + "/mos-XXXXXX").utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw ToolError("\(directory): no temporary file: \(reason(errno))") }
        unlink(template)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    /// Everything that was written to it.
    var text: String { SystemFile.read(path) ?? "" }

    func write(_ text: String) {
        StandardStream(descriptor: descriptor).write(text)
    }

    func close() {
        Glibc.close(descriptor)
    }
}
