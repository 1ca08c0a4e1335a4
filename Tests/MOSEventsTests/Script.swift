import CMOS

@testable import MOSEvents

/// What the C callbacks of the tests do: they have no context of their own, so
/// one script at a time says it.
final class Script {
    nonisolated(unsafe) static var current: Script!

    /// Called for every handler: its number, the event, socket, side, argument.
    var onHandler: (Int, UInt64, Int32, Int32, UnsafeMutablePointer<filter_arg_t>) -> Void = { _, _, _, _, _ in }
    /// Called for every filter: its number, the event, socket, side, argument.
    var onFilter: (Int, UInt64, Int32, Int32, UnsafeMutablePointer<filter_arg_t>) -> Bool = { _, _, _, _, _ in true }
}

/// Functions that differ in nothing but their number.
let handlers: [callback_t] = [
    { _, socket, side, event, argument in Script.current.onHandler(0, event, socket, side, argument!) },
    { _, socket, side, event, argument in Script.current.onHandler(1, event, socket, side, argument!) },
    { _, socket, side, event, argument in Script.current.onHandler(2, event, socket, side, argument!) },
    { _, socket, side, event, argument in Script.current.onHandler(3, event, socket, side, argument!) },
]

let filters: [filter_t] = [
    { _, socket, side, event, argument in Script.current.onFilter(0, event, socket, side, argument!) },
    { _, socket, side, event, argument in Script.current.onFilter(1, event, socket, side, argument!) },
    { _, socket, side, event, argument in Script.current.onFilter(2, event, socket, side, argument!) },
    { _, socket, side, event, argument in Script.current.onFilter(3, event, socket, side, argument!) },
]

func number(of handler: callback_t?) -> Int? {
    handlers.firstIndex { unsafeBitCast($0, to: UInt.self) == unsafeBitCast(handler, to: UInt.self) }
}

/// A definition with a number as its argument.
func define(_ parent: UInt64, _ filter: Int, _ argument: UInt64) -> UInt64 {
    withUnsafeBytes(of: argument) {
        EventForest.define(parent: parent, filter: filters[filter], argument: $0.baseAddress, length: 8)
    }
}

/// Numbers that no other test uses as an argument.
nonisolated(unsafe) private var lastFresh: UInt64 = 1 << 32

/// An event that no other test defines.
func defineFresh(_ parent: UInt64, filter: Int = 0) -> UInt64 {
    lastFresh += 1
    return define(parent, filter, lastFresh)
}

/// What in a set is not as `EventSet.swift` says it is for its pairs; nil: nothing.
func layoutError(_ set: EventSet) -> String? {
    guard let pointer = set.pointer else { return nil }
    let nodes = UnsafeBufferPointer(start: pointer.nodes, count: Int(pointer.pointee.nodeCount))
    let raisables = UnsafeBufferPointer(start: pointer.raisables, count: Int(pointer.pointee.raisableCount))
    var pairs: [UInt64: callback_t] = [:]
    for node in nodes { pairs[UInt64(node.event)] = node.handler }
    var present: Set<UInt64> = []
    for pair in pairs.keys {
        var at = pair
        while at != 0, present.insert(at).inserted { at = EventForest.parent(of: at) }
    }
    var children: [UInt64: [UInt64]] = [:]
    for event in present.sorted() where !EventForest.isAllocated(event) {
        children[EventForest.parent(of: event), default: []].append(event)
    }
    let allocated = present.filter { EventForest.isAllocated($0) }.sorted()
    var order: [UInt64] = []
    var place: [UInt64: Int] = [:]
    var region: [UInt64: Int] = [:]
    var spans: [UInt64: Int] = [:]
    for (number, head) in (children[0, default: []] + allocated).enumerated() {
        var stack = [(head, false)]
        while let (event, isDone) = stack.popLast() {
            if isDone {
                spans[event] = order.count - place[event]!
                continue
            }
            place[event] = order.count
            region[event] = max(0, number + 1 - children[0, default: []].count)
            order.append(event)
            stack.append((event, true))
            stack += children[event, default: []].reversed().map { ($0, false) }
        }
    }
    if order != nodes.map({ UInt64($0.event) }) { return "other nodes" }
    if pairs.count != set.count { return "\(set.count) pairs" }
    if nodes.contains(where: { spans[UInt64($0.event)] != Int($0.span) }) { return "a span" }
    if allocated != raisables.map({ UInt64($0.event) }) { return "other raisables" }
    for raisable in raisables {
        let parent = EventForest.parent(of: UInt64(raisable.event))
        if place[UInt64(raisable.event)] != Int(raisable.node) { return "the node of a raisable" }
        if place[parent] != Int(raisable.parent) { return "the parent of a raisable" }
        if region[parent] != Int(raisable.region) { return "the region of a raisable" }
    }
    var mask: UInt32 = 0
    for root in children[0, default: []] {
        mask |= UInt32(root)
        if place[root] != Int(pointer.starts[root.trailingZeroBitCount]) { return "a start" }
    }
    if mask != set.mask { return "the mask" }
    for bit in 0..<BuiltInEvent.count where mask >> bit & 1 == 0 && pointer.starts[bit] != 0 { return "a start of nothing" }
    return nil
}

let packetIn = UInt64(BuiltInEvent.packetIn)

/// splitmix64.
struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
