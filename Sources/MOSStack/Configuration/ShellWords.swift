/// Splits a command line as a POSIX shell does (XCU §2.2, quoting only):
/// blanks separate words, `'…'` is literal, in `"…"` a backslash escapes
/// `"`, `\`, `$` and a back-tick, elsewhere a backslash escapes the next byte.
/// Nothing is expanded.
public enum ShellWords {
    public struct Outcome {
        /// Words found, at most as many as there was room for.
        public var count = 0
        /// There were more words than room.
        public var hasMore = false
        /// A quotation mark does not close; the last word goes to the end.
        public var quoteIsOpen = false
    }

    /// Splits `text` in place: quoting is removed, each word ends with a NUL,
    /// and `words` points into `text`. (`mos: StrToArgs`)
    ///
    /// - Parameters:
    ///   - text: A C string; what is behind the last word that fits is left alone.
    ///   - words: Room for the words. No NULL is put behind the last.
    public static func split(
        _ text: UnsafeMutablePointer<CChar>,
        into words: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>
    ) -> Outcome {
        var outcome = Outcome()
        var read = 0
        while true {
            while isBlank(text[read]) {
                read += 1
            }
            if text[read] == 0 {
                return outcome
            }
            if outcome.count == words.count {
                outcome.hasMore = true
                return outcome
            }
            words[outcome.count] = text + read
            outcome.count += 1
            let end = unquoteWord(text, from: &read, quoteIsOpen: &outcome.quoteIsOpen)
            // Safe: a word is never longer than its quoted form, so `end` is
            // at most the place of the blank or NUL that ended it.
            let isLast = text[read] == 0
            text[end] = 0
            if isLast {
                return outcome
            }
            read += 1
        }
    }

    /// Moves one word's bytes to its start; returns the index behind them and
    /// leaves `read` at the blank or NUL that ended the word.
    private static func unquoteWord(
        _ text: UnsafeMutablePointer<CChar>, from read: inout Int, quoteIsOpen: inout Bool
    ) -> Int {
        var write = read
        var quote: CChar = 0
        while text[read] != 0 && (quote != 0 || !isBlank(text[read])) {
            let byte = text[read]
            let next = text[read + 1]
            if quote == 0 && (byte == doubleQuote || byte == singleQuote) {
                quote = byte
            } else if byte == quote {
                quote = 0
            } else if byte == backslash && escapes(next, in: quote) {
                text[write] = next
                write += 1
                read += 1
            } else {
                text[write] = byte
                write += 1
            }
            read += 1
        }
        if quote != 0 {
            quoteIsOpen = true
        }
        return write
    }

    private static func escapes(_ byte: CChar, in quote: CChar) -> Bool {
        if quote == singleQuote || byte == 0 {
            return false
        }
        return quote == 0 || byte == doubleQuote || byte == backslash || byte == 0x24 || byte == 0x60
    }

    private static func isBlank(_ byte: CChar) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    }

    private static var doubleQuote: CChar { 0x22 }
    private static var singleQuote: CChar { 0x27 }
    private static var backslash: CChar { 0x5C }
}
