import CSys

extension Configuration {
    /// Reads a configuration from its text.
    ///
    /// - Parameters:
    ///   - bytes: The file's content.
    ///   - fileName: What messages call it.
    ///   - environment: The machine's CPUs, and the variables that win over the file.
    ///   - diagnostics: Gets the warnings, also when an error is thrown.
    public static func parse(
        bytes: UnsafeBufferPointer<UInt8>,
        fileName: UnsafePointer<CChar>,
        environment: ConfigurationEnvironment,
        diagnostics: inout ConfigurationDiagnostics
    ) throws(ConfigurationError) -> Configuration {
        var parser = ConfigurationParser(
            bytes, fileName: fileName, environment: environment, diagnostics: diagnostics)
        defer {
            diagnostics = parser.diagnostics
            parser.deallocate()
        }
        try parser.parse()
        return parser.configuration
    }

    /// Reads a configuration file. (`mos: mtcp_init`)
    ///
    /// - Parameter path: nil: the file named by `MOS_CONF`, else
    ///   `config/mos.conf`, else `mos.conf`.
    public static func load(
        path: UnsafePointer<CChar>?,
        environment: ConfigurationEnvironment = .current(),
        diagnostics: inout ConfigurationDiagnostics
    ) throws(ConfigurationError) -> Configuration {
        if let path {
            return try read(path, "", environment, &diagnostics)
        }
        if let named = environment.path, named[0] != 0 {
            return try read(named, "; MOS_CONF names it", environment, &diagnostics)
        }
        // Safe: literals are NUL-terminated and live for ever.
        let usual = UnsafeRawPointer(("config/mos.conf" as StaticString).utf8Start).assumingMemoryBound(to: CChar.self)
        let last = UnsafeRawPointer(("mos.conf" as StaticString).utf8Start).assumingMemoryBound(to: CChar.self)
        let isThere = access(usual, F_OK) == 0 || (csys_errno() != ENOENT && csys_errno() != ENOTDIR)
        if isThere {
            return try read(usual, "; MOS_CONF names no file", environment, &diagnostics)
        }
        return try read(
            last, "; MOS_CONF names no file, and there is no config/mos.conf", environment, &diagnostics)
    }

    /// - Parameter why: How it came to this file, for when it cannot be read.
    private static func read(
        _ path: UnsafePointer<CChar>, _ why: StaticString, _ environment: ConfigurationEnvironment,
        _ diagnostics: inout ConfigurationDiagnostics
    ) throws(ConfigurationError) -> Configuration {
        guard let file = fopen(path, "re") else {
            throw unreadable(path, why, csys_errno())
        }
        defer { fclose(file) }
        // One byte more than is allowed, so that the parser sees the excess.
        let room = ConfigurationLimits.fileSize + 1
        guard let buffer = malloc(room) else {
            throw unreadable(path, why, ENOMEM)
        }
        defer { free(buffer) }
        csys_set_errno(0)
        // Safe: fread writes at most `room` bytes into a block of that size.
        let count = fread(buffer, 1, room, file)
        if count < room && ferror(file) != 0 {
            throw unreadable(path, why, csys_errno() == 0 ? EIO : csys_errno())
        }
        let bytes = UnsafeBufferPointer(start: UnsafePointer(buffer.assumingMemoryBound(to: UInt8.self)), count: count)
        return try parse(bytes: bytes, fileName: path, environment: environment, diagnostics: &diagnostics)
    }

    private static func unreadable(
        _ path: UnsafePointer<CChar>, _ why: StaticString, _ code: Int32
    ) -> ConfigurationError {
        var message = ConfigurationMessage(fileName: path, line: 0)
        message.append("the file cannot be read: ")
        if let reason = strerror(code) {
            message.append(raw: reason)
        }
        message.append(why)
        return ConfigurationError(code: code, message)
    }
}
