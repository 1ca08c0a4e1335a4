/// The lines of `netdev` and of the tables.
extension ConfigurationParser {
    mutating func addTableLine(
        _ text: ConfigurationBytes, of block: ConfigurationBlock, line: Int
    ) throws(ConfigurationError) {
        guard let count = split(text, limit: Self.maxWords) else {
            throw tooMany("words in this line", limit: Self.maxWords, line: line)
        }
        switch block {
        case .netdev: try addDevice(wordCount: count, text, line: line)
        case .arpTable: try addARPEntry(wordCount: count, text, line: line)
        case .routeTable: try addRoute(wordCount: count, text, line: line)
        default: try addForwardPair(wordCount: count, text, line: line)
        }
    }

    private mutating func addDevice(
        wordCount: Int, _ text: ConfigurationBytes, line: Int
    ) throws(ConfigurationError) {
        guard wordCount >= 2, !word(0).isEmpty else {
            throw error(at: line, "netdev takes lines of a device and its CPU mask, not ", quoting: text)
        }
        if configuration.devices.count == ConfigurationLimits.devices {
            throw tooMany("devices", limit: ConfigurationLimits.devices, line: line)
        }
        if configuration.deviceIndex(named: word(0)) != nil {
            throw error(at: line, "device ", quoting: word(0), " is in netdev twice")
        }
        let mask = try mask(word(1), of: word(0), line: line)
        var device = ConfigurationDevice(name: try keep(word(0)), line: line, cpuMask: mask)
        for index in 2..<max(2, wordCount) {
            try setOption(word(index), of: &device, line: line)
        }
        configuration.devices.append(device)
    }

    private mutating func setOption(
        _ option: ConfigurationBytes, of device: inout ConfigurationDevice, line: Int
    ) throws(ConfigurationError) {
        guard let equals = option.firstIndex(of: 0x3D), equals > 0 else {
            throw error(at: line, "behind a device's CPU mask only addr= and mac= can stand, not ", quoting: option)
        }
        let name = option.prefix(equals)
        let value = option.dropFirst(equals + 1)
        if name.equals("addr") {
            guard let (address, prefix) = ConfigurationNotation.network(value), address != 0 else {
                throw error(at: line, "addr= takes an IPv4 address such as 10.0.0.2/24, not ", quoting: value)
            }
            device.address = address
            device.prefix = prefix
        } else if name.equals("mac") {
            guard let mac = ConfigurationNotation.mac(value), mac.0 & 1 == 0 else {
                throw error(at: line, "mac= takes a station's Ethernet address such as 02:00:00:00:00:01, not ", quoting: value)
            }
            device.mac = mac
            device.hasMAC = true
        } else {
            warn(at: line, "unknown key ", quoting: name, " in ", "netdev")
        }
    }

    private mutating func addARPEntry(
        wordCount: Int, _ text: ConfigurationBytes, line: Int
    ) throws(ConfigurationError) {
        guard wordCount == 2,
            let (address, prefix) = ConfigurationNotation.network(word(0)),
            let mac = ConfigurationNotation.mac(word(1))
        else {
            throw error(
                at: line, "arp_table takes lines such as '10.0.0.1/32 00:0a:f7:7c:5b:c0', not ", quoting: text)
        }
        if configuration.arpEntries.count == ConfigurationLimits.tableEntries {
            throw tooMany("entries in arp_table", limit: ConfigurationLimits.tableEntries, line: line)
        }
        configuration.arpEntries.append(
            ConfigurationARPEntry(
                address: address & ConfigurationNotation.mask(prefix: prefix), prefix: prefix, mac: mac))
    }

    private mutating func addRoute(
        wordCount: Int, _ text: ConfigurationBytes, line: Int
    ) throws(ConfigurationError) {
        guard wordCount == 2, let (address, prefix) = ConfigurationNotation.network(word(0)), !word(1).isEmpty else {
            throw error(at: line, "route_table takes lines such as '10.0.0.0/24 dpdk0', not ", quoting: text)
        }
        if configuration.routes.count == ConfigurationLimits.tableEntries {
            throw tooMany("entries in route_table", limit: ConfigurationLimits.tableEntries, line: line)
        }
        let use = ConfigurationDeviceReference.Use.route(index: configuration.routes.count)
        deviceReferences.append(ConfigurationDeviceReference(use: use, name: try keep(word(1)), line: line))
        configuration.routes.append(
            ConfigurationRoute(
                address: address & ConfigurationNotation.mask(prefix: prefix), prefix: prefix, device: 0))
    }

    private mutating func addForwardPair(
        wordCount: Int, _ text: ConfigurationBytes, line: Int
    ) throws(ConfigurationError) {
        guard wordCount == 2 else {
            throw error(at: line, "nic_forward_table takes lines of two devices, not ", quoting: text)
        }
        let partner = try keep(word(1))
        deviceReferences.append(
            ConfigurationDeviceReference(use: .forwardPair(partner: partner), name: try keep(word(0)), line: line))
    }
}
