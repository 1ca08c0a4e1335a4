import MOSWire

/// The software distributor's rule: the one that `GetRSSCPUCore` tells, for
/// every frame that carries TCP or UDP; by addresses alone for other IP
/// packets and fragments.
enum Distribution {
    static let index: @convention(c) (UnsafePointer<UInt8>, UInt32, UInt32) -> UInt32 = { frame, length, queues in
        let p = Packet(
            frame: frame, length: length, wireLength: .max, timestamp: 0, vouched: 0, port: 0,
            seed: FlowHashSeed(0, 0))
        var source = p.source
        var destination = p.destination
        if p.ipVersion == 6 {
            source = fold(frame + (Int(p.ipOffset) &+ 8))
            destination = fold(frame + (Int(p.ipOffset) &+ 24))
        } else if p.ipVersion != 4 {
            return 0
        }
        var sourcePort = p.sourcePort
        var destinationPort = p.destinationPort
        let at = Int(p.tcpOffset)
        if p.kind == .otherIP, p.transport == 17, at &+ 4 <= Int(length) {
            // In bounds: just checked.
            sourcePort = frame.bigEndian16(at)
            destinationPort = frame.bigEndian16(at &+ 2)
        }
        return Toeplitz.queue(Toeplitz.hash(source, destination, sourcePort, destinationPort), of: queues)
    }

    /// An IPv6 address as one word.
    private static func fold(_ address: UnsafePointer<UInt8>) -> UInt32 {
        // In bounds: the parser has seen the whole header.
        address.bigEndian32(0) ^ address.bigEndian32(4) ^ address.bigEndian32(8) ^ address.bigEndian32(12)
    }
}
