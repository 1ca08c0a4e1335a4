// mtcp_util.h: the distribution of flows, and xxHash.
import CMOS
import CSys
import MOSWire

@c @implementation
public func GetRSSCPUCore(
    _ sip: in_addr_t, _ dip: in_addr_t, _ sp: in_port_t, _ dp: in_port_t, _ num_queues: Int32
) -> Int32 {
    guard num_queues > 0 else {
        csys_set_errno(EINVAL)
        return -1
    }
    let queue = Toeplitz.queue(Toeplitz.hash(sip, dip, sp, dp), of: UInt32(bitPattern: num_queues))
    return Int32(truncatingIfNeeded: queue)
}

@c @implementation
public func XXH32(_ input: UnsafeRawPointer!, _ length: Int, _ seed: UInt32) -> UInt32 {
    XXHash.hash32(input, count: length, seed: seed)
}

@c @implementation
public func XXH64(_ input: UnsafeRawPointer!, _ length: Int, _ seed: UInt64) -> UInt64 {
    XXHash.hash64(input, count: length, seed: seed)
}
