// The two ways into a context, and the only places that set errno.

import CMOS
import CSys
import MOSStack

/// Runs `body` on the context whose stack thread this is: the calls that only
/// handlers may make. Nothing is retained on the way.
@inline(__always)
func onStack<Result>(
    _ mctx: mctx_t?, failure: Result, _ body: (Context) throws(Errno) -> Result
) -> Result {
    guard let mctx else { return fail(EACCES, failure) }
    guard let raw = csys_current() else { return fail(codeForStranger(mctx), failure) }
    return Unmanaged<Context>.fromOpaque(raw)._withUnsafeGuaranteedRef { context in
        guard context.handle == mctx || context.cpu == Int(mctx.pointee.cpu) else {
            return fail(codeForStranger(mctx), failure)
        }
        do throws(Errno) {
            return try body(context)
        } catch {
            return fail(error.code, failure)
        }
    }
}

/// Runs `body` on a context from any thread, alone with it.
func setUp<Result>(
    _ mctx: mctx_t?, failure: Result, _ body: (Context) throws(Errno) -> Result
) -> Result {
    do throws(Errno) {
        let context = try find(mctx)
        try context.enter()
        do throws(Errno) {
            let result = try body(context)
            context.leave()
            return result
        } catch {
            context.leave()
            throw error
        }
    } catch {
        return fail(error.code, failure)
    }
}

/// The context of a handle, or of a struct of the application's own that
/// names its CPU.
func find(_ mctx: mctx_t?) throws(Errno) -> Context {
    guard let mctx else { throw .accessDenied }
    guard let context = Stack.shared.context(cpu: Int(mctx.pointee.cpu)) else { throw .invalid }
    guard !context.isDone else { throw .notPermitted }
    return context
}

/// Why a thread that is not the context's own gets no answer.
private func codeForStranger(_ mctx: mctx_t) -> Int32 {
    Stack.shared.context(cpu: Int(mctx.pointee.cpu)) == nil ? EINVAL : EPERM
}

@inline(__always)
func fail<Result>(_ code: Int32, _ result: Result) -> Result {
    csys_set_errno(code)
    return result
}
