/* Prints what an application is told about a trace: every event at every hook
 * where it may be registered, one packet per burst, reading with mtcp_peek()
 * until 0 in each MOS_ON_CONN_NEW_DATA.
 *
 *     parity TRACE
 *
 * One line for each packet that raised something: its flags (S F R P A),
 * numbers and payload length (`off=`: pkt_info.offset, for packets with
 * payload; `flow=`: its flow's number in the order of the first SYNs, from the
 * second flow on), then the callbacks in order. `EV@Hs`: event, hook (S
 * MOS_HK_SND, R MOS_HK_RCV, N MOS_NULL), side (c, s, b for both). PI PKT_IN,
 * CS CONN_START, TSC TCP_STATE_CHANGE, ND CONN_NEW_DATA, RX REXMIT, CE
 * CONN_END, ERR ERROR, ORP ORPHAN. `[client/server]`: the states as read inside
 * the callback, when they differ from those before. What happens without a
 * packet (timeouts, the end of the trace) stands at the end of the line of the
 * packet before; `(flow 2)` marks a callback for another flow than the line's.
 *
 * `ND@Ns{CLI=none@0 SVR=37@0/cdc685a7}`: what each side's buffer gave: bytes,
 * the stream offset of the first, FNV-1a of them; `gap1000@2000`: mtcp_peek()
 * reported 1000 bytes gone there.
 *
 * `CE@Rs{pp c=1 s=-}`: whether the last byte that was read of the client's and
 * of the server's buffer can still be had by mtcp_ppeek() (0: no), `-` if none
 * was ever read. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <mos_api.h>
#include <mtcp_api.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "one_io.h"

#define HEADER_WIDTH 45
#define SILENCE 40 /* seconds */

static const struct {
    event_t event;
    const char *name;
    int hooks; /* 1: MOS_HK_SND and MOS_HK_RCV, 2: MOS_NULL, 3: all */
} events[] = {
    { MOS_ON_PKT_IN, "PI", 3 },
    { MOS_ON_PKT_OUT, "PO", 3 },
    { MOS_ON_CONN_START, "CS", 1 },
    { MOS_ON_CONN_SETUP, "SETUP", 3 },
    { MOS_ON_CONN_NEW_DATA, "ND", 2 },
    { MOS_ON_ERROR, "ERR", 2 },
    { MOS_ON_TIMEOUT, "TO", 3 },
    { MOS_ON_TCP_STATE_CHANGE, "TSC", 1 },
    { MOS_ON_ORPHAN, "ORP", 2 },
    { MOS_ON_REXMIT, "RX", 1 },
    { MOS_ON_CONN_END, "CE", 1 },
    { MOS_ON_DEBUG_MESSAGE, "DEBUG", 3 },
};
enum { EVENTS = sizeof events / sizeof events[0] };

/* One active socket: what it has read, by side. */
struct reader {
    int flow;
    uint64_t position[2];
};

static int flows;
static uint32_t line_frame;      /* the frame whose line is open, 0: none yet */
static struct pkt_info line_packet;
static int line_flow;            /* its flow, 0: none */
static char line_states[32];     /* printed last on this line */
static int failed;

static void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "parity: ");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    failed = 1;
}

static const char *state_name(mctx_t m, int sock, int option)
{
    static const char *const names[] = { "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
                                         "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT" };
    int state = -1;
    socklen_t size = sizeof state;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, option, &state, &size) != 0 || state < 0 || state > 10)
        return "ERR";
    return names[state];
}

/* A frame may be the occasion for another packet's events, too: the SYN of a
 * connection that is recognized by its SYN/ACK. */
static int same_packet(const struct pkt_info *a, const struct pkt_info *b)
{
    return a->seq == b->seq && a->ack_seq == b->ack_seq && a->payloadlen == b->payloadlen;
}

static void begin_line(const struct pkt_info *p, int flow)
{
    char text[160];
    char flags[6];
    int n = 0;
    if (p->tcph->syn)
        flags[n++] = 'S';
    if (p->tcph->fin)
        flags[n++] = 'F';
    if (p->tcph->rst)
        flags[n++] = 'R';
    if (p->tcph->psh)
        flags[n++] = 'P';
    if (p->tcph->ack)
        flags[n++] = 'A';
    flags[n] = 0;
    n = snprintf(text, sizeof text, "%-4s seq=%" PRIu32 " ack=%" PRIu32 " len=%u", flags, p->seq, p->ack_seq,
                 p->payloadlen);
    if (p->payloadlen > 0 && flow != 0)
        n += snprintf(text + n, sizeof text - (size_t)n, " off=%" PRIu64, p->offset);
    if (flow > 1)
        n += snprintf(text + n, sizeof text - (size_t)n, " flow=%d", flow);
    printf("%s%-*s", line_frame == 0 ? "" : "\n", HEADER_WIDTH - 1, text);
    line_frame = one_io_delivered();
    line_packet = *p;
    line_flow = flow;
    line_states[0] = 0;
}

static uint32_t fnv(uint32_t hash, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 16777619u;
    return hash;
}

/* All that one side's buffer gives. */
static void read_side(mctx_t m, int sock, struct reader *reader, int side)
{
    static char buffer[65536];
    uint64_t start = reader->position[side], count = 0;
    uint32_t hash = 2166136261u;
    int parts = 0;
    printf("%s=", side == MOS_SIDE_CLI ? "CLI" : "SVR");
    for (;;) {
        ssize_t got = mtcp_peek(m, sock, side, buffer, sizeof buffer);
        if (got > 0) {
            hash = fnv(hash, buffer, (size_t)got);
            count += (uint64_t)got;
            reader->position[side] += (uint64_t)got;
            continue;
        }
        if (count > 0)
            printf("%s%" PRIu64 "@%" PRIu64 "/%08" PRIx32, parts++ ? "+" : "", count, start, hash);
        if (got == 0) {
            if (parts == 0)
                printf("none@%" PRIu64, start);
            break;
        }
        if (errno != ENODATA) {
            printf("%serror%d", parts++ ? "+" : "", errno);
            break;
        }
        printf("%sgap%zd@%" PRIu64, parts++ ? "+" : "", -got, reader->position[side]);
        reader->position[side] += (uint64_t)-got;
        start = reader->position[side];
        count = 0;
        hash = 2166136261u;
    }
}

/* Whether the last byte read is still there. */
static void print_kept(mctx_t m, int sock, const struct reader *reader, int side)
{
    char byte;
    if (reader->position[side] == 0)
        printf("-");
    else
        printf("%d", mtcp_ppeek(m, sock, side, &byte, 1, reader->position[side] - 1) == 1);
}

static void on_event(mctx_t m, int sock, int side, event_t event, int hook)
{
    struct pkt_info packet;
    struct reader *reader = NULL;
    const char *name = "?";
    char states[32] = "";
    int at;

    for (at = 0; at < EVENTS; at++)
        if (events[at].event == event)
            name = events[at].name;
    if (side != MOS_SIDE_BOTH) {
        reader = (struct reader *)mtcp_get_uctx(m, sock);
        if (reader == NULL) {
            reader = (struct reader *)calloc(1, sizeof *reader);
            if (reader == NULL)
                abort();
            reader->flow = ++flows;
            mtcp_set_uctx(m, sock, reader);
        }
    }
    if (mtcp_getlastpkt(m, sock, side, &packet) == 0) {
        if (packet.tcph == NULL)
            complain("%s for a packet that is not TCP", name);
        else if (line_frame != one_io_delivered() || !same_packet(&packet, &line_packet))
            begin_line(&packet, reader ? reader->flow : 0);
        if (event == MOS_ON_CONN_NEW_DATA || event == MOS_ON_CONN_END)
            complain("%s with a current packet", name);
    } else if (event != MOS_ON_CONN_NEW_DATA && event != MOS_ON_CONN_END && event != MOS_ON_TCP_STATE_CHANGE &&
               event != MOS_ON_ERROR) {
        complain("%s without a current packet: errno %d", name, errno);
    }
    if (line_frame == 0) {
        complain("%s before any packet", name);
        return;
    }
    if (reader != NULL) {
        if (reader->flow != line_flow) {
            printf(" (flow %d)", reader->flow);
            line_flow = reader->flow;
        }
        snprintf(states, sizeof states, "[%s/%s]", state_name(m, sock, MOS_TCP_STATE_CLI),
                 state_name(m, sock, MOS_TCP_STATE_SVR));
        if (strcmp(states, line_states) != 0) {
            printf(" %s", states);
            strcpy(line_states, states);
        }
    }
    printf(" %s@%c%c", name, hook == MOS_NULL ? 'N' : hook == MOS_HK_RCV ? 'R' : 'S',
           side == MOS_SIDE_CLI ? 'c' : side == MOS_SIDE_SVR ? 's' : 'b');
    if (event == MOS_ON_CONN_NEW_DATA && reader != NULL) {
        printf("{");
        read_side(m, sock, reader, MOS_SIDE_CLI);
        printf(" ");
        read_side(m, sock, reader, MOS_SIDE_SVR);
        printf("}");
    } else if (event == MOS_ON_CONN_END && reader != NULL) {
        printf("{pp c=");
        print_kept(m, sock, reader, MOS_SIDE_CLI);
        printf(" s=");
        print_kept(m, sock, reader, MOS_SIDE_SVR);
        printf("}");
    }
}

static void at_send(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    on_event(m, sock, side, event, MOS_HK_SND);
}

static void at_receive(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    on_event(m, sock, side, event, MOS_HK_RCV);
}

static void at_null(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)arg;
    on_event(m, sock, side, event, MOS_NULL);
}

/* A configuration in a file of its own, removed when it has been read. */
static int initialize(const char *trace)
{
    char path[] = "/tmp/mos-parity-XXXXXX";
    int file = mkstemp(path), result;
    FILE *out = file < 0 ? NULL : fdopen(file, "w");
    if (out == NULL) {
        perror(path);
        return -1;
    }
    fprintf(out, "mos {\n forward = 0\n rx_checksum = 1\n tcp_timeout = 30\n netdev {\n \"one:%s\" 0x1\n }\n}\n", trace);
    fclose(out);
    result = mtcp_init(path);
    unlink(path);
    return result;
}

int main(int argc, char **argv)
{
    mctx_t m;
    int sock;

    if (argc != 2) {
        fprintf(stderr, "usage: parity TRACE\n");
        printf("it needs a trace: the suite \"traces\" gives it some\n");
        return 77;
    }
    if (one_io_register(1, SILENCE) != 0) {
        perror("one_io");
        return 1;
    }
    if (initialize(argv[1]) != 0)
        return 1;
    m = mtcp_create_context(0);
    if (m == NULL) {
        perror("mtcp_create_context");
        return 1;
    }
    sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0) {
        perror("mtcp_socket");
        return 1;
    }
    for (int at = 0; at < EVENTS; at++) {
        static const struct {
            int bit, point;
            callback_t handler;
        } hooks[] = { { 1, MOS_HK_SND, at_send }, { 1, MOS_HK_RCV, at_receive }, { 2, MOS_NULL, at_null } };
        for (int h = 0; h < 3; h++) {
            int wanted = events[at].hooks & hooks[h].bit ? 0 : -1;
            /* MOS_NULL of PKT_IN is for raw sockets; it is legal on a listener, too. */
            if (mtcp_register_callback(m, sock, events[at].event, hooks[h].point, hooks[h].handler) != wanted)
                complain("registering %s at hook %d: %s", events[at].name, h, wanted ? "accepted" : strerror(errno));
        }
    }
    mtcp_app_join(m);
    if (line_frame != 0)
        printf("\n");
    mtcp_destroy_context(m);
    mtcp_destroy();
    return failed;
}
