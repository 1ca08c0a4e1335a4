/* What a handler of a raw socket makes of a packet is what is forwarded, and the
 * packet goes on to the flows (02-monitor.md sections 2 and 7). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

#define BOTH_PORTS "script:a 0x1\nscript:b 0x1"
#define FORWARD "nic_forward_table {\nscript:a script:b\n}"

static void on_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    byte ttl = 9;
    (void)event, (void)arg;
    check_int(mtcp_setlastpkt(m, sock, side, 8, &ttl, 1, MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM), 0,
              "the TTL is changed");
}

static int flow_ttl;

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0)
        flow_ttl += p.iph->ttl == 9;
}

static int listens;

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, on_raw));
    flow_ttl = 0;
    log_clear();
    if (!listens)
        return;
    sock = listen_to(m, AF_INET, MOS_ON_CONN_START | MOS_ON_CONN_END);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet));
}

static int changed(uint32_t *good)
{
    int count = 0;
    *good = 0;
    for (size_t i = 0; i < script[1].sent_count; i++) {
        count += script[1].sent[i].data[14 + 8] == 9;
        *good += ip_checksum_good(script[1].sent[i].data + 14) != 0;
    }
    return count;
}

static void play_it(const char *name, int with_listener)
{
    struct talk t;
    uint8_t frame[200];
    uint32_t good;
    scene(name);
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "abc");
    script_add(0, frame, make_other(frame, &t, 0, 17, "ab", 2));
    /* A fragment. */
    uint32_t length = make_other(frame, &t, 0, 99, "01234567", 8);
    put16(frame + 14 + 6, 0x2000);
    fix_ip_checksum(frame + 14);
    script_add(0, frame, length);
    listens = with_listener;
    play(BOTH_PORTS, FORWARD, setup);
    check_int((long long)script[1].sent_count, 6, "each is sent once");
    check_int(changed(&good), 6, "… as it was changed");
    check_int(good, 6, "… with its checksum");
    if (with_listener) {
        check_str(log_text, "sSTART.c rSTART.v rEND.c sEND.c rEND.v sEND.v", "the flow is seen");
        check_int(flow_ttl, 4, "its handlers see the changed packet");
        check_int((long long)played.flows_total, 1, "one flow");
    }
}

int main(void)
{
    play_it("orphans", 0);
    play_it("a flow", 1);
    return finish();
}
