import CMOS
import CPcap
import CSys

/// The counters behind `mos_io_stats` of one port. Any thread adds and reads.
struct PortCounters {
    enum Counter: Int {
        case rxPackets, rxBytes, rxErrors, rxDrops, txPackets, txBytes, txDrops
    }

    private static let count = 7
    private let base: UnsafeMutablePointer<UInt64>

    /// nil without memory.
    init?() {
        guard let memory = calloc(Self.count, MemoryLayout<UInt64>.stride) else { return nil }
        base = memory.bindMemory(to: UInt64.self, capacity: Self.count)
    }

    func free() {
        CSys.free(base)
    }

    // In bounds: Counter has `count` cases, numbered from 0.

    @inline(__always)
    func add(_ counter: Counter, _ n: UInt64) {
        if n != 0 { cpcap_count(base + counter.rawValue, n) }
    }

    @inline(__always)
    func set(_ counter: Counter, _ n: UInt64) {
        cpcap_store(base + counter.rawValue, n)
    }

    func value(_ counter: Counter) -> UInt64 {
        cpcap_load(base + counter.rawValue)
    }

    func copy(to out: UnsafeMutablePointer<mos_io_stats>) {
        out.pointee.rx_packets = value(.rxPackets)
        out.pointee.rx_bytes = value(.rxBytes)
        out.pointee.rx_errors = value(.rxErrors)
        out.pointee.rx_drops = value(.rxDrops)
        out.pointee.tx_packets = value(.txPackets)
        out.pointee.tx_bytes = value(.txBytes)
        out.pointee.tx_drops = value(.txDrops)
    }
}
