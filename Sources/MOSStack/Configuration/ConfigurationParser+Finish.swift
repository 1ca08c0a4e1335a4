import MOSPacketIO

/// What can be said only when the whole file has been read.
extension ConfigurationParser {
    mutating func finish() throws(ConfigurationError) {
        if configuration.devices.isEmpty {
            throw error(at: mosLine ?? 1, "there is no device: 'netdev' in 'mos' has to name one")
        }
        for reference in deviceReferences {
            try resolve(reference)
        }
        try settleMemory()
        try replaceDevices()
        try checkDevices()
        setLogLevelFromEnvironment()
        for application in configuration.applications where !application.forwards {
            configuration.forwards = false
        }
        for device in configuration.devices {
            configuration.cpuMask |= device.cpuMask
        }
        configuration.coreCount = configuration.cpuMask.nonzeroBitCount
    }

    private mutating func resolve(_ reference: ConfigurationDeviceReference) throws(ConfigurationError) {
        let name = ConfigurationBytes(cString: reference.name)
        switch reference.use {
        case .statistics:
            // The original skips what it does not know here, so this is not an error.
            guard let device = configuration.deviceIndex(named: name) else {
                warn(at: reference.line, "stat_print names ", quoting: name, ", which netdev does not have")
                return
            }
            if !configuration.devices[device].printsStatistics {
                configuration.devices[device].printsStatistics = true
                configuration.statisticsDevices.append(device)
            }
        case .route(let index):
            configuration.routes[index].device = try device(name, in: "route_table", line: reference.line)
        case .forwardPair(let partner):
            let first = try device(name, in: "nic_forward_table", line: reference.line)
            let second = try device(ConfigurationBytes(cString: partner), in: "nic_forward_table", line: reference.line)
            try addForwardPair(first, second, line: reference.line)
        }
    }

    private func device(
        _ name: ConfigurationBytes, in table: StaticString, line: Int
    ) throws(ConfigurationError) -> Int {
        guard let device = configuration.deviceIndex(named: name) else {
            var message = ConfigurationMessage(fileName: fileName, line: line)
            message.append(table)
            message.append(" names ")
            message.append(quoted: name)
            message.append(", which netdev does not have")
            throw ConfigurationError(message)
        }
        return device
    }

    /// A pair may be written twice, in either order; a device has one partner.
    private mutating func addForwardPair(_ first: Int, _ second: Int, line: Int) throws(ConfigurationError) {
        let known = configuration.forwardPartner(of: first)
        let knownBack = configuration.forwardPartner(of: second)
        if known == nil && knownBack == nil {
            configuration.forwardPairs.append(ConfigurationForwardPair(first: first, second: second))
            return
        }
        if known != second {
            let taken = configuration.devices[known != nil ? first : second].name
            throw error(
                at: line, "nic_forward_table gives ", quoting: ConfigurationBytes(cString: taken), " two different partners")
        }
    }

    /// `rmem_size` ≤ `rmem_max` ≤ `mem_limit`. What the file does not say is
    /// fitted to what it says.
    private mutating func settleMemory() throws(ConfigurationError) {
        let sizeLine = keyLines[ConfigurationKey.rmemSize.rawValue]
        let maxLine = keyLines[ConfigurationKey.rmemMax.rawValue]
        let limit = configuration.memoryLimit
        if sizeLine == 0 {
            configuration.rmemSize = min(configuration.rmemSize, maxLine == 0 ? limit : configuration.rmemMax)
        }
        if maxLine == 0 {
            configuration.rmemMax = max(configuration.rmemSize, min(configuration.rmemMax, limit))
        }
        if configuration.rmemSize > configuration.rmemMax {
            throw exceeds("rmem_size", configuration.rmemSize, "rmem_max", configuration.rmemMax, line: sizeLine)
        }
        if configuration.rmemMax > limit {
            if maxLine == 0 {
                throw exceeds("rmem_size", configuration.rmemSize, "mem_limit", limit, line: sizeLine)
            }
            throw exceeds("rmem_max", configuration.rmemMax, "mem_limit", limit, line: maxLine)
        }
    }

    private func exceeds(
        _ name: StaticString, _ value: Int, _ other: StaticString, _ limit: Int, line: Int
    ) -> ConfigurationError {
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append(name)
        message.append(", ")
        message.append(value)
        message.append(" bytes, is more than ")
        message.append(other)
        message.append(", ")
        message.append(limit)
        message.append(" bytes")
        return ConfigurationError(message)
    }

    // MARK: The environment

    /// `MOS_NETDEV="name=device …"`
    private mutating func replaceDevices() throws(ConfigurationError) {
        guard let variable = environment.netdev else { return }
        let text = ConfigurationBytes(cString: variable)
        guard text.count <= ConfigurationLimits.lineLength else {
            throw environmentError("MOS_NETDEV", "it is longer than a line may be")
        }
        guard let count = split(text, limit: Self.maxWords) else {
            throw environmentError("MOS_NETDEV", "it has too many words, or a quotation mark that does not close")
        }
        for index in 0..<count {
            try replaceDevice(word(index))
        }
    }

    private mutating func replaceDevice(_ word: ConfigurationBytes) throws(ConfigurationError) {
        guard let equals = word.firstIndex(of: 0x3D), equals > 0 else {
            throw environmentError("MOS_NETDEV", "it takes words 'device=replacement', not ", quoting: word)
        }
        // A device's own name may have '=' in it, so the longest name counts.
        var found: Int?
        var length = -1
        for index in 0..<configuration.devices.count {
            let name = ConfigurationBytes(cString: configuration.devices[index].name)
            if name.count > length && name.count < word.count && word.hasPrefix(name) && word[name.count] == 0x3D {
                found = index
                length = name.count
            }
        }
        guard let found else {
            throw environmentError(
                "MOS_NETDEV", "netdev does not have the device ", quoting: word.prefix(equals))
        }
        let replacement = word.dropFirst(length + 1)
        if replacement.isEmpty {
            throw environmentError("MOS_NETDEV", "there is nothing behind ", quoting: word)
        }
        if configuration.devices[found].replacement != nil {
            throw environmentError("MOS_NETDEV", "it has two replacements for ", quoting: word.prefix(length))
        }
        configuration.devices[found].replacement = UnsafePointer(try keep(replacement))
    }

    // MARK: Devices

    /// As far as they can be checked without opening them: a replaced one is
    /// not opened under its own name.
    private mutating func checkDevices() throws(ConfigurationError) {
        var readsStandardInput = false
        for device in configuration.devices {
            var message = device.replacement == nil
                ? ConfigurationMessage(fileName: fileName, line: device.line) : environmentMessage("MOS_NETDEV")
            switch try check(device, message) {
            case .fine: break
            case .readsStandardInput:
                if readsStandardInput {
                    message.append(quoted: ConfigurationBytes(cString: device.specification))
                    message.append(" is the second device to read standard input, which can be read only once")
                    throw ConfigurationError(message)
                }
                readsStandardInput = true
            case .unknownScheme:
                message.append("no backend is known so far for ")
                message.append(quoted: ConfigurationBytes(cString: device.specification))
                diagnostics.warn(message)
            }
        }
    }

    private func check(
        _ device: ConfigurationDevice, _ place: ConfigurationMessage
    ) throws(ConfigurationError) -> DeviceCheck {
        let room = 512
        let reason = UnsafeMutablePointer<CChar>.allocate(capacity: room)
        defer { reason.deallocate() }
        reason[0] = 0
        do throws(PortError) {
            return try Port.check(spec: device.specification, error: reason, errorSize: room)
        } catch {
            var message = place
            message.append(raw: reason)
            throw ConfigurationError(code: error.code, message)
        }
    }

    /// A level that nobody knows is no reason for a program not to start.
    private mutating func setLogLevelFromEnvironment() {
        guard let variable = environment.logLevel else { return }
        let text = ConfigurationBytes(cString: variable)
        if let level = ConfigurationLogLevel.named(text) {
            configuration.logLevel = level
        } else if !text.isEmpty {
            var message = environmentMessage("MOS_LOG")
            message.append("it takes 'error', 'warning', 'info' or 'debug', not ")
            message.append(quoted: text)
            diagnostics.warn(message)
        }
    }

    private func environmentMessage(_ variable: StaticString) -> ConfigurationMessage {
        var message = ConfigurationMessage()
        message.append(variable)
        message.append(":1: ")
        return message
    }

    private func environmentError(
        _ variable: StaticString, _ text: StaticString, quoting word: ConfigurationBytes? = nil
    ) -> ConfigurationError {
        var message = environmentMessage(variable)
        message.append(text)
        if let word {
            message.append(quoted: word)
        }
        return ConfigurationError(message)
    }
}
