/* The workloads on libmos, through its public C interface and no other way.
 *
 * null           a listener without handlers
 * count          packets of each flow, in MOS_ON_PKT_IN at MOS_HK_SND, counter
 *                in uctx; buffers off
 * count-buffers  the same with reassembly left on
 * search         reassembly, mtcp_peek() in MOS_ON_CONN_NEW_DATA, memmem
 * search-forget  the same with MOS_HISTORY 0
 * search-iov     mos_peek_iov() with MOS_HISTORY 0, memmem in place
 * churn          count, and handlers for start and end of each flow
 * shared:N       N user-defined events on each flow, one more added or taken
 *                away whenever the pattern is found: shared event sets
 * naive:N        the same work where each flow owns a copy of its list, kept by
 *                the application below one handler
 * packed:N       naive in the best of circumstances: no allocation, each list has
 *                room for all that it may get, all of them lie in large pages
 * handler        one empty handler for MOS_ON_PKT_IN
 * dispatch:N     N user-defined events below MOS_ON_PKT_IN, filters true, empty handlers
 * change:N       nanoseconds of a registration or removal on one active socket that
 *                has N others, where it leads to a set that exists
 * spread:N       the same, made on all flows of the trace in random order, while
 *                they are open
 * build:N        the same on one socket, where it leads to a set that there never was
 * callback       nanoseconds of an empty C callback, the unit for these
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <malloc.h>
#include <mos_api.h>
#include <mos_ext.h>
#include <mos_io.h>
#include <mtcp_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../tests-c/gen/mem_io.h"
#include "bench.h"
#include "large_pages.h"

#define EVENTS_MAX 64
#define EXTRA 8
#define CHANGES 1000000
#define BITS 40

struct counter {
    uint64_t packets;
    uint32_t found;
};

/* One entry of the naive list: what a private copy of an event has to hold. What
 * the event carries is the same for all flows, so it is not copied. */
struct listed {
    event_t event;
    filter_t filter;
    callback_t handler;
    struct filter_arg *argument;
};

struct naive {
    struct counter counter; /* first: handlers of both ways take it from uctx */
    struct listed *list;
    uint32_t count;
};

static struct {
    struct counter *counters;
    struct naive *naives;
    char *packed; /* instead of them: a struct naive and its list, again and again */
    size_t packed_step;
    uint64_t flows, ended, stream_bytes, hits, calls, changes, change_ns;
    const char *pattern;
    size_t pattern_size;
    char buffer[65536 + 1];
    event_t extra[EXTRA], bits[BITS];
    struct listed prototype[EVENTS_MAX + EXTRA];
    struct filter_arg arguments[EVENTS_MAX + EXTRA];
    uint64_t values[EVENTS_MAX + EXTRA];
    uint32_t prototypes;
    uint64_t pulse, number;
    int *socks; /* of all flows, in random order once they are open */
    uint64_t wanted_flows, heap_before;
    mctx_t context;
    struct result *result;
} state;

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (!mtcp_get_uctx(m, sock))
        mtcp_set_uctx(m, sock, &state.counters[state.flows++]);
}

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct counter *c = (struct counter *)mtcp_get_uctx(m, sock);
    (void)side, (void)event, (void)arg;
    if (!c) {
        /* The first SYN: PKT_IN comes before CONN_START (order of bits). */
        c = &state.counters[state.flows++];
        mtcp_set_uctx(m, sock, c);
    }
    c->packets++;
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    state.ended++;
}

static int look(const void *bytes, size_t size)
{
    state.stream_bytes += size;
    int found = memmem(bytes, size, state.pattern, state.pattern_size) != NULL;
    state.hits += (unsigned)found;
    return found;
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mtcp_peek(m, sock, side, state.buffer, sizeof state.buffer - 1)) != 0) {
        if (got > 0)
            look(state.buffer, (size_t)got);
        else if (errno != ENODATA)
            return;
    }
}

static void on_data_iov(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct iovec pieces[64];
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mos_peek_iov(m, sock, side, pieces, 64)) != 0) {
        if (got < 0) {
            if (errno != ENODATA)
                return;
            continue;
        }
        for (int i = 0; i < 64 && pieces[i].iov_len; i++)
            look(pieces[i].iov_base, pieces[i].iov_len);
        if (mos_peek_advance(m, sock, side, (size_t)got) != 0)
            return;
    }
}

/* Events: the filter is the same for both ways, cheap, and true one time in 1024. */
static bool pulse(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    uint64_t value;
    (void)m, (void)sock, (void)side, (void)event;
    memcpy(&value, arg->arg, sizeof value);
    /* scattered, so that it does not fall into step with the number of events */
    return state.pulse++ * 0x9e3779b97f4a7c15ull >> 54 == value;
}

static bool always(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return true;
}

static void called(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    state.calls++;
}

static void found_shared(mctx_t m, int sock, struct counter *c)
{
    uint32_t which = c->found++ % (2 * EXTRA);
    if (which < EXTRA)
        mtcp_register_callback(m, sock, state.extra[which], MOS_HK_SND, called);
    else
        mtcp_unregister_callback(m, sock, state.extra[which - EXTRA], MOS_HK_SND);
    state.changes++;
}

static void found_naive(struct naive *n)
{
    uint32_t which = n->counter.found++ % (2 * EXTRA);
    if (which < EXTRA) {
        struct listed *list = n->list;
        if (!state.packed)
            list = (struct listed *)realloc(list, (n->count + 1) * sizeof *list);
        if (!list)
            abort();
        list[n->count] = state.prototype[state.prototypes + which];
        n->list = list;
        n->count++;
    } else {
        event_t gone = state.extra[which - EXTRA];
        for (uint32_t i = 0; i < n->count; i++)
            if (n->list[i].event == gone) {
                memmove(&n->list[i], &n->list[i + 1], (n->count - i - 1) * sizeof *n->list);
                n->count--;
                break;
            }
    }
    state.changes++;
}

static void events_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mtcp_peek(m, sock, side, state.buffer, sizeof state.buffer - 1)) > 0)
        if (look(state.buffer, (size_t)got)) {
            struct counter *c = (struct counter *)mtcp_get_uctx(m, sock);
            if (state.naives || state.packed)
                found_naive((struct naive *)(void *)c);
            else
                found_shared(m, sock, c);
        }
}

static struct naive *naive_begin(mctx_t m, int sock)
{
    struct naive *n;
    if (state.packed) {
        n = (struct naive *)(void *)(state.packed + state.flows++ * state.packed_step);
        n->list = (struct listed *)(n + 1);
    } else {
        n = &state.naives[state.flows++];
        n->list = (struct listed *)malloc((state.prototypes + 1) * sizeof *n->list);
    }
    if (!n->list)
        abort();
    n->count = state.prototypes;
    memcpy(n->list, state.prototype, n->count * sizeof *n->list);
    mtcp_set_uctx(m, sock, n);
    return n;
}

static void naive_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct naive *n = (struct naive *)mtcp_get_uctx(m, sock);
    (void)side, (void)event, (void)arg;
    if (!state.packed)
        free(n->list);
    n->list = NULL;
    n->count = 0;
}

static void naive_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct naive *n = (struct naive *)mtcp_get_uctx(m, sock);
    (void)event, (void)arg;
    if (!n)
        n = naive_begin(m, sock); /* the first SYN: PKT_IN comes before CONN_START */
    for (uint32_t i = 0; i < n->count; i++) {
        struct listed *l = &n->list[i];
        if (l->filter(m, sock, side, l->event, l->argument))
            l->handler(m, sock, side, l->event, l->argument);
    }
}

static void nothing(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
}

/* Time of this thread alone: others keep the machine busy. */
static uint64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void change_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (state.changes)
        return;
    for (int pass = 0; pass < 2; pass++) { /* the first one warms up */
        uint64_t before = thread_ns();
        for (state.changes = 0; state.changes < CHANGES; state.changes += 2) {
            uint64_t which = state.changes / 2 % EXTRA;
            mtcp_register_callback(m, sock, state.extra[which], MOS_HK_SND, called);
            mtcp_unregister_callback(m, sock, state.extra[which], MOS_HK_SND);
        }
        state.change_ns = thread_ns() - before;
    }
}

/* Each set is the Gray code of a number, an event for each bit; for each packet
 * some, so that what is left is freed between bursts, which is part of it. The
 * packets themselves are less than a hundredth. */
static void build_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static uint64_t before;
    (void)side, (void)event, (void)arg;
    if (state.changes >= CHANGES)
        return;
    if (!before)
        before = thread_ns();
    for (int i = 0; i < 256; i++) {
        int bit = __builtin_ctzll(++state.number);
        uint64_t gray = state.number ^ state.number >> 1;
        if (gray >> bit & 1)
            mtcp_register_callback(m, sock, state.bits[bit], MOS_HK_SND, called);
        else
            mtcp_unregister_callback(m, sock, state.bits[bit], MOS_HK_SND);
    }
    state.changes += 256;
    state.change_ns = thread_ns() - before;
}

static void spread_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    state.socks[state.flows++] = sock;
}

static void spread_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)event, (void)arg;
    if (state.changes || state.flows < state.wanted_flows)
        return;
    uint64_t random = 1, rounds = CHANGES / (2 * EXTRA * state.flows) + 1;
    for (uint64_t i = state.flows - 1; i > 0; i--) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (random >> 33) % (i + 1);
        int kept = state.socks[i];
        state.socks[i] = state.socks[at];
        state.socks[at] = kept;
    }
    uint64_t before = thread_ns();
    for (uint64_t round = 0; round < rounds; round++)
        for (int which = 0; which < EXTRA; which++) {
            for (uint64_t i = 0; i < state.flows; i++)
                mtcp_register_callback(m, state.socks[i], state.extra[which], MOS_HK_SND, called);
            for (uint64_t i = 0; i < state.flows; i++)
                mtcp_unregister_callback(m, state.socks[i], state.extra[which], MOS_HK_SND);
        }
    state.change_ns = thread_ns() - before;
    state.changes = 2 * EXTRA * state.flows * rounds;
}

static int define(int number)
{
    state.prototypes = (uint32_t)number;
    for (int i = 0; i < number + EXTRA; i++) {
        struct listed *l = &state.prototype[i];
        state.values[i] = (uint64_t)i;
        state.arguments[i].arg = &state.values[i];
        state.arguments[i].len = sizeof state.values[i];
        l->filter = pulse;
        l->handler = called;
        l->argument = &state.arguments[i];
        l->event = mtcp_define_event(MOS_ON_PKT_IN, pulse, l->argument);
        if (l->event == MOS_NULL_EVENT)
            return -1;
        if (i >= number)
            state.extra[i - number] = l->event;
    }
    return 0;
}

/* What event sets, or lists, take; now and then, between bursts. */
static uint64_t events_at(void *unused, uint64_t delivered)
{
    struct mallinfo2 heap = mallinfo2();
    struct mos_stats stats;
    if (!state.heap_before)
        state.heap_before = heap.uordblks;
    if (heap.uordblks - state.heap_before > state.result->heap_bytes && heap.uordblks > state.heap_before)
        state.result->heap_bytes = heap.uordblks - state.heap_before;
    if (mos_get_stats(state.context, -1, &stats, sizeof stats) == 0 && stats.event_sets > state.result->event_sets)
        state.result->event_sets = stats.event_sets;
    return probe_at(unused, delivered);
}

static int attach(mctx_t m, int sock, event_t event, int hook, callback_t handler)
{
    if (mtcp_register_callback(m, sock, event, hook, handler) == 0)
        return 0;
    perror("mtcp_register_callback");
    return -1;
}

static int option(mctx_t m, int sock, int name, int value)
{
    if (mtcp_setsockopt(m, sock, SOL_MONSOCKET, name, &value, sizeof value) == 0)
        return 0;
    perror("mtcp_setsockopt");
    return -1;
}

static int prepare(const struct job *job, const struct gen_trace *trace, mctx_t m, int sock)
{
    const char *work = job->work;
    size_t flows = (size_t)trace->flow_count * job->loops + 1;
    int bad = 0;
    if (strcmp(work, "null") == 0)
        return 0;
    if (strncmp(work, "search", 6) == 0) {
        int iov = strcmp(work, "search-iov") == 0;
        if (strcmp(work, "search") != 0)
            bad |= option(m, sock, MOS_HISTORY, 0);
        return bad | attach(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, iov ? on_data_iov : on_data);
    }
    /* In both ways all is read at once, and nothing more is to be kept. */
    int packed = strcmp(work, "packed") == 0;
    if (packed || strcmp(work, "naive") == 0 || strcmp(work, "shared") == 0)
        bad |= option(m, sock, MOS_HISTORY, 0);
    if (packed || strcmp(work, "naive") == 0) {
        if (packed) {
            state.packed_step = sizeof *state.naives + ((size_t)job->parameter + EXTRA) * sizeof(struct listed);
            state.packed = (char *)large_pages(flows * state.packed_step);
        } else {
            state.naives = (struct naive *)calloc(flows, sizeof *state.naives);
        }
        bad |= define(job->parameter);
        bad |= attach(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, naive_end);
        bad |= attach(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, naive_packet);
        return bad | attach(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, events_data);
    }
    /* in large pages, as the floor's are */
    state.counters = (struct counter *)large_pages(flows * sizeof *state.counters);
    bad |= attach(m, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start);
    if (strcmp(work, "shared") == 0) {
        bad |= define(job->parameter);
        for (int i = 0; i < job->parameter; i++)
            bad |= attach(m, sock, state.prototype[i].event, MOS_HK_SND, called);
        return bad | attach(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, events_data);
    }
    if (strcmp(work, "count-buffers") != 0) {
        bad |= option(m, sock, MOS_CLIBUF, 0);
        bad |= option(m, sock, MOS_SVRBUF, 0);
    }
    if (strcmp(work, "dispatch") == 0 || strcmp(work, "handler") == 0) {
        if (strcmp(work, "handler") == 0)
            return bad | attach(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, nothing);
        for (int i = 0; i < job->parameter; i++) {
            uint64_t value = (uint64_t)i;
            struct filter_arg argument = {&value, sizeof value};
            event_t event = mtcp_define_event(MOS_ON_PKT_IN, always, &argument);
            /* the last one counts: so it is known that all have run */
            bad |= attach(m, sock, event, MOS_HK_SND, i + 1 < job->parameter ? nothing : called);
        }
        return bad;
    }
    if (strcmp(work, "change") == 0 || strcmp(work, "spread") == 0 || strcmp(work, "build") == 0) {
        int spread = work[0] == 's', build = work[0] == 'b';
        bad |= define(job->parameter);
        for (int i = 0; i < job->parameter; i++)
            bad |= attach(m, sock, state.prototype[i].event, MOS_HK_SND, called);
        for (int i = 0; i < BITS; i++) {
            uint64_t value = (uint64_t)i + 1000;
            struct filter_arg argument = {&value, sizeof value};
            state.bits[i] = mtcp_define_event(MOS_ON_PKT_IN, pulse, &argument);
        }
        state.wanted_flows = trace->flow_count;
        state.socks = (int *)calloc(flows, sizeof *state.socks);
        if (spread)
            bad |= attach(m, sock, MOS_ON_CONN_START, MOS_HK_SND, spread_start);
        return bad | attach(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV,
                            spread  ? spread_packet
                            : build ? build_packet
                                    : change_packet);
    }
    bad |= attach(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet);
    if (strcmp(work, "churn") == 0)
        bad |= attach(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
    return bad;
}

static int configure(char *path, const struct job *job, const struct gen_trace *trace)
{
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file)
        return -1;
    fprintf(file,
            "mos {\n"
            "    forward = 0\n"
            "    netdev {\n"
            "        mem:bench 0x0001\n"
            "    }\n"
            "    max_concurrency = %u\n"
            "    rmem_size = 8192\n"
            "    mem_limit = 8G\n"
            "    tcp_tw_interval = 0\n"
            "    tcp_timeout = 60\n"
            "    rx_checksum = %d\n"
            "}\n",
            trace->options.concurrent + 1024, job->checksum);
    return fclose(file);
}

static int callback_cost(struct result *r)
{
    callback_t volatile call = nothing;
    uint64_t before = thread_ns();
    for (int i = 0; i < 100000000; i++)
        call(NULL, i, 0, 0, NULL);
    r->value = (double)(thread_ns() - before) / 1e8;
    r->ok = 1;
    return 0;
}

int run_mos(const struct job *job, const struct gen_trace *trace, struct result *r)
{
    static struct mem_source source;
    char path[] = "/tmp/mos-bench-XXXXXX";
    uint64_t before;
    if (strcmp(job->work, "callback") == 0)
        return callback_cost(r);
    unsetenv("MOS_NETDEV");
    unsetenv("MOS_CONF");
    state.pattern = trace->options.pattern;
    state.pattern_size = strlen(state.pattern);
    source.trace = trace;
    source.loops = job->loops;
    state.result = r;
    const char *work = job->work;
    source.at = strcmp(work, "shared") == 0 || strcmp(work, "naive") == 0 || strcmp(work, "packed") == 0 ? events_at
                                                                                                      : probe_at;
    if (mem_io_add("bench", &source) != 0 || configure(path, job, trace) != 0) {
        perror("libmos backend");
        return -1;
    }
    before = now_ns();
    probe_begin(trace, job->loops, r);
    int started = mtcp_init(path);
    unlink(path);
    mctx_t m = started == 0 ? mtcp_create_context(0) : NULL;
    if (!m) {
        perror(started == 0 ? "mtcp_create_context" : "mtcp_init");
        return -1;
    }
    state.context = m;
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0) {
        perror("mtcp_socket");
        return -1;
    }
    if (prepare(job, trace, m, sock) != 0)
        return -1;
    r->start_ns = now_ns() - before;
    mtcp_app_join(m);
    probe_end();
    if (state.counters)
        for (uint64_t i = 0; i < state.flows; i++)
            r->counted += state.counters[i].packets;
    struct mos_stats stats;
    if (mos_get_stats(m, -1, &stats, sizeof stats) == 0) {
        r->flows = stats.flows_total;
        if (stats.orphans || stats.drop_flow_table_full || stats.drop_no_memory || stats.gap_bytes ||
            stats.overrun_bytes)
            fprintf(stderr,
                    "libmos %s: %llu orphans, %llu refused, %llu without memory, %llu gap bytes, %llu overrun bytes\n",
                    job->work, (unsigned long long)stats.orphans, (unsigned long long)stats.drop_flow_table_full,
                    (unsigned long long)stats.drop_no_memory, (unsigned long long)stats.gap_bytes,
                    (unsigned long long)stats.overrun_bytes);
    }
    r->stream_bytes = state.stream_bytes;
    r->hits = state.hits;
    r->calls = state.calls;
    r->changes = state.changes;
    if (state.packed)
        r->heap_bytes += state.packed_step * state.flows;
    if (state.change_ns)
        r->value = (double)state.change_ns / (double)state.changes;
    mtcp_destroy_context(m);
    mtcp_destroy();
    return 0;
}
