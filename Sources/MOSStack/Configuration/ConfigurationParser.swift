import CSys

/// Reads a configuration file's text.
///
///     file    = { block | item }
///     block   = name "{" { block | item | line } "}"
///     item    = name [ "=" [ value ] ]        to the end of the line
///     line    = word { word }                 in tables, to the end of the line
///
/// `#` begins a comment, even between quotation marks. A `}` that nothing on
/// its line opens ends a value or a line, unless it is quoted.
struct ConfigurationParser {
    var scanner: ConfigurationScanner
    let fileName: UnsafePointer<CChar>
    let environment: ConfigurationEnvironment
    var configuration = Configuration()
    var diagnostics: ConfigurationDiagnostics

    /// The line where each key of the block was given a value; 0: not yet.
    var keyLines = [Int](repeating: 0, count: ConfigurationKey.count)
    /// The line of the first `mos` block.
    var mosLine: Int?
    /// Devices named before `netdev` may have been read.
    var deviceReferences: [ConfigurationDeviceReference] = []

    /// The line that is being read, a C string that its words point into.
    let lineBuffer: UnsafeMutablePointer<CChar>
    let words: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>
    static let maxWords = 128

    init(
        _ bytes: UnsafeBufferPointer<UInt8>, fileName: UnsafePointer<CChar>,
        environment: ConfigurationEnvironment, diagnostics: ConfigurationDiagnostics
    ) {
        scanner = ConfigurationScanner(bytes)
        self.fileName = fileName
        self.environment = environment
        self.diagnostics = diagnostics
        lineBuffer = .allocate(capacity: ConfigurationLimits.lineLength + 1)
        words = .allocate(capacity: Self.maxWords)
        words.initialize(repeating: nil)
        configuration.machineCPUCount = environment.cpuCount
    }

    func deallocate() {
        lineBuffer.deallocate()
        words.deallocate()
    }

    // MARK: Blocks

    mutating func parse() throws(ConfigurationError) {
        try refuseUnreadable()
        try parseItems(of: .file, openedAt: 1)
        try finish()
    }

    private func refuseUnreadable() throws(ConfigurationError) {
        if scanner.bytes.count > ConfigurationLimits.fileSize {
            var message = ConfigurationMessage(fileName: fileName, line: 0)
            message.append("the file is larger than ")
            message.append(ConfigurationLimits.fileSize)
            message.append(" bytes")
            throw ConfigurationError(code: EFBIG, message)
        }
        var line = 1
        for byte in scanner.bytes {
            if byte == 0 {
                throw error(at: line, "a NUL byte: this is not a text file")
            }
            line += byte == 0x0A ? 1 : 0
        }
    }

    private mutating func parseItems(of block: ConfigurationBlock, openedAt openLine: Int) throws(ConfigurationError) {
        while true {
            scanner.skipBlank()
            if scanner.isAtEnd {
                if block != .file {
                    throw error(at: openLine, "block ", quoting: block.name, " does not close")
                }
                return
            }
            if scanner.current == 0x7D {
                if block == .file {
                    throw error(at: scanner.line, "'}' without a block that it closes")
                }
                scanner.advance()
                return
            }
            if block.isTable {
                try parseTableLine(of: block)
            } else {
                try parseItemOrBlock(in: block)
            }
        }
    }

    private mutating func parseItemOrBlock(in block: ConfigurationBlock) throws(ConfigurationError) {
        let line = scanner.line
        guard let name = scanner.scanName() else {
            throw error(at: line, "a name is expected, not ", quoting: scanner.skippedContent().text)
        }
        scanner.skipBlankOnLine()
        if scanner.current == 0x3D {
            scanner.advance()
            try parseValue(of: name, in: block, line: line)
            return
        }
        let behindName = scanner
        scanner.skipBlank()
        if scanner.current == 0x7B {
            scanner.advance()
            try parseBlock(named: name, in: block, line: line)
            return
        }
        scanner = behindName
        try parseNameAlone(name, in: block, line: line)
    }

    private mutating func parseBlock(
        named name: ConfigurationBytes, in parent: ConfigurationBlock, line: Int
    ) throws(ConfigurationError) {
        guard let block = ConfigurationBlock.named(name, in: parent) else {
            warn(at: line, "unknown block ", quoting: name, parent == .file ? "" : " in ", parent == .file ? "" : parent.name)
            try skipBlock(named: name, openedAt: line)
            return
        }
        if block == .application {
            try beginApplication(line: line)
        } else if block == .mos && mosLine == nil {
            mosLine = line
        }
        try parseItems(of: block, openedAt: line)
    }

    /// A name without `=`: a key without a value, which counts as absent.
    private mutating func parseNameAlone(
        _ name: ConfigurationBytes, in block: ConfigurationBlock, line: Int
    ) throws(ConfigurationError) {
        let rest = scanner.skippedContent()
        if ConfigurationBlock.named(name, in: block) != nil {
            throw error(at: line, "'{' is missing behind ", quoting: name)
        }
        if ConfigurationKey.named(name, in: block) == nil {
            warnUnknownKey(name, in: block, line: line)
        } else if !rest.text.isEmpty {
            throw error(at: line, "'=' is missing behind ", quoting: name)
        }
        try refuse(rest, line: line)
        scanner.move(toColumnAt: rest.end)
    }

    private mutating func parseValue(
        of name: ConfigurationBytes, in block: ConfigurationBlock, line: Int
    ) throws(ConfigurationError) {
        scanner.skipBlankOnLine()
        guard let key = ConfigurationKey.named(name, in: block) else {
            warnUnknownKey(name, in: block, line: line)
            let rest = scanner.skippedContent()
            try refuse(rest, line: line)
            scanner.move(toColumnAt: rest.end)
            return
        }
        let value = scanner.content(nestsBraces: true)
        try refuse(value, line: line)
        scanner.move(toColumnAt: value.end)
        if value.text.isEmpty {
            return
        }
        if value.quoteIsOpen {
            throw error(at: line, "a quotation mark in the value of ", quoting: name, " does not close")
        }
        if keyLines[key.rawValue] != 0 {
            var message = ConfigurationMessage(fileName: fileName, line: line)
            message.append("this replaces the value of ")
            message.append(quoted: name)
            message.append(" in line ")
            message.append(keyLines[key.rawValue])
            diagnostics.warn(message)
        }
        keyLines[key.rawValue] = line
        try assign(value.text, to: key, line: line)
    }

    private mutating func parseTableLine(of block: ConfigurationBlock) throws(ConfigurationError) {
        let line = scanner.line
        let content = scanner.content(nestsBraces: false)
        try refuse(content, line: line)
        if content.quoteIsOpen {
            throw error(at: line, "a quotation mark in ", quoting: block.name, " does not close")
        }
        let start = scanner.position
        scanner.move(toColumnAt: content.end)
        if scanner.current == 0x7B {
            guard let name = blockName(from: start, content.text) else {
                throw error(at: line, "'{' is out of place in ", quoting: block.name)
            }
            scanner.advance()
            warn(at: line, "unknown block ", quoting: name, " in ", block.name)
            try skipBlock(named: name, openedAt: line)
            return
        }
        try addTableLine(content.text, of: block, line: line)
    }

    /// The text, if it is nothing but a name.
    private func blockName(from start: Int, _ text: ConfigurationBytes) -> ConfigurationBytes? {
        var probe = ConfigurationScanner(UnsafeBufferPointer(start: text.start, count: text.count))
        guard let name = probe.scanName(), probe.isAtEnd else { return nil }
        return name
    }

    /// Over a block that is not known, to behind its end.
    private mutating func skipBlock(
        named name: ConfigurationBytes, openedAt openLine: Int
    ) throws(ConfigurationError) {
        var depth = 1
        while depth > 0 {
            scanner.skipBlank()
            if scanner.isAtEnd {
                throw error(at: openLine, "block ", quoting: name, " does not close")
            }
            let byte = scanner.current
            scanner.advance()
            switch byte {
            case 0x7B:
                depth += 1
                if depth > ConfigurationLimits.nesting {
                    throw error(at: scanner.line, "blocks are nested too deeply")
                }
            case 0x7D:
                depth -= 1
            case 0x22, 0x27:
                scanner.skipQuoted(by: byte)
            default:
                break
            }
        }
    }

    // MARK: Messages

    func error(at line: Int, _ text: StaticString) -> ConfigurationError {
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append(text)
        return ConfigurationError(message)
    }

    func error(
        at line: Int, _ text: StaticString, quoting word: ConfigurationBytes, _ rest: StaticString = ""
    ) -> ConfigurationError {
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append(text)
        message.append(quoted: word)
        message.append(rest)
        return ConfigurationError(message)
    }

    func error(
        at line: Int, _ text: StaticString, quoting word: StaticString, _ rest: StaticString = ""
    ) -> ConfigurationError {
        error(at: line, text, quoting: ConfigurationBytes(word), rest)
    }

    mutating func warn(
        at line: Int, _ text: StaticString, quoting word: ConfigurationBytes,
        _ rest: StaticString = "", _ more: StaticString = ""
    ) {
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append(text)
        message.append(quoted: word)
        message.append(rest)
        message.append(more)
        diagnostics.warn(message)
    }

    private mutating func warnUnknownKey(_ name: ConfigurationBytes, in block: ConfigurationBlock, line: Int) {
        if block == .file {
            warn(at: line, "unknown key ", quoting: name, " outside of the blocks")
        } else {
            warn(at: line, "unknown key ", quoting: name, " in ", block.name)
        }
    }

    private func refuse(_ content: ConfigurationScanner.Content, line: Int) throws(ConfigurationError) {
        guard content.isTooLong else { return }
        var message = ConfigurationMessage(fileName: fileName, line: line)
        message.append("the line is longer than ")
        message.append(ConfigurationLimits.lineLength)
        message.append(" bytes")
        throw ConfigurationError(message)
    }
}
