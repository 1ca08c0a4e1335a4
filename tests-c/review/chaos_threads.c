/* Threads that set up, change and close sockets, filters, handlers and timers
 * while packets flow, and a context that is destroyed under them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sys/time.h>

#include "api/scene.h"
#include "gen/gen.h"

static int over;
static long calls;
static volatile long handled;

static void any(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[2000];
    (void)event, (void)arg;
    handled++;
    if ((handled & 15) == 0)
        while (mtcp_peek(m, sock, side, buffer, sizeof buffer) > 0)
            ;
    if ((handled & 1023) == 0)
        mtcp_cb_stop(m, sock, MOS_SIDE_BOTH);
}

static bool sometimes(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return (handled & 1) != 0;
}

static void due(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)id, (void)side, (void)event, (void)arg;
    handled++;
}

static void *busy(void *arg)
{
    mctx_t m = (mctx_t)arg;
    static char syn[] = "port 80", raw[] = "ip", bad[] = "((";
    unsigned seed = (unsigned)(uintptr_t)&m;
    int mine[4] = { -1, -1, -1, -1 };
    long count = 0;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        unsigned n = (unsigned)rand_r(&seed);
        int *slot = &mine[n >> 3 & 3], value = (int)(n >> 8 & 8191);
        int sock = n & 1 ? *slot : (int)(n >> 5 & 255);
        struct timeval soon = { 0, (int)(n >> 12 & 1023) };
        union monitor_filter filter;
        struct mos_stats stats;
        memset(&filter, 0, sizeof filter);
        count++;
        switch (n >> 16 & 15) {
        case 0:
        case 1:
            if (*slot < 0)
                *slot = mtcp_socket(m, AF_UNSPEC, n & 1 ? MOS_SOCK_MONITOR_STREAM : MOS_SOCK_MONITOR_RAW, 0);
            break;
        case 2:
            if (*slot >= 0)
                mtcp_close(m, *slot);
            *slot = -1;
            break;
        case 3:
        case 4: mtcp_register_callback(m, sock, (event_t)1 << (n >> 20 & 15), MOS_HK_SND, n & 4 ? any : NULL); break;
        case 5:
        case 6: mtcp_register_callback(m, sock, (event_t)1 << (n >> 20 & 15), MOS_NULL, n & 4 ? any : NULL); break;
        case 7: mtcp_register_callback(m, sock, (event_t)1 << (n >> 20 & 15), MOS_HK_RCV, any); break;
        case 8: mtcp_setsockopt(m, sock, SOL_MONSOCKET, n & 2 ? MOS_CLIBUF : MOS_SVRBUF, &value, sizeof value); break;
        case 9: mtcp_setsockopt(m, sock, SOL_MONSOCKET, n & 2 ? (int)MOS_FRAG_CLIBUF : (int)MOS_HISTORY, &value, sizeof value); break;
        case 10:
            value = (int)(n >> 9 & 3);
            mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &value, sizeof value);
            break;
        case 11:
            filter.stream_syn_filter = n & 4 ? syn : n & 8 ? raw : bad;
            mtcp_bind_monitor_filter(m, sock, &filter);
            break;
        case 12: mtcp_settimer(m, 1, &soon, due); break;
        case 13:
            if (mos_get_stats(m, -1, &stats, sizeof stats) != 0)
                check(0, "mos_get_stats");
            break;
        case 14: mtcp_register_callback(m, sock, mtcp_define_event(MOS_ON_PKT_IN, sometimes, NULL), MOS_HK_RCV, any); break;
        default: mtcp_get_connection_cnt(m);
        }
    }
    __atomic_add_fetch(&calls, count, __ATOMIC_RELAXED);
    return NULL;
}

static void one(uint64_t seed)
{
    char name[32];
    struct gen_options o;
    pthread_t thread[3];
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
    scene(name);
    gen_defaults(&o);
    o.seed = seed;
    o.flows = 800;
    o.concurrent = 200;
    o.data_packets = 30;
    o.frame_max = 600;
    o.reorder = o.lost = o.rexmit = 0.05;
    struct gen_trace *trace = gen_make(&o);
    script_begin();
    script[0].live = script[0].held = 1;
    script[0].most = 1 + (uint32_t)seed % 40;
    for (size_t i = 0; i < trace->frame_count; i++)
        script_add(0, trace->frames[i].data, trace->frames[i].len);
    gen_free(trace);
    __atomic_store_n(&over, 0, __ATOMIC_RELEASE);
    check_int(begin(NULL, "rmem_max = 20000\nmem_limit = 3000000"), 0, "mtcp_init");
    mctx_t m = mtcp_create_context(0);
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, any);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, busy, m);
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
    while (__atomic_load_n(&script[0].next, __ATOMIC_RELAXED) < script[0].count)
        usleep(1000);
    usleep(5000);
    if (seed & 1)
        __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    mtcp_destroy_context(m);
    struct mos_stats stats;
    memset(&stats, 0, sizeof stats);
    WORKS(mos_get_stats(m, -1, &stats, sizeof stats));
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    check_int((long long)stats.flows_now, 0, "no flow is left");
    check_int((long long)stats.memory_now, 0, "no memory is held");
    printf("# %ld calls, %ld handlers\n", calls, handled);
    WORKS(mtcp_destroy());
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        one(strtoull(argv[i], NULL, 0));
    for (uint64_t seed = 1; argc == 1 && seed <= 6; seed++)
        one(seed);
    script_begin();
    return finish();
}
