import CMOS
import CSys

/// `struct mtcp_conf`, by which programs read and change a configuration.
extension Configuration {
    /// Writes all of the structure. (`mos: mtcp_getconf`)
    ///
    /// Its pointers are valid as long as this configuration or a copy of it.
    /// `max_num_buffers` is `max_concurrency`; times are in seconds.
    public func fill(_ conf: UnsafeMutablePointer<mtcp_conf>) {
        // Safe: the structure holds integers and pointers, for which all zeros are values.
        memset(conf, 0, MemoryLayout<mtcp_conf>.size)
        conf.pointee.num_cores = Int32(coreCount)
        conf.pointee.max_concurrency = Int32(maxConcurrency)
        conf.pointee.cpu_mask = cpuMask
        conf.pointee.max_num_buffers = Int32(maxConcurrency)
        conf.pointee.rcvbuf_size = Int32(rmemSize)
        conf.pointee.sndbuf_size = Int32(wmemSize)
        conf.pointee.tcp_timewait = Int32(timeWaitSeconds)
        conf.pointee.tcp_timeout = Int32(idleTimeoutSeconds)
        conf.pointee.num_app = Int32(applications.count)
        withUnsafeMutablePointer(to: &conf.pointee.app_cpu_mask) { field in
            fillMasks(UnsafeMutableRawPointer(field).assumingMemoryBound(to: UInt64.self))
        }
        withUnsafeMutablePointer(to: &conf.pointee.app_argc) { field in
            fillCounts(UnsafeMutableRawPointer(field).assumingMemoryBound(to: Int32.self))
        }
        withUnsafeMutablePointer(to: &conf.pointee.app_argv) { field in
            fillArguments(UnsafeMutableRawPointer(field).assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self))
        }
    }

    // Safe: the parser admits MOS_APP applications of MOS_APP_ARGC words, for
    // which these arrays of the structure have room.

    private func fillMasks(_ masks: UnsafeMutablePointer<UInt64>) {
        for index in 0..<applications.count {
            masks[index] = applications[index].cpuMask
        }
    }

    private func fillCounts(_ counts: UnsafeMutablePointer<Int32>) {
        for index in 0..<applications.count {
            counts[index] = Int32(applications[index].arguments.count)
        }
    }

    private func fillArguments(_ rows: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) {
        for index in 0..<applications.count {
            let row = rows + index * ConfigurationLimits.arguments
            for (column, argument) in applications[index].arguments.enumerated() {
                row[column] = argument
            }
        }
    }

    /// Takes over what a program may change: `num_cores`, `max_concurrency`,
    /// `rcvbuf_size`, `sndbuf_size`, `tcp_timewait` and `tcp_timeout`; as in
    /// the original, the rest is not looked at. (`mos: mtcp_setconf`)
    ///
    /// Programs clear the structure and fill in what they want to change, so a
    /// number that means nothing leaves the old value: 0 and less, except that
    /// a `tcp_timewait` of 0 is no TIME_WAIT and a `tcp_timeout` of -1 is never.
    ///
    /// Throws `EINVAL`, and changes nothing, if a value is too large.
    public mutating func apply(_ conf: UnsafePointer<mtcp_conf>) throws(ConfigurationError) {
        let largestBuffer = min(ConfigurationLimits.bufferSize, memoryLimit)
        let cores = try Self.taken(conf.pointee.num_cores, 1, machineCPUCount, coreCount, "num_cores")
        let flows = try Self.taken(
            conf.pointee.max_concurrency, 1, ConfigurationLimits.flows, maxConcurrency, "max_concurrency")
        let receive = try Self.taken(conf.pointee.rcvbuf_size, 1, largestBuffer, rmemSize, "rcvbuf_size")
        let send = try Self.taken(
            conf.pointee.sndbuf_size, 1, ConfigurationLimits.bufferSize, wmemSize, "sndbuf_size")
        coreCount = cores
        maxConcurrency = flows
        rmemSize = receive
        rmemMax = max(rmemMax, receive)
        wmemSize = send
        if conf.pointee.tcp_timewait >= 0 { timeWaitSeconds = Int(conf.pointee.tcp_timewait) }
        if conf.pointee.tcp_timeout > 0 || conf.pointee.tcp_timeout == -1 {
            idleTimeoutSeconds = Int(conf.pointee.tcp_timeout)
        }
    }

    /// The new value, or the old one where the new one means nothing.
    private static func taken(
        _ value: Int32, _ least: Int, _ most: Int, _ old: Int, _ name: StaticString
    ) throws(ConfigurationError) -> Int {
        if value < least { return old }
        try check(Int(value), name, least, most)
        return Int(value)
    }

    private static func check(
        _ value: Int, _ name: StaticString, _ least: Int, _ most: Int
    ) throws(ConfigurationError) {
        if value >= least && value <= most {
            return
        }
        var message = ConfigurationMessage()
        message.append("mtcp_setconf:0: ")
        message.append(name)
        message.append(" takes a number from ")
        message.append(least)
        message.append(" to ")
        message.append(most)
        message.append(", not ")
        message.append(value)
        throw ConfigurationError(message)
    }
}
