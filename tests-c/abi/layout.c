/* Every value and every layout of the C interface, on LP64. All of it is
 * decided by the compiler: a difference does not build. */
#include "mos_api.h"
#include "mos_ext.h"
#include "mos_io.h"
#include "mtcp_util.h"
#include "check.h"

#ifdef __cplusplus
#define ASSERT(condition) static_assert(condition, #condition)
#else
#define ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define VALUE(name, value) ASSERT((long long)(name) == (long long)(value))
#define SIZE(type, size) ASSERT(sizeof(type) == (size))
#define FIELD(type, field, place, size) \
    ASSERT(offsetof(type, field) == (place)); \
    ASSERT(sizeof(((type *)0)->field) == (size))
/* The type is signed. */
#define IS_SIGNED(type) ASSERT((type)-1 < (type)1)

/* enum socket_type */
VALUE(MOS_SOCK_UNUSED, 0);
VALUE(MOS_SOCK_STREAM_LISTEN, 1);
VALUE(MOS_SOCK_PROXY_LISTEN, 2);
VALUE(MOS_SOCK_MONITOR_STREAM, 3);
VALUE(MOS_SOCK_STREAM, 4);
VALUE(MOS_SOCK_PROXY, 5);
VALUE(MOS_SOCK_MONITOR_STREAM_ACTIVE, 6);
VALUE(MOS_SOCK_MONITOR_RAW, 7);
VALUE(MOS_SOCK_EPOLL, 8);
VALUE(MOS_SOCK_PIPE, 9);
VALUE(SOCK_STREAM, 1);

/* enum mtcp_hook_point: ints, the last one negative. */
VALUE(MOS_NULL, 1LL << 29);
VALUE(MOS_HK_RCV, 1LL << 30);
VALUE(MOS_HK_SND, -(1LL << 31));
ASSERT(sizeof(MOS_HK_SND) == sizeof(int));
ASSERT((uint64_t)MOS_HK_SND == 0xffffffff80000000ULL);

/* enum mos_event_type */
VALUE(MOS_NULL_EVENT, 0);
VALUE(MOS_ON_PKT_IN, 1 << 0);
VALUE(MOS_ON_PKT_OUT, 1 << 1);
VALUE(MOS_ON_CONN_START, 1 << 2);
VALUE(MOS_ON_CONN_SETUP, 1 << 3);
VALUE(MOS_ON_CONN_NEW_DATA, 1 << 4);
VALUE(MOS_ON_ERROR, 1 << 5);
VALUE(MOS_ON_TIMEOUT, 1 << 6);
VALUE(MOS_ON_TCP_STATE_CHANGE, 1 << 7);
VALUE(MOS_ON_ORPHAN, 1 << 8);
VALUE(MOS_ON_REXMIT, 1 << 9);
VALUE(MOS_ON_CONN_END, 1 << 10);
VALUE(MOS_ON_DEBUG_MESSAGE, 1 << 11);

/* Packet options */
VALUE(MOS_ETH_HDR, 1 << 0);
VALUE(MOS_IP_HDR, 1 << 1);
VALUE(MOS_TCP_HDR, 1 << 2);
VALUE(MOS_TCP_PAYLOAD, 1 << 3);
VALUE(MOS_UPDATE_IP_CHKSUM, 1 << 4);
VALUE(MOS_UPDATE_TCP_CHKSUM, 1 << 5);
VALUE(MOS_DROP, 1 << 6);
VALUE(MOS_OVERWRITE, 1 << 7);
VALUE(MOS_CHOMP, 1 << 8);
VALUE(MOS_INSERT, 1 << 9);

/* Socket options */
VALUE(SOL_MONSOCKET, 0xfffe);
VALUE(MOS_FRAGINFO_CLIBUF, 1);
VALUE(MOS_FRAGINFO_SVRBUF, 2);
VALUE(MOS_INFO_CLIBUF, 3);
VALUE(MOS_INFO_SVRBUF, 4);
VALUE(MOS_TCP_STATE_CLI, 5);
VALUE(MOS_TCP_STATE_SVR, 6);
VALUE(MOS_TIMESTAMP, 7);
VALUE(MOS_CLIBUF, 9);
VALUE(MOS_SVRBUF, 0xa);
VALUE(MOS_SEQ_REMAP, 0xb);
VALUE(MOS_STOP_MON, 0xc);
VALUE(MOS_FRAG_CLIBUF, 0xd);
VALUE(MOS_FRAG_SVRBUF, 0xe);
VALUE(MOS_CLIOVERLAP, 0xf);
VALUE(MOS_SVROVERLAP, 0x10);
VALUE(MOS_HISTORY, 0x100);

VALUE(MOS_OVERLAP_POLICY_FIRST, 0);
VALUE(MOS_OVERLAP_POLICY_LAST, 1);
VALUE(MOS_OVERLAP_CNT, 2);
VALUE(MOS_SIDE_CLI, 0);
VALUE(MOS_SIDE_SVR, 1);
VALUE(MOS_SIDE_BOTH, 2);

/* enum tcpstate */
VALUE(TCP_CLOSED, 0);
VALUE(TCP_LISTEN, 1);
VALUE(TCP_SYN_SENT, 2);
VALUE(TCP_SYN_RCVD, 3);
VALUE(TCP_ESTABLISHED, 4);
VALUE(TCP_FIN_WAIT_1, 5);
VALUE(TCP_FIN_WAIT_2, 6);
VALUE(TCP_CLOSE_WAIT, 7);
VALUE(TCP_CLOSING, 8);
VALUE(TCP_LAST_ACK, 9);
VALUE(TCP_TIME_WAIT, 10);

/* mtcp_epoll.h */
VALUE(MOS_EPOLL_CTL_ADD, 1);
VALUE(MOS_EPOLL_CTL_DEL, 2);
VALUE(MOS_EPOLL_CTL_MOD, 3);
VALUE(MOS_EPOLLNONE, 1 << 0);
VALUE(MOS_EPOLLIN, 1 << 1);
VALUE(MOS_EPOLLPRI, 1 << 2);
VALUE(MOS_EPOLLOUT, 1 << 3);
VALUE(MOS_EPOLLRDNORM, 1 << 4);
VALUE(MOS_EPOLLRDBAND, 1 << 5);
VALUE(MOS_EPOLLWRNORM, 1 << 6);
VALUE(MOS_EPOLLWRBAND, 1 << 7);
VALUE(MOS_EPOLLMSG, 1 << 8);
VALUE(MOS_EPOLLERR, 1 << 9);
VALUE(MOS_EPOLLHUP, 1 << 10);
VALUE(MOS_EPOLLRDHUP, 1 << 11);
VALUE(MOS_EPOLLONESHOT, 1LL << 30);
VALUE(MOS_EPOLLET, -(1LL << 31));
ASSERT(sizeof(MOS_EPOLLET) == sizeof(int));
ASSERT((uint32_t)(uint64_t)MOS_EPOLLET == 0x80000000U);
VALUE(MOS_ACT_SEND_DATA, 2);
VALUE(MOS_ACT_SEND_ACK_NOW, 4);
VALUE(MOS_ACT_SEND_ACK_AGG, 8);
VALUE(MOS_ACT_SEND_CONTROL, 16);
VALUE(MOS_ACT_SEND_RST, 32);
VALUE(MOS_ACT_DESTROY, 64);
VALUE(MOS_ACT_READ_DATA, 128);
VALUE(MOS_ACT_CNT, 129);

VALUE(APP_NAME_LEN, 40);
VALUE(MOS_APP, 20);
VALUE(MOS_APP_ARGC, 20);
VALUE(INPORT_ANY, 0);
VALUE(PKT_INFO_LEN, 40);

/* The enumerations exist under their names. */
SIZE(enum socket_type, 4);
SIZE(enum mtcp_hook_point, 4);
SIZE(enum mos_event_type, 4);
SIZE(enum mos_socket_opts, 4);
SIZE(enum tcpstate, 4);
SIZE(enum mtcp_epoll_op, 4);
SIZE(enum epoll_event_type, 4);
SIZE(enum mtcp_action, 4);

/* Types */
SIZE(event_t, 8);
ASSERT((event_t)-1 > (event_t)1);
SIZE(byte, 1);
ASSERT((byte)-1 > (byte)1);

SIZE(struct pkt_info, 72);
FIELD(struct pkt_info, cur_ts, 0, 4);
FIELD(struct pkt_info, in_ifidx, 4, 1);
FIELD(struct pkt_info, eth_len, 6, 2);
FIELD(struct pkt_info, ip_len, 8, 2);
FIELD(struct pkt_info, offset, 16, 8);
FIELD(struct pkt_info, payloadlen, 24, 2);
FIELD(struct pkt_info, seq, 28, 4);
FIELD(struct pkt_info, ack_seq, 32, 4);
FIELD(struct pkt_info, window, 36, 2);
FIELD(struct pkt_info, ethh, 40, 8);
FIELD(struct pkt_info, iph, 48, 8);
FIELD(struct pkt_info, tcph, 56, 8);
FIELD(struct pkt_info, payload, 64, 8);
IS_SIGNED(__typeof__(((struct pkt_info *)0)->in_ifidx));
SIZE(struct tcphdr, 20);
SIZE(struct iphdr, 20);
SIZE(struct ethhdr, 14);

SIZE(struct pkt_ctx, 80);
FIELD(struct pkt_ctx, p, 0, 72);
FIELD(struct pkt_ctx, direction, 72, 1);
FIELD(struct pkt_ctx, forward, 73, 1);
FIELD(struct pkt_ctx, out_ifidx, 74, 1);
FIELD(struct pkt_ctx, batch_index, 75, 1);

SIZE(seq_remap_info, 16);
FIELD(seq_remap_info, seq_off, 0, 8);
FIELD(seq_remap_info, side, 8, 4);
FIELD(seq_remap_info, base_seq, 12, 4);

SIZE(struct filter_arg, 16);
SIZE(filter_arg_t, 16);
FIELD(filter_arg_t, arg, 0, 8);
FIELD(filter_arg_t, len, 8, 8);

SIZE(struct tcp_buf_info, 16);
FIELD(struct tcp_buf_info, tcpbi_init_seq, 0, 4);
FIELD(struct tcp_buf_info, tcpbi_last_byte_read, 4, 4);
FIELD(struct tcp_buf_info, tcpbi_next_byte_expected, 8, 4);
FIELD(struct tcp_buf_info, tcpbi_last_byte_received, 12, 4);

SIZE(struct tcp_ring_fragment, 16);
FIELD(struct tcp_ring_fragment, offset, 0, 8);
FIELD(struct tcp_ring_fragment, len, 8, 4);

SIZE(union monitor_filter, 16);
SIZE(monitor_filter_t, 8);
FIELD(union monitor_filter, raw_pkt_filter, 0, 8);
FIELD(union monitor_filter, stream_syn_filter, 0, 8);
FIELD(union monitor_filter, stream_orphan_filter, 8, 8);

ASSERT(sizeof(struct mtcp_context) >= 4);
SIZE(mctx_t, 8);
FIELD(struct mtcp_context, cpu, 0, 4);

SIZE(struct mtcp_conf, 3488);
FIELD(struct mtcp_conf, num_cores, 0, 4);
FIELD(struct mtcp_conf, max_concurrency, 4, 4);
FIELD(struct mtcp_conf, cpu_mask, 8, 8);
FIELD(struct mtcp_conf, max_num_buffers, 16, 4);
FIELD(struct mtcp_conf, rcvbuf_size, 20, 4);
FIELD(struct mtcp_conf, sndbuf_size, 24, 4);
FIELD(struct mtcp_conf, tcp_timewait, 28, 4);
FIELD(struct mtcp_conf, tcp_timeout, 32, 4);
FIELD(struct mtcp_conf, app_cpu_mask, 40, 160);
FIELD(struct mtcp_conf, app_argv, 200, 3200);
FIELD(struct mtcp_conf, app_argv[1], 360, 160);
FIELD(struct mtcp_conf, app_argc, 3400, 80);
FIELD(struct mtcp_conf, num_app, 3480, 4);

SIZE(struct app_context, 32);
FIELD(struct app_context, mctx, 0, 8);
FIELD(struct app_context, socket_id, 8, 4);
FIELD(struct app_context, cf, 16, 8);
FIELD(struct app_context, ep_id, 24, 4);

SIZE(struct app_ops, 32);
FIELD(struct app_ops, app_init, 0, 8);
FIELD(struct app_ops, thread_init, 8, 8);
FIELD(struct app_ops, run, 16, 8);
FIELD(struct app_ops, enable, 24, 4);

SIZE(mtcp_epoll_data_t, 8);
FIELD(mtcp_epoll_data_t, ptr, 0, 8);
FIELD(mtcp_epoll_data_t, sock, 0, 4);
FIELD(mtcp_epoll_data_t, u32, 0, 4);
FIELD(mtcp_epoll_data_t, u64, 0, 8);
SIZE(struct mtcp_epoll_event, 16);
FIELD(struct mtcp_epoll_event, events, 0, 8);
FIELD(struct mtcp_epoll_event, data, 8, 8);

/* mos_ext.h: both grow at their ends only. */
FIELD(struct mos_stats, rx_packets, 0, 8);
FIELD(struct mos_stats, rx_short_frame, 32, 8);
FIELD(struct mos_stats, rx_truncated, 72, 8);
FIELD(struct mos_stats, drop_app, 80, 8);
FIELD(struct mos_stats, drop_source, 128, 8);
FIELD(struct mos_stats, flows_now, 136, 8);
FIELD(struct mos_stats, retransmissions, 160, 8);
FIELD(struct mos_stats, memory_now, 168, 8);
FIELD(struct mos_stats, overrun_bytes, 208, 8);
FIELD(struct mos_stats, fragments_in, 216, 8);
FIELD(struct mos_stats, non_ip, 240, 8);
FIELD(struct mos_stats, timers, 248, 8);
FIELD(struct mos_stats, event_sets, 256, 8);
FIELD(struct mos_stats, event_set_bytes, 264, 8);
SIZE(struct mos_stats, 272);

SIZE(struct mos_flow_side, 64);
SIZE(struct mos_flow_info, 152);
FIELD(struct mos_flow_info, start_ns, 0, 8);
FIELD(struct mos_flow_info, last_ns, 8, 8);
FIELD(struct mos_flow_info, end_reason, 16, 4);
FIELD(struct mos_flow_info, family, 20, 4);
FIELD(struct mos_flow_info, side, 24, 128);
FIELD(struct mos_flow_side, packets, 0, 8);
FIELD(struct mos_flow_side, wire_bytes, 8, 8);
FIELD(struct mos_flow_side, payload_bytes, 16, 8);
FIELD(struct mos_flow_side, retransmitted_packets, 24, 8);
FIELD(struct mos_flow_side, retransmitted_bytes, 32, 8);
FIELD(struct mos_flow_side, out_of_order_packets, 40, 8);
FIELD(struct mos_flow_side, gaps, 48, 8);
FIELD(struct mos_flow_side, gap_bytes, 56, 8);
VALUE(MOS_END_NONE, 0);
VALUE(MOS_END_FIN, 1);
VALUE(MOS_END_RESET, 2);
VALUE(MOS_END_TIMEOUT, 3);
VALUE(MOS_END_STOPPED, 4);
VALUE(MOS_END_CONTEXT, 5);
VALUE(MOS_END_REPLACED, 6);
VALUE(MOS_END_MEMORY, 7);

/* mos_io.h */
VALUE(MOS_IO_ABI, 1);
VALUE(MOS_IO_BURST, 64);
VALUE(MOS_IO_IP_CSUM_OK, 1);
VALUE(MOS_IO_L4_CSUM_OK, 2);
VALUE(MOS_IO_END, -1);
VALUE(MOS_IO_ERROR, -2);
SIZE(struct mos_io_frame, 40);

int main(void)
{
#ifndef MTCP_CB_GETCURPKT_CREATE_COPY
#error "MTCP_CB_GETCURPKT_CREATE_COPY is not defined"
#endif
    int unused = 0;
    UNUSED(unused);
    check(1, "values and layouts");
    return finish();
}
