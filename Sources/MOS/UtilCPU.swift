// CPUs: how many there are, and staying on one.
import CMOS
import CSys

@c @implementation
public func GetNumCPUs() -> Int32 {
    let online = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    return online > 0 ? Int32(truncatingIfNeeded: online) : 1
}

@c @implementation
public func mtcp_core_affinitize(_ cpu: Int32) -> Int32 {
    csys_stay_on(cpu)
}
