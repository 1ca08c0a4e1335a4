/// How much a configuration may hold. More is an error with a message.
public enum ConfigurationLimits {
    /// Bytes of a configuration file.
    public static let fileSize = 1 << 20
    /// Bytes of a line's content, without its comment and what precedes it.
    public static let lineLength = 8191
    /// Blocks inside each other.
    public static let nesting = 16
    /// Applications (`MOS_APP` in `mtcp_api.h`).
    public static let applications = 20
    /// Words of an application's command line (`MOS_APP_ARGC`).
    public static let arguments = 20
    /// Devices in `netdev`; `pkt_info.in_ifidx` is eight bits wide.
    public static let devices = 16
    /// Entries of `arp_table`, and of `route_table`.
    public static let tableEntries = 1024
    /// Words of `dpdk_args`.
    public static let dpdkArguments = 64
    /// `max_concurrency`, flows.
    public static let flows = 1 << 26
    /// `rmem_size`, `wmem_size` and `rmem_max`, bytes.
    public static let bufferSize = 1 << 30
    /// The least `mem_limit`, bytes.
    public static let leastMemory = 1 << 16
    /// `mem_limit`, bytes.
    public static let memory = 1 << 46
    /// `frag_timeout`, seconds.
    public static let fragmentTimeout = 3600
    /// `frag_max`, datagrams.
    public static let fragmentedDatagrams = 1 << 20
    /// `burst`, frames (`MOS_IO_BURST` in `mos_io.h`).
    public static let burst = 64
    /// `nb_mem_channels`.
    public static let memoryChannels = 32
}
