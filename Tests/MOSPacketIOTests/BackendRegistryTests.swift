import CMOS
import CSys
import MOSPacketIO
import XCTest

/// Backends that a program brings.
final class BackendRegistryTests: PortTestCase {
    private func ops(_ scheme: UnsafePointer<CChar>?) -> mos_io_ops {
        var ops = mos_io_ops()
        ops.abi = UInt32(MOS_IO_ABI)
        ops.scheme = scheme
        ops.open = { spec, queues, port, info, error, size in
            if let spec, strcmp(spec, "refuse") == 0 { return EBUSY }
            port?.pointee = nil
            info?.pointee.num_queues = 1000  // more than asked for: the library bounds it
            return 0
        }
        ops.recv = { _, _, _, max in Int32(max) + 1 }  // a backend that lies
        ops.close = { _ in }
        return ops
    }

    private func register(_ scheme: String, _ change: (inout mos_io_ops) -> Void = { _ in }) -> Int32 {
        scheme.withCString {
            var table = ops($0)
            change(&table)
            return BackendRegistry.register(&table)
        }
    }

    func testRefusals() {
        XCTAssertEqual(BackendRegistry.register(nil), EINVAL)
        XCTAssertEqual(register("t-abi") { $0.abi = 2 }, EINVAL)
        XCTAssertEqual(register("t-open") { $0.open = nil }, EINVAL)
        XCTAssertEqual(register("t-recv") { $0.recv = nil }, EINVAL)
        XCTAssertEqual(register("t-close") { $0.close = nil }, EINVAL)
        XCTAssertEqual(register("t-name") { $0.scheme = nil }, EINVAL)
        XCTAssertEqual(register("t-tx") { $0.tx_frame = { _, _, _ in nil } }, EINVAL)
        for scheme in ["", "1x", "Pcap", "a b", "a:b", String(repeating: "x", count: 32)] {
            XCTAssertEqual(register(scheme), EINVAL, scheme)
        }
        for scheme in ["pcap", "live", "null"] { XCTAssertEqual(register(scheme), EEXIST, scheme) }
    }

    func testRegisteredBackendIsReached() throws {
        XCTAssertEqual(register("test-one"), 0)
        XCTAssertEqual(register("test-one"), EEXIST)
        XCTAssertTrue(failure("other:x").message.contains("known are pcap live null test-one"))

        let refused = failure("test-one:refuse")
        XCTAssertEqual(refused.code, EBUSY)
        XCTAssertEqual(refused.message, "test-one:refuse: Device or resource busy")

        let port = try open("test-one:x", queues: 2)
        XCTAssertEqual(port.info.num_queues, 2)
        // What it leaves out is filled in.
        XCTAssertEqual(port.waitDescriptor(queue: 0), -1)
        XCTAssertNil(port.transmitFrame(queue: 0, length: 60))
        var frame = mos_io_frame()
        XCTAssertEqual(port.forward(queue: 0, frame: &frame), ENOTSUP)
        port.flush(queue: 0)
        XCTAssertEqual(port.statistics().rx_packets, 0)
        // It cannot make us look at more than there is room for.
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: 4)
        XCTAssertEqual(port.receive(queue: 0, into: &frames, max: 4), 4)
        port.close()
    }

    func testTableIsBounded() {
        var codes: [Int32] = []
        for i in 0..<20 { codes.append(register("fill\(i)")) }
        XCTAssertEqual(codes.last, ENOMEM)
        XCTAssertTrue(codes.contains(0))
    }
}
