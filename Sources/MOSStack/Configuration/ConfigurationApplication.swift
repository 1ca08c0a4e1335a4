/// An `application` block.
public struct ConfigurationApplication {
    public enum Kind: UInt8 {
        /// No `type`.
        case unspecified
        /// `type = monitor`
        case monitor
        /// `type = end`: no more than a monitor in this version
        case endHost
    }

    public internal(set) var kind = Kind.unspecified

    /// `run`, split into words; empty without it. C strings that live as long
    /// as the configuration. Mutable as C's `argv` is.
    public internal(set) var arguments: [UnsafeMutablePointer<CChar>] = []

    /// `core_mask`; without it, all CPUs of the machine.
    public internal(set) var cpuMask: UInt64

    /// `ip_forward`
    public internal(set) var forwards = true

    init(cpuMask: UInt64) {
        self.cpuMask = cpuMask
    }
}
