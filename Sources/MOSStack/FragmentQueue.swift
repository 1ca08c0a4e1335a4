import MOSStorage

/// A datagram of which some fragments have come, or one of which nothing
/// usable has come but whose time runs. Behind it in its record lie the
/// numbers of its chunks.
struct FragmentQueue {
    var key: FragmentKey
    /// Nanoseconds; its time counts from here.
    var created: UInt64
    var hash: UInt32
    /// In the list of its version, by age; `poolNil` at the ends.
    var next: UInt32
    var previous: UInt32
    /// IPv4: the counter of its pair of hosts; `poolNil` for IPv6.
    var peer: UInt32
    /// IPv4: what that counter showed when the last fragment came.
    var peerCount: UInt32
    /// Fragments that it holds and that `droppedFragments` has not counted.
    var held: UInt32
    /// The end of the fragment that reaches furthest, refused ones included.
    var length: Int32
    /// The end of the run that lies last; 0 while it holds nothing.
    var tail: Int32
    /// Payload bytes that have come.
    var received: Int32
    /// The first fragment's bytes up to its payload (or fragment header): a
    /// block of the pool of heads, 0 for none.
    var head: UInt32
    var headLength: UInt32
    var ipOffset: UInt16
    var nextHeaderField: UInt16
    var nextHeader: UInt8
    /// The OR of its fragments' ECN bits.
    var ecn: UInt8
    var flags: FragmentQueueFlags

    @inline(__always) static var chunkTableOffset: Int { 128 }
    /// Bytes of memory for one.
    @inline(__always) static var stride: Int { chunkTableOffset + FragmentChunk.mostInDatagram * 4 }

    @inline(__always)
    init(key: FragmentKey, hash: UInt32, created: UInt64) {
        self.key = key
        self.hash = hash
        self.created = created
        next = poolNil
        previous = poolNil
        peer = poolNil
        peerCount = 0
        held = 0
        length = 0
        tail = 0
        received = 0
        head = 0
        headLength = 0
        ipOffset = 0
        nextHeaderField = 0
        nextHeader = 0
        ecn = 0
        flags = []
    }
}

struct FragmentQueueFlags: OptionSet {
    var rawValue: UInt8
    /// The fragment with offset 0 has come.
    static let first = FragmentQueueFlags(rawValue: 1)
    /// One without the more-fragments flag has come, if only as a duplicate.
    static let last = FragmentQueueFlags(rawValue: 2)
    /// Bytes of some fragment were not captured.
    static let cut = FragmentQueueFlags(rawValue: 4)
}

/// How many IPv4 fragments one host has sent to another.
struct FragmentPeer {
    var source: UInt32
    var destination: UInt32
    /// Counts while a datagram of the pair is waited for.
    var count: UInt32
    /// Those datagrams.
    var users: UInt32

    @inline(__always)
    static func key(_ source: UInt32, _ destination: UInt32) -> FragmentKey {
        FragmentKey(ipv4: source, destination, identification: 0, protocol: 0)
    }
}
