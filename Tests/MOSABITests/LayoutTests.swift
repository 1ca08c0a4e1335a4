// Swift sees the C interface as C does: the numbers are those that
// tests-c/abi/layout.c asserts.
import CMOS
import XCTest

final class LayoutTests: XCTestCase {
    /// Size, and the offset of each field.
    private func expect<T>(
        _ type: T.Type, size: Int, _ fields: [(PartialKeyPath<T>, Int)], line: UInt = #line
    ) {
        XCTAssertEqual(MemoryLayout<T>.stride, size, "size of \(type)", line: line)
        for (field, offset) in fields {
            XCTAssertEqual(MemoryLayout<T>.offset(of: field), offset, "\(field)", line: line)
        }
    }

    func testPackets() {
        expect(
            pkt_info.self, size: 72,
            [
                (\.cur_ts, 0), (\.in_ifidx, 4), (\.eth_len, 6), (\.ip_len, 8), (\.offset, 16), (\.payloadlen, 24),
                (\.seq, 28), (\.ack_seq, 32), (\.window, 36), (\.ethh, 40), (\.iph, 48), (\.tcph, 56), (\.payload, 64),
            ])
        expect(
            pkt_ctx.self, size: 80,
            [(\.p, 0), (\.direction, 72), (\.forward, 73), (\.out_ifidx, 74), (\.batch_index, 75)])
        XCTAssertEqual(MemoryLayout<tcphdr>.stride, 20)
        XCTAssertEqual(MemoryLayout<iphdr>.stride, 20)
        XCTAssertEqual(MemoryLayout<ethhdr>.size, 14)
    }

    func testSockets() {
        expect(seq_remap_info.self, size: 16, [(\.seq_off, 0), (\.side, 8), (\.base_seq, 12)])
        expect(filter_arg_t.self, size: 16, [(\.arg, 0), (\.len, 8)])
        expect(
            tcp_buf_info.self, size: 16,
            [
                (\.tcpbi_init_seq, 0), (\.tcpbi_last_byte_read, 4), (\.tcpbi_next_byte_expected, 8),
                (\.tcpbi_last_byte_received, 12),
            ])
        expect(tcp_ring_fragment.self, size: 16, [(\.offset, 0), (\.len, 8)])
        XCTAssertEqual(MemoryLayout<event_t>.size, 8)
        XCTAssertEqual(event_t.min, 0)
    }

    func testMonitorFilterIsAUnion() {
        XCTAssertEqual(MemoryLayout<monitor_filter>.size, 16)
        var filter = monitor_filter()
        filter.stream_syn_filter = UnsafeMutablePointer(bitPattern: 0x1000)
        filter.stream_orphan_filter = UnsafeMutablePointer(bitPattern: 0x2000)
        XCTAssertEqual(filter.raw_pkt_filter, UnsafeMutablePointer(bitPattern: 0x1000))
        withUnsafeBytes(of: &filter) { bytes in
            XCTAssertEqual(bytes.load(fromByteOffset: 8, as: UInt.self), 0x2000)
        }
    }

    func testContexts() {
        expect(mtcp_context.self, size: 4, [(\.cpu, 0)])
        expect(
            mtcp_conf.self, size: 3488,
            [
                (\.num_cores, 0), (\.max_concurrency, 4), (\.cpu_mask, 8), (\.max_num_buffers, 16), (\.rcvbuf_size, 20),
                (\.sndbuf_size, 24), (\.tcp_timewait, 28), (\.tcp_timeout, 32), (\.app_cpu_mask, 40), (\.app_argv, 200),
                (\.app_argc, 3400), (\.num_app, 3480),
            ])
        expect(app_context.self, size: 32, [(\.mctx, 0), (\.socket_id, 8), (\.cf, 16), (\.ep_id, 24)])
        expect(app_ops.self, size: 32, [(\.app_init, 0), (\.thread_init, 8), (\.run, 16), (\.enable, 24)])
    }

    func testEpoll() {
        XCTAssertEqual(MemoryLayout<mtcp_epoll_data_t>.size, 8)
        expect(mtcp_epoll_event.self, size: 16, [(\.events, 0), (\.data, 8)])
        var data = mtcp_epoll_data_t(u64: 0x1122_3344_5566_7788)
        XCTAssertEqual(data.u32, 0x5566_7788)
        data.sock = -1
        XCTAssertEqual(data.u64 & 0xffff_ffff, 0xffff_ffff)
    }

    func testExtensions() {
        expect(
            mos_stats.self, size: 272,
            [
                (\.rx_packets, 0), (\.rx_short_frame, 32), (\.rx_truncated, 72), (\.drop_app, 80), (\.drop_source, 128),
                (\.flows_now, 136), (\.retransmissions, 160), (\.memory_now, 168), (\.overrun_bytes, 208),
                (\.fragments_in, 216), (\.non_ip, 240), (\.timers, 248), (\.event_sets, 256),
                (\.event_set_bytes, 264),
            ])
        expect(
            mos_flow_side.self, size: 64,
            [
                (\.packets, 0), (\.wire_bytes, 8), (\.payload_bytes, 16), (\.retransmitted_packets, 24),
                (\.retransmitted_bytes, 32), (\.out_of_order_packets, 40), (\.gaps, 48), (\.gap_bytes, 56),
            ])
        expect(
            mos_flow_info.self, size: 152,
            [(\.start_ns, 0), (\.last_ns, 8), (\.end_reason, 16), (\.family, 20), (\.side, 24)])
        XCTAssertEqual(MemoryLayout<mos_io_frame>.stride, 40)
    }
}
