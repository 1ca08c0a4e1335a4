// The connection as both of its ends have it. Read first: RFC 9293 §3.10.7
// (segment arrives), RFC 7323 §5 (PAWS), RFC 5961 (blind attacks).
//
// Where the RFCs leave room, the receiving end is taken to be a current Linux
// kernel, because that is what most receiving ends are: docs/evasion.md lists
// each such place with the kernel's answer.

import MOSWire

/// Which end a packet comes from.
public enum Sender {
    public static let client = 0
    public static let server = 1
}

/// Both ends of one connection. Lives inside a flow record.
public struct TCPConnection {
    public var client = TCPSide()
    public var server = TCPSide()

    public init() {}

    /// Concludes anew at which ends segments can be foreseen (header
    /// prediction, Van Jacobson 1990): both ends established, their windows
    /// known, nothing signed. `client` and `server` are false where something
    /// else is in the way of the segments that arrive there.
    @inline(__always)
    public mutating func notePrediction(_ client: Bool, _ server: Bool) {
        let isOpen = self.client.state == .established && self.server.state == .established
            && self.client.flags.intersection(self.server.flags).contains(.edge)
            && self.client.flags.union(self.server.flags).isDisjoint(with: .signs)
        if isOpen && client { self.client.flags.insert(.predictable) } else { self.client.flags.remove(.predictable) }
        if isOpen && server { self.server.flags.insert(.predictable) } else { self.server.flags.remove(.predictable) }
    }
}

/// The two numbers of each end that few packets need, kept apart so that the
/// part that every packet touches stays small.
public struct TCPHistory {
    public var clientISS: SequenceNumber = 0
    public var serverISS: SequenceNumber = 0
    public var clientFIN: SequenceNumber = 0
    public var serverFIN: SequenceNumber = 0

    public init() {}

    @inline(__always)
    public func iss(_ side: Int) -> SequenceNumber { side == 0 ? clientISS : serverISS }
    @inline(__always)
    public func fin(_ side: Int) -> SequenceNumber { side == 0 ? clientFIN : serverFIN }
    @inline(__always)
    public mutating func setISS(_ side: Int, _ value: SequenceNumber) {
        if side == 0 { clientISS = value } else { serverISS = value }
    }
    @inline(__always)
    public mutating func setFIN(_ side: Int, _ value: SequenceNumber) {
        if side == 0 { clientFIN = value } else { serverFIN = value }
    }
}

/// Judges a segment and applies it. `S` is the end that sent it, `R` the one
/// that receives it; both live in the flow's record, as does `H`.
public struct TCPEmulation {
    public let S: UnsafeMutablePointer<TCPSide>
    public let R: UnsafeMutablePointer<TCPSide>
    public let H: UnsafeMutablePointer<TCPHistory>
    /// 0 when the client sent the segment, 1 when the server did.
    public let sender: Int

    @inline(__always)
    public init(
        _ connection: UnsafeMutablePointer<TCPConnection>, _ history: UnsafeMutablePointer<TCPHistory>, sender: Int
    ) {
        // The two ends are adjacent: the type is a pair of TCPSide.
        let sides = UnsafeMutableRawPointer(connection).assumingMemoryBound(to: TCPSide.self)
        S = sides + sender
        R = sides + (1 &- sender)
        H = history
        self.sender = sender
    }

    // MARK: Judging

    /// Whether the segment is the next one where it can be foreseen,
    /// acceptable, with nothing but ACK and PSH set, and acknowledges nothing
    /// that its sender was not seen to get; otherwise it needs the full
    /// examination.
    @inline(__always)
    public func isNextInOrder(_ p: UnsafePointer<Packet>) -> Bool {
        let flags = R.pointee.flags
        // (Where it is not so, a call follows: the registers are for here.)
        if _slowPath(!flags.contains(.predictable)) || _slowPath(p.pointee.flags & ~TCPFlags.psh != TCPFlags.ack)
            || _slowPath(p.pointee.sequence != R.pointee.rcvNxt)
            // SND.UNA <= SEG.ACK <= SND.NXT (§3.10.7.4).
            || _slowPath(p.pointee.acknowledgement &- R.pointee.sndUna > R.pointee.sndNxt &- R.pointee.sndUna)
            || _slowPath(p.pointee.acknowledgement.follows(S.pointee.rcvNxt))
        {
            return false
        }
        let length = UInt32(p.pointee.payloadLength)
        if length != 0 {
            if _slowPath((p.pointee.sequence &+ length).follows(R.pointee.windowEdge)) || _slowPath(p.pointee.mayBeSigned) {
                return false
            }
        }
        if flags.contains(.tsRecent) {
            var value: UInt32 = 0
            var echo: UInt32 = 0
            if p.pointee.timestamps(value: &value, echo: &echo) {
                // Signed: the clock of the sender must not have gone back.
                if _slowPath(value.precedes(R.pointee.tsRecent)) { return false }
                if !p.pointee.sequence.follows(R.pointee.lastAckSent) { R.pointee.tsRecent = value }
            }
        }
        return true
    }

    /// `send` for a segment that is the next in order.
    @inline(__always)
    public func sendInOrder(_ p: UnsafePointer<Packet>) {
        let end = p.pointee.sequence &+ UInt32(p.pointee.payloadLength)
        S.pointee.sndNxt = SequenceNumber.furthest(end, S.pointee.sndNxt)
        S.pointee.announceAgain(p.pointee.acknowledgement, p.pointee.window)
        S.pointee.flags.insert(.heard)
    }

    /// `receive` for a segment that is the next in order.
    @inline(__always)
    public func receiveInOrder(_ p: UnsafePointer<Packet>) {
        // Not before SND.UNA: `isNextInOrder` has looked.
        R.pointee.sndUna = p.pointee.acknowledgement
    }

    /// The full examination.
    public func judge(_ p: UnsafePointer<Packet>) -> Verdict {
        let flags = p.pointee.flags
        // RFC 2385 §2: a signature that was not agreed on, or is missing.
        if isSignedWrongly(p) { return [] }
        if flags & TCPFlags.rst != 0 { return judgeReset(p) }
        if flags & TCPFlags.syn != 0 { return judgeSynchronize(p) }
        // §3.10.7.4, fifth: without ACK the segment is dropped.
        if flags & TCPFlags.ack == 0 { return [] }
        return judgeSegment(p)
    }

    /// RFC 9293 §3.10.7.3 second, §3.10.7.4 second, with RFC 5961 §3.
    private func judgeReset(_ p: UnsafePointer<Packet>) -> Verdict {
        switch R.pointee.state {
        case .closed, .listen:
            return []
        case .synSent:
            guard p.pointee.flags & TCPFlags.ack != 0,
                p.pointee.acknowledgement.follows(H.pointee.iss(1 &- sender)),
                !p.pointee.acknowledgement.follows(R.pointee.sndNxt)
            else { return [] }
            return [.acceptable, .reset]
        default:
            if p.pointee.sequence == R.pointee.rcvNxt { return [.acceptable, .reset] }
            // A FIN that took effect counts for one: Linux takes a RST at
            // the number before it, too.
            if R.pointee.state.hasReceivedFIN, p.pointee.sequence == R.pointee.rcvNxt &- 1 {
                return [.acceptable, .reset]
            }
            return []
        }
    }

    /// Whether Linux takes a RST at this number although it is not the next
    /// one: both ends use SACK, and it is the end of what was received ahead
    /// of a hole (RFC 5961 §3.2 knows no SACK). `highest` is that end.
    public func isResetAtSACK(_ p: UnsafePointer<Packet>, highest: SequenceNumber) -> Bool {
        p.pointee.flags & TCPFlags.rst != 0 && p.pointee.sequence == highest && R.pointee.state.isSynchronized
            && S.pointee.flags.contains(.sack) && R.pointee.flags.contains(.sack) && !isSignedWrongly(p)
    }

    public func isSignedWrongly(_ p: UnsafePointer<Packet>) -> Bool {
        guard S.pointee.flags.contains(.iss), !S.pointee.flags.contains(.issInferred) else { return false }
        return (p.pointee.mayBeSigned && p.pointee.isSigned) != S.pointee.flags.contains(.signs)
    }

    private func judgeSynchronize(_ p: UnsafePointer<Packet>) -> Verdict {
        let ack = p.pointee.flags & TCPFlags.ack != 0
        // Nothing is left of this connection (§3.6.1, RFC 6191).
        if !ack, S.pointee.state.isFinished, R.pointee.state.isFinished { return .foreignSYN }
        let hasISS = S.pointee.flags.contains(.iss)
        if sender == Sender.client, !ack, !hasISS { return [.acceptable, .synchronize] }
        if hasISS, !S.pointee.flags.contains(.issInferred), p.pointee.sequence == H.pointee.iss(sender) {
            if !ack {
                // What a handler dropped on its way was not received.
                return R.pointee.state == .listen ? [.acceptable, .synchronize] : [.acceptable, .repeatedSYN]
            }
            guard acknowledgesOurSYN(p) else { return [] }
            switch R.pointee.state {
            case .synSent: return [.acceptable, .synchronize]
            // The SYN/ACKs of a simultaneous open (§3.5, figure 8).
            case .synReceived: return .acceptable
            default: return [.acceptable, .repeatedSYN]
            }
        }
        if sender == Sender.server {
            if !ack, !hasISS, R.pointee.state == .synSent {
                // Simultaneous open (§3.5, figure 8).
                return [.acceptable, .synchronize]
            }
            // A number that was only concluded gives way to the server's own
            // word, unless the server has gone on from it
            // and the client has gone along, or bytes have their place by it.
            if ack, !hasISS || S.pointee.flags.contains(.issInferred), acknowledgesOurSYN(p),
                !hasISS || p.pointee.sequence == H.pointee.iss(sender)
                    || R.pointee.rcvNxt == H.pointee.iss(sender) &+ 1
                        && (R.pointee.state == .synSent || R.pointee.state == .synReceived
                            || !S.pointee.flags.contains(.heard) || !R.pointee.flags.contains(.heard))
            {
                return [.acceptable, .synchronize]
            }
            return .foreignSYN
        }
        if ack { return .foreignSYN }
        if R.pointee.state == .synReceived, R.pointee.flags.isSuperset(of: [.iss, .edge]),
            !p.pointee.sequence.precedes(R.pointee.rcvNxt), p.pointee.sequence.precedes(R.pointee.windowEdge)
        {
            // In SYN_RCVD a SYN in the window sends the server back to LISTEN
            // (§3.10.7.4, fourth).
            return [.acceptable, .reset]
        }
        return [.foreignSYN]
    }

    private func acknowledgesOurSYN(_ p: UnsafePointer<Packet>) -> Bool {
        p.pointee.acknowledgement.follows(H.pointee.iss(1 &- sender))
            && !p.pointee.acknowledgement.follows(R.pointee.sndNxt)
    }

    /// RFC 9293 §3.10.7.4, for a segment with ACK, without SYN and RST.
    private func judgeSegment(_ p: UnsafePointer<Packet>) -> Verdict {
        let length = UInt32(p.pointee.payloadLength)
        let sequence = p.pointee.sequence
        let end = sequence &+ p.pointee.sequenceLength
        let ack = p.pointee.acknowledgement
        var verdict: Verdict = []

        switch R.pointee.state {
        case .closed, .listen:
            return []
        case .synSent:
            // The SYN/ACK was missed on its way to the capture.
            if sender == Sender.server, !S.pointee.flags.contains(.iss) {
                guard acknowledgesOurSYN(p), p.pointee.flags & TCPFlags.fin == 0 else { return held(length) }
                // … or never sent: the client's answer tells.
                return length > 0 ? [.acceptable, .held] : .acceptable
            }
            return []
        default:
            break
        }
        if !S.pointee.flags.contains(.iss) {
            // The server speaks for the first time, and not with a SYN; the
            // client's answer to what was missed has fixed its window.
            return acceptance(length)
        }

        let handshakeIsUnseen =
            sender == Sender.client
            ? !R.pointee.flags.contains(.iss) || R.pointee.flags.contains(.issInferred)
            : S.pointee.flags.contains(.issInferred)
        // The server is captured, and has given another answer than a SYN/ACK.
        if handshakeIsUnseen, R.pointee.flags.contains(.answeredElse) { return held(length) }
        if handshakeIsUnseen, p.pointee.sequenceLength > 0 {
            // The SYN/ACK was missed, or is still to come: then no end takes
            // data before it, nor a FIN. The server's next packet tells.
            if sender == Sender.client, S.pointee.state == .synSent { return [.held, .doubtful] }
            // The client's does.
            if sender == Sender.server, !R.pointee.flags.contains(.heard) { return .held }
        }

        // First, the sequence number (Linux: tcp_sequence()).
        if R.pointee.flags.contains(.edge) {
            let edge = R.pointee.windowEdge
            if sequence.follows(edge) {
                return heldWhole(p).union(length > 0 ? .beyondWindow : []).union(.doubtful)
            }
            if end.precedes(R.pointee.lastAckSent) { return repetition(p) }
            if length > 0, sequence != edge, (sequence &+ length).follows(edge) {
                // Across the edge: Linux takes all of it if its receive queue
                // is empty, else nothing. Its acknowledgement tells.
                return held(length).union(repetition(p))
            }
            if length > 0, sequence == edge {
                // A window probe: the acknowledgement counts, the byte not,
                // unless a window update was missed.
                verdict.formUnion([.beyondWindow, .held])
            } else if length > 0 {
                verdict.insert(.payload)
            }
        } else {
            if sequence.distance(after: R.pointee.rcvNxt) > 1 << 30 { return [] }
            if end.precedes(H.pointee.iss(sender)), end.precedes(R.pointee.rcvNxt) { return repetition(p) }
            if length > 0 { verdict.insert(.payload) }
        }

        // PAWS (RFC 7323 §5.3). A segment without the option passes, as in
        // Linux, although both ends agreed on it.
        if R.pointee.flags.contains(.tsRecent) {
            var value: UInt32 = 0
            var echo: UInt32 = 0
            if p.pointee.timestamps(value: &value, echo: &echo) {
                // One tick is forgiven, and so is half of the number space
                // (Linux: tcp_paws_check()).
                if R.pointee.tsRecent.distance(after: value) > 1 {
                    // The receiver may never have got what moved TS.Recent.
                    return length > 0 ? [.held, .oldTimestamp] : repetition(p)
                }
                if isEchoedWrongly(echo) { return held(length).union(.oldAcknowledgement) }
                verdict.insert(.timestamps)
            }
        }

        // Fifth, the acknowledgement (RFC 5961 §5.2).
        if !R.pointee.flags.contains(.iss) {
            // All that is known of the server's numbers is this.
        } else if ack.follows(R.pointee.sndNxt) {
            // Of data never sent; or of data never captured, when nothing of
            // that end is: no SYN/ACK of a server, no more than the SYN of a
            // client.
            if R.pointee.flags.contains(.heard) || sender == Sender.client && !R.pointee.flags.contains(.issInferred)
                || R.pointee.state == .synReceived
            {
                // If it was sent and not captured, the answer to this tells.
                return heldWhole(p).union(repetition(p)).union([.beyondSent, .doubtful])
            }
            verdict.insert(.unseenAck)
        } else if R.pointee.state == .synReceived, !ack.follows(H.pointee.iss(1 &- sender)) {
            // It has to acknowledge the SYN.
            return []
        } else if ack.distance(after: R.pointee.sndUna) < 0,
            ack.precedes(R.pointee.sndUna &- min(S.pointee.maxWindow, acknowledgedBytes)), !isFirstAnswer(ack)
        {
            // Older than any window, or than the connection.
            return held(length).union(repetition(p)).union(.oldAcknowledgement)
        }
        verdict.insert(.acceptable)
        if p.pointee.flags & TCPFlags.fin != 0, isRepeatedFIN(p) { verdict.insert(.repeatedFIN) }
        return verdict
    }

    /// Whether the client, which has taken nothing yet, expects at `ack` what
    /// the server sent before the first that was seen of it. (Much further
    /// back, it speaks of another connection.)
    public func startsEarlier(_ ack: SequenceNumber) -> Bool {
        let (client, server) = sender == Sender.client ? (S, R) : (R, S)
        let distance = ack.distance(after: client.pointee.rcvNxt)
        return server.pointee.flags.contains(.issInferred) && client.pointee.rcvNxt == H.pointee.iss(Sender.server) &+ 1
            && distance < 0 && distance >= -unscaledWindow
    }

    /// Whether the acknowledgement is the client's first, and older than what
    /// was seen of the server.
    private func isFirstAnswer(_ ack: SequenceNumber) -> Bool {
        sender == Sender.client && !S.pointee.flags.contains(.heard) && startsEarlier(ack)
    }

    private func acceptance(_ length: UInt32) -> Verdict {
        length > 0 ? [.acceptable, .payload] : .acceptable
    }

    /// Not acceptable as far as the capture tells; the receiver's own
    /// acknowledgement will tell more.
    private func held(_ length: UInt32) -> Verdict {
        length > 0 ? .held : []
    }

    /// … and its FIN with it.
    private func heldWhole(_ p: UnsafePointer<Packet>) -> Verdict {
        p.pointee.sequenceLength > 0 ? .held : []
    }

    /// What the receiver has had acknowledged, its SYN included if it opened
    /// the connection (Linux: bytes_acked); modulo 2³².
    private var acknowledgedBytes: UInt32 {
        R.pointee.sndUna &- H.pointee.iss(1 &- sender) &- (sender == Sender.client ? 1 : 0)
    }

    /// The packet that ends the handshake has to echo the SYN/ACK's timestamp
    /// (Linux since 6.14: tcp_check_req()). Of a SYN/ACK that came several
    /// times it may be that of any.
    private func isEchoedWrongly(_ echo: UInt32) -> Bool {
        sender == Sender.client && R.pointee.state == .synReceived && S.pointee.flags.contains(.tsRecent)
            && !R.pointee.flags.contains(.issInferred) && echo != 0 && echo != S.pointee.tsRecent
            && !R.pointee.flags.contains(.synRepeated)
    }

    /// Not acceptable, but it may repeat what the receiver has.
    private func repetition(_ p: UnsafePointer<Packet>) -> Verdict {
        p.pointee.flags & TCPFlags.fin != 0 && isRepeatedFIN(p) ? .repeatedFIN : []
    }

    private func isRepeatedFIN(_ p: UnsafePointer<Packet>) -> Bool {
        R.pointee.flags.contains(.finArrived)
            && p.pointee.sequence &+ UInt32(p.pointee.payloadLength) == H.pointee.fin(sender)
    }

    // MARK: The sending end

    /// Brings the end that sent the segment up to date, except for a FIN:
    /// see `sendFIN`.
    @inline(__always)
    public func send(_ p: UnsafePointer<Packet>, _ verdict: Verdict) {
        guard verdict.contains(.acceptable) else {
            noteUnacceptable(p, verdict)
            return
        }
        let end = p.pointee.sequence &+ p.pointee.sequenceLength
        if p.pointee.flags & (TCPFlags.syn | TCPFlags.rst) == 0,
            S.pointee.state.isSynchronized, !verdict.contains(.unseenAck)
        {
            if end.follows(S.pointee.sndNxt) { S.pointee.sndNxt = end }
            advertise(p, p.pointee.acknowledgement)
            S.pointee.flags.insert(.heard)
            return
        }
        sendSlowly(p, verdict, end)
    }

    /// What looks unacceptable was sent all the same, and may yet be
    /// acknowledged: the stack may have missed what made it acceptable (a
    /// window update, the data that its ACK is for). Its peer's ACKs must not
    /// be taken for forged then, or nothing would ever be accepted again.
    private func noteUnacceptable(_ p: UnsafePointer<Packet>, _ verdict: Verdict) {
        if isOtherAnswer { S.pointee.flags.insert(.answeredElse) }
        guard p.pointee.payloadLength > 0 || verdict.contains(.doubtful),
            p.pointee.flags & (TCPFlags.ack | TCPFlags.syn | TCPFlags.rst) == TCPFlags.ack,
            S.pointee.flags.contains(.iss), S.pointee.state.isSynchronized || verdict.contains(.held)
        else { return }
        let end = p.pointee.sequence &+ (verdict.contains(.doubtful) ? p.pointee.sequenceLength : UInt32(p.pointee.payloadLength))
        // No window is larger (RFC 7323 §2.3).
        if end.follows(S.pointee.sndNxt), end.distance(after: S.pointee.sndNxt) <= 1 << 30 { S.pointee.sndNxt = end }
    }

    /// The sender is a server that has not answered the client's SYN.
    public var isOtherAnswer: Bool {
        sender == Sender.server && R.pointee.state == .synSent && !S.pointee.flags.contains(.iss)
    }

    // MARK: What was in doubt

    /// The receiver's earlier word, which its peer has borne out.
    public func believe(_ doubt: Doubt) {
        R.pointee.announce(doubt.acknowledgement, doubt.window)
    }

    /// The client goes on with a server whose SYN/ACK, and perhaps more, was
    /// missed. The server's stream begins with the first that was seen of it.
    public func assumeHandshake(_ doubt: Doubt) {
        H.pointee.setISS(Sender.server, doubt.first &- 1)
        R.pointee.flags.insert([.iss, .issInferred, .heard])
        R.pointee.flags.remove(.answeredElse)
        assumeScaling(R, S)
        R.pointee.sndNxt = doubt.end
        R.pointee.sndUna = doubt.first
        S.pointee.rcvNxt = doubt.first
        S.pointee.sndNxt = SequenceNumber.furthest(doubt.acknowledgement, S.pointee.sndNxt)
        S.pointee.state = .established
        if R.pointee.state == .synReceived { R.pointee.state = .established }
        believe(doubt)
    }

    /// The server's stream begins where the client expects it (`startsEarlier`).
    public func startEarlier(_ ack: SequenceNumber) {
        let (client, server) = sender == Sender.client ? (S, R) : (R, S)
        H.pointee.setISS(Sender.server, ack &- 1)
        server.pointee.sndUna = ack
        client.pointee.rcvNxt = ack
    }

    /// An acknowledgement that came before what it is for arrives now. Returns
    /// whether the receiver's state changed.
    public func acknowledge(_ ack: SequenceNumber) -> Bool {
        R.pointee.sndUna = SequenceNumber.furthest(ack, R.pointee.sndUna)
        return acknowledgeFIN(ack)
    }

    private func acknowledgeFIN(_ ack: SequenceNumber) -> Bool {
        guard R.pointee.flags.contains(.finSent), ack == H.pointee.fin(1 &- sender) &+ 1 else { return false }
        switch R.pointee.state {
        case .finWait1: R.pointee.state = .finWait2
        case .closing: R.pointee.state = .timeWait
        case .lastAck: R.pointee.state = .closed
        default: return false
        }
        return true
    }

    /// The window that the segment announces, and what it acknowledges.
    @inline(__always)
    private func advertise(_ p: UnsafePointer<Packet>, _ ack: SequenceNumber) {
        S.pointee.announce(ack, p.pointee.window)
    }

    private func sendSlowly(_ p: UnsafePointer<Packet>, _ verdict: Verdict, _ end: SequenceNumber) {
        if verdict.contains(.reset) {
            S.pointee.state = .closed
        } else if p.pointee.flags & TCPFlags.syn != 0 {
            sendSYN(p, verdict, end)
        } else {
            if S.pointee.state == .synSent || S.pointee.state == .synReceived, provesHandshake(p) {
                // It could not send this without the handshake's next packet,
                // which was missed (or is still on its way, §3.5).
                if S.pointee.state == .synSent || sender == Sender.server { S.pointee.state = .established }
            }
            if !R.pointee.flags.contains(.iss) {
                // All that is known of the peer's numbers is this ACK.
                H.pointee.setISS(1 &- sender, p.pointee.acknowledgement &- 1)
                R.pointee.flags.insert([.iss, .issInferred])
                assumeScaling(R, S)
                R.pointee.sndNxt = p.pointee.acknowledgement
                R.pointee.sndUna = p.pointee.acknowledgement
                S.pointee.rcvNxt = p.pointee.acknowledgement
            }
            if !S.pointee.flags.contains(.iss) {
                H.pointee.setISS(sender, p.pointee.sequence &- 1)
                S.pointee.flags.insert([.iss, .issInferred])
                S.pointee.flags.remove(.answeredElse)
                assumeScaling(S, R)
                S.pointee.sndNxt = p.pointee.sequence
                S.pointee.sndUna = p.pointee.sequence
                R.pointee.rcvNxt = p.pointee.sequence
            }
            S.pointee.flags.insert(.heard)
            if end.follows(S.pointee.sndNxt) { S.pointee.sndNxt = end }
            // An ACK of what was never seen does not count: nobody could tell
            // it from a forged one.
            advertise(p, verdict.contains(.unseenAck) ? R.pointee.sndNxt : p.pointee.acknowledgement)
        }
    }

    /// Whether its sender has left SYN_RCVD: there it answers what it refuses
    /// with an ACK, too (§3.10.7.4, first), but one of the SYN alone.
    private func provesHandshake(_ p: UnsafePointer<Packet>) -> Bool {
        S.pointee.state == .synSent || !S.pointee.flags.contains(.iss) || S.pointee.flags.contains(.issInferred)
            || p.pointee.sequenceLength > 0 || p.pointee.acknowledgement != H.pointee.iss(1 &- sender) &+ 1
    }

    /// The SYN/ACK was missed: `side` scales its windows if its peer offered
    /// to, nobody knows by how much. The most that it can be lets everything
    /// in that may be acceptable (RFC 7323 §2.3).
    private func assumeScaling(_ side: UnsafeMutablePointer<TCPSide>, _ peer: UnsafeMutablePointer<TCPSide>) {
        if peer.pointee.flags.contains(.scaling) { side.pointee.windowScale = 14 }
    }

    /// The segment's FIN, if it has one: after `send`, and after its
    /// acknowledgement has been looked at for gaps.
    public func sendFIN(_ p: UnsafePointer<Packet>, _ verdict: Verdict) {
        guard p.pointee.flags & (TCPFlags.fin | TCPFlags.syn | TCPFlags.rst) == TCPFlags.fin,
            verdict.contains(.acceptable)
        else { return }
        // Without an acknowledgement of the peer's FIN, it was sent before
        // that arrived: the two have crossed (§3.6, figure 13).
        let crossed = !p.pointee.acknowledgement.follows(H.pointee.fin(1 &- sender))
        setFIN(p.pointee.sequence &+ UInt32(p.pointee.payloadLength), crossed: crossed)
    }

    /// The sender's FIN is at `number`.
    private func setFIN(_ number: SequenceNumber, crossed: Bool) {
        // A place where its peer has data already is none for a FIN.
        guard !number.precedes(R.pointee.rcvNxt) else { return }
        if S.pointee.flags.contains(.finSent) {
            // Of two, the first in the stream is the one that counts.
            guard !R.pointee.flags.contains(.finReceived), number.precedes(H.pointee.fin(sender)) else { return }
            R.pointee.flags.remove(.finArrived)
        }
        S.pointee.flags.insert(.finSent)
        H.pointee.setFIN(sender, number)
        switch S.pointee.state {
        case .synReceived, .established: S.pointee.state = .finWait1
        case .closeWait: S.pointee.state = crossed ? .closing : .lastAck
        default: break
        }
    }

    /// A FIN behind payload that was held, and that the receiver has taken.
    public func acceptFIN(_ number: SequenceNumber) {
        setFIN(number, crossed: false)
        if S.pointee.flags.contains(.finSent), H.pointee.fin(sender) == number { R.pointee.flags.insert(.finArrived) }
    }

    /// Data went over the place of a FIN that waited for what was before it:
    /// the receiver has forgotten that FIN, and the sender has not closed.
    public func withdrawFIN() {
        S.pointee.flags.remove(.finSent)
        R.pointee.flags.remove(.finArrived)
        switch S.pointee.state {
        case .finWait1, .finWait2: S.pointee.state = .established
        case .closing, .lastAck: S.pointee.state = .closeWait
        default: break
        }
    }

    private func sendSYN(_ p: UnsafePointer<Packet>, _ verdict: Verdict, _ end: SequenceNumber) {
        let options = p.pointee.options
        let ack = p.pointee.flags & TCPFlags.ack != 0
        let wasInferred = S.pointee.flags.contains(.issInferred)
        if !S.pointee.flags.contains(.iss) || wasInferred {
            if !wasInferred || p.pointee.sequence != H.pointee.iss(sender) {
                H.pointee.setISS(sender, p.pointee.sequence)
                S.pointee.sndUna = p.pointee.sequence
                // Data in a SYN/ACK counts at once; that in a SYN when the
                // server has acknowledged it.
                S.pointee.sndNxt = end
                if wasInferred {
                    // What the peer acknowledged before was something else, and
                    // it has taken nothing yet (`judgeSynchronize`).
                    R.pointee.flags.remove(.edge)
                    R.pointee.rcvNxt = p.pointee.sequence &+ 1
                }
            }
            S.pointee.flags.insert(.iss)
            S.pointee.flags.remove([.issInferred, .answeredElse])
            if !S.pointee.flags.contains(.heard) { S.pointee.flags.remove(.edge) }
            S.pointee.windowScale = 0
            if options.hasTimestamps { S.pointee.flags.insert(.timestamps) }
            if options.sackPermitted { S.pointee.flags.insert(.sack) }
            if p.pointee.mayBeSigned, p.pointee.isSigned { S.pointee.flags.insert(.signs) }
            if let scale = options.windowScale {
                S.pointee.flags.insert(.scaling)
                S.pointee.windowScale = scale
            } else if p.pointee.hasCutOptions {
                S.pointee.flags.insert(.scaling)
                S.pointee.windowScale = 14
            }
        }
        if end.follows(S.pointee.sndNxt) { S.pointee.sndNxt = end }
        if verdict.contains(.repeatedSYN) { S.pointee.flags.insert(.synRepeated) }
        if S.pointee.state == .listen { S.pointee.state = .synSent }
        if ack {
            if R.pointee.flags.contains(.iss) {
                // Scaling and timestamps need both ends (RFC 7323 §2.2, §3.2).
                settleOptions()
                let scale = S.pointee.windowScale
                S.pointee.windowScale = 0
                advertise(p, p.pointee.acknowledgement)
                S.pointee.windowScale = scale
            }
        }
    }

    private func settleOptions() {
        if !(S.pointee.flags.contains(.scaling) && R.pointee.flags.contains(.scaling)) {
            S.pointee.windowScale = 0
            R.pointee.windowScale = 0
        }
        if !(S.pointee.flags.contains(.timestamps) && R.pointee.flags.contains(.timestamps)) {
            S.pointee.flags.remove([.timestamps, .tsRecent])
            R.pointee.flags.remove([.timestamps, .tsRecent])
        }
    }

    // MARK: The receiving end

    /// Brings the end that receives the segment up to date, except for its
    /// buffer and a FIN: see `receiveFIN`. Returns whether its state changed.
    @inline(__always)
    public func receive(_ p: UnsafePointer<Packet>, _ verdict: Verdict) -> Bool {
        guard verdict.contains(.acceptable) else { return false }
        if p.pointee.flags & (TCPFlags.syn | TCPFlags.rst) == 0, R.pointee.state == .established,
            !verdict.contains(.unseenAck)
        {
            let ack = p.pointee.acknowledgement
            if ack.follows(R.pointee.sndUna) { R.pointee.sndUna = ack }
            return false
        }
        return receiveSlowly(p, verdict)
    }

    private func receiveSlowly(_ p: UnsafePointer<Packet>, _ verdict: Verdict) -> Bool {
        let before = R.pointee.state
        if verdict.contains(.reset) {
            R.pointee.state = .closed
            return before != .closed
        }
        let ack = p.pointee.acknowledgement
        let hasAck = p.pointee.flags & TCPFlags.ack != 0
        if p.pointee.flags & TCPFlags.syn != 0 {
            if verdict.contains(.synchronize), R.pointee.state == .listen || R.pointee.state == .synSent {
                R.pointee.rcvNxt = p.pointee.sequence &+ 1
                rememberTimestamp(p)
                R.pointee.state = hasAck ? .established : .synReceived
                if R.pointee.state == .established, hasAck { R.pointee.sndUna = ack }
            } else if hasAck, R.pointee.state == .synReceived, acknowledgesOurSYN(p) {
                R.pointee.state = .established
                R.pointee.sndUna = ack
            } else if verdict.contains(.synchronize),
                !S.pointee.flags.contains(.heard) || !R.pointee.flags.contains(.heard)
            {
                // Its number had only been concluded.
                rememberTimestamp(p)
            }
            return R.pointee.state != before
        }
        if hasAck {
            if ack.follows(R.pointee.sndUna), !verdict.contains(.unseenAck) { R.pointee.sndUna = ack }
            switch R.pointee.state {
            case .synSent, .synReceived:
                R.pointee.state = R.pointee.flags.contains(.finSent) ? .finWait1 : .established
            default:
                break
            }
            _ = acknowledgeFIN(ack)
        }
        return R.pointee.state != before
    }

    /// RFC 7323 §4.3: TS.Recent follows in-order segments.
    public func rememberTimestamp(_ p: UnsafePointer<Packet>) {
        let isSYN = p.pointee.flags & TCPFlags.syn != 0
        if isSYN {
            // `sendSYN` has seen whether it has any.
            guard S.pointee.flags.contains(.timestamps),
                p.pointee.flags & TCPFlags.ack == 0 || R.pointee.flags.contains(.timestamps)
            else { return }
        } else {
            guard !R.pointee.flags.contains(.edge) || !p.pointee.sequence.follows(R.pointee.lastAckSent),
                R.pointee.flags.contains(.tsRecent) || S.pointee.flags.contains(.timestamps)
            else { return }
        }
        var value: UInt32 = 0
        var echo: UInt32 = 0
        guard p.pointee.timestamps(value: &value, echo: &echo) else { return }
        if !isSYN, R.pointee.flags.contains(.tsRecent), value.precedes(R.pointee.tsRecent) { return }
        R.pointee.tsRecent = value
        // Zero is no clock (as Linux has it): some send it in their SYN.
        if value != 0 { R.pointee.flags.insert(.tsRecent) }
    }

    /// The segment has reached the receiver, and with it its FIN, if it has
    /// one.
    public func arriveFIN(_ p: UnsafePointer<Packet>, _ verdict: Verdict) {
        guard p.pointee.flags & (TCPFlags.fin | TCPFlags.syn | TCPFlags.rst) == TCPFlags.fin,
            verdict.contains(.acceptable), S.pointee.flags.contains(.finSent),
            p.pointee.sequence &+ UInt32(p.pointee.payloadLength) == H.pointee.fin(sender)
        else { return }
        R.pointee.flags.insert(.finArrived)
    }

    /// A FIN that has arrived takes effect if the receiver has everything up
    /// to it (§3.10.7.4, eighth). Returns whether the state changed.
    public func receiveFIN() -> Bool {
        guard R.pointee.flags.contains(.finArrived), !R.pointee.flags.contains(.finReceived),
            !R.pointee.rcvNxt.precedes(H.pointee.fin(sender))
        else { return false }
        R.pointee.flags.insert(.finReceived)
        // Data behind a FIN, if somebody sent some, is not the stream's.
        R.pointee.rcvNxt = H.pointee.fin(sender) &+ 1
        let before = R.pointee.state
        switch before {
        case .synReceived, .established: R.pointee.state = .closeWait
        case .finWait1: R.pointee.state = .closing
        case .finWait2: R.pointee.state = .timeWait
        default: break
        }
        return R.pointee.state != before
    }
}
