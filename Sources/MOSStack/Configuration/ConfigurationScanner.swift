/// Walks over the bytes of a configuration file and knows the line.
struct ConfigurationScanner {
    let bytes: UnsafeBufferPointer<UInt8>
    private(set) var position = 0
    /// From 1.
    private(set) var line = 1

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        // A byte order mark, as some editors write.
        if bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF {
            position = 3
        }
    }

    var isAtEnd: Bool { position >= bytes.count }

    /// The byte here; 0 at the end (a file with NUL bytes is refused before).
    var current: UInt8 { isAtEnd ? 0 : bytes[position] }

    mutating func advance() {
        guard !isAtEnd else { return }
        if bytes[position] == 0x0A {
            line += 1
        }
        position += 1
    }

    /// Moves to a place on this line.
    mutating func move(toColumnAt place: Int) {
        position = min(max(place, position), bytes.count)
    }

    /// Over blanks and comments, to the next line's too.
    mutating func skipBlank() {
        while !isAtEnd {
            if current == 0x23 {
                position = endOfLine()
            } else if Self.isBlank(current) {
                advance()
            } else {
                return
            }
        }
    }

    /// Over blanks of this line.
    mutating func skipBlankOnLine() {
        while !isAtEnd && current != 0x0A && Self.isBlank(current) {
            position += 1
        }
    }

    /// A name: letters, digits, `_`, `-` and `.`, not beginning with a digit.
    mutating func scanName() -> ConfigurationBytes? {
        guard Self.startsName(current) else { return nil }
        let start = position
        while !isAtEnd && Self.isInName(current) {
            position += 1
        }
        return text(from: start, to: position)
    }

    struct Content {
        /// Without blanks around it.
        var text: ConfigurationBytes
        /// The place behind it: a line's end, a comment, or a brace.
        var end: Int
        /// A quotation mark does not close.
        var quoteIsOpen: Bool
        /// It is longer than `ConfigurationLimits.lineLength`; the rest was not looked at.
        var isTooLong: Bool
    }

    /// What stands on this line up to its end, a comment, or a brace that is
    /// not part of it. Quoted and escaped braces are part of it; with
    /// `nestsBraces` so is a pair of braces. Does not move.
    func content(nestsBraces: Bool, honoursQuotes: Bool = true) -> Content {
        let start = position
        let limit = min(bytes.count, start + ConfigurationLimits.lineLength)
        var place = start
        var quote: UInt8 = 0
        var depth = 0
        while place < limit && !endsContent(place) {
            let byte = bytes[place]
            if honoursQuotes && byte == 0x5C && quote != 0x27 {
                // The byte behind a backslash is content, if it is not the end.
                place += place + 1 < limit && !endsContent(place + 1) ? 2 : 1
                continue
            }
            if quote != 0 {
                quote = byte == quote ? 0 : quote
            } else if honoursQuotes && (byte == 0x22 || byte == 0x27) {
                quote = byte
            } else if byte == 0x7B {
                if !nestsBraces {
                    break
                }
                depth += 1
            } else if byte == 0x7D {
                if depth == 0 {
                    break
                }
                depth -= 1
            }
            place += 1
        }
        var last = place
        while last > start && Self.isBlank(bytes[last - 1]) {
            last -= 1
        }
        let isTooLong = place == limit && limit < bytes.count && !endsContent(limit)
        return Content(text: text(from: start, to: last), end: place, quoteIsOpen: quote != 0, isTooLong: isTooLong)
    }

    private func endsContent(_ place: Int) -> Bool {
        bytes[place] == 0x0A || bytes[place] == 0x23
    }

    /// As `content`, for text that nobody will read: a quotation mark that
    /// does not close on its line means nothing.
    func skippedContent() -> Content {
        let quoted = content(nestsBraces: true)
        return quoted.quoteIsOpen ? content(nestsBraces: true, honoursQuotes: false) : quoted
    }

    /// Behind a quotation mark: to behind the one that closes it on this line,
    /// or nowhere.
    mutating func skipQuoted(by quote: UInt8) {
        var place = position
        while place < bytes.count && !endsContent(place) {
            if bytes[place] == quote {
                position = place + 1
                return
            }
            place += 1
        }
    }

    func text(from start: Int, to end: Int) -> ConfigurationBytes {
        guard let base = bytes.baseAddress, start >= 0, start <= end, end <= bytes.count else {
            return .empty
        }
        // Safe: the range was just checked.
        return ConfigurationBytes(start: base + start, count: end - start)
    }

    private func endOfLine() -> Int {
        var place = position
        while place < bytes.count && bytes[place] != 0x0A {
            place += 1
        }
        return place
    }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    }

    private static func startsName(_ byte: UInt8) -> Bool {
        (byte >= 0x41 && byte <= 0x5A) || (byte >= 0x61 && byte <= 0x7A) || byte == 0x5F
    }

    private static func isInName(_ byte: UInt8) -> Bool {
        startsName(byte) || (byte >= 0x30 && byte <= 0x39) || byte == 0x2D || byte == 0x2E
    }
}
