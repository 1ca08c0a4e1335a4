import CMOS
import XCTest

@testable import MOSEvents

/// Each rule of 02-monitor.md §3, "User-defined events" and the walk, alone.
final class DispatchTests: XCTestCase {
    private var table: EventSetTable!
    private var stack: DispatchStack!
    private var script: Script!
    private var names: [UInt64: String] = [:]
    private var log: [String] = []
    /// What the filter or handler of an event does, by "filter a" and so on.
    private var actions: [String: () -> Void] = [:]
    private var refusing: Set<String> = []

    override func setUp() {
        table = EventSetTable()
        stack = DispatchStack()
        script = Script()
        names = [packetIn: "packet"]
        log = []
        actions = [:]
        refusing = []
        script.onHandler = { [unowned self] _, event, _, _, _ in
            log.append(names[event]!)
            actions["handler " + names[event]!]?()
        }
        script.onFilter = { [unowned self] _, event, _, _, _ in
            log.append("?" + names[event]!)
            actions["filter " + names[event]!]?()
            return !refusing.contains(names[event]!)
        }
        Script.current = script
    }

    override func tearDown() {
        Script.current = nil
        script = nil
        actions = [:]
        stack.destroy()
        table.destroy()
    }

    private func event(_ name: String, below parent: UInt64) -> UInt64 {
        let event = defineFresh(parent)
        names[event] = name
        return event
    }

    private func raised(_ name: String, below parent: UInt64) -> UInt64 {
        let event = EventForest.allocate(parent: parent)
        names[event] = name
        return event
    }

    private func set(_ events: UInt64...) -> EventSet {
        events.reduce(.empty) { table.setting($0, event: $1, handler: handlers[0])! }
    }

    private func run(_ set: EventSet, root: UInt32 = 1) -> [String] {
        log = []
        stack.dispatch(set, root: root, nil, socket: 3, side: 1)
        XCTAssertEqual(stack.depth, 0)
        return log
    }

    func testArguments() {
        let sets = set(packetIn)
        var calls = 0
        script.onHandler = { _, event, socket, side, argument in
            XCTAssertEqual(event, packetIn)
            XCTAssertEqual(socket, 9)
            XCTAssertEqual(side, 1)
            XCTAssertNil(argument.pointee.arg)
            XCTAssertEqual(argument.pointee.len, 0)
            calls += 1
        }
        XCTAssertTrue(stack.dispatch(sets, root: 1, nil, socket: 9, side: 1))
        XCTAssertTrue(stack.dispatch(sets, root: 2, nil, socket: 9, side: 1))
        XCTAssertTrue(stack.dispatch(.empty, root: 1, nil, socket: 9, side: 1))
        XCTAssertEqual(calls, 1)
    }

    func testOrder() {
        let a = event("a", below: packetIn)
        let b = event("b", below: packetIn)
        let aa = event("aa", below: a)
        let ba = event("ba", below: b)
        let ab = event("ab", below: a)
        XCTAssertEqual(
            run(set(ab, ba, b, packetIn, aa, a)),
            ["packet", "?a", "a", "?aa", "aa", "?ab", "ab", "?b", "b", "?ba", "ba"])
    }

    func testFilterRunsOnceAndCutsItsSubtree() {
        let a = event("a", below: packetIn)
        let aa = event("aa", below: a)
        let ab = event("ab", below: a)
        let b = event("b", below: packetIn)
        refusing = ["a"]
        XCTAssertEqual(run(set(a, aa, ab, b)), ["?a", "?b", "b"])
    }

    func testFilterWithNothingBelowItDoesNotRun() {
        let a = event("a", below: packetIn)
        let aa = event("aa", below: a)
        let b = event("b", below: packetIn)
        XCTAssertEqual(run(set(b)), ["?b", "b"])
        let deep = set(aa, b)
        XCTAssertEqual(run(deep), ["?a", "?aa", "aa", "?b", "b"])
        XCTAssertEqual(run(table.removing(deep, event: aa)!), ["?b", "b"])
    }

    func testRootsAreSeparate() {
        let data = UInt64(BuiltInEvent.newData)
        names[data] = "data"
        let a = event("a", below: data)
        let sets = set(packetIn, a, data)
        XCTAssertEqual(run(sets), ["packet"])
        XCTAssertEqual(run(sets, root: BuiltInEvent.newData), ["data", "?a", "a"])
        XCTAssertEqual(run(sets, root: BuiltInEvent.connectionEnd), [])
    }

    func testRaisedEventsRunAfterTheChildrenInTheOrderOfRaising() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: a)
        let y = raised("y", below: a)
        let z = raised("z", below: a)
        let aa = event("aa", below: a)
        let b = event("b", below: packetIn)
        actions["filter a"] = { [unowned self] in
            XCTAssertTrue(stack.raise(z))
            XCTAssertTrue(stack.raise(x))
        }
        actions["handler a"] = { [unowned self] in XCTAssertTrue(stack.raise(y)) }
        XCTAssertEqual(
            run(set(a, b, aa, x, y, z)), ["?a", "a", "?aa", "aa", "z", "x", "y", "?b", "b"])
    }

    func testNothingRaisedNothingRun() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: a)
        XCTAssertEqual(run(set(x)), ["?a"], "the filter may raise it, so it runs")
    }

    func testRaisedUnderADescendantRunsUnderThatOne() {
        let a = event("a", below: packetIn)
        let aa = event("aa", below: a)
        let aaa = event("aaa", below: aa)
        let ab = event("ab", below: a)
        let x = raised("x", below: a)
        actions["filter aa"] = { [unowned self] in XCTAssertTrue(stack.raise(x)) }
        XCTAssertEqual(
            run(set(aa, aaa, ab, x)), ["?a", "?aa", "aa", "?aaa", "aaa", "x", "?ab", "ab"])
    }

    func testOutsideItsParentItCannotBeRaised() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: a)
        let b = event("b", below: packetIn)
        for place in ["handler packet", "filter b", "handler b"] {
            actions[place] = { [unowned self] in XCTAssertFalse(stack.raise(x), place) }
        }
        XCTAssertEqual(run(set(packetIn, a, b, x)), ["packet", "?a", "a", "?b", "b"])
    }

    func testForgottenIfTheFilterRefuses() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: packetIn)
        let b = event("b", below: packetIn)
        actions["filter a"] = { [unowned self] in XCTAssertTrue(stack.raise(x)) }
        refusing = ["a"]
        XCTAssertEqual(run(set(a, b, x)), ["?a", "?b", "b"])
        actions["filter b"] = { [unowned self] in XCTAssertTrue(stack.raise(x)) }
        XCTAssertEqual(run(set(a, b, x)), ["?a", "?b", "b", "x"], "a forgotten one can be raised again")
    }

    func testTwiceInOneDispatchRunsOnce() {
        let a = event("a", below: packetIn)
        let b = event("b", below: packetIn)
        let x = raised("x", below: packetIn)
        for place in ["filter a", "handler a", "handler b", "handler x"] {
            actions[place] = { [unowned self] in
                XCTAssertTrue(stack.raise(x))
                XCTAssertTrue(stack.raise(x))
            }
        }
        XCTAssertEqual(run(set(a, b, x)), ["?a", "a", "x", "?b", "b"])
        XCTAssertEqual(run(set(a, b, x)), ["?a", "a", "x", "?b", "b"], "and once in the next")
    }

    func testWhatCannotBeRaised() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: packetIn)
        let unregistered = raised("u", below: packetIn)
        XCTAssertFalse(stack.raise(x))
        actions["handler a"] = { [unowned self] in
            XCTAssertFalse(stack.raise(a))
            XCTAssertFalse(stack.raise(packetIn))
            XCTAssertFalse(stack.raise(unregistered))
            XCTAssertFalse(stack.raise(0))
            XCTAssertFalse(stack.raise(.max))
            XCTAssertFalse(stack.raise(x | 1 << 32))
            XCTAssertTrue(stack.raise(x))
        }
        XCTAssertEqual(run(set(a, x)), ["?a", "a", "x"])
        actions["handler a"] = { [unowned self] in XCTAssertFalse(stack.raise(x)) }
        XCTAssertEqual(run(set(a)), ["?a", "a"])
        actions["handler packet"] = { [unowned self] in XCTAssertFalse(stack.raise(x)) }
        XCTAssertEqual(run(set(packetIn)), ["packet"])
        XCTAssertFalse(stack.raise(x))
    }

    func testTreeOfARaisedEvent() {
        let x = raised("x", below: packetIn)
        let xa = event("xa", below: x)
        let xb = event("xb", below: x)
        let xaa = event("xaa", below: xa)
        let y = raised("y", below: xa)
        let ya = event("ya", below: y)
        let z = raised("z", below: packetIn)
        actions["handler packet"] = { [unowned self] in
            XCTAssertFalse(stack.raise(y))
            XCTAssertTrue(stack.raise(z))
            XCTAssertTrue(stack.raise(x))
        }
        actions["handler xaa"] = { [unowned self] in
            XCTAssertTrue(stack.raise(y))
            XCTAssertTrue(stack.raise(z), "was raised before")
        }
        actions["handler xb"] = { [unowned self] in XCTAssertFalse(stack.raise(y), "xa is over") }
        actions["handler z"] = { [unowned self] in XCTAssertFalse(stack.raise(y)) }
        XCTAssertEqual(
            run(set(packetIn, xb, xaa, ya, z)),
            ["packet", "z", "?xa", "?xaa", "xaa", "?ya", "ya", "?xb", "xb"])
    }

    func testRaisedUnderARaisedEventOfAnotherParent() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: packetIn)
        let y = raised("y", below: a)
        let xa = event("xa", below: x)
        actions["handler a"] = { [unowned self] in XCTAssertTrue(stack.raise(x)) }
        actions["filter xa"] = { [unowned self] in XCTAssertTrue(stack.raise(y), "x runs under a") }
        XCTAssertEqual(run(set(a, x, xa, y)), ["?a", "a", "x", "?xa", "xa", "y"])
    }

    func testLongChainOfRaisedEvents() {
        var chain: [UInt64] = [packetIn]
        for at in 0..<2000 { chain.append(raised("\(at)", below: at % 2 == 0 ? packetIn : chain.last!)) }
        for at in 0..<2000 {
            let next = chain[at + 1]
            actions["handler " + names[chain[at]]!] = { [unowned self] in XCTAssertTrue(stack.raise(next)) }
        }
        let all = chain.reduce(EventSet.empty) { table.setting($0, event: $1, handler: handlers[0])! }
        XCTAssertEqual(run(all), ["packet"] + (0..<2000).map(String.init))
    }

    func testDispatchesNest() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: a)
        let data = UInt64(BuiltInEvent.newData)
        names[data] = "data"
        let y = raised("y", below: data)
        let outer = set(a, x)
        let inner = set(data, y)
        let plain = set(data)
        actions["handler a"] = { [unowned self] in
            stack.dispatch(inner, root: BuiltInEvent.newData, nil, socket: 0, side: 0)
            actions["handler data"] = { [unowned self] in XCTAssertFalse(stack.raise(x)) }
            stack.dispatch(plain, root: BuiltInEvent.newData, nil, socket: 0, side: 0)
            XCTAssertTrue(stack.raise(x))
            XCTAssertFalse(stack.raise(y))
        }
        actions["handler data"] = { [unowned self] in
            XCTAssertEqual(stack.depth, 2)
            XCTAssertFalse(stack.raise(x), "it belongs to the dispatch outside")
            XCTAssertTrue(stack.raise(y))
        }
        XCTAssertEqual(run(outer), ["?a", "a", "data", "y", "data", "x"])
    }

    func testSameSetInsideItself() {
        let a = event("a", below: packetIn)
        let x = raised("x", below: a)
        let sets = set(a, x)
        actions["handler a"] = { [unowned self] in
            XCTAssertTrue(stack.raise(x))
            if stack.depth == 1 { stack.dispatch(sets, root: 1, nil, socket: 0, side: 0) }
        }
        XCTAssertEqual(run(sets), ["?a", "a", "?a", "a", "x", "x"])
    }

    func testDepthIsBounded() {
        let sets = set(packetIn)
        var refused = 0
        actions["handler packet"] = { [unowned self] in
            if !stack.dispatch(sets, root: 1, nil, socket: 0, side: 0) { refused += 1 }
        }
        XCTAssertEqual(run(sets).count, DispatchStack.maximumDepth)
        XCTAssertEqual(refused, 1)
    }

    func testHandlersChangeTheirOwnSet() {
        let a = event("a", below: packetIn)
        let b = event("b", below: packetIn)
        let x = raised("x", below: packetIn)
        var mine = set(packetIn, a, x)
        table.reap()
        func change(_ next: EventSet?) {
            table.release(mine)
            mine = next!
        }
        actions["handler packet"] = { [unowned self] in
            XCTAssertTrue(stack.raise(x))
            change(table.removing(mine, event: x))
            change(table.removing(mine, event: a))
            change(table.removing(mine, event: packetIn))
            change(table.setting(mine, event: b, handler: handlers[1]))
        }
        XCTAssertEqual(run(mine), ["packet", "?a", "a", "x"])
        table.reap()
        XCTAssertEqual(run(mine), ["?b", "b"])
    }
}
