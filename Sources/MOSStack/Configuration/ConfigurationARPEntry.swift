/// A line of `arp_table`: who has these addresses.
public struct ConfigurationARPEntry {
    /// Host byte order; the bits behind the prefix are 0.
    public let address: UInt32

    /// 0 to 32.
    public let prefix: UInt8

    public let mac: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)
}
