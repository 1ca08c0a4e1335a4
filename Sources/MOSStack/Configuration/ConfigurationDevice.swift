/// A line of `netdev`: an interface.
public struct ConfigurationDevice {
    /// The name that the tables and `stat_print` call it by, as it stands in
    /// `netdev`: a bare name, or `scheme:rest`. A C string that lives as long
    /// as the configuration.
    public let name: UnsafePointer<CChar>

    /// Where it stands in the file.
    let line: Int

    /// What `MOS_NETDEV` put in its place, or nil.
    public internal(set) var replacement: UnsafePointer<CChar>?

    /// CPUs that read it: the CPU of the k-th bit set reads queue k. Never 0.
    public internal(set) var cpuMask: UInt64

    /// `addr=`: IPv4 address in host byte order; 0: the kernel's, if any.
    public internal(set) var address: UInt32 = 0

    /// The length of `addr=`'s prefix, 0 to 32.
    public internal(set) var prefix: UInt8 = 0

    /// `mac=`, if `hasMAC`.
    public internal(set) var mac: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0, 0)

    public internal(set) var hasMAC = false

    /// `stat_print` names it.
    public internal(set) var printsStatistics = false

    /// What to open: the replacement, else the name.
    public var specification: UnsafePointer<CChar> {
        replacement ?? name
    }

    init(name: UnsafePointer<CChar>, line: Int, cpuMask: UInt64) {
        self.name = name
        self.line = line
        self.cpuMask = cpuMask
    }
}
