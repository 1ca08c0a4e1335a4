import CMOS

/// Where in a packet's path a handler runs (mOS: `enum mtcp_hook_point`).
public enum Hook: UInt8 {
    /// `MOS_NULL`: no stack in particular.
    case null
    /// `MOS_HK_SND`: the sender's stack was brought up to date.
    case send
    /// `MOS_HK_RCV`: the receiver's stack was brought up to date.
    case receive

    /// The hook that `mtcp_register_callback` names; nil for any other number.
    public init?(hookPoint: Int32) {
        switch hookPoint {
        case Int32(truncatingIfNeeded: MOS_NULL.rawValue): self = .null
        case Int32(truncatingIfNeeded: MOS_HK_SND.rawValue): self = .send
        case Int32(truncatingIfNeeded: MOS_HK_RCV.rawValue): self = .receive
        default: return nil
        }
    }

    /// Built-in events that `mtcp_register_callback` refuses at this hook, and
    /// with them all events below them.
    @inline(__always)
    var refusedRoots: UInt32 {
        switch self {
        case .null:
            return BuiltInEvent.connectionStart | BuiltInEvent.retransmission
                | BuiltInEvent.stateChange | BuiltInEvent.connectionEnd
        case .send, .receive:
            return BuiltInEvent.newData | BuiltInEvent.orphan | BuiltInEvent.error
        }
    }
}
