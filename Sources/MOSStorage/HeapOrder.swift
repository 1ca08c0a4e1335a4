/// What a binary heap in raw memory is ordered by.
protocol HeapOrdered {
    static func precedes(_ a: Self, _ b: Self) -> Bool
}

extension UnsafeMutablePointer where Pointee: HeapOrdered {
    /// Adds an element to a heap of `count`; there is a place behind them.
    @inline(__always)
    func heapInsert(_ element: Pointee, count: Int) {
        var hole = count
        while hole > 0 {
            let parent = (hole &- 1) / 2
            guard Pointee.precedes(element, self[parent]) else { break }
            self[hole] = self[parent]
            hole = parent
        }
        self[hole] = element
    }

    /// Takes the first of a heap of `count`, at least 1.
    @inline(__always)
    func heapRemoveFirst(count: Int) -> Pointee {
        let first = self[0]
        let left = count &- 1
        let last = self[left]
        var hole = 0
        while true {
            var child = hole &* 2 &+ 1
            guard child < left else { break }
            if child &+ 1 < left, Pointee.precedes(self[child &+ 1], self[child]) { child &+= 1 }
            guard Pointee.precedes(self[child], last) else { break }
            self[hole] = self[child]
            hole = child
        }
        self[hole] = last
        return first
    }
}
