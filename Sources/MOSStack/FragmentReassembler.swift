// RFC 791 §3.2, RFC 815, RFC 8200 §4.5, RFC 5722 and RFC 6946, with the
// choices that Linux 6 makes where they leave any: a monitor must put together
// what the ends put together, and nothing else.

import CSys
import MOSStorage
import MOSWire

/// Puts IPv4 and IPv6 datagrams together from their fragments.
///
/// As a Linux 6 host does it (observed on 6.18):
/// - A fragment that lies inside one run of those that have come is a
///   duplicate and is thrown away; the first copy stays. A run is what arrived
///   in ascending order at the datagram's end, or a single fragment that
///   filled a hole. Any other overlap throws away the whole datagram, and
///   what comes next begins a new one.
/// - The datagram is thrown away by a fragment without bytes, by a second end
///   that differs from the first, by bytes behind the end, and, when it is
///   complete, for being longer than 65 535 bytes or for mixing Not-ECT
///   with other ECN codepoints (RFC 3168 §5.3).
/// - A fragment that is not the last and not a multiple of 8 bytes long is
///   cut to one (IPv4) or thrown away (IPv6). One of IPv6 that ends beyond
///   65 535 is thrown away.
/// - An IPv4 datagram starts afresh when more than 64 fragments of other
///   datagrams came between two of its own from the same host to the same
///   host (`ipfrag_max_dist`).
/// - Time counts from the first fragment (or the fresh start) and is not
///   prolonged. IPv6 gets twice as long, in the proportion of Linux's 30 s
///   and 60 s.
/// - At the limits of number and memory new fragments are refused; old
///   datagrams stay until their time is over. Memory is limited to 4 KiB for
///   each of `maxDatagrams`, at least 4 MiB (`ipfrag_high_thresh`).
///
/// A fragment that the capture cut keeps its place, so that the datagram ends
/// when it does for the receiver, but never as a whole one.
///
/// A fragment costs a bounded number of steps: the bits of its range, one
/// copy, and at most 16 datagrams whose time is over.
///
/// The value owns its memory: keep exactly one copy and call `destroy()`.
struct FragmentReassembler {
    /// An Ethernet frame, valid until the next `add`.
    struct Datagram {
        var bytes: UnsafeMutablePointer<UInt8>
        var length: Int
    }

    /// Fragments thrown away since `init`: every one given to `add` that did
    /// not become part of a datagram and waits for none.
    private(set) var droppedFragments: UInt64 = 0

    private var queues: FixedPool<FragmentQueue>
    private var index: FlowIndex
    private var peers: FixedPool<FragmentPeer>
    private var peerIndex: FlowIndex
    private var chunks: FixedPool<FragmentChunk>
    private var heads: SlabPool
    private var age4 = FragmentQueueList()
    private var age6 = FragmentQueueList()
    private let output: UnsafeMutableRawPointer
    private let secret = FragmentSecret()
    private let maxDatagrams: Int
    private let memoryLimit: Int
    private let timeout4: UInt64
    private let timeout6: UInt64

    /// Ethernet with tags, a fixed IPv6 header and 65 535 bytes.
    private static var outputSize: Int { 65536 + 1024 }
    /// `ipfrag_max_dist`.
    private static var furthestPeerCount: UInt32 { 64 }

    /// - Parameters:
    ///   - maxDatagrams: datagrams that are waited for at a time, 0 … 2²⁰; 0:
    ///     every fragment is dropped.
    ///   - timeout: nanoseconds that an IPv4 datagram is waited for.
    /// Nil when out of range or when the system has no address space.
    init?(maxDatagrams: Int, timeout: UInt64) {
        guard maxDatagrams >= 0, maxDatagrams <= 1 << 20 else { return nil }
        let capacity = Swift.max(maxDatagrams, 1)
        let limit = Swift.max(capacity * 4096, 4 << 20)
        let queues = FixedPool<FragmentQueue>(capacity: capacity, stride: FragmentQueue.stride)
        let index = FlowIndex(capacity: capacity)
        let peers = FixedPool<FragmentPeer>(capacity: capacity)
        let peerIndex = FlowIndex(capacity: capacity)
        let chunks = FixedPool<FragmentChunk>(
            capacity: limit / FragmentChunk.stride + 1, stride: FragmentChunk.stride)
        let heads = SlabPool(limit: limit)
        let output = csys_reserve(Self.outputSize)
        guard let queues, let index, let peers, let peerIndex, let chunks, let heads, let output else {
            queues?.destroy()
            index?.destroy()
            peers?.destroy()
            peerIndex?.destroy()
            chunks?.destroy()
            heads?.destroy()
            if let output { csys_unreserve(output, Self.outputSize) }
            return nil
        }
        self.queues = queues
        self.index = index
        self.peers = peers
        self.peerIndex = peerIndex
        self.chunks = chunks
        self.heads = heads
        self.output = output
        self.maxDatagrams = maxDatagrams
        memoryLimit = limit
        timeout4 = timeout
        let doubled = timeout.multipliedReportingOverflow(by: 2)
        timeout6 = doubled.overflow ? .max : doubled.partialValue
    }

    /// Datagrams that are waited for.
    var datagramCount: Int { queues.count }

    /// Memory in use for them; at most the limit.
    var bytesInUse: Int {
        queues.count &* FragmentQueue.stride &+ chunks.count &* FragmentChunk.stride &+ heads.bytesInUse
    }

    /// Takes a fragment (`p.kind` is `.fragment`), whose bytes are copied.
    /// When it completes its datagram, the whole of it in one frame: the first
    /// fragment's Ethernet and IP headers, with length, fragment field and
    /// checksum of IPv4, or next-header chain and payload length of IPv6, made
    /// right. `now`: nanoseconds; may go backwards and may wrap.
    mutating func add(_ p: UnsafePointer<Packet>, now: UInt64) -> Datagram? {
        expire(now)
        guard let fragment = FragmentView(p), let found = find(fragment.key, now) else {
            droppedFragments &+= 1
            return nil
        }
        let q = queues.pointer(found)
        if q.pointee.peer != poolNil { countPeer(found, now) }
        if fragment.key.version == 6, fragment.end > 65535 || (fragment.hasMore && fragment.end & 7 != 0) {
            droppedFragments &+= 1
            return nil
        }
        let before = (q.pointee.length, q.pointee.flags)
        switch place(fragment, found) {
        case .refused:
            (q.pointee.length, q.pointee.flags) = before
            droppedFragments &+= 1
            return nil
        case .duplicate:
            droppedFragments &+= 1
            return nil
        case .corrupt:
            droppedFragments &+= 1
            discard(found)
            return nil
        case .new:
            break
        }
        store(fragment, p, found)
        guard q.pointee.flags.contains([.first, .last]), q.pointee.received == q.pointee.length else { return nil }
        return finish(found)
    }

    /// Gives the memory back; what is still held counts as dropped. Nothing
    /// else of the value may be used after.
    mutating func destroy() {
        while age4.first != poolNil { discard(age4.first) }
        while age6.first != poolNil { discard(age6.first) }
        queues.destroy()
        index.destroy()
        peers.destroy()
        peerIndex.destroy()
        chunks.destroy()
        heads.destroy()
        csys_unreserve(output, Self.outputSize)
    }

    // MARK: Time

    private func isOver(_ queue: UInt32, _ now: UInt64) -> Bool {
        // The distance in either direction: after a jump backwards by more
        // than the timeout nothing old is waited for any more.
        let age = Int64(bitPattern: now &- queues[queue].created).magnitude
        return age >= (queues[queue].key.version == 4 ? timeout4 : timeout6)
    }

    /// Frees up to eight of each version, oldest first; each `add` makes at
    /// most one new.
    private mutating func expire(_ now: UInt64) {
        for _ in 0..<8 {
            guard age4.first != poolNil, isOver(age4.first, now) else { break }
            discard(age4.first)
        }
        for _ in 0..<8 {
            guard age6.first != poolNil, isOver(age6.first, now) else { break }
            discard(age6.first)
        }
    }

    // MARK: Queues

    /// The fragment's datagram, new if need be. Nil at a limit.
    private mutating func find(_ key: FragmentKey, _ now: UInt64) -> UInt32? {
        let hash = key.hash(secret)
        var probe = index.probe(hash: hash)
        while let found = probe.next() {
            guard queues[found].key == key else { continue }
            if !isOver(found, now) { return found }
            discard(found)
            break
        }
        guard queues.count < maxDatagrams, bytesInUse &+ FragmentQueue.stride <= memoryLimit else { return nil }
        var peer = poolNil
        if key.version == 4 {
            guard let known = takePeer(key) else { return nil }
            peer = known
        }
        guard let new = queues.allocate() else {
            releasePeer(peer)
            return nil
        }
        guard index.insert(hash: hash, index: new) else {
            queues.free(new)
            releasePeer(peer)
            return nil
        }
        queues.pointer(new).initialize(to: FragmentQueue(key: key, hash: hash, created: now))
        queues[new].peer = peer
        let table = chunkTable(new)
        for i in 0..<FragmentChunk.mostInDatagram { table[i] = poolNil }
        if key.version == 4 { age4.append(new, queues) } else { age6.append(new, queues) }
        return new
    }

    /// Throws a datagram away.
    private mutating func discard(_ queue: UInt32) {
        droppedFragments &+= UInt64(queues[queue].held)
        remove(queue)
    }

    private mutating func remove(_ queue: UInt32) {
        empty(queue)
        if queues[queue].key.version == 4 { age4.remove(queue, queues) } else { age6.remove(queue, queues) }
        releasePeer(queues[queue].peer)
        _ = index.remove(hash: queues[queue].hash, index: queue)
        queues.free(queue)
    }

    /// Gives back the memory of what the datagram holds.
    private mutating func empty(_ queue: UInt32) {
        let q = queues.pointer(queue)
        if q.pointee.head != 0 {
            heads.free(heads.pointer(q.pointee.head), Int(q.pointee.headLength))
            q.pointee.head = 0
        }
        let table = chunkTable(queue)
        for i in 0..<FragmentChunk.mostInDatagram where table[i] != poolNil {
            chunks.free(table[i])
            table[i] = poolNil
        }
    }

    @inline(__always)
    private func chunkTable(_ queue: UInt32) -> UnsafeMutablePointer<UInt32> {
        // The record's stride has room for the table behind the queue.
        (UnsafeMutableRawPointer(queues.pointer(queue)) + FragmentQueue.chunkTableOffset)
            .assumingMemoryBound(to: UInt32.self)
    }

    @inline(__always)
    private func chunk(_ number: UInt32) -> FragmentChunkPointer {
        FragmentChunkPointer(chunks.pointer(number))
    }

    // MARK: Pairs of hosts

    private mutating func takePeer(_ key: FragmentKey) -> UInt32? {
        let source = UInt32(truncatingIfNeeded: key.source0)
        let destination = UInt32(truncatingIfNeeded: key.destination0)
        let hash = FragmentPeer.key(source, destination).hash(secret)
        var probe = peerIndex.probe(hash: hash)
        while let found = probe.next() {
            guard peers[found].source == source, peers[found].destination == destination else { continue }
            peers[found].users &+= 1
            return found
        }
        guard let new = peers.allocate() else { return nil }
        guard peerIndex.insert(hash: hash, index: new) else {
            peers.free(new)
            return nil
        }
        peers.pointer(new).initialize(to: FragmentPeer(source: source, destination: destination, count: 0, users: 1))
        return new
    }

    private mutating func releasePeer(_ peer: UInt32) {
        guard peer != poolNil else { return }
        peers[peer].users &-= 1
        guard peers[peer].users == 0 else { return }
        let hash = FragmentPeer.key(peers[peer].source, peers[peer].destination).hash(secret)
        _ = peerIndex.remove(hash: hash, index: peer)
        peers.free(peer)
    }

    /// Counts a fragment, and lets its datagram start afresh if too many of
    /// others came since its last one.
    private mutating func countPeer(_ queue: UInt32, _ now: UInt64) {
        let q = queues.pointer(queue)
        let peer = peers.pointer(q.pointee.peer)
        peer.pointee.count &+= 1
        let distance = peer.pointee.count &- q.pointee.peerCount
        q.pointee.peerCount = peer.pointee.count
        guard q.pointee.tail != 0, distance > Self.furthestPeerCount else { return }
        droppedFragments &+= UInt64(q.pointee.held)
        empty(queue)
        age4.remove(queue, queues)
        var fresh = FragmentQueue(key: q.pointee.key, hash: q.pointee.hash, created: now)
        fresh.peer = q.pointee.peer
        fresh.peerCount = q.pointee.peerCount
        q.initialize(to: fresh)
        age4.append(queue, queues)
    }

    // MARK: Ranges

    private enum Placement {
        case new
        case duplicate
        /// The datagram cannot be what its sender meant.
        case corrupt
        /// No memory.
        case refused
    }

    /// Marks the fragment's range, with memory for its bytes behind it.
    private mutating func place(_ fragment: FragmentView, _ queue: UInt32) -> Placement {
        let q = queues.pointer(queue)
        let end = Int32(truncatingIfNeeded: fragment.end)
        let start = Int32(truncatingIfNeeded: fragment.start)
        if !fragment.hasMore {
            if end < q.pointee.length { return .corrupt }
            if q.pointee.flags.contains(.last), end != q.pointee.length { return .corrupt }
            q.pointee.flags.insert(.last)
            q.pointee.length = end
        } else if end > q.pointee.length {
            if q.pointee.flags.contains(.last) { return .corrupt }
            q.pointee.length = end
        }
        if end == start { return .corrupt }

        var beginsRun = true
        if q.pointee.tail != 0 {
            if q.pointee.tail < end {
                if start < q.pointee.tail { return .corrupt }
                beginsRun = start != q.pointee.tail
            } else {
                let (covered, isOneRun) = survey(fragment, queue)
                if covered == (fragment.end &+ 7) / 8 &- fragment.start / 8, isOneRun { return .duplicate }
                if covered != 0 { return .corrupt }
            }
        }
        guard reserve(fragment, queue) else { return .refused }
        mark(fragment, queue, beginsRun)
        q.pointee.tail = Swift.max(q.pointee.tail, end)
        q.pointee.received &+= end &- start
        return .new
    }

    /// Calls the body with each chunk's place in the table that the range
    /// touches, and the units `from ..< to` in it.
    @inline(__always)
    private static func forEachChunk(_ fragment: FragmentView, _ body: (_ i: Int, _ from: Int, _ to: Int) -> Void) {
        let first = fragment.start / 8
        // At most 16 381: the table has room for 16 384 units.
        let end = (fragment.end &+ 7) / 8
        var unit = first
        while unit < end {
            let i = unit / FragmentChunk.units
            let stop = Swift.min(end, (i &+ 1) &* FragmentChunk.units)
            body(i, unit &- i &* FragmentChunk.units, stop &- i &* FragmentChunk.units)
            unit = stop
        }
    }

    /// How many units of the range have come, and whether no run begins behind
    /// its first unit.
    private func survey(_ fragment: FragmentView, _ queue: UInt32) -> (covered: Int, isOneRun: Bool) {
        let table = chunkTable(queue)
        var covered = 0
        var isOneRun = true
        let first = fragment.start / 8
        Self.forEachChunk(fragment) { i, from, to in
            guard table[i] != poolNil else { return }
            let chunk = chunk(table[i])
            covered &+= chunk.covered(from, to)
            let isFirst = i &* FragmentChunk.units &+ from == first
            if chunk.hasStart(isFirst ? from &+ 1 : from, to) { isOneRun = false }
        }
        return (covered, isOneRun)
    }

    /// Gets the chunks of the range, and a block for the headers of a first
    /// fragment. What it got before it failed stays with the datagram.
    private mutating func reserve(_ fragment: FragmentView, _ queue: UInt32) -> Bool {
        let q = queues.pointer(queue)
        if fragment.start == 0 {
            if q.pointee.head != 0 {
                // Of a first fragment that was refused: its headers may have
                // had another length.
                heads.free(heads.pointer(q.pointee.head), Int(q.pointee.headLength))
                q.pointee.head = 0
            }
            let size = SlabPool.blockSize(for: fragment.headLength)
            guard bytesInUse &+ size <= memoryLimit, let head = heads.allocate(fragment.headLength) else { return false }
            q.pointee.head = heads.handle(of: head)
            q.pointee.headLength = UInt32(truncatingIfNeeded: fragment.headLength)
        }
        let table = chunkTable(queue)
        // In the table: the range ends below 131 072.
        for i in fragment.start / FragmentChunk.bytes...(fragment.end &- 1) / FragmentChunk.bytes
        where table[i] == poolNil {
            guard bytesInUse &+ FragmentChunk.stride <= memoryLimit, let new = chunks.allocate() else { return false }
            chunk(new).clear()
            table[i] = new
        }
        return true
    }

    private func mark(_ fragment: FragmentView, _ queue: UInt32, _ beginsRun: Bool) {
        let table = chunkTable(queue)
        let first = fragment.start / 8
        Self.forEachChunk(fragment) { i, from, to in
            let chunk = chunk(table[i])
            chunk.cover(from, to)
            if beginsRun, i &* FragmentChunk.units &+ from == first { chunk.start(at: from) }
        }
    }

    // MARK: Bytes

    private mutating func store(_ fragment: FragmentView, _ p: UnsafePointer<Packet>, _ queue: UInt32) {
        let q = queues.pointer(queue)
        q.pointee.ecn |= fragment.ecn
        if fragment.start == 0 {
            q.pointee.flags.insert(.first)
            q.pointee.ipOffset = p.pointee.ipOffset
            q.pointee.nextHeader = fragment.nextHeader
            q.pointee.nextHeaderField = UInt16(truncatingIfNeeded: fragment.nextHeaderField)
            // The block has the head's length, and the parser has seen the
            // headers in the frame.
            memcpy(heads.pointer(q.pointee.head), p.pointee.frame, Int(q.pointee.headLength))
        }
        guard fragment.isCaptured else {
            q.pointee.flags.insert(.cut)
            droppedFragments &+= 1
            return
        }
        q.pointee.held &+= 1
        guard !q.pointee.flags.contains(.cut) else { return }
        let table = chunkTable(queue)
        var position = fragment.start
        var from = p.pointee.frame + fragment.payload
        while position < fragment.end {
            let inChunk = position & (FragmentChunk.bytes &- 1)
            let count = Swift.min(FragmentChunk.bytes &- inChunk, fragment.end &- position)
            // Inside the chunk by `count`, inside the frame because the whole
            // fragment was captured.
            memcpy(chunk(table[position / FragmentChunk.bytes]).data + inChunk, from, count)
            position &+= count
            from += count
        }
    }

    /// Makes the frame of a complete datagram, if it may be one.
    private mutating func finish(_ queue: UInt32) -> Datagram? {
        let q = queues.pointer(queue).pointee
        let head = Int(q.headLength)
        let length = Int(q.length)
        let ip = Int(q.ipOffset)
        let isIPv4 = q.key.version == 4
        // Not-ECT is bit 0.
        let mixesECN = q.ecn & 1 != 0 && q.ecn & ~1 != 0
        let total = head &- ip &+ length
        guard !q.flags.contains(.cut), !mixesECN, total <= (isIPv4 ? 65535 : 40 &+ 65535),
            head &+ length <= Self.outputSize
        else {
            discard(queue)
            return nil
        }
        let bytes = output.assumingMemoryBound(to: UInt8.self)
        memcpy(bytes, heads.pointer(q.head), head)
        let table = chunkTable(queue)
        var position = 0
        while position < length {
            let count = Swift.min(FragmentChunk.bytes, length &- position)
            // In bounds: head and payload fit, as checked, and every chunk is
            // there because every byte has come.
            memcpy(bytes + (head &+ position), chunk(table[position / FragmentChunk.bytes]).data, count)
            position &+= count
        }
        // Congestion seen by one fragment was seen by the datagram.
        let isCongested = q.ecn & 8 != 0 && q.ecn & 6 != 0
        // In bounds: the head holds the whole IP header.
        if isIPv4 {
            if isCongested { bytes[ip &+ 1] |= 3 }
            bytes.storeBigEndian16(UInt16(truncatingIfNeeded: total), ip &+ 2)
            bytes.storeBigEndian16(0, ip &+ 6)
            bytes.storeBigEndian16(0, ip &+ 10)
            let sum = Checksum.sum(UnsafePointer(bytes) + ip, head &- ip)
            UnsafeMutableRawPointer(bytes + ip + 10).storeBytes(of: Checksum.field(sum), as: UInt16.self)
        } else {
            // A hop-by-hop header here is not the first one, which only the
            // fragment header shows.
            if q.nextHeader == 0 || ExtensionHeader.holdsFragmentHeader(bytes, head, head &+ length, q.nextHeader) {
                discard(queue)
                return nil
            }
            if isCongested { bytes[ip &+ 1] |= 0x30 }
            bytes.storeBigEndian16(UInt16(truncatingIfNeeded: total &- 40), ip &+ 4)
            bytes[Int(q.nextHeaderField)] = q.nextHeader
        }
        remove(queue)
        return Datagram(bytes: bytes, length: head &+ length)
    }
}
