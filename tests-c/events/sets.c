/* (Under a sanitizer: 5 0.)
 * Event sets from outside: their number (mos_get_stats), and the memory that
 * they take and give back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int checks, failures;
static mctx_t context;

static void check(int good, const char *what)
{
    checks++;
    failures += !good;
    printf("%sok %d - %s\n", good ? "" : "not ", checks, what);
    fflush(stdout);
}

static int sets(void)
{
    struct mos_stats stats;
    if (mos_get_stats(context, -1, &stats, sizeof stats) != 0)
        return -1;
    return (int)stats.event_sets;
}

static void check_sets(int wanted, const char *what)
{
    int got = sets();
    check(got == wanted, what);
    if (got != wanted)
        printf("# %d sets instead of %d\n", got, wanted);
}

/* Resident bytes of this process. */
static long long resident(void)
{
    long long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        if (fscanf(file, "%lld %lld", &size, &pages) != 2)
            pages = 0;
        fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static uint64_t calls;

static void one(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    calls++;
}

static void other(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    one(m, sock, side, event, arg);
}

static bool always(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return true;
}

/* The n-th event below a parent. */
static event_t make(event_t parent, int n)
{
    struct filter_arg argument = {&n, sizeof n};
    return mtcp_define_event(parent, always, &argument);
}

static int listen_here(void)
{
    return mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
}

static int put(int sock, event_t event, int hook, callback_t handler)
{
    return mtcp_register_callback(context, sock, event, hook, handler);
}

/* ---- On listeners, from this thread ---- */

static int nothing(struct mos_io_frame *frames, uint32_t max)
{
    (void)frames, (void)max;
    return MOS_IO_END;
}

static void on_listeners(void)
{
    enum { EVENTS = 300 };
    int bad = 0, a, b, c;
    event_t events[EVENTS];
    context = wire_start(nothing, NULL);
    for (int i = 0; i < EVENTS; i++)
        events[i] = make(i % 3 == 0 ? (event_t)MOS_ON_PKT_IN : i % 3 == 1 ? events[i - 1] : events[i / 2], i);
    a = listen_here();
    b = listen_here();
    c = listen_here();
    check_sets(0, "sockets without handlers have no set");
    put(a, MOS_ON_PKT_IN, MOS_HK_SND, one);
    check_sets(1, "one handler, one set");
    put(b, MOS_ON_PKT_IN, MOS_HK_SND, one);
    put(c, MOS_ON_PKT_IN, MOS_HK_RCV, one);
    check_sets(1, "the same pair on other sockets and hooks is the same set");
    put(b, MOS_ON_PKT_IN, MOS_HK_SND, other);
    check_sets(2, "another handler makes another set");
    put(b, MOS_ON_PKT_IN, MOS_HK_SND, one);
    check_sets(1, "and it is gone when the handler is put back");
    mtcp_close(context, a);
    mtcp_close(context, b);
    check_sets(1, "a set lives as long as its last user");
    mtcp_close(context, c);
    check_sets(0, "and no longer");

    a = listen_here();
    b = listen_here();
    for (int i = 0; i < EVENTS; i++) {
        bad |= put(a, events[i], MOS_HK_SND, i % 7 ? one : other);
        bad |= put(b, events[EVENTS - 1 - i], MOS_HK_SND, (EVENTS - 1 - i) % 7 ? one : other);
    }
    check(bad == 0, "300 events, nested, in two orders");
    check_sets(1, "whatever the order of registration, the set is the same");
    /* Out of one and into the other, in steps; they meet at the end only. */
    for (int i = 0; i < EVENTS; i++) {
        int at = i * 77 % EVENTS;
        bad |= mtcp_unregister_callback(context, a, events[at], MOS_HK_SND);
        if (i == EVENTS / 2)
            check_sets(2, "half of them away: two sets");
    }
    check_sets(1, "all of them away: that of the other");
    check(mtcp_unregister_callback(context, a, events[0], MOS_HK_SND) == -1 && errno == EINVAL && bad == 0,
          "nothing is left to be taken away");
    for (int i = 0; i < EVENTS; i++)
        bad |= put(a, events[i * 101 % EVENTS], MOS_HK_RCV, i * 101 % EVENTS % 7 ? one : other);
    check(bad == 0, "again, on another hook and in another order");
    check_sets(1, "and the set is the same again");
    wire_stop(context);
}

/* ---- A tower of events: each below the one before ---- */

enum { HEIGHT = 3000 };
static event_t tower[HEIGHT];
static int tower_step, tower_wrong;

static void climb(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)arg;
    if (tower_step >= HEIGHT || event != tower[tower_step])
        tower_wrong++;
    tower_step++;
}

static void syn(struct mos_io_frame *frame, uint32_t at, uint32_t flow, uint64_t time_ns)
{
    struct wire_packet p;
    memset(&p, 0, sizeof p);
    p.source = 0x0a000000u + flow;
    p.destination = 0xc0a80001u;
    p.source_port = 1000;
    p.destination_port = 80;
    p.flags = SYN;
    p.time_ns = time_ns;
    wire_frame(frame, at, &p);
}

static void again(struct mos_io_frame *frame, uint32_t at, uint32_t flow, uint64_t time_ns)
{
    /* The same SYN once more: a packet of that flow. */
    syn(frame, at, flow, time_ns);
}

static uint64_t script_time;

static int one_syn(struct mos_io_frame *frames, uint32_t max)
{
    static int done;
    (void)max;
    done = !done;
    if (!done)
        return MOS_IO_END;
    syn(&frames[0], 0, 1, 1700000000ull * 1000000000u);
    return 1;
}

static void high_tower(void)
{
    int bad = 0;
    context = wire_start(one_syn, NULL);
    int sock = listen_here();
    for (int i = 0; i < HEIGHT; i++) {
        tower[i] = make(i == 0 ? (event_t)MOS_ON_PKT_IN : tower[i - 1], 1000);
        bad |= put(sock, tower[i], MOS_HK_SND, climb);
    }
    check(bad == 0, "3000 events, each below the one before");
    mtcp_app_join(context);
    check(tower_step == HEIGHT && tower_wrong == 0, "run from the top to the bottom");
    wire_stop(context);
}

/* ---- Many flows ---- */

enum { FLOWS = 50000 };
static int *socks;
static uint32_t started;
static int many_bad, many_step;
static event_t extra;

static void remember(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    socks[started++] = sock;
}

/* Between bursts, on the stack thread. */
static void change(uint32_t from, uint32_t to, event_t event, callback_t handler)
{
    for (uint32_t i = from; i < to; i++)
        many_bad |= put(socks[i], event, MOS_HK_RCV, handler);
}

static int many(struct mos_io_frame *frames, uint32_t max)
{
    static uint32_t opened;
    uint32_t count = 0;
    while (opened < FLOWS && count < max) {
        script_time += 1000;
        syn(&frames[count], count, opened++, script_time);
        count++;
    }
    if (count)
        return (int)count;
    script_time += 1000;
    switch (many_step++) {
    case 0:
        check(started == FLOWS, "50 000 flows");
        check_sets(2, "all with the sets of their listener");
        change(0, FLOWS / 2, extra, one);
        check_sets(3, "half of them get a handler more: one set more");
        change(FLOWS / 2, FLOWS, extra, one);
        check_sets(3, "all of them: no further one, as the listener keeps the old one");
        for (uint32_t i = 0; i < 16; i++)
            change(FLOWS / 16 * i, FLOWS / 16 * (i + 1), make(MOS_ON_PKT_IN, 2000 + (int)i), one);
        check_sets(18, "sixteen groups");
        /* Each its own: the bits of its number. */
        for (uint32_t bit = 0; bit < 16; bit++)
            for (uint32_t i = 0; i < FLOWS; i++)
                if (i >> bit & 1)
                    many_bad |= put(socks[i], make(MOS_ON_PKT_IN, 3000 + (int)bit), MOS_HK_RCV, one);
        check_sets(FLOWS + 2, "each flow has a set of its own");
        for (uint32_t bit = 0; bit < 16; bit++)
            for (uint32_t i = 0; i < FLOWS; i++)
                if (i >> bit & 1)
                    many_bad |= mtcp_unregister_callback(context, socks[i], make(MOS_ON_PKT_IN, 3000 + (int)bit), MOS_HK_RCV);
        check_sets(18, "and back: sixteen groups");
        for (uint32_t i = 0; i < 16; i++)
            change(FLOWS / 16 * i, FLOWS / 16 * (i + 1), make(MOS_ON_PKT_IN, 2000 + (int)i), NULL);
        change(0, FLOWS, extra, NULL);
        check_sets(2, "and back to what the listener has");
        check(many_bad == 0, "all of these changes succeed");
        again(&frames[0], 0, 0, script_time);
        return 1;
    default:
        check_sets(2, "nothing else after the next burst");
        return MOS_IO_END;
    }
}

static void many_flows(void)
{
    char items[64];
    snprintf(items, sizeof items, "max_concurrency = %d\ntcp_timeout = -1", FLOWS);
    script_time = 1700000000ull * 1000000000u;
    socks = (int *)calloc(FLOWS, sizeof *socks);
    if (!socks)
        abort();
    context = wire_start(many, items);
    int sock = listen_here();
    put(sock, MOS_ON_CONN_START, MOS_HK_SND, remember);
    put(sock, MOS_ON_CONN_START, MOS_HK_RCV, one);
    extra = make(MOS_ON_PKT_IN, 1);
    mtcp_app_join(context);
    wire_stop(context);
    free(socks);
}

/* ---- Memory ---- */

enum { BITS = 40, EACH = 32, BURSTS = 400 };
static event_t bits[BITS];
static uint64_t counter;

/* A set that there never was: the Gray code of a number, an event for each bit. */
static void never_seen(mctx_t m, int sock, int hook)
{
    int bit = __builtin_ctzll(++counter);
    uint64_t gray = counter ^ counter >> 1;
    mtcp_register_callback(m, sock, bits[bit], hook, gray >> bit & 1 ? one : NULL);
}

static void churn(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    for (int i = 0; i < EACH; i++)
        never_seen(m, sock, MOS_HK_RCV);
}

static int churn_bursts;
static long long churn_begin, churn_end;

static int churning(struct mos_io_frame *frames, uint32_t max)
{
    if (churn_bursts == 20)
        churn_begin = resident();
    if (churn_bursts == BURSTS) {
        churn_end = resident();
        churn_bursts = 0;
        return MOS_IO_END;
    }
    churn_bursts++;
    for (uint32_t i = 0; i < max; i++) {
        script_time += 1000;
        again(&frames[i], i, 1, script_time);
    }
    return (int)max;
}

static void in_handlers(void)
{
    char text[128];
    malloc_trim(0);
    context = wire_start(churning, "max_concurrency = 10\ntcp_timeout = -1");
    int sock = listen_here();
    for (int i = BITS / 2; i < BITS; i++)
        put(sock, bits[i], MOS_HK_RCV, other); /* so that each is of some size */
    put(sock, MOS_ON_PKT_IN, MOS_HK_SND, churn);
    mtcp_app_join(context);
    wire_stop(context);
    long long grown = (churn_end - churn_begin) >> 20;
    snprintf(text, sizeof text, "%llu sets made and left by handlers: less than 64 MB more", (unsigned long long)counter);
    check(counter > 100000 && grown < 64, text);
    if (grown >= 64)
        printf("# %lld MB\n", grown);
}

static int is_changed;

static int waiting(struct mos_io_frame *frames, uint32_t max)
{
    (void)frames, (void)max;
    return __atomic_load_n(&is_changed, __ATOMIC_ACQUIRE) ? (int)MOS_IO_END : 0;
}

static void *change_without_packets(void *sock)
{
    uint64_t begin = counter;
    long long before = 0;
    while (counter < begin + 400000) {
        if (counter == begin + 20000)
            before = resident();
        never_seen(context, *(int *)sock, MOS_HK_RCV);
    }
    churn_begin = before;
    churn_end = resident();
    __atomic_store_n(&is_changed, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void without_packets(void)
{
    pthread_t thread;
    malloc_trim(0);
    context = wire_start(waiting, "max_concurrency = 10");
    int sock = listen_here();
    for (int i = BITS / 2; i < BITS; i++)
        put(sock, bits[i], MOS_HK_RCV, other);
    if (pthread_create(&thread, NULL, change_without_packets, &sock) != 0)
        abort();
    mtcp_app_join(context);
    pthread_join(thread, NULL);
    wire_stop(context);
    long long grown = (churn_end - churn_begin) >> 20;
    check(grown < 64, "400 000 sets made and left by another thread while no packet comes: less than 64 MB more");
    if (grown >= 64)
        printf("# %lld MB\n", grown);
}

/* ---- One handler that makes and leaves very many ---- */

enum { MANY = 5000 };
static event_t flood[MANY];
static long long flood_most, flood_bytes_most;
static int flood_calls, flood_bad, limits = 1;

static long long set_bytes(void)
{
    struct mos_stats stats;
    return mos_get_stats(context, -1, &stats, sizeof stats) == 0 ? (long long)stats.event_set_bytes : -1;
}

static void note_most(void)
{
    long long size = resident(), bytes = set_bytes();
    if (size > flood_most)
        flood_most = size;
    if (bytes > flood_bytes_most)
        flood_bytes_most = bytes;
}

/* Behind the one below, in the same walk of a set that is long gone by then. */
static void flood_after(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side;
    flood_bad += event != flood[1] || arg->len != sizeof(int);
    flood_calls++;
}

static void flood_all(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    flood_calls++;
    for (int i = 0; i < MANY; i++) {
        flood_bad += mtcp_register_callback(m, sock, flood[i], MOS_HK_SND, i == 1 ? one : other) != 0;
        if (i % 500 == 0)
            note_most();
    }
    note_most();
    for (int i = 0; i < MANY; i++) {
        flood_bad += mtcp_unregister_callback(m, sock, flood[i], MOS_HK_SND) != 0;
        if (i % 500 == 0)
            note_most();
    }
}

/* The set that will be walked is this socket's alone: no listener keeps it. */
static void flood_begin(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    flood_bad += mtcp_register_callback(m, sock, flood[0], MOS_HK_SND, flood_all) != 0;
    flood_bad += mtcp_register_callback(m, sock, flood[1], MOS_HK_SND, flood_after) != 0;
}

static int syns, syns_most;

static int flooding(struct mos_io_frame *frames, uint32_t max)
{
    (void)max;
    if (syns == syns_most)
        return MOS_IO_END;
    /* Twice each: the first starts the flow. */
    syn(&frames[0], 0, 1 + (uint32_t)syns++ / 2, script_time += 1000);
    return 1;
}

static void in_one_handler(void)
{
    syns = 0;
    syns_most = 6;
    malloc_trim(0);
    context = wire_start(flooding, "max_concurrency = 10\ntcp_timeout = -1");
    long long none = set_bytes();
    int sock = listen_here();
    for (int i = 0; i < MANY; i++)
        flood[i] = make(MOS_ON_PKT_IN, 10000 + i);
    put(sock, MOS_ON_CONN_START, MOS_HK_SND, flood_begin);
    check(none >= 0 && set_bytes() > none, "event_set_bytes counts the sets");
    long long begin = flood_most = resident();
    mtcp_app_join(context);
    check(flood_calls == syns_most && flood_bad == 0, "a handler registers and removes 5000 events, and its walk goes on");
    long long grown = (flood_most - begin) >> 20;
    check((grown < 16 || !limits) && flood_bytes_most > 100000 && flood_bytes_most < 4 << 20,
          "that takes less than 16 MB, and event_set_bytes less than 4 MB");
    if ((limits && grown >= 16) || flood_bytes_most >= 4 << 20)
        printf("# %lld MB, %lld bytes\n", grown, flood_bytes_most);
    wire_stop(context);
}

/* ---- A long chain of events without a filter ---- */

static double seconds_of_chain(int length)
{
    struct timespec begin, end;
    event_t event = MOS_ON_PKT_IN;
    int sock = listen_here(), bad = 0;
    for (int i = 0; i < length; i++)
        event = mtcp_alloc_event(event);
    put(sock, MOS_ON_PKT_IN, MOS_HK_SND, other);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    bad |= put(sock, event, MOS_HK_SND, one);
    bad |= mtcp_unregister_callback(context, sock, event, MOS_HK_SND);
    clock_gettime(CLOCK_MONOTONIC, &end);
    check(bad == 0, "an event at the end of a long chain is registered and removed");
    mtcp_close(context, sock);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
}

static void long_chain(void)
{
    context = wire_start(nothing, NULL);
    double shorter = seconds_of_chain(10000), longer = seconds_of_chain(160000);
    check(longer < 0.1 + 64 * shorter, "in a time that goes with its length");
    if (longer >= 0.1 + 64 * shorter)
        printf("# %.6f s for 10 000, %.6f s for 160 000\n", shorter, longer);
    wire_stop(context);
}

/* sets [part [limits]]: one of the parts, 0 to 6; with 0 the memory of the process is
 * not looked at there. */
int main(int argc, char **argv)
{
    static void (*const parts[])(void) = {on_listeners, high_tower, many_flows, in_handlers, without_packets,
                                         in_one_handler, long_chain};
    int only = argc > 1 ? atoi(argv[1]) : -1;
    limits = argc > 2 ? atoi(argv[2]) : 1;
    for (int i = 0; i < BITS; i++)
        bits[i] = make(MOS_ON_PKT_IN, 5000 + i);
    for (int i = 0; i < (int)(sizeof parts / sizeof *parts); i++)
        if (only < 0 || i == only)
            parts[i]();
    printf("1..%d\n", checks);
    return failures != 0;
}
