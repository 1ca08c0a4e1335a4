import MOSWire
struct FragmentReassembler {
    struct Datagram { var bytes: UnsafeMutablePointer<UInt8>; var length: Int }
    var droppedFragments: UInt64 = 0
    init?(maxDatagrams: Int, timeout: UInt64) {}
    mutating func add(_ p: UnsafePointer<Packet>, now: UInt64) -> Datagram? { droppedFragments &+= 1; return nil }
    mutating func destroy() {}
}
