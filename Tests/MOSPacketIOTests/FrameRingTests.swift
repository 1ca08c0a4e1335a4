import CMOS
import XCTest

@testable import MOSPacketIO

/// The ring against a plain list.
final class FrameRingTests: XCTestCase {
    private func make(_ number: Int, size: Int) -> [UInt8] { frame(number, size: size) }

    func testRandomUseAgainstAList() throws {
        var seed: UInt64 = 42
        func next(_ below: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % below
        }
        var ring = try XCTUnwrap(FrameRing(slots: 16, bytes: 4096))
        defer { ring.free() }
        var model: [[UInt8]] = []
        var held: [(mos_io_frame, [UInt8])] = []
        var serial = 0
        var fulls = 0
        for _ in 0..<20_000 {
            switch next(6) {
            case 0, 1, 2:
                let bytes = make(serial, size: 18 + next(next(10) == 0 ? 4000 : 500))
                let outcome = bytes.withUnsafeBufferPointer { buffer in
                    var frame = mos_io_frame()
                    frame.data = buffer.baseAddress
                    frame.len = UInt32(bytes.count)
                    frame.time_ns = UInt64(serial)
                    return ring.push(frame)
                }
                if outcome == .pushed {
                    model.append(bytes)
                    serial += 1
                } else {
                    XCTAssertEqual(outcome, .full)
                    XCTAssertFalse(model.isEmpty && held.isEmpty, "an empty ring takes any frame that fits")
                    fulls += 1
                }
            case 3, 4:
                ring.release()
                held = []
                var out = [mos_io_frame](repeating: mos_io_frame(), count: 8)
                let n = ring.take(&out, max: 1 + next(8))
                for i in 0..<n { held.append((out[i], model.removeFirst())) }
            default:
                if next(50) == 0 {
                    ring.discard()
                    model = []
                }
            }
            XCTAssertEqual(ring.waiting, model.count)
            for (frame, bytes) in held {
                XCTAssertEqual(Array(UnsafeBufferPointer(start: frame.data, count: Int(frame.len))), bytes)
            }
        }
        XCTAssertGreaterThan(fulls, 100)
        XCTAssertGreaterThan(serial, 1000)
        var giant = mos_io_frame()
        giant.len = 5000
        XCTAssertEqual(ring.push(giant), .tooLong)
    }
}
