/* mtcp_reset_conn on a flow whose first SYN a handler gave another source: each
 * end gets a RST with the addresses and ports that it knows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static struct talk outer;

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    byte port[2];
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0)
        return;
    if (p.tcph->syn && !p.tcph->ack) {
        put16(port, outer.port[0]);
        WORKS(mtcp_setlastpkt(m, sock, side, outer.v6 ? 8 : 12, outer.address[0], outer.v6 ? 16 : 4,
                              MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM));
        WORKS(mtcp_setlastpkt(m, sock, side, 0, port, 2, MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM));
    } else if (p.payloadlen > 0) {
        WORKS(mtcp_reset_conn(m, sock));
    }
}

static void setup(mctx_t m)
{
    int sock = listen_to(m, AF_UNSPEC, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet));
}

/* The RST that left by a port, against what its receiver expects. */
static void one_reset(int port, const struct talk *t, int receiver, const char *what)
{
    const uint8_t *found = NULL;
    int count = 0;
    for (size_t i = 0; i < script[port].sent_count; i++)
        if (script[port].sent[i].data[tcp_at(t) + 13] & RST) {
            found = script[port].sent[i].data;
            count++;
        }
    if (!check_int(count, 1, what))
        return;
    uint32_t size = t->v6 ? 16 : 4, addresses = ip_at(t) + (t->v6 ? 8 : 12), tcp = tcp_at(t);
    check_bytes(found + addresses, t->address[1 - receiver], size, "its source");
    check_bytes(found + addresses + size, t->address[receiver], size, "its destination");
    check_int(get16(found + tcp), t->port[1 - receiver], "its source port");
    check_int(get16(found + tcp + 2), t->port[receiver], "its destination port");
    check_int(get32(found + tcp + 4), t->next[1 - receiver], "its sequence number");
    check(tcp_checksum_good(found + ip_at(t)), "its checksum");
}

static void one(int v6)
{
    struct talk t;
    scene(v6 ? "IPv6" : "IPv4");
    script_begin();
    (v6 ? talk_init6 : talk_init)(&t, 1);
    outer = t;
    outer.address[0][v6 ? 15 : 3] = 200;
    outer.port[0] = 777;
    /* The server's packets, to the address that it knows, come in on the other port. */
    t.input[1] = outer.input[1] = 1;
    say(&t, 0, SYN, NULL, 0);
    outer.next[0] = t.next[0];
    say(&outer, 1, SYN | ACK, NULL, 0);
    t.next[1] = outer.next[1];
    say(&t, 0, ACK, NULL, 0);
    /* Two traces are read in the order of time. */
    say_text(&t, 0, "abc");
    outer.next[0] = t.next[0];
    play("script:a 0x1\nscript:b 0x1", "nic_forward_table {\nscript:a script:b\n}", setup);
    /* The segment itself has been sent, not received, when its sender's handler runs. */
    outer.next[0] -= 3;
    one_reset(1, &outer, 1, "a RST for the server");
    outer.next[0] += 3;
    one_reset(0, &t, 0, "a RST for the client");
}

int main(void)
{
    one(0);
    one(1);
    return finish();
}
