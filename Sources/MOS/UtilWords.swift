// mtcp_util.h: a command line's words.
import CMOS
import CSys

private enum Character {
    static let doubleQuote: UInt8 = 0x22
    static let singleQuote: UInt8 = 0x27
    static let backslash: UInt8 = 0x5c

    /// Space, tab and the line ends.
    static func isBlank(_ c: UInt8) -> Bool {
        c == 0x20 || (c >= 0x09 && c <= 0x0d)
    }
}

/// Takes one word's quotes and backslashes away, in place.
///
/// `read` is at the word's first character and is left at the blank or zero
/// behind it; `write` is never ahead of it and is left behind the last
/// character kept.
///
/// - Returns: false if a quote does not end.
private func unquoteWord(_ read: inout UnsafeMutablePointer<UInt8>, _ write: inout UnsafeMutablePointer<UInt8>) -> Bool {
    var quote: UInt8 = 0
    // In bounds: the string's zero ends every loop before read passes it.
    while read.pointee != 0 {
        var c = read.pointee
        if quote == 0 {
            if Character.isBlank(c) { return true }
            if c == Character.singleQuote || c == Character.doubleQuote {
                quote = c
                read += 1
                continue
            }
        } else if c == quote {
            quote = 0
            read += 1
            continue
        }
        if c == Character.backslash, quote != Character.singleQuote {
            let next = read[1]
            let taken =
                quote == 0 ? next != 0 : next == Character.doubleQuote || next == Character.backslash
            if taken {
                read += 1
                c = next
            }
        }
        write.pointee = c
        write += 1
        read += 1
    }
    return quote == 0
}

@c @implementation
public func StrToArgs(
    _ str: UnsafeMutablePointer<CChar>!, _ argc: UnsafeMutablePointer<Int32>!,
    _ argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!, _ max_argc: Int32
) -> Int32 {
    guard let str, let argc, let argv, max_argc >= 0 else {
        csys_set_errno(EINVAL)
        return -1
    }
    argc.pointee = 0
    // CChar and UInt8 have the same layout.
    var read = UnsafeMutableRawPointer(str).assumingMemoryBound(to: UInt8.self)
    var count: Int32 = 0
    while true {
        while Character.isBlank(read.pointee) { read += 1 }
        if read.pointee == 0 { break }
        if count == max_argc {
            argc.pointee = count
            csys_set_errno(E2BIG)
            return -1
        }
        let word = read
        var write = read
        guard unquoteWord(&read, &write) else {
            csys_set_errno(EINVAL)
            return -1
        }
        // The blank may be where the word's zero goes.
        let isLast = read.pointee == 0
        write.pointee = 0
        // In bounds: count is below max_argc.
        argv[Int(count)] = UnsafeMutableRawPointer(word).assumingMemoryBound(to: CChar.self)
        count &+= 1
        if isLast { break }
        read += 1
    }
    argc.pointee = count
    if count < max_argc { argv[Int(count)] = nil }
    return 0
}
