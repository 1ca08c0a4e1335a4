import CMOS
import CSys
import XCTest

@testable import MOSEvents

final class EventSetTests: XCTestCase {
    private var table: EventSetTable!

    override func setUp() {
        table = EventSetTable()
    }

    override func tearDown() {
        table.destroy()
    }

    private func setting(_ set: EventSet, _ event: UInt64, _ handler: Int) throws -> EventSet {
        try XCTUnwrap(table.setting(set, event: event, handler: handlers[handler]))
    }

    func testEmpty() {
        let set = EventSet.empty
        XCTAssertTrue(set.isEmpty)
        XCTAssertEqual(set.mask, 0)
        XCTAssertEqual(set.count, 0)
        XCTAssertNil(set.handler(of: packetIn))
        XCTAssertNil(table.removing(set, event: packetIn))
        XCTAssertEqual(MemoryLayout<EventSet>.size, 8)
    }

    func testLayout() {
        let header = EventSetPointer.allocate(capacity: 1)
        defer { header.deallocate() }
        withUnsafePointer(to: &header.pointee.starts) {
            XCTAssertEqual(UnsafeRawPointer($0) - UnsafeRawPointer(header), EventSetHeader.startsOffset)
        }
        XCTAssertEqual(MemoryLayout<EventSetHeader>.offset(of: \.packetHandler), 64)
        XCTAssertEqual(MemoryLayout<EventNode>.stride, 24)
        XCTAssertEqual(MemoryLayout<EventRecord>.offset(of: \.argument), 0)
    }

    func testSetReplaceRemove() throws {
        let event = defineFresh(UInt64(BuiltInEvent.newData))
        let a = try setting(.empty, packetIn, 0)
        let b = try setting(a, event, 1)
        let c = try setting(b, event, 2)
        XCTAssertEqual([a.count, b.count, c.count], [1, 2, 2])
        XCTAssertEqual(b.mask, BuiltInEvent.packetIn | BuiltInEvent.newData)
        XCTAssertEqual(number(of: b.handler(of: event)), 1)
        XCTAssertEqual(number(of: c.handler(of: event)), 2)
        XCTAssertNil(c.handler(of: UInt64(BuiltInEvent.newData)))
        let d = try XCTUnwrap(table.removing(c, event: event))
        XCTAssertTrue(d == a)
        XCTAssertNil(table.removing(d, event: event))
        XCTAssertNil(table.removing(d, event: .max))
        XCTAssertTrue(try XCTUnwrap(table.removing(d, event: packetIn)).isEmpty)
        XCTAssertTrue(try setting(c, event, 2) == c)
        XCTAssertNil(table.setting(a, event: 3, handler: handlers[0]))
        XCTAssertNil(table.setting(a, event: .max, handler: handlers[0]))
    }

    func testEqualSetsAreOneHoweverTheyCameAbout() throws {
        var events = (0..<6).map { _ in defineFresh(packetIn) }
        events += events.map { defineFresh($0) }
        events += events.map { EventForest.allocate(parent: $0) }
        events += events.suffix(6).map { defineFresh($0) }
        var random = Random(state: 5)
        var result: EventSet?
        for _ in 0..<40 {
            var set = EventSet.empty
            for event in events.shuffled(using: &random) {
                let next = try setting(set, event, Int(event % 4))
                table.release(set)
                set = next
            }
            if let result {
                XCTAssertTrue(result == set)
                table.release(set)
            }
            result = set
            table.reap()
        }
        XCTAssertEqual(table.liveCount, 1)
        XCTAssertEqual(result!.id, events.reduce(0) {
            $0 ^ PairHash.mix($1, UInt64(unsafeBitCast(handlers[Int($1 % 4)], to: UInt.self)))
        })
    }

    func testGoneWithTheLastUserAndBackFromLimbo() throws {
        let a = try setting(.empty, packetIn, 0)
        XCTAssertEqual(table.liveCount, 1)
        let full = table.bytes
        table.retain(a)
        table.release(a)
        XCTAssertEqual(table.liveCount, 1)
        table.release(a)
        XCTAssertEqual(table.liveCount, 0)
        XCTAssertEqual(table.bytes, full, "still in limbo")
        let again = try setting(.empty, packetIn, 0)
        XCTAssertTrue(again == a)
        XCTAssertEqual(table.liveCount, 1)
        table.reap()
        XCTAssertEqual(table.bytes, full, "reaping spares what came back")
        XCTAssertEqual(again.count, 1)
        table.release(again)
        table.release(try setting(.empty, packetIn, 0))
        table.reap()
        XCTAssertEqual(table.liveCount, 0)
        XCTAssertLessThan(table.bytes, full)
    }

    func testDeepChain() throws {
        let stack = try XCTUnwrap(DispatchStack())
        defer { stack.destroy() }
        let script = Script()
        var ran = 0
        script.onHandler = { _, _, _, _, _ in ran += 1 }
        Script.current = script
        var event = packetIn
        var events: [UInt64] = []
        for _ in 0..<20_000 {
            event = defineFresh(event)
            events.append(event)
        }
        let set = try setting(.empty, event, 0)
        XCTAssertEqual(set.pointer?.pointee.nodeCount, 20_001)
        stack.dispatch(set, root: 1, nil, socket: 0, side: 0)
        XCTAssertEqual(ran, 1)
        let both = try setting(set, events[10_000], 0)
        let upper = try XCTUnwrap(table.removing(both, event: event))
        XCTAssertEqual(upper.pointer?.pointee.nodeCount, 10_002)
        XCTAssertTrue(try XCTUnwrap(table.removing(upper, event: events[10_000])).isEmpty)
    }

    /// Chains of allocated events and of defined ones, between each other.
    func testChainsOfAllocatedEvents() throws {
        var random = Random(state: 9)
        for round in 0..<60 {
            let roots: [UInt64] = [1, 4, 16, 1024]
            let length = 1 + round % 30
            // Some that grow side by side, so that their ids alternate.
            var chains = (0..<4).map { _ in [roots.randomElement(using: &random)!] }
            for _ in 0..<length {
                for at in chains.indices {
                    let parent = Int.random(in: 0..<4, using: &random) == 0
                        ? chains.randomElement(using: &random)!.randomElement(using: &random)! : chains[at].last!
                    chains[at].append(
                        Int.random(in: 0..<3, using: &random) > 0
                            ? EventForest.allocate(parent: parent) : defineFresh(parent))
                }
            }
            let events = chains.joined().map { $0 }
            var set = EventSet.empty
            var pairs: [UInt64: Int] = [:]
            for step in 0..<80 {
                let event = Bool.random(using: &random)
                    ? chains.randomElement(using: &random)!.last! : events.randomElement(using: &random)!
                var next = table.removing(set, event: event)
                XCTAssertEqual(next != nil, pairs[event] != nil)
                pairs[event] = next == nil ? Int.random(in: 0..<4, using: &random) : nil
                if next == nil { next = try setting(set, event, pairs[event]!) }
                table.release(set)
                set = next!
                XCTAssertNil(layoutError(set), "round \(round), step \(step)")
                for (event, handler) in pairs { XCTAssertEqual(number(of: set.handler(of: event)), handler) }
                XCTAssertEqual(set.count, pairs.count)
            }
            for event in pairs.keys.shuffled(using: &random) {
                let next = try XCTUnwrap(table.removing(set, event: event))
                table.release(set)
                set = next
                XCTAssertNil(layoutError(set))
            }
            XCTAssertTrue(set.isEmpty)
            table.reap(limit: .max)
        }
    }

    /// Registered and removed in a time that goes with its length, not its square.
    func testLongChainOfAllocatedEvents() throws {
        var event = packetIn
        var middle: UInt64 = 0
        for at in 0..<200_000 {
            event = EventForest.allocate(parent: event)
            if at == 100_000 { middle = event }
        }
        let set = try setting(.empty, event, 0)
        XCTAssertEqual(set.pointer?.pointee.nodeCount, 200_001)
        XCTAssertEqual(set.pointer?.pointee.raisableCount, 200_000)
        let both = try setting(set, middle, 1)
        let upper = try XCTUnwrap(table.removing(both, event: event))
        XCTAssertEqual(upper.pointer?.pointee.raisableCount, 100_001)
        XCTAssertNil(layoutError(upper))
        XCTAssertTrue(try XCTUnwrap(table.removing(upper, event: middle)).isEmpty)
    }

    /// What a handler leaves in limbo stays below the limit, whatever it does.
    func testLimboIsTrimmed() throws {
        let events = (0..<5000).map { _ in defineFresh(packetIn) }
        let stack = try XCTUnwrap(DispatchStack())
        defer { stack.destroy() }
        let script = Script()
        Script.current = script
        var own = EventSet.empty
        for event in [events[0], packetIn] {
            let next = try setting(own, event, 0)
            table.release(own)
            own = next
        }
        let walked = own
        let table = self.table!
        var most = 0
        var ran = 0
        func change(_ event: UInt64, _ handler: Int?) {
            let next = handler.map { table.setting(own, event: event, handler: handlers[$0]) }
                ?? table.removing(own, event: event)
            XCTAssertNotNil(next)
            let old = own
            own = next ?? own
            table.release(old)
            table.trim(sparing: stack)
            most = max(most, table.setBytes)
        }
        script.onHandler = { _, _, _, _, _ in
            ran += 1
            guard ran == 1 else { return }
            for event in events { change(event, 1) }
            for event in events { change(event, nil) }
            change(packetIn, nil)
            XCTAssertTrue(own.isEmpty)
            XCTAssertEqual(table.liveCount, 0)
        }
        XCTAssertTrue(stack.dispatch(walked, root: 1, nil, socket: 0, side: 0))
        XCTAssertEqual(ran, 2, "the walk goes on over the set that it began with")
        XCTAssertLessThan(most, 2 << 20)
        XCTAssertGreaterThan(most, 1 << 20)
        table.reap(limit: .max)
        XCTAssertEqual(table.limboBytes, 0)
        XCTAssertEqual(table.setBytes, 0)
    }

    /// A set is found again by the change that made it or leads back from it, and by
    /// any other.
    func testNeighbours() throws {
        for mask: UInt64 in [0, .max] {
            let table = try XCTUnwrap(EventSetTable(hashMask: mask))
            defer { table.destroy() }
            func setting(_ set: EventSet, _ event: UInt64, _ handler: Int) throws -> EventSet {
                try XCTUnwrap(table.setting(set, event: event, handler: handlers[handler]))
            }
            let hub = try setting(setting(.empty, packetIn, 0), UInt64(BuiltInEvent.newData), 0)
            // More than there are remembered changes.
            let events = (0..<3000).map { _ in defineFresh(packetIn) }
            let count = mask == 0 ? 100 : events.count
            let sets = try events.prefix(count).map { try setting(hub, $0, 0) }
            let replaced = try zip(events, sets).map { try setting($1, $0, 1) }
            for _ in 0..<2 {
                for (at, event) in events.prefix(count).enumerated() {
                    XCTAssertTrue(try setting(hub, event, 0) == sets[at])
                    XCTAssertTrue(try setting(hub, event, 1) == replaced[at])
                    XCTAssertTrue(try setting(replaced[at], event, 0) == sets[at])
                    XCTAssertTrue(try XCTUnwrap(table.removing(sets[at], event: event)) == hub)
                    XCTAssertTrue(try XCTUnwrap(table.removing(replaced[at], event: event)) == hub)
                    XCTAssertTrue(try setting(sets[at], packetIn, 0) == sets[at])
                    XCTAssertNil(table.removing(sets[at], event: events[(at + 1) % count]))
                }
            }
            XCTAssertEqual(table.liveCount, 2 * count + 2)
        }
    }

    /// Sets with equal ids are told apart, also when all ids are equal.
    func testEqualIdsOfDifferentSets() throws {
        for mask: UInt64 in [0, 1, 3] {
            let table = try XCTUnwrap(EventSetTable(hashMask: mask))
            defer { table.destroy() }
            let events = (0..<5).map { _ in defineFresh(packetIn) }
            var sets: [EventSet] = []
            for subset in 1..<(1 << 5) {
                var set = EventSet.empty
                for at in 0..<5 where subset >> at & 1 == 1 {
                    let next = try XCTUnwrap(table.setting(set, event: events[at], handler: handlers[at % 4]))
                    table.release(set)
                    set = next
                }
                for at in 0..<5 {
                    XCTAssertEqual(number(of: set.handler(of: events[at])), subset >> at & 1 == 1 ? at % 4 : nil)
                }
                XCTAssertFalse(sets.contains { $0 == set })
                sets.append(set)
            }
            XCTAssertEqual(table.liveCount, 31)
            for set in sets { table.release(set) }
            table.reap()
            XCTAssertEqual(table.liveCount, 0)
        }
    }

    func testManyDistinctSets() throws {
        let events = (0..<16).map { _ in defineFresh(packetIn) }
        var sets: [EventSet] = []
        let before = table.bytes
        for subset in 1..<(1 << 13) {
            var set = EventSet.empty
            for at in 0..<13 where subset >> at & 1 == 1 {
                let next = try setting(set, events[at], 0)
                table.release(set)
                set = next
            }
            sets.append(set)
        }
        XCTAssertEqual(table.liveCount, (1 << 13) - 1)
        XCTAssertEqual(Set(sets.map { $0.pointer! }).count, (1 << 13) - 1)
        for set in sets { table.release(set) }
        XCTAssertEqual(table.liveCount, 0)
        let full = table.setBytes
        table.reap(limit: 10)
        XCTAssertLessThan(table.setBytes, full)
        XCTAssertGreaterThan(table.setBytes, full / 2)
        table.reap(limit: .max)
        XCTAssertEqual(table.setBytes, 0)
        XCTAssertEqual(table.bytes, before)
    }
}
