/// The items `name = value` that a configuration knows.
enum ConfigurationKey: Int {
    // application
    case type, run, coreMask, ipForward
    // mos
    case forward, memoryChannels, statPrint, mosLog, maxConcurrency, noRingBuffers, rmemSize, wmemSize
    case timeWaitInterval, tcpTimeout, multiprocess, rmemMax, memoryLimit, rxChecksum
    case fragmentTimeout, fragmentMax, logLevel, dpdkArguments, busyPoll, burst

    static let count = burst.rawValue + 1

    /// The key of this name in a block of this kind.
    static func named(_ text: ConfigurationBytes, in block: ConfigurationBlock) -> ConfigurationKey? {
        // The name of the published sample files, and that of the original's reader.
        if block == .application && text.equals("cpu_mask") {
            return .coreMask
        }
        for value in 0..<count {
            if let key = ConfigurationKey(rawValue: value), key.block == block, text.equals(key.name) {
                return key
            }
        }
        return nil
    }

    var block: ConfigurationBlock {
        rawValue <= ConfigurationKey.ipForward.rawValue ? .application : .mos
    }

    var name: StaticString {
        switch self {
        case .type: return "type"
        case .run: return "run"
        case .coreMask: return "core_mask"
        case .ipForward: return "ip_forward"
        case .forward: return "forward"
        case .memoryChannels: return "nb_mem_channels"
        case .statPrint: return "stat_print"
        case .mosLog: return "mos_log"
        case .maxConcurrency: return "max_concurrency"
        case .noRingBuffers: return "no_ring_buffers"
        case .rmemSize: return "rmem_size"
        case .wmemSize: return "wmem_size"
        case .timeWaitInterval: return "tcp_tw_interval"
        case .tcpTimeout: return "tcp_timeout"
        case .multiprocess: return "multiprocess"
        case .rmemMax: return "rmem_max"
        case .memoryLimit: return "mem_limit"
        case .rxChecksum: return "rx_checksum"
        case .fragmentTimeout: return "frag_timeout"
        case .fragmentMax: return "frag_max"
        case .logLevel: return "log_level"
        case .dpdkArguments: return "dpdk_args"
        case .busyPoll: return "busy_poll"
        case .burst: return "burst"
        }
    }
}
