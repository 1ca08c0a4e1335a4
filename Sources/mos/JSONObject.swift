/// One JSON object on one line, its members in the order in which they are added
/// (RFC 8259).
struct JSONObject {
    private var text = "{"

    /// The complete object with a line feed.
    var line: String { text + "}\n" }

    mutating func add(_ name: String, _ value: String) {
        member(name)
        Self.quote(value, into: &text)
    }

    mutating func add(_ name: String, _ value: UInt64) {
        member(name)
        text += String(value)
    }

    /// A number that is already in decimal notation.
    mutating func add(_ name: String, decimal: String) {
        member(name)
        text += decimal
    }

    mutating func add(_ name: String, _ value: JSONObject) {
        member(name)
        text += value.text + "}"
    }

    private mutating func member(_ name: String) {
        if text.utf8.count > 1 { text += "," }
        Self.quote(name, into: &text)
        text += ":"
    }

    private static func quote(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\u{0}"..<"\u{20}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
