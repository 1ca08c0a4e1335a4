import MOSStorage

/// Queues in the order in which their time began.
struct FragmentQueueList {
    private(set) var first: UInt32 = poolNil
    private var last: UInt32 = poolNil

    @inline(__always)
    mutating func append(_ index: UInt32, _ pool: FixedPool<FragmentQueue>) {
        pool[index].next = poolNil
        pool[index].previous = last
        if last == poolNil { first = index } else { pool[last].next = index }
        last = index
    }

    @inline(__always)
    mutating func remove(_ index: UInt32, _ pool: FixedPool<FragmentQueue>) {
        let next = pool[index].next
        let previous = pool[index].previous
        if previous == poolNil { first = next } else { pool[previous].next = next }
        if next == poolNil { last = previous } else { pool[next].previous = previous }
    }
}
