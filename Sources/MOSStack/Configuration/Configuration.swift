import CSys

/// What a configuration file says, checked, with the defaults filled in.
///
/// A value: copies share the C strings, which are freed with the last copy.
/// Sizes are in bytes, times in seconds, IPv4 addresses in host byte order.
public struct Configuration {
    /// What applications there are, in the file's order.
    public internal(set) var applications: [ConfigurationApplication] = []

    /// The interfaces; a device's place is its interface index.
    public internal(set) var devices: [ConfigurationDevice] = []

    /// `stat_print`: interface indexes, in the file's order, each once.
    public internal(set) var statisticsDevices: [Int] = []

    /// `mos_log`: the directory of log files; nil: none are written.
    public internal(set) var logDirectory: UnsafePointer<CChar>?

    /// `arp_table`, in the file's order.
    public internal(set) var arpEntries: [ConfigurationARPEntry] = []

    /// `route_table`, in the file's order.
    public internal(set) var routes: [ConfigurationRoute] = []

    /// `nic_forward_table`; a device is in at most one pair.
    public internal(set) var forwardPairs: [ConfigurationForwardPair] = []

    /// `forward`, and no application has `ip_forward = 0`.
    public internal(set) var forwards = true

    /// `nb_mem_channels`, for DPDK's `-n`; 0: DPDK chooses.
    public internal(set) var memoryChannels = 4

    /// `max_concurrency`: flows per context, 1 or more.
    public internal(set) var maxConcurrency = 100_000

    /// `no_ring_buffers`: monitoring buffers are off for all flows.
    public internal(set) var noRingBuffers = false

    /// `rmem_size`: in-order bytes kept for a side between bursts.
    public internal(set) var rmemSize = 8192

    /// `wmem_size`: a stream socket's send buffer, bytes.
    public internal(set) var wmemSize = 8192

    /// `rmem_max`: what a side's buffer may grow to, bytes; at least `rmemSize`.
    public internal(set) var rmemMax = 1 << 20

    /// `mem_limit`: ceiling of a context's buffer memory, bytes; at least `rmemMax`.
    public internal(set) var memoryLimit = 1 << 30

    /// `tcp_tw_interval`: seconds in TIME_WAIT, 0 or more.
    public internal(set) var timeWaitSeconds = 0

    /// `tcp_timeout`: seconds until a silent flow ends; -1: never.
    public internal(set) var idleTimeoutSeconds = 30

    /// `multiprocess`: nil: a single process.
    public internal(set) var multiprocess: ConfigurationMultiprocess?

    /// `rx_checksum`: checksums of received packets are verified.
    public internal(set) var verifiesChecksums = true

    /// `frag_timeout`: seconds that fragments of a datagram are waited for.
    public internal(set) var fragmentTimeoutSeconds = 30

    /// `frag_max`: datagrams in reassembly at a time, per context; 0: none.
    public internal(set) var maxFragmentedDatagrams = 1024

    /// `busy_poll`: idle contexts spin instead of sleeping.
    public internal(set) var busyPoll = false

    /// `burst`: frames that a context takes from its source at a time, 1 to 64
    /// (the default). `NEW_DATA` is delivered, calls from other threads come
    /// in and what was sent goes out after each burst: a small one means less
    /// delay and more work. With 1 the order of events depends on the frames
    /// alone, also for a pipe, whose bursts otherwise are what its writer has
    /// written by then.
    public internal(set) var burst = ConfigurationLimits.burst

    /// `log_level`, or the environment's `MOS_LOG`.
    public internal(set) var logLevel = ConfigurationLogLevel.warning

    /// `dpdk_args`: the EAL's arguments, without the program's name; empty:
    /// they are made from `memoryChannels` and the masks.
    public internal(set) var dpdkArguments: [UnsafePointer<CChar>] = []

    /// Contexts there can be: distinct bits in the devices' masks, unless
    /// `mtcp_setconf` has set another number.
    public internal(set) var coreCount = 0

    /// The devices' masks together.
    public internal(set) var cpuMask: UInt64 = 0

    /// CPUs of the machine that the masks were checked against.
    public internal(set) var machineCPUCount = 1

    var text = ConfigurationText()

    /// Where `mos_log` stands, for what is said about it later.
    var logFileName: UnsafePointer<CChar>?
    var logLine = 0

    init() {}

    /// The interface index of the device of this name, or nil.
    public func deviceIndex(named name: UnsafePointer<CChar>) -> Int? {
        deviceIndex(named: ConfigurationBytes(cString: name))
    }

    func deviceIndex(named name: ConfigurationBytes) -> Int? {
        for index in 0..<devices.count where name.equals(ConfigurationBytes(cString: devices[index].name)) {
            return index
        }
        return nil
    }

    /// The device that a frame from this one leaves by, if a pair says so.
    public func forwardPartner(of device: Int) -> Int? {
        for pair in forwardPairs {
            if pair.first == device {
                return pair.second
            }
            if pair.second == device {
                return pair.first
            }
        }
        return nil
    }

    /// The directory of `mos_log`, or the file in it, cannot be made.
    func warnOfLog(_ code: Int32, _ diagnostics: inout ConfigurationDiagnostics) {
        guard let logDirectory, let logFileName else { return }
        var message = ConfigurationMessage(fileName: logFileName, line: logLine)
        message.append("no log file in ")
        message.append(quoted: ConfigurationBytes(cString: logDirectory))
        message.append(": ")
        if let reason = strerror(code) {
            message.append(raw: reason)
        }
        diagnostics.warn(message)
    }
}
