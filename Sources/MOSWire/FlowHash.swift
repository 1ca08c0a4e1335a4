// A keyed hash: someone who does not know the seed cannot choose addresses
// and ports that collide.

/// The secret of a context's flow table.
public struct FlowHashSeed {
    var a: UInt64
    var b: UInt64

    public init(_ a: UInt64, _ b: UInt64) {
        self.a = a
        self.b = b | 1
    }

    @inline(__always)
    private static func fold(_ x: UInt64, _ y: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: y)
        return product.high ^ product.low
    }

    /// Of an IPv4 tuple, `Packet.addresses` and `Packet.ports`. The same for
    /// both directions: of the two ways to write it the smaller one counts.
    @inline(__always)
    public func hash(addresses: UInt64, ports: UInt32) -> UInt32 {
        let turned = addresses << 32 | addresses >> 32
        let turnedPorts = ports << 16 | ports >> 16
        var chosenPorts = turned < addresses ? turnedPorts : ports
        if _slowPath(turned == addresses) { chosenPorts = Swift.min(ports, turnedPorts) }
        let h = Self.fold(Swift.min(addresses, turned) ^ a, UInt64(chosenPorts) ^ b)
        return UInt32(truncatingIfNeeded: h ^ (h >> 32))
    }

    /// `source` and `destination` point at 16 bytes each.
    public func hash(
        ipv6 source: UnsafePointer<UInt8>, _ sourcePort: UInt16, _ destination: UnsafePointer<UInt8>,
        _ destinationPort: UInt16
    ) -> UInt32 {
        // In bounds: addresses have 16 bytes.
        let x = Self.fold(source.native64(0) ^ a, source.native64(8) ^ b) &+ UInt64(sourcePort) &* 0x9e37_79b9_7f4a_7c15
        let y = Self.fold(destination.native64(0) ^ a, destination.native64(8) ^ b) &+ UInt64(destinationPort) &* 0x9e37_79b9_7f4a_7c15
        let h = Self.fold(Swift.min(x, y) ^ b, Swift.max(x, y) ^ a)
        return UInt32(truncatingIfNeeded: h ^ (h >> 32))
    }
}
