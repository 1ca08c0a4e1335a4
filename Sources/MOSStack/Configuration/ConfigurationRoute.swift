/// A line of `route_table`: where these addresses are reached.
public struct ConfigurationRoute {
    /// Host byte order; the bits behind the prefix are 0.
    public let address: UInt32

    /// 0 to 32.
    public let prefix: UInt8

    /// Interface index.
    public internal(set) var device: Int
}
