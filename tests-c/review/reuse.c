/* A new connection on the addresses of one that the stack still has open, whose
 * SYN is longer than what is kept of it, or cut by the capture. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static int starts, ends, late, ended[64];

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    (void)sock;
    starts++;
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)side, (void)event, (void)arg;
    ends++;
    ended[sock & 63] = 1;
}

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    /* An id is used again. */
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.tcph->syn && !p.tcph->ack)
        ended[sock & 63] = 0;
    late += ended[sock & 63];
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    starts = ends = late = 0;
    memset(ended, 0, sizeof ended);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_packet));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_packet));
}

/* The server takes the SYN's payload, or the client sends it again. */
static void one(const char *name, uint32_t syn_payload, uint32_t cut, int taken)
{
    static char bytes[4000];
    struct talk t;
    scene(name);
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "one");
    /* The client has begun again; the server answers. */
    t.next[0] += 1000000;
    t.next[1] += 5000000;
    t.wire_cut = cut;
    say(&t, 0, SYN, bytes, syn_payload);
    t.wire_cut = 0;
    if (!taken)
        t.next[0] -= syn_payload;
    say(&t, 1, SYN | ACK, NULL, 0);
    say(&t, 0, ACK, NULL, 0);
    say_text(&t, 0, "two");
    say_text(&t, 1, "three");
    say_goodbye(&t, 0);
    play(NULL, NULL, setup);
    check_int(starts, 2, "two connections begin");
    check_int(ends, 4, "two end, each side once");
    check_int(late, 0, "no packet after the end");
    check_int((long long)played.flows_total, 2, "two flows");
    check_int((long long)played.flows_now, 0, "none is left");
}

int main(void)
{
    one("a SYN without payload", 0, 0, 1);
    one("a SYN with payload", 200, 0, 0);
    one("a SYN with payload, taken", 200, 0, 1);
    one("a SYN of 2500 bytes", 2500, 0, 0);
    one("a SYN of 2500 bytes, taken", 2500, 0, 1);
    one("a SYN whose payload the capture cut", 200, 100, 0);
    one("a SYN whose payload the capture cut, taken", 200, 100, 1);
    return finish();
}
