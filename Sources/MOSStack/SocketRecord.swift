import CMOS
import MOSEvents
import MOSPacketIO
import MOSStorage

/// `enum socket_type` of mtcp_api.h.
enum SocketKind: UInt8 {
    case unused = 0
    case monitorStream = 3
    case monitorActive = 6
    case monitorRaw = 7
}

/// Which families a listener or raw socket sees.
struct Families: OptionSet {
    let rawValue: UInt8
    static let ipv4 = Families(rawValue: 1)
    static let ipv6 = Families(rawValue: 2)
}

struct SocketFlags: OptionSet {
    let rawValue: UInt16
    /// No further handler for the client's side …
    static let clientStopped = SocketFlags(rawValue: 1 << 0)
    /// … for the server's.
    static let serverStopped = SocketFlags(rawValue: 1 << 1)
    /// `mtcp_close` was called; the id is freed when nothing uses it.
    static let closed = SocketFlags(rawValue: 1 << 2)
    /// `MOS_HISTORY`.
    static let keepsHistory = SocketFlags(rawValue: 1 << 3)
    /// `MOS_FRAG_CLIBUF` / `MOS_FRAG_SVRBUF` 0: ranges without payload.
    static let clientRangesOnly = SocketFlags(rawValue: 1 << 5)
    static let serverRangesOnly = SocketFlags(rawValue: 1 << 6)
    /// Nothing to read there, by buffer: off, or ranges only. See
    /// `SocketPointer.noteMute(_:limit:)`.
    static let clientMute = SocketFlags(rawValue: 1 << 7)
    static let serverMute = SocketFlags(rawValue: 1 << 8)

    static let bothStopped: SocketFlags = [.clientStopped, .serverStopped]

    @inline(__always)
    static func stopped(_ side: Int) -> SocketFlags { SocketFlags(rawValue: 1 &<< UInt16(truncatingIfNeeded: side)) }
    @inline(__always)
    static func mute(_ side: Int) -> SocketFlags { SocketFlags(rawValue: 0x80 &<< UInt16(truncatingIfNeeded: side)) }
    /// No further handler for the side, or nothing to read there.
    @inline(__always)
    static func deaf(_ side: Int) -> SocketFlags { SocketFlags(rawValue: 0x81 &<< UInt16(truncatingIfNeeded: side)) }
    @inline(__always)
    static func rangesOnly(_ side: Int) -> SocketFlags { side == 0 ? .clientRangesOnly : .serverRangesOnly }
}

/// A socket of any kind. One cache line: what packets and reading touch.
struct SocketRecord {
    var kind: SocketKind
    var families: Families
    var flags: SocketFlags
    /// Active: its neighbours in the flow's chain.
    var next: UInt32
    var previous: UInt32
    /// Active: its flow.
    var flow: UInt32
    var nullSet: EventSet
    var sendSet: EventSet
    var receiveSet: EventSet
    var uctx: UnsafeMutableRawPointer?
    /// Active: read positions. Listener: unused.
    var read: (UInt64, UInt64)

    /// None.
    static var unused: SocketRecord {
        SocketRecord(
            kind: .unused, families: [], flags: [], next: poolNil, previous: poolNil, flow: poolNil,
            nullSet: .empty, sendSet: .empty, receiveSet: .empty, uctx: nil, read: (0, 0))
    }
}

/// The rest of a socket, kept beside (`Context.options(_:)`).
struct SocketOptions {
    /// Active: its listener.
    var listener: UInt32
    /// `MOS_CLIOVERLAP` / `MOS_SVROVERLAP`, by buffer.
    var overlap: (UInt8, UInt8)
    /// `MOS_CLIBUF` / `MOS_SVRBUF`: bytes kept; 0: off.
    var limit: (UInt32, UInt32)
}

typealias SocketPointer = UnsafeMutablePointer<SocketRecord>

extension SocketPointer {
    /// The event set of a hook.
    @inline(__always)
    func set(_ hook: Hook) -> EventSet {
        switch hook {
        case .null: return pointee.nullSet
        case .send: return pointee.sendSet
        case .receive: return pointee.receiveSet
        }
    }

    @inline(__always)
    func setSet(_ hook: Hook, _ set: EventSet) {
        switch hook {
        case .null: pointee.nullSet = set
        case .send: pointee.sendSet = set
        case .receive: pointee.receiveSet = set
        }
    }

    @inline(__always)
    func position(_ side: Int) -> UInt64 { side == 0 ? pointee.read.0 : pointee.read.1 }

    @inline(__always)
    func setPosition(_ side: Int, _ offset: UInt64) {
        if side == 0 { pointee.read.0 = offset } else { pointee.read.1 = offset }
    }

    /// Keeps the flag that says whether there is anything to read, of a buffer
    /// of `limit` bytes.
    func noteMute(_ side: Int, limit: UInt32) {
        if limit == 0 || pointee.flags.contains(.rangesOnly(side)) {
            pointee.flags.insert(.mute(side))
        } else {
            pointee.flags.remove(.mute(side))
        }
    }
}

extension SocketOptions {
    @inline(__always)
    func limit(_ side: Int) -> UInt32 { side == 0 ? limit.0 : limit.1 }

    mutating func setLimit(_ side: Int, _ bytes: UInt32) {
        if side == 0 { limit.0 = bytes } else { limit.1 = bytes }
    }
}
