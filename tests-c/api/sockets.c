/* Sockets: 02-monitor.md section 1. */
#include "api/scene.h"

static int listeners[4];
static int made[64], made_count;

/* Logs the socket's id. */
static void tagged(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)arg;
    log_word("%d%s.%c", sock, event_name(event), side == MOS_SIDE_CLI ? 'c' : side == MOS_SIDE_SVR ? 'v' : 'b');
}

/* Handlers of listener 0, 1, 2, which log its number. */
#define NUMBERED(n)                                                                                  \
    static void number##n(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)            \
    {                                                                                                \
        (void)m, (void)sock, (void)arg;                                                              \
        log_word("%d%s.%c", n, event_name(event), side == MOS_SIDE_CLI ? 'c' : side == MOS_SIDE_SVR ? 'v' : 'b'); \
    }
NUMBERED(0)
NUMBERED(1)
NUMBERED(2)
static const callback_t numbered[3] = { number0, number1, number2 };

static void clear_log(void *unused)
{
    (void)unused;
    log_clear();
}

static int next_kind(int n)
{
    return n & 1 ? MOS_SOCK_MONITOR_STREAM : MOS_SOCK_MONITOR_RAW;
}

static void ids(void)
{
    scene("ids");
    script_begin();
    WORKS(begin(NULL, "max_concurrency = 10"));
    mctx_t m = mtcp_create_context(0);
    check_int(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 0, "the first is 0");
    check_int(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0), 1, "of whatever kind");
    check_int(mtcp_socket(m, AF_INET6, MOS_SOCK_MONITOR_STREAM, 0), 2, "they count up");
    WORKS(mtcp_close(m, 1));
    check_int(mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0), 1, "a closed one's is used again");
    int last = 2, next;
    while ((next = mtcp_socket(m, AF_INET, next_kind(last), 0)) >= 0)
        last = next > last ? next : last;
    check_errno(next, -1, ENFILE, "at last ENFILE");
    check_int(last, 2 * 10 + 64 - 1, "all ids below 2 * max_concurrency + 64 exist");
    WORKS(mtcp_close(m, 40));
    check_int(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0), 40, "and come back");
    WORKS(mtcp_destroy());

    scene("many listeners");
    WORKS(begin(NULL, "max_concurrency = 100000"));
    m = mtcp_create_context(0);
    int count = 0;
    while ((next = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0)) >= 0)
        count++;
    check_errno(next, -1, ENFILE, "at last ENFILE");
    check(count >= 64, "after a good number of them");
    WORKS(mtcp_destroy());
}

static void domains_and_types(void)
{
    scene("domains and types");
    script_begin();
    WORKS(begin(NULL, NULL));
    mctx_t m = mtcp_create_context(0);
    check(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) >= 0, "AF_INET");
    check(mtcp_socket(m, AF_INET6, MOS_SOCK_MONITOR_STREAM, 0) >= 0, "AF_INET6");
    check(mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0) >= 0, "AF_UNSPEC");
    FAILS(mtcp_socket(m, AF_UNIX, MOS_SOCK_MONITOR_STREAM, 0), EAFNOSUPPORT);
    FAILS(mtcp_socket(m, -1, MOS_SOCK_MONITOR_RAW, 0), EAFNOSUPPORT);
    FAILS(mtcp_socket(m, 1000000, MOS_SOCK_MONITOR_RAW, 0), EAFNOSUPPORT);
    FAILS(mtcp_socket(m, AF_INET, MOS_SOCK_UNUSED, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, MOS_SOCK_PROXY_LISTEN, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM_ACTIVE, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, MOS_SOCK_EPOLL, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, MOS_SOCK_PIPE, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, 99, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, -3, 0), EINVAL);
    FAILS(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM + 256, 0), EINVAL);
    WORKS(mtcp_destroy());
}

static void bad_ids(void)
{
    static const int bad[] = { -1, -2147483647 - 1, 2, 500, 2064, 2147483647 };
    int number = 1;
    union monitor_filter filter;
    memset(&filter, 0, sizeof filter);
    scene("bad ids");
    script_begin();
    WORKS(begin(NULL, NULL));
    mctx_t m = mtcp_create_context(0);
    check_int(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 0, "a listener");
    check_int(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0), 1, "a raw socket");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int sock = bad[i];
        FAILS(mtcp_close(m, sock), EBADF);
        FAILS(mtcp_bind_monitor_filter(m, sock, &filter), EBADF);
        FAILS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, tagged), EBADF);
        FAILS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL), EBADF);
        FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &number, sizeof number), EBADF);
        FAILS(mtcp_cb_stop(m, sock, MOS_SIDE_BOTH), EBADF);
    }
    WORKS(mtcp_close(m, 0));
    FAILS(mtcp_close(m, 0), EBADF);
    WORKS(mtcp_close(m, 1));
    FAILS(mtcp_close(m, 1), EBADF);
    WORKS(mtcp_destroy());
}

/* Flows do not use ids up. */
static int highest;
static void note_id(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    if (sock > highest)
        highest = sock;
}

static void one_listener(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, note_id));
}

static void ids_of_flows(void)
{
    scene("ids of flows");
    script_begin();
    for (unsigned round = 0; round < 50; round++)
        for (unsigned n = 0; n < 8; n++) {
            struct talk t;
            talk_init(&t, round * 8 + n);
            say_hello(&t);
            say_goodbye(&t, n & 1);
        }
    highest = 0;
    play(NULL, "max_concurrency = 8", one_listener);
    check_int((long long)played.flows_total, 400, "400 flows, one after another");
    check_int(highest, 1, "use one id");
    script_begin();
    struct talk talks[8];
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned n = 0; n < 8; n++) {
            talk_init(&talks[n], round * 8 + n);
            say_hello(&talks[n]);
        }
        for (unsigned n = 0; n < 8; n++)
            say_goodbye(&talks[n], n & 1);
    }
    highest = 0;
    play(NULL, "max_concurrency = 8", one_listener);
    check_int((long long)played.flows_total, 400, "400 flows, eight at a time");
    check_int(highest, 8, "use eight");
}

/* Which family a socket sees. */
static void families_setup(mctx_t m)
{
    static const int domains[3] = { AF_INET, AF_INET6, AF_UNSPEC };
    for (int i = 0; i < 3; i++) {
        int sock = mtcp_socket(m, domains[i], MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, numbered[i]));
        WORKS(mtcp_register_callback(m, sock, MOS_ON_ORPHAN, MOS_NULL, numbered[i]));
        int raw = mtcp_socket(m, domains[i], MOS_SOCK_MONITOR_RAW, 0);
        WORKS(mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, numbered[i]));
    }
}

static void families(void)
{
    struct talk t;
    scene("families");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    log_clear();
    play(NULL, NULL, families_setup);
    check_str(log_text, "0IN.b 2IN.b 0START.c 2START.c", "an IPv4 flow");
    script_begin();
    talk_init6(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    log_clear();
    play(NULL, NULL, families_setup);
    check_str(log_text, "1IN.b 2IN.b 1START.c 2START.c", "an IPv6 flow");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, families_setup);
    check_str(log_text, "0IN.b 2IN.b 0ORPHAN.b 2ORPHAN.b", "an IPv4 orphan");
    script_begin();
    talk_init6(&t, 1);
    say(&t, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, families_setup);
    check_str(log_text, "1IN.b 2IN.b 1ORPHAN.b 2ORPHAN.b", "an IPv6 orphan");
}

/* The order of the chain. */
static void chain_setup(mctx_t m)
{
    for (int i = 0; i < 3; i++) {
        int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, numbered[i]));
        WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, numbered[i]));
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, numbered[i]));
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, numbered[i]));
    }
}

static void chain(void)
{
    struct talk t;
    scene("the chain");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    log_clear();
    play(NULL, NULL, chain_setup);
    check_str(log_text,
              "0IN.c 1IN.c 2IN.c 0IN.v 1IN.v 2IN.v "
              "0END.c 1END.c 2END.c 0END.v 1END.v 2END.v",
              "a packet of the client's: in the order of creation");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    script_burst(0);
    script_call(0, clear_log, NULL);
    say(&t, 1, SYN | ACK, NULL, 0);
    play(NULL, NULL, chain_setup);
    check_str(log_text,
              "2IN.v 1IN.v 0IN.v 2IN.c 1IN.c 0IN.c "
              "0END.c 1END.c 2END.c 0END.v 1END.v 2END.v",
              "one of the server's: in the reverse order");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    script_burst(0);
    script_call(0, clear_log, NULL);
    say_text(&t, 0, "a");
    script_burst(0);
    say_text(&t, 1, "b");
    script_burst(0);
    play(NULL, NULL, chain_setup);
    check_str(log_text,
              "0IN.c 1IN.c 2IN.c 0IN.v 1IN.v 2IN.v 0DATA.v 1DATA.v 2DATA.v "
              "2IN.v 1IN.v 0IN.v 2IN.c 1IN.c 0IN.c 2DATA.c 1DATA.c 0DATA.c "
              "0END.c 1END.c 2END.c 0END.v 1END.v 2END.v",
              "data as well");
}

static void raw_chain_setup(mctx_t m)
{
    for (int i = 0; i < 3; i++) {
        int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
        WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, numbered[i]));
    }
    mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
}

static void raw_chain(void)
{
    struct talk t;
    scene("raw sockets in the chain");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    log_clear();
    play(NULL, NULL, raw_chain_setup);
    check_str(log_text, "0IN.b 1IN.b 2IN.b", "in the order of creation");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    script_burst(0);
    script_call(0, clear_log, NULL);
    say(&t, 1, SYN | ACK, NULL, 0);
    play(NULL, NULL, raw_chain_setup);
    check_str(log_text, "2IN.b 1IN.b 0IN.b", "for a packet from server to client in the reverse order");
}

/* An active socket starts with what its listener has at that moment. */
static struct {
    int listener, first, second;
    int limits[2][2];
} inherited;

static void on_inherit(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int size = 2000, which;
    socklen_t length = sizeof size;
    (void)side, (void)event, (void)arg;
    which = inherited.first < 0 ? 0 : 1;
    if (which == 0) {
        inherited.first = sock;
        /* For flows that start afterwards. */
        WORKS(mtcp_setsockopt(m, inherited.listener, SOL_MONSOCKET, MOS_CLIBUF, &size, sizeof size));
        size = 0;
        WORKS(mtcp_setsockopt(m, inherited.listener, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof size));
        WORKS(mtcp_register_callback(m, inherited.listener, MOS_ON_PKT_IN, MOS_HK_RCV, number1));
        WORKS(mtcp_unregister_callback(m, inherited.listener, MOS_ON_CONN_NEW_DATA, MOS_NULL));
    } else {
        inherited.second = sock;
    }
    WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &inherited.limits[which][0], &length));
    WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &inherited.limits[which][1], &length));
}

static void inherit_setup(mctx_t m)
{
    int size = 1000;
    inherited.first = inherited.second = -1;
    inherited.listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_setsockopt(m, inherited.listener, SOL_MONSOCKET, MOS_CLIBUF, &size, sizeof size));
    WORKS(mtcp_register_callback(m, inherited.listener, MOS_ON_CONN_START, MOS_HK_SND, on_inherit));
    WORKS(mtcp_register_callback(m, inherited.listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, number0));
}

static void inheritance(void)
{
    struct talk a, b;
    scene("what an active socket starts with");
    script_begin();
    talk_init(&a, 1);
    talk_init(&b, 2);
    say_hello(&a);
    say_hello(&b);
    script_burst(0);
    script_call(0, clear_log, NULL);
    say_text(&a, 1, "x");
    say_text(&b, 1, "y");
    play(NULL, NULL, inherit_setup);
    check_int(inherited.limits[0][0], 1000, "the listener's buffer size");
    check_int(inherited.limits[0][1], 8192, "rmem_size by default");
    check_int(inherited.limits[1][0], 2000, "a later flow the changed one");
    check_int(inherited.limits[1][1], 0, "for both sides");
    check_str(log_text, "1IN.c 0DATA.c", "events as they were at that moment, too");
}

/* Closing from inside handlers. */
static enum { CLOSE_SELF, CLOSE_LISTENER, CLOSE_OTHER_LISTENER, CLOSE_RAW } what;
static int close_results[2], close_errors, raw_id;

static void closer(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    tagged(m, sock, side, event, arg);
    switch (what) {
    case CLOSE_SELF: close_results[0] = mtcp_close(m, sock); break;
    case CLOSE_LISTENER: close_results[0] = mtcp_close(m, listeners[0]); break;
    case CLOSE_OTHER_LISTENER:
        /* Once: its id goes to somebody else. */
        if (close_results[0])
            close_results[0] = mtcp_close(m, listeners[1]);
        break;
    case CLOSE_RAW: close_results[0] = mtcp_close(m, raw_id); break;
    }
    /* What the handler runs on stays valid until it returns. */
    if (what != CLOSE_RAW && event != MOS_ON_ORPHAN) {
        close_errors += mtcp_getpeername(m, sock, (struct sockaddr *)&peer, &length, MOS_SIDE_CLI) != 0;
        mtcp_set_uctx(m, sock, &what);
        close_errors += mtcp_get_uctx(m, sock) != &what;
    }
    errno = 0;
    if (what == CLOSE_RAW)
        close_errors += mtcp_close(m, raw_id) != -1 || errno != EBADF;
}

static void close_setup(mctx_t m)
{
    for (int i = 0; i < 2; i++) {
        listeners[i] = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(m, listeners[i], MOS_ON_PKT_IN, MOS_HK_SND, i ? number1 : closer));
        WORKS(mtcp_register_callback(m, listeners[i], MOS_ON_CONN_START, MOS_HK_SND, i ? number1 : tagged));
        WORKS(mtcp_register_callback(m, listeners[i], MOS_ON_PKT_IN, MOS_HK_RCV, i ? number1 : tagged));
        WORKS(mtcp_register_callback(m, listeners[i], MOS_ON_CONN_END, MOS_HK_RCV, i ? number1 : tagged));
    }
}

static void close_inside(void)
{
    struct talk a, b;
    scene("closing inside a handler");
    for (int round = 0; round < 3; round++) {
        script_begin();
        talk_init(&a, 1);
        talk_init(&b, 2);
        say(&a, 0, SYN, NULL, 0);
        script_burst(0);
        say(&a, 1, SYN | ACK, NULL, 0);
        say(&b, 0, SYN, NULL, 0);
        what = round == 0 ? CLOSE_SELF : round == 1 ? CLOSE_LISTENER : CLOSE_OTHER_LISTENER;
        close_results[0] = 99;
        close_errors = 0;
        log_clear();
        play(NULL, NULL, close_setup);
        if (round == 0) {
            check_int(close_results[0], 0, "its own active socket");
            check_str(log_text,
                      "2IN.c 1IN.c 1START.c 1IN.v "
                      "1IN.v 1IN.c "
                      "2IN.c 1IN.c 1START.c 1IN.v "
                      "1END.c 1END.v 1END.c 1END.v",
                      "it is not called again, the other listener's is, and a new flow starts as before");
        } else if (round == 1) {
            check_int(close_results[0], 0, "its own listener");
            check_str(log_text,
                      "2IN.c 1IN.c 1START.c 1IN.v "
                      "1IN.v 1IN.c "
                      "1IN.c 1START.c 1IN.v "
                      "1END.c 1END.v 1END.c 1END.v",
                      "no active socket of it is called again, and it gets no new flow");
        } else {
            check_str(log_text,
                      "2IN.c 2START.c 2IN.v "
                      "2IN.v 2IN.c "
                      "1IN.c 1START.c 1IN.v "
                      "2END.c 2END.v 1END.c 1END.v",
                      "the other listener: its socket is not called any more");
        }
        check_int(close_errors, 0, "the socket stays valid until the handler returns");
    }
}

static void orphan_close_setup(mctx_t m)
{
    for (int i = 0; i < 2; i++) {
        listeners[i] = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(m, listeners[i], MOS_ON_ORPHAN, MOS_NULL, i ? number1 : closer));
    }
}

static void raw_close_setup(mctx_t m)
{
    for (int i = 0; i < 2; i++) {
        int raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
        if (i == 0)
            raw_id = raw;
        WORKS(mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, i ? number1 : closer));
    }
}

static void close_others(void)
{
    struct talk t;
    scene("closing inside a handler");
    script_begin();
    talk_init(&t, 1);
    for (int i = 0; i < 3; i++)
        say(&t, 0, ACK, NULL, 0);
    what = CLOSE_LISTENER;
    log_clear();
    play(NULL, NULL, orphan_close_setup);
    check_str(log_text, "0ORPHAN.b 1ORPHAN.b 1ORPHAN.b 1ORPHAN.b", "a listener in its own orphan's handler");
    what = CLOSE_OTHER_LISTENER;
    close_results[0] = 99;
    log_clear();
    play(NULL, NULL, orphan_close_setup);
    check_str(log_text, "0ORPHAN.b 0ORPHAN.b 0ORPHAN.b", "another listener in an orphan's handler");
    what = CLOSE_RAW;
    close_errors = 0;
    log_clear();
    play(NULL, NULL, raw_close_setup);
    check_str(log_text, "0IN.b 1IN.b 1IN.b 1IN.b", "a raw socket in its own handler");
    check_int(close_errors, 0, "its id is gone at once");
}

/* A handler that makes sockets: they see what comes afterwards. */
static void maker(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    tagged(m, sock, side, event, arg);
    if (made_count < 3) {
        int raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
        made[made_count++] = raw;
        if (mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, number1) != 0)
            check(0, "registration on a socket made in a handler");
    }
}

static void maker_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, maker));
}

static void make_inside(void)
{
    struct talk t;
    scene("making sockets inside a handler");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "x");
    made_count = 0;
    log_clear();
    play(NULL, NULL, maker_setup);
    /* The reverse order of raw sockets cannot be seen here: all are called 1. */
    check_str(log_text, "1IN.c 1IN.b 1IN.v 1IN.b 1IN.b 1IN.c 1IN.b 1IN.b 1IN.b 1IN.c",
              "they see the packets that come afterwards");
}

/* Raw sockets: every IP packet once. */
static int raw_count, raw_wrong;
static void on_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)arg;
    raw_count++;
    raw_wrong += side != MOS_SIDE_BOTH || event != MOS_ON_PKT_IN || sock != raw_id;
    raw_wrong += mtcp_getlastpkt(m, sock, side, &p) != 0 || !p.iph || !p.ethh;
}

static void raw_setup(mctx_t m)
{
    mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw_id = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, raw_id, MOS_ON_PKT_IN, MOS_NULL, on_raw));
}

static void raw_packets(void)
{
    struct talk t;
    uint8_t frame[2000], cut[2000];
    uint32_t length;
    scene("raw sockets");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);                                                      /* 3: a flow */
    say_text(&t, 0, "x");                                               /* 4 */
    say_at(&t, 0, ACK, t.next[0] - 1, t.next[1], "x", 1);               /* 5: a retransmission */
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));       /* 6 */
    script_add(0, frame, make_other(frame, &t, 1, 1, "icmp", 4));       /* 7 */
    script_add(0, frame, make_other(frame, &t, 1, 132, "sctp", 4));     /* 8 */
    talk_init6(&t, 2);
    say_hello(&t);                                                      /* 11 */
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));       /* 12 */
    script_add(0, frame, make_other(frame, &t, 0, 58, "icmp6", 5));     /* 13 */
    talk_init(&t, 3);
    t.vlan = 7;
    t.outer_vlan = 9;
    say_hello(&t);                                                      /* 16 */
    talk_init(&t, 4);
    say(&t, 0, ACK, "orphan", 6);                                       /* 17 */
    /* A bad TCP checksum, a bad IP checksum, and a bad data offset. */
    length = make_tcp(frame, &t, 0, SYN, 1, 0, NULL, 0, NULL, 0);
    frame[14 + 20 + 16] ^= 1;
    script_add(0, frame, length);                                       /* 18 */
    frame[14 + 10] ^= 1;
    script_add(0, frame, length);                                       /* 19 */
    length = make_tcp(frame, &t, 0, SYN, 1, 0, NULL, 0, NULL, 0);
    frame[14 + 20 + 12] = 0x40;
    fix_l4_checksum(frame + 14, 6);
    script_add(0, frame, length);                                       /* 20 */
    /* Two fragments of a UDP datagram. */
    length = make_other(frame, &t, 0, 17, "0123456789abcdefghijklmn", 24);
    memcpy(cut, frame, 14 + 20 + 16);
    put16(cut + 14 + 2, 20 + 16);
    put16(cut + 14 + 6, 0x2000);
    fix_ip_checksum(cut + 14);
    script_add(0, cut, 14 + 20 + 16);                                   /* 21 */
    memcpy(cut + 14 + 20, frame + 14 + 20 + 16, 16);
    put16(cut + 14 + 6, 2);
    fix_ip_checksum(cut + 14);
    script_add(0, cut, 14 + 20 + 16);                                   /* 22 */
    /* Not IP, and too short. */
    script_add(0, frame, make_arp(frame));
    script_add(0, frame, 10);
    raw_count = raw_wrong = 0;
    play(NULL, "forward = 0", raw_setup);
    check_int(raw_count, 22, "each IP packet once, of whatever kind");
    check_int(raw_wrong, 0, "with side BOTH, the socket's id and the packet");
    check_int((long long)played.non_ip, 1, "what is not IP is counted");
    check_int((long long)played.rx_short_frame, 1, "so is what is too short");
    check_int((long long)played.rx_bad_ip_checksum, 1, "a bad IP checksum");
    check_int((long long)played.rx_bad_tcp_checksum, 1, "a bad TCP checksum");
    check_int((long long)played.rx_bad_tcp_offset, 1, "a bad data offset");
    check_int((long long)played.fragments_in, 2, "fragments");
    check_int((long long)played.rx_packets, 24, "all frames");
}

/* Dropping on a raw socket. */
static int flow_events;
static void on_raw_drop(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    raw_count++;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.tcph && p.tcph->syn && !p.tcph->ack) {
        if (raw_count & 1)
            raw_wrong += mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP) != 0;
        else
            raw_wrong += mtcp_cb_dropcurpkt(m) != 0;
    }
}

static void on_flow_event(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    flow_events++;
}

static void raw_drop_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, on_flow_event));
    raw_id = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, raw_id, MOS_ON_PKT_IN, MOS_NULL, on_raw_drop));
}

static void raw_drops(void)
{
    struct talk t;
    uint8_t frame[100];
    scene("drops by a raw socket");
    script_begin();
    for (unsigned n = 0; n < 4; n++) {
        talk_init(&t, n);
        say(&t, 0, SYN, NULL, 0);
        script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
        script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    }
    raw_count = raw_wrong = flow_events = 0;
    play("script:a 0x1\nscript:b 0x1", "nic_forward_table { script:a script:b }", raw_drop_setup);
    check_int(raw_count, 12, "all packets were seen");
    check_int(raw_wrong, 0, "dropping works both ways");
    check_int(flow_events, 0, "what is dropped starts no flow");
    check_int((long long)script[1].sent_count, 8, "and is not forwarded");
    check_int((long long)played.drop_app, 4, "it is counted");
    check_int((long long)played.tx_packets, 8, "the rest went out");
}

static void raw_orphan_setup(mctx_t m)
{
    raw_id = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, raw_id, MOS_ON_ORPHAN, MOS_NULL, tagged));
    WORKS(mtcp_register_callback(m, raw_id, MOS_ON_PKT_IN, MOS_NULL, tagged));
    mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
}

static void raw_orphans(void)
{
    struct talk t, u;
    scene("orphans on raw sockets");
    script_begin();
    talk_init(&t, 1);
    talk_init(&u, 2);
    say(&t, 0, SYN, NULL, 0);
    say(&u, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, raw_orphan_setup);
    check_str(log_text, "0IN.b 0IN.b 0ORPHAN.b", "raw sockets that registered it get them");
    check_int((long long)played.orphans, 1, "it is counted once");
}

int main(void)
{
    ids();
    domains_and_types();
    bad_ids();
    ids_of_flows();
    families();
    chain();
    raw_chain();
    inheritance();
    close_inside();
    close_others();
    make_inside();
    raw_packets();
    raw_drops();
    raw_orphans();
    return finish();
}
