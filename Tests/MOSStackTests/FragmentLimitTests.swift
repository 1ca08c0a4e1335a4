import MOSWire
import XCTest

@testable import MOSStack

final class FragmentLimitTests: XCTestCase {
    private let second: UInt64 = 1_000_000_000

    private func first(_ version: Int, _ identification: Int = 1) -> FragmentPiece {
        FragmentPiece(version: version, identification: UInt32(identification), payload: Array("aaaaaaaa".utf8))
    }

    private func last(_ version: Int, _ identification: Int = 1) -> FragmentPiece {
        FragmentPiece(
            version: version, identification: UInt32(identification), start: 8, more: false, payload: Array("b".utf8))
    }

    func testTime() {
        for (version, wait) in [(4, 30 * second), (6, 60 * second)] {
            var r = FragmentReassembler(maxDatagrams: 8, timeout: 30 * second)!
            defer { r.destroy() }
            for origin: UInt64 in [0, 1_700_000_000 * second, UInt64.max - 3 * second, UInt64(1) << 63 - second] {
                let dropped = r.droppedFragments
                XCTAssertNil(r.add(first(version), now: origin))
                XCTAssertNotNil(r.add(last(version), now: origin &+ wait &- 1))
                XCTAssertEqual(r.droppedFragments, dropped)

                XCTAssertNil(r.add(first(version), now: origin))
                XCTAssertNil(r.add(last(version), now: origin &+ wait))
                XCTAssertEqual(r.droppedFragments, dropped + 1, "the first; the last waits")
                XCTAssertNotNil(r.add(first(version), now: origin &+ wait))
            }
        }
    }

    func testTimeIsNotProlonged() {
        for (version, wait) in [(4, 30 * second), (6, 60 * second)] {
            var r = FragmentReassembler(maxDatagrams: 8, timeout: 30 * second)!
            defer { r.destroy() }
            XCTAssertNil(r.add(first(version), now: 0))
            XCTAssertNil(r.add(first(version), now: wait - 1))
            XCTAssertNil(r.add(last(version), now: wait))
            XCTAssertEqual(r.droppedFragments, 2)
        }
    }

    func testTimeBackwards() {
        for version in [4, 6] {
            var r = FragmentReassembler(maxDatagrams: 2, timeout: 30 * second)!
            defer { r.destroy() }
            XCTAssertNil(r.add(first(version), now: 1000 * second))
            XCTAssertNotNil(r.add(last(version), now: 990 * second))
            // After a jump nothing stays for ever.
            XCTAssertNil(r.add(first(version, 1), now: 1000 * second))
            XCTAssertNil(r.add(first(version, 2), now: 1000 * second))
            XCTAssertNil(r.add(first(version, 3), now: 10 * second))
            XCTAssertEqual(r.datagramCount, 1)
            XCTAssertEqual(r.droppedFragments, 2)
            XCTAssertNotNil(r.add(last(version, 3), now: 10 * second))
        }
    }

    func testAllIsFreedWhenTimeIsOver() {
        var r = FragmentReassembler(maxDatagrams: 1000, timeout: second)!
        defer { r.destroy() }
        for i in 0..<1000 { XCTAssertNil(r.add(first(i % 2 == 0 ? 4 : 6, i), now: 0)) }
        XCTAssertEqual(r.datagramCount, 1000)
        // Each of them ends before it began, so it leaves nothing behind.
        for i in 0..<200 {
            XCTAssertNil(r.add(FragmentPiece(identification: UInt32(i), start: 8, more: false), now: 2 * second))
        }
        XCTAssertEqual(r.datagramCount, 0)
        XCTAssertEqual(r.bytesInUse, 0)
        XCTAssertEqual(r.droppedFragments, 1200)
    }

    /// An `add` frees a few at a time; none is used beyond its time all the
    /// same.
    func testTimeOfOneAmongMany() {
        for version in [4, 6] {
            var r = FragmentReassembler(maxDatagrams: 100, timeout: second)!
            defer { r.destroy() }
            for i in 0..<50 { XCTAssertNil(r.add(first(version, i), now: 0)) }
            XCTAssertNil(r.add(last(version, 49), now: 2 * second))
            XCTAssertGreaterThan(r.datagramCount, 10)
            XCTAssertNotNil(r.add(first(version, 49), now: 2 * second))
        }
    }

    func testManyPairsOfHosts() {
        var r = FragmentReassembler(maxDatagrams: 4, timeout: second)!
        defer { r.destroy() }
        for i in 0..<1000 {
            var (a, b) = (first(4), last(4))
            a.source = UInt8(i % 200)
            a.destination = UInt8(i / 200)
            b.source = a.source
            b.destination = a.destination
            XCTAssertNil(r.add(a, now: 0))
            XCTAssertNotNil(r.add(b, now: 0), "pair \(i)")
        }
    }

    func testNumber() {
        for version in [4, 6] {
            var r = FragmentReassembler(maxDatagrams: 10, timeout: second)!
            defer { r.destroy() }
            for i in 0..<25 { XCTAssertNil(r.add(first(version, i), now: 0)) }
            XCTAssertEqual(r.datagramCount, 10)
            XCTAssertEqual(r.droppedFragments, 15)
            // The old ones stay; the new one was refused.
            XCTAssertNotNil(r.add(last(version, 0), now: 0))
            XCTAssertNil(r.add(last(version, 20), now: 0))
            XCTAssertNotNil(r.add(first(version, 20), now: 0))
        }
    }

    func testNoneAtAll() {
        var r = FragmentReassembler(maxDatagrams: 0, timeout: second)!
        defer { r.destroy() }
        XCTAssertNil(r.add(first(4)))
        XCTAssertNil(r.add(last(4)))
        XCTAssertEqual(r.droppedFragments, 2)
        XCTAssertNil(FragmentReassembler(maxDatagrams: -1, timeout: second))
        XCTAssertNil(FragmentReassembler(maxDatagrams: 1 << 20 + 1, timeout: second))
    }

    func testMemory() {
        for version in [4, 6] {
            var r = FragmentReassembler(maxDatagrams: 1024, timeout: second)!
            defer { r.destroy() }
            var held = 0
            for i in 0..<1024 {
                // 60 000 bytes each, in pieces of 12 000.
                for part in 0..<5 {
                    let before = r.droppedFragments
                    XCTAssertNil(
                        r.add(
                            FragmentPiece(
                                version: version, identification: UInt32(i), source: UInt8(i % 250), start: part * 12000,
                                payload: [UInt8](repeating: UInt8(part), count: 12000)), now: 0))
                    if r.droppedFragments == before { held += 1 }
                    XCTAssertLessThanOrEqual(r.bytesInUse, 4 << 20)
                }
            }
            XCTAssertGreaterThan(held * 12000, 3 << 20)
            XCTAssertEqual(Int(r.droppedFragments), 5 * 1024 - held)
            // A datagram that is held whole but for its end can be completed.
            let whole = r.add(
                FragmentPiece(
                    version: version, identification: 0, source: 0, start: 60000, more: false, payload: [9]), now: 0)
            XCTAssertEqual(whole?.count, (version == 4 ? 34 : 54) + 60001)
            // What was refused for want of memory may come again later.
            for part in 0..<5 {
                _ = r.add(
                    FragmentPiece(
                        version: version, identification: 5000, start: part * 12000,
                        payload: [UInt8](repeating: 1, count: 12000)), now: 2 * second)
            }
            XCTAssertNotNil(
                r.add(
                    FragmentPiece(version: version, identification: 5000, start: 60000, more: false, payload: [9]),
                    now: 2 * second))
        }
    }

    func testARefusedEndIsNotKept() {
        var r = FragmentReassembler(maxDatagrams: 200, timeout: second)!
        defer { r.destroy() }
        let held = FragmentPiece(version: 6, identification: 60000, payload: [UInt8](repeating: 7, count: 2048))
        XCTAssertNil(r.add(held, now: 0))
        // 4 MiB of chunks with 8 bytes in each.
        for i in 0..<100 {
            for part in 0..<31 {
                _ = r.add(
                    FragmentPiece(
                        version: 6, identification: UInt32(i), start: part * 2048,
                        payload: [UInt8](repeating: 1, count: 8)), now: 0)
            }
        }
        XCTAssertGreaterThan(r.bytesInUse, 4 << 20 - 2112)
        let dropped = r.droppedFragments
        var end = held
        end.start = 2048
        end.more = false
        XCTAssertNil(r.add(end, now: 0))
        XCTAssertEqual(r.droppedFragments, dropped + 1, "no memory")
        // A contradiction gives memory back; another end is now as good as
        // the one that was refused.
        XCTAssertNil(r.add(FragmentPiece(version: 6, identification: 1, start: 8, more: false, payload: [1]), now: 0))
        XCTAssertGreaterThan(r.droppedFragments, dropped + 31)
        end.payload = [1, 2, 3]
        XCTAssertEqual(r.add(end, now: 0)?.count, 54 + 2051)
    }

    func testPeerDistanceAsLinux() {
        for (others, isWhole) in [(63, true), (64, false), (65, false)] {
            for version in [4, 6] {
                var r = FragmentReassembler(maxDatagrams: 500, timeout: second)!
                defer { r.destroy() }
                XCTAssertNil(r.add(first(version), now: 0))
                for i in 0..<others { XCTAssertNil(r.add(first(version, 100 + i), now: 0)) }
                XCTAssertEqual(r.add(last(version), now: 0) != nil, isWhole || version == 6, "\(others)")
                XCTAssertEqual(r.droppedFragments, isWhole || version == 6 ? 0 : 1)
            }
        }
        // Those of other pairs of hosts do not count.
        var r = FragmentReassembler(maxDatagrams: 500, timeout: second)!
        defer { r.destroy() }
        XCTAssertNil(r.add(first(4), now: 0))
        for i in 0..<200 {
            var other = first(4, i)
            if i % 2 == 0 { other.source = 77 } else { other.destination = 77 }
            XCTAssertNil(r.add(other, now: 0))
        }
        XCTAssertNotNil(r.add(last(4), now: 0))
    }

    /// A fresh start begins a fresh time.
    func testFreshStartRestartsTime() {
        var r = FragmentReassembler(maxDatagrams: 500, timeout: 10)!
        defer { r.destroy() }
        XCTAssertNil(r.add(first(4), now: 0))
        for i in 0..<70 { XCTAssertNil(r.add(first(4, 100 + i), now: 5)) }
        XCTAssertNil(r.add(last(4), now: 9))
        XCTAssertNotNil(r.add(first(4), now: 18))
    }

    func testDestroyCountsWhatIsHeld() {
        var r = FragmentReassembler(maxDatagrams: 8, timeout: second)!
        XCTAssertNil(r.add(first(4), now: 0))
        XCTAssertNil(r.add(first(6), now: 0))
        r.destroy()
        XCTAssertEqual(r.droppedFragments, 2)
    }
}
