/* A handler changes or drops a segment that came in fragments, which have left as
 * they came: nothing is sent a second time. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static int changed;

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    byte ttl = 9;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    changed += mtcp_setlastpkt(m, sock, side, 8, &ttl, 1, MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM) == 0;
}

static void setup(mctx_t m)
{
    int sock = listen_to(m, AF_INET, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet));
}

int main(void)
{
    static uint8_t packet[2000], frame[2000];
    static char text[1000];
    struct talk t;
    scene("a segment in fragments, changed");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    uint32_t size = make_tcp(packet, &t, 0, ACK, t.next[0], t.next[1], NULL, 0, text, sizeof text) - 34;
    for (uint32_t at = 0; at < size; at += 512) {
        uint32_t part = size - at < 512 ? size - at : 512;
        memcpy(frame, packet, 34);
        put16(frame + 16, 20 + part);
        put16(frame + 20, (at + part < size ? 0x2000 : 0) | at / 8);
        fix_ip_checksum(frame + 14);
        memcpy(frame + 34, packet + 34 + at, part);
        script_add(0, frame, 34 + part);
    }
    play("script:a 0x1\nscript:b 0x1", "nic_forward_table {\nscript:a script:b\n}", setup);
    check_int(changed, 1, "the whole segment is seen, and changed");
    check_int((long long)played.fragments_reassembled, 1, "one datagram");
    check_int((long long)script[1].sent_count, 5, "the handshake and the fragments leave");
    return finish();
}
