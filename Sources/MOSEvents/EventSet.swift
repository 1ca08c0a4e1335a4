// An event set, flattened. One block of memory, never changed once built:
//
//   | EventSetHeader | node 0 | node 1 | … | raisable 0 | raisable 1 | … |
//
// The nodes form regions: first one for each built-in event that has anything
// below it, in the order of their bits, then one for each allocated event, in
// the order of their ids. A region is the tree of its first node in walk order
// (a node, then its children in the order of their ids), where the allocated
// events below it are left out: those have their own regions, which the walk
// enters only when they are raised. `raisables` lists them, by id.
//
// A node is there if it has a handler or anything below it has one.
import CMOS

/// One event of a set.
struct EventNode {
    var filter: filter_t?
    var handler: callback_t?
    var event: UInt32
    /// Nodes of its subtree within the region, itself included: how far to go
    /// on when the filter says no.
    var span: UInt32
}

/// One allocated event of a set.
struct Raisable {
    var event: UInt32
    /// Index of its node, the first of its region.
    var node: UInt32
    /// Index of the node of its parent event.
    var parent: UInt32
    /// The region which that is in: 0 for a built-in event's, else the place
    /// in the list of raisables, plus one.
    var region: UInt32
}

/// Another set with the same pairs but for one event: at first the one that
/// this set was built from. Never untrue, as serials are not used twice.
struct Neighbour {
    /// Of the other set; 0: the empty one.
    var serial: UInt64
    /// What it has for `event`.
    var handler: callback_t?
    /// What this set has for `event`.
    var own: callback_t?
    var event: UInt32

    /// Whether it is the set with this number, which has `handler` where this one
    /// has `own`.
    @inline(__always)
    func isOther(_ serial: UInt64, _ event: UInt32, _ handler: callback_t?, _ own: callback_t?) -> Bool {
        self.serial == serial && self.event == event && isSame(self.handler, handler) && isSame(self.own, own)
    }
}

typealias RootIndexes = (
    UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32
)

/// What stands before a set's nodes. What dispatch reads is in the first 64 bytes.
struct EventSetHeader {
    /// Built-in events with a region.
    var mask: UInt32
    /// Handles that are held; 0 in limbo.
    var references: UInt32
    var nodeCount: UInt32
    var raisableCount: UInt32
    /// By bit: where the region of a built-in event in `mask` starts.
    var starts: RootIndexes
    /// The handler of the built-in event of bit 0 (`MOS_ON_PKT_IN`), if its
    /// region is nothing but that handler: what most packets run.
    var packetHandler: callback_t?
    /// XOR of the hashes of its pairs.
    var id: UInt64
    /// Different for every set that a table ever builds, from 1.
    var serial: UInt64
    /// Next set in the same bucket.
    var next: UnsafeMutablePointer<EventSetHeader>?
    /// Next set in limbo.
    var nextInLimbo: UnsafeMutablePointer<EventSetHeader>?
    var neighbour: Neighbour
    var pairCount: UInt32
    var isInLimbo: Bool

    static let startsOffset = 16

    static func byteCount(nodes: Int, raisables: Int) -> Int {
        MemoryLayout<EventSetHeader>.stride + nodes &* MemoryLayout<EventNode>.stride
            &+ raisables &* MemoryLayout<Raisable>.stride
    }
}

typealias EventSetPointer = UnsafeMutablePointer<EventSetHeader>

extension EventSetPointer {
    @inline(__always)
    var nodes: UnsafeMutablePointer<EventNode> {
        UnsafeMutableRawPointer(self + 1).assumingMemoryBound(to: EventNode.self)
    }

    var raisables: UnsafeMutablePointer<Raisable> {
        UnsafeMutableRawPointer(nodes + Int(pointee.nodeCount)).assumingMemoryBound(to: Raisable.self)
    }

    @inline(__always)
    var starts: UnsafeMutablePointer<UInt32> {
        (UnsafeMutableRawPointer(self) + EventSetHeader.startsOffset).assumingMemoryBound(to: UInt32.self)
    }

    /// The place in the list of raisables of the first whose id is not below `event`.
    func firstRaisable(from event: UInt32) -> Int {
        let raisables = raisables
        var low = 0
        var high = Int(pointee.raisableCount)
        while low < high {
            let middle = (low &+ high) / 2
            if raisables[middle].event < event { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Where the region of a raisable starts; behind the last one, the end of all.
    func node(ofRaisable at: Int) -> Int {
        at < Int(pointee.raisableCount) ? Int(raisables[at].node) : Int(pointee.nodeCount)
    }
}

/// The (event, handler) pairs of one socket and hook: a pointer-sized handle to
/// an immutable tree that all sockets of a context with equal pairs share.
///
/// The handle counts nothing by itself: whoever stores one owns a reference,
/// which `EventSetTable` gave (+1), and gives it back with `release`. All zero
/// bits are the empty set, which needs neither.
public struct EventSet {
    let pointer: EventSetPointer?

    @inline(__always)
    init(_ pointer: EventSetPointer?) {
        self.pointer = pointer
    }

    /// No pairs.
    @inline(__always)
    public static var empty: EventSet { EventSet(nil) }

    /// The built-in events, one bit each, that have a handler at or below them:
    /// nothing is to be dispatched for any other.
    @inline(__always)
    public var mask: UInt32 {
        guard let pointer else { return 0 }
        return pointer.pointee.mask
    }

    /// Number of pairs.
    public var count: Int { Int(pointer?.pointee.pairCount ?? 0) }

    @inline(__always)
    public var isEmpty: Bool { pointer == nil }

    /// XOR of the pairs' hashes; 0 for the empty set.
    public var id: UInt64 { pointer?.pointee.id ?? 0 }

    /// The handler that is registered for `event`, if any.
    public func handler(of event: UInt64) -> callback_t? {
        guard let pointer else { return nil }
        let nodes = pointer.nodes
        for at in 0..<Int(pointer.pointee.nodeCount) where UInt64(nodes[at].event) == event {
            return nodes[at].handler
        }
        return nil
    }

    /// Sets of one table are equal when their handles are.
    @inline(__always)
    public static func == (a: EventSet, b: EventSet) -> Bool { a.pointer == b.pointer }
}

/// Whether both are the same function, or both none.
@inline(__always)
func isSame(_ a: callback_t?, _ b: callback_t?) -> Bool {
    unsafeBitCast(a, to: UInt.self) == unsafeBitCast(b, to: UInt.self)
}
