/// A line of `nic_forward_table`: what comes in at one leaves by the other.
public struct ConfigurationForwardPair {
    /// Interface indexes; equal for a device that sends back what it gets.
    public let first: Int
    public let second: Int
}
