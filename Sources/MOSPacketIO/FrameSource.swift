import CMOS

/// Where one reader gets its bursts from: queue 0 of a port, or several trace
/// ports merged in time.
public enum FrameSource {
    case port(Port)
    case merger(TraceMerger)

    /// As `Port.receive`.
    public func receive(into frames: UnsafeMutablePointer<mos_io_frame>, max: UInt32) -> Int32 {
        switch self {
        case .port(let port): return port.receive(queue: 0, into: frames, max: max)
        case .merger(let merger): return merger.receive(into: frames, max: max)
        }
    }

    /// As `Port.waitDescriptor`; a merger has none.
    public var waitDescriptor: Int32 {
        switch self {
        case .port(let port): return port.waitDescriptor(queue: 0)
        case .merger: return -1
        }
    }
}
