/// `multiprocess = core role`: this process is one of several on the same devices.
public struct ConfigurationMultiprocess {
    /// This process's CPU.
    public let core: Int

    /// Role `master`: the process that sets the devices up.
    public let isMaster: Bool
}
