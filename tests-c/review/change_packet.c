/* mtcp_setlastpkt on packets whose headers a handler has bent before: nothing
 * may be moved that is not there, and what is refused changes nothing. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

#define BOTH_PORTS "script:a 0x1\nscript:b 0x1"
#define FORWARD "nic_forward_table {\nscript:a script:b\n}"

static byte fill[64];

static int change(mctx_t m, int sock, int side, off_t offset, const void *data, uint16_t size, int option)
{
    byte copy[256];
    if (data)
        memcpy(copy, data, size);
    return mtcp_setlastpkt(m, sock, side, offset, data ? copy : NULL, size, option);
}

static void overwrite16(mctx_t m, int sock, int part, off_t offset, unsigned value)
{
    byte bytes[2] = { (byte)(value >> 8), (byte)value };
    check_int(change(m, sock, 0, offset, bytes, 2, MOS_OVERWRITE | part), 0, "overwrite");
}

/* The packet is cut down to its IP header; then the payload that it had is asked for. */
static void on_payload(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)side, (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, 0, &p) != 0 || p.payloadlen == 0)
        return;
    overwrite16(m, sock, MOS_IP_HDR, 2, 20);
    check_int(change(m, sock, 0, 0, NULL, 1, MOS_CHOMP | MOS_TCP_PAYLOAD), 0, "cut to the IP header");
    FAILS(change(m, sock, 0, 50, fill, 10, MOS_INSERT | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(change(m, sock, 0, 50, NULL, 10, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(change(m, sock, 0, 10, fill, 10, MOS_OVERWRITE | MOS_TCP_HDR), EINVAL);
    FAILS(change(m, sock, 0, 2, NULL, 10, MOS_CHOMP | MOS_TCP_HDR), EINVAL);
}

static void shrink_setup(mctx_t m)
{
    int sock = listen_to(m, AF_INET, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_payload));
}

static void shrink(void)
{
    struct talk t;
    char text[101];
    scene("a packet cut down to its IP header");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    memset(text, 'x', 100);
    say(&t, 0, ACK, text, 100);
    play(BOTH_PORTS, FORWARD, shrink_setup);
    check_int((long long)script[1].sent_count, 4, "all are sent");
    if (script[1].sent_count == 4)
        check_int(script[1].sent[3].len, 34, "the last one without TCP");
}

/* A header length that is more than the packet. */
static void on_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    byte first = 0x4f;
    (void)side, (void)event, (void)arg;
    check_int(change(m, sock, 0, 0, &first, 1, MOS_OVERWRITE | MOS_IP_HDR), 0, "overwrite");
    FAILS(change(m, sock, 0, 60, fill, 4, MOS_INSERT | MOS_IP_HDR), EINVAL);
    FAILS(change(m, sock, 0, 50, NULL, 10, MOS_CHOMP | MOS_IP_HDR), EINVAL);
    FAILS(change(m, sock, 0, 40, fill, 20, MOS_OVERWRITE | MOS_IP_HDR), EINVAL);
    check_int(change(m, sock, 0, 0, &first, 1, MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM), 0, "checksum");
}

static void header_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, on_raw));
}

static void header(void)
{
    struct talk t;
    uint8_t frame[200];
    scene("an IP header longer than its packet");
    script_begin();
    talk_init(&t, 1);
    script_add(0, frame, make_other(frame, &t, 0, 17, "ab", 2));
    play(BOTH_PORTS, FORWARD, header_setup);
}

/* What does not fit changes nothing, whatever was changed before. */
static char refused_before[2][128], refused_after[2][128];
static int refused_at;

static void show(mctx_t m, int sock, char *out)
{
    struct pkt_info p;
    memset(out, 0, 128);
    if (mtcp_getlastpkt(m, sock, 0, &p) == 0)
        memcpy(out, p.payload, p.payloadlen < 127 ? p.payloadlen : 127);
}

static void on_refused(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)side, (void)event, (void)arg;
    if (refused_at == 2 || mtcp_getlastpkt(m, sock, 0, &p) != 0 || p.payloadlen == 0)
        return;
    if (refused_at == 0) {
        check_int(change(m, sock, 0, 0, "0123456789", 10, MOS_OVERWRITE | MOS_TCP_PAYLOAD), 0, "overwrite");
    } else {
        overwrite16(m, sock, MOS_IP_HDR, 2, p.ip_len - 4u);
        check_int(change(m, sock, 0, 0, NULL, 4, MOS_CHOMP | MOS_TCP_PAYLOAD), 0, "chomp");
    }
    show(m, sock, refused_before[refused_at]);
    /* The total length was not made smaller, and is not made larger. */
    FAILS(change(m, sock, 0, 2, NULL, 5, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    show(m, sock, refused_after[refused_at]);
    refused_at++;
}

static void refused_setup(mctx_t m)
{
    int sock = listen_to(m, AF_INET, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_refused));
}

static void refused(void)
{
    struct talk t;
    scene("a refused change");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "abcdefghijklmnopqrst");
    say_text(&t, 0, "ABCDEFGHIJKLMNOPQRST");
    play(BOTH_PORTS, FORWARD, refused_setup);
    check_str(refused_before[0], "0123456789klmnopqrst", "the first packet, overwritten");
    check_str(refused_after[0], refused_before[0], "nothing is undone with it");
    check_str(refused_before[1], "EFGHIJKLMNOPQRST", "the second packet, chomped");
    check_str(refused_after[1], refused_before[1], "it keeps its bytes");
}

int main(void)
{
    refused();
    header();
    shrink();
    return finish();
}
