// Read first: the xxHash fast digest algorithm, specification 0.1.1
// (XXH32, XXH64), by Yann Collet.

/// The 32- and 64-bit xxHash.
public enum XXHash {
    private enum Prime32 {
        static let p1: UInt32 = 0x9E37_79B1
        static let p2: UInt32 = 0x85EB_CA77
        static let p3: UInt32 = 0xC2B2_AE3D
        static let p4: UInt32 = 0x27D4_EB2F
        static let p5: UInt32 = 0x1656_67B1
    }

    private enum Prime64 {
        static let p1: UInt64 = 0x9E37_79B1_85EB_CA87
        static let p2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
        static let p3: UInt64 = 0x1656_67B1_9E37_79F9
        static let p4: UInt64 = 0x85EB_CA77_C2B2_AE63
        static let p5: UInt64 = 0x27D4_EB2F_1656_67C5
    }

    @inline(__always)
    private static func rotate(_ x: UInt32, _ bits: UInt32) -> UInt32 {
        x &<< bits | x &>> (32 &- bits)
    }

    @inline(__always)
    private static func rotate(_ x: UInt64, _ bits: UInt64) -> UInt64 {
        x &<< bits | x &>> (64 &- bits)
    }

    @inline(__always)
    private static func load32(_ p: UnsafeRawPointer) -> UInt32 {
        // In bounds: the caller has at least four bytes left at p.
        UInt32(littleEndian: p.loadUnaligned(as: UInt32.self))
    }

    @inline(__always)
    private static func load64(_ p: UnsafeRawPointer) -> UInt64 {
        // In bounds: the caller has at least eight bytes left at p.
        UInt64(littleEndian: p.loadUnaligned(as: UInt64.self))
    }

    @inline(__always)
    private static func round(_ accumulator: UInt32, _ lane: UInt32) -> UInt32 {
        rotate(accumulator &+ lane &* Prime32.p2, 13) &* Prime32.p1
    }

    @inline(__always)
    private static func round(_ accumulator: UInt64, _ lane: UInt64) -> UInt64 {
        rotate(accumulator &+ lane &* Prime64.p2, 31) &* Prime64.p1
    }

    @inline(__always)
    private static func merge(_ accumulator: UInt64, _ lane: UInt64) -> UInt64 {
        (accumulator ^ round(0, lane)) &* Prime64.p1 &+ Prime64.p4
    }

    /// XXH32 of the `count` bytes at `input`, which may be null if there are
    /// none.
    public static func hash32(_ input: UnsafeRawPointer?, count: Int, seed: UInt32) -> UInt32 {
        var hash = seed &+ Prime32.p5
        var left = 0
        if let input, count > 0 {
            var p = input
            left = count
            // Each step below moves p by no more than what is left.
            if left >= 16 {
                var a = seed &+ Prime32.p1 &+ Prime32.p2
                var b = seed &+ Prime32.p2
                var c = seed
                var d = seed &- Prime32.p1
                while left >= 16 {
                    a = round(a, load32(p))
                    b = round(b, load32(p + 4))
                    c = round(c, load32(p + 8))
                    d = round(d, load32(p + 12))
                    p += 16
                    left &-= 16
                }
                hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
            }
            hash = hash &+ UInt32(truncatingIfNeeded: count)
            while left >= 4 {
                hash = rotate(hash &+ load32(p) &* Prime32.p3, 17) &* Prime32.p4
                p += 4
                left &-= 4
            }
            while left > 0 {
                hash = rotate(hash &+ UInt32(p.load(as: UInt8.self)) &* Prime32.p5, 11) &* Prime32.p1
                p += 1
                left &-= 1
            }
        }
        hash = (hash ^ hash &>> 15) &* Prime32.p2
        hash = (hash ^ hash &>> 13) &* Prime32.p3
        return hash ^ hash &>> 16
    }

    /// XXH64 of the `count` bytes at `input`, which may be null if there are
    /// none.
    public static func hash64(_ input: UnsafeRawPointer?, count: Int, seed: UInt64) -> UInt64 {
        var hash = seed &+ Prime64.p5
        var left = 0
        if let input, count > 0 {
            var p = input
            left = count
            // Each step below moves p by no more than what is left.
            if left >= 32 {
                var a = seed &+ Prime64.p1 &+ Prime64.p2
                var b = seed &+ Prime64.p2
                var c = seed
                var d = seed &- Prime64.p1
                while left >= 32 {
                    a = round(a, load64(p))
                    b = round(b, load64(p + 8))
                    c = round(c, load64(p + 16))
                    d = round(d, load64(p + 24))
                    p += 32
                    left &-= 32
                }
                hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
                hash = merge(merge(merge(merge(hash, a), b), c), d)
            }
            hash = hash &+ UInt64(truncatingIfNeeded: count)
            while left >= 8 {
                hash = rotate(hash ^ round(0, load64(p)), 27) &* Prime64.p1 &+ Prime64.p4
                p += 8
                left &-= 8
            }
            if left >= 4 {
                hash = rotate(hash ^ UInt64(load32(p)) &* Prime64.p1, 23) &* Prime64.p2 &+ Prime64.p3
                p += 4
                left &-= 4
            }
            while left > 0 {
                hash = rotate(hash ^ UInt64(p.load(as: UInt8.self)) &* Prime64.p5, 11) &* Prime64.p1
                p += 1
                left &-= 1
            }
        }
        hash = (hash ^ hash &>> 33) &* Prime64.p2
        hash = (hash ^ hash &>> 29) &* Prime64.p3
        return hash ^ hash &>> 32
    }
}
