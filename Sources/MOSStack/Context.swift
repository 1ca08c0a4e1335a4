// A context: one CPU's share of the traffic, its flows, its sockets, one
// thread. Nothing of it is shared with another context, and whoever works on
// it holds its lock (ContextThread.swift).
//
// Handlers may call back into the context from almost every line of the
// packet path. So: no mutating method of a storage type calls out, nothing is
// cached across a call to `raise`, and what a handler closes or stops goes
// away only after the packet (or the delivery) is done.

import CMOS
import CPcap
import CSys
import MOSEvents
import MOSPacketIO
import MOSStorage
import MOSTCP
import MOSWire
import Synchronization

/// What a context takes from the configuration.
public struct ContextSettings {
    public var maxFlows = 100_000
    public var rmemSize: UInt32 = 8192
    public var rmemMax: UInt32 = 1 << 20
    public var memoryLimit = 1 << 30
    /// Nanoseconds; `.max`: never.
    public var idleTimeout: UInt64 = 30_000_000_000
    public var timeWait: UInt64 = 0
    /// How long TS.Recent counts, ns (RFC 7323 §5.5): 24 days.
    static let timestampLife: UInt64 = 24 * 86_400_000_000_000
    /// A silence after which a packet's flow is looked at before the packet is.
    var longSilence: UInt64 { min(idleTimeout, Self.timestampLife) }
    public var verifiesChecksums = true
    public var forwards = true
    public var buffersOff = false
    public var busyPoll = false
    /// Frames that are received at a time, 1 to `Context.burst`.
    public var burst: UInt32 = 64
    public var fragmentTimeout: UInt64 = 30_000_000_000
    public var maxFragmentedDatagrams = 1024
    public var interfaceCount = 1

    public init() {}
}

public final class Context {
    // MARK: Identity

    /// What the application holds; lives until `mtcp_destroy`.
    public let handle: mctx_t
    public let cpu: Int
    public let settings: ContextSettings
    let longSilence: UInt64

    // MARK: Storage

    var flows: FixedPool<FlowRecord>
    let extensions: UnsafeMutablePointer<FlowExtension>
    /// By flow index, of IPv6 flows only.
    let addresses6: UnsafeMutablePointer<FlowAddresses>
    /// By flow index: the way to the flow's ends on the link. Only with a
    /// `nic_forward_table` is it ever touched.
    let links: UnsafeMutablePointer<LinkHeader>
    var index: FlowIndex
    var wheel: TimingWheel
    /// Of `expire`, empty outside.
    var distant: DeadlineHeap
    var memory: SlabPool
    /// All ids of sockets, and the records of those that are no flow's own.
    var sockets: FixedPool<SocketRecord>
    /// By id: the flow whose own socket it is, plus one; 0: none's.
    let socketOwners: UnsafeMutablePointer<UInt32>
    let socketOptions: UnsafeMutablePointer<SocketOptions>
    var sets: EventSetTable
    let dispatcher: DispatchStack
    var timers = TimerHeap()
    var fragments: FragmentReassembler
    let seed: FlowHashSeed

    // MARK: The chain

    /// Listeners and raw sockets in the order of their creation, and their
    /// filters.
    var listeners: Chain
    var raws: Chain
    /// OR of the event masks: lets the path skip what nobody wants.
    var orphanWanted = false
    /// A handler closed a listener or raw socket.
    var closing = false

    /// The reservation behind the arrays below.
    let scratch: UnsafeMutableRawPointer

    // MARK: The burst

    /// Nanoseconds: the wall clock, or the packets' (`02-monitor.md` §8).
    public internal(set) var now: UInt64 = 0
    /// While timers and timeouts run, what `now` will be after them.
    var comingTime: UInt64 = 0
    let packets: UnsafeMutablePointer<Packet>
    let candidates: UnsafeMutablePointer<UInt32>
    let segments: UnsafeMutablePointer<BurstSegment>
    var segmentCount = 0
    /// Flow index and side of the flows with new data, in the order in which
    /// they got it: index << 1 | side; `.max`: struck out.
    let newData: UnsafeMutablePointer<UInt64>
    var newDataCount = 0
    /// Flows whose stopped sockets are to be looked over.
    let stops: UnsafeMutablePointer<UInt32>
    var stopCount = 0
    /// More flows than `stops` has room for.
    var stopsOverflow = false

    // MARK: The current packet

    var current = CurrentPacket()
    let outFrame: UnsafeMutablePointer<UInt8>
    let copyFrame: UnsafeMutablePointer<UInt8>

    // MARK: Statistics

    public let stats: UnsafeMutablePointer<mos_stats>
    /// By interface.
    let portStats: UnsafeMutablePointer<mos_stats>

    // MARK: Way out

    var forwarder: Forwarder

    // MARK: Thread

    let thread: ContextThread
    /// Set before the thread starts.
    var inputs = Inputs([])

    public static let burst = 64
    /// A frame that the stack makes or changes is at most this long.
    static let frameRoom = 65_536 + 256

    static func maxSockets(_ maxFlows: Int) -> Int { 2 * maxFlows + 64 }

    /// nil when the system has no address space for it.
    init?(cpu: Int, settings: ContextSettings, forwarder: Forwarder, virtualClock: Bool) {
        let maxFlows = settings.maxFlows
        guard let handle = calloc(1, MemoryLayout<mtcp_context>.size)?.assumingMemoryBound(to: mtcp_context.self),
            let flows = FixedPool<FlowRecord>(capacity: maxFlows),
            let extensions = csys_reserve(maxFlows * MemoryLayout<FlowExtension>.stride),
            let addresses6 = csys_reserve(maxFlows * MemoryLayout<FlowAddresses>.stride),
            let socketOwners = csys_reserve(Self.maxSockets(maxFlows) * 4),
            let socketOptions = csys_reserve(Self.maxSockets(maxFlows) * MemoryLayout<SocketOptions>.stride),
            let links = csys_reserve(maxFlows * MemoryLayout<LinkHeader>.stride),
            // Translated flows stand in it twice.
            let index = FlowIndex(capacity: maxFlows * 2),
            let wheel = TimingWheel(capacity: maxFlows),
            let distant = DeadlineHeap(capacity: maxFlows),
            let memory = SlabPool(limit: settings.memoryLimit),
            let sockets = FixedPool<SocketRecord>(capacity: Self.maxSockets(maxFlows)),
            let sets = EventSetTable(),
            let dispatcher = DispatchStack(),
            let listeners = Chain(),
            let raws = Chain(),
            let fragments = FragmentReassembler(
                maxDatagrams: settings.maxFragmentedDatagrams, timeout: settings.fragmentTimeout),
            let scratch = csys_reserve(Self.scratchSize(settings)),
            let thread = ContextThread(virtualClock: virtualClock)
        else { return nil }
        handle.pointee.cpu = Int32(cpu)
        self.handle = handle
        self.cpu = cpu
        self.settings = settings
        longSilence = settings.longSilence
        self.flows = flows
        self.extensions = extensions.assumingMemoryBound(to: FlowExtension.self)
        self.addresses6 = addresses6.assumingMemoryBound(to: FlowAddresses.self)
        self.socketOwners = socketOwners.assumingMemoryBound(to: UInt32.self)
        self.socketOptions = socketOptions.assumingMemoryBound(to: SocketOptions.self)
        self.links = links.assumingMemoryBound(to: LinkHeader.self)
        self.index = index
        self.wheel = wheel
        self.distant = distant
        self.memory = memory
        self.sockets = sockets
        self.sets = sets
        self.dispatcher = dispatcher
        self.listeners = listeners
        self.raws = raws
        self.fragments = fragments
        self.forwarder = forwarder
        self.thread = thread
        seed = FlowHashSeed(RandomSource.word(), RandomSource.word())

        self.scratch = scratch
        // One reservation, cut up; every piece is a multiple of 64 bytes.
        var cut = scratch
        func take<T>(_ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
            defer { cut += (MemoryLayout<T>.stride * count + 63) & ~63 }
            return cut.bindMemory(to: type, capacity: count)
        }
        packets = take(Packet.self, Self.burst + 2)
        candidates = take(UInt32.self, Self.candidateRoom)
        segments = take(BurstSegment.self, Self.segmentRoom)
        newData = take(UInt64.self, Self.newDataRoom)
        stops = take(UInt32.self, Self.stopRoom)
        outFrame = take(UInt8.self, Self.frameRoom)
        copyFrame = take(UInt8.self, Self.frameRoom * 4)
        stats = take(mos_stats.self, 1)
        portStats = take(mos_stats.self, settings.interfaceCount)
    }

    /// At most one segment for each packet of a burst.
    static let segmentRoom = 128
    static let newDataRoom = 512
    static let stopRoom = 512

    static func scratchSize(_ settings: ContextSettings) -> Int {
        MemoryLayout<Packet>.stride * (burst + 2) + 4 * candidateRoom + MemoryLayout<BurstSegment>.stride * segmentRoom
            + 8 * newDataRoom + 4 * stopRoom + frameRoom * 5
            + MemoryLayout<mos_stats>.stride * (1 + settings.interfaceCount) + 64 * 16
    }

    // MARK: Small things that everybody needs

    @inline(__always)
    func flow(_ index: UInt32) -> FlowPointer { flows.near(index) }

    /// The socket of an id: in its flow's record, or in the pool.
    @inline(__always)
    func socket(_ id: UInt32) -> SocketPointer {
        let owner = socketOwners[Int(id)]
        return owner == 0 ? sockets.near(id) : flow(owner &- 1).ownSocket
    }

    @inline(__always)
    func options(_ id: UInt32) -> UnsafeMutablePointer<SocketOptions> { socketOptions + Int(id) }

    /// Of an id that `find` has found.
    func options(_ id: Int32) -> UnsafeMutablePointer<SocketOptions> { options(UInt32(bitPattern: id)) }

    /// The flow's extension, made when it has none.
    func extend(_ index: UInt32) -> UnsafeMutablePointer<FlowExtension> {
        let record = flow(index)
        let beside = extensions + Int(index)
        if !record.pointee.flags.contains(.extended) {
            memset(beside, 0, MemoryLayout<FlowExtension>.size)
            // Zeros are not nil.
            beside.pointee.clientDoubts = Doubts()
            beside.pointee.serverDoubts = Doubts()
            record.pointee.flags.insert(.extended)
        }
        return beside
    }

    func irregularities(_ index: UInt32, _ side: Int) -> UnsafeMutablePointer<FlowIrregularities> {
        let beside = extend(index)
        // The two are the extension's first fields.
        return UnsafeMutableRawPointer(beside).assumingMemoryBound(to: FlowIrregularities.self) + side
    }
}

/// In-order payload that still lies in its frame.
struct BurstSegment {
    var bytes: UnsafePointer<UInt8>
    var length: UInt32
    /// The next one of the same flow and side.
    var next: UInt8
}

/// The packet that handlers can look at and change.
struct CurrentPacket {
    /// nil: there is none.
    var packet: UnsafePointer<Packet>?
    /// `poolNil` for an orphan or a raw socket's packet.
    var flow: UInt32 = poolNil
    var isDropped = false
    /// The frame in `outFrame` replaces the received one.
    var isModified = false
    /// Bytes in `outFrame`, and what its headers say now.
    var modified: Packet?
    /// Where the IP packet in `outFrame` ends, whatever total length has been
    /// written into its header meanwhile.
    var contentEnd = 0
    /// 0 for a packet of the client, 1 of the server.
    var sender = 0
}
