// Unaligned big-endian loads and stores. The caller has checked the bounds.

extension UnsafePointer where Pointee == UInt8 {
    @inline(__always)
    public func bigEndian16(_ offset: Int) -> UInt16 {
        // In bounds: every caller validated the length of what it reads.
        UInt16(bigEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt16.self))
    }

    @inline(__always)
    public func bigEndian32(_ offset: Int) -> UInt32 {
        // In bounds: every caller validated the length of what it reads.
        UInt32(bigEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt32.self))
    }

    @inline(__always)
    public func bigEndian64(_ offset: Int) -> UInt64 {
        // In bounds: every caller validated the length of what it reads.
        UInt64(bigEndian: UnsafeRawPointer(self + offset).loadUnaligned(as: UInt64.self))
    }

    @inline(__always)
    public func native64(_ offset: Int) -> UInt64 {
        // In bounds: every caller validated the length of what it reads.
        UnsafeRawPointer(self + offset).loadUnaligned(as: UInt64.self)
    }
}

extension UnsafeMutablePointer where Pointee == UInt8 {
    @inline(__always)
    public func storeBigEndian16(_ value: UInt16, _ offset: Int) {
        // In bounds: every caller validated the length of what it writes.
        UnsafeMutableRawPointer(self + offset).storeBytes(of: value.bigEndian, as: UInt16.self)
    }

    @inline(__always)
    public func storeBigEndian32(_ value: UInt32, _ offset: Int) {
        // In bounds: every caller validated the length of what it writes.
        UnsafeMutableRawPointer(self + offset).storeBytes(of: value.bigEndian, as: UInt32.self)
    }
}
