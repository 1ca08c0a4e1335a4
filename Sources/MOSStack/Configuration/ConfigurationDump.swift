extension Configuration {
    /// The configuration written out as a file with every value, which reads
    /// back as the same. What a file cannot say (what `MOS_NETDEV` replaced,
    /// what follows from other values) stands in comments. NUL at the end.
    public func dump() -> [CChar] {
        var out = ConfigurationMessage()
        for application in applications {
            dump(application, &out)
        }
        out.append("mos {\n")
        dumpItems(&out)
        dumpTables(&out)
        out.append("}\n# num_cores = ")
        out.append(coreCount)
        out.append("\n# cpu_mask = ")
        out.append(hexadecimal: cpuMask)
        out.append("\n")
        for device in devices {
            if let replacement = device.replacement {
                out.append("# ")
                out.append(cleaned: device.name)
                out.append(" is ")
                out.append(cleaned: replacement)
                out.append("\n")
            }
        }
        return out.finished()
    }

    private func dump(_ application: ConfigurationApplication, _ out: inout ConfigurationMessage) {
        out.append("application {\n")
        switch application.kind {
        case .unspecified: break
        case .monitor: out.append("\ttype = monitor\n")
        case .endHost: out.append("\ttype = end\n")
        }
        if !application.arguments.isEmpty {
            out.append("\trun =")
            for argument in application.arguments {
                out.append(" ")
                Self.dump(word: argument, &out)
            }
            out.append("\n")
        }
        out.append("\tcore_mask = ")
        out.append(hexadecimal: application.cpuMask)
        out.append("\n\tip_forward = ")
        out.append(application.forwards ? "1" : "0")
        out.append("\n}\n")
    }

    private func dumpItems(_ out: inout ConfigurationMessage) {
        Self.dump(.forward, forwards ? 1 : 0, &out)
        Self.dump(.memoryChannels, memoryChannels, &out)
        Self.dump(.maxConcurrency, maxConcurrency, &out)
        Self.dump(.noRingBuffers, noRingBuffers ? 1 : 0, &out)
        Self.dump(.rmemSize, rmemSize, &out)
        Self.dump(.wmemSize, wmemSize, &out)
        Self.dump(.rmemMax, rmemMax, &out)
        Self.dump(.memoryLimit, memoryLimit, &out)
        Self.dump(.timeWaitInterval, timeWaitSeconds, &out)
        Self.dump(.tcpTimeout, idleTimeoutSeconds, &out)
        Self.dump(.rxChecksum, verifiesChecksums ? 1 : 0, &out)
        Self.dump(.fragmentTimeout, fragmentTimeoutSeconds, &out)
        Self.dump(.fragmentMax, maxFragmentedDatagrams, &out)
        Self.dump(.busyPoll, busyPoll ? 1 : 0, &out)
        Self.dump(.burst, burst, &out)
        Self.dump(.logLevel, &out)
        out.append(" ")
        out.append(logLevel.name)
        out.append("\n")
        if let logDirectory {
            Self.dump(.mosLog, &out)
            out.append(" ")
            Self.dump(word: logDirectory, &out)
            out.append("\n")
        }
        if let multiprocess {
            Self.dump(.multiprocess, &out)
            out.append(" ")
            out.append(multiprocess.core)
            out.append(multiprocess.isMaster ? " master\n" : " slave\n")
        }
        if !dpdkArguments.isEmpty {
            Self.dump(.dpdkArguments, &out)
            for argument in dpdkArguments {
                out.append(" ")
                Self.dump(word: argument, &out)
            }
            out.append("\n")
        }
        if !statisticsDevices.isEmpty {
            Self.dump(.statPrint, &out)
            for device in statisticsDevices {
                out.append(" ")
                Self.dump(word: devices[device].name, &out)
            }
            out.append("\n")
        }
    }

    private func dumpTables(_ out: inout ConfigurationMessage) {
        out.append("\tnetdev {\n")
        for device in devices {
            dump(device, &out)
        }
        out.append("\t}\n\tarp_table {\n")
        for entry in arpEntries {
            out.append("\t\t")
            Self.dump(address: entry.address, entry.prefix, &out)
            out.append(" ")
            Self.dump(mac: entry.mac, &out)
            out.append("\n")
        }
        out.append("\t}\n\troute_table {\n")
        for route in routes {
            out.append("\t\t")
            Self.dump(address: route.address, route.prefix, &out)
            out.append(" ")
            Self.dump(word: devices[route.device].name, &out)
            out.append("\n")
        }
        out.append("\t}\n\tnic_forward_table {\n")
        for pair in forwardPairs {
            out.append("\t\t")
            Self.dump(word: devices[pair.first].name, &out)
            out.append(" ")
            Self.dump(word: devices[pair.second].name, &out)
            out.append("\n")
        }
        out.append("\t}\n")
    }

    private func dump(_ device: ConfigurationDevice, _ out: inout ConfigurationMessage) {
        out.append("\t\t")
        Self.dump(word: device.name, &out)
        out.append(" ")
        out.append(hexadecimal: device.cpuMask)
        if device.address != 0 {
            out.append(" addr=")
            Self.dump(address: device.address, device.prefix, &out)
        }
        if device.hasMAC {
            out.append(" mac=")
            Self.dump(mac: device.mac, &out)
        }
        out.append("\n")
    }

    private static func dump(_ key: ConfigurationKey, _ out: inout ConfigurationMessage) {
        out.append("\t")
        out.append(key.name)
        out.append(" =")
    }

    private static func dump(_ key: ConfigurationKey, _ value: Int, _ out: inout ConfigurationMessage) {
        dump(key, &out)
        out.append(" ")
        out.append(value)
        out.append("\n")
    }

    private static func dump(address: UInt32, _ prefix: UInt8, _ out: inout ConfigurationMessage) {
        for shift: UInt32 in [24, 16, 8, 0] {
            out.append(Int(address >> shift & 255))
            out.append(shift == 0 ? "/" : ".")
        }
        out.append(Int(prefix))
    }

    private static func dump(mac: ConfigurationNotation.MAC, _ out: inout ConfigurationMessage) {
        for byte in [mac.0, mac.1, mac.2, mac.3, mac.4] {
            out.append(hexadecimalByte: byte)
            out.append(":")
        }
        out.append(hexadecimalByte: mac.5)
    }

    /// The word, in quotation marks if a shell would need them.
    private static func dump(word: UnsafePointer<CChar>, _ out: inout ConfigurationMessage) {
        let text = ConfigurationBytes(cString: word)
        var isPlain = !text.isEmpty
        for index in 0..<text.count where !isPlainInWord(text[index]) {
            isPlain = false
        }
        if isPlain {
            out.append(raw: word)
            return
        }
        out.append("\"")
        for index in 0..<text.count {
            let byte = text[index]
            if byte == 0x22 || byte == 0x5C || byte == 0x24 || byte == 0x60 {
                out.append("\\")
            }
            out.append(byte: byte)
        }
        out.append("\"")
    }

    private static func isPlainInWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: return true
        // % + , - . / : = @ _
        case 0x25, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F, 0x3A, 0x3D, 0x40, 0x5F: return true
        default: return byte >= 0x80
        }
    }
}
