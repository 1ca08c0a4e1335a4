import CMOS

/// The events that the stack itself raises, one bit each, as
/// `enum mos_event_type` has them.
public enum BuiltInEvent {
    /// How many there are: bits 0 to 11.
    public static let count = 12

    /// All of them.
    public static let all: UInt32 = (1 << UInt32(count)) &- 1

    @inline(__always) public static var packetIn: UInt32 { bit(MOS_ON_PKT_IN) }
    @inline(__always) public static var packetOut: UInt32 { bit(MOS_ON_PKT_OUT) }
    @inline(__always) public static var connectionStart: UInt32 { bit(MOS_ON_CONN_START) }
    @inline(__always) public static var connectionSetup: UInt32 { bit(MOS_ON_CONN_SETUP) }
    @inline(__always) public static var newData: UInt32 { bit(MOS_ON_CONN_NEW_DATA) }
    @inline(__always) public static var error: UInt32 { bit(MOS_ON_ERROR) }
    @inline(__always) public static var timeout: UInt32 { bit(MOS_ON_TIMEOUT) }
    @inline(__always) public static var stateChange: UInt32 { bit(MOS_ON_TCP_STATE_CHANGE) }
    @inline(__always) public static var orphan: UInt32 { bit(MOS_ON_ORPHAN) }
    @inline(__always) public static var retransmission: UInt32 { bit(MOS_ON_REXMIT) }
    @inline(__always) public static var connectionEnd: UInt32 { bit(MOS_ON_CONN_END) }
    @inline(__always) public static var debugMessage: UInt32 { bit(MOS_ON_DEBUG_MESSAGE) }

    @inline(__always)
    private static func bit(_ event: mos_event_type) -> UInt32 {
        UInt32(truncatingIfNeeded: event.rawValue)
    }

    /// Whether `event` is exactly one built-in event.
    @inline(__always)
    static func contains(_ event: UInt64) -> Bool {
        event & (event &- 1) == 0 && event & UInt64(all) != 0
    }
}
