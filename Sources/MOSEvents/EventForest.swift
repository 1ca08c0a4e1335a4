// Events: mos_event_type, mtcp_define_event(3), mtcp_alloc_event(3).
//
// One block of memory for the process, made at first use and never given back.
// It is large, and its pages come when they are touched:
//
//   | mutex, 128 bytes | record of event 0, 1, 2 … 4096 … | index of definitions |
//
// Records are addressed by event id. Built-in events use 12 of the first 4096
// places, user-defined ones follow as they are made and stay for ever. A record
// is complete before `count` is raised to include it (release), so whoever sees
// the id as known (acquire) reads it without a lock. Only making one takes the
// mutex.
import CMOS
import CSys
import Synchronization

/// All events of the process: the built-in ones and the trees of user-defined
/// ones below them. Every call may be made from any thread.
public enum EventForest {
    /// Id of the first user-defined event.
    public static let firstUserEvent: UInt64 = 4096

    /// How many user-defined events there can be; making one more fails.
    public static let capacity = 1 << 20

    private static let slots = capacity * 2
    private static let recordsOffset = 128
    private static let indexOffset =
        (recordsOffset + (Int(firstUserEvent) + capacity) * MemoryLayout<EventRecord>.stride + 63) & ~63
    private static let blockSize = indexOffset + slots * MemoryLayout<UInt32>.stride

    private static let base = Atomic<UnsafeMutableRawPointer?>(nil)
    /// User-defined events that are complete.
    private static let count = Atomic<Int>(0)

    // MARK: Making events

    /// An event that is raised when `parent` is and `filter` then returns true
    /// (mOS: `mtcp_define_event`).
    ///
    /// The bytes of `argument` are copied; filter and handlers get a pointer to
    /// the copy. The same parent, filter and bytes give the same event.
    ///
    /// - Returns: its id, or 0 (`MOS_NULL_EVENT`) when `filter` is nil,
    ///   `length` is not 0 but `argument` is nil, `parent` is unknown, there
    ///   are `capacity` events already or there is no memory.
    public static func define(
        parent: UInt64, filter: filter_t?, argument: UnsafeRawPointer?, length: Int
    ) -> UInt64 {
        guard let filter, length >= 0, length <= Int.max / 4, length == 0 || argument != nil,
            let base = baseIfPossible()
        else { return 0 }
        lock(base)
        defer { unlock(base) }
        let parentBit = rootBit(of: parent)
        guard parentBit != 0 else { return 0 }

        let hash = hashOfDefinition(parent, filter, argument, length)
        let index = (base + indexOffset).assumingMemoryBound(to: UInt32.self)
        let records = (base + recordsOffset).assumingMemoryBound(to: EventRecord.self)
        var slot = Int(hash) & (slots - 1)
        // At most half of the slots are in use, so the probe ends.
        while index[slot] != 0 {
            let record = records + Int(index[slot])
            if record.pointee.hash == hash, UInt64(record.pointee.parent) == parent,
                record.pointee.length == length, isSame(record.pointee.filter, filter),
                length == 0 || memcmp(record.pointee.definition!, argument!, length) == 0
            {
                return UInt64(index[slot])
            }
            slot = (slot &+ 1) & (slots - 1)
        }

        let known = count.load(ordering: .relaxed)
        guard known < capacity else { return 0 }
        var record = EventRecord(
            argument: filter_arg_t(arg: nil, len: 0), filter: filter, definition: nil, length: length,
            parent: UInt32(truncatingIfNeeded: parent), rootBit: parentBit, hash: hash, isAllocated: false)
        if length > 0 {
            let stride = (length &+ 15) & ~15
            guard let copies = malloc(stride &+ length) else { return 0 }
            memcpy(copies, argument!, length)
            memcpy(copies + stride, argument!, length)
            record.argument = filter_arg_t(arg: copies, len: length)
            record.definition = copies + stride
        }
        let id = publish(record, records, known)
        index[slot] = UInt32(truncatingIfNeeded: id)
        return id
    }

    /// A child of `parent` that runs only when `mtcp_raise_event` raises it
    /// (mOS: `mtcp_alloc_event`). A new one with each call.
    ///
    /// - Returns: its id, or 0 when `parent` is unknown, there are `capacity`
    ///   events already or there is no memory.
    public static func allocate(parent: UInt64) -> UInt64 {
        guard let base = baseIfPossible() else { return 0 }
        lock(base)
        defer { unlock(base) }
        let parentBit = rootBit(of: parent)
        let known = count.load(ordering: .relaxed)
        guard parentBit != 0, known < capacity else { return 0 }
        let record = EventRecord(
            argument: filter_arg_t(arg: nil, len: 0), filter: nil, definition: nil, length: 0,
            parent: UInt32(truncatingIfNeeded: parent), rootBit: parentBit, hash: 0, isAllocated: true)
        return publish(record, (base + recordsOffset).assumingMemoryBound(to: EventRecord.self), known)
    }

    private static func publish(_ record: EventRecord, _ records: EventRecords, _ known: Int) -> UInt64 {
        let id = firstUserEvent &+ UInt64(known)
        (records + Int(id)).initialize(to: record)
        count.store(known &+ 1, ordering: .releasing)
        return id
    }

    // MARK: Asking about events

    /// The built-in event, one bit, at the top of the tree that holds `event`;
    /// 0 when there is no such event.
    public static func rootBit(of event: UInt64) -> UInt32 {
        if BuiltInEvent.contains(event) { return UInt32(truncatingIfNeeded: event) }
        return userRecord(event)?.pointee.rootBit ?? 0
    }

    /// The event right above `event`; 0 for a built-in or unknown one.
    public static func parent(of event: UInt64) -> UInt64 {
        UInt64(userRecord(event)?.pointee.parent ?? 0)
    }

    /// Whether `event` was made by `allocate(parent:)`.
    public static func isAllocated(_ event: UInt64) -> Bool {
        userRecord(event)?.pointee.isAllocated ?? false
    }

    /// Whether `mtcp_register_callback` takes `event` at `hook`: the event is
    /// known, and the built-in one at its root is not refused there. False is
    /// `EINVAL`.
    public static func isRegistrable(event: UInt64, hook: Hook) -> Bool {
        let root = rootBit(of: event)
        return root != 0 && root & hook.refusedRoots == 0
    }

    /// The records, addressed by event id; nil without memory.
    static func recordsIfPossible() -> EventRecords? {
        baseIfPossible().map { ($0 + recordsOffset).assumingMemoryBound(to: EventRecord.self) }
    }

    /// The record of a user-defined event that is known.
    private static func userRecord(_ event: UInt64) -> EventRecords? {
        guard event >= firstUserEvent,
            event &- firstUserEvent < UInt64(count.load(ordering: .acquiring)),
            let base = base.load(ordering: .acquiring)
        else { return nil }
        return (base + recordsOffset).assumingMemoryBound(to: EventRecord.self) + Int(event)
    }

    // MARK: Storage

    private static func baseIfPossible() -> UnsafeMutableRawPointer? {
        base.load(ordering: .acquiring) ?? makeBase()
    }

    @inline(never)
    private static func makeBase() -> UnsafeMutableRawPointer? {
        guard let made = calloc(1, blockSize) else { return nil }
        pthread_mutex_init(made.assumingMemoryBound(to: pthread_mutex_t.self), nil)
        // It is all zeros: built-in records have no filter and an argument
        // of NULL and 0. Only their root is to be said.
        let records = (made + recordsOffset).assumingMemoryBound(to: EventRecord.self)
        for bit in 0..<BuiltInEvent.count {
            records[1 << bit].rootBit = 1 << UInt32(bit)
        }
        let (won, current) = base.compareExchange(
            expected: nil, desired: made, ordering: .acquiringAndReleasing)
        if won { return made }
        free(made)
        return current
    }

    private static func lock(_ base: UnsafeMutableRawPointer) {
        pthread_mutex_lock(base.assumingMemoryBound(to: pthread_mutex_t.self))
    }

    private static func unlock(_ base: UnsafeMutableRawPointer) {
        pthread_mutex_unlock(base.assumingMemoryBound(to: pthread_mutex_t.self))
    }

    // MARK: Comparing

    private static func isSame(_ a: filter_t?, _ b: filter_t) -> Bool {
        unsafeBitCast(a, to: UInt.self) == unsafeBitCast(b, to: UInt.self)
    }

    private static func hashOfDefinition(
        _ parent: UInt64, _ filter: filter_t, _ argument: UnsafeRawPointer?, _ length: Int
    ) -> UInt32 {
        var hash = PairHash.mix(parent, UInt64(unsafeBitCast(filter, to: UInt.self)))
        if let argument {
            for at in 0..<length {
                hash = (hash ^ UInt64(argument.load(fromByteOffset: at, as: UInt8.self))) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 29
            }
        }
        return UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
    }
}
