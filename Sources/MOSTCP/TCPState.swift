// RFC 9293 §3.3.2. The numbers are those of `enum tcpstate` in mos_api.h.

public enum TCPState: UInt8 {
    case closed = 0
    case listen
    case synSent
    case synReceived
    case established
    case finWait1
    case finWait2
    case closeWait
    case closing
    case lastAck
    case timeWait

    /// Both ends know both initial sequence numbers.
    @inline(__always)
    public var isSynchronized: Bool { rawValue >= TCPState.established.rawValue }

    /// Nothing more can come of this side.
    @inline(__always)
    public var isFinished: Bool { self == .closed || self == .timeWait }

    /// A FIN has taken effect at this side: its peer sends nothing more.
    @inline(__always)
    public var hasReceivedFIN: Bool {
        switch self {
        case .closeWait, .closing, .lastAck, .timeWait: return true
        default: return false
        }
    }
}
