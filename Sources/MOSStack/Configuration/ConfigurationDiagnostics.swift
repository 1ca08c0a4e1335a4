/// The warnings of one configuration, for the caller to print.
public struct ConfigurationDiagnostics {
    /// One line each, `file:line: what is odd`, as C strings (NUL at the end).
    public private(set) var messages: [[CChar]] = []

    /// Warnings that were counted but not kept, because there were so many.
    public private(set) var omitted = 0

    /// At most this many warnings are kept.
    public static let limit = 64

    public init() {}

    mutating func warn(_ message: ConfigurationMessage) {
        if messages.count < Self.limit {
            messages.append(message.finished())
        } else {
            omitted += 1
        }
    }
}
