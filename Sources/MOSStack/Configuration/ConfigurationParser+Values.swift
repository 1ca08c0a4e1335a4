import CSys

/// What each key takes.
extension ConfigurationParser {
    mutating func beginApplication(line: Int) throws(ConfigurationError) {
        if configuration.applications.count == ConfigurationLimits.applications {
            throw tooMany("applications", limit: ConfigurationLimits.applications, line: line)
        }
        configuration.applications.append(ConfigurationApplication(cpuMask: environment.machineMask))
        for key in 0...ConfigurationKey.ipForward.rawValue {
            keyLines[key] = 0
        }
    }

    /// Sets what the key stands for.
    /// - Parameter value: Not empty; its quotation marks close.
    mutating func assign(
        _ value: ConfigurationBytes, to key: ConfigurationKey, line: Int
    ) throws(ConfigurationError) {
        let application = configuration.applications.count - 1
        let item = ConfigurationItem(key: key, value: value, line: line)
        switch key {
        case .type:
            configuration.applications[application].kind = try applicationKind(item)
            if configuration.applications[application].kind == .endHost {
                warn(at: line, "there is no end-host stack in this version: ", quoting: ConfigurationBytes("type = end" as StaticString), " has no effect")
            }
        case .run: configuration.applications[application].arguments = try commandLine(item)
        case .coreMask:
            let name = ConfigurationBytes(key.name)
            configuration.applications[application].cpuMask = try mask(single(item), of: name, line: line)
        case .ipForward: configuration.applications[application].forwards = try flag(item)
        case .forward: configuration.forwards = try flag(item)
        case .memoryChannels: configuration.memoryChannels = try number(item, 0, ConfigurationLimits.memoryChannels)
        case .statPrint: try addStatisticsDevices(item)
        case .mosLog:
            configuration.logDirectory = try path(item)
            configuration.logFileName = UnsafePointer(try keep(ConfigurationBytes(cString: fileName)))
            configuration.logLine = line
        case .maxConcurrency: configuration.maxConcurrency = try number(item, 1, ConfigurationLimits.flows)
        case .noRingBuffers: configuration.noRingBuffers = try flag(item)
        case .rmemSize: configuration.rmemSize = try byteCount(item, 1, ConfigurationLimits.bufferSize)
        case .wmemSize: configuration.wmemSize = try byteCount(item, 1, ConfigurationLimits.bufferSize)
        case .rmemMax: configuration.rmemMax = try byteCount(item, 1, ConfigurationLimits.bufferSize)
        case .memoryLimit: configuration.memoryLimit = try byteCount(item, ConfigurationLimits.leastMemory, ConfigurationLimits.memory)
        case .timeWaitInterval: configuration.timeWaitSeconds = try number(item, 0, Int(Int32.max))
        case .tcpTimeout: configuration.idleTimeoutSeconds = try idleTimeout(item)
        case .multiprocess: configuration.multiprocess = try multiprocess(item)
        case .rxChecksum: configuration.verifiesChecksums = try flag(item)
        case .fragmentTimeout:
            configuration.fragmentTimeoutSeconds = try number(item, 1, ConfigurationLimits.fragmentTimeout)
        case .fragmentMax:
            configuration.maxFragmentedDatagrams = try number(item, 0, ConfigurationLimits.fragmentedDatagrams)
        case .logLevel: configuration.logLevel = try logLevel(item)
        case .dpdkArguments: configuration.dpdkArguments = try dpdkArguments(item)
        case .busyPoll: configuration.busyPoll = try flag(item)
        case .burst: configuration.burst = try number(item, 1, ConfigurationLimits.burst)
        }
    }

    // MARK: Kinds of values

    private func applicationKind(_ item: ConfigurationItem) throws(ConfigurationError) -> ConfigurationApplication.Kind {
        let word = try single(item)
        if word.equals("monitor") {
            return .monitor
        }
        if word.equals("end") {
            return .endHost
        }
        throw refused(item, "takes 'monitor' or 'end'")
    }

    private func flag(_ item: ConfigurationItem) throws(ConfigurationError) -> Bool {
        switch ConfigurationNotation.integer(try single(item)) {
        case 0: return false
        case 1: return true
        default: throw refused(item, "takes 0 or 1")
        }
    }

    private func number(_ item: ConfigurationItem, _ least: Int, _ most: Int) throws(ConfigurationError) -> Int {
        let value = ConfigurationNotation.integer(try single(item))
        return try inRange(value, least, most, item, unit: "a number")
    }

    private func byteCount(_ item: ConfigurationItem, _ least: Int, _ most: Int) throws(ConfigurationError) -> Int {
        let value = ConfigurationNotation.byteCount(try single(item))
        return try inRange(value, least, most, item, unit: "a number of bytes")
    }

    /// The original takes 0 as it takes -1: flows are never timed out.
    private func idleTimeout(_ item: ConfigurationItem) throws(ConfigurationError) -> Int {
        let value = ConfigurationNotation.integer(try single(item))
        let seconds = try inRange(value, -1, Int(Int32.max), item, unit: "seconds")
        return seconds == 0 ? -1 : seconds
    }

    private func inRange(
        _ value: Int?, _ least: Int, _ most: Int, _ item: ConfigurationItem, unit: StaticString
    ) throws(ConfigurationError) -> Int {
        if let value, value >= least, value <= most {
            return value
        }
        var message = start(item)
        message.append("takes ")
        message.append(unit)
        message.append(" from ")
        message.append(least)
        message.append(" to ")
        message.append(most)
        throw refused(item, message)
    }

    private func logLevel(_ item: ConfigurationItem) throws(ConfigurationError) -> ConfigurationLogLevel {
        guard let level = ConfigurationLogLevel.named(try single(item)) else {
            throw refused(item, "takes 'error', 'warning', 'info' or 'debug'")
        }
        return level
    }

    private func multiprocess(_ item: ConfigurationItem) throws(ConfigurationError) -> ConfigurationMultiprocess {
        let count = try split(item, limit: Self.maxWords)
        guard count <= 2, let core = ConfigurationNotation.integer(word(0)),
            count == 1 || word(1).equals("master") || word(1).equals("slave")
        else {
            throw refused(item, "takes a core number, and 'master' or 'slave'")
        }
        if core < 0 || core >= environment.cpuCount {
            var message = start(item)
            message.append("takes a core number below ")
            message.append(environment.cpuCount)
            throw refused(item, message)
        }
        return ConfigurationMultiprocess(core: core, isMaster: count == 2 && word(1).equals("master"))
    }

    /// The value as it stands, blanks included, unless it is one word in
    /// quotation marks.
    private func path(_ item: ConfigurationItem) throws(ConfigurationError) -> UnsafePointer<CChar> {
        let count = try split(item, limit: Self.maxWords)
        let text = count == 1 ? word(0) : item.value
        if text.isEmpty {
            throw refused(item, "takes a directory")
        }
        return UnsafePointer(try keep(text))
    }

    private func commandLine(_ item: ConfigurationItem) throws(ConfigurationError) -> [UnsafeMutablePointer<CChar>] {
        let count = try split(item, limit: ConfigurationLimits.arguments)
        var arguments: [UnsafeMutablePointer<CChar>] = []
        for index in 0..<count {
            arguments.append(try keep(word(index)))
        }
        return arguments
    }

    private func dpdkArguments(_ item: ConfigurationItem) throws(ConfigurationError) -> [UnsafePointer<CChar>] {
        let count = try split(item, limit: ConfigurationLimits.dpdkArguments)
        var arguments: [UnsafePointer<CChar>] = []
        for index in 0..<count {
            arguments.append(UnsafePointer(try keep(word(index))))
        }
        return arguments
    }

    private mutating func addStatisticsDevices(_ item: ConfigurationItem) throws(ConfigurationError) {
        var kept: [ConfigurationDeviceReference] = []
        for reference in deviceReferences {
            if case .statistics = reference.use {
                continue
            }
            kept.append(reference)
        }
        let count = try split(item, limit: Self.maxWords)
        for index in 0..<count {
            let name = try keep(word(index))
            kept.append(ConfigurationDeviceReference(use: .statistics, name: name, line: item.line))
        }
        deviceReferences = kept
    }

    /// A set of CPUs of this machine, not empty.
    /// - Parameter owner: The device or the key that the mask is for.
    func mask(
        _ word: ConfigurationBytes, of owner: ConfigurationBytes, line: Int
    ) throws(ConfigurationError) -> UInt64 {
        let mask = ConfigurationNotation.unsigned(word)
        if let mask, mask != 0, mask & ~environment.machineMask == 0 {
            return mask
        }
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append(quoted: owner)
        guard let mask else {
            message.append(" takes a CPU mask such as 0x0003, not ")
            message.append(quoted: word)
            throw ConfigurationError(message)
        }
        message.append(" has the CPU mask ")
        message.append(hexadecimal: mask)
        message.append(mask == 0 ? ", which has no CPU" : ", beyond this machine's ")
        if mask != 0 {
            message.append(environment.cpuCount)
            message.append(environment.cpuCount == 1 ? " CPU (" : " CPUs (")
            message.append(hexadecimal: environment.machineMask)
            message.append(")")
        }
        throw ConfigurationError(message)
    }

    // MARK: Words

    /// The word at this place of the line that was split last.
    func word(_ index: Int) -> ConfigurationBytes {
        guard index < words.count, let start = words[index] else {
            return .empty
        }
        return ConfigurationBytes(cString: start)
    }

    /// Splits a text into `words`; they stay until the next call.
    /// Nil: there are more than `limit`, or a quotation mark does not close.
    func split(_ text: ConfigurationBytes, limit: Int) -> Int? {
        guard text.count <= ConfigurationLimits.lineLength else { return nil }
        // Safe: the buffer has room for a line and its NUL.
        memcpy(lineBuffer, text.start, text.count)
        lineBuffer[text.count] = 0
        let room = UnsafeMutableBufferPointer(rebasing: words[0..<min(limit, Self.maxWords)])
        let outcome = ShellWords.split(lineBuffer, into: room)
        return outcome.hasMore || outcome.quoteIsOpen ? nil : outcome.count
    }

    private func split(_ item: ConfigurationItem, limit: Int) throws(ConfigurationError) -> Int {
        guard let count = split(item.value, limit: limit) else {
            var message = start(item)
            message.append("takes at most ")
            message.append(limit)
            message.append(" words")
            throw ConfigurationError(message)
        }
        return count
    }

    private func single(_ item: ConfigurationItem) throws(ConfigurationError) -> ConfigurationBytes {
        guard split(item.value, limit: 1) == 1 else {
            throw refused(item, "takes one word")
        }
        return word(0)
    }

    /// A copy of the word that lives as long as the configuration.
    func keep(_ word: ConfigurationBytes) throws(ConfigurationError) -> UnsafeMutablePointer<CChar> {
        guard let copy = configuration.text.copy(word) else {
            var message = ConfigurationMessage(fileName: fileName, line: 0)
            message.append("out of memory")
            throw ConfigurationError(code: ENOMEM, message)
        }
        return copy
    }

    // MARK: Messages

    func tooMany(_ what: StaticString, limit: Int, line: Int) -> ConfigurationError {
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append("there are more than ")
        message.append(limit)
        message.append(" ")
        message.append(what)
        return ConfigurationError(message)
    }

    private func start(_ item: ConfigurationItem) -> ConfigurationMessage {
        var message = ConfigurationMessage(fileName: fileName, line: item.line)
        message.append(item.key.name)
        message.append(" ")
        return message
    }

    private func refused(_ item: ConfigurationItem, _ what: StaticString) -> ConfigurationError {
        var message = start(item)
        message.append(what)
        return refused(item, message)
    }

    private func refused(_ item: ConfigurationItem, _ begun: ConfigurationMessage) -> ConfigurationError {
        var message = begun
        message.append(", not ")
        message.append(quoted: item.value)
        return ConfigurationError(message)
    }
}
