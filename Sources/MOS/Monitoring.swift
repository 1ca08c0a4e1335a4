// Monitoring sockets: mos_api.h, and mtcp_socket and its like of mtcp_api.h.

import CMOS
import CSys
import MOSEvents
import MOSStack

// MARK: Sockets

@c @implementation
public func mtcp_socket(_ mctx: mctx_t!, _ domain: Int32, _ type: Int32, _ protocol: Int32) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in try context.makeSocket(domain: domain, type: type) }
}

@c @implementation
public func mtcp_close(_ mctx: mctx_t!, _ sock: Int32) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        try context.close(sock)
        return 0
    }
}

@c @implementation
public func mtcp_bind_monitor_filter(_ mctx: mctx_t!, _ sock: Int32, _ ft: monitor_filter_t!) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        try context.bindFilter(sock, ft)
        return 0
    }
}

@c @implementation
public func mtcp_setsockopt(
    _ mctx: mctx_t!, _ sock: Int32, _ level: Int32, _ optname: Int32, _ optval: UnsafeRawPointer!, _ optlen: socklen_t
) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        try context.setOption(sock, level: level, name: optname, optval, optlen)
        return 0
    }
}

@c @implementation
public func mtcp_getsockopt(
    _ mctx: mctx_t!, _ sock: Int32, _ level: Int32, _ optname: Int32, _ optval: UnsafeMutableRawPointer!,
    _ optlen: UnsafeMutablePointer<socklen_t>!
) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.option(sock, level: level, name: optname, optval, optlen)
        return 0
    }
}

@c @implementation
public func mtcp_set_uctx(_ mctx: mctx_t!, _ sock: Int32, _ uctx: UnsafeMutableRawPointer!) {
    onStack(mctx, failure: ()) { (context) throws(Errno) in try context.setUserContext(sock, uctx) }
}

@c @implementation
public func mtcp_get_uctx(_ mctx: mctx_t!, _ sock: Int32) -> UnsafeMutableRawPointer! {
    // Handlers ask for this for each packet: of the socket that they are
    // called for, there is less to look at than of any.
    if let raw = csys_current(), let mctx {
        let value = Unmanaged<Context>.fromOpaque(raw)._withUnsafeGuaranteedRef { context in
            context.handle == mctx ? context.currentUserContext(sock) : nil
        }
        if _fastPath(value != nil) { return value }
    }
    return userContext(mctx, sock)
}

@inline(never)
private func userContext(_ mctx: mctx_t?, _ sock: Int32) -> UnsafeMutableRawPointer? {
    onStack(mctx, failure: nil) { (context) throws(Errno) in try context.userContext(sock) }
}

@c @implementation
public func mtcp_getpeername(
    _ mctx: mctx_t!, _ sock: Int32, _ addr: UnsafeMutablePointer<sockaddr>!, _ addrlen: UnsafeMutablePointer<socklen_t>!,
    _ side: Int32
) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.peerName(sock, addr, addrlen, side)
        return 0
    }
}

@c @implementation
public func mtcp_cb_stop(_ mctx: mctx_t!, _ sock: Int32, _ side: Int32) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        try context.stop(sock, side: side)
        return 0
    }
}

@c @implementation
public func mos_flow_info(
    _ mctx: mctx_t!, _ sock: Int32, _ info: UnsafeMutablePointer<CMOS.mos_flow_info>!, _ size: Int
) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        guard let info, size > 0 else { throw .invalid }
        var account = try context.account(sock)
        copyOut(&account, MemoryLayout<CMOS.mos_flow_info>.size, info, size)
        return 0
    }
}

// MARK: Events

@c @implementation
public func mtcp_register_callback(
    _ mctx: mctx_t!, _ sock: Int32, _ event: event_t, _ hook_point: Int32, _ cb: callback_t!
) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        try context.register(sock, event: event, hookPoint: hook_point, handler: cb)
        return 0
    }
}

@c @implementation
public func mtcp_unregister_callback(_ mctx: mctx_t!, _ sock: Int32, _ event: event_t, _ hook_point: Int32) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        try context.register(sock, event: event, hookPoint: hook_point, handler: nil)
        return 0
    }
}

@c @implementation
public func mtcp_define_event(
    _ parent: event_t, _ filter: filter_t!, _ arg: UnsafeMutablePointer<filter_arg>!
) -> event_t {
    let event = EventForest.define(
        parent: parent, filter: filter, argument: arg?.pointee.arg, length: arg?.pointee.len ?? 0)
    return event == 0 ? fail(EINVAL, 0) : event
}

@c @implementation
public func mtcp_alloc_event(_ parent: event_t) -> event_t {
    let event = EventForest.allocate(parent: parent)
    return event == 0 ? fail(EINVAL, 0) : event
}

@c @implementation
public func mtcp_raise_event(_ mctx: mctx_t!, _ event: event_t) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.raise(event: event)
        return 0
    }
}

// MARK: Reading

@c @implementation
public func mtcp_peek(
    _ mctx: mctx_t!, _ sock: Int32, _ side: Int32, _ buf: UnsafeMutablePointer<CChar>!, _ len: Int
) -> Int {
    lossy(onStack(mctx, failure: noCount) { (context) throws(Errno) in try context.peek(sock, side, buf, size(len)) })
}

@c @implementation
public func mtcp_ppeek(
    _ mctx: mctx_t!, _ sock: Int32, _ side: Int32, _ buf: UnsafeMutablePointer<CChar>!, _ count: Int, _ off: UInt64
) -> Int {
    onStack(mctx, failure: -1) { (context) throws(Errno) in try context.peek(sock, side, buf, size(count), at: off) }
}

@c @implementation
public func mos_peek_iov(
    _ mctx: mctx_t!, _ sock: Int32, _ side: Int32, _ iov: UnsafeMutablePointer<iovec>!, _ iovcnt: Int32
) -> Int {
    lossy(onStack(mctx, failure: noCount) { (context) throws(Errno) in try context.pieces(sock, side, iov, iovcnt) })
}

@c @implementation
public func mos_peek_advance(_ mctx: mctx_t!, _ sock: Int32, _ side: Int32, _ n: Int) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.advance(sock, side, n)
        return 0
    }
}

/// A `size_t`, which Swift has as a signed number: one that is too large for
/// that is as good as the largest.
@inline(__always)
private func size(_ count: Int) -> Int { count < 0 ? .max : count }

/// A failed call, as opposed to minus one byte lost.
private let noCount = Int.min

/// A negative count is that of lost bytes: `ENODATA`.
@inline(__always)
private func lossy(_ count: Int) -> Int {
    if count == noCount { return -1 }
    return count < 0 ? fail(ENODATA, count) : count
}

// MARK: Packets

@c @implementation
public func mtcp_getlastpkt(
    _ mctx: mctx_t!, _ sock: Int32, _ side: Int32, _ p: UnsafeMutablePointer<pkt_info>!
) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.lastPacket(sock, p)
        return 0
    }
}

@c @implementation
public func mtcp_setlastpkt(
    _ mctx: mctx_t!, _ sock: Int32, _ side: Int32, _ offset: off_t, _ data: UnsafeMutablePointer<byte>!,
    _ datalen: UInt16, _ option: Int32
) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.changeLastPacket(sock, offset: offset, data, datalen, option: option)
        return 0
    }
}

@c @implementation
public func mtcp_cb_dropcurpkt(_ mctx: mctx_t!) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.dropCurrentPacket()
        return 0
    }
}

@c @implementation
public func mtcp_sendpkt(_ mctx: mctx_t!, _ sock: Int32, _ pkt: UnsafePointer<pkt_info>!) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.sendPacket(sock, pkt)
        return 0
    }
}

@c @implementation
public func mtcp_reset_conn(_ mctx: mctx_t!, _ sock: Int32) -> Int32 {
    onStack(mctx, failure: -1) { (context) throws(Errno) in
        try context.resetConnection(sock)
        return 0
    }
}

@c @implementation
public func mtcp_clonepkt(
    _ to: UnsafeMutablePointer<pkt_info>!, _ frame: UnsafeMutablePointer<UInt8>!, _ from: UnsafeMutablePointer<pkt_info>!
) -> Int32 {
    guard let to, let frame, let from, let source = from.pointee.ethh else { return fail(EINVAL, -1) }
    let base = UnsafeMutableRawPointer(source)
    memcpy(frame, base, Int(from.pointee.eth_len))
    to.pointee = from.pointee
    // The parts lie in the copy as they lie in the original.
    func moved<T>(_ part: UnsafeMutablePointer<T>?) -> UnsafeMutablePointer<T>? {
        guard let part else { return nil }
        return (UnsafeMutableRawPointer(frame) + (UnsafeMutableRawPointer(part) - base)).assumingMemoryBound(to: T.self)
    }
    to.pointee.ethh = moved(from.pointee.ethh)
    to.pointee.iph = moved(from.pointee.iph)
    to.pointee.tcph = moved(from.pointee.tcph)
    to.pointee.payload = moved(from.pointee.payload)
    return 0
}
