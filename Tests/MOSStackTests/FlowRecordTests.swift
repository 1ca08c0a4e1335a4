import MOSTCP
import XCTest

@testable import MOSStack

final class FlowRecordTests: XCTestCase {
    func testOffsetsAreThoseOfTheFields() {
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientSegments), FlowLayout.segments)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientPending), FlowLayout.pending)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.connection), FlowLayout.connection)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.ownSocket), FlowLayout.ownSocket)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientOverhead), FlowLayout.overhead)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientIrregular), FlowLayout.irregular)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientOverheadCarry), FlowLayout.overheadCarry)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientInterface), FlowLayout.interfaces)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientPackets), FlowLayout.packets)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.history), FlowLayout.history)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientLimit), FlowLayout.limits)
        XCTAssertEqual(MemoryLayout<FlowRecord>.offset(of: \.clientBuffer), FlowLayout.buffers)
        XCTAssertEqual(MemoryLayout<FlowExtension>.offset(of: \.clientDoubts), FlowLayout.doubts)
        XCTAssertEqual(
            MemoryLayout<FlowExtension>.offset(of: \.serverDoubts), FlowLayout.doubts + MemoryLayout<Doubts>.stride)
        XCTAssertEqual(MemoryLayout<FlowExtension>.offset(of: \.clientOdd), 0)
        XCTAssertEqual(MemoryLayout<FlowExtension>.offset(of: \.serverOdd), MemoryLayout<FlowIrregularities>.stride)
    }

    func testFlagsOfASideAreNeighbours() {
        XCTAssertEqual([0, 1].map(FlowFlags.queued), [.clientQueued, .serverQueued])
        XCTAssertEqual([0, 1].map(FlowFlags.direction), [.lastToServer, []])
        XCTAssertEqual([0, 1].map(SocketFlags.stopped), [.clientStopped, .serverStopped])
        XCTAssertEqual([0, 1].map(SocketFlags.mute), [.clientMute, .serverMute])
        XCTAssertEqual(
            [0, 1].map(SocketFlags.deaf), [[.clientStopped, .clientMute], [.serverStopped, .serverMute]])
    }

    func testAFlowStaysInSixLines() {
        XCTAssertLessThanOrEqual(MemoryLayout<FlowRecord>.stride, 384)
        XCTAssertEqual(MemoryLayout<SocketRecord>.stride, 64)
        XCTAssertEqual(MemoryLayout<SocketOptions>.stride, 16)
    }
}
