/*
 * What an application of libmos sees of a trace:
 *
 *     watch [-d] [-o POLICY] [-s SEED] [-c CONFIG] > rows
 *
 * MOS_NETDEV names the trace.
 *
 * It reads with mtcp_peek() in each NEW_DATA until nothing is left, and prints
 * a line for every flow when it ends:
 *
 *     CLIENT:PORT SERVER:PORT c2s BYTES HASH s2c BYTES HASH END SERVER-STATE \
 *         CLIENT-STATE lost BYTES errors N wrong BYTES shift N N
 *
 * (IPv6 addresses in brackets)
 * with -d followed by the bytes of both directions in hexadecimal. The states
 * are the last ones before CLOSED. With -s each byte is compared with the one
 * that plan.h has for its place, where "shift" (of c2s, and of s2c) says how far
 * behind the stream's beginning the first byte lies that the library knew of:
 * the only number of which it does not know when the packets that tell are not
 * in the trace. The last line has the library's counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mos_api.h>
#include <mos_ext.h>

#include "plan.h"

#define MAX_DUMP (1 << 20)
#define MAX_SHIFT 65535
#define FIRST 8

struct stream {
    uint64_t bytes, hash, lost, wrong;
    uint64_t place;             /* of the next byte to be compared */
    int64_t shift;
    int is_placed;              /* `shift` is known */
    uint32_t firsts;
    uint8_t first[FIRST];       /* what it is to be found from */
    uint8_t *dump;
    size_t dump_room;
};

struct flow {
    struct stream stream[2];    /* by the side that receives it */
    char address[2][INET6_ADDRSTRLEN + 2];
    unsigned port[2];
    int state[2];
    unsigned errors;
};

static int dump;
static int compares;
static uint64_t seed;
static int trouble;

static const char *const states[] = {
    "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
    "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT",
};

static const char *const ends[] = {
    "none", "fin", "reset", "timeout", "stopped", "context", "replaced", "memory",
};

static void
complain(const char *what)
{
    fprintf(stderr, "watch: %s: %s\n", what, strerror(errno));
    trouble = 1;
}

static void
keep(struct stream *s, const uint8_t *bytes, size_t count)
{
    if (!dump || s->bytes + count > MAX_DUMP)
        return;
    if (s->bytes + count > s->dump_room) {
        s->dump_room = (s->bytes + count) * 2;
        s->dump = (uint8_t *)realloc(s->dump, s->dump_room);
        if (!s->dump)
            abort();
    }
    memcpy(s->dump + s->bytes, bytes, count);
}

/* How many of the bytes are not what their sender wrote. */
static uint64_t
mismatches(const struct stream *s, const struct flow *flow, int side, int64_t shift, const uint8_t *bytes, uint32_t count)
{
    uint8_t right[4096];
    uint64_t wrong = 0;
    uint32_t i;

    stream_bytes(seed, flow->port[0] - CLIENT_PORT, 1 - side, s->place + (uint64_t)shift, right, count);
    for (i = 0; i < count; i++)
        wrong += bytes[i] != right[i];
    return wrong;
}

/* Finds the place of the first bytes. */
static void
find_place(struct stream *s, const struct flow *flow, int side)
{
    int64_t shift;

    if (s->is_placed || s->firsts == 0)
        return;
    s->is_placed = 1;
    if (mismatches(s, flow, side, 0, s->first, s->firsts) != 0) {
        for (shift = -1; shift <= MAX_SHIFT; shift++)
            if (mismatches(s, flow, side, shift, s->first, s->firsts) == 0)
                break;
        s->shift = shift <= MAX_SHIFT ? shift : 0;
    }
    s->wrong += mismatches(s, flow, side, s->shift, s->first, s->firsts);
    s->place += s->firsts;
}

static void
compare(struct stream *s, const struct flow *flow, int side, const uint8_t *bytes, uint32_t count)
{
    if (!compares)
        return;
    if (!s->is_placed) {
        while (count > 0 && s->firsts < FIRST) {
            s->first[s->firsts++] = *bytes++;
            count--;
        }
        if (s->firsts == FIRST)
            find_place(s, flow, side);
    }
    if (count == 0)
        return;
    s->wrong += mismatches(s, flow, side, s->shift, bytes, count);
    s->place += count;
}

static void
read_all(mctx_t context, int sock, struct flow *flow, int side)
{
    struct stream *s = &flow->stream[side];
    char bytes[4096];

    for (;;) {
        const int n = mtcp_peek(context, sock, side, bytes, sizeof bytes);

        if (n == 0)
            return;
        if (n < 0) {
            if (errno != ENODATA) {
                complain("mtcp_peek");
                return;
            }
            find_place(s, flow, side);
            s->lost += (uint64_t)-n;
            s->place += (uint64_t)-n;
            continue;
        }
        keep(s, (const uint8_t *)bytes, (size_t)n);
        compare(s, flow, side, (const uint8_t *)bytes, (uint32_t)n);
        s->bytes += (uint64_t)n;
        s->hash = fnv(s->hash, (const uint8_t *)bytes, (uint64_t)n);
    }
}

static void
note_addresses(mctx_t context, int sock, struct flow *flow)
{
    struct sockaddr_in v4[2];
    struct sockaddr_in6 v6[2];
    socklen_t length = sizeof v4;
    char text[INET6_ADDRSTRLEN];
    int i;

    if (mtcp_getpeername(context, sock, (struct sockaddr *)v4, &length, MOS_SIDE_BOTH) == 0) {
        for (i = 0; i < 2; i++) {
            flow->port[i] = ntohs(v4[i].sin_port);
            inet_ntop(AF_INET, &v4[i].sin_addr, flow->address[i], sizeof flow->address[i]);
        }
        return;
    }
    length = sizeof v6;
    if (mtcp_getpeername(context, sock, (struct sockaddr *)v6, &length, MOS_SIDE_BOTH) < 0) {
        complain("mtcp_getpeername");
        return;
    }
    for (i = 0; i < 2; i++) {
        flow->port[i] = ntohs(v6[i].sin6_port);
        inet_ntop(AF_INET6, &v6[i].sin6_addr, text, sizeof text);
        snprintf(flow->address[i], sizeof flow->address[i], "[%s]", text);
    }
}

static void
on_start(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *flow = (struct flow *)calloc(1, sizeof *flow);

    (void)side, (void)event, (void)arg;
    if (!flow)
        abort();
    flow->stream[0].hash = flow->stream[1].hash = FNV_START;
    flow->state[MOS_SIDE_CLI] = TCP_SYN_SENT;
    flow->state[MOS_SIDE_SVR] = TCP_LISTEN;
    note_addresses(context, sock, flow);
    mtcp_set_uctx(context, sock, flow);
}

static void
on_data(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    read_all(context, sock, (struct flow *)mtcp_get_uctx(context, sock), side);
}

static void
on_state(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *flow = (struct flow *)mtcp_get_uctx(context, sock);
    int state[2] = { 0, 0 };
    socklen_t length = sizeof(int);
    int i;

    (void)side, (void)event, (void)arg;
    if (mtcp_getsockopt(context, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state[0], &length) < 0
        || mtcp_getsockopt(context, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &state[1], &length) < 0) {
        complain("mtcp_getsockopt");
        return;
    }
    for (i = 0; i < 2; i++)
        if (state[i] != TCP_CLOSED)
            flow->state[i] = state[i];
}

static void
on_error(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    ((struct flow *)mtcp_get_uctx(context, sock))->errors++;
}

static void
print_bytes(const struct stream *s)
{
    uint64_t i;

    putchar(' ');
    if (s->bytes == 0)
        putchar('-');
    for (i = 0; i < s->bytes && i < MAX_DUMP; i++)
        printf("%02x", s->dump[i]);
}

/* Runs for both sides; the first one does the work. */
static void
on_end(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flow *flow = (struct flow *)mtcp_get_uctx(context, sock);
    struct mos_flow_info info;
    int i;

    (void)side, (void)event, (void)arg;
    if (!flow)
        return;
    mtcp_set_uctx(context, sock, NULL);
    /* Everything was delivered before, says 02-monitor.md section 5. */
    for (i = 0; i < 2; i++) {
        const uint64_t before = flow->stream[i].bytes;

        read_all(context, sock, flow, i);
        if (flow->stream[i].bytes != before) {
            errno = 0;
            complain("data at the end without NEW_DATA");
        }
    }
    for (i = 0; i < 2; i++)
        find_place(&flow->stream[i], flow, i);
    if (mos_flow_info(context, sock, &info, sizeof info) < 0)
        complain("mos_flow_info");
    printf("%s:%u %s:%u c2s %llu %016llx s2c %llu %016llx %s %s %s lost %llu errors %u wrong %llu shift %lld %lld",
           flow->address[0], flow->port[0], flow->address[1], flow->port[1],
           (unsigned long long)flow->stream[MOS_SIDE_SVR].bytes, (unsigned long long)flow->stream[MOS_SIDE_SVR].hash,
           (unsigned long long)flow->stream[MOS_SIDE_CLI].bytes, (unsigned long long)flow->stream[MOS_SIDE_CLI].hash,
           ends[info.end_reason], states[flow->state[MOS_SIDE_SVR]], states[flow->state[MOS_SIDE_CLI]],
           (unsigned long long)(flow->stream[0].lost + flow->stream[1].lost), flow->errors,
           (unsigned long long)(flow->stream[0].wrong + flow->stream[1].wrong),
           (long long)flow->stream[MOS_SIDE_SVR].shift, (long long)flow->stream[MOS_SIDE_CLI].shift);
    if (dump) {
        print_bytes(&flow->stream[MOS_SIDE_SVR]);
        print_bytes(&flow->stream[MOS_SIDE_CLI]);
    }
    putchar('\n');
    free(flow->stream[0].dump);
    free(flow->stream[1].dump);
    free(flow);
}

int
main(int argc, char **argv)
{
    const char *config = NULL;
    struct mos_stats stats;
    int option, sock, policy = -1;
    mctx_t context;

    while ((option = getopt(argc, argv, "dc:o:s:")) != -1) {
        switch (option) {
        case 'd':
            dump = 1;
            break;
        case 'c':
            config = optarg;
            break;
        case 's':
            compares = 1;
            seed = strtoull(optarg, NULL, 0);
            break;
        case 'o':
            policy = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    if (mtcp_init(config) < 0) {
        complain("mtcp_init");
        return EXIT_FAILURE;
    }
    context = mtcp_create_context(0);
    if (!context) {
        complain("mtcp_create_context");
        return EXIT_FAILURE;
    }
    sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0
        || mtcp_register_callback(context, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0
        || mtcp_register_callback(context, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state) < 0
        || mtcp_register_callback(context, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state) < 0
        || mtcp_register_callback(context, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) < 0
        || mtcp_register_callback(context, sock, MOS_ON_ERROR, MOS_NULL, on_error) < 0
        || mtcp_register_callback(context, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0
        || (policy >= 0
            && (mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_SVROVERLAP, &policy, sizeof policy) < 0
                || mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_CLIOVERLAP, &policy, sizeof policy) < 0))) {
        complain("the listener");
        return EXIT_FAILURE;
    }
    mtcp_app_join(context);
    if (mos_get_stats(context, -1, &stats, sizeof stats) == 0)
        printf("stats packets %llu flows %llu orphans %llu retransmissions %llu gaps %llu overruns %llu "
               "bad-checksum %llu no-memory %llu memory-peak %llu memory-left %llu\n",
               (unsigned long long)stats.rx_packets, (unsigned long long)stats.flows_total,
               (unsigned long long)stats.orphans, (unsigned long long)stats.retransmissions,
               (unsigned long long)stats.gaps, (unsigned long long)stats.overruns,
               (unsigned long long)(stats.rx_bad_ip_checksum + stats.rx_bad_tcp_checksum),
               (unsigned long long)stats.drop_no_memory, (unsigned long long)stats.memory_peak,
               (unsigned long long)stats.memory_now);
    mtcp_destroy();
    return trouble ? EXIT_FAILURE : EXIT_SUCCESS;
}
