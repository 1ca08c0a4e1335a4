import XCTest
@testable import MOSStorage

final class TimingWheelTests: XCTestCase {
    private let tick: UInt64 = 1 << 24
    private let second: UInt64 = 1_000_000_000
    private let year: UInt64 = 31_557_600_000_000_000

    private func drain(_ wheel: inout TimingWheel, _ now: UInt64) -> [UInt32] {
        var found: [UInt32] = []
        while let index = wheel.popExpired(now: now) { found.append(index) }
        return found
    }

    func testNotBeforeTheDeadlineAndAtMostATickLate() throws {
        var wheel = try XCTUnwrap(TimingWheel(capacity: 8, now: 5 * second))
        defer { wheel.destroy() }
        let deadline = 15 * second + 1
        wheel.schedule(3, at: deadline, now: 5 * second)
        XCTAssertTrue(wheel.isScheduled(3))
        XCTAssertNil(wheel.popExpired(now: deadline - 1))
        XCTAssertTrue(wheel.isScheduled(3))
        XCTAssertEqual(drain(&wheel, deadline + tick), [3])
        XCTAssertFalse(wheel.isScheduled(3))
        XCTAssertEqual(wheel.nextExpiry, .max)
        XCTAssertEqual(wheel.count, 0)
    }

    func testFarDeadlineComesEarlyOnce() throws {
        var wheel = try XCTUnwrap(TimingWheel(capacity: 8))
        defer { wheel.destroy() }
        wheel.schedule(0, at: 1000 * second, now: 0)
        XCTAssertEqual(drain(&wheel, 60 * second), [])
        XCTAssertEqual(drain(&wheel, 69 * second), [0])
    }

    /// Rescheduling what is reported, for the past or the far future, ends.
    func testReschedulingInTheLoopEnds() throws {
        var wheel = try XCTUnwrap(TimingWheel(capacity: 100))
        defer { wheel.destroy() }
        for i in 0..<100 as Range<UInt32> { wheel.schedule(i, at: UInt64(i) * second, now: 0) }
        for now in [30 * second, 100 * year, 100 * year + tick] {
            var popped = 0
            while let index = wheel.popExpired(now: now) {
                popped += 1
                wheel.schedule(index, at: index % 2 == 0 ? 0 : now + 1000 * second, now: now)
                guard popped <= 100 else { return XCTFail("popped twice at \(now)") }
            }
        }
        XCTAssertEqual(wheel.count, 100)
    }

    /// Scheduling at a time that was not worked off yet loses nothing.
    func testSchedulingAheadOfPopping() throws {
        var wheel = try XCTUnwrap(TimingWheel(capacity: 4))
        defer { wheel.destroy() }
        wheel.schedule(0, at: second, now: 0)
        wheel.schedule(1, at: 100 * second, now: 90 * second)
        wheel.schedule(2, at: 91 * second, now: 90 * second)
        XCTAssertEqual(wheel.popExpired(now: 90 * second), 0)
    }

    /// Time goes on while what had expired is still being popped.
    func testJumpWhilePopping() throws {
        var wheel = try XCTUnwrap(TimingWheel(capacity: 3))
        defer { wheel.destroy() }
        for i in 0..<3 as Range<UInt32> { wheel.schedule(i, at: second, now: 0) }
        XCTAssertEqual(wheel.popExpired(now: 2 * second), 0)
        wheel.schedule(0, at: 3 * second, now: 2 * second)
        var popped: [UInt32] = []
        let now = 100 * year
        while popped.count < 10, let index = wheel.popExpired(now: now) {
            popped.append(index)
            wheel.schedule(index, at: now + 30 * second, now: now)
        }
        XCTAssertEqual(popped, [1, 2, 0])
        XCTAssertEqual(drain(&wheel, now + 31 * second).count, 3)
    }

    func testEdges() throws {
        XCTAssertNil(TimingWheel(capacity: 0))
        XCTAssertNil(TimingWheel(capacity: .max))
        var wheel = try XCTUnwrap(TimingWheel(capacity: 4, now: .max))
        defer { wheel.destroy() }
        wheel.schedule(4, at: 0, now: 0)
        wheel.cancel(4)
        wheel.cancel(1)
        XCTAssertFalse(wheel.isScheduled(poolNil))
        XCTAssertNil(wheel.popExpired(now: .max))
        wheel.schedule(0, at: .max, now: .max)
        XCTAssertNil(wheel.popExpired(now: 0))
        wheel.cancel(0)
        XCTAssertEqual(wheel.count, 0)
    }

    /// Against a plain table of deadlines, with steps from nothing to years
    /// and steps back.
    func testRandomAgainstTable() throws {
        for seed in 1...6 as ClosedRange<UInt64> {
            var random = TestRandom(seed)
            let capacity = 200
            let start = random.below(2) == 0 ? 0 : random.next() >> 4
            var wheel = try XCTUnwrap(TimingWheel(capacity: capacity, now: start))
            defer { wheel.destroy() }
            var now = start
            var latest = start
            // The true deadline of each node, and the earliest time at which
            // it may be reported.
            var deadlines = [UInt64?](repeating: nil, count: capacity)
            var earliest = [UInt64](repeating: 0, count: capacity)
            // What has passed when it is scheduled expires with the next tick.
            var due = [UInt64](repeating: 0, count: capacity)
            for step in 0..<20_000 {
                let index = random.below(capacity)
                switch random.below(10) {
                case 0...4:
                    let ahead = UInt64(random.below(Int(second))) << UInt64(random.below(9))
                    let deadline = random.below(20) == 0 ? now - min(now, ahead) : now + ahead
                    wheel.schedule(UInt32(index), at: deadline, now: now)
                    deadlines[index] = deadline
                    due[index] = max(deadline, latest) + 2 * tick
                    // Early only if it is a turn away from the last call.
                    earliest[index] = min(deadline, (latest & ~(tick - 1)) + 4096 * tick)
                case 5:
                    wheel.cancel(UInt32(index))
                    deadlines[index] = nil
                default:
                    switch random.below(100) {
                    case 0 where now < 1 << 62: now += UInt64(random.below(30)) * year
                    case 1...5: now -= min(now, UInt64(random.below(100)) * second)
                    case 6...30: now += UInt64(random.below(Int(second)))
                    default: now += UInt64(random.below(1 << 22))
                    }
                    latest = max(latest, now)
                    while let popped = wheel.popExpired(now: now) {
                        guard deadlines[Int(popped)] != nil, now >= earliest[Int(popped)] else {
                            return XCTFail("reported too early: seed \(seed) step \(step)")
                        }
                        deadlines[Int(popped)] = nil
                    }
                    if now == latest {
                        for i in 0..<capacity where deadlines[i] != nil && due[i] <= now {
                            return XCTFail("\(i) not reported at \(now): seed \(seed) step \(step)")
                        }
                    }
                }
                guard wheel.isScheduled(UInt32(index)) == (deadlines[index] != nil),
                      wheel.count == deadlines.lazy.filter({ $0 != nil }).count else {
                    return XCTFail("scheduled: seed \(seed) step \(step)")
                }
            }
        }
    }
}
