/// Why a device could not be opened. The text is in the caller's buffer.
public struct PortError: Error {
    /// An errno value, never 0.
    public let code: Int32

    public init(code: Int32) {
        self.code = code
    }
}
