import CMOS
import XCTest

@testable import MOSEvents

/// Random trees of events, random changes on many flows and random dispatches,
/// against a model that keeps a list for each flow and follows the words of
/// 02-monitor.md §3 by recursion.
final class EventModelTests: XCTestCase {
    func testAgainstNaiveLists() throws {
        for seed in 1...4 {
            try Comparison(seed: UInt64(seed), flows: 2500, events: 60, hashMask: .max).run(steps: 60_000)
        }
    }

    func testAgainstNaiveListsLargeSets() throws {
        for seed in 31...34 {
            try Comparison(seed: UInt64(seed), flows: 30, events: 80, hashMask: .max).run(steps: 10_000)
        }
    }

    func testAgainstNaiveListsFewEventsMuchSharing() throws {
        try Comparison(seed: 11, flows: 4000, events: 4, hashMask: .max).run(steps: 40_000)
    }

    /// Sets in limbo go at once, but for those that are walked.
    func testAgainstNaiveListsWithoutLimbo() throws {
        for limboLimit in [0, 2000] {
            try Comparison(seed: 41, flows: 200, events: 40, hashMask: .max, limboLimit: limboLimit).run(steps: 20_000)
            try Comparison(seed: 42, flows: 20, events: 80, hashMask: 0xF, limboLimit: limboLimit).run(steps: 10_000)
        }
    }

    func testAgainstNaiveListsWithCollidingIds() throws {
        try Comparison(seed: 21, flows: 100, events: 40, hashMask: 0).run(steps: 10_000)
        try Comparison(seed: 22, flows: 300, events: 40, hashMask: 0xF).run(steps: 10_000)
    }
}

/// What one call to a filter or handler did, or one attempt to raise.
private enum Call: Equatable {
    case filter(UInt64, number: Int, socket: Int, argument: UInt64, depth: Int, result: Bool)
    case handler(UInt64, number: Int, socket: Int, argument: UInt64, depth: Int)
    case raise(UInt64, Bool)
    case changed(UInt64, handler: Int?, Bool)
}

/// What a callback does, the same in both runs of a dispatch.
private enum Deed {
    case raise(UInt64)
    case change(flow: Int, UInt64, handler: Int?)
    case dispatch(flow: Int, root: UInt32)
}

private struct Event {
    var id: UInt64
    var parent: UInt64
    var isAllocated = false
    var filter: Int?
    var argument: UInt64 = 0
}

private struct Difference: Error {}

private final class Comparison {
    let table: EventSetTable
    let stack: DispatchStack
    var random: Random
    var events: [UInt64: Event] = [:]
    var userEvents: [UInt64] = []
    var allocated: [UInt64] = []
    var children: [UInt64: [UInt64]] = [:]
    var roots: [UInt64] = [1, 4, 16, 1024]

    var sets: [EventSet]
    var lists: [[UInt64: Int]]
    /// How many flows have each list that some flow has.
    var distinct: [[UInt64: Int]: Int] = [:]

    /// The dispatch that is compared, and how many callbacks it has made so far.
    var dispatchSeed: UInt64 = 0
    var callbacks: UInt64 = 0
    var log: [Call] = []
    var modelDepth = 0
    var nextArgument: UInt64
    /// Raised successfully, in all dispatches.
    var raises = 0
    var changes = 0

    init(seed: UInt64, flows: Int, events count: Int, hashMask: UInt64, limboLimit: Int = 1 << 20) throws {
        table = try XCTUnwrap(EventSetTable(hashMask: hashMask, limboLimit: limboLimit))
        stack = try XCTUnwrap(DispatchStack())
        random = Random(state: seed)
        nextArgument = seed << 40
        sets = Array(repeating: .empty, count: flows)
        lists = Array(repeating: [:], count: flows)
        for root in roots { events[root] = Event(id: root, parent: 0) }
        for _ in 0..<count { addEvent() }
    }

    deinit {
        stack.destroy()
        table.destroy()
    }

    func addEvent() {
        let deep = !userEvents.isEmpty && Int.random(in: 0..<4, using: &random) > 0
        let parent = deep ? userEvents.randomElement(using: &random)! : roots.randomElement(using: &random)!
        var event = Event(id: 0, parent: parent)
        if Int.random(in: 0..<3, using: &random) == 0 {
            event.isAllocated = true
            event.id = EventForest.allocate(parent: parent)
            allocated.append(event.id)
        } else {
            nextArgument += 1
            event.filter = Int.random(in: 0..<4, using: &random)
            event.argument = nextArgument
            event.id = define(parent, event.filter!, nextArgument)
        }
        XCTAssertNotEqual(event.id, 0)
        events[event.id] = event
        userEvents.append(event.id)
        children[parent, default: []].append(event.id)
    }

    func run(steps: Int) throws {
        let script = Script()
        script.onFilter = { [unowned self] in realFilter($0, $1, $2, $4) }
        script.onHandler = { [unowned self] in realHandler($0, $1, $2, $4) }
        Script.current = script
        var calls = 0
        for step in 0..<steps {
            let flow = Int.random(in: 0..<sets.count, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<3:
                let event = anyEvent(&random)
                let handler = Int.random(in: 0..<4, using: &random)
                XCTAssertEqual(changeReal(flow, event, handler), changeModel(flow, event, handler))
            case 3:
                let event = lists[flow].keys.sorted().randomElement(using: &random) ?? anyEvent(&random)
                XCTAssertEqual(changeReal(flow, event, nil), changeModel(flow, event, nil))
            case 4:
                // As a new flow gets its listener's set.
                let from = Int.random(in: 0..<sets.count, using: &random)
                table.retain(sets[from])
                table.release(sets[flow])
                sets[flow] = sets[from]
                assign(flow, lists[from])
            case 5:
                if Int.random(in: 0..<200, using: &random) == 0 { addEvent() }
                if Int.random(in: 0..<4, using: &random) == 0 { table.reap() }
            default:
                calls += try compareDispatch(flow, root: UInt32(roots.randomElement(using: &random)!))
            }
            guard table.liveCount == distinct.count else {
                XCTFail("\(table.liveCount) sets instead of \(distinct.count) at step \(step)")
                throw Difference()
            }
            XCTAssertEqual(sets[flow].count, lists[flow].count)
        }
        XCTAssertGreaterThan(calls, steps / 8)
        XCTAssertGreaterThan(raises, steps / 400)
        for flow in sets.indices {
            for (event, handler) in lists[flow] {
                XCTAssertEqual(number(of: sets[flow].handler(of: event)), handler)
            }
            table.release(sets[flow])
        }
        table.reap(limit: .max)
        XCTAssertEqual(table.liveCount, 0)
        XCTAssertEqual(table.setBytes, 0)
    }

    func anyEvent(_ random: inout Random) -> UInt64 {
        Int.random(in: 0..<6, using: &random) == 0
            ? roots.randomElement(using: &random)! : userEvents.randomElement(using: &random)!
    }

    // MARK: Changes

    func changeReal(_ flow: Int, _ event: UInt64, _ handler: Int?) -> Bool {
        let next = handler.map { table.setting(sets[flow], event: event, handler: handlers[$0]) }
            ?? table.removing(sets[flow], event: event)
        guard let next else { return false }
        let old = sets[flow]
        sets[flow] = next
        table.release(old)
        table.trim(sparing: stack)
        changes += 1
        if changes % 32 == 0 { XCTAssertNil(layoutError(next)) }
        return true
    }

    func changeModel(_ flow: Int, _ event: UInt64, _ handler: Int?) -> Bool {
        if handler == nil, lists[flow][event] == nil { return false }
        var list = lists[flow]
        list[event] = handler
        assign(flow, list)
        return true
    }

    func assign(_ flow: Int, _ list: [UInt64: Int]) {
        let old = lists[flow]
        if !old.isEmpty {
            distinct[old]! -= 1
            if distinct[old] == 0 { distinct[old] = nil }
        }
        if !list.isEmpty { distinct[list, default: 0] += 1 }
        lists[flow] = list
    }

    // MARK: One dispatch, twice

    func compareDispatch(_ flow: Int, root: UInt32) throws -> Int {
        dispatchSeed = random.next()
        callbacks = 0
        log = []
        stack.dispatch(sets[flow], root: root, nil, socket: Int32(flow), side: 0)
        let real = log
        callbacks = 0
        log = []
        modelDepth = 0
        model(flow, root)
        guard real == log else {
            let same = zip(real, log).prefix { $0 == $1 }.count
            XCTFail("flow \(flow), root \(root): \(real.dropFirst(same).prefix(1)) instead of \(log.dropFirst(same).prefix(1))")
            throw Difference()
        }
        raises += real.reduce(0) { if case .raise(_, true) = $1 { $0 + 1 } else { $0 } }
        return real.count
    }

    /// What the next callback does: the same in both runs as long as they call
    /// in the same order.
    func deeds(depth: Int, filter: Bool) -> (result: Bool, deeds: [Deed]) {
        callbacks += 1
        var random = Random(state: dispatchSeed &+ callbacks &* 0x1234_5678_9ABC_DEF1)
        var deeds: [Deed] = []
        if callbacks < 400 {
            for _ in 0..<Int.random(in: 0..<5, using: &random) {
                let event = Int.random(in: 0..<4, using: &random) == 0 ? nil : allocated.randomElement(using: &random)
                deeds.append(.raise(event ?? anyEvent(&random)))
            }
            if Int.random(in: 0..<12, using: &random) == 0 {
                let flow = Int.random(in: 0..<sets.count, using: &random)
                deeds.append(.change(flow: flow, anyEvent(&random), handler: [nil, 0, 1, 2].randomElement(using: &random)!))
            }
            if depth < 3, Int.random(in: 0..<10, using: &random) == 0 {
                let flow = Int.random(in: 0..<sets.count, using: &random)
                deeds.append(.dispatch(flow: flow, root: UInt32(roots.randomElement(using: &random)!)))
            }
            deeds.shuffle(using: &random)
        }
        return (Int.random(in: 0..<4, using: &random) > 0, deeds)
    }

    // MARK: The real one

    func realFilter(_ number: Int, _ event: UInt64, _ socket: Int32, _ argument: UnsafeMutablePointer<filter_arg_t>) -> Bool {
        let (result, deeds) = deeds(depth: stack.depth, filter: true)
        log.append(.filter(
            event, number: number, socket: Int(socket), argument: value(argument), depth: stack.depth, result: result))
        deeds.forEach { real($0, Int(socket)) }
        return result
    }

    func realHandler(_ number: Int, _ event: UInt64, _ socket: Int32, _ argument: UnsafeMutablePointer<filter_arg_t>) {
        let (_, deeds) = deeds(depth: stack.depth, filter: false)
        log.append(.handler(event, number: number, socket: Int(socket), argument: value(argument), depth: stack.depth))
        deeds.forEach { real($0, Int(socket)) }
    }

    func real(_ deed: Deed, _ own: Int) {
        switch deed {
        case .raise(let event):
            log.append(.raise(event, stack.raise(event)))
        case .change(let flow, let event, let handler):
            // Half of the changes are to the flow itself.
            let flow = flow % 2 == 0 ? own : flow
            log.append(.changed(event, handler: handler, changeReal(flow, event, handler)))
        case .dispatch(let flow, let root):
            stack.dispatch(sets[flow], root: root, nil, socket: Int32(flow), side: 0)
        }
    }

    func value(_ argument: UnsafeMutablePointer<filter_arg_t>) -> UInt64 {
        argument.pointee.len == 8 ? argument.pointee.arg.load(as: UInt64.self) : UInt64(argument.pointee.len)
    }

    // MARK: The model

    /// One dispatch of the model that is going on.
    final class Walk {
        let socket: Int
        let list: [UInt64: Int]
        var path: [UInt64] = []
        var raised: Set<UInt64> = []
        var raisedHere: [UInt64] = []
        init(_ socket: Int, _ list: [UInt64: Int]) {
            self.socket = socket
            self.list = list
        }
    }

    func model(_ flow: Int, _ root: UInt32) {
        modelDepth += 1
        visit(UInt64(root), Walk(flow, lists[flow]))
        modelDepth -= 1
    }

    func concerns(_ event: UInt64, _ list: [UInt64: Int]) -> Bool {
        list.keys.contains { registered in
            var at = registered
            while at != 0 {
                if at == event { return true }
                at = events[at]!.parent
            }
            return false
        }
    }

    func visit(_ id: UInt64, _ walk: Walk) {
        let event = events[id]!
        guard concerns(id, walk.list) else { return }
        walk.path.append(id)
        defer { walk.path.removeLast() }
        walk.raisedHere = []
        if let filter = event.filter {
            let (result, deeds) = deeds(depth: modelDepth, filter: true)
            log.append(.filter(
                id, number: filter, socket: walk.socket, argument: event.argument, depth: modelDepth, result: result))
            deeds.forEach { model($0, walk) }
            guard result else {
                walk.raised.subtract(walk.raisedHere)
                return
            }
        }
        if let handler = walk.list[id] {
            let (_, deeds) = deeds(depth: modelDepth, filter: false)
            log.append(.handler(
                id, number: handler, socket: walk.socket, argument: event.argument, depth: modelDepth))
            deeds.forEach { model($0, walk) }
        }
        let raised = walk.raisedHere
        for child in (children[id] ?? []).sorted() where !events[child]!.isAllocated { visit(child, walk) }
        for event in raised { visit(event, walk) }
    }

    func model(_ deed: Deed, _ walk: Walk) {
        switch deed {
        case .raise(let id):
            guard events[id]!.isAllocated, concerns(id, walk.list), walk.path.contains(events[id]!.parent) else {
                log.append(.raise(id, false))
                return
            }
            if walk.raised.insert(id).inserted { walk.raisedHere.append(id) }
            log.append(.raise(id, true))
        case .change(let flow, let event, let handler):
            let flow = flow % 2 == 0 ? walk.socket : flow
            log.append(.changed(event, handler: handler, changeModel(flow, event, handler)))
        case .dispatch(let flow, let root):
            model(flow, root)
        }
    }
}
