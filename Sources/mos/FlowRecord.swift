import CMOS
import Glibc

/// One connection that has ended, as `mos flows` shows it.
struct FlowRecord {
    var info = mos_flow_info()
    /// Client and server; IPv4 addresses lie in the same place as `sockaddr_in`.
    var addresses = (sockaddr_in6(), sockaddr_in6())
    /// The last pair of states before the end closed both sides.
    var clientState: UInt8 = 0
    var serverState: UInt8 = 0

    var client: Endpoint { Endpoint(addresses.0, family: info.family) }
    var server: Endpoint { Endpoint(addresses.1, family: info.family) }

    /// Nanoseconds from the first packet to the last.
    var duration: UInt64 { info.last_ns >= info.start_ns ? info.last_ns - info.start_ns : 0 }

    var states: String {
        Self.name(ofState: clientState) + "/" + Self.name(ofState: serverState)
    }

    /// How it ended, in one word.
    var end: String {
        switch info.end_reason {
        case MOS_END_FIN.rawValue: "closed"
        case MOS_END_RESET.rawValue: "reset"
        case MOS_END_TIMEOUT.rawValue: "timeout"
        case MOS_END_CONTEXT.rawValue: "open"
        case MOS_END_REPLACED.rawValue: "replaced"
        case MOS_END_MEMORY.rawValue: "memory"
        case MOS_END_STOPPED.rawValue: "stopped"
        default: "?"
        }
    }

    static func name(ofState state: UInt8) -> String {
        switch UInt32(state) {
        case MOS_TCP_CLOSED.rawValue: "CLOSED"
        case MOS_TCP_LISTEN.rawValue: "LISTEN"
        case MOS_TCP_SYN_SENT.rawValue: "SYN_SENT"
        case MOS_TCP_SYN_RCVD.rawValue: "SYN_RCVD"
        case MOS_TCP_ESTABLISHED.rawValue: "ESTABLISHED"
        case MOS_TCP_FIN_WAIT_1.rawValue: "FIN_WAIT_1"
        case MOS_TCP_FIN_WAIT_2.rawValue: "FIN_WAIT_2"
        case MOS_TCP_CLOSE_WAIT.rawValue: "CLOSE_WAIT"
        case MOS_TCP_CLOSING.rawValue: "CLOSING"
        case MOS_TCP_LAST_ACK.rawValue: "LAST_ACK"
        case MOS_TCP_TIME_WAIT.rawValue: "TIME_WAIT"
        default: "?"
        }
    }
}

/// One end's address and port.
struct Endpoint {
    let address: String
    let port: UInt16
    private let isIPv6: Bool

    init(_ socketAddress: sockaddr_in6, family: UInt32) {
        let isIPv6 = family == UInt32(AF_INET6)
        port = UInt16(bigEndian: socketAddress.sin6_port)
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        // The address lies at offset 4 in sockaddr_in, at 8 in sockaddr_in6,
        // both within the bytes that are copied here.
        withUnsafeBytes(of: socketAddress) { bytes in
            let start = bytes.baseAddress! + (isIPv6 ? 8 : 4)
            _ = inet_ntop(isIPv6 ? AF_INET6 : AF_INET, start, &text, socklen_t(text.count))
        }
        self.isIPv6 = isIPv6
        address = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    /// `10.0.0.1:80`, `[2001:db8::1]:80`.
    var text: String { isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }
}
