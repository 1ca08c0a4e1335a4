// RFC 1071: the Internet checksum is the ones' complement of the ones'
// complement sum of 16-bit words. The sum does not depend on the byte order
// and may be formed from wider words, which are folded at the end.

public enum Checksum {
    /// The unfolded sum of `count` bytes as native-order words, added to
    /// `initial`. A last odd byte is padded with zero.
    @inline(__always)
    public static func sum(_ bytes: UnsafePointer<UInt8>, _ count: Int, initial: UInt64 = 0) -> UInt64 {
        // In bounds: each step reads only while that many bytes are left.
        let raw = UnsafeRawPointer(bytes)
        var total = initial
        var i = 0
        if count >= 64 {
            let low = SIMD4<UInt32>(repeating: 0xffff)
            var even0 = SIMD4<UInt32>()
            var even1 = SIMD4<UInt32>()
            // 16-bit halves in 32-bit lanes: a lane holds 65 537 additions
            // of 65 535, and a frame has at most 16 384 words of 32 bits.
            var chunk = 0
            while i &+ 64 <= count {
                let a = raw.loadUnaligned(fromByteOffset: i, as: SIMD4<UInt32>.self)
                let b = raw.loadUnaligned(fromByteOffset: i &+ 16, as: SIMD4<UInt32>.self)
                let c = raw.loadUnaligned(fromByteOffset: i &+ 32, as: SIMD4<UInt32>.self)
                let d = raw.loadUnaligned(fromByteOffset: i &+ 48, as: SIMD4<UInt32>.self)
                even0 = even0 &+ (a & low) &+ (a &>> 16) &+ (b & low) &+ (b &>> 16)
                even1 = even1 &+ (c & low) &+ (c &>> 16) &+ (d & low) &+ (d &>> 16)
                i &+= 64
                chunk &+= 1
                if chunk == 8192 {
                    total &+= lanes(even0) &+ lanes(even1)
                    even0 = SIMD4<UInt32>()
                    even1 = SIMD4<UInt32>()
                    chunk = 0
                }
            }
            total &+= lanes(even0) &+ lanes(even1)
        }
        while i &+ 4 <= count {
            total &+= UInt64(raw.loadUnaligned(fromByteOffset: i, as: UInt32.self))
            i &+= 4
        }
        if i &+ 2 <= count {
            total &+= UInt64(raw.loadUnaligned(fromByteOffset: i, as: UInt16.self))
            i &+= 2
        }
        if i < count {
            total &+= UInt64(UInt16(raw.load(fromByteOffset: i, as: UInt8.self)).littleEndian)
        }
        return total
    }

    @inline(__always)
    private static func lanes(_ v: SIMD4<UInt32>) -> UInt64 {
        UInt64(v[0]) &+ UInt64(v[1]) &+ UInt64(v[2]) &+ UInt64(v[3])
    }

    /// The sum folded to 16 bits, not complemented, in memory's byte order.
    @inline(__always)
    public static func fold(_ sum: UInt64) -> UInt16 {
        var s = (sum & 0xffff_ffff) &+ (sum >> 32)
        s = (s & 0xffff) &+ (s >> 16)
        s = (s & 0xffff) &+ (s >> 16)
        s = (s & 0xffff) &+ (s >> 16)
        return UInt16(truncatingIfNeeded: s)
    }

    /// What goes into a header's checksum field, as it lies in memory.
    @inline(__always)
    public static func field(_ sum: UInt64) -> UInt16 {
        ~fold(sum)
    }

    /// RFC 791: the sum over an IPv4 header with its checksum is all ones.
    @inline(__always)
    public static func verifyIPv4Header(_ header: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        fold(sum(header, length)) == 0xffff
    }

    /// RFC 9293 §3.1: the pseudo-header's part of a TCP checksum over IPv4.
    @inline(__always)
    public static func pseudoHeader(ipv4 header: UnsafePointer<UInt8>, length: Int, protocol number: UInt8 = 6) -> UInt64 {
        let a = UnsafeRawPointer(header).loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        let b = UnsafeRawPointer(header).loadUnaligned(fromByteOffset: 16, as: UInt32.self)
        return UInt64(a) &+ UInt64(b)
            &+ UInt64(UInt16(truncatingIfNeeded: length).bigEndian) &+ UInt64(UInt16(number).bigEndian)
    }

    /// RFC 8200 §8.1: the pseudo-header's part of a TCP checksum over IPv6.
    /// The addresses may stand in a routing header or a home address option.
    @inline(__always)
    public static func pseudoHeader(
        ipv6Source source: UnsafePointer<UInt8>, destination: UnsafePointer<UInt8>, length: Int,
        protocol number: UInt8 = 6
    ) -> UInt64 {
        sum(source, 16, initial: sum(destination, 16))
            &+ UInt64(UInt32(truncatingIfNeeded: length).bigEndian) &+ UInt64(UInt16(number).bigEndian)
    }
}
