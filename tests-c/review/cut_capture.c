/* A capture that kept the headers: sequence numbers are all there, so the
 * states, retransmissions and resets are (02-monitor.md section 4). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static char bytes[1000];
static int repeated;
static unsigned reason;

static void on_repeated(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    repeated++;
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_flow_info info;
    (void)side, (void)event, (void)arg;
    if (mos_flow_info(m, sock, &info, sizeof info) == 0)
        reason = info.end_reason;
}

static int off;

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    int none = 0;
    repeated = 0;
    reason = 0;
    if (off) {
        WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof none));
        WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof none));
    }
    WORKS(mtcp_register_callback(m, sock, MOS_ON_REXMIT, MOS_HK_RCV, on_repeated));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end));
}

/* Asks for payload when told that ranges cannot be kept: no byte that was not
 * captured may come of it. */
static long strange;

static void on_error(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int some = 8192;
    (void)event, (void)arg;
    WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, side == MOS_SIDE_SVR ? MOS_SVRBUF : MOS_CLIBUF, &some, sizeof some));
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[4096];
    ssize_t n;
    (void)event, (void)arg;
    while ((n = mtcp_peek(m, sock, side, buffer, sizeof buffer)) != 0)
        for (ssize_t i = 0; i < n; i++)
            strange += buffer[i] != 0;
}

static void setup_changing(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    int none = 0;
    strange = 0;
    WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof none));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_ERROR, MOS_NULL, on_error));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
}

int main(void)
{
    struct talk t;
    scene("headers only, buffers off, ranges refused: a handler asks for payload");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    /* A part of it is beyond rmem_max. */
    t.wire_cut = 1000;
    say_at(&t, 0, ACK, t.next[0] + 11900, t.next[1], bytes, 1000);
    t.wire_cut = 0;
    script_burst(0);
    for (int i = 0; i < 12; i++) {
        say(&t, 0, ACK, bytes, i < 11 ? 1000 : 900);
        script_burst(0);
    }
    say_goodbye(&t, 0);
    play(NULL, "rmem_max = 12000\nrmem_size = 8192", setup_changing);
    check_int(strange, 0, "no byte that was not captured");
    for (off = 0; off < 2; off++) {
        scene(off ? "headers only, buffers off: a retransmission" : "headers only: a retransmission");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        t.wire_cut = 1000;
        say(&t, 0, ACK, bytes, 1000);
        t.next[0] -= 1000;
        say(&t, 0, ACK, bytes, 1000);
        t.wire_cut = 0;
        say(&t, 1, ACK, NULL, 0);
        say_goodbye(&t, 0);
        play(NULL, NULL, setup);
        check_int(repeated, 1, "MOS_ON_REXMIT");
        check_int(reason, MOS_END_FIN, "both ends closed");

        scene(off ? "headers only, buffers off: a reset" : "headers only: a reset");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        t.wire_cut = 1000;
        for (int i = 0; i < 10; i++)
            say(&t, 0, ACK, bytes, 1000);
        t.wire_cut = 0;
        say(&t, 0, RST | ACK, NULL, 0);
        play(NULL, NULL, setup);
        check_int(reason, MOS_END_RESET, "the RST is the next in order");
    }
    return finish();
}
