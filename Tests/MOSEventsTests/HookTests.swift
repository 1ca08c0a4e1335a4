import CMOS
import XCTest

@testable import MOSEvents

/// 02-monitor.md §3, what `mtcp_register_callback` refuses.
final class HookTests: XCTestCase {
    /// By bit number: at MOS_NULL, MOS_HK_SND, MOS_HK_RCV.
    static let legal: [(null: Bool, send: Bool, receive: Bool)] = [
        (true, true, true),     // PKT_IN
        (true, true, true),     // PKT_OUT
        (false, true, true),    // CONN_START
        (true, true, true),     // CONN_SETUP
        (true, false, false),   // CONN_NEW_DATA
        (true, false, false),   // ERROR
        (true, true, true),     // TIMEOUT
        (false, true, true),    // TCP_STATE_CHANGE
        (true, false, false),   // ORPHAN
        (false, true, true),    // REXMIT
        (false, true, true),    // CONN_END
        (true, true, true),     // DEBUG_MESSAGE
    ]

    func testEveryEventAtEveryHook() {
        for (bit, legal) in Self.legal.enumerated() {
            let root: UInt64 = 1 << UInt64(bit)
            let child = defineFresh(root)
            let raised = EventForest.allocate(parent: child)
            var deep = raised
            for _ in 0..<20 { deep = defineFresh(deep) }
            for event in [root, child, raised, deep, EventForest.allocate(parent: root)] {
                XCTAssertEqual(EventForest.isRegistrable(event: event, hook: .null), legal.null, "\(bit) \(event)")
                XCTAssertEqual(EventForest.isRegistrable(event: event, hook: .send), legal.send, "\(bit) \(event)")
                XCTAssertEqual(EventForest.isRegistrable(event: event, hook: .receive), legal.receive, "\(bit) \(event)")
            }
        }
    }

    func testUnknownEvents() {
        let last = defineFresh(packetIn)
        for event: UInt64 in [0, 3, 5, 4095, 1 << 12 | 1, last + 1, 1 << 13, 1 << 29, 1 << 31, 1 << 63, .max, packetIn | 1 << 32] {
            guard EventForest.rootBit(of: event) == 0 else { continue }
            for hook in [Hook.null, .send, .receive] {
                XCTAssertFalse(EventForest.isRegistrable(event: event, hook: hook), "\(event)")
            }
        }
        for event: UInt64 in [0, 3, 4095, last + 1, .max] {
            XCTAssertEqual(EventForest.rootBit(of: event), 0)
        }
    }

    func testHookPoints() {
        XCTAssertEqual(Hook(hookPoint: 1 << 29), .null)
        XCTAssertEqual(Hook(hookPoint: 1 << 30), .receive)
        XCTAssertEqual(Hook(hookPoint: .min), .send)
        for other: Int32 in [0, 1, -1, 1 << 28, 1 << 29 | 1, 1 << 29 | 1 << 30, .max] {
            XCTAssertNil(Hook(hookPoint: other))
        }
    }
}
