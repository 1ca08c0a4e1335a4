/// What the receiving end would make of a segment; found before either end's
/// state is touched.
public struct Verdict: OptionSet {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The segment is acceptable: its acknowledgement and FIN count.
    public static let acceptable = Verdict(rawValue: 1 << 0)
    /// Its payload may enter the receive buffer.
    public static let payload = Verdict(rawValue: 1 << 1)
    /// Payload that lies wholly beyond the window.
    public static let beyondWindow = Verdict(rawValue: 1 << 2)
    /// A RST that ends the connection.
    public static let reset = Verdict(rawValue: 1 << 3)
    /// The SYN that starts the connection, or the peer's SYN.
    public static let synchronize = Verdict(rawValue: 1 << 4)
    /// A SYN or SYN/ACK that was received before.
    public static let repeatedSYN = Verdict(rawValue: 1 << 5)
    /// A FIN that was received before.
    public static let repeatedFIN = Verdict(rawValue: 1 << 6)
    /// A SYN that does not belong to this connection: perhaps the first of
    /// the next one on the same addresses.
    public static let foreignSYN = Verdict(rawValue: 1 << 7)
    /// The segment carries timestamps and both ends use them.
    public static let timestamps = Verdict(rawValue: 1 << 8)
    /// The acknowledgement is for data that was never seen, of an end from
    /// which nothing is captured. It does not count.
    public static let unseenAck = Verdict(rawValue: 1 << 9)
    /// Whether the receiver takes the payload cannot be told from what was
    /// captured so far; its acknowledgement will tell.
    public static let held = Verdict(rawValue: 1 << 10)
    /// … since its timestamp is older than TS.Recent.
    public static let oldTimestamp = Verdict(rawValue: 1 << 12)
    /// It acknowledges more than its receiver was seen to send. That does not
    /// count; but what was seen is among it.
    public static let beyondSent = Verdict(rawValue: 1 << 11)
    /// Its acknowledgement, or the timestamp that it echoes, is an old one.
    public static let oldAcknowledgement = Verdict(rawValue: 1 << 14)
    /// It would be acceptable if the capture had missed packets before it: what
    /// it says may yet be borne out (`Doubt`).
    public static let doubtful = Verdict(rawValue: 1 << 13)
}
