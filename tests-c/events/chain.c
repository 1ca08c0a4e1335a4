/* Three middleboxes in one context: a meter, a searcher with events of its own,
 * and a watchman that has seen enough after a while. They are called in the
 * order of the chain, each with its own set, and what one of them stops the
 * others still get, to the last byte. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOWS = 40, SEGMENTS = 30, SIZE = 100 };

static int checks, failures;

static void check(int good, const char *what)
{
    checks++;
    failures += !good;
    printf("%sok %d - %s\n", good ? "" : "not ", checks, what);
}

/* What each of them saw of each flow. */
static struct {
    uint64_t packets[FLOWS], bytes[FLOWS][2], found[FLOWS], ends[FLOWS], wrong;
    uint64_t after_stop;
    int stopped[FLOWS], active[FLOWS];
} meter, searcher, watchman;

static int listeners[3];
static event_t long_data, even_data, found_once;
static int order[16], order_count, frame_sender, order_wrong, order_right;
static int stop_side; /* what the watchman stops, -1: nothing; 3: closes its socket */
static uint64_t handed_out;
static mctx_t context;

static int flow_of(mctx_t m, int sock)
{
    struct sockaddr_in end;
    socklen_t length = sizeof end;
    if (mtcp_getpeername(m, sock, (struct sockaddr *)&end, &length, MOS_SIDE_CLI) != 0)
        return 0;
    return ntohs(end.sin_port) - 1000;
}

/* ---- The three ---- */

static void called(int who)
{
    if (order_count < 16)
        order[order_count++] = who;
}

static void meter_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    called(0);
    meter.packets[flow_of(m, sock)]++;
}

static void searcher_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    called(1);
    searcher.packets[flow_of(m, sock)]++;
}

static void watchman_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int flow = flow_of(m, sock);
    (void)event, (void)arg;
    called(2);
    watchman.packets[flow]++;
    if (watchman.stopped[flow] && (stop_side == side || stop_side >= MOS_SIDE_BOTH))
        watchman.after_stop++;
    if (watchman.packets[flow] == 10 && stop_side >= 0) {
        watchman.stopped[flow] = 1;
        if (stop_side == 3 ? mtcp_close(m, sock)
                           : mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &stop_side, sizeof stop_side))
            watchman.wrong++;
    }
}

/* Reads to the end and compares: byte i of a stream is its sequence number. */
static void read_all(mctx_t m, int sock, int side, uint64_t *bytes, uint64_t *wrong)
{
    char buffer[4096];
    ssize_t got;
    while ((got = mtcp_peek(m, sock, side, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            *wrong += (uint8_t)buffer[i] != (uint8_t)(*bytes + (uint64_t)i + 1);
        *bytes += (uint64_t)got;
    }
    *wrong += got < 0;
}

static void meter_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    read_all(m, sock, side, &meter.bytes[flow_of(m, sock)][side], &meter.wrong);
}

static void watchman_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int flow = flow_of(m, sock);
    (void)event, (void)arg;
    if (watchman.stopped[flow] && (stop_side == side || stop_side >= MOS_SIDE_BOTH))
        watchman.after_stop++;
    read_all(m, sock, side, &watchman.bytes[flow][side], &watchman.wrong);
}

/* Below NEW_DATA: true when more than half of the stream has come. */
static bool has_half(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int flow = flow_of(m, sock);
    (void)event, (void)arg;
    read_all(m, sock, side, &searcher.bytes[flow][side], &searcher.wrong);
    return searcher.bytes[flow][side] > SEGMENTS / 2 / 2 * SIZE;
}

static bool is_even(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int flow = flow_of(m, sock);
    (void)event, (void)arg;
    if (searcher.bytes[flow][side] / SIZE % 2 != 0)
        return false;
    if (mtcp_raise_event(m, found_once) != 0 && !searcher.found[flow])
        searcher.wrong++;
    return true;
}

static void searcher_found(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int flow = flow_of(m, sock);
    (void)side, (void)arg;
    if (event == found_once) {
        /* Once for each flow: it takes itself away. */
        if (searcher.found[flow]++)
            searcher.wrong++;
        if (mtcp_unregister_callback(m, sock, event, MOS_NULL) != 0)
            searcher.wrong++;
    }
}

static void any_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int flow = flow_of(m, sock);
    (void)event, (void)arg;
    uint64_t bit = 1ull << side;
    /* Which of the three: each has its own uctx from START. */
    uintptr_t who = (uintptr_t)mtcp_get_uctx(m, sock);
    uint64_t *ends = who == 1 ? meter.ends : who == 2 ? searcher.ends : watchman.ends;
    if (who == 3 && watchman.stopped[flow] && (stop_side == side || stop_side >= MOS_SIDE_BOTH))
        watchman.after_stop++;
    ends[flow] |= bit;
}

static void start(mctx_t m, int sock, uintptr_t who)
{
    mtcp_set_uctx(m, sock, (void *)who);
}
static void meter_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    start(m, sock, 1);
}
static void searcher_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    start(m, sock, 2);
}
static void watchman_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    start(m, sock, 3);
}

/* ---- The packets ---- */

static void settle_order(void)
{
    /* PKT_IN of one packet at HK_SND: up the chain from the client, down from the server. */
    int good = 1;
    for (int i = 1; i < order_count; i++)
        good &= frame_sender == 0 ? order[i] > order[i - 1] : order[i] < order[i - 1];
    if (order_count) {
        if (good)
            order_right++;
        else
            order_wrong++;
    }
    order_count = 0;
}

static int fill(struct mos_io_frame *frames, uint32_t max)
{
    static uint32_t next[FLOWS][2];
    static int step;
    const int total = FLOWS * (3 + SEGMENTS + 3);
    (void)max;
    settle_order();
    if (step == total) {
        step = 0;
        return MOS_IO_END;
    }
    int flow = step % FLOWS, turn = step / FLOWS, side = 0;
    struct wire_packet p;
    memset(&p, 0, sizeof p);
    p.flags = ACK;
    if (turn == 0) {
        next[flow][0] = next[flow][1] = 0;
        p.flags = SYN;
    } else if (turn == 1) {
        side = 1;
        p.flags = SYN | ACK;
    } else if (turn >= 3 && turn < 3 + SEGMENTS) {
        side = turn % 2;
        p.length = SIZE;
    } else if (turn == 3 + SEGMENTS || turn == 4 + SEGMENTS) {
        side = turn - 3 - SEGMENTS;
        p.flags = FIN | ACK;
    }
    p.source = side == 0 ? 0x0a000001u : 0x0a000002u;
    p.destination = side == 0 ? 0x0a000002u : 0x0a000001u;
    p.source_port = side == 0 ? (uint16_t)(1000 + flow) : 80;
    p.destination_port = side == 0 ? 80 : (uint16_t)(1000 + flow);
    p.sequence = next[flow][side];
    p.acknowledgement = p.flags & ACK ? next[flow][1 - side] : 0;
    p.time_ns = 1700000000ull * 1000000000u + ++handed_out * 1000000u;
    next[flow][side] += p.length + !!(p.flags & (SYN | FIN));
    frame_sender = side;
    wire_frame(frames, 0, &p);
    step++;
    return 1;
}

static int attach(int sock, event_t event, int hook, callback_t handler)
{
    return mtcp_register_callback(context, sock, event, hook, handler);
}

static void play(int what)
{
    char text[128];
    static const char *const names[] = {"nothing stops", "the client's side stops", "the server's side stops",
                                        "both sides stop", "the socket is closed"};
    const char *name = names[what + 1];
    int bad = 0;
    memset(&meter, 0, sizeof meter);
    memset(&searcher, 0, sizeof searcher);
    memset(&watchman, 0, sizeof watchman);
    order_right = order_wrong = 0;
    stop_side = what;
    context = wire_start(fill, "max_concurrency = 100\ntcp_tw_interval = 0");
    for (int i = 0; i < 3; i++)
        listeners[i] = mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    long_data = mtcp_define_event(MOS_ON_CONN_NEW_DATA, has_half, NULL);
    even_data = mtcp_define_event(long_data, is_even, NULL);
    if (!found_once)
        found_once = mtcp_alloc_event(even_data);
    /* The order of registration is not that of the chain. */
    bad |= attach(listeners[2], MOS_ON_PKT_IN, MOS_HK_SND, watchman_packet);
    bad |= attach(listeners[1], MOS_ON_PKT_IN, MOS_HK_SND, searcher_packet);
    bad |= attach(listeners[0], MOS_ON_PKT_IN, MOS_HK_SND, meter_packet);
    bad |= attach(listeners[0], MOS_ON_CONN_START, MOS_HK_SND, meter_start);
    bad |= attach(listeners[1], MOS_ON_CONN_START, MOS_HK_SND, searcher_start);
    bad |= attach(listeners[2], MOS_ON_CONN_START, MOS_HK_SND, watchman_start);
    bad |= attach(listeners[0], MOS_ON_CONN_NEW_DATA, MOS_NULL, meter_data);
    bad |= attach(listeners[1], even_data, MOS_NULL, searcher_found);
    bad |= attach(listeners[1], found_once, MOS_NULL, searcher_found);
    bad |= attach(listeners[2], MOS_ON_CONN_NEW_DATA, MOS_NULL, watchman_data);
    for (int i = 0; i < 3; i++)
        bad |= attach(listeners[i], MOS_ON_CONN_END, MOS_HK_RCV, any_end);
    mtcp_app_join(context);
    settle_order();
    wire_stop(context);

    const uint64_t packets = 3 + SEGMENTS + 3, bytes = SEGMENTS / 2 * SIZE;
    int whole = 1, ends = 1, watched = 1;
    for (int i = 0; i < FLOWS; i++) {
        for (int side = 0; side < 2; side++)
            whole &= meter.bytes[i][side] == bytes && searcher.bytes[i][side] == bytes;
        whole &= meter.packets[i] == packets && searcher.packets[i] == packets && searcher.found[i] == 1;
        ends &= meter.ends[i] == 3 && searcher.ends[i] == 3;
        watched &= watchman.ends[i] == (what < 0 ? 3u : what == 0 ? 2u : what == 1 ? 1u : 0u);
        uint64_t left = what < 0 ? packets : what >= MOS_SIDE_BOTH ? 10 : watchman.packets[i];
        watched &= watchman.packets[i] == left;
        if (what < 0)
            watched &= watchman.bytes[i][0] == bytes && watchman.bytes[i][1] == bytes;
        if (what == 0 || what == 1)
            /* the other side's bytes and packets still come */
            watched &= watchman.bytes[i][1 - what] == bytes && watchman.packets[i] > 10 && watchman.packets[i] < packets;
    }
    snprintf(text, sizeof text, "%s: all is registered", name);
    check(bad == 0, text);
    snprintf(text, sizeof text, "%s: up the chain for the client's packets, down for the server's", name);
    check(order_wrong == 0 && order_right == FLOWS * (int)packets, text);
    snprintf(text, sizeof text, "%s: meter and searcher see every packet and byte", name);
    check(whole && meter.wrong == 0 && searcher.wrong == 0, text);
    snprintf(text, sizeof text, "%s: meter and searcher see both ends of each flow", name);
    check(ends, text);
    snprintf(text, sizeof text, "%s: the watchman sees what it did not stop, and nothing else", name);
    check(watched && watchman.wrong == 0 && watchman.after_stop == 0, text);
}

int main(void)
{
    for (int what = -1; what <= 3; what++)
        play(what);
    printf("1..%d\n", checks);
    return failures != 0;
}
