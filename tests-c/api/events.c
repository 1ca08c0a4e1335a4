/* Events, their registration and user-defined events: 02-monitor.md section 3. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>

#include "api/scene.h"

static void nothing(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
}

static bool yes(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return true;
}

static bool no(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return false;
}

/* One flow, one packet. */
static struct talk one;
static void one_syn(void)
{
    script_begin();
    talk_init(&one, 1);
    say(&one, 0, SYN, NULL, 0);
    log_clear();
}

/* Which hooks an event may be registered at. */
static void hooks(void)
{
    static const int points[3] = { MOS_NULL, MOS_HK_SND, MOS_HK_RCV };
    static const char *const names[3] = { "MOS_NULL", "MOS_HK_SND", "MOS_HK_RCV" };
    const uint64_t not_null = MOS_ON_CONN_START | MOS_ON_REXMIT | MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END;
    const uint64_t null_only = MOS_ON_CONN_NEW_DATA | MOS_ON_ORPHAN | MOS_ON_ERROR;
    char what[128];
    scene("hooks");
    script_begin();
    WORKS(begin(NULL, NULL));
    mctx_t m = mtcp_create_context(0);
    for (int kind = 0; kind < 2; kind++) {
        int sock = mtcp_socket(m, AF_INET, kind ? MOS_SOCK_MONITOR_RAW : MOS_SOCK_MONITOR_STREAM, 0);
        for (uint64_t event = 1; event <= MOS_ON_DEBUG_MESSAGE; event <<= 1)
            for (int at = 0; at < 3; at++) {
                int legal = !(event & (at == 0 ? not_null : null_only));
                event_t child = mtcp_define_event(event, yes, NULL), deep = child;
                for (int level = 0; level < 5; level++)
                    deep = mtcp_define_event(deep, yes, NULL);
                event_t made = mtcp_alloc_event(deep);
                event_t all[4] = { event, child, deep, made };
                for (int i = 0; i < 4; i++) {
                    snprintf(what, sizeof what, "event 0x%llx, level %d, at %s on a %s", (unsigned long long)event, i, names[at],
                             kind ? "raw socket" : "listener");
                    if (legal)
                        check_int(mtcp_register_callback(m, sock, all[i], points[at], nothing), 0, what);
                    else
                        FAILS_AS(mtcp_register_callback(m, sock, all[i], points[at], nothing), EINVAL, what);
                }
            }
    }
    FAILS(mtcp_register_callback(m, 0, 0, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN | MOS_ON_CONN_START, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, 1 << 30, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, 1ull << 40, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, 1ull << 63, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, (1ull << 32) | 1, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, 4095, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, 1000000, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, ~0ull, MOS_HK_SND, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, 0, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, 1, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, -1, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, MOS_HK_SND | MOS_HK_RCV, nothing), EINVAL);
    FAILS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, MOS_NULL | MOS_HK_RCV, nothing), EINVAL);
    long extended = (long)MOS_HK_SND; /* as programs that keep it in a long pass it */
    WORKS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, (int)extended, nothing));
    WORKS(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, (int)0x80000000u, nothing));
    FAILS(mtcp_register_callback(m, 99, MOS_ON_PKT_IN, MOS_HK_SND, nothing), EBADF);
    WORKS(mtcp_destroy());

    scene("unregistration");
    WORKS(begin(NULL, NULL));
    m = mtcp_create_context(0);
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    FAILS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND), EINVAL);
    FAILS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL), EINVAL);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, nothing));
    FAILS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV), EINVAL);
    WORKS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND));
    FAILS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND), EINVAL);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, nothing));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL));
    FAILS(mtcp_unregister_callback(m, sock, MOS_NULL_EVENT, MOS_HK_SND), EINVAL);
    FAILS(mtcp_unregister_callback(m, sock, 99999, MOS_HK_SND), EINVAL);
    FAILS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, 3), EINVAL);
    FAILS(mtcp_unregister_callback(m, 5, MOS_ON_PKT_IN, MOS_HK_SND), EBADF);
    WORKS(mtcp_destroy());
}

/* A whole conversation, every event at every hook, and the states at each change. */
static void at_state(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static const char *const states[] = { "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
                                          "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT" };
    int client = -1, server = -1;
    socklen_t length = sizeof client;
    (void)side, (void)event, (void)arg;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &client, &length) != 0 || length != sizeof client ||
        mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &server, &length) != 0 || client < 0 || client > 10 ||
        server < 0 || server > 10)
        log_word("?");
    else
        log_word("%s/%s", states[client], states[server]);
}

static void all_setup(mctx_t m)
{
    listen_to(m, AF_INET, EVERYTHING);
}

static void state_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, at_state));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, at_state));
}

static void whole(void)
{
    static const char *const handshake = "sIN.c sSTART.c sSTATE.c rIN.v rSTART.v rSTATE.v sIN.v rIN.c rSTATE.c "
                                         "sIN.c rIN.v rSTATE.v ";
    char want[2000];
    scene("a whole conversation");
    for (int round = 0; round < 6; round++) {
        struct talk t;
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        if (round == 0) {
            script_burst(0);
            say_text(&t, 0, "request");
            script_burst(0);
            say_text(&t, 1, "answer");
            script_burst(0);
            say_goodbye(&t, 0);
        } else if (round == 1) {
            say_text(&t, 0, "request");
            say_text(&t, 1, "answer");
            say_text(&t, 0, "more");
            say_goodbye(&t, 1);
        } else if (round == 2) {
            /* Both at once. */
            uint32_t c = t.next[0], s = t.next[1];
            say_at(&t, 0, FIN | ACK, c, s, NULL, 0);
            say_at(&t, 1, FIN | ACK, s, c, NULL, 0);
            say_at(&t, 0, ACK, c + 1, s + 1, NULL, 0);
            say_at(&t, 1, ACK, s + 1, c + 1, NULL, 0);
        } else if (round == 3) {
            say_text(&t, 0, "request");
            say(&t, 1, RST, NULL, 0);
        } else if (round == 4) {
            /* Four packets. */
            say(&t, 0, FIN | ACK, NULL, 0);
            say(&t, 1, ACK, NULL, 0);
            say_text(&t, 1, "late");
            say(&t, 1, FIN | ACK, NULL, 0);
            say(&t, 0, ACK, NULL, 0);
        } else {
            say_text(&t, 0, "and nothing more");
        }
        log_clear();
        play(NULL, NULL, all_setup);
        static const char *const rest[6] = {
            "sIN.c rIN.v nDATA.v sIN.v rIN.c nDATA.c "
            "sIN.c sSTATE.c rIN.v rSTATE.v sIN.v sSTATE.v rIN.c rSTATE.c sIN.c rIN.v rSTATE.v "
            "rSTATE.v rEND.v sSTATE.v sEND.v rSTATE.c rEND.c sSTATE.c sEND.c",
            "sIN.c rIN.v sIN.v rIN.c sIN.c rIN.v "
            "sIN.v sSTATE.v rIN.c rSTATE.c sIN.c sSTATE.c rIN.v rSTATE.v sIN.v rIN.c rSTATE.c "
            /* What nobody has been told yet comes before the end. */
            "nDATA.v nDATA.c "
            "rSTATE.c rEND.c sSTATE.c sEND.c rSTATE.v rEND.v sSTATE.v sEND.v",
            "sIN.c sSTATE.c rIN.v rSTATE.v sIN.v sSTATE.v rIN.c rSTATE.c sIN.c rIN.v rSTATE.v sIN.v rIN.c rSTATE.c "
            "rSTATE.c rEND.c sSTATE.c sEND.c rSTATE.v rEND.v sSTATE.v sEND.v",
            "sIN.c rIN.v sIN.v sSTATE.v rIN.c rSTATE.c nDATA.v "
            "rSTATE.c rEND.c sSTATE.c sEND.c rSTATE.v rEND.v sSTATE.v sEND.v",
            "sIN.c sSTATE.c rIN.v rSTATE.v sIN.v rIN.c rSTATE.c sIN.v rIN.c "
            "sIN.v sSTATE.v rIN.c rSTATE.c sIN.c rIN.v rSTATE.v nDATA.c "
            "rSTATE.v rEND.v sSTATE.v sEND.v rSTATE.c rEND.c sSTATE.c sEND.c",
            "sIN.c rIN.v nDATA.v "
            "rSTATE.c rEND.c sSTATE.c sEND.c rSTATE.v rEND.v sSTATE.v sEND.v",
        };
        static const char *const names[6] = { "closed by the client, a burst for each step", "closed by the server, in one burst",
                                              "closed by both at once", "reset", "half-closed", "until the trace ends" };
        snprintf(want, sizeof want, "%s%s", handshake, rest[round]);
        check_str(log_text, want, names[round]);
        log_clear();
        play(NULL, NULL, state_setup);
        static const char *const states[6] = {
            "FIN_WAIT_1/ESTABLISHED FIN_WAIT_1/CLOSE_WAIT FIN_WAIT_1/LAST_ACK TIME_WAIT/LAST_ACK TIME_WAIT/CLOSED ",
            "ESTABLISHED/FIN_WAIT_1 CLOSE_WAIT/FIN_WAIT_1 LAST_ACK/FIN_WAIT_1 LAST_ACK/TIME_WAIT CLOSED/TIME_WAIT ",
            /* The server's FIN does not acknowledge the client's: it had not arrived. */
            "FIN_WAIT_1/ESTABLISHED FIN_WAIT_1/CLOSE_WAIT FIN_WAIT_1/CLOSING CLOSING/CLOSING CLOSING/TIME_WAIT "
            "TIME_WAIT/TIME_WAIT ",
            "ESTABLISHED/CLOSED CLOSED/CLOSED ",
            "FIN_WAIT_1/ESTABLISHED FIN_WAIT_1/CLOSE_WAIT FIN_WAIT_2/CLOSE_WAIT FIN_WAIT_2/LAST_ACK TIME_WAIT/LAST_ACK "
            "TIME_WAIT/CLOSED ",
            "",
        };
        snprintf(want, sizeof want,
                 "SYN_SENT/LISTEN SYN_SENT/SYN_RCVD ESTABLISHED/SYN_RCVD ESTABLISHED/ESTABLISHED %s"
                 "CLOSED/CLOSED CLOSED/CLOSED CLOSED/CLOSED CLOSED/CLOSED",
                 states[round]);
        check_str(log_text, want, "the states");
    }
}

/* Registering again, on listeners and on active sockets. */
static void first(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    log_word("first");
}

static void second(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    log_word("second");
}

static void again_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, first));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, second));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, first));
    WORKS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV, second));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV, second));
}

/* Changes from inside a handler. */
static int step, listener, changed;
static void changer(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    log_word("changer");
    switch (step) {
    case 0: /* itself: this dispatch goes on, the next has the new one */
        WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, first));
        break;
    case 1: /* removes itself */
        WORKS(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND));
        break;
    case 2: /* a later event of the same packet */
        if (changed++)
            break;
        WORKS(mtcp_register_callback(m, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, first));
        WORKS(mtcp_unregister_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND));
        break;
    case 3: /* the listener: flows that start afterwards */
        WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, first));
        break;
    }
}

static void change_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, changer));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_START, MOS_HK_SND, second));
}

static void changes(void)
{
    static const char *const want[4] = {
        "changer second first first", /* SYN: PKT_IN, START; SYN/ACK and ACK: PKT_IN */
        "changer second",
        "changer first changer changer first first", /* the last two at the end */
        "changer second changer changer first second first first",
    };
    static const char *const names[4] = { "a handler that replaces itself", "a handler that removes itself",
                                          "a later event of the same packet", "the listener" };
    scene("registering again");
    one_syn();
    play(NULL, NULL, again_setup);
    check_str(log_text, "second second", "replaces the handler; removing removes it");
    scene("registering inside a handler");
    for (step = 0; step < 4; step++) {
        struct talk t;
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        if (step == 3) {
            talk_init(&t, 2);
            say_hello(&t);
        }
        log_clear();
        changed = 0;
        play(NULL, NULL, change_setup);
        check_str(log_text, want[step], names[step]);
    }
}

/* Two flows with one listener: a change on one's active socket is its own. */
static int flow_number;
static void only_first(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (flow_number++ == 0) {
        WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, first));
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, second));
    }
}

static void own_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, only_first));
}

static void per_flow(void)
{
    struct talk a, b;
    scene("registering on an active socket");
    script_begin();
    talk_init(&a, 1);
    talk_init(&b, 2);
    say_hello(&a);
    say_hello(&b);
    say_text(&a, 0, "x");
    say_text(&b, 0, "y");
    flow_number = 0;
    log_clear();
    play(NULL, NULL, own_setup);
    check_str(log_text, "first first first first second", "concerns that flow alone");
    check_int(flow_number, 2, "there were two");
}

/* Definitions. */
static void *definer(void *result)
{
    event_t *ids = (event_t *)result;
    for (int i = 0; i < 200; i++) {
        filter_arg_t arg = { &i, sizeof i };
        ids[i] = mtcp_define_event(i ? ids[i / 2] : (event_t)MOS_ON_PKT_IN, yes, &arg);
    }
    return NULL;
}

static void definitions(void)
{
    char text[8] = "abc";
    filter_arg_t arg = { text, 4 }, bad = { NULL, 4 }, empty = { NULL, 0 }, other = { text, 3 };
    scene("definitions");
    event_t a = mtcp_define_event(MOS_ON_PKT_IN, yes, &arg);
    check(a >= 4096, "numbered from 4096");
    check(mtcp_define_event(MOS_ON_PKT_IN, yes, &arg) == a, "the same again is the same");
    check(mtcp_define_event(MOS_ON_PKT_IN, yes, &other) != a, "a shorter argument is another");
    check(mtcp_define_event(MOS_ON_PKT_IN, no, &arg) != a, "another filter is another");
    check(mtcp_define_event(MOS_ON_CONN_START, yes, &arg) != a, "another parent is another");
    check(mtcp_define_event(MOS_ON_PKT_IN, yes, NULL) == mtcp_define_event(MOS_ON_PKT_IN, yes, &empty),
          "no argument and an empty one are the same");
    strcpy(text, "xyz");
    event_t b = mtcp_define_event(MOS_ON_PKT_IN, yes, &arg);
    check(b != a && b > a, "other bytes are another, with the next number");
    strcpy(text, "abc");
    check(mtcp_define_event(MOS_ON_PKT_IN, yes, &arg) == a, "the bytes were copied");
    event_t next = mtcp_alloc_event(a);
    check(next == mtcp_alloc_event(a) - 1, "numbers follow one another; mtcp_alloc_event makes a new one each time");
#define NO_EVENT(call) (errno = 0, check_errno((long long)(call), 0, EINVAL, #call " gives MOS_NULL_EVENT"))
    NO_EVENT(mtcp_define_event(MOS_ON_PKT_IN, NULL, &arg));
    NO_EVENT(mtcp_define_event(MOS_ON_PKT_IN, yes, &bad));
    NO_EVENT(mtcp_define_event(MOS_NULL_EVENT, yes, NULL));
    NO_EVENT(mtcp_define_event(MOS_ON_PKT_IN | MOS_ON_CONN_START, yes, NULL));
    NO_EVENT(mtcp_define_event(1 << 30, yes, NULL));
    NO_EVENT(mtcp_define_event(4095, yes, NULL));
    NO_EVENT(mtcp_define_event(1ull << 50, yes, NULL));
    NO_EVENT(mtcp_define_event(9999999, yes, NULL));
    NO_EVENT(mtcp_alloc_event(MOS_NULL_EVENT));
    NO_EVENT(mtcp_alloc_event(9999999));
    NO_EVENT(mtcp_alloc_event(3));
    check(mtcp_define_event(next, yes, NULL) > next, "below an allocated one, too");

    pthread_t threads[4];
    static event_t ids[4][200];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, definer, ids[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int same = 1;
    for (int i = 1; i < 4; i++)
        same = same && memcmp(ids[0], ids[i], sizeof ids[0]) == 0;
    check(same && ids[0][199] != 0, "four threads that define the same events at once get the same ids");
}

/* Filters: how often they run, and what they get. */
struct counted {
    int *runs;
    int result;
    char name[8];
};
static const void *copies[8];
static int copy_count, filter_errors;

static bool counted_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    const struct counted *c = (const struct counted *)arg->arg;
    (void)m, (void)sock, (void)side;
    filter_errors += arg->len != sizeof *c || event < 4096;
    (*c->runs)++;
    log_word("?%s", c->name);
    return c->result;
}

static void counted_handler(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    const struct counted *c = (const struct counted *)arg->arg;
    (void)m, (void)sock, (void)side;
    filter_errors += arg->len != sizeof *c || event < 4096;
    if (copy_count < 8)
        copies[copy_count++] = c;
    log_word("!%s", c->name);
}

static void plain_handler(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side;
    filter_errors += !arg || arg->arg || arg->len || event >= 4096;
    log_word("!plain");
}

static int runs[8];
static event_t define(event_t parent, int at, int result, const char *name)
{
    struct counted c;
    filter_arg_t arg = { &c, sizeof c };
    memset(&c, 0, sizeof c);
    c.runs = &runs[at];
    c.result = result;
    snprintf(c.name, sizeof c.name, "%s", name);
    event_t event = mtcp_define_event(parent, counted_filter, &arg);
    memset(&c, 0xee, sizeof c);
    return event;
}

static void tree_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    event_t a = define(MOS_ON_PKT_IN, 0, 1, "a");
    event_t b = define(MOS_ON_PKT_IN, 1, 0, "b");
    event_t c = define(MOS_ON_PKT_IN, 2, 1, "c");
    event_t aa = define(a, 3, 1, "aa");
    event_t ab = define(a, 4, 0, "ab");
    event_t ac = define(a, 5, 1, "ac");
    event_t ba = define(b, 6, 1, "ba");
    event_t aaa = define(aa, 7, 1, "aaa");
    /* Registered in another order than that of the ids; a and c have no handler, c nothing below it either. */
    (void)c;
    WORKS(mtcp_register_callback(m, sock, aaa, MOS_HK_SND, counted_handler));
    WORKS(mtcp_register_callback(m, sock, ac, MOS_HK_SND, counted_handler));
    WORKS(mtcp_register_callback(m, sock, ba, MOS_HK_SND, counted_handler));
    WORKS(mtcp_register_callback(m, sock, b, MOS_HK_SND, counted_handler));
    WORKS(mtcp_register_callback(m, sock, ab, MOS_HK_SND, counted_handler));
    WORKS(mtcp_register_callback(m, sock, aa, MOS_HK_SND, counted_handler));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, plain_handler));
}

static void trees(void)
{
    scene("a tree of events");
    one_syn();
    memset(runs, 0, sizeof runs);
    copy_count = filter_errors = 0;
    play(NULL, NULL, tree_setup);
    check_str(log_text, "!plain ?a ?aa !aa ?aaa !aaa ?ab ?ac !ac ?b",
              "a node's filter, its handler, its children in the order of their ids; nothing below a false one, nothing where nobody is");
    check_int(runs[0], 1, "a filter runs once however many events hang below it");
    check_int(runs[2], 0, "a filter with nothing registered at it or below does not run");
    check_int(filter_errors, 0, "arguments are copies, built-in events have NULL and 0");
}

/* Raising. */
static event_t parent_event, child[5], grandchild;
static int raise_results[8], raise_codes[8], raise_count;
static void raise_one(mctx_t m, event_t event)
{
    errno = 0;
    int result = mtcp_raise_event(m, event);
    if (raise_count < 8) {
        raise_results[raise_count] = result;
        raise_codes[raise_count] = errno;
        raise_count++;
    }
}

static bool raising_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)event, (void)arg;
    log_word("filter");
    switch (step) {
    case 0: /* two, in this order */
        raise_one(m, child[1]);
        raise_one(m, child[0]);
        return true;
    case 1: /* twice */
        raise_one(m, child[0]);
        raise_one(m, child[0]);
        return true;
    case 2: /* and then says no */
        raise_one(m, child[0]);
        return false;
    case 3: /* what cannot be raised */
        raise_one(m, child[4]);           /* nothing is registered for it */
        raise_one(m, MOS_ON_PKT_IN);      /* built-in */
        raise_one(m, parent_event);       /* has a filter */
        raise_one(m, 123456789);          /* unknown */
        raise_one(m, 0);
        return true;
    default:
        return true;
    }
}

static void named(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side;
    check(arg && !arg->arg && arg->len == 0, "an allocated event has no argument");
    for (int i = 0; i < 5; i++)
        if (event == child[i])
            log_word("child%d", i);
    if (event == grandchild)
        log_word("grandchild");
    if (event == parent_event)
        log_word("parent");
    if (step == 4 && event == parent_event) {
        /* From a handler; and at a node below, for the parent's child. */
        raise_one(m, child[2]);
    } else if (step == 4 && event == child[2]) {
        raise_one(m, grandchild);
        raise_one(m, child[3]);
    }
}

static event_t elsewhere; /* a child of another built-in event */

static void at_other(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)event, (void)arg;
    log_word("other");
    if (step == 5)
        raise_one(m, child[0]); /* the dispatch is not at its parent */
}

static void raise_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    (void)id, (void)side, (void)event, (void)arg;
    if (step == 5)
        raise_one(m, child[0]); /* no dispatch */
}

static void raise_setup(mctx_t m)
{
    struct timeval now = { 0, 1 };
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (!parent_event) {
        parent_event = mtcp_define_event(MOS_ON_PKT_IN, raising_filter, NULL);
        for (int i = 0; i < 5; i++)
            child[i] = mtcp_alloc_event(parent_event);
        grandchild = mtcp_alloc_event(child[2]);
        elsewhere = mtcp_alloc_event(MOS_ON_CONN_START);
    }
    if (step != 4)
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, at_other));
    WORKS(mtcp_register_callback(m, sock, parent_event, MOS_HK_SND, named));
    for (int i = 0; i < 4; i++)
        WORKS(mtcp_register_callback(m, sock, child[i], MOS_HK_SND, named));
    WORKS(mtcp_register_callback(m, sock, grandchild, MOS_HK_SND, named));
    if (step == 5)
        WORKS(mtcp_settimer(m, 1, &now, raise_timer));
    raise_one(m, child[0]); /* not from the stack's thread */
    check(raise_results[0] == -1 && raise_codes[0] == EPERM, "raising from outside is EPERM");
    raise_count = 0;
}

static void raising(void)
{
    for (step = 0; step < 6; step++) {
        scene("raising");
        one_syn();
        if (step == 5)
            say(&one, 1, SYN | ACK, NULL, 0);
        raise_count = 0;
        play(NULL, NULL, raise_setup);
        switch (step) {
        case 0:
            check_str(log_text, "filter parent child1 child0 other", "in the order of raising, after the node's own handler");
            check(raise_count == 2 && raise_results[0] == 0 && raise_results[1] == 0, "both calls work");
            break;
        case 1:
            check_str(log_text, "filter parent child0 other", "twice runs once");
            check(raise_count == 2 && raise_results[0] == 0 && raise_results[1] == 0, "both calls work");
            break;
        case 2:
            check_str(log_text, "filter other", "what a filter raised that says no is forgotten");
            break;
        case 3:
            check_str(log_text, "filter parent other", "nothing runs that cannot be raised");
            check(raise_results[0] == -1 && raise_codes[0] == EINVAL, "EINVAL where nothing is registered");
            check(raise_results[1] == -1 && raise_codes[1] == EINVAL, "EINVAL for a built-in event");
            check(raise_results[2] == -1 && raise_codes[2] == EINVAL, "EINVAL for one with a filter");
            check(raise_results[3] == -1 && raise_codes[3] == EINVAL, "EINVAL for an unknown one");
            check(raise_results[4] == -1 && raise_codes[4] == EINVAL, "EINVAL for none");
            break;
        case 4:
            check_str(log_text, "filter parent child2 grandchild child3", "from a handler, and from a node below the parent");
            check(raise_count == 3 && raise_results[0] == 0 && raise_results[1] == 0 && raise_results[2] == 0, "all work");
            break;
        case 5:
            check(raise_count == 2, "both tries were made");
            check(raise_results[0] == -1 && raise_codes[0] == EINVAL, "while the dispatch is elsewhere: EINVAL");
            check(raise_results[1] == -1 && raise_codes[1] == EINVAL, "from a timer: EINVAL");
            break;
        }
    }
}

/* On active sockets, from handlers: define, register, raise in one go. */
static event_t late;
static bool late_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char first_byte = 0;
    (void)event, (void)arg;
    return mtcp_ppeek(m, sock, side, &first_byte, 1, 0) == 1 && first_byte == 'G';
}

static void late_handler(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)arg;
    log_word("late%d", sock);
    WORKS(mtcp_unregister_callback(m, sock, event, MOS_NULL));
}

static void late_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    late = mtcp_define_event(MOS_ON_CONN_NEW_DATA, late_filter, NULL);
    WORKS(mtcp_register_callback(m, sock, late, MOS_NULL, late_handler));
    FAILS(mtcp_register_callback(m, sock, late, MOS_HK_RCV, late_handler), EINVAL);
}

static void late_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV, late_start));
}

static void on_active(void)
{
    struct talk a, b;
    scene("defined and registered inside handlers");
    script_begin();
    talk_init(&a, 1);
    talk_init(&b, 2);
    say_hello(&a);
    say_hello(&b);
    for (int i = 0; i < 3; i++) {
        say_text(&a, 0, "GET");
        say_text(&b, 0, "PUT");
        script_burst(0);
    }
    log_clear();
    play(NULL, NULL, late_setup);
    check_str(log_text, "late1", "it fires on the flow that it is true for, until it is removed");
}

/* Shared sets: many flows, few sets. */
static void share_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (sock & 1)
        mtcp_register_callback(m, sock, MOS_ON_REXMIT, MOS_HK_RCV, nothing);
}

static uint64_t sets_in_use;
static void count_sets(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    struct mos_stats stats;
    (void)id, (void)side, (void)event, (void)arg;
    if (mos_get_stats(m, -1, &stats, sizeof stats) == 0)
        sets_in_use = stats.event_sets;
}

static void share_setup(mctx_t m)
{
    struct timeval soon = { 0, 900000 };
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, share_start));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, nothing));
    WORKS(mtcp_settimer(m, 1, &soon, count_sets));
}

static void shared_sets(void)
{
    scene("shared sets");
    script_begin();
    for (unsigned n = 0; n < 1000; n++) {
        struct talk t;
        talk_init(&t, n);
        say(&t, 0, SYN, NULL, 0);
    }
    play(NULL, NULL, share_setup);
    check_int((long long)sets_in_use, 3, "a thousand flows with two kinds of sets share three");
}

/* Events on raw sockets and for orphans. */
static bool is_udp(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    return mtcp_getlastpkt(m, sock, side, &p) == 0 && p.iph->protocol == 17;
}

static void raw_setup(mctx_t m)
{
    int raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0), sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    event_t udp = mtcp_define_event(MOS_ON_PKT_IN, is_udp, NULL);
    event_t orphan = mtcp_define_event(MOS_ON_ORPHAN, yes, NULL);
    WORKS(mtcp_register_callback(m, raw, udp, MOS_NULL, first));
    WORKS(mtcp_register_callback(m, sock, orphan, MOS_NULL, second));
}

static void on_raw(void)
{
    struct talk t;
    uint8_t frame[100];
    scene("user-defined events elsewhere");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, ACK, NULL, 0);
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    log_clear();
    play(NULL, NULL, raw_setup);
    check_str(log_text, "second first", "below PKT_IN of a raw socket, and below ORPHAN");
}

/* Handlers that do everything at once must not upset the rest. */
static int disorder_calls;
static void disorder(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct timeval soon = { 0, 1 };
    union monitor_filter filter;
    char buffer[8];
    int number = 0;
    (void)arg;
    disorder_calls++;
    memset(&filter, 0, sizeof filter);
    event_t made = mtcp_define_event(MOS_ON_PKT_IN, yes, NULL);
    mtcp_register_callback(m, sock, made, MOS_HK_SND, disorder_calls & 1 ? nothing : NULL);
    mtcp_register_callback(m, sock, event, MOS_HK_RCV, disorder);
    mtcp_unregister_callback(m, sock, MOS_ON_REXMIT, MOS_HK_RCV);
    mtcp_peek(m, sock, side, buffer, sizeof buffer);
    mtcp_bind_monitor_filter(m, listener, &filter);
    int raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, nothing);
    mtcp_close(m, raw);
    mtcp_settimer(m, 3, &soon, nothing);
    mtcp_setsockopt(m, sock, SOL_MONSOCKET, disorder_calls & 1 ? MOS_CLIBUF : MOS_SVRBUF, &number, sizeof number);
    number = 5000;
    mtcp_setsockopt(m, sock, SOL_MONSOCKET, disorder_calls & 1 ? MOS_CLIBUF : MOS_SVRBUF, &number, sizeof number);
    if (disorder_calls % 7 == 0)
        mtcp_cb_stop(m, sock, side);
    if (disorder_calls % 11 == 0)
        mtcp_close(m, sock);
    if (disorder_calls % 50 == 0) {
        mtcp_close(m, listener);
        listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        for (uint64_t bit = 1; bit <= MOS_ON_DEBUG_MESSAGE; bit <<= 1) {
            mtcp_register_callback(m, listener, bit, MOS_HK_SND, disorder);
            mtcp_register_callback(m, listener, bit, MOS_HK_RCV, disorder);
            mtcp_register_callback(m, listener, bit, MOS_NULL, disorder);
        }
    }
}

static void disorder_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    for (uint64_t bit = 1; bit <= MOS_ON_DEBUG_MESSAGE; bit <<= 1) {
        mtcp_register_callback(m, listener, bit, MOS_HK_SND, disorder);
        mtcp_register_callback(m, listener, bit, MOS_HK_RCV, disorder);
        mtcp_register_callback(m, listener, bit, MOS_NULL, disorder);
    }
}

static void upset(void)
{
    scene("handlers that change everything");
    script_begin();
    script_step = 10;
    for (unsigned round = 0; round < 10; round++)
        for (unsigned n = 0; n < 100; n++) {
            struct talk t;
            talk_init(&t, n);
            say_hello(&t);
            say_text(&t, 0, "some words");
            say_text(&t, 1, "some other words");
            say_at(&t, 0, ACK, t.next[0] - 3, t.next[1], "rds", 3);
            if (n & 1)
                say_goodbye(&t, 0);
        }
    disorder_calls = 0;
    play(NULL, NULL, disorder_setup);
    check(disorder_calls > 1000, "many calls");
    check_int((long long)played.flows_now, 0, "no flow is left");
    check_int((long long)played.memory_now, 0, "no memory is held");
}

int main(void)
{
    hooks();
    whole();
    changes();
    per_flow();
    definitions();
    trees();
    raising();
    on_active();
    shared_sets();
    on_raw();
    upset();
    return finish();
}
