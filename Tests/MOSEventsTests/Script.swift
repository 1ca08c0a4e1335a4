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
