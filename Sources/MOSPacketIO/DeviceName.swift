import CMOS
import CPcap
import CSys

/// What a device's name says before anything is opened: `scheme:rest`, or the
/// bare name of a Linux interface, which means `live:`, or `dpdkN`, which
/// means `dpdk:N`.
struct DeviceName {
    enum Kind {
        /// `scheme:rest`
        case scheme(TextSlice)
        /// `dpdkN`
        case port
        /// An interface, if there is one of this name.
        case bare
    }

    let text: TextSlice
    let kind: Kind
    /// What the backend is given.
    let rest: UnsafePointer<CChar>

    init(_ spec: UnsafePointer<CChar>) {
        text = TextSlice(cString: spec)
        if let colon = text.index(of: 58), BackendRegistry.isScheme(text.prefix(colon)) {
            kind = .scheme(text.prefix(colon))
            rest = spec + colon + 1
        } else if text.starts(with: "dpdk"), text.dropping(4).decimal != nil, cpcap_interface_index(spec) == 0 {
            kind = .port
            rest = spec + 4
        } else {
            kind = .bare
            rest = spec
        }
    }
}

/// What `Port.check` found out about a device's name.
public enum DeviceCheck {
    case fine
    /// It reads standard input, which only one device can.
    case readsStandardInput
    /// No backend of that scheme is registered so far.
    case unknownScheme
}

extension Port {
    /// Checks a device's name and options as `open` will, as far as they can
    /// be without opening it: those of the library's own backends. Throws
    /// `EINVAL` and the message of `open`.
    public static func check(
        spec: UnsafePointer<CChar>, error: UnsafeMutablePointer<CChar>?, errorSize: Int
    ) throws(PortError) -> DeviceCheck {
        var message = MessageWriter(error, size: errorSize)
        let name = DeviceName(spec)
        guard case .scheme(let scheme) = name.kind else { return .fine }
        if scheme.equals("pcap") {
            return try TraceOptions(name.rest, &message).isStandardInput ? .readsStandardInput : .fine
        } else if scheme.equals("live") {
            _ = try LiveOptions(name.rest, &message)
        } else if scheme.equals("null") {
            try checkNullOptions(name.rest, &message)
        } else if !scheme.equals("dpdk"), BackendRegistry.find(scheme) == nil {
            return .unknownScheme
        }
        return .fine
    }
}
