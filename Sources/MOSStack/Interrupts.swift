// Signals: 02-monitor.md §8, mOS: mtcp_register_signal.
//
// What runs in a handler here uses atomics and write(2) only.

import CMOS
import CSys
import Synchronization

public enum Interrupts {
    private static let lastInterrupt = Atomic<UInt64>(0)
    /// The application's SIGINT handler, as a number; 0: none.
    private static let application = Atomic<UInt>(0)
    private static let installed = Atomic<Bool>(false)

    /// Takes SIGINT if nobody else has it.
    static func install() {
        lastInterrupt.store(0, ordering: .releasing)
        if csys_signal_is_default(SIGINT) != 0 {
            installed.store(true, ordering: .releasing)
            _ = csys_set_signal(SIGINT, interruptMain)
        }
    }

    /// Gives it back.
    static func remove() {
        if installed.exchange(false, ordering: .acquiringAndReleasing) { _ = csys_set_signal(SIGINT, nil) }
        application.store(0, ordering: .releasing)
    }

    /// `mtcp_register_signal`. nil: no such signal.
    public static func register(_ number: Int32, _ handler: mtcp_sighandler_t?) -> (previous: mtcp_sighandler_t?, ok: Bool) {
        let new = unsafeBitCast(handler, to: Int.self)
        // SIG_ERR is no handler.
        guard number > 0, number < 65, new != -1 else { return (nil, false) }
        let old = csys_signal_handler(number)
        if number == SIGINT {
            let before = application.exchange(UInt(bitPattern: new), ordering: .acquiringAndReleasing)
            let ours = installed.exchange(true, ordering: .acquiringAndReleasing)
            guard csys_set_signal(SIGINT, interruptMain) == 0 else { return (nil, false) }
            // Where the program had one of its own, it is told so.
            return (ours ? unsafeBitCast(Int(bitPattern: before), to: mtcp_sighandler_t?.self) : old, true)
        }
        guard csys_set_signal(number, handler) == 0 else { return (nil, false) }
        return (old, true)
    }

    /// Threads that are started in `body` get no signals but those that a
    /// thread's own doing causes: the application's handlers run on the
    /// application's threads, and may wait there for a stack thread to end.
    static func withoutSignals<Result>(_ body: () -> Result) -> Result {
        var blocked = sigset_t()
        var old = sigset_t()
        sigfillset(&blocked)
        for own in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPROF] { sigdelset(&blocked, own) }
        pthread_sigmask(SIG_SETMASK, &blocked, &old)
        defer { pthread_sigmask(SIG_SETMASK, &old, nil) }
        return body()
    }

    fileprivate static func interrupted(_ number: Int32) {
        let now = SystemClock.monotonic()
        let before = lastInterrupt.exchange(now, ordering: .acquiringAndReleasing)
        let handler = application.load(ordering: .acquiring)
        // A second one within a second ends the contexts in any case.
        let insists = before != 0 && now &- before < 1_000_000_000
        if handler > 1 {
            unsafeBitCast(Int(bitPattern: handler), to: mtcp_sighandler_t?.self)?(number)
            if insists { Stack.shared.stopAll() }
        } else if handler == 0 || insists {
            Stack.shared.stopAll()
        }
    }
}

private let interruptMain: @convention(c) (Int32) -> Void = { number in
    let saved = csys_errno()
    Interrupts.interrupted(number)
    csys_set_errno(saved)
}
