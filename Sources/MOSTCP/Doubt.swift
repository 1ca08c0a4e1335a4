import MOSWire

/// What an end said in segments that were not acceptable: beyond its peer's
/// window, for data that its peer was never seen to send, or, of a server, for
/// something else than the client's SYN. Either they were forged, or the capture
/// has missed what came before them. It counts once the peer bears it out.
public struct Doubt {
    /// The number of the first of the segments, and one beyond the last.
    public var first: SequenceNumber
    public var end: SequenceNumber
    /// What the last of them acknowledged, and the window in it, not scaled.
    public var acknowledgement: SequenceNumber
    public var window: UInt16

    public init(_ p: UnsafePointer<Packet>, after earlier: Doubt?) {
        let last = p.pointee.sequence &+ p.pointee.sequenceLength
        first = p.pointee.sequence
        end = last
        if let earlier {
            if !first.precedes(earlier.first) { first = earlier.first }
            end = SequenceNumber.furthest(end, earlier.end)
        }
        acknowledgement = p.pointee.acknowledgement
        window = p.pointee.window
    }

    /// The peer acknowledges the segments, and is where they said it is.
    public func isBorneOut(by p: UnsafePointer<Packet>) -> Bool {
        !p.pointee.acknowledgement.precedes(end) && !p.pointee.sequence.precedes(acknowledgement)
    }

    /// A client's answer to a server of which no SYN/ACK was seen: it has sent
    /// what the server acknowledged, and received what the server sent.
    public func isHandshake(by p: UnsafePointer<Packet>) -> Bool {
        p.pointee.sequence == acknowledgement && p.pointee.acknowledgement.follows(first)
            && !p.pointee.acknowledgement.follows(end)
    }
}
