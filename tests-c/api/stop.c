/* MOS_STOP_MON, and what is kept with a socket: user context, addresses, account.
 * 02-monitor.md sections 6, 7 and 8. */
#include "api/scene.h"

static int listener, stop_side, stop_at, how, packets;

/* Stops `stop_side` at the stop_at-th call of the handler. */
static void stopper(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    log_word("stop");
    if (++packets != stop_at)
        return;
    switch (how) {
    case 0: WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &stop_side, sizeof stop_side)); break;
    case 1: WORKS(mtcp_cb_stop(m, sock, stop_side)); break;
    case 2: WORKS(mtcp_close(m, sock)); break;
    }
}

static void setup(mctx_t m)
{
    int number = MOS_SIDE_BOTH;
    listener = listen_to(m, AF_INET, EVERYTHING);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, stopper));
    FAILS(mtcp_setsockopt(m, listener, SOL_MONSOCKET, MOS_STOP_MON, &number, sizeof number), EPERM);
    FAILS(mtcp_cb_stop(m, listener, MOS_SIDE_BOTH), EPERM);
}

static void conversation(struct talk *t)
{
    script_begin();
    talk_init(t, 1);
    say_hello(t);
    say_text(t, 0, "hello");
    script_burst(0);
    say_text(t, 1, "you");
    script_burst(0);
    say_goodbye(t, 0);
    script_burst(0);
    packets = 0;
    log_clear();
}

static const char *const forwards = "nic_forward_table { script:a script:b }";

static void sides(void)
{
    static const char *const names[3] = { "MOS_SIDE_CLI", "MOS_SIDE_SVR", "MOS_SIDE_BOTH" };
    static const char *const want[3] = {
        /* From the second packet on nothing of the client's side. */
        "stop sSTART.c sSTATE.c rIN.v rSTART.v rSTATE.v stop "
        "rIN.v rSTATE.v rIN.v nDATA.v stop rIN.v rSTATE.v stop sSTATE.v rIN.v rSTATE.v "
        "rSTATE.v rEND.v sSTATE.v sEND.v",
        "stop sSTART.c sSTATE.c rIN.v rSTART.v rSTATE.v stop rIN.c rSTATE.c "
        "stop stop rIN.c nDATA.c stop sSTATE.c rIN.c rSTATE.c stop "
        "rSTATE.c rEND.c sSTATE.c sEND.c",
        "stop sSTART.c sSTATE.c rIN.v rSTART.v rSTATE.v stop",
    };
    for (how = 0; how < 2; how++)
        for (stop_side = 0; stop_side < 3; stop_side++) {
            struct talk t;
            scene(how ? "mtcp_cb_stop" : "MOS_STOP_MON");
            conversation(&t);
            stop_at = 2;
            play("script:a 0x1\nscript:b 0x1", forwards, setup);
            check_str(log_text, want[stop_side], names[stop_side]);
            check_int((long long)played.orphans, 0, "its packets are no orphans");
            check_int((long long)script[1].sent_count, (long long)script[0].count, "they are forwarded");
            check_int((long long)played.flows_total, 1, "it is one flow to its end");
            check_int((long long)played.flows_now, 0, "which comes");
            check_int((long long)played.memory_now, 0, "no memory is held");
        }
    struct talk t;
    how = 2;
    scene("mtcp_close on an active socket");
    conversation(&t);
    play("script:a 0x1\nscript:b 0x1", forwards, setup);
    check_str(log_text, want[2], "the same as MOS_SIDE_BOTH");
    check_int((long long)script[1].sent_count, (long long)script[0].count, "packets are forwarded");
    check_int((long long)played.orphans, 0, "and no orphans");
}

/* The first side, then the other. */
static int two_step;
static void one_then_other(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[8];
    struct tcp_buf_info info;
    socklen_t length = sizeof info;
    int state;
    (void)side, (void)event, (void)arg;
    log_word("P");
    switch (++two_step) {
    case 4:
        WORKS(mtcp_cb_stop(m, sock, MOS_SIDE_CLI));
        FAILS(mtcp_peek(m, sock, MOS_SIDE_CLI, buffer, sizeof buffer), EINVAL);
        FAILS(mtcp_ppeek(m, sock, MOS_SIDE_CLI, buffer, sizeof buffer, 0), EINVAL);
        FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &info, &length), ENODATA);
        check_int(mtcp_peek(m, sock, MOS_SIDE_SVR, buffer, sizeof buffer), 5, "the other side can be read");
        break;
    case 5:
        length = sizeof state;
        WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &state, &length));
        WORKS(mtcp_cb_stop(m, sock, MOS_SIDE_CLI)); /* again */
        WORKS(mtcp_cb_stop(m, sock, MOS_SIDE_SVR));
        /* Valid until the handler returns. */
        WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &state, &length));
        break;
    }
}

static void two_step_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, one_then_other));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, at_receive));
}

static void both_in_turn(void)
{
    struct talk t;
    scene("one side, then the other");
    conversation(&t);
    two_step = 0;
    play("script:a 0x1\nscript:b 0x1", forwards, two_step_setup);
    /* SYN, SYN/ACK, ACK, data; the answer is not told any more, since it is received by the client's side. */
    check_str(log_text, "P P P P P", "five packets, then nothing, not even the end");
    check_int((long long)script[1].sent_count, (long long)script[0].count, "packets are forwarded");
    check_int((long long)played.orphans, 0, "and no orphans");
}

/* Two listeners: a side stops being emulated when nobody monitors it any more. */
static int first_sock, second_sock;
static void note_first(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    first_sock = sock;
}

static void stop_first(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[8];
    (void)side, (void)event, (void)arg;
    second_sock = sock;
    WORKS(mtcp_cb_stop(m, first_sock, MOS_SIDE_BOTH));
    /* The other socket reads as before. */
    check_int(mtcp_peek(m, sock, MOS_SIDE_SVR, buffer, sizeof buffer), 5, "the second socket reads");
}

static void stop_other_setup(mctx_t m)
{
    int a = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), b = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, a, MOS_ON_CONN_START, MOS_HK_SND, note_first));
    WORKS(mtcp_register_callback(m, a, MOS_ON_CONN_END, MOS_HK_RCV, at_send));
    WORKS(mtcp_register_callback(m, b, MOS_ON_CONN_NEW_DATA, MOS_NULL, stop_first));
    WORKS(mtcp_register_callback(m, b, MOS_ON_CONN_END, MOS_HK_RCV, at_receive));
}

static void one_of_two(void)
{
    struct talk t;
    scene("one socket of two");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "hello");
    script_burst(0);
    say_goodbye(&t, 0);
    log_clear();
    play(NULL, NULL, stop_other_setup);
    check_str(log_text, "rEND.v rEND.c", "the other one sees the end");
}

/* Bad arguments. */
static void bad_arguments(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int number = 3;
    (void)side, (void)event, (void)arg;
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &number, sizeof number), EINVAL);
    FAILS(mtcp_cb_stop(m, sock, 3), EINVAL);
    FAILS(mtcp_cb_stop(m, sock, -1), EINVAL);
    FAILS(mtcp_cb_stop(m, 88, MOS_SIDE_CLI), EBADF);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, NULL, sizeof number), EINVAL);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &number, 2), EINVAL);
    log_word("args");
}

static int raw;
static void bad_setup(mctx_t m)
{
    int number = MOS_SIDE_BOTH;
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, bad_arguments));
    FAILS(mtcp_setsockopt(m, raw, SOL_MONSOCKET, MOS_STOP_MON, &number, sizeof number), ENOTSOCK);
    FAILS(mtcp_cb_stop(m, raw, MOS_SIDE_BOTH), ENOTSOCK);
}

static void arguments(void)
{
    struct talk t;
    scene("bad arguments");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    log_clear();
    play(NULL, NULL, bad_setup);
    check_str(log_text, "args", "nothing changed");
}

/* A shrunk flow idles out, and its addresses can be used again. */
static void stop_at_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    at_send(m, sock, side, event, arg);
    WORKS(mtcp_cb_stop(m, sock, MOS_SIDE_BOTH));
}

static void shrunk_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, stop_at_start));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_ORPHAN, MOS_NULL, at_null));
}

static void shrunk(void)
{
    struct talk t;
    scene("a shrunk flow");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "hello");
    script_clock += 20000000000ull;
    say_text(&t, 1, "within tcp_timeout");
    script_clock += 40000000000ull;
    say_text(&t, 1, "too late");
    log_clear();
    play(NULL, NULL, shrunk_setup);
    check_str(log_text, "sSTART.c nORPHAN.b", "idles out: what comes then is an orphan");
    check_int((long long)played.flows_now, 0, "it is gone");
    /* Closed, and a new connection on the same addresses. */
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_goodbye(&t, 0);
    talk_init(&t, 1);
    t.next[0] = t.isn[0] += 777777;
    t.next[1] = t.isn[1] += 999999;
    say_hello(&t);
    log_clear();
    play(NULL, NULL, shrunk_setup);
    check_str(log_text, "sSTART.c sSTART.c", "when it closes, its addresses start a new one");
    check_int((long long)played.flows_total, 2, "two flows");
    /* A reset. */
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say(&t, 1, RST, NULL, 0);
    say(&t, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, shrunk_setup);
    check_str(log_text, "sSTART.c nORPHAN.b", "a reset ends it, too");
}

/* User context. */
static int mark[3], context_errors, context_calls;
static void context_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    errno = 0;
    context_errors += mtcp_get_uctx(m, sock) != NULL || errno != 0;
    mtcp_set_uctx(m, sock, &mark[1]);
    context_errors += mtcp_get_uctx(m, sock) != &mark[1];
    context_errors += mtcp_get_uctx(m, listener) != NULL;
    mtcp_set_uctx(m, listener, &mark[2]);
    errno = 0;
    mtcp_set_uctx(m, 99, &mark[2]);
    context_errors += errno != EBADF;
    errno = 0;
    context_errors += mtcp_get_uctx(m, -1) != NULL || errno != EBADF;
}

static void context_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    context_calls++;
    context_errors += mtcp_get_uctx(m, sock) != &mark[1];
    context_errors += mtcp_get_uctx(m, listener) != &mark[2];
    mtcp_set_uctx(m, listener, NULL);
    context_errors += mtcp_get_uctx(m, listener) != NULL;
    mtcp_set_uctx(m, listener, &mark[2]);
}

static void context_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_START, MOS_HK_SND, context_start));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_END, MOS_HK_RCV, context_end));
}

static void user_context(void)
{
    struct talk t;
    scene("user context");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_goodbye(&t, 0);
    context_errors = context_calls = 0;
    play(NULL, NULL, context_setup);
    check_int(context_calls, 2, "to the end");
    check_int(context_errors, 0, "one pointer for each socket, active or listener");
}

/* Addresses. */
static int peer_calls;
static void peers(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_in addresses[3];
    struct sockaddr plain[2];
    socklen_t length;
    (void)side, (void)event, (void)arg;
    peer_calls++;
    memset(addresses, 0xee, sizeof addresses);
    length = sizeof addresses[0];
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_CLI));
    check(addresses[0].sin_family == AF_INET && addresses[0].sin_port == htons(10001) &&
              addresses[0].sin_addr.s_addr == htonl(0x0a000001),
          "the client");
    check(addresses[1].sin_family == 0xeeee, "nothing behind it is written");
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_SVR));
    check(addresses[0].sin_family == AF_INET && addresses[0].sin_port == htons(80) &&
              addresses[0].sin_addr.s_addr == htonl(0x0a090001),
          "the server");
    length = 2 * sizeof(struct sockaddr);
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_BOTH));
    check(addresses[0].sin_port == htons(10001) && addresses[1].sin_port == htons(80), "both: client first");
    check(addresses[2].sin_family == 0xeeee, "nothing behind them is written");
    for (socklen_t size = 0; size < 80; size++) {
        length = size;
        errno = 0;
        if (size != 16 && (mtcp_getpeername(m, sock, plain, &length, MOS_SIDE_CLI) != -1 || errno != EINVAL))
            check(0, "another length for one side is EINVAL");
        length = size;
        errno = 0;
        if (size != 32 && (mtcp_getpeername(m, sock, plain, &length, MOS_SIDE_BOTH) != -1 || errno != EINVAL))
            check(0, "another length for both is EINVAL");
    }
    length = 16;
    FAILS(mtcp_getpeername(m, sock, plain, &length, 3), EINVAL);
    FAILS(mtcp_getpeername(m, sock, plain, &length, -1), EINVAL);
    FAILS(mtcp_getpeername(m, sock, NULL, &length, MOS_SIDE_CLI), EINVAL);
    FAILS(mtcp_getpeername(m, sock, plain, NULL, MOS_SIDE_CLI), EINVAL);
    FAILS(mtcp_getpeername(m, listener, plain, &length, MOS_SIDE_CLI), ENOTCONN);
    FAILS(mtcp_getpeername(m, raw, plain, &length, MOS_SIDE_CLI), ENOTCONN);
    FAILS(mtcp_getpeername(m, 99, plain, &length, MOS_SIDE_CLI), EBADF);
}

static void peers6(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_in6 addresses[3];
    struct talk t;
    socklen_t length = 16;
    (void)side, (void)event, (void)arg;
    peer_calls++;
    talk_init6(&t, 1);
    FAILS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_CLI), EAFNOSUPPORT);
    length = 32;
    FAILS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_BOTH), EAFNOSUPPORT);
    FAILS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_CLI), EINVAL);
    length = 16;
    FAILS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_BOTH), EINVAL);
    memset(addresses, 0xee, sizeof addresses);
    length = sizeof addresses[0];
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_CLI));
    check(addresses[0].sin6_family == AF_INET6 && addresses[0].sin6_port == htons(10001) &&
              memcmp(&addresses[0].sin6_addr, t.address[0], 16) == 0,
          "the client");
    check(addresses[1].sin6_family == 0xeeee, "nothing behind it is written");
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_SVR));
    check(addresses[0].sin6_port == htons(80) && memcmp(&addresses[0].sin6_addr, t.address[1], 16) == 0, "the server");
    length = 2 * sizeof addresses[0];
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)addresses, &length, MOS_SIDE_BOTH));
    check(addresses[0].sin6_port == htons(10001) && addresses[1].sin6_port == htons(80) &&
              memcmp(&addresses[1].sin6_addr, t.address[1], 16) == 0,
          "both: client first");
    check(addresses[2].sin6_family == 0xeeee, "nothing behind them is written");
}

static void peers_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    int six = mtcp_socket(m, AF_INET6, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_START, MOS_HK_SND, peers));
    WORKS(mtcp_register_callback(m, six, MOS_ON_CONN_START, MOS_HK_SND, peers6));
}

static void addresses(void)
{
    struct talk t;
    scene("mtcp_getpeername");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    peer_calls = 0;
    play(NULL, NULL, peers_setup);
    check_int(peer_calls, 1, "an IPv4 flow");
    scene("mtcp_getpeername, IPv6");
    script_begin();
    talk_init6(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    peer_calls = 0;
    play(NULL, NULL, peers_setup);
    check_int(peer_calls, 1, "an IPv6 flow");
}

/* mos_flow_info. */
static int want_reason, info_calls;
static void info_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_flow_info info;
    unsigned char small[8];
    (void)event, (void)arg;
    if (side != MOS_SIDE_CLI || ++info_calls > 1)
        return; /* what replaced it ends as well */
    memset(&info, 0xee, sizeof info);
    WORKS(mos_flow_info(m, sock, &info, sizeof info));
    check_int(info.end_reason, want_reason, "why it ended");
    check_int(info.family, AF_INET, "the family");
    check(info.start_ns == script[0].frames[0].time_ns, "when it began");
    FAILS(mos_flow_info(m, sock, NULL, sizeof info), EINVAL);
    FAILS(mos_flow_info(m, sock, &info, 0), EINVAL);
    FAILS(mos_flow_info(m, listener, &info, sizeof info), ENOTSOCK);
    FAILS(mos_flow_info(m, 99, &info, sizeof info), EBADF);
    memset(small, 0xee, sizeof small);
    WORKS(mos_flow_info(m, sock, (struct mos_flow_info *)(void *)small, 4));
    check(small[4] == 0xee, "no more than asked for is written");
    if (want_reason != MOS_END_FIN)
        return;
    check_int((long long)info.side[0].packets, 6, "packets of the client");
    check_int((long long)info.side[1].packets, 3, "packets of the server");
    check_int((long long)info.side[0].payload_bytes, 13, "payload of the client, repeated bytes counted again");
    check_int((long long)info.side[1].payload_bytes, 6, "payload of the server");
    check_int((long long)info.side[0].retransmitted_packets, 1, "retransmitted packets");
    check_int((long long)info.side[0].retransmitted_bytes, 3, "retransmitted bytes");
    check_int((long long)info.side[0].wire_bytes, (14 + 40) * 6 + 4 + 13, "bytes on the wire");
    check_int((long long)info.side[1].out_of_order_packets, 0, "nothing out of order");
    check(info.last_ns == script[0].frames[script[0].count - 1].time_ns, "the last packet's time");
}

static void info_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_END, MOS_HK_RCV, info_end));
}

static void accounts(void)
{
    static const char *const names[5] = { "mos_flow_info, closed", "mos_flow_info, reset", "mos_flow_info, idle",
                                          "mos_flow_info, at the trace's end", "mos_flow_info, replaced" };
    static const int reasons[5] = { MOS_END_FIN, MOS_END_RESET, MOS_END_TIMEOUT, MOS_END_CONTEXT, MOS_END_REPLACED };
    for (int round = 0; round < 5; round++) {
        struct talk t, u;
        scene(names[round]);
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        switch (round) {
        case 0:
            say_text(&t, 0, "some words");
            say_at(&t, 0, ACK, t.next[0] - 3, t.next[1], "rds", 3);
            say_text(&t, 1, "answer");
            say_goodbye(&t, 0);
            break;
        case 1: say(&t, 0, RST, NULL, 0); break;
        case 2:
            script_clock += 31000000000ull;
            talk_init(&u, 2);
            say(&u, 0, ACK, NULL, 0);
            break;
        case 4:
            talk_init(&t, 1);
            t.isn[0] += 100000000;
            t.isn[1] += 50000;
            t.next[0] = t.isn[0];
            t.next[1] = t.isn[1];
            say(&t, 0, SYN, NULL, 0);
            say(&t, 1, SYN | ACK, NULL, 0);
            break;
        }
        want_reason = reasons[round];
        info_calls = 0;
        play(NULL, NULL, info_setup);
        check_int(info_calls, round == 4 ? 2 : 1, "the handler ran");
    }
}

int main(void)
{
    sides();
    both_in_turn();
    one_of_two();
    arguments();
    shrunk();
    user_context();
    addresses();
    accounts();
    return finish();
}
