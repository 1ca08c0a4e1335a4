import CMOS
import CSys

/// A queue of copied frames of bounded size, first in first out. The frames
/// that `take` has given keep their place until `release`. Not locked.
///
///     bytes   [ … | held | waiting | free … ]     positions only grow; the
///                   ^tail            ^head         place is position % size
struct FrameRing {
    private let slots: UnsafeMutablePointer<Slot>
    private let bytes: UnsafeMutablePointer<UInt8>
    private let slotCount: Int
    private let byteCount: Int
    private var firstHeld: UInt64 = 0
    private var firstWaiting: UInt64 = 0
    private var afterLast: UInt64 = 0
    private var tail = 0
    private var head = 0

    private struct Slot {
        var frame: mos_io_frame
        /// The position behind this frame's bytes.
        var end: Int
    }

    /// Powers of two. nil without memory. Untouched pages cost nothing.
    init?(slots slotCount: Int, bytes byteCount: Int) {
        let slotMemory = csys_reserve(slotCount * MemoryLayout<Slot>.stride)
        let byteMemory = csys_reserve(byteCount)
        guard let slotMemory, let byteMemory else {
            csys_unreserve(slotMemory, slotCount * MemoryLayout<Slot>.stride)
            csys_unreserve(byteMemory, byteCount)
            return nil
        }
        slots = slotMemory.bindMemory(to: Slot.self, capacity: slotCount)
        bytes = byteMemory.bindMemory(to: UInt8.self, capacity: byteCount)
        self.slotCount = slotCount
        self.byteCount = byteCount
    }

    func free() {
        csys_unreserve(slots, slotCount * MemoryLayout<Slot>.stride)
        csys_unreserve(bytes, byteCount)
    }

    /// Frames that were pushed and not yet taken.
    var waiting: Int { Int(afterLast &- firstWaiting) }

    enum Outcome {
        case pushed, full, tooLong
    }

    mutating func push(_ frame: mos_io_frame) -> Outcome {
        // The IP header of an untagged frame starts on 16 bytes.
        let needed = (Int(frame.len) + 2 + 15) & ~15
        guard needed <= byteCount else { return .tooLong }
        guard Int(afterLast &- firstHeld) < slotCount else { return .full }
        if firstHeld == afterLast {
            tail = 0
            head = 0
        }
        var start = head
        let offset = start & (byteCount - 1)
        // A frame does not wrap; what is left at the end is skipped.
        if offset + needed > byteCount { start += byteCount - offset }
        guard start + needed - tail <= byteCount else { return .full }
        // In bounds: offset + needed <= byteCount after the skip, and the
        // region is free as it lies within byteCount of tail.
        let target = bytes + (start & (byteCount - 1)) + 2
        if let data = frame.data { memcpy(target, data, Int(frame.len)) }
        head = start + needed
        var copy = frame
        copy.data = UnsafePointer(target)
        copy.cookie = nil
        slots[slot(afterLast)] = Slot(frame: copy, end: head)
        afterLast &+= 1
        return .pushed
    }

    /// Up to `max` frames, which stay until `release`.
    mutating func take(_ out: UnsafeMutablePointer<mos_io_frame>, max: Int) -> Int {
        let count = min(waiting, max)
        for i in 0..<count {
            out[i] = slots[slot(firstWaiting &+ UInt64(i))].frame
        }
        firstWaiting &+= UInt64(count)
        return count
    }

    /// Gives up what was taken.
    mutating func release() {
        guard firstHeld != firstWaiting else { return }
        tail = slots[slot(firstWaiting &- 1)].end
        firstHeld = firstWaiting
    }

    /// Gives up everything that waits; what was taken stays until `release`.
    mutating func discard() {
        // What is held keeps its bytes: tail is not moved here.
        guard firstWaiting != afterLast else { return }
        head = firstWaiting == firstHeld ? tail : slots[slot(firstWaiting &- 1)].end
        afterLast = firstWaiting
    }

    /// slotCount is a power of two.
    private func slot(_ number: UInt64) -> Int {
        Int(truncatingIfNeeded: number & UInt64(slotCount - 1))
    }
}
