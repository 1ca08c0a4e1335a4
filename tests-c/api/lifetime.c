/* How long flows live, and what limits them: 02-monitor.md sections 5 and 6. */
#include "api/scene.h"

#define SECONDS 1000000000ull

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
static const int sanitized = 1;
#else
static const int sanitized = 0;
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const int sanitized = 1;
#else
static const int sanitized = 0;
#endif

static int listener;

static void setup(mctx_t m)
{
    listener = listen_to(m, AF_INET, MOS_ON_CONN_START | MOS_ON_CONN_END | MOS_ON_ORPHAN);
}

static void say_later(struct talk *t, uint64_t seconds)
{
    script_clock += seconds * SECONDS;
    say(t, 0, ACK, NULL, 0);
}

/* tcp_timeout. */
static void idle(void)
{
    struct talk t, u;
    scene("tcp_timeout");
    script_begin();
    talk_init(&t, 1);
    talk_init(&u, 2);
    say_hello(&t);
    say_later(&t, 9);
    say_later(&t, 9);
    say_later(&t, 9);
    script_clock += 11 * SECONDS;
    say(&u, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, "tcp_timeout = 10", setup);
    check_str(log_text, "sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v nORPHAN.b",
              "packets keep a flow alive; without any it ends before what comes next");
    check_int((long long)played.flows_now, 0, "it is gone");

    /* Only the flow's own packets count: a busy old one does not keep idle ones. */
    scene("a busy old flow and an idle one");
    script_begin();
    talk_init(&t, 1);
    talk_init(&u, 2);
    say_hello(&t);
    say_hello(&u);
    for (int i = 0; i < 30; i++)
        say_later(&t, 1);
    log_clear();
    play(NULL, "tcp_timeout = 10", setup);
    check_str(log_text,
              "sSTART.c rSTART.v sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v rEND.c sEND.c rEND.v sEND.v",
              "the idle one ends");
    check_int((long long)played.flows_total, 2, "two flows");

    /* Exactly. */
    scene("tcp_timeout, exactly");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    script_clock += 10 * SECONDS - 1 - script_step;
    say(&t, 1, SYN | ACK, NULL, 0);
    log_clear();
    play(NULL, "tcp_timeout = 10", setup);
    check_int((long long)played.orphans, 0, "a nanosecond less: still there");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    script_clock += 10 * SECONDS - script_step;
    say(&t, 1, SYN | ACK, NULL, 0);
    play(NULL, "tcp_timeout = 10", setup);
    check_int((long long)played.orphans, 1, "after it: gone");

    scene("tcp_timeout = -1");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_later(&t, 100000);
    say_later(&t, 10000000);
    log_clear();
    play(NULL, "tcp_timeout = -1", setup);
    check_str(log_text, "sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v", "never");
    check_int((long long)played.orphans, 0, "packets still belong to it");

    scene("tcp_timeout of mtcp_setconf");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_later(&t, 5);
    WORKS(begin(NULL, NULL));
    struct mtcp_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.tcp_timeout = 4;
    WORKS(mtcp_setconf(&conf));
    mctx_t m = mtcp_create_context(0);
    setup(m);
    mtcp_app_join(m);
    struct mos_stats stats;
    WORKS(mos_get_stats(m, -1, &stats, sizeof stats));
    check_int((long long)stats.orphans, 1, "is in seconds");
    WORKS(mtcp_destroy());
}

/* tcp_tw_interval. */
static void time_wait(void)
{
    for (int round = 0; round < 4; round++) {
        static const char *const names[4] = { "tcp_tw_interval = 0", "tcp_tw_interval = 5, within it", "tcp_tw_interval = 5, after it",
                                              "tcp_tw_interval = 5, a new SYN" };
        struct talk t;
        scene(names[round]);
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_goodbye(&t, 0);
        script_clock += (round == 2 ? 6 : 1) * SECONDS;
        if (round == 3) {
            t.isn[0] += 1000000;
            t.next[0] = t.isn[0];
            say(&t, 0, SYN, NULL, 0);
        } else {
            say_at(&t, 1, FIN | ACK, t.next[1] - 1, t.next[0], NULL, 0);
        }
        log_clear();
        play(NULL, round == 0 ? NULL : "tcp_tw_interval = 5", setup);
        switch (round) {
        case 0:
            check_str(log_text, "sSTART.c rSTART.v rEND.v sEND.v rEND.c sEND.c nORPHAN.b", "the flow ends with the last packet");
            break;
        case 1:
            check_str(log_text, "sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v", "it lingers: a repeated FIN belongs to it");
            check_int((long long)played.retransmissions, 1, "as a retransmission");
            break;
        case 2:
            check_str(log_text, "sSTART.c rSTART.v rEND.v sEND.v rEND.c sEND.c nORPHAN.b", "it has ended");
            break;
        case 3:
            check_str(log_text,
                      "sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v",
                      "the old flow ends and a new one starts");
            break;
        }
    }
}

/* max_concurrency. */
static void full(void)
{
    struct talk talks[20];
    scene("max_concurrency");
    script_begin();
    for (unsigned n = 0; n < 20; n++) {
        talk_init(&talks[n], n);
        say_hello(&talks[n]);
    }
    for (unsigned n = 0; n < 20; n++)
        say_text(&talks[n], 0, "data");
    log_clear();
    play("script:a 0x1\nscript:b 0x1", "max_concurrency = 8\nnic_forward_table { script:a script:b }", setup);
    check_int((long long)played.flows_total, 8, "as many flows as that, both ends of each together");
    check_int((long long)played.drop_flow_table_full, 12, "further ones are refused and counted");
    check_int((long long)script[1].sent_count, 80, "their packets pass");
    int ends = 0;
    for (const char *at = log_text; (at = strstr(at, "rEND.c")); at++)
        ends++;
    check_int(ends, 8, "the old ones were kept to the end");
    /* Room again when one ends. */
    scene("max_concurrency, room again");
    script_begin();
    for (unsigned n = 0; n < 8; n++) {
        talk_init(&talks[n], n);
        say_hello(&talks[n]);
    }
    say_goodbye(&talks[3], 0);
    for (unsigned n = 8; n < 10; n++) {
        talk_init(&talks[n], n);
        say_hello(&talks[n]);
    }
    play(NULL, "max_concurrency = 8", setup);
    check_int((long long)played.flows_total, 9, "an end makes room for one");
    check_int((long long)played.drop_flow_table_full, 1, "not for two");
    scene("max_concurrency = 1");
    script_begin();
    for (unsigned n = 0; n < 3; n++) {
        talk_init(&talks[n], n);
        say_hello(&talks[n]);
        say_goodbye(&talks[n], 1);
    }
    play(NULL, "max_concurrency = 1", setup);
    check_int((long long)played.flows_total, 3, "one after another");
}

/* An application that never reads. */
static uint64_t errors_raised, lost, got;
static void count_error(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    errors_raised++;
}

static void read_at_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char buffer[1 << 20];
    (void)event, (void)arg;
    for (;;) {
        errno = 0;
        ssize_t n = mtcp_peek(m, sock, side, buffer, sizeof buffer);
        if (n > 0)
            got += (uint64_t)n;
        else if (n < 0 && errno == ENODATA)
            lost += (uint64_t)-n;
        else
            return;
    }
}

static void lazy_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_ERROR, MOS_NULL, count_error));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, read_at_end));
}

static const size_t FLOWS = 50, SEGMENTS = 400, SIZE = 1000;

static void streams(int holes)
{
    static char bytes[1000];
    static struct talk talks[50];
    memset(bytes, 'z', sizeof bytes);
    script_begin();
    script_step = 1000;
    for (size_t n = 0; n < FLOWS; n++) {
        talk_init(&talks[n], (unsigned)n);
        say_hello(&talks[n]);
        if (holes)
            talks[n].next[0]++; /* the first byte never comes */
    }
    for (size_t i = 0; i < SEGMENTS; i++)
        for (size_t n = 0; n < FLOWS; n++) {
            say(&talks[n], 0, ACK, bytes, (uint32_t)SIZE);
            if (i % 16 == 15 && !holes)
                say(&talks[n], 1, ACK, NULL, 0);
        }
    errors_raised = lost = got = 0;
}

static void never_reading(void)
{
    scene("an application that never reads");
    streams(0);
    play(NULL, NULL, lazy_setup);
    check_int((long long)(got + lost), (long long)(FLOWS * SEGMENTS * SIZE), "at the end every byte is accounted for");
    check_int((long long)got, (long long)FLOWS * 8192, "rmem_size of each flow is there");
    check_int((long long)played.overrun_bytes, (long long)lost, "the rest is counted");
    check(errors_raised > 0 && played.overruns > 0, "ERROR was raised");
    check(played.memory_peak < FLOWS * 4 * 16384, "memory is bounded");
    check_int((long long)played.memory_now, 0, "and given back");
    check_note("peak %llu bytes for %zu flows, %llu overruns", (unsigned long long)played.memory_peak, FLOWS,
               (unsigned long long)played.overruns);

    scene("holes that nobody fills");
    streams(1);
    play(NULL, "rmem_max = 65536", lazy_setup);
    check(played.memory_peak < FLOWS * 2 * 80000, "memory is bounded");
    check(played.memory_peak > FLOWS * 60000, "by rmem_max");
    check_int((long long)played.memory_now, 0, "and given back");
    check_note("peak %llu bytes for %zu flows", (unsigned long long)played.memory_peak, FLOWS);

    /* mem_limit. */
    for (int holes = 0; holes < 2; holes++) {
        scene(holes ? "mem_limit, with holes" : "mem_limit");
        streams(holes);
        play(NULL, "mem_limit = 256K\nrmem_max = 65536\nrmem_size = 65536", lazy_setup);
        check(played.memory_peak <= 256 * 1024, "never more than that");
        check(played.drop_no_memory > 0, "what did not fit is counted");
        check(errors_raised > 0, "ERROR was raised");
        check_int((long long)played.flows_total, (long long)FLOWS, "all flows are monitored");
        if (!holes)
            check_int((long long)(got + lost), (long long)(FLOWS * SEGMENTS * SIZE), "every byte is accounted for");
        check_int((long long)played.memory_now, 0, "memory is given back");
        check_note("peak %llu bytes, %llu segments without room", (unsigned long long)played.memory_peak,
                   (unsigned long long)played.drop_no_memory);
    }

}

/* 100 000 half-open flows. */
static uint32_t starts, flood_ends;
static void count_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    starts++;
}

static void count_flood_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    flood_ends++;
}

static void flood_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, count_start));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_SND, count_flood_end));
}

static uint64_t resident(void)
{
    unsigned long pages = 0, unused;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu %lu", &unused, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return (uint64_t)pages * 4096;
}

static uint64_t before_flood, in_flood;
static void note_resident(void *to)
{
    *(uint64_t *)to = resident();
}

static void half_open(void)
{
    struct talk t;
    scene("100 000 half-open flows");
    script_begin();
    script_step = 100;
    script_call(0, note_resident, &before_flood);
    for (unsigned n = 0; n < 120000; n++) {
        talk_init(&t, n);
        t.port[0] = (uint16_t)(n * 31);
        say(&t, 0, SYN, NULL, 0);
    }
    script_call(0, note_resident, &in_flood);
    script_clock += 31 * SECONDS;
    talk_init(&t, 500000);
    say_hello(&t);
    starts = flood_ends = 0;
    play(NULL, "max_concurrency = 100000", flood_setup);
    check_int(starts, 100001, "100 000 are monitored, and one afterwards");
    check_int((long long)played.drop_flow_table_full, 20000, "20 000 more are refused and counted");
    check_int(flood_ends, 200002, "all end by tcp_timeout");
    check_int((long long)played.memory_peak < 65536, 1, "no reassembly memory is taken");
    /* A sanitizer's own memory for it is several times as much. */
    if (!sanitized)
        check((in_flood - before_flood) / 100000 < 1024, "less than a KiB for each");
    check_note("%llu bytes for each", (unsigned long long)((in_flood - before_flood) / 100000));
}

/* Ends by every cause, with unread data: NEW_DATA first. */
static void end_setup(mctx_t m)
{
    listener = listen_to(m, AF_INET, MOS_ON_CONN_END | MOS_ON_CONN_NEW_DATA);
}

static void pending_data(void)
{
    static const char *const names[4] = { "closed", "reset", "idle", "the trace's end" };
    for (int round = 0; round < 4; round++) {
        struct talk t, u;
        scene("data before the end");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_text(&t, 0, "data");
        if (round == 0)
            say_goodbye(&t, 0);
        if (round == 1)
            say(&t, 0, RST, NULL, 0);
        if (round == 2) {
            script_clock += 31 * SECONDS;
            talk_init(&u, 2);
            say(&u, 0, ACK, NULL, 0);
        }
        log_clear();
        play(NULL, NULL, end_setup);
        /* For the side that received the last packet, then the other; the client first without a packet. */
        check_str(log_text,
                  round == 0 ? "nDATA.v rEND.v sEND.v rEND.c sEND.c"
                  : round == 1 ? "nDATA.v rEND.v sEND.v rEND.c sEND.c"
                               : "nDATA.v rEND.c sEND.c rEND.v sEND.v",
                  names[round]);
    }
}

/* Everything can still be read in the last handlers, and the id is free afterwards. */
static int end_errors, end_calls, first_id = -1;
static void last_look(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_in ends[2];
    struct tcp_buf_info info;
    struct mos_flow_info flow;
    socklen_t length = sizeof ends;
    char bytes[8];
    int state = -1;
    (void)side, (void)event, (void)arg;
    end_calls++;
    end_errors += mtcp_getpeername(m, sock, (struct sockaddr *)ends, &length, MOS_SIDE_BOTH) != 0;
    end_errors += mtcp_get_uctx(m, sock) != &end_errors;
    end_errors += mtcp_ppeek(m, sock, MOS_SIDE_SVR, bytes, 8, 0) != 4 || memcmp(bytes, "data", 4) != 0;
    end_errors += mtcp_ppeek(m, sock, MOS_SIDE_CLI, bytes, 8, 0) != 5 || memcmp(bytes, "reply", 5) != 0;
    length = sizeof state;
    end_errors += mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, &length) != 0 || state != TCP_CLOSED;
    end_errors += mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &state, &length) != 0 || state != TCP_CLOSED;
    length = sizeof info;
    end_errors += mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_SVRBUF, &info, &length) != 0 || info.tcpbi_next_byte_expected != 4;
    end_errors += mos_flow_info(m, sock, &flow, sizeof flow) != 0;
}

static void remember(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    mtcp_set_uctx(m, sock, &end_errors);
    if (first_id < 0)
        first_id = sock;
    else
        end_errors += sock != first_id;
}

static void last_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, remember));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_SND, last_look));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, last_look));
}

static void last(void)
{
    scene("the last handlers");
    script_begin();
    for (unsigned n = 0; n < 4; n++) {
        struct talk t;
        talk_init(&t, n);
        say_hello(&t);
        say_text(&t, 0, "data");
        say_text(&t, 1, "reply");
        if (n & 1)
            say(&t, 1, RST | ACK, NULL, 0);
        else
            say_goodbye(&t, 0);
    }
    first_id = -1;
    end_errors = end_calls = 0;
    play(NULL, NULL, last_setup);
    check_int(end_calls, 16, "four for each flow");
    check_int(end_errors, 0, "addresses, context, buffers and states can be read; afterwards the id is free");
}

int main(void)
{
    idle();
    time_wait();
    full();
    never_reading();
    half_open();
    pending_data();
    last();
    return finish();
}
