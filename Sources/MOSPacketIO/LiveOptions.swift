import CSys

/// What follows `live:`. The slice is a part of the text that it was read from.
struct LiveOptions {
    let interface: TextSlice
    /// Bytes of the kernel's ring for each queue.
    private(set) var buffer: Int32 = 16 * 1024 * 1024

    /// Throws `EINVAL` after writing the reason to `message`.
    init(_ spec: UnsafePointer<CChar>, _ message: inout MessageWriter) throws(PortError) {
        var parts = DeviceOptions(spec)
        interface = parts.name
        if interface.isEmpty {
            message.append("live: no interface named; write live:INTERFACE")
            throw PortError(code: EINVAL)
        }
        while let option = parts.next() {
            if option.key.equals("buffer"), let size = option.value.size, size >= 65536, size <= UInt64(Int32.max) {
                buffer = Int32(size)
                continue
            }
            throw parts.refuse(option, "known is buffer= with bytes from 64K to below 2G", &message)
        }
    }
}
