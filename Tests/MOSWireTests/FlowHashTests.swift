import XCTest

@testable import MOSWire

final class FlowHashTests: XCTestCase {
    private func hash(_ seed: FlowHashSeed, _ source: UInt32, _ destination: UInt32, _ ports: UInt32) -> UInt32 {
        seed.hash(addresses: UInt64(source) << 32 | UInt64(destination), ports: ports)
    }

    func testBothDirectionsHaveTheSameAndOtherTuplesAnother() {
        let seed = FlowHashSeed(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)
        // Equal addresses and equal ports are what an order can get wrong.
        let addresses: [UInt32] = [0, 1, 0x0a00_0001, 0x0a00_0002, 0x7fff_ffff, 0x8000_0000, .max]
        let ports: [UInt32] = [0, 1, 80, 0x7fff, 0x8000, 0xffff]
        var seen: [UInt32: Set<[UInt32]>] = [:]
        for source in addresses {
            for destination in addresses {
                for from in ports {
                    for to in ports {
                        let there = hash(seed, source, destination, from << 16 | to)
                        XCTAssertEqual(there, hash(seed, destination, source, to << 16 | from))
                        let ends = [[source, from], [destination, to]].sorted { $0.lexicographicallyPrecedes($1) }
                        seen[there, default: []].insert(ends.flatMap { $0 })
                    }
                }
            }
        }
        // Some 900 tuples: two with one hash would be chance of one in 10 000.
        XCTAssertEqual(seen.values.filter { $0.count > 1 }.count, 0)
    }

    func testTheSeedDecides() {
        let one = hash(FlowHashSeed(1 << 40, 1 << 50), 1, 2, 3)
        XCTAssertNotEqual(one, hash(FlowHashSeed(1 << 41, 1 << 50), 1, 2, 3))
        XCTAssertNotEqual(one, hash(FlowHashSeed(1 << 40, 1 << 51), 1, 2, 3))
    }
}
