import CSys
import XCTest
@testable import MOSStorage

final class FixedPoolTests: XCTestCase {
    func testFreshInOrderThenLastFreedFirst() throws {
        var pool = try XCTUnwrap(FixedPool<UInt64>(capacity: 4))
        defer { pool.destroy() }
        XCTAssertEqual((0..<4).map { _ in pool.allocate() }, [0, 1, 2, 3])
        XCTAssertNil(pool.allocate())
        pool.free(1)
        pool.free(3)
        XCTAssertEqual(pool.count, 2)
        XCTAssertFalse(pool.isAllocated(3))
        XCTAssertEqual(pool.allocate(), 3)
        XCTAssertEqual(pool.allocate(), 1)
        XCTAssertNil(pool.allocate())
    }

    func testNextIsWhatAllocateGives() throws {
        var pool = try XCTUnwrap(FixedPool<UInt64>(capacity: 3))
        defer { pool.destroy() }
        for _ in 0..<3 {
            let next = pool.next
            XCTAssertEqual(pool.allocate(), next)
        }
        pool.free(0)
        pool.free(2)
        XCTAssertEqual(pool.next, 2)
        XCTAssertEqual(pool.allocate(), 2)
        XCTAssertEqual(pool.next, 0)
    }

    func testALargeReservationBeginsWithALargePage() throws {
        for size in [4 << 20, 5_000_000, 9_000_001] {
            let memory = try XCTUnwrap(csys_reserve(size))
            XCTAssertEqual(UInt(bitPattern: memory) % (2 << 20), 0)
            memory.storeBytes(of: 1, toByteOffset: 0, as: UInt8.self)
            memory.storeBytes(of: 1, toByteOffset: size - 1, as: UInt8.self)
            csys_unreserve(memory, size)
        }
    }

    func testBadFreesAreIgnored() throws {
        var pool = try XCTUnwrap(FixedPool<UInt64>(capacity: 4))
        defer { pool.destroy() }
        pool.free(0)
        pool.free(poolNil)
        let index = try XCTUnwrap(pool.allocate())
        pool.free(index)
        pool.free(index)
        XCTAssertEqual(pool.count, 0)
        XCTAssertEqual(pool.allocate(), 0)
        XCTAssertEqual(pool.allocate(), 1)
    }

    func testRecordsAreSeparateAndAligned() throws {
        var pool = try XCTUnwrap(FixedPool<(UInt64, UInt64, UInt64)>(capacity: 1000, stride: 100))
        defer { pool.destroy() }
        XCTAssertEqual(pool.stride, 128)
        for i in 0..<1000 {
            let index = try XCTUnwrap(pool.allocate())
            XCTAssertEqual(UInt(bitPattern: pool.pointer(index)) % 64, 0)
            XCTAssertEqual(pool[index].0, 0)
            pool[index] = (UInt64(i), UInt64(i), UInt64(i))
        }
        for i in 0..<1000 { XCTAssertEqual(pool[UInt32(i)].2, UInt64(i)) }
    }

    func testImpossibleSizes() {
        XCTAssertNil(FixedPool<UInt64>(capacity: 0))
        XCTAssertNil(FixedPool<UInt64>(capacity: -1))
        XCTAssertNil(FixedPool<UInt64>(capacity: 1 << 40))
    }

    /// A pool for 100 million records costs nothing before it is used.
    func testReservesWithoutTouching() throws {
        var pool = try XCTUnwrap(FixedPool<UInt64>(capacity: 100_000_000, stride: 64))
        defer { pool.destroy() }
        XCTAssertEqual(pool.allocate(), 0)
    }
}
