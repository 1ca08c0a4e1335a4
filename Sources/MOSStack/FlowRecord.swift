// One TCP connection, in six cache lines. The first two are what every
// packet touches, the third what a handler does; the rest is reached when
// there is payload to keep, an event other than a packet, or an end.
//
//     0  identity, time, masks, pending work, counters
//    64  both ends (TCPConnection)
//   128  the flow's own socket: that of the first listener
//   192  numbers that few packets need, limits, the time of the first packet
//   256  receive buffer of the client
//   320  receive buffer of the server

import MOSStorage
import MOSTCP
import MOSWire

/// Marks "no burst segment".
let noSegment: UInt8 = .max

struct FlowFlags: OptionSet {
    let rawValue: UInt16

    /// The record is a flow.
    static let inUse = FlowFlags(rawValue: 1 << 0)
    static let ipv6 = FlowFlags(rawValue: 1 << 1)
    /// The first SYN is being handled: `CONN_START` is due.
    static let starting = FlowFlags(rawValue: 1 << 2)
    /// All monitoring was stopped: packets pass without events.
    static let passing = FlowFlags(rawValue: 1 << 3)
    /// Known under a second tuple, which a handler gave its first SYN.
    static let translated = FlowFlags(rawValue: 1 << 4)
    /// `NEW_DATA` of the client's buffer waits for the end of the burst …
    static let clientQueued = FlowFlags(rawValue: 1 << 5)
    /// … of the server's.
    static let serverQueued = FlowFlags(rawValue: 1 << 6)
    /// A handler stopped monitoring: the sockets are looked over afterwards.
    static let stopsPending = FlowFlags(rawValue: 1 << 7)
    /// `CONN_END` is being delivered.
    static let ending = FlowFlags(rawValue: 1 << 8)
    /// The last packet went to the server. (`FlowFlags.direction`.)
    static let lastToServer = FlowFlags(rawValue: 1 << 9)
    /// A RST ended it.
    static let wasReset = FlowFlags(rawValue: 1 << 10)
    /// Bytes that were read already are kept for `mtcp_ppeek`.
    static let keepsHistory = FlowFlags(rawValue: 1 << 11)
    /// The later of two copies of a byte wins, by buffer.
    static let clientLastWins = FlowFlags(rawValue: 1 << 12)
    static let serverLastWins = FlowFlags(rawValue: 1 << 13)
    /// In TIME_WAIT for `tcp_tw_interval`.
    static let lingering = FlowFlags(rawValue: 1 << 14)
    /// The extension is in use.
    static let extended = FlowFlags(rawValue: 1 << 15)

    /// `lastToServer` for a packet of this sender.
    @inline(__always)
    static func direction(_ sender: Int) -> FlowFlags {
        FlowFlags(rawValue: UInt16(truncatingIfNeeded: 1 &- sender) &<< 9)
    }
    @inline(__always)
    static func queued(_ side: Int) -> FlowFlags { FlowFlags(rawValue: 1 &<< UInt16(truncatingIfNeeded: 5 &+ side)) }
    @inline(__always)
    static func lastWins(_ side: Int) -> FlowFlags { side == 0 ? .clientLastWins : .serverLastWins }
}

/// What is known of a flow's buffers without looking at them, and of its
/// chain.
struct FlowBits: OptionSet {
    let rawValue: UInt8

    /// Bytes behind a hole are held, by buffer.
    static let clientHole = FlowBits(rawValue: 1 << 0)
    static let serverHole = FlowBits(rawValue: 1 << 1)
    /// Payload is kept and read, by buffer.
    static let clientKeeps = FlowBits(rawValue: 1 << 2)
    static let serverKeeps = FlowBits(rawValue: 1 << 3)
    /// There are sockets in the chain besides the flow's own, or were.
    static let several = FlowBits(rawValue: 1 << 4)
    /// Ranges are kept without payload (`MOS_FRAG_CLIBUF` 0), by buffer.
    static let clientRanges = FlowBits(rawValue: 1 << 5)
    static let serverRanges = FlowBits(rawValue: 1 << 6)
    /// Segments are held (ContextDoubts.swift), for either buffer.
    static let holds = FlowBits(rawValue: 1 << 7)

    @inline(__always)
    static func hole(_ side: Int) -> FlowBits { FlowBits(rawValue: 1 &<< UInt8(truncatingIfNeeded: side)) }
    /// What makes in-order payload irregular.
    @inline(__always)
    static func irregular(_ side: Int) -> FlowBits { FlowBits(rawValue: 0x21 &<< UInt8(truncatingIfNeeded: side)) }
    /// What makes in-order payload more than a number: irregular, or kept.
    @inline(__always)
    static func concerned(_ side: Int) -> FlowBits { FlowBits(rawValue: 0x25 &<< UInt8(truncatingIfNeeded: side)) }
    @inline(__always)
    static func ranges(_ side: Int) -> FlowBits { FlowBits(rawValue: 0x20 &<< UInt8(truncatingIfNeeded: side)) }
    @inline(__always)
    static func keeps(_ side: Int) -> FlowBits { FlowBits(rawValue: 4 &<< UInt8(truncatingIfNeeded: side)) }
}

/// Counters that only irregular packets touch.
struct FlowIrregularities {
    var retransmittedBytes: UInt64 = 0
    var gapBytes: UInt64 = 0
    var retransmittedPackets: UInt32 = 0
    var outOfOrderPackets: UInt32 = 0
    var gaps: UInt32 = 0
}

struct FlowRecord {
    // MARK: Every packet

    /// As the client's packets have them (`Packet.addresses`); those of IPv6
    /// are beside (`FlowAddresses`).
    var addresses: UInt64
    var ports: UInt32
    /// First active socket, in the order of the chain; `poolNil`: none.
    var firstSocket: UInt32
    /// Time of the last packet of either direction, ns.
    var lastSeen: UInt64
    var flags: FlowFlags
    /// Built-in events with a handler on any socket, by hook.
    var nullMask: UInt16
    var sendMask: UInt16
    var receiveMask: UInt16
    /// Payload of this burst that waits in its frames, by buffer: a list in
    /// the burst's segments.
    var clientSegments: (head: UInt8, tail: UInt8)
    var serverSegments: (head: UInt8, tail: UInt8)
    /// In-order bytes that the buffer does not know of yet: those that wait in
    /// frames, or, where no payload is kept, those that went by.
    var clientPending: UInt32
    var serverPending: UInt32
    var bits: FlowBits
    var endReason: UInt8
    /// The interfaces on which each end's packets come in; -1: none yet.
    var clientInterface: Int8
    var serverInterface: Int8
    /// What each end sent: packets, and the bytes of their frames that are
    /// not payload (modulo 2³²).
    var clientPackets: UInt32
    var serverPackets: UInt32
    var clientOverhead: UInt32
    var serverOverhead: UInt32

    var connection: TCPConnection

    /// The first of the chain, unless it has left that.
    var ownSocket: SocketRecord

    // MARK: Now and then

    var history: TCPHistory
    /// In-order bytes kept between bursts; 0: the buffer is off.
    var clientLimit: UInt32
    var serverLimit: UInt32
    /// Time of the first packet, ns.
    var started: UInt64
    /// Payload that did not come as the next in-order bytes, less what the
    /// stream grew by otherwise: payload sent is the stream's end plus this.
    var clientIrregular: Int64
    var serverIrregular: Int64
    var hash: UInt32
    /// Last active socket.
    var lastSocket: UInt32
    /// What `clientOverhead` and `serverOverhead` lost in overflows.
    var clientOverheadCarry: UInt32
    var serverOverheadCarry: UInt32
    var clientBuffer: StreamBuffer
    var serverBuffer: StreamBuffer

    var clientAddress: UInt32 { UInt32(truncatingIfNeeded: addresses >> 32) }
    var serverAddress: UInt32 { UInt32(truncatingIfNeeded: addresses) }
    var clientPort: UInt16 { UInt16(truncatingIfNeeded: ports >> 16) }
    var serverPort: UInt16 { UInt16(truncatingIfNeeded: ports) }
}

/// What only some flows have: kept beside, under the same index, and touched
/// by those only.
struct FlowExtension {
    /// By the end that sent.
    var clientOdd: FlowIrregularities
    var serverOdd: FlowIrregularities
    /// The tuple behind a translation, as the server's side has it.
    var outerClientAddress: IPv6Address
    var outerServerAddress: IPv6Address
    var outerClientPort: UInt16
    var outerServerPort: UInt16
    var outerHash: UInt32
    /// A SYN on this flow's addresses that may start the next connection: its
    /// frame, kept until the server has answered it. 0: none.
    var nextSYN: UInt32
    var nextSYNSequence: UInt32
    var nextSYNLength: UInt32
    var nextSYNPort: Int32
    /// … how long it was on the wire, and how much of that was payload.
    var nextSYNWireLength: UInt32
    var nextSYNPayload: UInt32
    /// … and which end sent it.
    var nextSYNSender: UInt32
    /// Payload that its receiver has to acknowledge before it counts: the
    /// newest `HeldSegment` (0: none), and how much memory all of them take.
    var held: UInt32
    var heldBytes: UInt32
    /// What an end said that its peer has to bear out, by the end that said it.
    var clientDoubts: Doubts
    var serverDoubts: Doubts
}

extension UnsafeMutablePointer<FlowExtension> {
    func doubts(_ side: Int) -> UnsafeMutablePointer<Doubts> {
        // The two are neighbours; `FlowRecordTests` checks it.
        (UnsafeMutableRawPointer(self) + FlowLayout.doubts).assumingMemoryBound(to: Doubts.self) + side
    }
}

/// The addresses of an IPv6 flow: kept beside, under the same index.
struct FlowAddresses {
    var client: IPv6Address
    var server: IPv6Address
}

/// 16 bytes as they lie in the packet. An IPv4 address of a translation is
/// in `low`.
struct IPv6Address: Equatable {
    var low: UInt64
    var high: UInt64

    init(_ low: UInt64, _ high: UInt64) {
        self.low = low
        self.high = high
    }

    @inline(__always)
    init(_ bytes: UnsafePointer<UInt8>) {
        // In bounds: an address has 16 bytes.
        low = bytes.native64(0)
        high = bytes.native64(8)
    }
}

typealias FlowPointer = UnsafeMutablePointer<FlowRecord>

// The halves are neighbours of the same type, so the second is reached from
// the first; `FlowRecordTests` checks the offsets.
extension FlowPointer {
    @inline(__always)
    private func field<T>(_ offset: Int, _ type: T.Type, _ side: Int) -> UnsafeMutablePointer<T> {
        (UnsafeMutableRawPointer(self) + offset).assumingMemoryBound(to: T.self) + side
    }

    @inline(__always)
    var ownSocket: SocketPointer {
        (UnsafeMutableRawPointer(self) + FlowLayout.ownSocket).assumingMemoryBound(to: SocketRecord.self)
    }

    /// The receive buffer of a side: it holds what the other end sent.
    @inline(__always)
    func buffer(_ side: Int) -> UnsafeMutablePointer<StreamBuffer> {
        field(FlowLayout.buffers, StreamBuffer.self, side)
    }

    @inline(__always)
    func irregular(_ side: Int) -> UnsafeMutablePointer<Int64> {
        field(FlowLayout.irregular, Int64.self, side)
    }

    @inline(__always)
    func overhead(_ side: Int) -> UnsafeMutablePointer<UInt32> {
        field(FlowLayout.overhead, UInt32.self, side)
    }

    @inline(__always)
    func overheadCarry(_ side: Int) -> UnsafeMutablePointer<UInt32> {
        field(FlowLayout.overheadCarry, UInt32.self, side)
    }

    @inline(__always)
    func packets(_ side: Int) -> UnsafeMutablePointer<UInt32> {
        field(FlowLayout.packets, UInt32.self, side)
    }

    @inline(__always)
    func interface(_ side: Int) -> UnsafeMutablePointer<Int8> {
        field(FlowLayout.interfaces, Int8.self, side)
    }

    @inline(__always)
    func side(_ side: Int) -> UnsafeMutablePointer<TCPSide> {
        field(FlowLayout.connection, TCPSide.self, side)
    }

    @inline(__always)
    func pending(_ side: Int) -> UnsafeMutablePointer<UInt32> {
        field(FlowLayout.pending, UInt32.self, side)
    }

    @inline(__always)
    func segments(_ side: Int) -> UnsafeMutablePointer<(head: UInt8, tail: UInt8)> {
        field(FlowLayout.segments, (head: UInt8, tail: UInt8).self, side)
    }

    @inline(__always)
    func limit(_ side: Int) -> UnsafeMutablePointer<UInt32> {
        field(FlowLayout.limits, UInt32.self, side)
    }

    @inline(__always)
    var connection: UnsafeMutablePointer<TCPConnection> {
        (UnsafeMutableRawPointer(self) + FlowLayout.connection).assumingMemoryBound(to: TCPConnection.self)
    }

    @inline(__always)
    var history: UnsafeMutablePointer<TCPHistory> {
        (UnsafeMutableRawPointer(self) + FlowLayout.history).assumingMemoryBound(to: TCPHistory.self)
    }

    /// Where the in-order stream of a side ends, with what waits in frames.
    @inline(__always)
    func streamEnd(_ side: Int) -> UInt64 {
        buffer(side).pointee.inOrderEnd &+ UInt64(pending(side).pointee)
    }
}

enum FlowLayout {
    static let segments = 32
    static let pending = 36
    static let interfaces = 46
    static let doubts = 140
    static let packets = 48
    static let overhead = 56
    static let connection = 64
    static let ownSocket = 128
    static let history = 192
    static let limits = 208
    static let irregular = 224
    static let overheadCarry = 248
    static let buffers = 256
}
