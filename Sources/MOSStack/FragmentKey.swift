/// What the fragments of one datagram have in common: RFC 791 §3.2 (addresses,
/// identification and protocol), RFC 8200 §4.5 (addresses and identification;
/// the protocol is the first fragment's alone).
struct FragmentKey: Equatable {
    /// Addresses as they lie in memory; IPv4's in the low half of the first
    /// word.
    var source0: UInt64
    var source1: UInt64
    var destination0: UInt64
    var destination1: UInt64
    /// `identification << 16 | protocol << 8 | version`.
    var identity: UInt64

    /// 4 or 6.
    @inline(__always)
    var version: UInt8 { UInt8(truncatingIfNeeded: identity) }

    @inline(__always)
    init(ipv4 source: UInt32, _ destination: UInt32, identification: UInt16, protocol number: UInt8) {
        source0 = UInt64(source)
        source1 = 0
        destination0 = UInt64(destination)
        destination1 = 0
        identity = UInt64(identification) &<< 16 | UInt64(number) &<< 8 | 4
    }

    /// `header` points at a whole IPv6 header.
    @inline(__always)
    init(ipv6 header: UnsafePointer<UInt8>, identification: UInt32) {
        // In bounds: the fixed header has 40 bytes.
        let raw = UnsafeRawPointer(header)
        source0 = raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        source1 = raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        destination0 = raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        destination1 = raw.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
        identity = UInt64(identification) &<< 16 | 6
    }

    @inline(__always)
    static func == (a: FragmentKey, b: FragmentKey) -> Bool {
        ((a.source0 ^ b.source0) | (a.source1 ^ b.source1) | (a.destination0 ^ b.destination0)
            | (a.destination1 ^ b.destination1) | (a.identity ^ b.identity)) == 0
    }

    /// Someone who does not know the secret cannot choose keys that collide.
    @inline(__always)
    func hash(_ secret: FragmentSecret) -> UInt32 {
        var h = Self.fold(source0 ^ secret.a, source1 ^ secret.b)
        h = Self.fold(h ^ destination0 ^ secret.b, destination1 ^ secret.a)
        h = Self.fold(h ^ secret.a, identity ^ secret.b)
        return UInt32(truncatingIfNeeded: h ^ (h &>> 32))
    }

    @inline(__always)
    private static func fold(_ x: UInt64, _ y: UInt64) -> UInt64 {
        let product = x.multipliedFullWidth(by: y)
        return product.high ^ product.low
    }
}

/// What the hashes of fragment keys are mixed with.
struct FragmentSecret {
    let a = RandomSource.word() | 1
    let b = RandomSource.word() | 1
}
