import CSys

/// What a configuration depends on beside its file.
public struct ConfigurationEnvironment {
    /// CPUs of this machine: masks may use bits 0 up to one less than this.
    public var cpuCount: Int

    /// `MOS_CONF`: the file to read when the program names none.
    public var path: UnsafePointer<CChar>?

    /// `MOS_NETDEV`: devices replaced by name, `name=device …`.
    public var netdev: UnsafePointer<CChar>?

    /// `MOS_LOG`: the log level; it wins over the file's `log_level`.
    public var logLevel: UnsafePointer<CChar>?

    /// - Parameter cpuCount: Taken as 1 if it is less.
    public init(
        cpuCount: Int,
        path: UnsafePointer<CChar>? = nil,
        netdev: UnsafePointer<CChar>? = nil,
        logLevel: UnsafePointer<CChar>? = nil
    ) {
        self.cpuCount = max(1, cpuCount)
        self.path = path
        self.netdev = netdev
        self.logLevel = logLevel
    }

    /// This process's environment and machine.
    ///
    /// The strings are `getenv`'s: they are valid until the environment changes.
    public static func current() -> ConfigurationEnvironment {
        ConfigurationEnvironment(
            cpuCount: sysconf(Int32(_SC_NPROCESSORS_ONLN)),
            path: getenv("MOS_CONF"),
            netdev: getenv("MOS_NETDEV"),
            logLevel: getenv("MOS_LOG"))
    }

    /// One bit for each CPU of the machine, of the 64 that a mask can hold.
    var machineMask: UInt64 {
        cpuCount >= 64 ? UInt64.max : (1 << UInt64(cpuCount)) - 1
    }
}
