import CMOS
import CPcap
import CSys

// Guarded by cpcap_registry_lock.
nonisolated(unsafe) private var registered: UnsafeMutablePointer<mos_io_ops>?
nonisolated(unsafe) private var registeredCount = 0

/// The backends by scheme: `pcap`, `live` and `null`, and those that programs
/// add with `mos_io_register`.
public enum BackendRegistry {
    private static let most = 16

    /// Makes a backend known; copies the table and its scheme, which then live
    /// as long as the process. Any thread.
    ///
    /// Returns 0 or an errno value: `EINVAL` (nil, another `MOS_IO_ABI`, a bad
    /// scheme, a required function missing), `EEXIST`, `ENOMEM` (more than 16).
    public static func register(_ ops: UnsafePointer<mos_io_ops>?) -> Int32 {
        guard let ops, ops.pointee.abi == UInt32(MOS_IO_ABI), let name = ops.pointee.scheme else { return EINVAL }
        let scheme = TextSlice(cString: name)
        guard isScheme(scheme), ops.pointee.open != nil, ops.pointee.recv != nil, ops.pointee.close != nil
        else { return EINVAL }
        let sends = (ops.pointee.tx_frame != nil, ops.pointee.tx_send != nil, ops.pointee.tx_forward != nil)
        guard sends.0 == sends.1, sends.1 == sends.2 else { return EINVAL }

        cpcap_registry_lock()
        defer { cpcap_registry_unlock() }
        if builtIn(scheme) != nil || findRegistered(scheme) != nil { return EEXIST }
        if registered == nil {
            guard let memory = calloc(most, MemoryLayout<mos_io_ops>.stride) else { return ENOMEM }
            registered = memory.bindMemory(to: mos_io_ops.self, capacity: most)
        }
        guard registeredCount < most, let table = registered, let copy = scheme.copy() else { return ENOMEM }
        table[registeredCount] = ops.pointee
        table[registeredCount].scheme = UnsafePointer(copy)
        fillOptional(table + registeredCount)
        registeredCount += 1
        return 0
    }

    /// The backend of a scheme.
    static func find(_ scheme: TextSlice) -> mos_io_ops? {
        if let ops = builtIn(scheme) { return ops }
        cpcap_registry_lock()
        defer { cpcap_registry_unlock() }
        return findRegistered(scheme)
    }

    /// `pcap live null …`, for messages.
    static func describe(_ message: inout MessageWriter) {
        message.append("pcap live null")
        cpcap_registry_lock()
        defer { cpcap_registry_unlock() }
        guard let table = registered else { return }
        for i in 0..<registeredCount {
            message.append(" ")
            message.append(table[i].scheme)
        }
    }

    /// 1 to 31 of a-z 0-9 _ - +, a letter first.
    static func isScheme(_ name: TextSlice) -> Bool {
        guard name.count >= 1, name.count <= 31, name[0] >= 97, name[0] <= 122 else { return false }
        for i in 0..<name.count {
            switch name[i] {
            case 97...122, 48...57, 95, 45, 43: continue
            default: return false
            }
        }
        return true
    }

    private static func builtIn(_ scheme: TextSlice) -> mos_io_ops? {
        if scheme.equals("pcap") { return pcapBackend() }
        if scheme.equals("live") { return liveBackend() }
        if scheme.equals("null") { return nullBackend() }
        return nil
    }

    private static func findRegistered(_ scheme: TextSlice) -> mos_io_ops? {
        guard let table = registered else { return nil }
        for i in 0..<registeredCount {
            guard let name = table[i].scheme else { continue }
            if scheme.equals(cString: name) { return table[i] }
        }
        return nil
    }

    /// So that a call through the table never has to ask whether it is there.
    private static func fillOptional(_ ops: UnsafeMutablePointer<mos_io_ops>) {
        if ops.pointee.wait_fd == nil { ops.pointee.wait_fd = { _, _ in -1 } }
        if ops.pointee.tx_frame == nil {
            ops.pointee.tx_frame = { _, _, _ in nil }
            ops.pointee.tx_send = { _, _, _, _, _ in ENOTSUP }
            ops.pointee.tx_forward = { _, _, _ in ENOTSUP }
        }
        if ops.pointee.tx_flush == nil { ops.pointee.tx_flush = { _, _ in } }
        if ops.pointee.stats == nil { ops.pointee.stats = { _, _ in } }
    }

    /// A string of the program itself as a C string.
    static func cString(_ text: StaticString) -> UnsafePointer<CChar> {
        // Safe: a StaticString literal is NUL-terminated and never goes away.
        UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
