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
        guard number > 0, number < 65 else { return (nil, false) }
        if number == SIGINT {
            let old = application.exchange(UInt(bitPattern: unsafeBitCast(handler, to: Int.self)), ordering: .acquiringAndReleasing)
            installed.store(true, ordering: .releasing)
            guard csys_set_signal(SIGINT, interruptMain) == 0 else { return (nil, false) }
            return (unsafeBitCast(Int(bitPattern: old), to: mtcp_sighandler_t?.self), true)
        }
        let old = csys_signal_handler(number)
        guard csys_set_signal(number, handler) == 0 else { return (nil, false) }
        return (old, true)
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
