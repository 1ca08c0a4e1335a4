import CMOS
import Glibc

/// What libmos cares about on this machine, each as it is seen by this process.
enum Machine {
    static func examine() -> [Finding] {
        [
            kernel, cpus, numa, memory, overcommit, largePages, libpcap, dpdk, hugepages,
            openFiles, lockedMemory, capabilities, interfaces,
        ]
    }

    private static var kernel: Finding {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return Finding(subject: "system", text: "\(text(name.sysname)) \(text(name.release)) \(text(name.machine))")
    }

    private static var cpus: Finding {
        let online = Int(GetNumCPUs())
        let allowed = CPUList.numbers(SystemFile.word("Cpus_allowed_list", of: "/proc/self/status") ?? "0")
        return Finding(
            subject: "CPUs",
            text: "\(allowed.count) to use (\(CPUList.text(allowed))), \(online) online",
            advice: allowed.count < online
                ? ["masks in a configuration may name only CPUs that this process may use (taskset, cgroups)"]
                : [])
    }

    private static var numa: Finding {
        guard let online = SystemFile.firstLine("/sys/devices/system/node/online") else {
            return Finding(subject: "NUMA nodes", text: "1 (the kernel tells of none)")
        }
        let nodes = CPUList.numbers(online)
        return Finding(subject: "NUMA nodes", text: "\(nodes.count) (\(CPUList.text(nodes)))")
    }

    private static var memory: Finding {
        let available = SystemFile.number("MemAvailable", of: "/proc/meminfo").map { $0 * 1024 }
        return Finding(
            subject: "memory",
            text: available.map { "\(Quantity.bytes($0)) available" } ?? "unknown")
    }

    private static var overcommit: Finding {
        let mode = SystemFile.firstLine("/proc/sys/vm/overcommit_memory") ?? "0"
        guard mode == "2" else { return Finding(subject: "overcommit", text: "allowed") }
        return Finding(
            subject: "overcommit",
            text: "off (vm.overcommit_memory = 2): address space counts as memory",
            advice: ["sysctl vm.overcommit_memory=0, or keep max_concurrency small"])
    }

    /// Tables of flows and sockets are in these where the kernel gives them.
    private static var largePages: Finding {
        let path = "/sys/kernel/mm/transparent_hugepage/enabled"
        let choice = SystemFile.firstLine(path)?.split(separator: " ").first { $0.hasPrefix("[") }
        guard let choice else { return Finding(subject: "large pages", text: "not in this kernel") }
        let mode = choice.filter { $0 != "[" && $0 != "]" }
        return Finding(
            subject: "large pages",
            text: mode == "never" ? "off" : "on (\(mode))",
            advice: mode == "never" ? ["many flows cost less with them: echo madvise >\(path)"] : [])
    }

    private static var libpcap: Finding {
        Finding(subject: "libpcap", text: Library.text("pcap_lib_version") ?? "of an unknown version")
    }

    private static var dpdk: Finding {
        Finding(
            subject: "DPDK",
            text: "no backend in this version",
            advice: ["give devices dpdk0, dpdk1 … another: MOS_NETDEV=\"dpdk0=live:eth0 dpdk1=pcap:FILE\""])
    }

    private static var hugepages: Finding {
        let sizes = SystemFile.names(in: "/sys/kernel/mm/hugepages")
        let pools = sizes.compactMap { name -> (total: UInt64, free: UInt64, kilobytes: UInt64)? in
            let path = "/sys/kernel/mm/hugepages/" + name
            guard let size = UInt64(name.filter(\.isNumber)),
                let total = SystemFile.firstLine(path + "/nr_hugepages").flatMap({ UInt64($0) }), total > 0
            else { return nil }
            return (total, SystemFile.firstLine(path + "/free_hugepages").flatMap { UInt64($0) } ?? 0, size)
        }
        guard pools.isEmpty else {
            let text = pools.map { "\($0.free) of \($0.total) free, \($0.kilobytes / 1024) MiB each" }
            return Finding(subject: "hugepages", text: text.joined(separator: "; "))
        }
        return Finding(
            subject: "hugepages",
            text: sizes.isEmpty ? "not in this kernel" : "none reserved (only DPDK would use them)")
    }

    private static var openFiles: Finding {
        let limit = limit(Int32(RLIMIT_NOFILE.rawValue))
        return Finding(
            subject: "open files",
            text: limit.text,
            advice: limit.value < 1024 ? ["ulimit -n 4096"] : [])
    }

    private static var lockedMemory: Finding {
        let limit = limit(Int32(__RLIMIT_MEMLOCK.rawValue))
        return Finding(
            subject: "locked memory", text: limit.value == UInt64.max ? limit.text : Quantity.bytes(limit.value))
    }

    private static var capabilities: Finding {
        let wanted: [(number: UInt64, name: String)] = [(13, "CAP_NET_RAW"), (12, "CAP_NET_ADMIN")]
        let missing = wanted.filter { !has(capability: $0.number) }
        guard missing.contains(where: { $0.number == 13 }) else {
            return Finding(
                subject: "permissions",
                text: "live capture" + (missing.isEmpty ? ", interface settings" : ""))
        }
        return Finding(
            subject: "permissions",
            text: "no " + missing.map(\.name).joined(separator: ", no ") + ": traces only",
            advice: ["for devices live:…: run as root, or setcap cap_net_raw,cap_net_admin+ep PROGRAM"])
    }

    private static var interfaces: Finding {
        let names = SystemFile.names(in: "/sys/class/net")
        let ports = ["vfio-pci", "uio_pci_generic", "igb_uio"].flatMap { driver in
            SystemFile.names(in: "/sys/bus/pci/drivers/" + driver).filter { $0.contains(":") }
        }
        var text = names.map { name in
            let state = SystemFile.firstLine("/sys/class/net/\(name)/operstate") ?? "unknown"
            return state == "down" ? "live:\(name) (down)" : "live:\(name)"
        }
        text += ports.map { "dpdk:\($0)" }
        return Finding(subject: "devices", text: text.isEmpty ? "none" : text.joined(separator: " "))
    }

    private static func has(capability number: UInt64) -> Bool {
        let effective = SystemFile.number("CapEff", of: "/proc/self/status", radix: 16) ?? 0
        return effective >> number & 1 == 1
    }

    private static func limit(_ resource: Int32) -> (value: UInt64, text: String) {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return (0, "unknown") }
        let value = UInt64(limit.rlim_cur)
        return (value, value == UInt64.max ? "unlimited" : String(value))
    }
}
