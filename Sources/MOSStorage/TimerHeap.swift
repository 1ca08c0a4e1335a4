import CSys

/// Timers by deadline: a binary heap in memory of the C heap. Equal deadlines
/// come out in the order in which they went in.
///
/// The value owns its memory: keep exactly one copy and call `destroy()`.
public struct TimerHeap {
    public struct Timer: HeapOrdered {
        /// In ns.
        public var deadline: UInt64
        /// Grows with each timer that goes in.
        public fileprivate(set) var sequence: UInt64
        /// Two words of the caller's, not looked at here.
        public var first: UInt64
        public var second: UInt64

        @inline(__always)
        static func precedes(_ a: Timer, _ b: Timer) -> Bool {
            a.deadline != b.deadline ? a.deadline < b.deadline : a.sequence < b.sequence
        }
    }

    private var timers: UnsafeMutablePointer<Timer>?
    private var capacity = 0
    /// The number of timers.
    public private(set) var count = 0
    /// The sequence of the timer that goes in next.
    public private(set) var nextSequence: UInt64 = 0

    public init() {
        timers = nil
    }

    /// Frees the memory and forgets all timers.
    public mutating func destroy() {
        free(timers)
        timers = nil
        capacity = 0
        count = 0
    }

    /// The earliest deadline; `.max` when there are no timers.
    @inline(__always)
    public var peekDeadline: UInt64 {
        guard count != 0, let timers else { return .max }
        return timers[0].deadline
    }

    /// Adds a timer. False when there is no memory.
    public mutating func push(deadline: UInt64, first: UInt64, second: UInt64) -> Bool {
        if count == capacity {
            let wanted = max(16, capacity &* 2)
            guard let memory = realloc(timers, wanted &* MemoryLayout<Timer>.stride) else { return false }
            timers = memory.assumingMemoryBound(to: Timer.self)
            capacity = wanted
        }
        guard let timers else { return false }
        let timer = Timer(deadline: deadline, sequence: nextSequence, first: first, second: second)
        nextSequence &+= 1
        // `count < capacity`, so the last place exists.
        timers.heapInsert(timer, count: count)
        count &+= 1
        return true
    }

    /// Takes the earliest timer out; nil when there is none.
    public mutating func pop() -> Timer? {
        guard count != 0, let timers else { return nil }
        count &-= 1
        return timers.heapRemoveFirst(count: count &+ 1)
    }
}
