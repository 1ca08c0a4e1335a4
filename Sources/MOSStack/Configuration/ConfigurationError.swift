import CSys

/// Why a configuration cannot be used.
public struct ConfigurationError: Error {
    /// The value for `errno`: `EINVAL` for what is written in the file, or
    /// what the system said about the file (`ENOENT`, `EACCES`, `EFBIG` …).
    public let code: Int32

    /// One line, `file:line: what is wrong`, as a C string (NUL at the end).
    ///
    /// What comes from the environment has the variable's name in place of
    /// the file's; the line is 0 when a whole file is meant.
    public let message: [CChar]

    init(code: Int32 = EINVAL, _ message: ConfigurationMessage) {
        self.code = code
        self.message = message.finished()
    }
}
