/* A first fragment that found no room, and later one of the same datagram with a
 * shorter header that does: nothing of the first may be left. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static char got[4096];
static size_t got_size;

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    ssize_t n;
    (void)event, (void)arg;
    while ((n = mtcp_peek(m, sock, side, got + got_size, sizeof got - got_size)) > 0)
        got_size += (size_t)n;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
}

/* Bytes `from` … `to` of the IP payload at `packet` in a fragment of their own. */
static void fragment(const uint8_t *packet, uint32_t from, uint32_t to, int last, uint32_t header)
{
    static uint8_t frame[4096];
    memcpy(frame, packet, 34);
    memset(frame + 34, 1, header - 20);
    frame[14] = (uint8_t)(0x40 | header / 4);
    put16(frame + 16, header + to - from);
    put16(frame + 20, (last ? 0 : 0x2000) | from / 8);
    fix_ip_checksum(frame + 14);
    memcpy(frame + 14 + header, packet + 34 + from, to - from);
    script_add(0, frame, 14 + header + to - from);
}

static void filler(unsigned host, int count)
{
    static uint8_t packet[4096];
    struct talk t;
    talk_init(&t, host);
    make_other(packet, &t, 0, 99, "", 0);
    for (int i = 0; i < count; i++)
        fragment(packet, 2048u * (unsigned)i + 8, 2048u * (unsigned)i + 16, 0, 20);
}

int main(void)
{
    static uint8_t packet[4096];
    static char text[3000];
    struct talk t;
    scene("a first fragment that was refused");
    script_begin();
    script_step = 1000;
    uint64_t start = script_clock;
    /* 4 MiB: 384 bytes for a datagram, 2112 for each 2048 bytes of it that it touches. */
    for (unsigned i = 0; i < 909; i++)
        filler(100 + i, 2);
    filler(5000, 1);
    script_clock = start + 20000000000u;
    talk_init(&t, 1);
    memset(text, 'x', sizeof text);
    t.next[0]++;
    t.next[1]++;
    make_tcp(packet, &t, 0, ACK, t.next[0], t.next[1], NULL, 0, text, sizeof text);
    fragment(packet, 2048, 3020, 1, 20);
    fragment(packet, 0, 2048, 0, 60); /* no room */
    script_clock = start + 35000000000u;
    t.next[0]--;
    t.next[1]--;
    say_hello(&t);
    fragment(packet, 0, 2048, 0, 20);
    play(NULL, NULL, setup);
    check_int((long long)played.drop_fragment, 1 + 8 * 2, "one was refused, eight datagrams timed out");
    check_int((long long)played.fragments_reassembled, 1, "one datagram");
    check_int((long long)played.rx_bad_tcp_checksum, 0, "with a good checksum");
    check_int((long long)got_size, 3000, "its bytes are read");
    return finish();
}
