// The hash by which network cards spread connections over their queues.
// Read first: Microsoft, "RSS Hashing Types"; mOS: GetRSSCPUCore.

/// The Toeplitz hash with the symmetric key 0x05 0x05 … .
///
/// The general hash XORs, for each one bit of the input, the 32 key bits that
/// start at the bit's position. This key repeats after eight bits, so:
///
/// - the key bits depend only on the bit's position within its byte, and the
///   hash of the whole input is that of the XOR of its bytes. Neither the
///   order of the ends nor the byte order of a number matters;
/// - the four bytes of the hash are equal;
/// - counting a byte's bits from the most significant one, bit *i* contributes
///   0x05 rotated left by *i*: with the bits reversed, the byte's hash is
///   `r ^ (r rotated left by 2)`.
public enum Toeplitz {
    /// The hash of an input whose bytes XOR to `folded`.
    @inline(__always)
    public static func hash(folded: UInt8) -> UInt32 {
        var r = UInt32(folded)
        r = (r & 0x0f) &<< 4 | (r & 0xf0) &>> 4
        r = (r & 0x33) &<< 2 | (r & 0xcc) &>> 2
        r = (r & 0x55) &<< 1 | (r & 0xaa) &>> 1
        let byte = (r ^ (r &<< 2) ^ (r &>> 6)) & 0xff
        return byte &* 0x0101_0101
    }

    /// The hash of an IPv4 connection.
    @inline(__always)
    public static func hash(
        _ source: UInt32, _ destination: UInt32, _ sourcePort: UInt16, _ destinationPort: UInt16
    ) -> UInt32 {
        hash(folded: fold(UInt64(source ^ destination) ^ UInt64(sourcePort ^ destinationPort)))
    }

    /// The hash of an IPv6 connection. `source` and `destination` point at 16
    /// bytes each.
    @inline(__always)
    public static func hash(
        ipv6 source: UnsafePointer<UInt8>, _ destination: UnsafePointer<UInt8>,
        _ sourcePort: UInt16, _ destinationPort: UInt16
    ) -> UInt32 {
        // In bounds: addresses have 16 bytes.
        let addresses = source.native64(0) ^ source.native64(8) ^ destination.native64(0) ^ destination.native64(8)
        return hash(folded: fold(addresses ^ UInt64(sourcePort ^ destinationPort)))
    }

    /// The queue of a hash, from 0, below `queues`: the low nine bits with the
    /// last two turned over, modulo the number of queues.
    ///
    /// - Parameter queues: at least 1.
    @inline(__always)
    public static func queue(_ hash: UInt32, of queues: UInt32) -> UInt32 {
        // Adding 3, 1, -1, -3 for a value that ends in 0, 1, 2, 3 inverts its
        // two low bits.
        ((hash & 0x1ff) ^ 3) % Swift.max(queues, 1)
    }

    /// The same for a DPDK port whose driver is not `net_i40e`: the low seven
    /// bits, modulo the number of queues.
    ///
    /// - Parameter queues: at least 1.
    @inline(__always)
    public static func queueOfSmallTable(_ hash: UInt32, of queues: UInt32) -> UInt32 {
        (hash & 0x7f) % Swift.max(queues, 1)
    }

    @inline(__always)
    private static func fold(_ value: UInt64) -> UInt8 {
        var x = value
        x ^= x &>> 32
        x ^= x &>> 16
        x ^= x &>> 8
        return UInt8(truncatingIfNeeded: x)
    }
}
