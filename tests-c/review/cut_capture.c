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

int main(void)
{
    struct talk t;
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
