// Every value of the C interface as Swift sees it. Enumerations with a name
// are types with a rawValue, the others and the macros are integers.
import CMOS
import XCTest

final class ValueTests: XCTestCase {
    /// The values in their order, from 0.
    private func expectCount<T: RawRepresentable>(_ values: [T], from first: Int = 0, line: UInt = #line)
    where T.RawValue: BinaryInteger {
        XCTAssertEqual(values.map { Int($0.rawValue) }, Array(first..<(first + values.count)), line: line)
    }

    /// One bit each, from bit 0.
    private func expectBits<T: BinaryInteger>(_ values: [T], line: UInt = #line) {
        XCTAssertEqual(values.map { Int($0) }, values.indices.map { 1 << $0 }, line: line)
    }

    func testSocketTypes() {
        expectCount([
            MOS_SOCK_UNUSED, MOS_SOCK_STREAM_LISTEN, MOS_SOCK_PROXY_LISTEN, MOS_SOCK_MONITOR_STREAM, MOS_SOCK_STREAM,
            MOS_SOCK_PROXY, MOS_SOCK_MONITOR_STREAM_ACTIVE, MOS_SOCK_MONITOR_RAW, MOS_SOCK_EPOLL, MOS_SOCK_PIPE,
        ])
    }

    func testHookPoints() {
        XCTAssertEqual(Int(MOS_NULL.rawValue), 1 << 29)
        XCTAssertEqual(Int(MOS_HK_RCV.rawValue), 1 << 30)
        XCTAssertEqual(Int(MOS_HK_SND.rawValue), -1 << 31)
        XCTAssertEqual(UInt64(bitPattern: Int64(MOS_HK_SND.rawValue)), 0xffff_ffff_8000_0000)
    }

    func testEvents() {
        XCTAssertEqual(MOS_NULL_EVENT.rawValue, 0)
        expectBits(
            [
                MOS_ON_PKT_IN, MOS_ON_PKT_OUT, MOS_ON_CONN_START, MOS_ON_CONN_SETUP, MOS_ON_CONN_NEW_DATA, MOS_ON_ERROR,
                MOS_ON_TIMEOUT, MOS_ON_TCP_STATE_CHANGE, MOS_ON_ORPHAN, MOS_ON_REXMIT, MOS_ON_CONN_END,
                MOS_ON_DEBUG_MESSAGE,
            ].map { $0.rawValue })
    }

    func testPacketOptions() {
        expectBits([
            MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD, MOS_UPDATE_IP_CHKSUM, MOS_UPDATE_TCP_CHKSUM, MOS_DROP,
            MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT,
        ])
    }

    func testSocketOptions() {
        XCTAssertEqual(SOL_MONSOCKET, 0xfffe)
        expectCount(
            [
                MOS_FRAGINFO_CLIBUF, MOS_FRAGINFO_SVRBUF, MOS_INFO_CLIBUF, MOS_INFO_SVRBUF, MOS_TCP_STATE_CLI,
                MOS_TCP_STATE_SVR, MOS_TIMESTAMP,
            ], from: 1)
        expectCount(
            [
                MOS_CLIBUF, MOS_SVRBUF, MOS_SEQ_REMAP, MOS_STOP_MON, MOS_FRAG_CLIBUF, MOS_FRAG_SVRBUF, MOS_CLIOVERLAP,
                MOS_SVROVERLAP,
            ], from: 9)
        XCTAssertEqual(MOS_HISTORY, 0x100)
        XCTAssertEqual([MOS_OVERLAP_POLICY_FIRST, MOS_OVERLAP_POLICY_LAST, MOS_OVERLAP_CNT], [0, 1, 2])
        XCTAssertEqual([MOS_SIDE_CLI, MOS_SIDE_SVR, MOS_SIDE_BOTH], [0, 1, 2])
    }

    /// Swift has the states under these names: libc's own TCP_LISTEN and so
    /// on are other numbers.
    func testStates() {
        expectCount([
            MOS_TCP_CLOSED, MOS_TCP_LISTEN, MOS_TCP_SYN_SENT, MOS_TCP_SYN_RCVD, MOS_TCP_ESTABLISHED, MOS_TCP_FIN_WAIT_1,
            MOS_TCP_FIN_WAIT_2, MOS_TCP_CLOSE_WAIT, MOS_TCP_CLOSING, MOS_TCP_LAST_ACK, MOS_TCP_TIME_WAIT,
        ])
    }

    func testEpoll() {
        expectCount([MOS_EPOLL_CTL_ADD, MOS_EPOLL_CTL_DEL, MOS_EPOLL_CTL_MOD], from: 1)
        expectBits(
            [
                MOS_EPOLLNONE, MOS_EPOLLIN, MOS_EPOLLPRI, MOS_EPOLLOUT, MOS_EPOLLRDNORM, MOS_EPOLLRDBAND,
                MOS_EPOLLWRNORM, MOS_EPOLLWRBAND, MOS_EPOLLMSG, MOS_EPOLLERR, MOS_EPOLLHUP, MOS_EPOLLRDHUP,
            ].map { $0.rawValue })
        XCTAssertEqual(Int(MOS_EPOLLONESHOT.rawValue), 1 << 30)
        XCTAssertEqual(Int(MOS_EPOLLET.rawValue), -1 << 31)
    }

    func testActions() {
        XCTAssertEqual(
            [
                MOS_ACT_SEND_DATA, MOS_ACT_SEND_ACK_NOW, MOS_ACT_SEND_ACK_AGG, MOS_ACT_SEND_CONTROL, MOS_ACT_SEND_RST,
                MOS_ACT_DESTROY, MOS_ACT_READ_DATA, MOS_ACT_CNT,
            ].map { $0.rawValue }, [2, 4, 8, 16, 32, 64, 128, 129])
    }

    func testEndReasons() {
        expectCount([
            MOS_END_NONE, MOS_END_FIN, MOS_END_RESET, MOS_END_TIMEOUT, MOS_END_STOPPED, MOS_END_CONTEXT,
            MOS_END_REPLACED, MOS_END_MEMORY,
        ])
    }

    func testLimits() {
        XCTAssertEqual(APP_NAME_LEN, 40)
        XCTAssertEqual(MOS_APP, 20)
        XCTAssertEqual(MOS_APP_ARGC, 20)
        XCTAssertEqual(MOS_IO_ABI, 1)
        XCTAssertEqual(MOS_IO_BURST, 64)
    }
}
