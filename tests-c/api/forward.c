/* Forwarding, dropping, translation, and packets of one's own:
 * 02-monitor.md sections 2 and 7, 03-config.md. */
#include "api/scene.h"

static const char *const pair = "script:a 0x1\nscript:b 0x1";
static const char *const forwards = "nic_forward_table { script:a script:b }";
static int listener, calls;

static void quiet_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
}

static int same_frame(const struct script_sent *out, const struct script_frame *in)
{
    return out->len == in->len && memcmp(out->data, in->data, out->len) == 0;
}

/* nic_forward_table: everything, both ways, as it came, once. */
static void wire(void)
{
    struct talk t;
    uint8_t frame[2000], cut[2000];
    scene("nic_forward_table");
    script_begin();
    talk_init(&t, 1);
    t.input[1] = 1;
    say_hello(&t);
    say_text(&t, 0, "request");
    say_text(&t, 1, "answer");
    say_at(&t, 0, ACK, t.next[0] - 7, t.next[1], "request", 7);
    script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    script_add(1, frame, make_other(frame, &t, 1, 1, "icmp", 4));
    script_add(0, frame, make_arp(frame));
    script_add(1, frame, make_arp(frame));
    /* Fragments of TCP that together are a segment of the flow. */
    uint32_t length = make_tcp(frame, &t, 0, ACK, t.next[0], t.next[1], NULL, 0, "0123456789abcdef", 16);
    memcpy(cut, frame, 14 + 20 + 24);
    put16(cut + 16, 20 + 24);
    put16(cut + 20, 0x2000);
    fix_ip_checksum(cut + 14);
    script_add(0, cut, 14 + 20 + 24);
    memcpy(cut + 34, frame + 34 + 24, length - 34 - 24);
    put16(cut + 16, 20 + 12);
    put16(cut + 20, 3);
    fix_ip_checksum(cut + 14);
    script_add(0, cut, 34 + 12);
    t.next[0] += 16;
    /* IPv6, tags, orphans, a bad TCP checksum, a bad data offset. */
    talk_init6(&t, 2);
    t.input[1] = 1;
    say_hello(&t);
    talk_init(&t, 3);
    t.vlan = 5;
    say(&t, 0, ACK, NULL, 0);
    talk_init(&t, 4);
    length = make_tcp(frame, &t, 0, SYN, 1, 0, NULL, 0, NULL, 0);
    frame[14 + 20 + 16] ^= 1;
    script_add(0, frame, length);
    length = make_tcp(frame, &t, 0, SYN, 1, 0, NULL, 0, NULL, 0);
    frame[14 + 20 + 12] = 0x30;
    fix_l4_checksum(frame + 14, 6);
    script_add(0, frame, length);
    /* A bad IP checksum goes no further. */
    frame[24] ^= 1;
    script_add(0, frame, length);
    play(pair, forwards, quiet_setup);
    check_int((long long)script[1].sent_count, (long long)script[0].count - 1, "what comes in on a leaves by b");
    check_int((long long)script[0].sent_count, (long long)script[1].count, "what comes in on b leaves by a");
    int wrong = 0, handed = 0;
    for (int port = 0; port < 2; port++)
        for (size_t i = 0; i < script[port].sent_count; i++) {
            wrong += !same_frame(&script[port].sent[i], &script[1 - port].frames[i]);
            handed += script[port].sent[i].forwarded;
        }
    check_int(wrong, 0, "unchanged, MAC addresses too, in order");
    check_int(handed, (int)(script[0].sent_count + script[1].sent_count), "without a copy of ours");
    check_int((long long)played.tx_packets, handed, "counted");
    check_int((long long)played.rx_bad_ip_checksum, 1, "a bad IP checksum is dropped and counted");
    check_int((long long)played.fragments_reassembled, 1, "the fragments were a datagram");
    check(script[0].flushes > 0 && script[1].flushes > 0, "what was sent is flushed");
}

static void nowhere(void)
{
    struct talk t;
    uint8_t frame[100];
    for (int round = 0; round < 3; round++) {
        scene(round == 0 ? "forward = 0" : round == 1 ? "no table" : "an application with ip_forward = 0");
        script_begin();
        talk_init(&t, 1);
        t.input[1] = 1;
        say_hello(&t);
        script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
        script_add(0, frame, make_arp(frame));
        play(pair, round == 0 ? "forward = 0\nnic_forward_table { script:a script:b }"
             : round == 1     ? NULL
                              : "nic_forward_table { script:a script:b }\n}\napplication { ip_forward = 0 }\nmos {",
             quiet_setup);
        check_int((long long)(script[0].sent_count + script[1].sent_count), 0, "nothing is forwarded");
        check_int((long long)played.rx_packets, 5, "everything is looked at");
        check_int((long long)played.flows_total, 1, "and monitored");
    }
}

/* No room, or an error of the interface. */
static void failing(void)
{
    for (int round = 0; round < 3; round++) {
        struct talk t;
        scene("an interface that cannot send");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_text(&t, 0, "x");
        script[1].tx_full = round == 0;
        script[1].tx_code = round == 1 ? ENOBUFS : round == 2 ? EIO : 0;
        play(pair, forwards, quiet_setup);
        if (round > 0) {
            check_int((long long)script[1].sent_count, 0, "nothing leaves");
            check_int((long long)played.drop_tx, 4, "it is counted");
        } else {
            check_int((long long)script[1].sent_count, 4, "frames are forwarded as they are without room");
        }
        check_int((long long)played.flows_total, 1, "the flow is monitored");
    }
}

/* Routes. */
static void routed(void)
{
    struct talk t;
    uint8_t want[100];
    scene("route_table");
    script_begin();
    talk_init(&t, 1);
    t.input[1] = 1;
    say_hello(&t);
    say(&t, 0, ACK, NULL, 0);
    talk_init(&t, 2);
    t.address[1][0] = 99; /* no route */
    say(&t, 0, ACK, NULL, 0);
    talk_init6(&t, 3);
    say(&t, 0, ACK, NULL, 0);
    play(pair,
         "route_table {\n10.9.0.0/16 script:b\n10.0.0.0/8 script:a\n10.9.0.128/25 script:a\n}\n"
         "arp_table {\n10.9.0.1/32 02:11:22:33:44:55\n10.0.0.0/24 02:66:77:88:99:aa\n}",
         quiet_setup);
    check_int((long long)script[1].sent_count, 3, "by the longest prefix: to the server");
    check_int((long long)script[0].sent_count, 1, "and to the client");
    if (script[1].sent_count && script[0].sent_count) {
        const struct script_frame *in = &script[0].frames[0];
        memcpy(want, in->data, in->len);
        memcpy(want, "\x02\x11\x22\x33\x44\x55", 6);
        memcpy(want + 6, "\x02\0\0\0\0\xa1", 6);
        check_bytes(script[1].sent[0].data, want, in->len, "with the next hop's MAC address and the interface's");
        in = &script[1].frames[0];
        memcpy(want, in->data, in->len);
        memcpy(want, "\x02\x66\x77\x88\x99\xaa", 6);
        memcpy(want + 6, "\x02\0\0\0\0\xa0", 6);
        check_bytes(script[0].sent[0].data, want, in->len, "both ways");
    }
    check_int((long long)played.drop_no_route, 2, "what has no way is counted");
}

/* Dropped at HK_SND: the receiver never gets it. */
static enum { FIRST_SYN, DATA_SEND, DATA_RECEIVE, SYN_ACK } which;
static char streamed[64];
static size_t streamed_count;

static void dropper(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)arg;
    if (which == DATA_RECEIVE)
        at_receive(m, sock, side, event, arg);
    else
        at_send(m, sock, side, event, arg);
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || calls > 0)
        return;
    int is_it = which == FIRST_SYN ? p.tcph->syn && !p.tcph->ack : which == SYN_ACK ? p.tcph->syn && p.tcph->ack : p.payloadlen > 0;
    if (!is_it)
        return;
    calls++;
    WORKS(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP));
    /* It can still be looked at. */
    WORKS(mtcp_getlastpkt(m, sock, side, &p));
}

static void read_stream(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    ssize_t n;
    at_null(m, sock, side, event, arg);
    while ((n = mtcp_peek(m, sock, side, streamed + streamed_count, sizeof streamed - streamed_count)) > 0)
        streamed_count += (size_t)n;
}

static void drop_setup(mctx_t m)
{
    listener = listen_to(m, AF_INET, EVERYTHING);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, which == DATA_RECEIVE ? MOS_HK_RCV : MOS_HK_SND, dropper));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_stream));
    WORKS(mtcp_unregister_callback(m, listener, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND));
    WORKS(mtcp_unregister_callback(m, listener, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV));
    WORKS(mtcp_unregister_callback(m, listener, MOS_ON_CONN_END, MOS_HK_SND));
    WORKS(mtcp_unregister_callback(m, listener, MOS_ON_CONN_END, MOS_HK_RCV));
}

static void drops(void)
{
    static const char *const names[4] = { "a SYN dropped at HK_SND", "data dropped at HK_SND", "data dropped at HK_RCV",
                                          "a SYN/ACK dropped at HK_SND" };
    static const char *const want[4] = {
        /* The repeated SYN is the server's first. */
        "sIN.c sSTART.c sIN.c rIN.v sIN.v rIN.c sIN.c rIN.v sIN.c rIN.v nDATA.v sIN.c rREXMIT.v rIN.v sIN.v rIN.c",
        "sIN.c sSTART.c rIN.v rSTART.v sIN.v rIN.c sIN.c rIN.v sIN.c sIN.c rIN.v nDATA.v sIN.v rIN.c",
        "sIN.c sSTART.c rIN.v rSTART.v sIN.v rIN.c sIN.c rIN.v sIN.c rIN.v nDATA.v sIN.c rREXMIT.v rIN.v sIN.v rIN.c",
        "sIN.c sSTART.c rIN.v rSTART.v sIN.v sIN.v rIN.c sIN.c rIN.v sIN.c rIN.v nDATA.v sIN.c rREXMIT.v rIN.v sIN.v rIN.c",
    };
    for (int round = 0; round < 4; round++) {
        struct talk t;
        scene(names[round]);
        which = (__typeof__(which))round;
        script_begin();
        talk_init(&t, 1);
        say(&t, 0, SYN, NULL, 0);
        if (which == FIRST_SYN) {
            t.next[0] = t.isn[0];
            say(&t, 0, SYN, NULL, 0);
        }
        say(&t, 1, SYN | ACK, NULL, 0);
        if (which == SYN_ACK) {
            t.next[1] = t.isn[1];
            say(&t, 1, SYN | ACK, NULL, 0);
        }
        say(&t, 0, ACK, NULL, 0);
        say_text(&t, 0, "data");
        script_burst(0);
        say_at(&t, 0, ACK | PSH, t.next[0] - 4, t.next[1], "data", 4);
        script_burst(0);
        say(&t, 1, ACK, NULL, 0);
        calls = 0;
        streamed_count = 0;
        log_clear();
        play(pair, forwards, drop_setup);
        check_int(calls, 1, "dropped");
        check_str(log_text, want[round], "what its handlers were told");
        check(streamed_count == 4 && memcmp(streamed, "data", 4) == 0, "the stream is what the receiver got");
        check_int((long long)script[1].sent_count, (long long)script[0].count - 1, "all others were forwarded");
        check_int((long long)played.drop_app, 1, "it is counted");
    }
}

/* Network address translation: source and destination, address and port. */
static int translated_calls, peer_errors, nat_side;
static const uint8_t outside[2][4] = { { 192, 0, 2, 1 }, { 198, 51, 100, 7 } };

static void put_address(mctx_t m, int sock, int side, int destination, const uint8_t *address, uint16_t port)
{
    unsigned char bytes[4], number[2];
    memcpy(bytes, address, 4);
    put16(number, port);
    if (mtcp_setlastpkt(m, sock, side, destination ? 16 : 12, bytes, 4, MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM) ||
        mtcp_setlastpkt(m, sock, side, destination ? 2 : 0, number, 2, MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM))
        check(0, "rewriting");
}

static void translate(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static const uint8_t inside[2][4] = { { 10, 0, 0, 1 }, { 10, 9, 0, 1 } };
    struct sockaddr_in ends[2];
    socklen_t length = sizeof ends;
    (void)event, (void)arg;
    translated_calls++;
    if (side == MOS_SIDE_CLI) {
        if (nat_side & 1)
            put_address(m, sock, side, 0, outside[0], 40001);
        if (nat_side & 2)
            put_address(m, sock, side, 1, outside[1], 8080);
    } else {
        if (nat_side & 1)
            put_address(m, sock, side, 1, inside[0], 10001);
        if (nat_side & 2)
            put_address(m, sock, side, 0, inside[1], 80);
    }
    if (mtcp_getpeername(m, sock, (struct sockaddr *)ends, &length, MOS_SIDE_BOTH) != 0)
        peer_errors++;
    struct pkt_info p;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || (p.tcph->syn && !p.tcph->ack))
        return; /* the SYN has not left yet */
    peer_errors += memcmp(&ends[0].sin_addr, inside[0], 4) != 0 || ends[0].sin_port != htons(10001);
    peer_errors += memcmp(&ends[1].sin_addr, nat_side & 2 ? outside[1] : inside[1], 4) != 0 ||
                   ends[1].sin_port != htons(nat_side & 2 ? 8080 : 80);
}

static void nat_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, translate));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_ORPHAN, MOS_NULL, at_null));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_START, MOS_HK_SND, at_send));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_stream));
}

static void translation(void)
{
    for (nat_side = 1; nat_side < 4; nat_side++)
        for (int again = 0; again < 2; again++) {
            struct talk in, out;
            scene(nat_side == 1 ? "source NAT" : nat_side == 2 ? "destination NAT" : "both translated");
            script_begin();
            talk_init(&in, 1);
            out = in;
            if (nat_side & 1) {
                memcpy(out.address[0], outside[0], 4);
                out.port[0] = 40001;
            }
            if (nat_side & 2) {
                memcpy(out.address[1], outside[1], 4);
                out.port[1] = 8080;
            }
            in.input[0] = in.input[1] = 0;
            out.input[0] = out.input[1] = 1;
            /* The client's packets come on a as they are, the server's on b with the translated addresses. */
            for (int round = 0; round <= again; round++) {
                if (round) {
                    in.isn[0] += 1000000;
                    in.isn[1] += 1000000;
                    in.next[0] = in.isn[0];
                    in.next[1] = in.isn[1];
                }
                say(&in, 0, SYN, NULL, 0);
                out.next[0] = in.next[0];
                out.next[1] = in.next[1];
                out.isn[1] = in.isn[1];
                say(&out, 1, SYN | ACK, NULL, 0);
                in.next[1] = out.next[1];
                say(&in, 0, ACK, NULL, 0);
                say_text(&in, 0, "ping");
                out.next[0] = in.next[0];
                say_text(&out, 1, "pong");
                in.next[1] = out.next[1];
                say(&in, 0, FIN | ACK, NULL, 0);
                out.next[0] = in.next[0];
                say(&out, 1, FIN | ACK, NULL, 0);
                in.next[1] = out.next[1];
                say(&in, 0, ACK, NULL, 0);
            }
            translated_calls = peer_errors = 0;
            streamed_count = 0;
            log_clear();
            play(pair, "nic_forward_table { script:a script:b }\nburst = 1", nat_setup);
            check_str(log_text, again ? "sSTART.c nDATA.v nDATA.c sSTART.c nDATA.v nDATA.c" : "sSTART.c nDATA.v nDATA.c",
                      "the server's packets belong to the flow");
            check_int((long long)played.orphans, 0, "none is an orphan");
            check(streamed_count == (size_t)(8 << again) && memcmp(streamed, "pingpong", 8) == 0, "both streams are read");
            check_int(peer_errors, 0, "mtcp_getpeername: the client as it came, the server as the SYN left");
            check_int((long long)script[1].sent_count, 5 << again, "the client's packets leave");
            check_int((long long)script[0].sent_count, 3 << again, "the server's as well");
            int wrong = 0;
            uint8_t want[200];
            for (size_t i = 0; i < script[1].sent_count; i++) {
                const struct script_frame *f = &script[0].frames[i];
                memcpy(want, f->data, f->len);
                memcpy(want + 26, out.address[0], 4);
                memcpy(want + 30, out.address[1], 4);
                put16(want + 34, out.port[0]);
                put16(want + 36, out.port[1]);
                fix_ip_checksum(want + 14);
                fix_l4_checksum(want + 14, 6);
                wrong += script[1].sent[i].len != f->len || memcmp(want, script[1].sent[i].data, f->len) != 0;
            }
            for (size_t i = 0; i < script[0].sent_count; i++) {
                const struct script_frame *f = &script[1].frames[i];
                memcpy(want, f->data, f->len);
                memcpy(want + 26, in.address[1], 4);
                memcpy(want + 30, in.address[0], 4);
                put16(want + 34, in.port[1]);
                put16(want + 36, in.port[0]);
                fix_ip_checksum(want + 14);
                fix_l4_checksum(want + 14, 6);
                wrong += script[0].sent[i].len != f->len || memcmp(want, script[0].sent[i].data, f->len) != 0;
            }
            check_int(wrong, 0, "frames that leave, byte by byte");
            check_int((long long)played.flows_total, 1 << again, "flows");
        }
}

/* The same for IPv6. */
static void translate6(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct talk t;
    struct sockaddr_in6 ends[2];
    socklen_t length = sizeof ends;
    unsigned char address[16], port[2];
    (void)event, (void)arg;
    translated_calls++;
    talk_init6(&t, 1);
    memcpy(address, t.address[0], 16);
    put16(port, t.port[0]);
    if (side == MOS_SIDE_CLI) {
        address[15] = 0x99;
        put16(port, 40001);
    }
    WORKS(mtcp_setlastpkt(m, sock, side, side == MOS_SIDE_CLI ? 8 : 24, address, 16, MOS_OVERWRITE | MOS_IP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, side == MOS_SIDE_CLI ? 0 : 2, port, 2, MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM));
    WORKS(mtcp_getpeername(m, sock, (struct sockaddr *)ends, &length, MOS_SIDE_BOTH));
    peer_errors += memcmp(&ends[0].sin6_addr, t.address[0], 16) != 0 || memcmp(&ends[1].sin6_addr, t.address[1], 16) != 0;
}

static void nat6_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET6, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, translate6));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_ORPHAN, MOS_NULL, at_null));
}

static void translation6(void)
{
    struct talk in, out;
    scene("source NAT, IPv6");
    script_begin();
    talk_init6(&in, 1);
    out = in;
    out.address[0][15] = 0x99;
    out.port[0] = 40001;
    out.input[0] = out.input[1] = 1;
    say(&in, 0, SYN, NULL, 0);
    out.next[0] = in.next[0];
    say(&out, 1, SYN | ACK, NULL, 0);
    in.next[1] = out.next[1];
    say(&in, 0, ACK, NULL, 0);
    translated_calls = peer_errors = 0;
    log_clear();
    play(pair, "nic_forward_table { script:a script:b }\nburst = 1", nat6_setup);
    check_str(log_text, "", "no orphans");
    check_int(translated_calls, 3, "three packets");
    check_int(peer_errors, 0, "mtcp_getpeername");
    check(script[0].sent_count == 1 && memcmp(script[0].sent[0].data + 38, in.address[0], 16) == 0 &&
              tcp_checksum_good(script[0].sent[0].data + 14),
          "the reply leaves with the inner address");
}

/* mtcp_sendpkt. */
static int sent_calls, send_family;
static void sender(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p, q;
    struct tcphdr *tcp;
    unsigned char tcp_bytes[40], ip_bytes[40];
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0 || sent_calls++)
        return;
    q = p;
    FAILS(mtcp_sendpkt(m, sock, NULL), ENODATA);
    q.iph = NULL;
    FAILS(mtcp_sendpkt(m, sock, &q), ENODATA);
    q = p;
    q.tcph = NULL;
    FAILS(mtcp_sendpkt(m, sock, &q), ENODATA);
    FAILS(mtcp_sendpkt(m, 99, &p), EBADF);
    /* As it is, with pointers into the copy. */
    WORKS(mtcp_sendpkt(m, sock, &p));
    /* The other way, with other numbers, an option and a payload of its own. */
    memcpy(ip_bytes, p.iph, send_family ? 40 : 20);
    if (send_family) {
        memcpy(ip_bytes + 8, (uint8_t *)p.iph + 24, 16);
        memcpy(ip_bytes + 24, (uint8_t *)p.iph + 8, 16);
    } else {
        memcpy(ip_bytes + 12, (uint8_t *)p.iph + 16, 4);
        memcpy(ip_bytes + 16, (uint8_t *)p.iph + 12, 4);
        put16(ip_bytes + 4, 0xbeef);
        put16(ip_bytes + 10, 0); /* computed */
        put16(ip_bytes + 2, 0);  /* computed */
    }
    memset(tcp_bytes, 0, sizeof tcp_bytes);
    tcp = (struct tcphdr *)(void *)tcp_bytes;
    tcp->source = p.tcph->dest;
    tcp->dest = p.tcph->source;
    tcp->seq = htonl(p.ack_seq);
    tcp->ack_seq = htonl(p.seq + p.payloadlen);
    tcp->doff = 6;
    tcp->ack = 1;
    tcp->psh = 1;
    tcp->window = htons(999);
    memset(tcp_bytes + 20, 1, 4);
    memset(&q, 0, sizeof q);
    q.iph = (struct iphdr *)(void *)ip_bytes;
    q.tcph = tcp;
    q.payload = (uint8_t *)(uintptr_t) "forged";
    q.payloadlen = 6;
    WORKS(mtcp_sendpkt(m, sock, &q));
    /* Too long. */
    static uint8_t much[65535];
    q.payload = much;
    q.payloadlen = 65535;
    FAILS(mtcp_sendpkt(m, sock, &q), EINVAL);
    /* No payload although a length is given. */
    q.payload = NULL;
    q.payloadlen = 6;
    WORKS(mtcp_sendpkt(m, sock, &q));
}

static void send_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, sender));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_ORPHAN, MOS_NULL, at_null));
}

static void sending(void)
{
    for (send_family = 0; send_family < 2; send_family++) {
        struct talk t;
        uint8_t want[200];
        uint32_t length;
        scene(send_family ? "mtcp_sendpkt, IPv6" : "mtcp_sendpkt");
        script_begin();
        if (send_family)
            talk_init6(&t, 1);
        else
            talk_init(&t, 1);
        t.input[1] = 1;
        say_hello(&t);
        say(&t, 1, ACK, NULL, 0);
        say_text(&t, 0, "hello");
        sent_calls = 0;
        log_clear();
        play(pair, forwards, send_setup);
        check_int(sent_calls, 1, "the handler ran");
        check_str(log_text, "", "it does not pass through the context's own flows");
        check_int((long long)script[1].sent_count, 4, "one frame to the server beside those that were forwarded");
        check_int((long long)script[0].sent_count, 4, "two to the client");
        if (script[1].sent_count < 4 || script[0].sent_count < 4)
            continue;
        /* The one to the server is the packet again. */
        const struct script_sent *again = &script[1].sent[2];
        const struct script_frame *f = &script[0].frames[2];
        check_int(again->len, f->len, "its length");
        check_bytes(again->data + 14, f->data + 14, f->len - 14, "the packet again, to the server");
        /* The one to the client. */
        const struct script_sent *forged = &script[0].sent[2];
        t.window[1] = 999;
        static const uint8_t nops[4] = { 1, 1, 1, 1 };
        length = make_tcp(want, &t, 1, ACK | PSH, t.next[1], t.next[0], nops, 4, "forged", 6);
        if (!send_family) {
            put16(want + 18, 0xbeef);
            fix_ip_checksum(want + 14);
        }
        if (check_int(forged->len, length, "a forged one, its length")) {
            check_bytes(forged->data + 14, want + 14, length - 14, "byte by byte");
            check(tcp_checksum_good(forged->data + 14) && ip_checksum_good(forged->data + 14), "with right checksums");
        }
        check_int(script[0].sent[3].len, (int)length - 6, "without payload there is none");
    }
}

/* Nowhere to send. */
static void no_way(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || sent_calls++)
        return;
    FAILS(mtcp_sendpkt(m, sock, &p), ENETUNREACH);
}

static void no_way_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, no_way));
}

static void unreachable(void)
{
    struct talk t;
    scene("mtcp_sendpkt without a way out");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    sent_calls = 0;
    play(NULL, NULL, no_way_setup);
    check_int(sent_calls, 1, "the handler ran");
}

/* mtcp_reset_conn. */
static int reset_when;
static void resetter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (++calls != reset_when)
        return;
    WORKS(mtcp_reset_conn(m, sock));
    FAILS(mtcp_reset_conn(m, listener), ENOTSOCK);
    FAILS(mtcp_reset_conn(m, 99), EBADF);
}

static void reset_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, resetter));
}

static void resets(void)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct talk t;
        scene(v6 ? "mtcp_reset_conn, IPv6" : "mtcp_reset_conn");
        script_begin();
        if (v6)
            talk_init6(&t, 1);
        else
            talk_init(&t, 1);
        t.input[1] = 1;
        say_hello(&t);
        say_text(&t, 0, "hello");
        script_burst(0);
        calls = 0;
        reset_when = 1;
        play(pair, "nic_forward_table { script:a script:b }\nburst = 1", reset_setup);
        check_int(calls, 1, "the handler ran");
        const struct script_sent *to[2] = { &script[0].sent[script[0].sent_count - 1], &script[1].sent[script[1].sent_count - 1] };
        for (int side = 0; side < 2; side++) {
            const uint8_t *ip = to[side]->data + 14, *tcp = ip + (v6 ? 40 : 20);
            check(tcp[13] & RST, side ? "a RST to the server" : "a RST to the client");
            check_int(get32(tcp + 4), t.next[1 - side], "with the number that it expects");
            check(tcp_checksum_good(ip) && ip_checksum_good(ip), "right checksums");
            check(get16(tcp) == t.port[1 - side] && get16(tcp + 2) == t.port[side], "and ports");
            check(memcmp(ip + (v6 ? 8 : 12), t.address[1 - side], v6 ? 16 : 4) == 0 &&
                      memcmp(ip + (v6 ? 24 : 16), t.address[side], v6 ? 16 : 4) == 0,
                  "and addresses");
        }
        /* What the ends would make of it: played to a monitor, the flow is reset. */
        struct talk u = t;
        uint8_t copies[2][200];
        uint32_t lengths[2];
        for (int side = 0; side < 2; side++) {
            lengths[side] = to[side]->len;
            memcpy(copies[side], to[side]->data, to[side]->len);
        }
        script_begin();
        if (v6)
            talk_init6(&u, 1);
        else
            talk_init(&u, 1);
        say_hello(&u);
        say_text(&u, 0, "hello");
        script_add(0, copies[0], lengths[0]);
        script_add(0, copies[1], lengths[1]);
        play(NULL, NULL, quiet_setup);
        check_int((long long)played.flows_total, 1, "one flow");
        check_int((long long)played.orphans, 1, "which the first RST ends; the second is an orphan");
    }
}

/* What a packet of our own wears: MAC addresses and tags of the flow's packets. */
static void links(void)
{
    for (int tags = 0; tags < 3; tags++) {
        struct talk t;
        scene(tags == 0 ? "the link header of our own packets" : tags == 1 ? "the same in a VLAN" : "the same in two VLANs");
        script_begin();
        talk_init(&t, 1);
        t.input[1] = 1;
        t.vlan = tags > 0 ? 7 : 0;
        t.outer_vlan = tags > 1 ? 8 : 0;
        say_hello(&t);
        say_text(&t, 0, "hello");
        script_burst(0);
        calls = 0;
        reset_when = 1;
        /* From NEW_DATA, where there is no packet. */
        play(pair, "nic_forward_table { script:a script:b }\nburst = 1", reset_setup);
        check_int(calls, 1, "the handler ran");
        uint32_t length = ip_at(&t);
        const struct script_sent *server = &script[1].sent[script[1].sent_count - 1];
        const struct script_sent *client = &script[0].sent[script[0].sent_count - 1];
        check_int(server->len, length + 40, "to the server, its length");
        check_bytes(server->data, script[0].frames[0].data, length, "as the client's packets have it");
        check_int(client->len, length + 40, "to the client, its length");
        check_bytes(client->data, script[1].frames[0].data, length, "as the server's packets have it");
    }
}

/* A firewall: the first SYN is dropped, and its sender told. */
static void reject(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    calls++;
    WORKS(mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP));
    WORKS(mtcp_reset_conn(m, sock));
}

static void reject_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, reject));
}

static void rejected(void)
{
    struct talk t;
    scene("mtcp_reset_conn on the first SYN");
    script_begin();
    talk_init(&t, 1);
    t.vlan = 7;
    say(&t, 0, SYN, NULL, 0);
    calls = 0;
    play(pair, forwards, reject_setup);
    check_int(calls, 1, "the handler ran");
    check_int((long long)script[1].sent_count, 0, "the server, which knows of nothing, gets nothing");
    if (check_int((long long)script[0].sent_count, 1, "the client gets one packet")) {
        const uint8_t *frame = script[0].sent[0].data, *in = script[0].frames[0].data, *tcp = frame + tcp_at(&t);
        check(memcmp(frame, in + 6, 6) == 0 && memcmp(frame + 6, in, 6) == 0 && memcmp(frame + 12, in + 12, 6) == 0,
              "in its VLAN, with its MAC address");
        check(tcp[13] == (RST | ACK) && get32(tcp + 8) == t.isn[0] + 1, "a RST that acknowledges its SYN");
        check(tcp_checksum_good(frame + ip_at(&t)), "with a right checksum");
    }
}

/* A handler that changes packets where nothing is forwarded. */
static void touch(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    unsigned char ttl = 9;
    (void)event, (void)arg;
    WORKS(mtcp_setlastpkt(m, sock, side, 8, &ttl, 1, MOS_OVERWRITE | MOS_IP_HDR));
}

static void touch_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, touch));
}

static void tapped(void)
{
    struct talk t;
    scene("a changed packet on a tap");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    play(NULL, NULL, touch_setup);
    check_int((long long)played.drop_no_route, 0, "is not lost for want of a route, since there are none");
}

/* out= of a trace device. */
static void to_file(void)
{
    char devices[300], in[] = "/tmp/mos-api-in-XXXXXX", out[] = "/tmp/mos-api-out-XXXXXX";
    unsigned char header[24], record[16], data[200];
    struct talk t;
    scene("out= of a trace device");
    int a = mkstemp(in), b = mkstemp(out);
    if (a < 0 || b < 0) {
        check(0, "temporary files");
        return;
    }
    FILE *file = fdopen(a, "w");
    static const uint32_t words[6] = { 0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1 };
    memcpy(header, words, 24);
    fwrite(header, 24, 1, file);
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "hello");
    for (size_t i = 0; i < script[0].count; i++) {
        uint32_t stamp[4] = { 1700000000u + (uint32_t)i, 0, script[0].frames[i].len, script[0].frames[i].len };
        fwrite(stamp, 16, 1, file);
        fwrite(script[0].frames[i].data, script[0].frames[i].len, 1, file);
    }
    fclose(file);
    snprintf(devices, sizeof devices, "pcap:%s 0x1\npcap:%s,out=%s 0x1", in, in, out);
    char items[400];
    snprintf(items, sizeof items, "nic_forward_table { pcap:%s pcap:%s,out=%s }", in, in, out);
    play(devices, items, quiet_setup);
    file = fdopen(b, "r");
    rewind(file);
    size_t got = fread(header, 1, 24, file);
    check(got == 24, "a trace was written");
    int count = 0, wrong = 0;
    while (fread(record, 16, 1, file) == 1) {
        uint32_t length;
        memcpy(&length, record + 8, 4);
        if (length > sizeof data || fread(data, length, 1, file) != 1)
            break;
        wrong += count >= 4 || length != script[0].frames[count].len || memcmp(data, script[0].frames[count].data, length) != 0;
        count++;
    }
    check_int(count, 4, "with all frames that left by it");
    check_int(wrong, 0, "byte by byte");
    fclose(file);
    unlink(in);
    unlink(out);
}

int main(void)
{
    wire();
    nowhere();
    failing();
    routed();
    drops();
    translation();
    translation6();
    sending();
    unreachable();
    resets();
    links();
    rejected();
    tapped();
    to_file();
    return finish();
}
