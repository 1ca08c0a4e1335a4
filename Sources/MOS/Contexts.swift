// Configuration and contexts: mtcp_api.h.

import CMOS
import CSys
import MOSPacketIO
import MOSStack

@c @implementation
public func mtcp_init(_ config_file: UnsafePointer<CChar>!) -> Int32 {
    status { () throws(Errno) in try Stack.shared.initialize(path: config_file) }
}

@c @implementation
public func mtcp_destroy() -> Int32 {
    status { () throws(Errno) in try Stack.shared.destroy() }
}

@c @implementation
public func mtcp_getconf(_ conf: UnsafeMutablePointer<mtcp_conf>!) -> Int32 {
    guard let conf else { return fail(EINVAL, -1) }
    return status { () throws(Errno) in try Stack.shared.getConfiguration(conf) }
}

@c @implementation
public func mtcp_setconf(_ conf: UnsafePointer<mtcp_conf>!) -> Int32 {
    guard let conf else { return fail(EINVAL, -1) }
    return status { () throws(Errno) in try Stack.shared.setConfiguration(conf) }
}

@c @implementation
public func mtcp_create_context(_ cpu: Int32) -> mctx_t! {
    do throws(Errno) {
        return try Stack.shared.makeContext(cpu: Int(cpu)).handle
    } catch {
        return fail(error.code, nil)
    }
}

@c @implementation
public func mtcp_destroy_context(_ mctx: mctx_t!) -> Int32 {
    status { () throws(Errno) in Stack.shared.destroyContext(try find(mctx)) }
}

@c @implementation
public func mtcp_register_signal(_ signum: Int32, _ handler: mtcp_sighandler_t!) -> mtcp_sighandler_t! {
    let (previous, ok) = Interrupts.register(signum, handler)
    // SIG_ERR of <signal.h>.
    return ok ? previous : fail(EINVAL, unsafeBitCast(-1, to: mtcp_sighandler_t?.self))
}

@c @implementation
public func mtcp_app_join(_ mctx: mctx_t!) {
    do throws(Errno) {
        let context = try find(mctx)
        // From a handler it would wait for itself.
        if csys_current() != nil { throw .notPermitted }
        Stack.shared.join(context)
    } catch {
        csys_set_errno(error.code)
    }
}

@c @implementation
public func mtcp_get_connection_cnt(_ mctx: mctx_t!) -> UInt32 {
    do throws(Errno) {
        let context = try find(mctx)
        return try context.observe { () throws(Errno) in UInt32(truncatingIfNeeded: context.stats.pointee.flows_now) }
    } catch {
        return fail(error.code, 0)
    }
}

@c @implementation
public func mtcp_cb_get_ts(_ mctx: mctx_t!) -> UInt32 {
    onStack(mctx, failure: 0) { (context) throws(Errno) in UInt32(truncatingIfNeeded: context.now / 1000) }
}

@c @implementation
public func mtcp_settimer(
    _ mctx: mctx_t!, _ id: Int32, _ timeout: UnsafeMutablePointer<timeval>!, _ cb: callback_t!
) -> Int32 {
    setUp(mctx, failure: -1) { (context) throws(Errno) in
        guard let timeout, let cb, timeout.pointee.tv_sec >= 0, timeout.pointee.tv_usec >= 0 else { throw .invalid }
        let seconds = UInt64(timeout.pointee.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow) = seconds.partialValue.addingReportingOverflow(UInt64(timeout.pointee.tv_usec) &* 1000)
        try context.setTimer(id, after: seconds.overflow || overflow ? .max : sum, cb)
        return 0
    }
}

@c @implementation
public func mos_get_stats(
    _ mctx: mctx_t!, _ ifidx: Int32, _ out: UnsafeMutablePointer<mos_stats>!, _ size: Int
) -> Int32 {
    do throws(Errno) {
        guard let mctx else { throw .accessDenied }
        guard let out, size > 0 else { throw .invalid }
        // Of a context that is done, too.
        guard let context = Stack.shared.context(cpu: Int(mctx.pointee.cpu)) else { throw .invalid }
        var stats = try Stack.shared.statistics(of: context, interface: Int(ifidx))
        copyOut(&stats, MemoryLayout<mos_stats>.size, out, size)
        return 0
    } catch {
        return fail(error.code, -1)
    }
}

@c @implementation
public func mos_io_register(_ ops: UnsafePointer<mos_io_ops>!) -> Int32 {
    let code = BackendRegistry.register(ops)
    return code == 0 ? 0 : fail(code, -1)
}

@c @implementation
public func mos_version() -> UnsafePointer<CChar>! {
    // A literal is NUL-terminated and lives for ever.
    UnsafeRawPointer(("0.3.0" as StaticString).utf8Start).assumingMemoryBound(to: CChar.self)
}

/// 0, or -1 with errno.
@inline(__always)
func status(_ body: () throws(Errno) -> Void) -> Int32 {
    do throws(Errno) {
        try body()
        return 0
    } catch {
        return fail(error.code, -1)
    }
}

/// The first `size` bytes of a struct; what it does not have is 0.
func copyOut(_ source: UnsafeRawPointer, _ have: Int, _ target: UnsafeMutableRawPointer, _ size: Int) {
    memcpy(target, source, min(have, size))
    if size > have { memset(target + have, 0, size - have) }
}
