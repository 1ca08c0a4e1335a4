import MOSWire

/// What an end said in a segment that was not acceptable: beyond its peer's
/// window, for data that its peer was never seen to send, or, of a server, for
/// something else than the client's SYN. Either it was forged, or the capture
/// has missed what came before it. It counts once the peer bears it out.
public struct Doubt {
    /// The number of the segment, and one beyond its last.
    public var first: SequenceNumber
    public var end: SequenceNumber
    /// What it acknowledged, and the window in it, not scaled.
    public var acknowledgement: SequenceNumber
    public var window: UInt16
    /// It acknowledged more than its receiver was seen to send.
    public var isEarly: Bool

    public init(_ p: UnsafePointer<Packet>, isEarly: Bool) {
        first = p.pointee.sequence
        end = p.pointee.sequence &+ p.pointee.sequenceLength
        acknowledgement = p.pointee.acknowledgement
        window = p.pointee.window
        self.isEarly = isEarly
    }

    /// The peer acknowledges the segment, and is where it said it is.
    public func isBorneOut(by p: UnsafePointer<Packet>) -> Bool {
        !p.pointee.acknowledgement.precedes(end) && !p.pointee.sequence.precedes(acknowledgement)
    }
}

/// The doubts of one end: the oldest, which the peer will bear out first, and
/// the newest.
public struct Doubts {
    public private(set) var oldest: Doubt?
    public private(set) var newest: Doubt?

    public init() {}

    public mutating func add(_ doubt: Doubt) {
        if let oldest, !doubt.first.precedes(oldest.first) {
            newest = doubt
        } else {
            // One that lies before the others was sent by whom it says, or
            // they were not.
            oldest = doubt
            newest = nil
        }
    }

    public mutating func removeOldest() {
        oldest = newest
        newest = nil
    }

    public mutating func removeAll() {
        oldest = nil
        newest = nil
    }

    /// What a server said of which no SYN/ACK was seen, if the packet is its
    /// client's answer: it has sent what the server acknowledged, or sends it
    /// again, and expects nothing that the server was not seen to send.
    public func handshake(by p: UnsafePointer<Packet>) -> Doubt? {
        guard let oldest else { return nil }
        var all = newest ?? oldest
        guard p.pointee.reaches(all.acknowledgement) || p.pointee.reaches(oldest.acknowledgement),
            !p.pointee.acknowledgement.follows(all.end),
            p.pointee.acknowledgement.distance(after: oldest.first) >= -unscaledWindow
        else { return nil }
        all.first = p.pointee.acknowledgement.precedes(oldest.first) ? p.pointee.acknowledgement : oldest.first
        all.acknowledgement = p.pointee.sequence
        return all
    }

    /// The least that the end said it expects, in the first of its segments.
    public var leastExpected: SequenceNumber? { oldest?.acknowledgement }

    /// Whether the end said that this is the next number it expects.
    public func expects(_ sequence: SequenceNumber) -> Bool {
        oldest?.acknowledgement == sequence || newest?.acknowledgement == sequence
    }
}

/// No SYN announces a larger window (RFC 7323 §2.2: it is not scaled): so far
/// before the first that was seen of its stream a server may have begun to send.
let unscaledWindow = Int32(UInt16.max)

extension Packet {
    /// It begins or ends at the number.
    fileprivate func reaches(_ number: SequenceNumber) -> Bool {
        sequence == number || sequence &+ sequenceLength == number
    }
}
