import CSys

/// An error of a call: what `errno` becomes at the C boundary.
public struct Errno: Error, Equatable {
    public let code: Int32

    @inline(__always)
    public init(_ code: Int32) { self.code = code }

    public static var accessDenied: Errno { Errno(EACCES) }
    public static var badSocket: Errno { Errno(EBADF) }
    public static var invalid: Errno { Errno(EINVAL) }
    public static var noData: Errno { Errno(ENODATA) }
    public static var noMemory: Errno { Errno(ENOMEM) }
    public static var notConnected: Errno { Errno(ENOTCONN) }
    public static var notPermitted: Errno { Errno(EPERM) }
    public static var notSocket: Errno { Errno(ENOTSOCK) }
    public static var noSocketLeft: Errno { Errno(ENFILE) }
    public static var noSuchOption: Errno { Errno(ENOSYS) }
    public static var noFilterHere: Errno { Errno(ENOPROTOOPT) }
    public static var familyUnsupported: Errno { Errno(EAFNOSUPPORT) }
    public static var again: Errno { Errno(EAGAIN) }
    public static var interrupted: Errno { Errno(EINTR) }
}
