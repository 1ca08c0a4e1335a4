import CMOS
import XCTest

@testable import MOSEvents

final class EventForestTests: XCTestCase {
    func testIdsStartAt4096AndFollowEachOther() {
        let first = defineFresh(packetIn)
        XCTAssertGreaterThanOrEqual(first, 4096)
        XCTAssertEqual(EventForest.allocate(parent: first), first + 1)
        XCTAssertEqual(defineFresh(first + 1), first + 2)
    }

    func testEqualDefinitionsAreOneEvent() {
        let bytes: [UInt8] = [1, 2, 3]
        func make(_ parent: UInt64, _ filter: Int, _ bytes: [UInt8]) -> UInt64 {
            EventForest.define(parent: parent, filter: filters[filter], argument: bytes, length: bytes.count)
        }
        let event = make(packetIn, 0, bytes)
        XCTAssertEqual(make(packetIn, 0, [1, 2, 3]), event)
        let others = [
            make(packetIn, 1, bytes), make(packetIn, 0, [1, 2]), make(packetIn, 0, [1, 2, 4]),
            make(packetIn, 0, []), make(event, 0, bytes), make(UInt64(BuiltInEvent.newData), 0, bytes),
        ]
        XCTAssertEqual(Set(others + [event]).count, 7)
        XCTAssertEqual(make(packetIn, 0, []), others[3])
        XCTAssertEqual(
            EventForest.define(parent: packetIn, filter: filters[0], argument: nil, length: 0), others[3])
    }

    func testAllocatedEventsAreAllDifferent() {
        let a = EventForest.allocate(parent: packetIn)
        let b = EventForest.allocate(parent: packetIn)
        XCTAssertNotEqual(a, b)
        XCTAssertTrue(EventForest.isAllocated(a))
        XCTAssertFalse(EventForest.isAllocated(defineFresh(packetIn)))
        XCTAssertFalse(EventForest.isAllocated(packetIn))
    }

    func testRefusals() {
        let known = defineFresh(packetIn)
        let byte: [UInt8] = [1]
        for parent: UInt64 in [0, 3, 1 << 30, 1 << 40, 4095, known + 1, .max, known | 1 << 32] {
            XCTAssertEqual(define(parent, 0, 1), 0, "\(parent)")
            XCTAssertEqual(EventForest.allocate(parent: parent), 0, "\(parent)")
            XCTAssertEqual(EventForest.rootBit(of: parent), 0, "\(parent)")
            XCTAssertEqual(EventForest.parent(of: parent), 0, "\(parent)")
        }
        XCTAssertEqual(EventForest.define(parent: packetIn, filter: nil, argument: byte, length: 1), 0)
        XCTAssertEqual(EventForest.define(parent: packetIn, filter: filters[0], argument: nil, length: 1), 0)
        XCTAssertEqual(EventForest.define(parent: packetIn, filter: filters[0], argument: byte, length: -1), 0)
        XCTAssertEqual(EventForest.define(parent: packetIn, filter: filters[0], argument: byte, length: .max), 0)
    }

    func testRootIsFoundHoweverDeep() {
        for bit in 0..<UInt64(12) {
            XCTAssertEqual(EventForest.rootBit(of: 1 << bit), 1 << UInt32(bit))
            var event: UInt64 = 1 << bit
            for depth in 0..<50 {
                let child = depth % 7 == 3 ? EventForest.allocate(parent: event) : defineFresh(event)
                XCTAssertEqual(EventForest.parent(of: child), event)
                event = child
            }
            XCTAssertEqual(EventForest.rootBit(of: event), 1 << UInt32(bit))
        }
    }

    func testArgumentIsCopiedAndHandlersMayWriteToIt() throws {
        var value: UInt64 = 0xABCD_0001
        let event = define(packetIn, 2, value)
        value = 0
        let table = try XCTUnwrap(EventSetTable())
        let stack = try XCTUnwrap(DispatchStack())
        defer {
            stack.destroy()
            table.destroy()
        }
        var seen: [UInt64] = []
        let script = Script()
        script.onHandler = { _, _, _, _, argument in
            XCTAssertEqual(argument.pointee.len, 8)
            seen.append(argument.pointee.arg.load(as: UInt64.self))
            argument.pointee.arg.storeBytes(of: 77, as: UInt64.self)
            argument.pointee.len = 8
        }
        script.onFilter = { _, _, _, _, argument in
            seen.append(argument.pointee.arg.load(as: UInt64.self))
            return true
        }
        Script.current = script
        let set = try XCTUnwrap(table.setting(.empty, event: event, handler: handlers[0]))
        stack.dispatch(set, root: 1, nil, socket: 0, side: 0)
        stack.dispatch(set, root: 1, nil, socket: 0, side: 0)
        XCTAssertEqual(seen, [0xABCD_0001, 0xABCD_0001, 77, 77])
        XCTAssertEqual(define(packetIn, 2, 0xABCD_0001), event, "what a handler wrote changes no definition")
    }

    func testDefinitionsFromSeveralThreadsAgree() {
        let count = 3000
        let threads = 4
        var ids = [[UInt64]](repeating: [], count: threads)
        let lock = NSLock()
        let base = defineFresh(packetIn)
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            var mine = [UInt64](repeating: 0, count: count)
            var random = Random(state: UInt64(thread))
            for at in (0..<count).shuffled(using: &random) {
                let id = define(base, 1, UInt64(at))
                // What one thread made, this one sees whole.
                XCTAssertEqual(EventForest.rootBit(of: id), 1)
                XCTAssertEqual(EventForest.parent(of: id), base)
                mine[at] = id
                if at % 16 == 0 { XCTAssertNotEqual(EventForest.allocate(parent: id), 0) }
            }
            lock.withLock { ids[thread] = mine }
        }
        XCTAssertEqual(Set(ids[0]).count, count)
        for thread in 1..<threads { XCTAssertEqual(ids[thread], ids[0]) }
    }
}
