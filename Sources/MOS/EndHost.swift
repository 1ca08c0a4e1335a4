// The end-host stack's calls (04-endpoint.md) are not in this version: they
// say so. tests-c/abi/not-yet.txt is the list, which can only shrink.

import CMOS
import CSys

@c @implementation
public func mtcp_abort(_ mctx: mctx_t!, _ sock: Int32) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_accept(_ mctx: mctx_t!, _ sock: Int32, _ addr: UnsafeMutablePointer<sockaddr>!, _ addrlen: UnsafeMutablePointer<socklen_t>!) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_bind(_ mctx: mctx_t!, _ sock: Int32, _ addr: UnsafePointer<sockaddr>!, _ addrlen: socklen_t) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_connect(_ mctx: mctx_t!, _ sock: Int32, _ addr: UnsafePointer<sockaddr>!, _ addrlen: socklen_t) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_epoll_create(_ mctx: mctx_t!, _ size: Int32) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_epoll_ctl(_ mctx: mctx_t!, _ epid: Int32, _ op: Int32, _ sock: Int32, _ event: UnsafeMutablePointer<mtcp_epoll_event>!) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_epoll_wait(_ mctx: mctx_t!, _ epid: Int32, _ events: UnsafeMutablePointer<mtcp_epoll_event>!, _ maxevents: Int32, _ timeout_ms: Int32) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_getsockname(_ mctx: mctx_t!, _ sock: Int32, _ addr: UnsafeMutablePointer<sockaddr>!, _ addrlen: UnsafeMutablePointer<socklen_t>!) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_init_rss(_ mctx: mctx_t!, _ saddr_base: in_addr_t, _ num_addr: Int32, _ daddr: in_addr_t, _ dport: in_addr_t) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_ioctl(_ mctx: mctx_t!, _ sock: Int32, _ request: Int32, _ argp: UnsafeMutableRawPointer!) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_listen(_ mctx: mctx_t!, _ sock: Int32, _ backlog: Int32) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_pipe(_ mctx: mctx_t!, _ pipeid: UnsafeMutablePointer<Int32>!) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_read(_ mctx: mctx_t!, _ sock: Int32, _ buf: UnsafeMutablePointer<CChar>!, _ len: Int) -> Int { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_readv(_ mctx: mctx_t!, _ sock: Int32, _ iov: UnsafePointer<iovec>!, _ numIOV: Int32) -> Int { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_recv(_ mctx: mctx_t!, _ sock: Int32, _ buf: UnsafeMutablePointer<CChar>!, _ len: Int, _ flags: Int32) -> Int { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_setsock_nonblock(_ mctx: mctx_t!, _ sock: Int32) -> Int32 { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_write(_ mctx: mctx_t!, _ sock: Int32, _ buf: UnsafePointer<CChar>!, _ len: Int) -> Int { fail(ENOSYS, -1) }

@c @implementation
public func mtcp_writev(_ mctx: mctx_t!, _ sock: Int32, _ iov: UnsafePointer<iovec>!, _ numIOV: Int32) -> Int { fail(ENOSYS, -1) }
