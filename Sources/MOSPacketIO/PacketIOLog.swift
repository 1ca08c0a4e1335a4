import CPcap
import CSys

/// Where this room says what went wrong while packets flow: a damaged trace, a
/// full disk, an interface that went away. One line for each such event, never
/// one for each packet.
public enum PacketIOLog {
    /// Gets each line, without a line feed; valid during the call only. nil:
    /// standard error, as `libmos: line`. To be set before a port is opened.
    nonisolated(unsafe) public static var sink: (@convention(c) (UnsafePointer<CChar>) -> Void)? = nil

    /// `name: text`.
    static func say(_ name: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { line in
            var writer = MessageWriter(line.baseAddress, size: line.count)
            writer.append(name)
            writer.append(": ")
            writer.append(text)
            guard let start = line.baseAddress else { return }
            if let sink { sink(start) } else { cpcap_log(start) }
        }
    }

    /// `name: text: strerror(code)`.
    static func say(_ name: UnsafePointer<CChar>?, _ text: StaticString, errno code: Int32) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { line in
            var writer = MessageWriter(line.baseAddress, size: line.count)
            writer.append(text)
            writer.append(": ")
            writer.append(errno: code)
            say(name, line.baseAddress.map { UnsafePointer($0) })
        }
    }
}
