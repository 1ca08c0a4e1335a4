/* Datagrams that no Linux host takes (seen on 6.18), with bytes for the place
 * of those that follow: lengths of zero, IPv4 options, IPv6 extension headers.
 * They are counted and forwarded, raw sockets see them, flows do not. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <mos_io.h>

#include "api/scene.h"

#define BOTH_PORTS "script:a 0x1\nscript:b 0x1"
#define FORWARD "nic_forward_table {\nscript:a script:b\n}"

static int raw_packets;

static void on_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    raw_packets++;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    raw_packets = 0;
    read_clear();
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, on_raw));
    sock = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_on));
}

/* A frame with `size` bytes of headers between the IP header and TCP; the
 * first of them has this number (IPv6), or they are options (IPv4). */
static uint32_t with_headers(uint8_t *frame, const struct talk *t, const char *payload, uint32_t number,
                             const uint8_t *headers, uint32_t size)
{
    uint32_t length = make_tcp(frame, t, 0, ACK | PSH, t->next[0], t->next[1], NULL, 0, payload, (uint32_t)strlen(payload));
    uint8_t *ip = frame + ip_at(t);
    uint32_t at = tcp_at(t);
    memmove(frame + at + size, frame + at, length - at);
    memcpy(frame + at, headers, size);
    if (t->v6) {
        put16(ip + 4, get16(ip + 4) + size);
        ip[6] = (uint8_t)number;
    } else {
        ip[0] = (uint8_t)(0x45 + size / 4);
        put16(ip + 2, get16(ip + 2) + size);
        fix_ip_checksum(ip);
    }
    return length + size;
}

static void start(struct talk *t, const char *name, int v6)
{
    scene(name);
    script_begin();
    if (v6)
        talk_init6(t, 1);
    else
        talk_init(t, 1);
    say_hello(t);
}

/* `counted`: how many frames are refused. */
static void end_with(struct talk *t, const char *items, const char *expected, uint64_t counted)
{
    say_text(t, 0, "good");
    say(t, 1, ACK, NULL, 0);
    say_goodbye(t, 0);
    play(BOTH_PORTS, items, setup);
    check_str(read_text, expected, "what is taken");
    check_int((long long)(played.rx_bad_length + played.non_tcp + played.drop_fragment), (long long)counted, "it is counted");
    check_int((long long)script[1].sent_count, (long long)script[0].count, "all is forwarded");
    check_int(raw_packets, (long long)script[0].count, "raw sockets see all");
}

static void end(struct talk *t, int taken)
{
    end_with(t, FORWARD, taken ? "EVIL" : "good", taken ? 0 : 1);
}

static void headers(const char *name, int v6, int taken, uint32_t number, const uint8_t *bytes, uint32_t size)
{
    static uint8_t frame[512];
    struct talk t;
    start(&t, name, v6);
    script_add(0, frame, with_headers(frame, &t, "EVIL", number, bytes, size));
    end(&t, taken);
}

#define IPV6(name, taken, number, ...)                                     \
    do {                                                                   \
        static const uint8_t bytes[] = { __VA_ARGS__ };                    \
        headers("IPv6: " name, 1, taken, number, bytes, sizeof bytes);     \
    } while (0)

#define IPV4(name, taken, ...)                                             \
    do {                                                                   \
        static const uint8_t bytes[] = { __VA_ARGS__ };                    \
        headers("IPv4: " name, 0, taken, 0, bytes, sizeof bytes);          \
    } while (0)

static void without_length(const char *name, int v6, uint32_t flags, const char *items, int taken)
{
    static uint8_t frame[512];
    struct talk t;
    uint32_t length;
    uint8_t *ip = frame + 14;
    start(&t, name, v6);
    length = make_tcp(frame, &t, 0, ACK | PSH, t.next[0], t.next[1], NULL, 0, "EVIL", 4);
    put16(ip + (v6 ? 4 : 2), 0);
    if (!v6)
        fix_ip_checksum(ip);
    script_add(0, frame, length)->flags = flags;
    end_with(&t, items, taken ? "EVIL" : "good", taken ? 0 : 1);
}

/* Options in the second fragment alone: each fragment is a datagram. */
static void in_fragment(void)
{
    static const uint8_t route[] = { 131, 7, 4, 10, 0, 0, 1, 0 };
    static uint8_t whole[512], frame[512];
    struct talk t;
    uint32_t length, size;
    start(&t, "IPv4: a source route in the second fragment", 0);
    length = make_tcp(whole, &t, 0, ACK | PSH, t.next[0], t.next[1], NULL, 0, "EVILEVIL", 8) - 34;
    memcpy(frame, whole, 34 + 24);
    put16(frame + 16, 20 + 24);
    put16(frame + 20, 0x2000);
    fix_ip_checksum(frame + 14);
    script_add(0, frame, 34 + 24);
    size = length - 24;
    memcpy(frame + 34, route, sizeof route);
    memcpy(frame + 34 + sizeof route, whole + 34 + 24, size);
    frame[14] = 0x47;
    put16(frame + 16, 28 + size);
    put16(frame + 20, 24 / 8);
    fix_ip_checksum(frame + 14);
    script_add(0, frame, 34 + (uint32_t)sizeof route + size);
    end(&t, 0);
}

/* A fragment of `whole`, behind the fixed header or the 8 bytes of `before`. */
static void add_fragment6(const uint8_t *whole, const uint8_t *before, const uint8_t *bytes, uint32_t from, uint32_t to,
                          uint32_t size, uint32_t number)
{
    static uint8_t frame[512];
    uint32_t at = 54;
    memcpy(frame, whole, 54);
    frame[20] = before ? 60 : 44;
    if (before) {
        memcpy(frame + at, before, 8);
        at += 8;
    }
    memset(frame + at, 0, 8);
    frame[at] = (uint8_t)number;
    put16(frame + at + 2, from | (to < size));
    frame[at + 7] = 7;
    at += 8;
    memcpy(frame + at, bytes + from, to - from);
    at += to - from;
    put16(frame + 18, at - 54);
    script_add(0, frame, at);
}

/* Destination options of 8 bytes before the fragment header of the first and
 * the second fragment, and a header behind it; NULL for none. */
static void in_fragments6(const char *name, const char *expected, uint64_t counted, const uint8_t *first,
                          const uint8_t *second, uint32_t number, const uint8_t *behind)
{
    static uint8_t whole[512], bytes[512];
    struct talk t;
    uint32_t size = 0, length;
    start(&t, name, 1);
    length = make_tcp(whole, &t, 0, ACK | PSH, t.next[0], t.next[1], NULL, 0, "EVILEVIL", 8);
    if (behind) {
        memcpy(bytes, behind, 8);
        size = 8;
    }
    memcpy(bytes + size, whole + 54, length - 54);
    size += length - 54;
    add_fragment6(whole, first, bytes, 0, (size - 1) & ~7U, size, number);
    add_fragment6(whole, second, bytes, (size - 1) & ~7U, size, size, number);
    end_with(&t, FORWARD, expected, counted);
}

int main(void)
{
    static const uint8_t good[] = { 44, 0, 1, 4, 0, 0, 0, 0 }, bad[] = { 44, 0, 0x5e, 4, 0, 0, 0, 0 };
    static const uint8_t good_behind[] = { 6, 0, 1, 4, 0, 0, 0, 0 }, bad_behind[] = { 6, 0, 0x5e, 4, 0, 0, 0, 0 };

    without_length("IPv4: total length 0", 0, 0, FORWARD, 0);
    without_length("IPv6: payload length 0", 1, 0, FORWARD, 0);
    /* What the card cuts later, in a capture: nobody looks at its checksum. */
    without_length("IPv4: total length 0, vouched for", 0, MOS_IO_IP_CSUM_OK | MOS_IO_L4_CSUM_OK, FORWARD, 1);
    without_length("IPv6: payload length 0, vouched for", 1, MOS_IO_L4_CSUM_OK, FORWARD, 1);
    without_length("IPv4: total length 0, rx_checksum = 0", 0, 0, FORWARD "\nrx_checksum = 0", 1);
    without_length("IPv6: payload length 0, rx_checksum = 0", 1, 0, FORWARD "\nrx_checksum = 0", 1);

    IPV6("hop-by-hop header, padding", 1, 0, 6, 0, 1, 4, 0, 0, 0, 0);
    IPV6("destination options, padding", 1, 60, 6, 0, 1, 4, 0, 0, 0, 0);
    IPV6("option that is unknown, to be skipped", 1, 60, 6, 0, 0x1e, 4, 0, 0, 0, 0);
    IPV6("two destination options headers", 1, 60, 60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0);
    IPV6("routing header without segments left", 1, 43, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    IPV6("atomic fragment", 1, 44, 6, 0, 0, 0, 0, 0, 0, 9);

    IPV6("option that is unknown, to be discarded", 0, 60, 6, 0, 0x5e, 4, 0, 0, 0, 0);
    IPV6("option that is unknown, to be discarded with an ICMP message", 0, 60, 6, 0, 0x9e, 4, 0, 0, 0, 0);
    IPV6("hop-by-hop option that is unknown, to be discarded", 0, 0, 6, 0, 0x5e, 4, 0, 0, 0, 0);
    IPV6("option beyond its header", 0, 60, 6, 0, 0x1e, 20, 0, 0, 0, 0);
    IPV6("padding that is not zero", 0, 60, 6, 0, 1, 4, 9, 9, 9, 9);
    IPV6("more than seven bytes of padding", 0, 60, 6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    IPV6("home address of a binding that does not exist", 0, 60, 6, 2, 1, 2, 0, 0, 0xc9, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1,
         0, 0, 0, 0, 0, 0, 0, 1);
    IPV6("hop-by-hop header that is not the first", 0, 60, 0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0);
    IPV6("jumbo payload option that is none", 0, 0, 6, 0, 0xc2, 4, 0, 0, 0, 32);
    IPV6("routing header of an unknown kind, one segment left", 0, 43, 6, 2, 77, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
         0, 0, 0, 0);
    IPV6("authentication header", 0, 51, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    IPV6("mobility header", 0, 135, 6, 0, 1, 4, 0, 0, 0, 0);
    IPV6("HIP", 0, 139, 6, 0, 1, 4, 0, 0, 0, 0);
    IPV6("shim6", 0, 140, 6, 0, 1, 4, 0, 0, 0, 0);

    IPV4("record route with room", 1, 7, 7, 4, 0, 0, 0, 0, 0);
    IPV4("record route that is full", 1, 7, 7, 8, 0, 0, 0, 0, 0);
    IPV4("record route whose pointer leaves no room for an address", 0, 7, 7, 5, 0, 0, 0, 0, 0);
    IPV4("two record routes", 0, 7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0);
    IPV4("timestamps that have overflowed fifteen times", 0, 68, 12, 13, 0xf1, 0, 0, 0, 0, 0, 0, 0, 0);
    IPV4("timestamps without room for an address", 0, 68, 12, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    IPV4("two options with timestamps", 0, 68, 8, 5, 0, 0, 0, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0);
    in_fragment();

    in_fragments6("IPv6: fragments", "EVILEVIL", 0, NULL, NULL, 6, NULL);
    in_fragments6("IPv6: fragments behind options", "EVILEVIL", 0, good, good, 6, NULL);
    in_fragments6("IPv6: fragments of options and a segment", "EVILEVIL", 0, NULL, NULL, 60, good_behind);
    in_fragments6("IPv6: an option to be discarded before the first fragment", "good", 1, bad, NULL, 6, NULL);
    in_fragments6("IPv6: an option to be discarded before the second fragment", "good", 1, NULL, bad, 6, NULL);
    in_fragments6("IPv6: an option to be discarded in the first fragment", "good", 1, NULL, NULL, 60, bad_behind);
    /* Both fragments go. */
    in_fragments6("IPv6: a hop-by-hop header in the first fragment", "good", 2, NULL, NULL, 0, good_behind);
    return finish();
}
