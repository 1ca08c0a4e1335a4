/// How numbers and addresses are written in a configuration.
/// Each function gives nil for what is not written that way, or too large.
enum ConfigurationNotation {
    typealias MAC = (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)

    /// A decimal number, hexadecimal behind `0x`, octal behind `0`.
    static func unsigned(_ text: ConfigurationBytes) -> UInt64? {
        var digits = text
        var base: UInt64 = 10
        if text.count >= 2 && text[0] == 0x30 {
            if text[1] == 0x78 || text[1] == 0x58 {
                base = 16
                digits = text.dropFirst(2)
            } else {
                base = 8
                digits = text.dropFirst(1)
            }
        }
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for index in 0..<digits.count {
            guard let digit = hexadecimalDigit(digits[index]), UInt64(digit) < base else { return nil }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: base)
            let (sum, overflow) = product.addingReportingOverflow(UInt64(digit))
            if tooLarge || overflow {
                return nil
            }
            value = sum
        }
        return value
    }

    /// As `unsigned`, with a sign before it if need be.
    static func integer(_ text: ConfigurationBytes) -> Int? {
        guard !text.isEmpty else { return nil }
        let isSigned = text[0] == 0x2D || text[0] == 0x2B
        guard let magnitude = unsigned(isSigned ? text.dropFirst(1) : text),
            let value = Int(exactly: magnitude)
        else { return nil }
        return text[0] == 0x2D ? -value : value
    }

    /// As `integer`, with K, M or G (2¹⁰, 2²⁰, 2³⁰) behind it if need be.
    static func byteCount(_ text: ConfigurationBytes) -> Int? {
        guard !text.isEmpty else { return nil }
        let factor: Int
        switch text[text.count - 1] {
        case 0x4B, 0x6B: factor = 1 << 10
        case 0x4D, 0x6D: factor = 1 << 20
        case 0x47, 0x67: factor = 1 << 30
        default: return integer(text)
        }
        guard let number = integer(text.prefix(text.count - 1)) else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : value
    }

    /// `a.b.c.d`, four decimal numbers without leading zeros (which other
    /// readers take for octal). Host byte order.
    static func address(_ text: ConfigurationBytes) -> UInt32? {
        var rest = text
        var value: UInt32 = 0
        for part in 0..<4 {
            let length: Int
            if part < 3 {
                guard let dot = rest.firstIndex(of: 0x2E) else { return nil }
                length = dot
            } else {
                length = rest.count
            }
            guard let byte = decimal(rest.prefix(length), limit: 255) else { return nil }
            value = value << 8 | UInt32(byte)
            rest = rest.dropFirst(part < 3 ? length + 1 : length)
        }
        return value
    }

    /// `a.b.c.d/n`, or `a.b.c.d` for a single address. Host byte order.
    static func network(_ text: ConfigurationBytes) -> (address: UInt32, prefix: UInt8)? {
        guard let slash = text.firstIndex(of: 0x2F) else {
            guard let single = address(text) else { return nil }
            return (single, 32)
        }
        guard let base = address(text.prefix(slash)),
            let prefix = decimal(text.dropFirst(slash + 1), limit: 32)
        else { return nil }
        return (base, UInt8(prefix))
    }

    /// Six bytes of one or two hexadecimal digits, separated by colons.
    static func mac(_ text: ConfigurationBytes) -> MAC? {
        var result: MAC = (0, 0, 0, 0, 0, 0)
        var rest = text
        for part in 0..<6 {
            let length: Int
            if part < 5 {
                guard let colon = rest.firstIndex(of: 0x3A) else { return nil }
                length = colon
            } else {
                length = rest.count
            }
            guard length == 1 || length == 2 else { return nil }
            var byte: UInt8 = 0
            for index in 0..<length {
                guard let digit = hexadecimalDigit(rest[index]) else { return nil }
                byte = byte << 4 | digit
            }
            switch part {
            case 0: result.0 = byte
            case 1: result.1 = byte
            case 2: result.2 = byte
            case 3: result.3 = byte
            case 4: result.4 = byte
            default: result.5 = byte
            }
            rest = rest.dropFirst(part < 5 ? length + 1 : length)
        }
        return result
    }

    /// The bits of an address that a prefix of this length covers.
    static func mask(prefix: UInt8) -> UInt32 {
        prefix == 0 ? 0 : UInt32.max << UInt32(32 - min(prefix, 32))
    }

    private static func decimal(_ text: ConfigurationBytes, limit: Int) -> Int? {
        guard text.count >= 1 && text.count <= 3 else { return nil }
        if text.count > 1 && text[0] == 0x30 {
            return nil
        }
        var value = 0
        for index in 0..<text.count {
            guard text[index] >= 0x30 && text[index] <= 0x39 else { return nil }
            value = value * 10 + Int(text[index] - 0x30)
        }
        return value <= limit ? value : nil
    }

    private static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: return byte - 0x30
        case 0x41...0x46: return byte - 0x41 + 10
        case 0x61...0x66: return byte - 0x61 + 10
        default: return nil
        }
    }
}
