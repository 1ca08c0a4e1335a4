// RFC 9293 §3.3.1 names the variables of a connection's end. A monitor knows
// them only as far as packets that passed tell.

import MOSWire

/// What is known of one end of a connection. Which numbers are valid yet,
/// `flags` says.
public struct TCPSide {
    /// SND.NXT: one beyond the highest sequence number that this end sent.
    public var sndNxt: SequenceNumber = 0
    /// SND.UNA: the highest acknowledgement that arrived at this end.
    public var sndUna: SequenceNumber = 0
    /// RCV.NXT: the next sequence number expected in order.
    public var rcvNxt: SequenceNumber = 0
    /// RCV.NXT + RCV.WND at its furthest: the right edge that this end has
    /// advertised. It does not move back: a receiver honours what it once
    /// announced (RFC 7323 §2.4). Valid with `.edge`.
    public var windowEdge: SequenceNumber = 0
    /// RFC 7323 §4.3 TS.Recent: the timestamp of this end's peer. Valid with
    /// `.tsRecent`.
    public var tsRecent: UInt32 = 0
    /// The last acknowledgement that this end sent (Last.ACK.sent of RFC
    /// 7323 §4.3). Valid with `.edge`.
    public var lastAckSent: SequenceNumber = 0
    /// The largest window that this end has advertised, bytes.
    public var maxWindow: UInt32 = 0
    public var state: TCPState = .listen
    /// RFC 7323 §2.2: shift of the windows that this end advertises.
    public var windowScale: UInt8 = 0
    public var flags: Flags = []

    public struct Flags: OptionSet {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// The initial sequence number of this end is known.
        public static let iss = Flags(rawValue: 1 << 0)
        /// A window of this end has been seen together with an ACK.
        public static let edge = Flags(rawValue: 1 << 1)
        /// This end's SYN offered timestamps.
        public static let timestamps = Flags(rawValue: 1 << 2)
        /// This end's SYN offered window scaling.
        public static let scaling = Flags(rawValue: 1 << 3)
        public static let tsRecent = Flags(rawValue: 1 << 4)
        /// This end has sent a FIN; its number is known.
        public static let finSent = Flags(rawValue: 1 << 5)
        /// The peer's FIN has taken effect here.
        public static let finReceived = Flags(rawValue: 1 << 6)
        /// A packet of this end other than a SYN has been seen.
        public static let heard = Flags(rawValue: 1 << 7)
        /// The initial sequence number was concluded from the peer's ACK, or
        /// from the first packet when that was no SYN.
        public static let issInferred = Flags(rawValue: 1 << 8)
        /// The peer's FIN has arrived here, in order or not.
        public static let finArrived = Flags(rawValue: 1 << 9)
        /// This end's SYN permitted SACK.
        public static let sack = Flags(rawValue: 1 << 10)
        /// This end's SYN carried an MD5 signature (RFC 2385).
        public static let signs = Flags(rawValue: 1 << 11)
        /// This end's SYN or SYN/ACK came more than once.
        public static let synRepeated = Flags(rawValue: 1 << 12)
        /// This end, of which no SYN was seen, has answered the peer's SYN
        /// with something that the peer does not accept.
        public static let answeredElse = Flags(rawValue: 1 << 13)
        /// The peer's next segment in order needs no more than a few
        /// comparisons: `TCPConnection.notePrediction(_:_:)`.
        public static let predictable = Flags(rawValue: 1 << 14)
    }

    public init() {}

    /// It acknowledges `ack` and announces a window from there on, where one
    /// was known before (`.edge`): neither goes back.
    @inline(__always)
    mutating func announceAgain(_ ack: SequenceNumber, _ window: UInt16) {
        let bytes = UInt32(window) &<< UInt32(windowScale)
        windowEdge = SequenceNumber.furthest(ack &+ bytes, windowEdge)
        lastAckSent = SequenceNumber.furthest(ack, lastAckSent)
        maxWindow = max(bytes, maxWindow)
    }

    /// The same for the first time, too.
    @inline(__always)
    mutating func announce(_ ack: SequenceNumber, _ window: UInt16) {
        if !flags.contains(.edge) {
            windowEdge = ack &+ UInt32(window) &<< UInt32(windowScale)
            lastAckSent = ack
            flags.insert(.edge)
        }
        announceAgain(ack, window)
    }
}
