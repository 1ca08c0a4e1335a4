import CMOS

/// What the forest knows about one event. Written before its id becomes known
/// and never again, except that handlers may write to the argument they get.
struct EventRecord {
    /// What filter and handler get a pointer to. The first field: a pointer to
    /// the record is a pointer to it.
    var argument: filter_arg_t
    /// nil for built-in and allocated events.
    var filter: filter_t?
    /// A second copy of the argument's bytes that nobody can write to, so that
    /// an equal definition is found whatever handlers do to theirs.
    var definition: UnsafeMutableRawPointer?
    /// Bytes in `definition`.
    var length: Int
    /// The event that this one hangs below, 0 for a built-in one.
    var parent: UInt32
    /// The built-in event at the top, one bit.
    var rootBit: UInt32
    /// Hash of parent, filter and argument, for the index of definitions.
    var hash: UInt32
    /// Made by `mtcp_alloc_event`: runs only when it is raised.
    var isAllocated: Bool
}

typealias EventRecords = UnsafeMutablePointer<EventRecord>
