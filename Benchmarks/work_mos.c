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
 * dispatch:N     N user-defined events below MOS_ON_PKT_IN, filters true, empty handlers
 * change         cost of one registration and removal on an active socket
 * callback       cost of an empty C callback, the unit for the last two
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <mos_api.h>
#include <mos_ext.h>
#include <mos_io.h>
#include <mtcp_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../tests-c/gen/mem_io.h"
#include "bench.h"

#define EVENTS_MAX 64
#define EXTRA 8
#define CHANGES 64

struct counter {
    uint64_t packets;
    uint32_t found;
};

/* One entry of the naive list: what a private copy of an event has to hold. */
struct listed {
    event_t event;
    filter_t filter;
    callback_t handler;
    uint64_t value;
    struct filter_arg argument;
};

struct naive {
    struct counter counter; /* first: handlers of both ways take it from uctx */
    struct listed *list;
    uint32_t count;
    uint32_t extras; /* which of the extra events are on */
};

static struct {
    struct counter *counters;
    struct naive *naives;
    uint64_t flows, ended, stream_bytes, hits, calls, changes, change_ns;
    const char *pattern;
    size_t pattern_size;
    char buffer[65536 + 1];
    event_t extra[EXTRA];
    struct listed prototype[EVENTS_MAX + EXTRA];
    uint32_t prototypes;
    uint64_t pulse;
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
        struct listed *list = (struct listed *)realloc(n->list, (n->count + 1) * sizeof *list);
        if (!list)
            abort();
        list[n->count] = state.prototype[state.prototypes + which];
        list[n->count].argument.arg = &state.prototype[state.prototypes + which].value;
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
            if (state.naives)
                found_naive((struct naive *)(void *)c);
            else
                found_shared(m, sock, c);
        }
}

static void naive_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct naive *n = &state.naives[state.flows++];
    (void)side, (void)event, (void)arg;
    n->count = state.prototypes;
    n->list = (struct listed *)malloc((n->count + 1) * sizeof *n->list);
    if (!n->list)
        abort();
    memcpy(n->list, state.prototype, n->count * sizeof *n->list);
    for (uint32_t i = 0; i < n->count; i++)
        n->list[i].argument.arg = &n->list[i].value;
    mtcp_set_uctx(m, sock, n);
}

static void naive_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct naive *n = (struct naive *)mtcp_get_uctx(m, sock);
    (void)side, (void)event, (void)arg;
    free(n->list);
    n->list = NULL;
    n->count = 0;
}

static void naive_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct naive *n = (struct naive *)mtcp_get_uctx(m, sock);
    (void)event, (void)arg;
    if (!n)
        return; /* the first SYN: PKT_IN comes before CONN_START */
    for (uint32_t i = 0; i < n->count; i++) {
        struct listed *l = &n->list[i];
        if (l->filter(m, sock, side, l->event, &l->argument))
            l->handler(m, sock, side, l->event, &l->argument);
    }
}

static void change_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (state.changes >= 1000000)
        return;
    uint64_t before = now_ns();
    for (int i = 0; i < CHANGES; i++) {
        mtcp_register_callback(m, sock, state.extra[i % EXTRA], MOS_HK_SND, called);
        mtcp_unregister_callback(m, sock, state.extra[i % EXTRA], MOS_HK_SND);
    }
    state.change_ns += now_ns() - before;
    state.changes += 2 * CHANGES;
}

static int define(int number)
{
    state.prototypes = (uint32_t)number;
    for (int i = 0; i < number + EXTRA; i++) {
        struct listed *l = &state.prototype[i];
        l->value = (uint64_t)i;
        l->filter = pulse;
        l->handler = called;
        l->argument.arg = &l->value;
        l->argument.len = sizeof l->value;
        l->event = mtcp_define_event(MOS_ON_PKT_IN, pulse, &l->argument);
        if (l->event == MOS_NULL_EVENT)
            return -1;
        if (i >= number)
            state.extra[i - number] = l->event;
    }
    return 0;
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
    if (strcmp(work, "naive") == 0) {
        state.naives = (struct naive *)calloc(flows, sizeof *state.naives);
        bad |= define(job->parameter);
        bad |= attach(m, sock, MOS_ON_CONN_START, MOS_HK_SND, naive_start);
        bad |= attach(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, naive_end);
        bad |= attach(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, naive_packet);
        return bad | attach(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, events_data);
    }
    state.counters = (struct counter *)calloc(flows, sizeof *state.counters);
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
    if (strcmp(work, "dispatch") == 0) {
        for (int i = 0; i < job->parameter; i++) {
            uint64_t value = (uint64_t)i;
            struct filter_arg argument = {&value, sizeof value};
            event_t event = mtcp_define_event(MOS_ON_PKT_IN, always, &argument);
            bad |= attach(m, sock, event, MOS_HK_SND, called);
        }
        return bad;
    }
    if (strcmp(work, "change") == 0) {
        bad |= define(0);
        return bad | attach(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, change_packet);
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
    callback_t volatile call = called;
    uint64_t before = now_ns();
    for (int i = 0; i < 100000000; i++)
        call(NULL, i, 0, 0, NULL);
    r->value = (double)(now_ns() - before) / 1e8;
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
    source.at = probe_at;
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
    if (strcmp(job->work, "change") == 0 && state.changes)
        r->value = (double)state.change_ns / (double)state.changes;
    else
        r->value = (double)state.changes;
    mtcp_destroy_context(m);
    mtcp_destroy();
    return 0;
}
