/* Looking at packets and changing them: 02-monitor.md section 7. */
#include <limits.h>

#include "api/scene.h"

static int listener, raw, looked;
static const char *const pair = "script:a 0x1\nscript:b 0x1";
static const char *const forwards = "nic_forward_table { script:a script:b }";

/* mtcp_getlastpkt. `expected` is the frame that comes. */
static struct {
    const struct talk *t;
    const struct script_frame *frame;
    uint64_t offset;
    uint32_t payload;
    int port;
} expected;

static void look(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    const struct script_frame *f = expected.frame;
    const uint8_t *ip = f->data + ip_at(expected.t), *tcp = f->data + tcp_at(expected.t);
    (void)event, (void)arg;
    memset(&p, 0xee, sizeof p);
    if (mtcp_getlastpkt(m, sock, side, &p) != 0) {
        check(0, "mtcp_getlastpkt");
        return;
    }
    /* The packet that is meant. */
    if (p.eth_len != f->len || memcmp(p.ethh, f->data, f->len) != 0)
        return;
    looked++;
    check_int(p.cur_ts, (long long)(uint32_t)(f->time_ns / 1000000), "cur_ts is in milliseconds");
    check_int(p.in_ifidx, expected.port, "in_ifidx is the interface's index");
    check_int(p.eth_len, f->len, "eth_len");
    check_int(p.ip_len, ip_total_length(ip), "ip_len");
    check_int((long long)p.offset, (long long)expected.offset, "offset");
    check_int(p.payloadlen, expected.payload, "payloadlen");
    check_int(p.seq, get32(tcp + 4), "seq");
    check_int(p.ack_seq, get32(tcp + 8), "ack_seq");
    check_int(p.window, get16(tcp + 14), "window");
    const uint8_t *copy = (const uint8_t *)p.ethh;
    check(copy != f->data, "it is a copy");
    check((const uint8_t *)p.iph == copy + ip_at(expected.t), "iph is behind the tags");
    check((const uint8_t *)p.tcph == copy + tcp_at(expected.t), "tcph");
    check(p.payload == copy + tcp_at(expected.t) + (tcp[12] >> 4) * 4, "payload");
    /* Writing to the copy changes nothing. */
    memset(p.ethh, 0xaa, p.eth_len);
}

static void look_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, look));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, look));
}

static void fields(void)
{
    static const char *const names[] = { "IPv4", "IPv6", "a VLAN", "two VLANs", "IPv6 in a VLAN", "jumbo frames" };
    static char payload[60000];
    for (int round = 0; round < 6; round++)
        for (int side = 0; side < 2; side++) {
            struct talk t;
            uint32_t length = round == 5 ? 60000 : 23;
            scene(names[round]);
            script_begin();
            if (round == 1 || round == 4)
                talk_init6(&t, 5);
            else
                talk_init(&t, 5);
            if (round == 2 || round == 3 || round == 4)
                t.vlan = 42;
            if (round == 3)
                t.outer_vlan = 43;
            t.input[1] = 1;
            t.window[0] = 12345;
            t.window[1] = 54321;
            say_hello(&t);
            for (int i = 0; i < 3; i++)
                say(&t, side, ACK | PSH, "0123456789", 10);
            memset(payload, 'x' + side, sizeof payload);
            say(&t, side, ACK | PSH, payload, length);
            expected.t = &t;
            expected.port = side;
            expected.frame = &script[side].frames[script[side].count - 1];
            expected.offset = 30;
            expected.payload = length;
            looked = 0;
            play(pair, forwards, look_setup);
            check_int(looked, 2, "at both hooks");
            const struct script_sent *out = &script[1 - side].sent[script[1 - side].sent_count - 1];
            check(out->len == expected.frame->len && memcmp(out->data, expected.frame->data, out->len) == 0,
                  "what a handler writes to its copy does not leave");
        }
}

/* Offsets of packets that are not the next. */
static uint64_t offsets[16];
static int offset_count;
static void note_offset(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    char byte;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0 || offset_count == 16)
        return;
    offsets[offset_count++] = p.offset;
    if (mtcp_ppeek(m, sock, side, &byte, 1, p.offset) != 1 || byte != (char)p.payload[0])
        check(0, "mtcp_ppeek takes the offset");
}

static void offset_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, note_offset));
}

static void offset_values(void)
{
    static const uint64_t want[] = { 0, 10, 4, 30, 20, 0, 5 };
    struct talk t;
    scene("offset");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "0123456789");
    say_text(&t, 0, "abcdefghij");
    say_at(&t, 0, ACK, t.isn[0] + 5, t.next[1], "4567", 4);         /* a retransmission */
    say_at(&t, 0, ACK, t.isn[0] + 31, t.next[1], "0123456789", 10); /* ahead */
    say_at(&t, 0, ACK, t.isn[0] + 21, t.next[1], "klmnopqrst", 10);
    say_at(&t, 1, ACK, t.isn[1] + 1, t.isn[0] + 41, "reply", 5);
    say_at(&t, 1, ACK, t.isn[1] + 6, t.isn[0] + 41, "more", 4);
    offset_count = 0;
    play(NULL, NULL, offset_setup);
    check_int(offset_count, 7, "seven packets");
    for (int i = 0; i < 7; i++)
        check_int((long long)offsets[i], (long long)want[i], "it is the receiver's stream's");
}

/* Where there is no packet, and bad arguments. */
static int no_packet_calls;
static void no_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    unsigned char byte = 1;
    char what[64];
    (void)arg;
    no_packet_calls++;
    /* A timer's first argument is no socket: the listener stands in. */
    int id = event ? sock : listener;
    snprintf(what, sizeof what, "%s: mtcp_getlastpkt gives EACCES", event ? event_name(event) : "a timer");
    FAILS_AS(mtcp_getlastpkt(m, id, side, &p), EACCES, what);
    snprintf(what, sizeof what, "%s: mtcp_setlastpkt gives ENODATA", event ? event_name(event) : "a timer");
    FAILS_AS(mtcp_setlastpkt(m, id, side, 0, &byte, 1, MOS_OVERWRITE | MOS_IP_HDR), ENODATA, what);
    FAILS_AS(mtcp_setlastpkt(m, id, side, 0, NULL, 0, MOS_DROP), ENODATA, "dropping as well");
    FAILS_AS(mtcp_cb_dropcurpkt(m), ENODATA, "mtcp_cb_dropcurpkt as well");
}

static void look_bad(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    FAILS(mtcp_getlastpkt(m, sock, side, NULL), EINVAL);
    FAILS(mtcp_getlastpkt(m, 99, side, &p), EBADF);
    FAILS(mtcp_getlastpkt(m, -1, side, &p), EBADF);
    WORKS(mtcp_getlastpkt(m, listener, side, &p));
    WORKS(mtcp_getlastpkt(m, sock, MOS_SIDE_BOTH, &p));
    FAILS(mtcp_setlastpkt(m, 99, side, 0, NULL, 0, MOS_DROP), EBADF);
}

static void no_packet_setup(mctx_t m)
{
    struct timeval soon = { 0, 2500 };
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, no_packet));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_END, MOS_HK_SND, no_packet));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_END, MOS_HK_RCV, no_packet));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_START, MOS_HK_SND, look_bad));
    WORKS(mtcp_settimer(m, 3, &soon, no_packet));
}

static void without(void)
{
    for (int round = 0; round < 4; round++) {
        static const char *const names[4] = { "without a packet: closed", "without a packet: idle", "without a packet: the trace's end",
                                              "without a packet: reset" };
        struct talk t, u;
        scene(names[round]);
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_text(&t, 0, "x");
        if (round == 0)
            say_goodbye(&t, 0);
        if (round == 3)
            say(&t, 0, RST, NULL, 0);
        if (round == 1) {
            script_clock += 60000000000ull;
            talk_init(&u, 2);
            say(&u, 0, ACK, NULL, 0);
        }
        no_packet_calls = 0;
        play(NULL, NULL, no_packet_setup);
        check_int(no_packet_calls, 6, "NEW_DATA, four times CONN_END, a timer");
    }
}

/* A raw socket's packets. */
static void raw_look(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    memset(&p, 0xee, sizeof p);
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check(p.ethh && p.iph, "there is an IP header");
    const uint8_t *ip = (const uint8_t *)p.iph;
    int protocol = ip[0] >> 4 == 6 ? ip[6] : ip[9];
    if (protocol == 6) {
        check(p.tcph && p.payload && p.payloadlen == 3, "TCP: tcph and payload");
        check_int((long long)p.offset, 0, "no offset without a flow");
    } else {
        check(!p.tcph && !p.payload && p.payloadlen == 0, "not TCP: neither");
    }
    check_int(p.ip_len, ip_total_length(ip), "ip_len");
    looked++;
    if (protocol != 6) {
        unsigned char byte = 7;
        FAILS(mtcp_setlastpkt(m, sock, side, 0, &byte, 1, MOS_OVERWRITE | MOS_TCP_HDR), EINVAL);
        FAILS(mtcp_setlastpkt(m, sock, side, 0, &byte, 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD), EINVAL);
        FAILS(mtcp_setlastpkt(m, sock, side, 0, &byte, 1, MOS_INSERT | MOS_TCP_PAYLOAD), EINVAL);
    }
}

static void raw_setup(mctx_t m)
{
    raw = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, raw_look));
}

static void raw_packets(void)
{
    struct talk t;
    uint8_t frame[200];
    scene("a raw socket's packet");
    script_begin();
    talk_init(&t, 1);
    say_text(&t, 0, "tcp");
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    script_add(0, frame, make_other(frame, &t, 1, 1, "icmp", 4));
    talk_init6(&t, 1);
    say_text(&t, 0, "tcp");
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    t.vlan = 5;
    say_text(&t, 0, "tcp");
    script_add(0, frame, make_other(frame, &t, 0, 58, "icmp6", 5));
    looked = 0;
    play(NULL, NULL, raw_setup);
    check_int(looked, 7, "seven packets");
}

/* mtcp_setlastpkt: every combination of options. `original` is the packet as it came. */
static uint8_t original[70000];
static uint32_t original_length;
static int combinations;
static void combine(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static const int parts[4] = { MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD };
    static const int actions[4] = { MOS_DROP, MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT };
    unsigned char byte = 0;
    struct pkt_info p;
    int wrong = 0;
    (void)event, (void)arg;
    for (int part = 0; part < 16; part++)
        for (int action = 0; action < 16; action++)
            for (int sum = 0; sum < 4; sum++) {
                int options = sum * MOS_UPDATE_IP_CHKSUM, action_count = 0, part_count = 0, want;
                for (int i = 0; i < 4; i++) {
                    options |= part >> i & 1 ? parts[i] : 0;
                    options |= action >> i & 1 ? actions[i] : 0;
                    part_count += part >> i & 1;
                    action_count += action >> i & 1;
                }
                if (action_count == 1 && (action & 1 || (part_count == 1 && !(part & 1 && action >= 4))))
                    continue; /* allowed: elsewhere */
                want = action_count != 1 ? EAGAIN : part_count != 1 ? EINVAL : EACCES;
                errno = 0;
                int result = mtcp_setlastpkt(m, sock, side, 0, &byte, 1, options);
                if (result != -1 || errno != want) {
                    wrong++;
                    check_note("option 0x%x: %d, errno %d, want %d", (unsigned)options, result, errno, want);
                }
                combinations++;
            }
    check_int(wrong, 0, "EAGAIN, EINVAL and EACCES as they should be");
    FAILS(mtcp_setlastpkt(m, sock, side, 0, &byte, 1, 0), EAGAIN);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, &byte, 1, -1), EAGAIN);
    FAILS(mtcp_setlastpkt(m, sock, side, -1, &byte, 1, MOS_OVERWRITE | MOS_IP_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 20, &byte, 1, MOS_OVERWRITE | MOS_IP_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 19, &byte, 2, MOS_OVERWRITE | MOS_IP_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, LONG_MAX, &byte, 1, MOS_OVERWRITE | MOS_IP_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, LONG_MIN, &byte, 1, MOS_OVERWRITE | MOS_IP_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 14, &byte, 1, MOS_OVERWRITE | MOS_ETH_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 20, &byte, 1, MOS_OVERWRITE | MOS_TCP_HDR), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 5, &byte, 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, &byte, 65535, MOS_OVERWRITE | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 1, MOS_INSERT | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 6, &byte, 1, MOS_INSERT | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 6, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 65535, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    /* The IP length says otherwise. */
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 2, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 18, NULL, 2, MOS_CHOMP | MOS_TCP_HDR), EINVAL);
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check(p.eth_len == original_length && memcmp(p.ethh, original, p.eth_len) == 0,
          "nothing was changed by any of them");
}

/* Changes, on one packet with payload. The handler is given as a function. */
static void (*change)(mctx_t m, int sock, int side);
static int change_hook, changed;

static void changer(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    changed++;
    change(m, sock, side);
}

static void change_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, change_hook, changer));
}

/* The frame that leaves when a data packet with `payload` was changed. */
static const struct script_sent *change_one(struct talk *t, const char *payload, uint32_t length, void (*function)(mctx_t, int, int))
{
    t->input[1] = 1;
    say_hello(t);
    say(t, 0, ACK | PSH, payload, length);
    const struct script_frame *f = &script[0].frames[script[0].count - 1];
    memcpy(original, f->data, f->len);
    original_length = f->len;
    change = function;
    changed = 0;
    play(pair, forwards, change_setup);
    check_int(changed, 1, "the handler ran");
    check(memcmp(original, f->data, f->len) == 0, "the received frame is not written to");
    if (script[1].sent_count != 3) {
        check_int((long long)script[1].sent_count, 3, "three frames leave");
        return NULL;
    }
    return &script[1].sent[2];
}

static void do_combine(mctx_t m, int sock, int side) { combine(m, sock, side, 0, NULL); }

static void option_combinations(void)
{
    struct talk t;
    scene("options of mtcp_setlastpkt");
    script_begin();
    talk_init(&t, 1);
    change_hook = MOS_HK_SND;
    combinations = 0;
    const struct script_sent *out = change_one(&t, "hello", 5, do_combine);
    check(combinations > 900, "all were tried");
    check(out && out->len == original_length && memcmp(out->data, original, out->len) == 0, "the packet leaves as it came");
}

/* OVERWRITE of each part. */
static int over_sums;
static void do_overwrite(mctx_t m, int sock, int side)
{
    unsigned char mac[6] = { 2, 1, 2, 3, 4, 5 }, ttl = 17, port[2] = { 0x1f, 0x90 };
    struct pkt_info p;
    WORKS(mtcp_setlastpkt(m, sock, side, 6, mac, 6, MOS_OVERWRITE | MOS_ETH_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 8, &ttl, 1, MOS_OVERWRITE | MOS_IP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 2, port, 2, MOS_OVERWRITE | MOS_TCP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 1, (unsigned char *)(uintptr_t) "ELL", 3,
                          MOS_OVERWRITE | MOS_TCP_PAYLOAD | (over_sums ? MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM : 0)));
    WORKS(mtcp_setlastpkt(m, sock, side, 5, NULL, 0, MOS_OVERWRITE | MOS_TCP_PAYLOAD));
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check(memcmp(p.payload, "hELLo", 5) == 0 && p.tcph->dest == htons(8080) && p.iph->ttl == 17 &&
              memcmp((uint8_t *)p.ethh + 6, mac, 6) == 0,
          "mtcp_getlastpkt shows it");
}

static void overwriting(void)
{
    for (over_sums = 0; over_sums < 2; over_sums++)
        for (int hook = 0; hook < 2; hook++) {
            struct talk t;
            uint8_t want[100];
            scene(over_sums ? "MOS_OVERWRITE with checksums" : "MOS_OVERWRITE without checksums");
            script_begin();
            talk_init(&t, 1);
            change_hook = hook ? MOS_HK_RCV : MOS_HK_SND;
            const struct script_sent *out = change_one(&t, "hello", 5, do_overwrite);
            memcpy(want, original, original_length);
            memcpy(want + 6, "\2\1\2\3\4\5", 6);
            want[14 + 8] = 17;
            put16(want + 14 + 20 + 2, 8080);
            memcpy(want + 14 + 40, "hELLo", 5);
            if (over_sums) {
                fix_ip_checksum(want + 14);
                fix_l4_checksum(want + 14, 6);
            }
            if (out && check_int(out->len, original_length, "the length stays"))
                check_bytes(out->data, want, out->len, "the frame that leaves, byte by byte");
        }
}

/* Checksums by halves, and IPv6. */
static int which_sum;
static void do_sums(mctx_t m, int sock, int side)
{
    WORKS(mtcp_setlastpkt(m, sock, side, 0, (unsigned char *)(uintptr_t) "J", 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD | which_sum));
}

static void sums(void)
{
    static const int options[4] = { 0, MOS_UPDATE_IP_CHKSUM, MOS_UPDATE_TCP_CHKSUM, MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM };
    for (int family = 0; family < 2; family++)
        for (int i = 0; i < 4; i++) {
            struct talk t;
            scene(family ? "checksums, IPv6 in a VLAN" : "checksums");
            script_begin();
            if (family)
                talk_init6(&t, 1);
            else
                talk_init(&t, 1);
            t.vlan = family ? 9 : 0;
            which_sum = options[i];
            change_hook = MOS_HK_SND;
            const struct script_sent *out = change_one(&t, "hello", 5, do_sums);
            uint8_t want[200];
            memcpy(want, original, original_length);
            want[original_length - 5] = 'J';
            if (which_sum & MOS_UPDATE_TCP_CHKSUM)
                fix_l4_checksum(want + ip_at(&t), 6);
            if (out && check_int(out->len, original_length, "the length stays"))
                check_bytes(out->data, want, out->len, "only what was asked for is recomputed");
            if (out && which_sum & MOS_UPDATE_TCP_CHKSUM)
                check(tcp_checksum_good(out->data + ip_at(&t)), "the TCP checksum is right");
        }
}

/* INSERT and CHOMP. */
static struct {
    int part, at, count, insert, sums, result, code;
} edit;
static struct pkt_info after;
static char after_payload[64];

static void do_edit(mctx_t m, int sock, int side)
{
    static unsigned char bytes[66000];
    struct pkt_info p;
    unsigned char length[2];
    memset(bytes, '#', sizeof bytes);
    mtcp_getlastpkt(m, sock, side, &p);
    int v6 = ((const uint8_t *)p.iph)[0] >> 4 == 6;
    uint32_t total = ip_total_length((const uint8_t *)p.iph) - (v6 ? 40 : 0);
    put16(length, (uint32_t)((int)total + (edit.insert ? edit.count : -edit.count)));
    WORKS(mtcp_setlastpkt(m, sock, side, v6 ? 4 : 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    errno = 0;
    edit.result = mtcp_setlastpkt(m, sock, side, edit.at, edit.insert ? bytes : NULL, (uint16_t)edit.count,
                                  edit.part | (edit.insert ? MOS_INSERT : MOS_CHOMP) | edit.sums);
    edit.code = errno;
    memset(&after, 0, sizeof after);
    mtcp_getlastpkt(m, sock, side, &after);
    if (after.payload && after.payloadlen < sizeof after_payload)
        memcpy(after_payload, after.payload, after.payloadlen);
}

static void edit_one(const char *name, int v6, const char *payload, int part, int at, int count, int insert)
{
    struct talk t;
    uint8_t want[2000];
    char what[200];
    scene(name);
    script_begin();
    if (v6)
        talk_init6(&t, 1);
    else
        talk_init(&t, 1);
    t.vlan = v6 ? 77 : 0;
    edit.part = part;
    edit.at = at;
    edit.count = count;
    edit.insert = insert;
    edit.sums = MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM;
    change_hook = MOS_HK_SND;
    uint32_t length = (uint32_t)strlen(payload);
    const struct script_sent *out = change_one(&t, payload, length, do_edit);
    snprintf(what, sizeof what, "%d bytes at %d of %s, errno %d", count, at, part == MOS_TCP_PAYLOAD ? "the payload" : "a header", edit.code);
    check_int(edit.result, 0, what);
    uint32_t place = (part == MOS_IP_HDR ? ip_at(&t) : part == MOS_TCP_HDR ? tcp_at(&t) : tcp_at(&t) + 20) + (uint32_t)at;
    uint32_t size = original_length;
    memcpy(want, original, place);
    if (insert) {
        memset(want + place, '#', (size_t)count);
        memcpy(want + place + count, original + place, size - place);
        size += (uint32_t)count;
    } else {
        memcpy(want + place, original + place + count, size - place - (uint32_t)count);
        size -= (uint32_t)count;
    }
    put16(want + ip_at(&t) + (v6 ? 4 : 2), size - ip_at(&t) - (v6 ? 40 : 0));
    fix_ip_checksum(want + ip_at(&t));
    fix_l4_checksum(want + ip_at(&t), 6);
    if (!out)
        return;
    check_int(out->len, size, "the frame has the length that the IP header says");
    if (out->len == size)
        check_bytes(out->data, want, size, "the frame that leaves, byte by byte");
    if (part == MOS_TCP_PAYLOAD) {
        check_int(after.payloadlen, (int)length + (insert ? count : -count), "payloadlen follows");
        check_bytes(after_payload, want + tcp_at(&t) + 20, after.payloadlen < 60 ? after.payloadlen : 0, "so does what is seen of it");
    }
    check_int(after.eth_len, size, "eth_len follows");
}

static void editing(void)
{
    static const char ten[] = "0123456789";
    for (int v6 = 0; v6 < 2; v6++) {
        edit_one("MOS_INSERT at the beginning", v6, ten, MOS_TCP_PAYLOAD, 0, 3, 1);
        edit_one("MOS_INSERT in the middle", v6, ten, MOS_TCP_PAYLOAD, 4, 7, 1);
        edit_one("MOS_INSERT at the end", v6, ten, MOS_TCP_PAYLOAD, 10, 5, 1);
        edit_one("MOS_INSERT of much", v6, ten, MOS_TCP_PAYLOAD, 5, 1400, 1);
        edit_one("MOS_INSERT of nothing", v6, ten, MOS_TCP_PAYLOAD, 5, 0, 1);
        edit_one("MOS_CHOMP at the beginning", v6, ten, MOS_TCP_PAYLOAD, 0, 3, 0);
        edit_one("MOS_CHOMP in the middle", v6, ten, MOS_TCP_PAYLOAD, 4, 2, 0);
        edit_one("MOS_CHOMP at the end", v6, ten, MOS_TCP_PAYLOAD, 7, 3, 0);
        edit_one("MOS_CHOMP of most", v6, ten, MOS_TCP_PAYLOAD, 1, 8, 0);
        edit_one("MOS_CHOMP of all", v6, ten, MOS_TCP_PAYLOAD, 0, 10, 0);
        edit_one("MOS_CHOMP of nothing", v6, ten, MOS_TCP_PAYLOAD, 5, 0, 0);
    }
}

/* A TCP option put in and taken out: the data offset is the caller's to set. */
static int option_step;
static void do_options(mctx_t m, int sock, int side)
{
    unsigned char length[2], doff, nops[4] = { 1, 1, 1, 1 };
    struct pkt_info p;
    mtcp_getlastpkt(m, sock, side, &p);
    uint32_t total = ip_total_length((const uint8_t *)p.iph);
    put16(length, total + 4);
    doff = 0x60;
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    if (option_step == 0)
        WORKS(mtcp_setlastpkt(m, sock, side, 12, &doff, 1, MOS_OVERWRITE | MOS_TCP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 20, nops, 4, MOS_INSERT | MOS_TCP_HDR));
    if (option_step == 1)
        WORKS(mtcp_setlastpkt(m, sock, side, 12, &doff, 1, MOS_OVERWRITE | MOS_TCP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM | MOS_UPDATE_IP_CHKSUM));
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check(p.payloadlen == 5 && memcmp(p.payload, "hello", 5) == 0 && p.tcph->doff == 6, "mtcp_getlastpkt shows it");
}

static void tcp_options(void)
{
    for (option_step = 0; option_step < 2; option_step++) {
        struct talk t;
        uint8_t want[100];
        scene(option_step ? "a TCP option put in, then the data offset" : "the data offset, then a TCP option put in");
        script_begin();
        talk_init(&t, 1);
        change_hook = MOS_HK_SND;
        const struct script_sent *out = change_one(&t, "hello", 5, do_options);
        memcpy(want, original, 14 + 40);
        memset(want + 14 + 40, 1, 4);
        memcpy(want + 14 + 44, "hello", 5);
        want[14 + 20 + 12] = 0x60;
        put16(want + 14 + 2, 20 + 24 + 5);
        fix_ip_checksum(want + 14);
        fix_l4_checksum(want + 14, 6);
        if (out && check_int(out->len, 14 + 49, "its length"))
            check_bytes(out->data, want, out->len, "the frame that leaves, byte by byte");
    }
}

/* What does not fit, and that a call that fails changes nothing, also not what earlier ones did. */
static void do_refused(mctx_t m, int sock, int side)
{
    static unsigned char many[65535];
    unsigned char length[2];
    struct pkt_info p;
    WORKS(mtcp_setlastpkt(m, sock, side, 0, (unsigned char *)(uintptr_t) "HELLO", 5, MOS_OVERWRITE | MOS_TCP_PAYLOAD));
    /* The IP length announces more than there is after it. */
    FAILS(mtcp_setlastpkt(m, sock, side, 1, NULL, 3, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    FAILS(mtcp_setlastpkt(m, sock, side, 0, NULL, 5, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check(p.payloadlen == 5 && memcmp(p.payload, "HELLO", 5) == 0, "a refused MOS_CHOMP leaves what was written before");
    put16(length, 60000);
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    FAILS(mtcp_setlastpkt(m, sock, side, 2, many, 10, MOS_INSERT | MOS_TCP_PAYLOAD), EINVAL);
    put16(length, 45);
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check(p.payloadlen == 5 && memcmp(p.payload, "HELLO", 5) == 0, "so does a refused MOS_INSERT");
    put16(length, 10); /* shorter than its header */
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    FAILS(mtcp_setlastpkt(m, sock, side, 2, NULL, 1, MOS_CHOMP | MOS_TCP_PAYLOAD), EINVAL);
    put16(length, 45);
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM));
}

static void refused(void)
{
    struct talk t;
    uint8_t want[100];
    scene("what does not fit");
    script_begin();
    talk_init(&t, 1);
    change_hook = MOS_HK_SND;
    const struct script_sent *out = change_one(&t, "hello", 5, do_refused);
    memcpy(want, original, original_length);
    memcpy(want + 54, "HELLO", 5);
    fix_l4_checksum(want + 14, 6);
    if (out && check_int(out->len, original_length, "its length"))
        check_bytes(out->data, want, out->len, "the frame that leaves, byte by byte");
}

/* Short frames are padded to 60 bytes on the wire: the padding is no payload. */
static void do_padded(mctx_t m, int sock, int side)
{
    unsigned char length[2];
    struct pkt_info p;
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    check_int(p.payloadlen, 2, "padding is no payload");
    check_int(p.eth_len, 60, "but part of the frame");
    put16(length, 20 + 20 + 4);
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 2, (unsigned char *)(uintptr_t) "cd", 2,
                          MOS_INSERT | MOS_TCP_PAYLOAD | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM));
}

static void padded(void)
{
    struct talk t;
    uint8_t frame[100];
    scene("a padded frame");
    script_begin();
    talk_init(&t, 1);
    t.input[1] = 1;
    say_hello(&t);
    memset(frame, 0, sizeof frame);
    make_tcp(frame, &t, 0, ACK | PSH, t.next[0], t.next[1], NULL, 0, "ab", 2);
    memset(frame + 56, 0xcc, 4);
    script_add(0, frame, 60);
    change = do_padded;
    change_hook = MOS_HK_SND;
    changed = 0;
    play(pair, forwards, change_setup);
    check_int(changed, 1, "the handler ran");
    check_int((long long)script[1].sent_count, 3, "three frames leave");
    const struct script_sent *out = &script[1].sent[2];
    check_int(out->len, 14 + 44, "the frame has the length that the IP header says");
    check_bytes(out->data + 54, "abcd", 4, "with the new payload");
    check(ip_checksum_good(out->data + 14) && tcp_checksum_good(out->data + 14), "and right checksums");
}

/* Two listeners: the second sees what the first has made of the packet, and seq and ack_seq follow; the
 * emulated stacks keep what they learned from the original. */
static uint32_t seen_seq, seen_ack;
static uint16_t seen_window;
static int seen_state;
static void rewrite_first(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    unsigned char numbers[8], window[2];
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    put32(numbers, 111111);
    put32(numbers + 4, 222222);
    put16(window, 333);
    WORKS(mtcp_setlastpkt(m, sock, side, 4, numbers, 8, MOS_OVERWRITE | MOS_TCP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 14, window, 2, MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM));
}

static void see_second(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    struct tcp_buf_info info;
    socklen_t length = sizeof info;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    seen_seq = p.seq;
    seen_ack = p.ack_seq;
    seen_window = p.window;
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_SVRBUF, &info, &length) == 0)
        seen_state = (int)info.tcpbi_next_byte_expected;
}

static void rewrite_setup(mctx_t m)
{
    int a = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), b = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, a, MOS_ON_PKT_IN, MOS_HK_SND, rewrite_first));
    WORKS(mtcp_register_callback(m, b, MOS_ON_PKT_IN, MOS_HK_RCV, see_second));
}

static void in_chain(void)
{
    struct talk t;
    scene("a changed packet in the chain");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "hello");
    seen_state = -1;
    play(pair, forwards, rewrite_setup);
    check_int(seen_seq, 111111, "seq follows");
    check_int(seen_ack, 222222, "ack_seq follows");
    check_int(seen_window, 333, "window follows");
    check_int(seen_state, 5, "the emulated stacks keep what the original said");
}

/* A raw handler's changes. */
static void raw_change(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    unsigned char tos = 0x28;
    (void)event, (void)arg;
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
    WORKS(mtcp_setlastpkt(m, sock, side, 1, &tos, 1, MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM));
}

static void raw_change_setup(mctx_t m)
{
    listener = listen_to(m, AF_INET, MOS_ON_CONN_START);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, raw_change));
}

static void raw_changes(void)
{
    struct talk t;
    uint8_t frame[100];
    scene("a raw socket's changes");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    log_clear();
    play(pair, forwards, raw_change_setup);
    check_int((long long)script[1].sent_count, 2, "both packets leave");
    for (size_t i = 0; i < script[1].sent_count; i++) {
        const struct script_sent *out = &script[1].sent[i];
        check(out->data[15] == 0x28 && ip_checksum_good(out->data + 14), "changed");
    }
    check_str(log_text, "sSTART.c rSTART.v", "the flow is monitored as always");
}

/* mtcp_clonepkt. */
static int cloned;
static void clone(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p, to, again;
    unsigned char frame[2000];
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    cloned++;
    memset(frame, 0xee, sizeof frame);
    WORKS(mtcp_clonepkt(&to, frame, &p));
    check((unsigned char *)to.ethh == frame && (unsigned char *)to.iph == frame + 14 && (unsigned char *)to.tcph == frame + 34 &&
              to.payload == frame + 54,
          "its pointers lead into the new frame");
    check(memcmp(frame, p.ethh, p.eth_len) == 0 && frame[p.eth_len] == 0xee, "which is a copy, no longer");
    check(to.seq == p.seq && to.payloadlen == p.payloadlen && to.offset == p.offset && to.in_ifidx == p.in_ifidx, "so are the fields");
    mtcp_getlastpkt(m, sock, side, &again);
    check(memcmp(to.payload, "hello", 5) == 0, "it stays when the next mtcp_getlastpkt comes");
    FAILS(mtcp_clonepkt(NULL, frame, &p), EINVAL);
    FAILS(mtcp_clonepkt(&to, NULL, &p), EINVAL);
    FAILS(mtcp_clonepkt(&to, frame, NULL), EINVAL);
}

static void clone_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p, to;
    unsigned char frame[2000];
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.tcph)
        return;
    cloned++;
    WORKS(mtcp_clonepkt(&to, frame, &p));
    check(!to.tcph && !to.payload && (unsigned char *)to.iph == frame + 14, "pointers that are NULL stay so");
}

static void clone_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, clone));
    WORKS(mtcp_register_callback(m, raw, MOS_ON_PKT_IN, MOS_NULL, clone_raw));
}

static void cloning(void)
{
    struct talk t;
    uint8_t frame[100];
    scene("mtcp_clonepkt");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "hello");
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    cloned = 0;
    play(NULL, NULL, clone_setup);
    check_int(cloned, 2, "both handlers ran");
}

int main(void)
{
    fields();
    offset_values();
    without();
    raw_packets();
    option_combinations();
    overwriting();
    sums();
    editing();
    tcp_options();
    refused();
    padded();
    in_chain();
    raw_changes();
    cloning();
    return finish();
}
