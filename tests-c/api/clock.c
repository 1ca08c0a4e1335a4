/* Timers and the clock: 02-monitor.md section 8; the burst key. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

#include "api/scene.h"

static mctx_t context;
static int timer_errors;

static int set(mctx_t m, int id, long microseconds, callback_t callback)
{
    struct timeval time = { microseconds / 1000000, microseconds % 1000000 };
    return mtcp_settimer(m, id, &time, callback);
}

static void fired(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    timer_errors += m != context || side != 0 || event != 0 || arg != NULL;
    log_word("t%d", id);
}

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0)
        log_word("p%u", p.payloadlen);
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)event, (void)arg;
    if (side == MOS_SIDE_CLI)
        log_word("end%d", sock);
}

static void packets_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    context = m;
    if (mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) ||
        mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end))
        check(0, "registration");
}

/* Packets with 1, 2, 3 … bytes, 10 ms apart, after a SYN at 0 ms. */
static void ticking(int count)
{
    static const char bytes[100] = "";
    struct talk t;
    script_begin();
    script_step = 10000000;
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    for (int i = 1; i < count; i++)
        say(&t, 0, ACK, bytes, (uint32_t)i);
    log_clear();
    timer_errors = 0;
}

static void order_setup(mctx_t m)
{
    packets_setup(m);
    WORKS(set(m, 35, 35000, fired));
    WORKS(set(m, 15, 15000, fired));
    WORKS(set(m, 1000, 1000000, fired));
    WORKS(set(m, 16, 15000, fired)); /* the same time: in the order of setting */
    WORKS(set(m, 17, 15000, fired));
    WORKS(set(m, 5, 5000, fired));
    WORKS(set(m, -3, 20000, fired)); /* any id */
    WORKS(set(m, 36, 36000, fired));
}

static void orders(void)
{
    scene("timers");
    ticking(6);
    play(NULL, NULL, order_setup);
    /* A packet's time comes, then what was due by then, then the packet. */
    check_str(log_text, "p0 t5 p1 t15 t16 t17 t-3 p2 p3 t35 t36 p4 p5 end1",
              "in the order of their deadlines; those before the first packet count from it");
    check_int(timer_errors, 0, "called with (m, id, 0, 0, NULL)");
    check_int((long long)played.timers, 1, "the one that is not due yet is pending");
}

/* From handlers, and timers that set timers. */
static void chain_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    fired(m, id, side, event, arg);
    if (id < 5)
        WORKS(set(m, id + 1, 10000, chain_timer));
}

static int from_handler;
static void set_in_handler(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    on_packet(m, sock, side, event, arg);
    if (from_handler++ == 1) {
        WORKS(set(m, 1, 15000, chain_timer));
        WORKS(set(m, 9, 0, fired)); /* at once: with the next packet's time */
    }
}

static void handler_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    context = m;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, set_in_handler));
}

static void from_handlers(void)
{
    scene("timers from handlers");
    ticking(9);
    from_handler = 0;
    play(NULL, NULL, handler_setup);
    /* Set at 10 ms: t1 at 25 ms; a chained one counts from the deadline of the one before. */
    check_str(log_text, "p0 p1 t9 p2 t1 p3 t2 p4 t3 p5 t4 p6 t5 p7 p8", "they count from the packet's time, or the timer's");
}

static int endless;
static void again_at_once(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    endless++;
    if (endless < 1000000)
        set(m, id, 0, again_at_once);
}

static void endless_setup(mctx_t m)
{
    packets_setup(m);
    WORKS(set(m, 1, 0, again_at_once));
}

static void never_ending(void)
{
    scene("a timer that sets itself again with no delay");
    ticking(5);
    endless = 0;
    play(NULL, NULL, endless_setup);
    check(endless >= 1 && endless < 1000000, "does not keep the clock where it is");
    check_str(log_text, "p0 p1 p2 p3 p4 end1", "packets go on");
}

/* In a gap between two packets the clock does not jump over deadlines. */
static uint32_t origin;
static void fired_at(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    fired(m, id, side, event, arg);
    log_word("@%u", (mtcp_cb_get_ts(m) - origin) / 1000);
}

static void quarter(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    fired_at(m, id, side, event, arg);
    WORKS(set(m, id, 250000, quarter));
}

static void ended_at(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    if (side == MOS_SIDE_CLI)
        log_word("end%d@%u", sock, (mtcp_cb_get_ts(m) - origin) / 1000);
}

static void gap_setup(mctx_t m)
{
    packets_setup(m);
    WORKS(set(m, 1, 250000, quarter));
}

static void gaps(void)
{
    struct talk t;
    scene("a timer that sets itself again, in a gap");
    ticking(2);
    script_clock = script[0].frames[0].time_ns + 2680000000ull;
    talk_init(&t, 2);
    say(&t, 0, ACK, NULL, 0);
    origin = (uint32_t)(script[0].frames[0].time_ns / 1000);
    play(NULL, NULL, gap_setup);
    check_str(log_text,
              "p0 p1 t1 @250 t1 @500 t1 @750 t1 @1000 t1 @1250 t1 @1500 t1 @1750 t1 @2000 t1 @2250 t1 @2500 end1",
              "fires as often as it was to, each time at its own");
}

/* Timers and idle flows in one gap. */
static void mixed_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    context = m;
    if (mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, ended_at))
        check(0, "registration");
    WORKS(set(m, 7, 1200000, fired_at));
    WORKS(set(m, 8, 1700000, fired_at));
    WORKS(set(m, 9, 2100000, fired_at));
}

static void mixed(uint64_t gap, const char *items, const char *want, const char *what)
{
    struct talk a, b, c;
    script_begin();
    script_step = 0;
    uint64_t start = script_clock;
    origin = (uint32_t)(start / 1000);
    talk_init(&a, 1);
    talk_init(&b, 2);
    talk_init(&c, 3);
    say(&a, 0, SYN, NULL, 0);
    script_clock = start + 500000000;
    say(&b, 0, SYN, NULL, 0);
    script_clock = start + 900000000;
    say(&a, 0, ACK, NULL, 0); /* a goes on, so it ends after b, which began later */
    script_clock = start + gap;
    say(&c, 0, ACK, NULL, 0);
    log_clear();
    timer_errors = 0;
    play(NULL, items, mixed_setup);
    check_str(log_text, want, what);
}

static void orders_of_all(void)
{
    scene("timers and idle flows");
    mixed(5000000000ull, "tcp_timeout = 1", "t7 @1200 end2@1500 t8 @1700 end1@1900 t9 @2100",
          "in the order of their deadlines, at which each runs");
    mixed(1000000000000000ull, "tcp_timeout = 1", "t7 @1200 end2@1500 t8 @1700 end1@1900 t9 @2100",
          "also in a gap of days");
    /* The clock is in microseconds, 32 bits. */
    mixed(1000000000000000ull, "tcp_timeout = 1000", "t7 @1200 t8 @1700 t9 @2100 end2@1000500 end1@1000900",
          "also with a timeout of many turns of the wheel");
    mixed(900000000000ull, "tcp_timeout = 1000", "t7 @1200 t8 @1700 t9 @2100 end1@900000 end2@900000",
          "and one that ends after the gap");
}

/* A gap of years, and a timer for each microsecond of it. */
static uint64_t ticks;
static void each_microsecond(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    ticks++;
    set(m, id, 1, each_microsecond);
}

static void once(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)id, (void)side, (void)event, (void)arg;
    endless++;
}

static void years_setup(mctx_t m)
{
    packets_setup(m);
    WORKS(set(m, 1, 1, each_microsecond));
    for (int i = 0; i < 150000; i++)
        set(m, 2, 3600000000L, once);
}

static void years(void)
{
    struct talk t;
    scene("a timer for each microsecond of ten years");
    ticking(1);
    script_clock = script[0].frames[0].time_ns + 10ull * 365 * 86400 * 1000000000ull;
    talk_init(&t, 1);
    script_step = 5000;
    say(&t, 0, ACK, "x", 1);
    say(&t, 0, ACK, "xx", 2);
    ticks = 0;
    endless = 0;
    play(NULL, "tcp_timeout = -1", years_setup);
    check(ticks >= 100000 && ticks < 100020, "fires 100000 times, then the clock goes on");
    check_int(endless, 150000, "timers that were there before the gap do not count: all fire");
    check_str(log_text, "p0 p1 p2 end1", "the packets go on");
}

/* In a timer, no delay means the next packet. */
static void at_each_packet(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    fired(m, id, side, event, arg);
    set(m, id, 0, at_each_packet);
}

static void each_setup(mctx_t m)
{
    packets_setup(m);
    WORKS(set(m, 1, 0, at_each_packet));
}

static void each_packet(void)
{
    scene("a timer that sets itself again with no delay, in a gap");
    ticking(4);
    play(NULL, NULL, each_setup);
    check_str(log_text, "p0 t1 p1 t1 p2 t1 p3 end1", "fires once for each packet");
}

static void errors_setup(mctx_t m)
{
    struct timeval bad;
    packets_setup(m);
    FAILS(mtcp_settimer(m, 1, NULL, fired), EINVAL);
    bad.tv_sec = 1;
    bad.tv_usec = 0;
    FAILS(mtcp_settimer(m, 1, &bad, NULL), EINVAL);
    bad.tv_sec = -1;
    FAILS(mtcp_settimer(m, 1, &bad, fired), EINVAL);
    bad.tv_sec = 0;
    bad.tv_usec = -1;
    FAILS(mtcp_settimer(m, 1, &bad, fired), EINVAL);
    bad.tv_sec = (time_t)0x7fffffffffffffff;
    bad.tv_usec = 0x7fffffff;
    WORKS(mtcp_settimer(m, 1, &bad, fired)); /* never */
    bad.tv_sec = 0;
    bad.tv_usec = 15000000; /* more than a second is as good */
    WORKS(mtcp_settimer(m, 2, &bad, fired));
    for (int i = 0; i < 100000; i++)
        if (set(m, i, 20000000 + i, fired) != 0) {
            check(0, "any number");
            break;
        }
}

static void errors(void)
{
    scene("mtcp_settimer");
    ticking(3);
    play(NULL, NULL, errors_setup);
    check_int((long long)played.timers, 100002, "any number of timers");
    check_str(log_text, "p0 p1 p2 end1", "none of them was due");
}

/* The clock is the packets'. */
static uint32_t stamps[100];
static int stamp_count, stamp_wrong;
static void stamp(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    uint32_t now = mtcp_cb_get_ts(m);
    if (stamp_count < 100)
        stamps[stamp_count++] = now;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0)
        stamp_wrong += p.cur_ts != (uint32_t)(script[0].frames[stamp_count - 1].time_ns / 1000000);
}

static void stamp_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, stamp));
}

static void time_of_day(void)
{
    scene("mtcp_cb_get_ts");
    ticking(50);
    stamp_count = stamp_wrong = 0;
    play(NULL, NULL, stamp_setup);
    check_int(stamp_count, 50, "asked for each packet");
    int wrong = 0;
    for (int i = 0; i < 50; i++)
        wrong += stamps[i] != (uint32_t)(script[0].frames[i].time_ns / 1000);
    check_int(wrong, 0, "microseconds of the packet's time, 32 bits");
    check_int(stamp_wrong, 0, "cur_ts agrees");

    /* Times that go back do not turn the clock back. */
    scene("packets out of order in time");
    ticking(6);
    script[0].frames[3].time_ns -= 25000000;
    stamp_count = 0;
    play(NULL, NULL, stamp_setup);
    check_int(stamp_count, 6, "all are handled");
    check(stamps[3] == stamps[2], "the clock stands still");
    check(stamps[4] == (uint32_t)(script[0].frames[4].time_ns / 1000), "and goes on");
    /* Time 0, the largest time. */
    scene("impossible times");
    ticking(4);
    script[0].frames[0].time_ns = 0;
    script[0].frames[1].time_ns = 0;
    script[0].frames[2].time_ns = UINT64_MAX;
    stamp_count = 0;
    play(NULL, NULL, stamp_setup);
    check_int(stamp_count >= 2, 1, "no harm is done");
}

/* Determinism: idle flows and timers between packets, in bursts of every size. */
static const char *const bursts[] = { "burst = 1", "burst = 2", "burst = 3", "burst = 5", "burst = 16", "burst = 63", "burst = 64" };
static int many_sock;

static void periodic(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    fired(m, id, side, event, arg);
    log_word("@%u", mtcp_cb_get_ts(m));
    set(m, id, 3000000 + id * 10007, periodic);
}

static void many_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    log_word("s%d", sock);
    if (sock % 3 == 0)
        set(m, 100 + sock, 700000, fired);
}

static void many_setup(mctx_t m)
{
    context = m;
    many_sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, many_sock, MOS_ON_CONN_START, MOS_HK_SND, many_start));
    WORKS(mtcp_register_callback(m, many_sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end));
    for (int i = 1; i <= 3; i++)
        WORKS(set(m, i, 1000000 * i, periodic));
}

static void determinism(void)
{
    static char first[1 << 16];
    scene("the same events in every run");
    for (size_t round = 0; round < 2 * sizeof bursts / sizeof *bursts; round++) {
        char items[100], what[100];
        script_begin();
        script_step = 40000000;
        unsigned n = 0;
        for (int i = 0; i < 1500; i++) {
            struct talk t;
            talk_init(&t, n++ % 300);
            if (i % 5 == 4) {
                say(&t, 0, ACK, NULL, 0); /* an orphan or a repeated packet: only time goes on */
            } else {
                say(&t, 0, SYN, NULL, 0);
                if (i % 7 == 0)
                    say(&t, 1, RST | ACK, NULL, 0);
            }
            if (i % 50 == 49)
                script_clock += 3000000000ull;
        }
        log_clear();
        snprintf(items, sizeof items, "%s\ntcp_timeout = 4", bursts[round / 2]);
        play(NULL, items, many_setup);
        check_int(script[0].asked_most, atoi(bursts[round / 2] + 8), "frames come in bursts of that size");
        if (round == 0) {
            memcpy(first, log_text, sizeof first);
            check(strlen(first) > 5000, "many events");
            continue;
        }
        snprintf(what, sizeof what, "%s: timers, idle flows and beginnings as before", bursts[round / 2]);
        check_str(log_text, first, what);
    }
}

/* With a burst of 1 everything is the same, however the source hands out its frames. */
static void all_setup(mctx_t m)
{
    listen_to(m, AF_INET, EVERYTHING);
}

static void reproducible(void)
{
    static char first[1 << 16];
    scene("burst = 1");
    for (int round = 0; round < 5; round++) {
        script_begin();
        for (unsigned n = 0; n < 20; n++) {
            struct talk t;
            talk_init(&t, n);
            say_hello(&t);
            say_text(&t, 0, "question");
            say_text(&t, 1, "answer");
            say_goodbye(&t, 0);
        }
        /* A source that gives a different number each time. */
        for (size_t i = 0; i < script[0].count; i++)
            script[0].frames[i].ends_burst = round ? (i * (size_t)round * 7919) % 13 < 4 : 0;
        log_clear();
        play(NULL, "burst = 1", all_setup);
        if (round == 0)
            memcpy(first, log_text, sizeof first);
        else
            check_str(log_text, first, "the order of events depends on the frames alone");
    }
}

/* From outside, on the wall clock. */
static volatile int live_fired;
static double live_times[8];
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t live_stamp;
static void live_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    live_stamp = mtcp_cb_get_ts(m);
    live_times[id & 7] = now();
    __atomic_add_fetch(&live_fired, 1, __ATOMIC_RELEASE);
}

static void live(void)
{
    scene("timers on the wall clock");
    script_begin();
    script[0].live = 1;
    live_fired = 0;
    WORKS(begin(NULL, NULL));
    mctx_t m = mtcp_create_context(0);
    listen_to(m, AF_INET, 0);
    double begun = now();
    WORKS(set(m, 1, 50000, live_timer));
    WORKS(set(m, 3, 300000, live_timer));
    WORKS(set(m, 2, 150000, live_timer));
    WORKS(set(m, 0, 0, live_timer));
    while (__atomic_load_n(&live_fired, __ATOMIC_ACQUIRE) < 4 && now() - begun < 10)
        usleep(1000);
    check_int(live_fired, 4, "they fire while nothing is received");
    static const double due[4] = { 0, 0.05, 0.15, 0.3 };
    for (int i = 0; i < 4; i++) {
        check(live_times[i] - begun >= due[i] - 0.001, "not too early");
        check(live_times[i] - begun < due[i] + 0.5, "nor much too late");
    }
    struct timeval day;
    gettimeofday(&day, NULL);
    uint32_t microseconds = (uint32_t)((uint64_t)day.tv_sec * 1000000 + (uint64_t)day.tv_usec);
    check(microseconds - live_stamp < 5000000, "mtcp_cb_get_ts is the wall clock's");
    WORKS(mtcp_destroy());
}

/* What a timer's handler sends while nothing is received goes out at once. */
static int idle_flow = -1, idle_result = 99;
static void idle_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    __atomic_store_n(&idle_flow, sock, __ATOMIC_RELEASE);
}

static void idle_reset(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)id, (void)side, (void)event, (void)arg;
    __atomic_store_n(&idle_result, mtcp_reset_conn(m, __atomic_load_n(&idle_flow, __ATOMIC_ACQUIRE)), __ATOMIC_RELEASE);
}

static void idle_sending(void)
{
    struct talk t;
    scene("a timer that sends while nothing is received");
    script_begin();
    script[0].live = script[1].live = script[0].held = 1;
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    WORKS(begin("script:a 0x1\nscript:b 0x1", "nic_forward_table { script:a script:b }"));
    mctx_t m = mtcp_create_context(0);
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV, idle_start));
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
    double begun = now();
    while (__atomic_load_n(&idle_flow, __ATOMIC_ACQUIRE) < 0 && now() - begun < 10)
        usleep(1000);
    usleep(50000);
    uint64_t flushes = __atomic_load_n(&script[0].flushes, __ATOMIC_ACQUIRE);
    WORKS(set(m, 1, 1000, idle_reset));
    while (__atomic_load_n(&script[0].flushes, __ATOMIC_ACQUIRE) == flushes && now() - begun < 10)
        usleep(1000);
    check_int(__atomic_load_n(&idle_result, __ATOMIC_ACQUIRE), 0, "it is sent");
    check(__atomic_load_n(&script[0].flushes, __ATOMIC_ACQUIRE) > flushes, "and flushed");
    WORKS(mtcp_destroy());
}

/* A timer of a context that nothing is read for. */
static void idle_context(void)
{
    struct mtcp_conf conf;
    if (GetNumCPUs() < 2)
        return;
    scene("a timer of a context without interface");
    ticking(3);
    WORKS(begin("script:a 0x1", NULL));
    memset(&conf, 0, sizeof conf);
    conf.num_cores = 2;
    WORKS(mtcp_setconf(&conf));
    mctx_t m = mtcp_create_context(0), idle = mtcp_create_context(1);
    packets_setup(m);
    WORKS(set(idle, 1, 1000, fired));
    mtcp_app_join(m);
    mtcp_app_join(idle);
    check(1, "does not keep it");
    WORKS(mtcp_destroy());
}

int main(void)
{
    orders();
    from_handlers();
    never_ending();
    gaps();
    orders_of_all();
    years();
    each_packet();
    errors();
    time_of_day();
    determinism();
    reproducible();
    live();
    idle_sending();
    idle_context();
    return finish();
}
