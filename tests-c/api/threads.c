/* Which thread may call what, and setting up while packets flow:
 * 02-monitor.md section 8. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sys/time.h>

#include "api/scene.h"

static void nothing(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
}

/* A live context with one established flow. */
static struct {
    int active; /* its socket, -1: not yet */
    int packets;
} flow;

static int packet_count(void)
{
    return __atomic_load_n(&flow.packets, __ATOMIC_ACQUIRE);
}

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    __atomic_store_n(&flow.active, sock, __ATOMIC_RELAXED);
    __atomic_add_fetch(&flow.packets, 1, __ATOMIC_RELEASE);
}

static mctx_t start(struct talk *t)
{
    script_begin();
    script[0].live = script[0].held = 1;
    talk_init(t, 1);
    say_hello(t);
    flow.active = -1;
    flow.packets = 0;
    if (begin(NULL, NULL) != 0)
        check(0, "mtcp_init");
    mctx_t m = mtcp_create_context(0);
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_packet) != 0)
        check(0, "registration");
    return m;
}

static void strangers(void)
{
    struct talk t;
    struct pkt_info packet;
    struct sockaddr address;
    struct mos_flow_info info;
    struct iovec piece;
    socklen_t length = sizeof address;
    char buffer[16];
    int number = 0;
    scene("from another thread");
    mctx_t m = start(&t);
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
    while (packet_count() < 3)
        usleep(1000);
    int sock = __atomic_load_n(&flow.active, __ATOMIC_RELAXED);
    FAILS(mtcp_peek(m, sock, MOS_SIDE_CLI, buffer, sizeof buffer), EPERM);
    FAILS(mtcp_ppeek(m, sock, MOS_SIDE_CLI, buffer, sizeof buffer, 0), EPERM);
    FAILS(mos_peek_iov(m, sock, MOS_SIDE_CLI, &piece, 1), EPERM);
    FAILS(mos_peek_advance(m, sock, MOS_SIDE_CLI, 0), EPERM);
    FAILS(mtcp_getlastpkt(m, sock, MOS_SIDE_CLI, &packet), EPERM);
    FAILS(mtcp_setlastpkt(m, sock, MOS_SIDE_CLI, 0, NULL, 0, MOS_DROP), EPERM);
    FAILS(mtcp_cb_dropcurpkt(m), EPERM);
    memset(&packet, 0, sizeof packet);
    FAILS(mtcp_sendpkt(m, sock, &packet), EPERM);
    FAILS(mtcp_reset_conn(m, sock), EPERM);
    FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &number, &length), EPERM);
    FAILS(mtcp_getpeername(m, sock, &address, &length, MOS_SIDE_CLI), EPERM);
    FAILS(mos_flow_info(m, sock, &info, sizeof info), EPERM);
    FAILS(mtcp_raise_event(m, 4096), EPERM);
    errno = 0;
    mtcp_set_uctx(m, sock, &number);
    check_int(errno, EPERM, "mtcp_set_uctx gives EPERM");
    errno = 0;
    check(mtcp_get_uctx(m, sock) == NULL && errno == EPERM, "mtcp_get_uctx gives EPERM");
    errno = 0;
    check(mtcp_cb_get_ts(m) == 0 && errno == EPERM, "mtcp_cb_get_ts gives EPERM");

    scene("allowed from another thread, while packets flow");
    struct timeval second = { 1, 0 };
    union monitor_filter filter;
    memset(&filter, 0, sizeof filter);
    filter.raw_pkt_filter = (char *)(uintptr_t) "tcp";
    int raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    check(raw >= 0, "mtcp_socket");
    WORKS(mtcp_bind_monitor_filter(m, raw, &filter));
    WORKS(mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, nothing));
    WORKS(mtcp_unregister_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, nothing));
    number = 4096;
    WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &number, sizeof number));
    WORKS(mtcp_settimer(m, 1, &second, nothing));
    check_int(mtcp_get_connection_cnt(m), 1, "mtcp_get_connection_cnt counts the flow");
    WORKS(mtcp_close(m, raw));
    WORKS(mtcp_cb_stop(m, sock, MOS_SIDE_BOTH));
    FAILS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, nothing), EBADF);
    WORKS(mtcp_destroy());
}

/* From the stack thread of another context. */
static mctx_t other;
static int results[6], codes[6];

static void try_other(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[4];
    struct pkt_info packet;
    int state;
    socklen_t length = sizeof state;
    (void)m, (void)event, (void)arg;
#define TRY(at, call) (errno = 0, results[at] = (int)(call), codes[at] = errno)
    TRY(0, mtcp_peek(other, sock, side, buffer, sizeof buffer));
    TRY(1, mtcp_getlastpkt(other, sock, side, &packet));
    TRY(2, mtcp_getsockopt(other, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, &length));
    TRY(3, mtcp_cb_dropcurpkt(other));
    struct mos_stats stats;
    TRY(4, mos_get_stats(other, -1, &stats, sizeof stats));
    TRY(5, mtcp_socket(other, AF_INET, MOS_SOCK_MONITOR_RAW, 0));
#undef TRY
}

static void strange_contexts(void)
{
    struct talk t;
    scene("from the handler of another context");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    WORKS(begin("script:a 0x1\nscript:b 0x2", NULL));
    mctx_t m = mtcp_create_context(0);
    other = mtcp_create_context(1);
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, try_other));
    mtcp_app_join(m);
    for (int i = 0; i < 4; i++)
        check(results[i] == -1 && codes[i] == EPERM, "a call that needs the stack's thread is EPERM");
    check_int(results[4], 0, "statistics can be asked for");
    check(results[5] >= 0, "sockets can be made");
    WORKS(mtcp_destroy());
}

/* Statistics of each other, from handlers of both, and from outside at once. */
static mctx_t pair[2];
static int asked[2];

static void ask_other(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_stats stats;
    (void)sock, (void)side, (void)event, (void)arg;
    mos_get_stats(pair[1 - m->cpu], -1, &stats, sizeof stats);
    mos_get_stats(m, -1, &stats, sizeof stats);
    asked[m->cpu]++;
}

static void *ask_all(void *stop)
{
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
        struct mos_stats stats;
        mos_get_stats(pair[0], -1, &stats, sizeof stats);
        mos_get_stats(pair[1], -1, &stats, sizeof stats);
        usleep(100);
    }
    return NULL;
}

static void statistics_from_everywhere(void)
{
    pthread_t thread;
    int stop = 0;
    scene("statistics from everywhere at once");
    script_begin();
    for (unsigned n = 0; n < 2000; n++) {
        struct talk t;
        talk_init(&t, n);
        t.input[0] = t.input[1] = (int)(n & 1);
        say(&t, 0, SYN, NULL, 0);
        say(&t, 1, SYN | ACK, NULL, 0);
    }
    WORKS(begin("script:a 0x1\nscript:b 0x2", "max_concurrency = 3000\nburst = 1"));
    for (int i = 0; i < 2; i++) {
        pair[i] = mtcp_create_context(i);
        int sock = mtcp_socket(pair[i], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(pair[i], sock, MOS_ON_PKT_IN, MOS_HK_SND, ask_other));
    }
    pthread_create(&thread, NULL, ask_all, &stop);
    mtcp_app_join(pair[0]);
    mtcp_app_join(pair[1]);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    check_int(asked[0] + asked[1], 4000, "no deadlock");
    WORKS(mtcp_destroy());
}

/* Many threads set up while packets flow, and neither side starves. */
#define WORKERS 4
static struct {
    mctx_t m;
    int stop;
    uint64_t calls[WORKERS], errors[WORKERS];
} storm;

static bool yes(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return true;
}

static void *worker(void *argument)
{
    size_t me = (size_t)argument;
    union monitor_filter filter;
    struct timeval soon = { 0, 100 };
    memset(&filter, 0, sizeof filter);
    while (!__atomic_load_n(&storm.stop, __ATOMIC_RELAXED)) {
        int raw = mtcp_socket(storm.m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
        int sock = mtcp_socket(storm.m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        int bytes = 1000;
        filter.stream_syn_filter = (char *)(uintptr_t) "dst port 80";
        event_t event = mtcp_define_event(MOS_ON_PKT_IN, yes, NULL);
        if (raw < 0 || sock < 0 || mtcp_register_callback(storm.m, raw, MOS_ON_PKT_IN, MOS_NULL, nothing) ||
            mtcp_register_callback(storm.m, raw, event, MOS_NULL, nothing) ||
            mtcp_bind_monitor_filter(storm.m, sock, &filter) ||
            mtcp_setsockopt(storm.m, sock, SOL_MONSOCKET, MOS_SVRBUF, &bytes, sizeof bytes) ||
            mtcp_register_callback(storm.m, sock, MOS_ON_CONN_START, MOS_HK_SND, nothing) ||
            mtcp_settimer(storm.m, 5, &soon, nothing) || mtcp_close(storm.m, sock) || mtcp_close(storm.m, raw))
            storm.errors[me]++;
        storm.calls[me] += 10;
    }
    return NULL;
}

static void set_up_storm(void)
{
    struct talk t;
    pthread_t threads[WORKERS];
    scene("four threads that set up while packets flow");
    memset(&storm, 0, sizeof storm);
    mctx_t m = start(&t);
    storm.m = m;
    say_text(&t, 0, "again and again");
    script[0].repeat = 1;
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
    while (packet_count() < 100)
        usleep(1000);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, worker, (void *)i);
    int before = packet_count();
    sleep(2);
    int between = packet_count() - before;
    __atomic_store_n(&storm.stop, 1, __ATOMIC_RELAXED);
    uint64_t calls = 0, errors = 0, least = UINT64_MAX;
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        calls += storm.calls[i];
        errors += storm.errors[i];
        if (storm.calls[i] < least)
            least = storm.calls[i];
    }
    check(between > 200, "packets go on");
    check(least > 20, "every thread gets its turn");
    check_int((long long)errors, 0, "no call fails");
    check_note("%llu calls, at least %llu of each thread, %d packets in 2 seconds", (unsigned long long)calls,
               (unsigned long long)least, between);
    __atomic_store_n(&script[0].repeat, 0, __ATOMIC_RELEASE);
    struct mos_stats stats;
    WORKS(mos_get_stats(m, -1, &stats, sizeof stats));
    check_int((long long)stats.flows_total, 1, "the flow was not disturbed");
    int next = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    check(next >= 0 && next < 2 + 2 * WORKERS, "all ids were given back");
    WORKS(mtcp_destroy());
}

int main(void)
{
    strangers();
    if (GetNumCPUs() >= 2) {
        strange_contexts();
        statistics_from_everywhere();
    }
    set_up_storm();
    return finish();
}
