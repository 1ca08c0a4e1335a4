import XCTest

@testable import MOSTCP
import MOSWire

final class TCPStateTests: XCTestCase {
    func testFinishedStatesAreThoseFromWhichNothingComes() {
        let finished = (0...10).compactMap { TCPState(rawValue: UInt8($0)) }.filter(\.isFinished)
        XCTAssertEqual(finished, [.closed, .timeWait])
    }

    func testSideIsAsSmallAsTheRecordAssumes() {
        XCTAssertEqual(MemoryLayout<TCPSide>.stride, 32)
        XCTAssertEqual(MemoryLayout<TCPConnection>.size, 64)
    }

    private func predictable(_ connection: TCPConnection, _ client: Bool = true, _ server: Bool = true) -> [Bool] {
        var connection = connection
        connection.notePrediction(client, server)
        return [connection.client, connection.server].map { $0.flags.contains(.predictable) }
    }

    func testSegmentsAreForeseenOnlyBetweenEstablishedEndsWhoseWindowsAreKnown() {
        var connection = TCPConnection()
        connection.client.flags = [.iss, .edge, .predictable]
        connection.server.flags = [.iss, .edge, .predictable]
        for state in (0...10).compactMap({ TCPState(rawValue: UInt8($0)) }) {
            connection.client.state = .established
            connection.server.state = state
            XCTAssertEqual(predictable(connection), [state == .established, state == .established])
            swap(&connection.client.state, &connection.server.state)
            XCTAssertEqual(predictable(connection), [state == .established, state == .established])
        }
        connection.client.state = .established
        connection.server.state = .established
        XCTAssertEqual(predictable(connection, false, true), [false, true])
        XCTAssertEqual(predictable(connection, true, false), [true, false])
        var windowless = connection
        windowless.server.flags.remove(.edge)
        XCTAssertEqual(predictable(windowless), [false, false])
        connection.client.flags.insert(.signs)
        XCTAssertEqual(predictable(connection), [false, false])
    }

    func testAServersStreamMayBeginAWindowBeforeTheFirstThatWasSeen() {
        let connection = UnsafeMutablePointer<TCPConnection>.allocate(capacity: 1)
        let history = UnsafeMutablePointer<TCPHistory>.allocate(capacity: 1)
        defer {
            connection.deallocate()
            history.deallocate()
        }
        let first = SequenceNumber(100)
        for sender in [Sender.client, Sender.server] {
            connection.initialize(to: TCPConnection())
            history.initialize(to: TCPHistory())
            let tcp = TCPEmulation(connection, history, sender: sender)
            history.pointee.setISS(Sender.server, first &- 1)
            connection.pointee.client.rcvNxt = first
            XCTAssertFalse(tcp.startsEarlier(first &- 1), "its number is known")
            connection.pointee.server.flags = [.iss, .issInferred]
            XCTAssertFalse(tcp.startsEarlier(first))
            XCTAssertFalse(tcp.startsEarlier(first &+ 1))
            XCTAssertTrue(tcp.startsEarlier(first &- 1))
            // Below zero, too.
            XCTAssertTrue(tcp.startsEarlier(first &- 65535))
            XCTAssertFalse(tcp.startsEarlier(first &- 65536))
            tcp.startEarlier(first &- 65535)
            XCTAssertEqual(history.pointee.iss(Sender.server), first &- 65536)
            XCTAssertEqual(connection.pointee.client.rcvNxt, first &- 65535)
            XCTAssertEqual(connection.pointee.server.sndUna, first &- 65535)
            // What it has taken has its place.
            connection.pointee.client.rcvNxt = first
            XCTAssertFalse(tcp.startsEarlier(first &- 1))
        }
    }
}
