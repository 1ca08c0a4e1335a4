import CSys

/// The receive buffer of one side of a connection, as a passive monitor
/// emulates it. Offsets are 64-bit positions in the stream; offset 0 is the
/// first byte after the SYN.
///
///            heldStart              inOrderEnd             highestEnd
///                v                       v                      v
///     ~ forgotten [closed][gap][  tail   ]   hole   [range] hole [range]
///                 <------ in order ------>   <----- out of order ------>
///
/// The last in-order run (`tail`) is two numbers. All other ranges, the runs
/// before remembered gaps and the out-of-order ones, are in one sorted
/// `RangeSet`, the former first. Neighbouring ranges never touch.
///
/// Payload is in chunks of 2048 bytes: chunk k holds k·2048 ..< (k+1)·2048.
/// While all of it lies in the chunk of `heldStart`, `directory` names that
/// chunk, whose block is only as long as needed (256 … 2048). Otherwise it
/// names a ring of 32-bit handles, indexed by chunk number modulo its size,
/// that covers the chunks from that of `heldStart` on.
///
/// The struct is trivial, 64 bytes, and all zero bytes are an empty buffer at
/// offset 0. Memory comes from the `SlabPool` that is passed to the mutating
/// methods, always the same one; call `removeAll(pool:)` before dropping it.
/// A call costs O(log ranges + bytes + ranges swallowed), moves at most 64 KiB
/// of range entries, and never traps, whatever the arguments.
public struct StreamBuffer {
    public enum Mode: UInt8 {
        /// Keep payload and ranges.
        case payload
        /// Keep ranges and counters only.
        case rangesOnly
    }

    /// Where the in-order bytes end: the next byte expected.
    public private(set) var inOrderEnd: UInt64
    /// The lowest in-order byte still held; `inOrderEnd` if there is none.
    public private(set) var heldStart: UInt64
    /// The highest byte taken or skipped, plus one.
    public private(set) var highestEnd: UInt64
    private var tailStart: UInt64
    private var base: UnsafeMutableRawPointer?
    private var ranges: RangeSet
    public private(set) var mode: Mode
    /// How many of `ranges` lie before `tailStart`.
    private var closedCount: UInt16
    /// Slots of the ring as a power of two; 0: no ring.
    private var directoryLog: UInt8
    /// The block of the only chunk as a power of two, when there is no ring.
    private var singleLog: UInt8
    private var directory: UInt32
    private var chunkBytes: UInt32

    @inline(__always) private static var chunkLog: UInt64 { 11 }
    @inline(__always) private static var chunkSize: Int { 2048 }
    @inline(__always) private static var smallestChunkLog: UInt8 { 8 }
    @inline(__always) private static var maxDirectoryLog: UInt8 { 14 }

    /// Payload held lies within this many bytes (32 MiB less a chunk).
    public static var maxSpan: UInt64 { (UInt64(1) << 25) - 2048 }

    /// - Parameter offset: where the stream is picked up; 0 at its beginning.
    public init(mode: Mode = .payload, at offset: UInt64 = 0) {
        inOrderEnd = offset
        heldStart = offset
        highestEnd = offset
        tailStart = offset
        base = nil
        ranges = RangeSet()
        self.mode = mode
        closedCount = 0
        directoryLog = 0
        singleLog = 0
        directory = 0
        chunkBytes = 0
    }

    // MARK: What is held

    /// Bytes of memory taken for payload.
    @inline(__always) public var storedBytes: Int { Int(chunkBytes) }

    /// Bytes of all memory taken from the pool.
    public var memoryBytes: Int {
        Int(chunkBytes) &+ ranges.memoryBytes &+ (directoryLog == 0 ? 0 : 4 &<< Int(directoryLog))
    }

    /// Whether bytes beyond a hole are held.
    @inline(__always)
    public var hasOutOfOrder: Bool { ranges.count > closedCount }

    /// The number of ranges that `range(_:)` gives.
    public var rangeCount: Int { Int(ranges.count) &+ (tailStart < inOrderEnd ? 1 : 0) }

    /// The ranges held, lowest first; nil from `rangeCount` on.
    public func range(_ index: Int) -> ByteRange? {
        guard index >= 0, index < rangeCount else { return nil }
        let closed = Int(closedCount)
        if index < closed { return ranges[index] }
        guard tailStart < inOrderEnd else { return ranges[index] }
        if index == closed { return ByteRange(start: tailStart, end: inOrderEnd) }
        return ranges[index &- 1]
    }

    /// Whether any byte of the segment was received before: it lies below
    /// `inOrderEnd` and not in a gap that is still remembered, or in an
    /// out-of-order range. Bytes before offset 0 were not.
    public func hasReceived(anyOf offset: UInt64, length: UInt32) -> Bool {
        var start = offset
        let end = offset &+ UInt64(length)
        if Int64(bitPattern: start) < 0 {
            // The segment begins before the stream, or is impossible.
            guard Int64(bitPattern: end) > 0 else { return false }
            start = 0
        }
        guard start < end else { return false }
        if start < heldStart { return true }
        if start < inOrderEnd, end > tailStart, tailStart < inOrderEnd { return true }
        return ranges.overlaps(start, end)
    }

    // MARK: Receiving

    /// Takes a segment's payload.
    ///
    /// Bytes below `heldStart`, and late ones that fall into a remembered gap,
    /// are ignored. Of a byte already held the first copy stays, or with
    /// `lastWins` the new one replaces it. Out-of-order bytes at or beyond
    /// `inOrderEnd + outOfOrderLimit` are refused. What is refused leaves no
    /// trace; what came before it in the segment is taken.
    public mutating func insert(offset: UInt64, bytes: UnsafePointer<UInt8>, length: UInt32,
                                lastWins: Bool, pool: inout SlabPool,
                                outOfOrderLimit: UInt64) -> StreamInsertResult {
        var result = StreamInsertResult()
        var start = offset
        var end = offset &+ UInt64(length)
        var source = UnsafeRawPointer(bytes)
        if Int64(bitPattern: start) < 0 {
            guard Int64(bitPattern: end) > 0 else { return result }
            source += Int(truncatingIfNeeded: 0 &- start)
            start = 0
        } else if Int64(bitPattern: end) < 0 {
            result.refused = length
            result.flags = .beyondLimit
            return result
        }
        guard start < end else { return result }
        if start < inOrderEnd {
            if lastWins, mode == .payload, end > heldStart {
                result.replaced = replaceInOrder(start, min(end, inOrderEnd), source)
            }
            guard end > inOrderEnd else { return result }
            source += Int(truncatingIfNeeded: inOrderEnd &- start)
            start = inOrderEnd
        }
        if start == inOrderEnd {
            insertInOrder(end, source, lastWins, &pool, &result)
            return result
        }
        let limitEnd = outOfOrderLimit > .max &- inOrderEnd ? .max : inOrderEnd &+ outOfOrderLimit
        if end > limitEnd {
            let clipped = max(start, limitEnd)
            result.refused = UInt32(truncatingIfNeeded: end &- clipped)
            result.flags.insert(.beyondLimit)
            end = clipped
        }
        if start < end { insertOutOfOrder(start, end, source, lastWins, &pool, &result) }
        return result
    }

    private mutating func insertInOrder(_ end: UInt64, _ source: UnsafeRawPointer, _ lastWins: Bool,
                                        _ pool: inout SlabPool, _ result: inout StreamInsertResult) {
        let start = inOrderEnd
        if ranges.count == closedCount {
            let count = Int(truncatingIfNeeded: end &- start)
            let taken = mode == .payload ? write(start, source, count, &pool) : count
            if taken < count {
                result.flags.insert(.noMemory)
                result.refused = UInt32(truncatingIfNeeded: count &- taken)
            }
            result.stored = UInt32(truncatingIfNeeded: taken)
            inOrderEnd = start &+ UInt64(truncatingIfNeeded: taken)
        } else {
            let first = Int(closedCount)
            let accepted = fill(start, end, source, lastWins, first, &pool, &result)
            var reached = accepted
            var next = first
            while next < Int(ranges.count), ranges[next].start <= accepted {
                reached = max(reached, ranges[next].end)
                next &+= 1
            }
            ranges.remove(first, count: next &- first)
            ranges.releaseIfEmpty(pool: &pool)
            inOrderEnd = reached
        }
        result.newInOrder = inOrderEnd &- start
        if inOrderEnd > highestEnd { highestEnd = inOrderEnd }
    }

    private mutating func insertOutOfOrder(_ start: UInt64, _ end: UInt64, _ source: UnsafeRawPointer,
                                           _ lastWins: Bool, _ pool: inout SlabPool,
                                           _ result: inout StreamInsertResult) {
        let i = ranges.index(endingAtOrAbove: start, from: Int(closedCount))
        var hasRoom = true
        if i == Int(ranges.count) || ranges[i].start > start {
            // A new entry is needed, unless the bytes reach the next range.
            let outcome = ranges.reserveOne(pool: &pool)
            hasRoom = outcome == .done
            if !hasRoom, i == Int(ranges.count) || ranges[i].start > end {
                result.flags.insert(outcome == .noMemory ? .noMemory : .tooManyRanges)
                result.refused &+= UInt32(truncatingIfNeeded: end &- start)
                return
            }
        }
        let accepted = fill(start, end, source, lastWins, i, &pool, &result)
        var joined = ByteRange(start: start, end: accepted)
        var j = i
        while j < Int(ranges.count), ranges[j].start <= accepted {
            joined.start = min(joined.start, ranges[j].start)
            joined.end = max(joined.end, ranges[j].end)
            j &+= 1
        }
        if j > i {
            ranges.replace(i, count: j &- i, by: joined)
        } else if accepted == start || !hasRoom {
            // Nothing fitted, or what did fit can neither join nor be noted.
            result.refused &+= UInt32(truncatingIfNeeded: accepted &- start)
            result.stored &-= UInt32(truncatingIfNeeded: accepted &- start)
            releaseIfEmpty(&pool)
            return
        } else {
            ranges.insert(joined, at: i)
        }
        if joined.end > highestEnd { highestEnd = joined.end }
    }

    /// Writes the holes of `start ..< end`, and the bytes held too if the
    /// last copy wins. `first` is the first range that ends at or above
    /// `start`. Returns where memory ran out, or `end`.
    private mutating func fill(_ start: UInt64, _ end: UInt64, _ source: UnsafeRawPointer,
                               _ lastWins: Bool, _ first: Int, _ pool: inout SlabPool,
                               _ result: inout StreamInsertResult) -> UInt64 {
        var cursor = start
        var i = first
        while cursor < end {
            let from = source + Int(truncatingIfNeeded: cursor &- start)
            if i < Int(ranges.count), ranges[i].start <= cursor {
                let stop = min(ranges[i].end, end)
                let count = Int(truncatingIfNeeded: stop &- cursor)
                if lastWins, mode == .payload {
                    overwrite(cursor, from, count)
                    result.replaced &+= UInt32(truncatingIfNeeded: count)
                }
                cursor = stop
                i &+= 1
                continue
            }
            let stop = i < Int(ranges.count) ? min(ranges[i].start, end) : end
            let count = Int(truncatingIfNeeded: stop &- cursor)
            let taken = mode == .payload ? write(cursor, from, count, &pool) : count
            result.stored &+= UInt32(truncatingIfNeeded: taken)
            cursor &+= UInt64(truncatingIfNeeded: taken)
            if taken < count {
                result.flags.insert(.noMemory)
                result.refused &+= UInt32(truncatingIfNeeded: end &- cursor)
                break
            }
        }
        return cursor
    }

    /// Replaces the bytes of `start ..< end` (≤ `inOrderEnd`) that are held.
    private func replaceInOrder(_ start: UInt64, _ end: UInt64, _ source: UnsafeRawPointer) -> UInt32 {
        var replaced = 0
        if closedCount != 0, start < tailStart {
            var i = ranges.index(endingAbove: start)
            while i < Int(closedCount), ranges[i].start < end {
                let low = max(start, ranges[i].start)
                let count = Int(truncatingIfNeeded: min(end, ranges[i].end) &- low)
                overwrite(low, source + Int(truncatingIfNeeded: low &- start), count)
                replaced &+= count
                i &+= 1
            }
        }
        let low = max(start, tailStart)
        if low < end {
            let count = Int(truncatingIfNeeded: end &- low)
            overwrite(low, source + Int(truncatingIfNeeded: low &- start), count)
            replaced &+= count
        }
        return UInt32(truncatingIfNeeded: replaced)
    }

    /// Moves the in-order end past `length` bytes that the caller delivered
    /// straight from the packet. They count as received and are not kept, nor
    /// is any in-order byte before them; out-of-order ranges that they reach
    /// become in order. Returns by how much `inOrderEnd` advanced.
    public mutating func advanceWithoutStoring(length: UInt32, pool: inout SlabPool) -> UInt64 {
        let start = inOrderEnd
        let target = start &+ UInt64(length)
        guard length != 0, Int64(bitPattern: target) > 0 else { return 0 }
        let oldHeld = heldStart
        heldStart = target
        tailStart = target
        inOrderEnd = target
        if !ranges.isEmpty {
            // The runs before gaps end below `target`, so they go too.
            let keep = ranges.index(endingAbove: target)
            ranges.remove(0, count: keep)
            closedCount = 0
            if !ranges.isEmpty, ranges[0].start <= target {
                inOrderEnd = ranges[0].end
                ranges.remove(0, count: 1)
            }
        }
        if inOrderEnd > highestEnd { highestEnd = inOrderEnd }
        if chunkBytes != 0 { releaseChunks(from: oldHeld, &pool) }
        releaseIfEmpty(&pool)
        return inOrderEnd &- start
    }

    /// Passes over bytes that were never received, since the receiver has
    /// acknowledged them: `inOrderEnd` becomes `offset`, or the end of the
    /// range that touches it. The missing bytes are remembered as gaps for as
    /// long as in-order bytes before them are held. Does nothing unless
    /// `offset` lies beyond `inOrderEnd`.
    public mutating func skip(to offset: UInt64, pool: inout SlabPool) -> StreamSkipResult {
        var result = StreamSkipResult()
        guard offset > inOrderEnd, Int64(bitPattern: offset) > 0 else { return result }
        let oldEnd = inOrderEnd
        let oldHeld = heldStart
        result.missing = offset &- oldEnd
        // What lies wholly before `offset` becomes in order.
        var closed = Int(closedCount)
        while closed < Int(ranges.count), ranges[closed].end < offset {
            result.missing &-= ranges[closed].end &- ranges[closed].start
            closed &+= 1
        }
        var newTail = ByteRange(start: offset, end: offset)
        if closed < Int(ranges.count), ranges[closed].start <= offset {
            newTail = ranges[closed]
            result.missing &-= offset &- newTail.start
            ranges.remove(closed, count: 1)
        }
        if tailStart < oldEnd {
            if ranges.reserveOne(pool: &pool) == .done {
                ranges.insert(ByteRange(start: tailStart, end: oldEnd), at: Int(closedCount))
                closed &+= 1
            } else {
                result.discarded = oldEnd &- tailStart
                for i in 0..<Int(closedCount) {
                    result.discarded &+= ranges[i].end &- ranges[i].start
                }
                ranges.remove(0, count: Int(closedCount))
                closed &-= Int(closedCount)
            }
        }
        closedCount = UInt16(truncatingIfNeeded: closed)
        tailStart = newTail.start
        inOrderEnd = newTail.end
        heldStart = closed != 0 ? ranges[0].start : tailStart
        if inOrderEnd > highestEnd { highestEnd = inOrderEnd }
        result.newInOrder = inOrderEnd &- oldEnd
        if chunkBytes != 0 { releaseChunks(from: oldHeld, &pool) }
        releaseIfEmpty(&pool)
        return result
    }

    // MARK: Reading

    /// How many bytes are held without a break from `offset` on, in order or
    /// out of order; 0 if that byte is not held, or its payload is not.
    public func contiguous(at offset: UInt64) -> UInt64 {
        guard mode == .payload, offset >= heldStart else { return 0 }
        if offset >= tailStart, offset < inOrderEnd { return inOrderEnd &- offset }
        guard !ranges.isEmpty else { return 0 }
        let i = ranges.index(endingAbove: offset)
        guard i < Int(ranges.count), ranges[i].start <= offset else { return 0 }
        return ranges[i].end &- offset
    }

    /// The lowest byte held at or above `offset`, in order or out of order.
    public func nextHeld(after offset: UInt64) -> UInt64? {
        if tailStart < inOrderEnd, offset < inOrderEnd,
           closedCount == 0 || ranges[Int(closedCount) &- 1].end <= offset {
            return max(offset, tailStart)
        }
        let i = ranges.index(endingAbove: offset)
        return i < Int(ranges.count) ? max(offset, ranges[i].start) : nil
    }

    /// Where a reader at `offset` finds its next byte: the lowest in-order
    /// byte held at or above it, or `inOrderEnd` when there is none. What lies
    /// between is gone.
    public func nextInOrder(from offset: UInt64) -> UInt64 {
        guard offset < inOrderEnd else { return inOrderEnd }
        return min(nextHeld(after: offset) ?? inOrderEnd, inOrderEnd)
    }

    /// Copies up to `count` bytes held without a break from `offset` on.
    /// Returns their number, 0 if that byte is not held.
    public func copy(from offset: UInt64, into target: UnsafeMutableRawPointer, count: Int) -> Int {
        guard count > 0 else { return 0 }
        let total = Int(truncatingIfNeeded: min(contiguous(at: offset), UInt64(count)))
        var done = 0
        while done < total {
            let position = offset &+ UInt64(truncatingIfNeeded: done)
            guard let chunk = chunk(position &>> Self.chunkLog) else { break }
            let inChunk = Int(truncatingIfNeeded: position) & (Self.chunkSize &- 1)
            let n = min(Self.chunkSize &- inChunk, total &- done)
            // A held byte's chunk reaches at least to it; `target` has `count`.
            (target + done).copyMemory(from: chunk + inChunk, byteCount: n)
            done &+= n
        }
        return done
    }

    /// The same bytes in place: fills up to `max` pieces that cover at most
    /// `count` bytes from `offset` on, and returns the number of pieces. They
    /// are valid until the buffer changes.
    public func segments(at offset: UInt64, count: Int,
                         into target: UnsafeMutablePointer<StreamSegment>, max limit: Int) -> Int {
        guard count > 0 else { return 0 }
        let total = Int(truncatingIfNeeded: min(contiguous(at: offset), UInt64(count)))
        var done = 0
        var pieces = 0
        while done < total, pieces < limit {
            let position = offset &+ UInt64(truncatingIfNeeded: done)
            guard let chunk = chunk(position &>> Self.chunkLog) else { break }
            let inChunk = Int(truncatingIfNeeded: position) & (Self.chunkSize &- 1)
            let n = min(Self.chunkSize &- inChunk, total &- done)
            // As in `copy`.
            target[pieces] = StreamSegment(base: UnsafeRawPointer(chunk + inChunk), count: n)
            pieces &+= 1
            done &+= n
        }
        return pieces
    }

    // MARK: Forgetting

    /// Forgets the in-order bytes below `offset`; out-of-order ones stay.
    /// Where in-order bytes up to `reuseEnd` are about to be stored, chunks
    /// that become free are kept for them.
    public mutating func trim(below offset: UInt64, reusedUpTo reuseEnd: UInt64 = 0, pool: inout SlabPool) {
        let limit = min(offset, inOrderEnd)
        guard limit > heldStart else { return }
        let oldHeld = heldStart
        var gone = 0
        while gone < Int(closedCount), ranges[gone].end <= limit { gone &+= 1 }
        ranges.remove(0, count: gone)
        closedCount &-= UInt16(truncatingIfNeeded: gone)
        if closedCount != 0 {
            if ranges[0].start < limit {
                ranges.replace(0, count: 1, by: ByteRange(start: limit, end: ranges[0].end))
            }
            heldStart = ranges[0].start
        } else {
            tailStart = max(tailStart, limit)
            heldStart = tailStart
        }
        if chunkBytes != 0 {
            if directoryLog != 0, reuseEnd > inOrderEnd { reuseChunks(from: oldHeld, upTo: reuseEnd) }
            releaseChunks(from: oldHeld, &pool)
        }
        releaseIfEmpty(&pool)
    }

    /// Switches what is kept from now on. To `.rangesOnly`: payload is freed,
    /// ranges stay. To `.payload`: the ranges are forgotten, since there are no
    /// bytes for them.
    public mutating func setMode(_ newMode: Mode, pool: inout SlabPool) {
        guard newMode != mode else { return }
        mode = newMode
        switch newMode {
        case .rangesOnly: releaseAllChunks(&pool)
        case .payload: removeAll(pool: &pool)
        }
    }

    /// Forgets everything held and frees all memory; the offsets stay.
    public mutating func removeAll(pool: inout SlabPool) {
        releaseAllChunks(&pool)
        ranges.removeAll(pool: &pool)
        closedCount = 0
        tailStart = inOrderEnd
        heldStart = inOrderEnd
    }

    // MARK: Chunks

    @inline(__always)
    private func block(_ handle: UInt32) -> UnsafeMutableRawPointer {
        // A handle other than 0 was made from a block above `base`, which was
        // set before; see `SlabPool.handle(of:)`.
        base.unsafelyUnwrapped + Int(handle &- 1) &<< 6
    }

    @inline(__always)
    private var slots: UnsafeMutablePointer<UInt32> {
        // Only used while there is a ring.
        block(directory).assumingMemoryBound(to: UInt32.self)
    }

    @inline(__always)
    private var slotMask: UInt64 { (1 &<< UInt64(directoryLog)) &- 1 }

    /// The chunk with that number, if any.
    @inline(__always)
    private func chunk(_ number: UInt64) -> UnsafeMutableRawPointer? {
        guard directory != 0 else { return nil }
        if directoryLog == 0 {
            return number == heldStart &>> Self.chunkLog ? block(directory) : nil
        }
        let handle = slots[Int(number & slotMask)]
        return handle == 0 ? nil : block(handle)
    }

    /// Replaces bytes that are held.
    private func overwrite(_ offset: UInt64, _ source: UnsafeRawPointer, _ count: Int) {
        var done = 0
        while done < count {
            let position = offset &+ UInt64(truncatingIfNeeded: done)
            guard let chunk = chunk(position &>> Self.chunkLog) else { return }
            let inChunk = Int(truncatingIfNeeded: position) & (Self.chunkSize &- 1)
            let n = min(Self.chunkSize &- inChunk, count &- done)
            // A held byte's chunk reaches at least to it.
            (chunk + inChunk).copyMemory(from: source + done, byteCount: n)
            done &+= n
        }
    }

    /// Writes bytes, taking the chunks for them. Returns how many were
    /// written before memory ran out.
    private mutating func write(_ offset: UInt64, _ source: UnsafeRawPointer, _ count: Int,
                                _ pool: inout SlabPool) -> Int {
        var done = 0
        while done < count {
            let position = offset &+ UInt64(truncatingIfNeeded: done)
            let inChunk = Int(truncatingIfNeeded: position) & (Self.chunkSize &- 1)
            let n = min(Self.chunkSize &- inChunk, count &- done)
            guard let chunk = ensureChunk(position &>> Self.chunkLog, upTo: inChunk &+ n, &pool)
            else { break }
            // The chunk reaches to `inChunk + n`.
            if n >= Self.uncachedCopy, pool.bytesInUse > Self.uncachedPool {
                csys_copy_uncached(chunk + inChunk, source + done, n)
            } else {
                (chunk + inChunk).copyMemory(from: source + done, byteCount: n)
            }
            done &+= n
        }
        return done
    }

    /// Copies from this length on, while the pool holds more than the caches
    /// do, go past them: the flow's next bytes come when these are long gone.
    @inline(__always) private static var uncachedCopy: Int { 256 }
    @inline(__always) private static var uncachedPool: Int { 16 << 20 }

    /// Asks for what `prefetchTail` needs.
    @inline(__always)
    public func prefetchDirectory() {
        if directoryLog != 0 {
            csys_prefetch_write(slots + Int((inOrderEnd &>> Self.chunkLog) & slotMask))
        }
    }

    /// Asks for the lines in which the next `length` in-order bytes will
    /// begin and end.
    @inline(__always)
    public func prefetchTail(_ length: UInt32) {
        guard directory != 0 else { return }
        prefetchByte(inOrderEnd)
        prefetchByte(inOrderEnd &+ UInt64(length))
    }

    @inline(__always)
    private func prefetchByte(_ position: UInt64) {
        if let chunk = chunk(position &>> Self.chunkLog) {
            // A prefetch of an address beyond a short block is harmless.
            csys_prefetch_write(chunk + (Int(truncatingIfNeeded: position) & (Self.chunkSize &- 1)))
        }
    }

    /// The chunk with that number, at least `length` bytes long.
    private mutating func ensureChunk(_ number: UInt64, upTo length: Int,
                                      _ pool: inout SlabPool) -> UnsafeMutableRawPointer? {
        let first = heldStart &>> Self.chunkLog
        if directoryLog == 0 {
            if number == first { return ensureSingle(length, &pool) }
            guard makeDirectory(number &- first, first, &pool) else { return nil }
        } else if number &- first > slotMask {
            guard growDirectory(number &- first, first, &pool) else { return nil }
        }
        let slot = slots + Int(number & slotMask)
        if slot.pointee != 0 { return block(slot.pointee) }
        guard let chunk = pool.allocate(Self.chunkSize) else { return nil }
        slot.pointee = pool.handle(of: chunk)
        chunkBytes &+= UInt32(Self.chunkSize)
        return chunk
    }

    /// The only chunk, made or grown to at least `length` bytes.
    private mutating func ensureSingle(_ length: Int, _ pool: inout SlabPool) -> UnsafeMutableRawPointer? {
        if directory != 0, length <= 1 &<< Int(singleLog) { return block(directory) }
        var log = max(Self.smallestChunkLog, singleLog)
        while 1 &<< Int(log) < length { log &+= 1 }
        guard let chunk = pool.allocate(1 &<< Int(log)) else { return nil }
        base = pool.base
        if directory != 0 {
            let old = block(directory)
            let oldSize = 1 &<< Int(singleLog)
            // The new block is longer than the old one.
            chunk.copyMemory(from: old, byteCount: oldSize)
            pool.free(old, oldSize)
        }
        directory = pool.handle(of: chunk)
        singleLog = log
        chunkBytes = 1 &<< UInt32(log)
        return chunk
    }

    /// Slots for a ring that reaches `distance` chunks beyond its first, as a
    /// power of two; nil beyond `maxSpan`.
    private static func directoryLog(reaching distance: UInt64) -> UInt8? {
        guard distance < 1 &<< UInt64(maxDirectoryLog) else { return nil }
        var log: UInt8 = 4
        while distance >> UInt64(log) != 0 { log &+= 1 }
        return log
    }

    private mutating func makeDirectory(_ distance: UInt64, _ first: UInt64,
                                        _ pool: inout SlabPool) -> Bool {
        guard let log = Self.directoryLog(reaching: distance) else { return false }
        if directory != 0, ensureSingle(Self.chunkSize, &pool) == nil { return false }
        guard let memory = pool.allocate(4 &<< Int(log)) else { return false }
        base = pool.base
        // The block has 2^log words.
        memset(memory, 0, 4 &<< Int(log))
        let only = directory
        directory = pool.handle(of: memory)
        directoryLog = log
        singleLog = 0
        slots[Int(first & slotMask)] = only
        return true
    }

    private mutating func growDirectory(_ distance: UInt64, _ first: UInt64,
                                        _ pool: inout SlabPool) -> Bool {
        guard let log = Self.directoryLog(reaching: distance),
              let memory = pool.allocate(4 &<< Int(log)) else { return false }
        memset(memory, 0, 4 &<< Int(log))
        let new = memory.assumingMemoryBound(to: UInt32.self)
        let newMask = (UInt64(1) &<< UInt64(log)) &- 1
        let old = slots
        // Both rings cover `slotMask + 1` chunks from `first` on.
        for number in first...(first &+ slotMask) {
            new[Int(number & newMask)] = old[Int(number & slotMask)]
        }
        pool.free(UnsafeMutableRawPointer(old), 4 &<< Int(directoryLog))
        directory = pool.handle(of: memory)
        directoryLog = log
        return true
    }

    /// Frees the chunks that `heldStart`, having moved on from `old`, left
    /// behind, and the one it is in if that holds nothing any more.
    private mutating func releaseChunks(from old: UInt64, _ pool: inout SlabPool) {
        let oldFirst = old &>> Self.chunkLog
        let first = heldStart &>> Self.chunkLog
        let dead = heldStart == inOrderEnd
            && (ranges.isEmpty || ranges[0].start &>> Self.chunkLog > first)
        if directoryLog == 0 {
            if directory != 0, dead || first != oldFirst { releaseAllChunks(&pool) }
            return
        }
        let passed = min(first &- oldFirst, slotMask &+ 1) &+ (dead && first &- oldFirst <= slotMask ? 1 : 0)
        var number = oldFirst
        let end = oldFirst &+ passed
        while number < end {
            releaseSlot(slots + Int(number & slotMask), &pool)
            number &+= 1
        }
    }

    /// Gives chunks that `heldStart`, having moved on from `old`, left behind
    /// the numbers of those that the bytes from `inOrderEnd` to `end` need.
    private func reuseChunks(from old: UInt64, upTo end: UInt64) {
        let first = heldStart &>> Self.chunkLog
        let last = min((end &- 1) &>> Self.chunkLog, first &+ slotMask)
        // A wider step leaves nothing to reuse, or too much to look at.
        guard first &- (old &>> Self.chunkLog) <= slotMask else { return }
        var number = old &>> Self.chunkLog
        var needed = inOrderEnd &>> Self.chunkLog
        while number < first, needed <= last {
            let gone = slots + Int(number & slotMask)
            let slot = slots + Int(needed & slotMask)
            if slot.pointee != 0 {
                needed &+= 1
            } else if gone.pointee == 0 {
                number &+= 1
            } else {
                slot.pointee = gone.pointee
                gone.pointee = 0
            }
        }
    }

    @inline(__always)
    private mutating func releaseSlot(_ slot: UnsafeMutablePointer<UInt32>, _ pool: inout SlabPool) {
        guard slot.pointee != 0 else { return }
        pool.free(block(slot.pointee), Self.chunkSize)
        slot.pointee = 0
        chunkBytes &-= UInt32(Self.chunkSize)
    }

    private mutating func releaseAllChunks(_ pool: inout SlabPool) {
        guard directory != 0 else { return }
        if directoryLog == 0 {
            pool.free(block(directory), 1 &<< Int(singleLog))
        } else {
            for i in 0...Int(slotMask) where chunkBytes != 0 { releaseSlot(slots + i, &pool) }
            pool.free(block(directory), 4 &<< Int(directoryLog))
        }
        directory = 0
        directoryLog = 0
        singleLog = 0
        chunkBytes = 0
    }

    /// Gives back the block of ranges when there are none, and everything
    /// when no byte is held.
    @inline(__always)
    private mutating func releaseIfEmpty(_ pool: inout SlabPool) {
        guard ranges.isEmpty else { return }
        ranges.releaseIfEmpty(pool: &pool)
        if heldStart == inOrderEnd { releaseAllChunks(&pool) }
    }
}
