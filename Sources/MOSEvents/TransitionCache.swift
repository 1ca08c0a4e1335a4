import CMOS
import CSys

/// Remembers what recent changes of sets led to, so that a change that many
/// sockets make costs no look at the sets' pairs: set and pair → set, verified
/// when it was stored. Serial numbers are never used twice, so that entries need
/// not be taken out when a set goes away; the entry's id then finds nothing
/// with its serial.
struct TransitionCache {
    struct Entry {
        var from: UInt64
        var to: UInt64
        var toID: UInt64
        var handler: callback_t?
        var event: UInt32
    }

    static let count = 1024
    static let byteCount = count * MemoryLayout<Entry>.stride

    private let entries: UnsafeMutablePointer<Entry>

    /// nil: no memory.
    init?() {
        guard let memory = calloc(Self.count, MemoryLayout<Entry>.stride) else { return nil }
        entries = memory.assumingMemoryBound(to: Entry.self)
    }

    func destroy() {
        free(entries)
    }

    /// The entry for this change, or the one that it will replace.
    func place(_ from: UInt64, _ event: UInt32, _ handler: callback_t?) -> UnsafeMutablePointer<Entry> {
        let pair = UInt64(unsafeBitCast(handler, to: UInt.self)) ^ UInt64(event) << 40
        let hash = (from &* 0x9E37_79B9_7F4A_7C15) ^ (pair &* 0xC2B2_AE3D_27D4_EB4F)
        return entries + Int(truncatingIfNeeded: (hash ^ hash >> 29) >> 24) & (Self.count - 1)
    }
}

extension TransitionCache.Entry {
    /// `to` is 0 in an entry never used, and 0 for the empty set: `from` is
    /// then not 0, as no change leads from the empty set to itself.
    @inline(__always)
    func isFor(_ from: UInt64, _ event: UInt32, _ handler: callback_t?) -> Bool {
        self.from == from && self.event == event && isSame(self.handler, handler)
    }
}
