/* Several contexts on one trace: the software distributor, and when a context
 * begins to read. 02-monitor.md section 8, 03-config.md. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <time.h>

#include "api/scene.h"

#define FLOWS 3000

static int seen[2][FLOWS * 2];      /* by context and flow number */
static uint64_t bytes[2], wrong, raw_seen[2];
static int ends[2];
static double first_packet[2];
static int begun[2];

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned number_of(uint32_t address) { return address & 0xffffff; }

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_in ends4[2];
    struct sockaddr_in6 ends6[2];
    socklen_t length = sizeof ends4;
    (void)side, (void)event, (void)arg;
    if (first_packet[m->cpu] == 0)
        first_packet[m->cpu] = clock_now();
    __atomic_store_n(&begun[m->cpu], 1, __ATOMIC_RELEASE);
    if (mtcp_getpeername(m, sock, (struct sockaddr *)ends4, &length, MOS_SIDE_BOTH) == 0) {
        unsigned n = number_of(ntohl(ends4[0].sin_addr.s_addr));
        if (n < FLOWS)
            seen[m->cpu][n]++;
        if (GetRSSCPUCore(ends4[0].sin_addr.s_addr, ends4[1].sin_addr.s_addr, ends4[0].sin_port, ends4[1].sin_port, 2) !=
            m->cpu)
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        if (GetRSSCPUCore(ntohl(ends4[1].sin_addr.s_addr), ntohl(ends4[0].sin_addr.s_addr), ntohs(ends4[1].sin_port),
                          ntohs(ends4[0].sin_port), 2) != m->cpu)
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        return;
    }
    length = sizeof ends6;
    if (mtcp_getpeername(m, sock, (struct sockaddr *)ends6, &length, MOS_SIDE_BOTH) == 0) {
        unsigned n = get32(ends6[0].sin6_addr.s6_addr + 12);
        if (n < FLOWS)
            seen[m->cpu][FLOWS + n]++;
    }
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[512];
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mtcp_peek(m, sock, side, buffer, sizeof buffer)) > 0)
        bytes[m->cpu] += (uint64_t)got;
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)event, (void)arg;
    ends[m->cpu]++;
}

static void on_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)event, (void)arg;
    raw_seen[m->cpu]++;
}

static void set_up(mctx_t m)
{
    int sock = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    int raw = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    if (sock < 0 || raw < 0 || mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) ||
        mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) ||
        mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end) ||
        mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, on_raw))
        check(0, "set-up");
}

static void forget(void)
{
    memset(seen, 0, sizeof seen);
    memset(bytes, 0, sizeof bytes);
    memset(ends, 0, sizeof ends);
    memset(raw_seen, 0, sizeof raw_seen);
    memset(first_packet, 0, sizeof first_packet);
    memset(begun, 0, sizeof begun);
    wrong = 0;
}

/* FLOWS conversations of IPv4 and FLOWS / 10 of IPv6, interleaved, and some UDP and ICMP. */
static size_t conversations(unsigned flows)
{
    static struct talk talks[FLOWS];
    static const char *const words[2] = { "request", "and its answer" };
    uint8_t frame[256];
    script_begin();
    script_step = 1000;
    for (unsigned n = 0; n < flows; n++) {
        if (n % 11 == 10)
            talk_init6(&talks[n], n);
        else
            talk_init(&talks[n], n);
        talks[n].port[0] = (uint16_t)(1024 + n * 7919 % 60000);
    }
    for (int step = 0; step < 8; step++)
        for (unsigned n = 0; n < flows; n++) {
            struct talk *t = &talks[n];
            switch (step) {
            case 0: say(t, 0, SYN, NULL, 0); break;
            case 1: say(t, 1, SYN | ACK, NULL, 0); break;
            case 2: say(t, 0, ACK, NULL, 0); break;
            case 3: say_text(t, 0, words[0]); break;
            case 4: say_text(t, 1, words[1]); break;
            case 5: say(t, 0, FIN | ACK, NULL, 0); break;
            case 6: say(t, 1, FIN | ACK, NULL, 0); break;
            case 7: say(t, 0, ACK, NULL, 0); break;
            }
            if (step == 3 && n % 20 == 0) {
                script_add(0, frame, make_other(frame, t, 0, 17, "dns", 3));
                script_add(0, frame, make_other(frame, t, 1, 1, "ping", 4));
            }
        }
    return script[0].count;
}

/* Every flow in exactly one context, nothing lost. */
static void judge(unsigned flows, mctx_t *m, size_t frames, int both)
{
    struct mos_stats stats[2];
    unsigned missing = 0, twice = 0, share[2] = { 0, 0 };
    memset(stats, 0, sizeof stats);
    for (int i = 0; i < 2; i++)
        if (m[i])
            mos_get_stats(m[i], -1, &stats[i], sizeof stats[i]);
    for (unsigned n = 0; n < flows; n++) {
        unsigned at = n % 11 == 10 ? FLOWS + n : n;
        share[0] += seen[0][at] != 0;
        share[1] += seen[1][at] != 0;
        missing += seen[0][at] + seen[1][at] == 0;
        twice += seen[0][at] + seen[1][at] > 1;
    }
    check_int(missing, 0, "every flow was seen");
    check_int(twice, 0, "in one context only");
    check_int((long long)wrong, 0, "the one that GetRSSCPUCore tells");
    if (both)
        check(share[0] > flows / 4 && share[1] > flows / 4, "both have their share");
    check_int((long long)(bytes[0] + bytes[1]), (long long)flows * 21, "all bytes were read");
    check_int(ends[0] + ends[1], (int)flows * 2, "all flows ended");
    check_int((long long)(stats[0].rx_packets + stats[1].rx_packets), (long long)frames, "every frame is counted once");
    check_int((long long)(raw_seen[0] + raw_seen[1]), (long long)frames, "and was on a raw socket once");
    check_int((long long)(stats[0].flows_total + stats[1].flows_total), flows, "so are the flows");
}

static void *joiner(void *m)
{
    mtcp_app_join((mctx_t)m);
    return NULL;
}

static void two_threads(void)
{
    mctx_t m[2];
    pthread_t thread;
    size_t frames = conversations(FLOWS);
    scene("two contexts, each with a thread");
    forget();
    WORKS(begin("script:a 0x3", "max_concurrency = 5000"));
    for (int i = 0; i < 2; i++) {
        m[i] = mtcp_create_context(i);
        set_up(m[i]);
    }
    pthread_create(&thread, NULL, joiner, m[1]);
    mtcp_app_join(m[0]);
    pthread_join(thread, NULL);
    judge(FLOWS, m, frames, 1);
    WORKS(mtcp_destroy());
}

static void one_thread(void)
{
    mctx_t m[2];
    size_t frames = conversations(FLOWS);
    scene("two contexts, joined one after the other");
    forget();
    WORKS(begin("script:a 0x3", "max_concurrency = 5000"));
    for (int i = 0; i < 2; i++) {
        m[i] = mtcp_create_context(i);
        set_up(m[i]);
    }
    double ready = clock_now();
    mtcp_app_join(m[0]);
    mtcp_app_join(m[1]);
    check(clock_now() - ready < 10, "no long wait");
    check(first_packet[1] - ready > 0.15, "the second begins 200 ms after its last setup call");
    judge(FLOWS, m, frames, 1);
    WORKS(mtcp_destroy());
}

static void late_setup(void)
{
    mctx_t m[2];
    pthread_t thread;
    size_t frames = conversations(500);
    double last = 0;
    scene("setup calls that go on");
    forget();
    WORKS(begin("script:a 0x3", NULL));
    for (int i = 0; i < 2; i++)
        m[i] = mtcp_create_context(i);
    set_up(m[0]);
    pthread_create(&thread, NULL, joiner, m[0]);
    for (int i = 0; i < 10; i++) {
        usleep(80000);
        struct mos_stats stats;
        mos_get_stats(m[1], -1, &stats, sizeof stats);
        int sock = mtcp_socket(m[1], AF_INET, MOS_SOCK_MONITOR_RAW, 0);
        mtcp_close(m[1], sock);
        if (i == 9)
            set_up(m[1]);
        last = clock_now();
    }
    pthread_join(thread, NULL);
    mtcp_app_join(m[1]);
    check(first_packet[1] - last > 0.15, "nothing is read before 200 ms after the last one");
    judge(500, m, frames, 1);
    WORKS(mtcp_destroy());
}

static void asking_is_no_setup(void)
{
    mctx_t m[2];
    pthread_t thread;
    size_t frames = conversations(200);
    scene("asking for statistics is no setup call");
    forget();
    WORKS(begin("script:a 0x3", NULL));
    for (int i = 0; i < 2; i++) {
        m[i] = mtcp_create_context(i);
        set_up(m[i]);
    }
    double ready = clock_now();
    pthread_create(&thread, NULL, joiner, m[0]);
    while (!__atomic_load_n(&begun[1], __ATOMIC_ACQUIRE) && clock_now() - ready < 3) {
        struct mos_stats stats;
        mos_get_stats(m[1], -1, &stats, sizeof stats);
        mtcp_get_connection_cnt(m[1]);
        usleep(20000);
    }
    check(__atomic_load_n(&begun[1], __ATOMIC_ACQUIRE), "the context starts although it is asked again and again");
    mtcp_app_join(m[1]);
    pthread_join(thread, NULL);
    judge(200, m, frames, 1);
    WORKS(mtcp_destroy());
}

static void fewer_contexts(void)
{
    mctx_t m[2] = { NULL, NULL };
    struct mos_stats stats;
    size_t frames = conversations(1000);
    scene("fewer contexts than the mask has CPUs");
    for (int which = 0; which < 2; which++) {
        forget();
        if (which)
            frames = conversations(1000);
        WORKS(begin("script:a 0x3", NULL));
        m[which] = mtcp_create_context(which);
        m[1 - which] = NULL;
        set_up(m[which]);
        double ready = clock_now();
        mtcp_app_join(m[which]);
        check(clock_now() - ready < 10, "it does not hang");
        unsigned mine = 0, expected = 0;
        for (unsigned n = 0; n < 1000; n++) {
            struct talk t;
            mine += seen[which][n];
            if (n % 11 == 10)
                continue;
            talk_init(&t, n);
            expected += GetRSSCPUCore(get32(t.address[0]), get32(t.address[1]), (in_port_t)(1024 + n * 7919 % 60000), 80,
                                      2) == which;
        }
        check_int(mine, expected, "the context has its own flows, all of them");
        WORKS(mos_get_stats(m[which], -1, &stats, sizeof stats));
        check(stats.rx_packets < frames, "not the other one's");
        check_int((long long)(stats.rx_packets + stats.drop_source), (long long)frames, "whose frames are counted as lost");
        WORKS(mos_get_stats(m[which], 0, &stats, sizeof stats));
        check_int((long long)(stats.rx_packets + stats.drop_source), (long long)frames, "at the interface, too");
        WORKS(mtcp_destroy());
    }
}

static void two_traces(void)
{
    mctx_t m[2];
    pthread_t thread;
    scene("two traces, a context each");
    forget();
    script_begin();
    for (unsigned n = 0; n < 200; n++) {
        struct talk t;
        talk_init(&t, n);
        t.input[0] = t.input[1] = (int)(n & 1);
        say_hello(&t);
        say_text(&t, 0, "x");
        say_goodbye(&t, 1);
    }
    WORKS(begin("script:a 0x1\nscript:b 0x2", NULL));
    for (int i = 0; i < 2; i++) {
        m[i] = mtcp_create_context(i);
        set_up(m[i]);
    }
    pthread_create(&thread, NULL, joiner, m[1]);
    mtcp_app_join(m[0]);
    pthread_join(thread, NULL);
    unsigned right = 0;
    for (unsigned n = 0; n < 200; n++)
        right += seen[n & 1][n] == 1 && seen[!(n & 1)][n] == 0;
    check_int(right, 200, "each flow is in the context of its interface");
    check_int(ends[0] + ends[1], 400, "and ended there");
    WORKS(mtcp_destroy());
}

/* One ends early: the other goes on, what came for the first is counted. */
static void on_start_destroy(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    on_start(m, sock, side, event, arg);
    mtcp_destroy_context(m);
}

static void one_ends_early(void)
{
    mctx_t m[2];
    pthread_t thread;
    struct mos_stats stats;
    size_t frames = conversations(FLOWS);
    scene("one context is destroyed early");
    forget();
    WORKS(begin("script:a 0x3", "max_concurrency = 5000"));
    m[0] = mtcp_create_context(0);
    m[1] = mtcp_create_context(1);
    set_up(m[0]);
    int sock = listen_to(m[1], AF_INET, 0);
    WORKS(mtcp_register_callback(m[1], sock, MOS_ON_CONN_START, MOS_HK_SND, on_start_destroy));
    pthread_create(&thread, NULL, joiner, m[1]);
    mtcp_app_join(m[0]);
    pthread_join(thread, NULL);
    unsigned lost = 0, all = 0;
    for (unsigned n = 0; n < FLOWS; n++) {
        struct talk t;
        if (n % 11 == 10)
            continue;
        talk_init(&t, n);
        if (GetRSSCPUCore(get32(t.address[0]), get32(t.address[1]), (in_port_t)(1024 + n * 7919 % 60000), 80, 2) == 0) {
            all++;
            lost += seen[0][n] != 1;
        }
    }
    check(all > FLOWS / 4, "the other one has flows");
    check_int(lost, 0, "and sees all of them");
    WORKS(mos_get_stats(m[0], -1, &stats, sizeof stats));
    uint64_t total = stats.rx_packets, dropped = stats.drop_source;
    WORKS(mos_get_stats(m[1], -1, &stats, sizeof stats));
    check_int((long long)(total + stats.rx_packets + dropped), (long long)frames, "what came afterwards is counted as lost");
    WORKS(mtcp_destroy());
}

int main(void)
{
    if (GetNumCPUs() < 2)
        return skip("needs two CPUs");
    two_threads();
    one_thread();
    late_setup();
    asking_is_no_setup();
    fewer_contexts();
    two_traces();
    one_ends_early();
    return finish();
}
