/* Packets of every kind through a whole context, watched by an application
 * that reads everything and holds the library to its word:
 *
 * - what is read is what was sent, in order, and its position is the sum of
 *   what was read and reported as lost;
 * - MOS_ON_CONN_NEW_DATA means that there is something to read;
 * - each flow starts once and ends once on each side and hook;
 * - a frame is forwarded at most once, unchanged and in order (script.c);
 * - at the end no flow and no memory is left (run.c). */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "input.h"
#include "run.h"
#include "script.h"
#include "traffic.h"

#define SOCKETS 256

enum reading { READ_ALL, READ_BIT_BY_BIT, READ_IN_PLACE, READ_NOTHING };

static struct {
    enum reading reading;
    bool checks_content, reads_on_error;
    bool two_listeners, raw;
    bool last_wins, forgets;
} wish;

/* By socket id. */
static struct {
    bool is_open;
    uint8_t starts, ends; /* calls, both sides */
    uint64_t position[2];
} sockets[SOCKETS];
static uint32_t starts, ends;

/* The ports that the bytes in a side's buffer went from and to. */
static void ports(mctx_t context, int sock, int side, uint16_t *from, uint16_t *to)
{
    struct sockaddr_in6 six[2];
    struct sockaddr_in four[2];
    socklen_t length = sizeof four;
    uint16_t port[2];

    if (mtcp_getpeername(context, sock, (struct sockaddr *)four, &length, MOS_SIDE_BOTH) == 0) {
        port[0] = ntohs(four[0].sin_port);
        port[1] = ntohs(four[1].sin_port);
    } else {
        CHECK(errno == EAFNOSUPPORT, "getpeername: errno %d", errno);
        length = sizeof six;
        CHECK(mtcp_getpeername(context, sock, (struct sockaddr *)six, &length, MOS_SIDE_BOTH) == 0, "errno %d",
              errno);
        port[0] = ntohs(six[0].sin6_port);
        port[1] = ntohs(six[1].sin6_port);
    }
    *from = port[1 - side];
    *to = port[side];
}

static void check_bytes(mctx_t context, int sock, int side, const uint8_t *bytes, size_t count, uint64_t position)
{
    struct tcp_buf_info info;
    socklen_t length = sizeof info;
    uint16_t from, to;
    size_t i;

    CHECK(mtcp_getsockopt(context, sock, SOL_MONSOCKET, side ? MOS_INFO_SVRBUF : MOS_INFO_CLIBUF, &info, &length)
              == 0, "errno %d", errno);
    if (!wish.checks_content)
        return;
    ports(context, sock, side, &from, &to);
    for (i = 0; i < count; i++) {
        const uint8_t sent = traffic_byte(info.tcpbi_init_seq + (uint32_t)position + (uint32_t)i, from, to);

        CHECK(bytes[i] == sent, "socket %d, side %d, offset %llu is %02x, not %02x", sock, side,
              (unsigned long long)(position + i), bytes[i], sent);
    }
}

/* Reads a piece. Returns 0 when there is nothing (left) to read. */
static ssize_t read_piece(mctx_t context, int sock, int side)
{
    static uint8_t bytes[1 << 20];
    ssize_t got;

    errno = 0;
    if (wish.reading == READ_IN_PLACE) {
        struct iovec pieces[4];
        size_t sum = 0, i;

        got = mos_peek_iov(context, sock, side, pieces, 4);
        for (i = 0; got > 0 && i < 4; i++) {
            CHECK(sum + pieces[i].iov_len <= sizeof bytes, "too much at once");
            if (pieces[i].iov_len)
                memcpy(bytes + sum, pieces[i].iov_base, pieces[i].iov_len);
            sum += pieces[i].iov_len;
        }
        CHECK(got < 0 || sum == (size_t)got, "%zu bytes in the pieces, not %zd", sum, got);
        if (got > 0)
            CHECK(mos_peek_advance(context, sock, side, (size_t)got) == 0, "errno %d", errno);
    } else {
        got = mtcp_peek(context, sock, side, (char *)bytes, wish.reading == READ_ALL ? sizeof bytes : 37);
    }
    if (got > 0) {
        check_bytes(context, sock, side, bytes, (size_t)got, sockets[sock].position[side]);
        sockets[sock].position[side] += (uint64_t)got;
    } else if (got < 0) {
        CHECK(errno == ENODATA, "reading gives %zd, errno %d", got, errno);
        sockets[sock].position[side] += (uint64_t)-got;
    }
    return got;
}

static void on_new_data(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct tcp_ring_fragment ranges[8];
    struct tcp_buf_info info;
    socklen_t length = sizeof info, count = sizeof ranges;
    struct pkt_info packet;
    uint64_t below = 0;
    socklen_t i;

    (void)event, (void)arg;
    CHECK(sock >= 0 && sock < SOCKETS && sockets[sock].is_open, "socket %d is not open", sock);
    CHECK(mtcp_getlastpkt(context, sock, side, &packet) == -1 && errno == EACCES, "there is a current packet");
    if (wish.reading == READ_NOTHING)
        return;
    CHECK(read_piece(context, sock, side) != 0 || wish.reads_on_error, "NEW_DATA without data on socket %d, side %d",
          sock, side);
    while (read_piece(context, sock, side) != 0)
        ;
    CHECK(mtcp_getsockopt(context, sock, SOL_MONSOCKET, side ? MOS_INFO_SVRBUF : MOS_INFO_CLIBUF, &info, &length)
              == 0, "errno %d", errno);
    CHECK(info.tcpbi_last_byte_read == (uint32_t)sockets[sock].position[side], "the position is %u, not %llu",
          info.tcpbi_last_byte_read, (unsigned long long)sockets[sock].position[side]);
    CHECK(info.tcpbi_next_byte_expected == info.tcpbi_last_byte_read, "not all was read");
    CHECK(mtcp_getsockopt(context, sock, SOL_MONSOCKET, side ? MOS_FRAGINFO_SVRBUF : MOS_FRAGINFO_CLIBUF, ranges,
                          &count) == 0, "errno %d", errno);
    CHECK(count <= 8, "%u ranges in an array for 8", count);
    for (i = 0; i < count; i++) {
        CHECK(ranges[i].len > 0 && (i == 0 || ranges[i].offset > below), "ranges out of order");
        below = ranges[i].offset + ranges[i].len;
    }
}

static void on_packet(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info packet;
    volatile uint8_t sum = 0;
    const uint8_t *frame;
    uint32_t i;

    (void)event, (void)arg;
    CHECK(mtcp_getlastpkt(context, sock, side, &packet) == 0, "errno %d", errno);
    frame = (const uint8_t *)packet.ethh;
    for (i = 0; i < packet.eth_len; i++)
        sum = (uint8_t)(sum + frame[i]);
    CHECK((const uint8_t *)packet.iph <= frame + packet.eth_len, "the IP packet begins behind the frame");
    if (packet.tcph) {
        CHECK(packet.payload + packet.payloadlen <= frame + packet.eth_len, "the payload ends behind the frame");
        if (side != MOS_SIDE_BOTH && packet.payloadlen > 0) {
            uint8_t byte;

            if (mtcp_ppeek(context, sock, side, (char *)&byte, 1, packet.offset) == 1)
                check_bytes(context, sock, side, &byte, 1, packet.offset);
        }
    }
}

static int state(mctx_t context, int sock, int option)
{
    int value = -1;
    socklen_t length = sizeof value;

    CHECK(mtcp_getsockopt(context, sock, SOL_MONSOCKET, option, &value, &length) == 0, "errno %d", errno);
    CHECK(value >= TCP_CLOSED && value <= TCP_TIME_WAIT, "state %d", value);
    return value;
}

static void on_state(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    state(context, sock, MOS_TCP_STATE_CLI);
    state(context, sock, MOS_TCP_STATE_SVR);
}

static void on_start(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    CHECK(sock >= 0 && sock < SOCKETS, "socket %d", sock);
    if (side == MOS_SIDE_CLI) {
        CHECK(!sockets[sock].is_open, "socket %d starts twice", sock);
        CHECK(mtcp_get_uctx(context, sock) == NULL, "another's context");
        memset(&sockets[sock], 0, sizeof sockets[sock]);
        sockets[sock].is_open = true;
        mtcp_set_uctx(context, sock, &sockets[sock]);
        starts++;
    } else {
        CHECK(sockets[sock].is_open && sockets[sock].starts == 1, "socket %d starts at the server first", sock);
    }
    sockets[sock].starts++;
}

static void on_end(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_flow_info info;
    struct pkt_info packet;

    (void)event, (void)arg;
    CHECK(sock >= 0 && sock < SOCKETS && sockets[sock].is_open, "socket %d ends but is not open", sock);
    CHECK(mtcp_get_uctx(context, sock) == &sockets[sock], "another's context");
    CHECK(state(context, sock, MOS_TCP_STATE_CLI) == TCP_CLOSED, "the client is not closed");
    CHECK(state(context, sock, MOS_TCP_STATE_SVR) == TCP_CLOSED, "the server is not closed");
    CHECK(mos_flow_info(context, sock, &info, sizeof info) == 0, "errno %d", errno);
    CHECK(info.end_reason > MOS_END_NONE && info.end_reason <= MOS_END_MEMORY, "reason %u", info.end_reason);
    CHECK(info.last_ns >= info.start_ns, "it ended before it began");
    CHECK(mtcp_getlastpkt(context, sock, side, &packet) == -1 && errno == EACCES, "there is a current packet");
    /* A gap with nothing behind it raises no NEW_DATA. */
    if (wish.reading != READ_NOTHING)
        CHECK(read_piece(context, sock, side) <= 0, "data is left at the end of socket %d, side %d", sock, side);
    /* Both sides, at the receiver's and the sender's hook. */
    if (++sockets[sock].ends == 4) {
        sockets[sock].is_open = false;
        ends++;
    }
}

static void on_orphan(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    CHECK(side == MOS_SIDE_BOTH, "an orphan has side %d", side);
    on_packet(context, sock, side, event, arg);
}

static void on_error(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    if (wish.reads_on_error && wish.reading != READ_NOTHING)
        while (read_piece(context, sock, side) != 0)
            ;
}

static void listen_to(mctx_t context, int family)
{
    static const int hooks[2] = {MOS_HK_SND, MOS_HK_RCV};
    const int sock = mtcp_socket(context, family, MOS_SOCK_MONITOR_STREAM, 0);
    int number, i;

    CHECK(sock >= 0, "errno %d", errno);
    for (i = 0; i < 2; i++) {
        mtcp_register_callback(context, sock, MOS_ON_PKT_IN, hooks[i], on_packet);
        mtcp_register_callback(context, sock, MOS_ON_CONN_START, hooks[i], on_start);
        mtcp_register_callback(context, sock, MOS_ON_TCP_STATE_CHANGE, hooks[i], on_state);
        mtcp_register_callback(context, sock, MOS_ON_CONN_END, hooks[i], on_end);
    }
    mtcp_register_callback(context, sock, MOS_ON_REXMIT, MOS_HK_RCV, on_packet);
    mtcp_register_callback(context, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_new_data);
    mtcp_register_callback(context, sock, MOS_ON_ERROR, MOS_NULL, on_error);
    mtcp_register_callback(context, sock, MOS_ON_ORPHAN, MOS_NULL, on_orphan);
    if (wish.last_wins) {
        number = MOS_OVERLAP_POLICY_LAST;
        CHECK(mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_CLIOVERLAP, &number, sizeof number) == 0, "overlap");
    }
    if (wish.forgets) {
        number = 0;
        CHECK(mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_HISTORY, &number, sizeof number) == 0, "history");
    }
}

static void set_up(mctx_t context)
{
    memset(sockets, 0, sizeof sockets);
    starts = ends = 0;
    if (wish.raw) {
        const int sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);

        CHECK(sock >= 0, "errno %d", errno);
        mtcp_register_callback(context, sock, MOS_ON_PKT_IN, MOS_NULL, on_packet);
    }
    listen_to(context, AF_UNSPEC);
    if (wish.two_listeners)
        listen_to(context, AF_INET);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    run_prepare();
    script_register();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t bursts[4] = {64, 1, 3, 17};
    static const uint32_t buffers[4] = {8192, 64, 1000, 65536};
    struct input in = {data, data + size};
    struct run_settings settings;
    struct mos_stats stats;
    struct traffic traffic;
    uint8_t knobs = input_back_u8(&in);

    script_reset();
    script.burst = bursts[knobs & 3];
    settings.rmem_size = buffers[knobs >> 2 & 3];
    settings.rmem_max = knobs & 0x10 ? 1 << 20 : 65536;
    settings.max_concurrency = knobs & 0x20 ? 2 : 64;
    settings.rx_checksum = !(knobs & 0x40);
    settings.forward = !(knobs & 0x80);
    knobs = input_back_u8(&in);
    settings.mem_limit = knobs & 1 ? settings.rmem_max : 16 << 20;
    settings.tcp_timeout = knobs & 2 ? -1 : knobs & 4 ? 1 : 30;
    settings.tcp_tw_interval = knobs & 8 ? 2 : 0;
    settings.no_ring_buffers = false;
    wish.reading = (enum reading)(knobs >> 4 & 3);
    wish.raw = knobs & 0x40;
    wish.two_listeners = knobs & 0x80;
    knobs = input_back_u8(&in);
    wish.last_wins = knobs & 1;
    wish.forgets = knobs & 2;
    wish.reads_on_error = knobs & 4;
    traffic_run(&traffic, &in);
    wish.checks_content = traffic.is_honest;

    run_script(&settings, set_up, &stats);
    CHECK(stats.rx_packets == script.count, "%llu packets counted, not %u", (unsigned long long)stats.rx_packets,
          script.count);
    CHECK(script.forwarded <= script.count, "more went out than came in");
    CHECK(starts == ends, "%u connections started, %u ended", starts, ends);
    return 0;
}
