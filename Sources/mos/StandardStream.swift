import Glibc

/// Standard output or standard error, written in whole blocks.
struct StandardStream: TextOutputStream {
    let descriptor: Int32

    static var output: StandardStream { StandardStream(descriptor: STDOUT_FILENO) }
    static var error: StandardStream { StandardStream(descriptor: errorDescriptor) }

    /// Where standard error is: elsewhere while ``LibraryMessages`` holds the
    /// library's. Changed only while nobody else writes.
    nonisolated(unsafe) static var errorDescriptor = STDERR_FILENO

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Columns of the terminal; nil when there is none.
    var columns: Int? {
        var size = winsize()
        guard isTerminal, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    func write(_ string: String) {
        var string = string
        string.withUTF8 { write(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// Writes all of it. A reader that has gone ends the process as SIGPIPE
    /// would; what else goes wrong with standard output is said once, with
    /// status 1, for a cut list must not look whole.
    func write(bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if written >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            } else if errno == EAGAIN {
                var readiness = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&readiness, 1, -1)
            } else if errno != EINTR {
                if descriptor == STDOUT_FILENO {
                    let reason = String(cString: strerror(errno))
                    StandardStream.error.write("mos: cannot write the output: \(reason)\n")
                    exit(1)
                }
                return
            }
        }
    }
}
