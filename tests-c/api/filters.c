/* Filters: 02-monitor.md section 1. */
#include "api/scene.h"

static union monitor_filter filter;
static int syn_count, orphan_count, raw_count, sock_id, raw_id;

/* String literals are not const in this API. */
static monitor_filter_t raw_filter(const char *text)
{
    memset(&filter, 0, sizeof filter);
    filter.raw_pkt_filter = (char *)(uintptr_t)text;
    return &filter;
}

static monitor_filter_t stream_filter(const char *syn, const char *orphan)
{
    memset(&filter, 0, sizeof filter);
    filter.stream_syn_filter = (char *)(uintptr_t)syn;
    filter.stream_orphan_filter = (char *)(uintptr_t)orphan;
    return &filter;
}

static void on_syn(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    syn_count++;
}

static void on_orphan(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    orphan_count++;
}

static void on_raw(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    raw_count++;
}

static const char *syn_text, *orphan_text, *raw_text;

static void setup(mctx_t m)
{
    sock_id = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    raw_id = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    if (mtcp_register_callback(m, sock_id, MOS_ON_CONN_START, MOS_HK_SND, on_syn) ||
        mtcp_register_callback(m, sock_id, MOS_ON_ORPHAN, MOS_NULL, on_orphan) ||
        mtcp_register_callback(m, raw_id, MOS_ON_PKT_IN, MOS_NULL, on_raw))
        check(0, "registration");
    if (syn_text || orphan_text)
        check_int(mtcp_bind_monitor_filter(m, sock_id, stream_filter(syn_text, orphan_text)), 0, syn_text ? syn_text : orphan_text);
    if (raw_text)
        check_int(mtcp_bind_monitor_filter(m, raw_id, raw_filter(raw_text)), 0, raw_text);
}

/* Ten conversations: client 10.0.0.1 … 10, destination port 80 for odd ones, 443 for even ones; numbers
 * 7 and 8 in a VLAN, 9 in two, 10 over IPv6. And an orphan of each, from the same end. */
static void make_traffic(void)
{
    uint8_t frame[100];
    script_begin();
    for (unsigned n = 1; n <= 10; n++) {
        struct talk t;
        if (n == 10)
            talk_init6(&t, n);
        else
            talk_init(&t, n);
        t.port[1] = n & 1 ? 80 : 443;
        if (n >= 7 && n <= 9)
            t.vlan = 100;
        if (n == 9)
            t.outer_vlan = 200;
        say(&t, 0, SYN, NULL, 0);
        say(&t, 1, SYN | ACK, NULL, 0);
        t.port[0] = 99;
        say(&t, 0, ACK, NULL, 0);
        script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
    }
}

static void run(void)
{
    syn_count = orphan_count = raw_count = 0;
    play(NULL, NULL, setup);
}

static void expect_syn(const char *text, int want)
{
    char what[200];
    make_traffic();
    syn_text = text;
    orphan_text = raw_text = NULL;
    run();
    snprintf(what, sizeof what, "%s lets %d flows in", text, want);
    check_int(syn_count, want, what);
}

static void expect_orphan(const char *text, int want)
{
    char what[200];
    make_traffic();
    orphan_text = text;
    syn_text = raw_text = NULL;
    run();
    snprintf(what, sizeof what, "%s finds %d orphans", text, want);
    check_int(orphan_count, want, what);
    check_int(syn_count, 10, "and the SYN filter, which is null, lets all flows in");
}

static void expect_raw(const char *text, int want)
{
    char what[200];
    make_traffic();
    raw_text = text;
    syn_text = orphan_text = NULL;
    run();
    snprintf(what, sizeof what, "%s passes %d packets", text, want);
    check_int(raw_count, want, what);
    check_int(syn_count, 10, "flows are not concerned");
}

static void syn_filters(void)
{
    scene("SYN filters");
    expect_syn("tcp", 10);
    expect_syn("dst port 80", 5);
    expect_syn("tcp and dst port 443", 5);
    expect_syn("tcp & dst port 443", 5);
    expect_syn("dst port 80 | dst port 443", 10);
    expect_syn("(dst port 80 or dst port 443) and src host 10.0.0.7", 1);
    expect_syn("(dst port 80|dst port 443)&src host 10.0.0.8", 1);
    expect_syn("src net 10.0.0.0/30", 3);
    expect_syn("src net 10.0.0.0 mask 255.255.255.252", 3);
    expect_syn("not dst port 80", 5);
    expect_syn("host 10.9.0.1 and not src host 10.0.0.9", 8);
    expect_syn("portrange 400-500", 5);
    expect_syn("dst portrange 80-80", 5);
    expect_syn("host 2001:db8:0:1::a", 1);
    expect_syn("src port 10001", 1);
    expect_syn("src or dst port 443", 5);
    expect_syn("dst port http", 5);
    expect_syn("port 99", 0);
    expect_syn("", 10);
}

static void orphan_filters(void)
{
    /* Orphans: ACKs from port 99, 10 of them, and nothing else. */
    scene("orphan filters");
    expect_orphan("src port 99", 10);
    expect_orphan("src port 99 and dst port 80", 5);
    expect_orphan("src port 98", 0);
    expect_orphan("src host 10.0.0.8", 1);
}

static void raw_filters(void)
{
    scene("raw filters");
    expect_raw("tcp", 21); /* frames in a VLAN do not match it: pcap-filter(7) */
    expect_raw("udp", 7);
    expect_raw("vlan", 12);
    expect_raw("vlan and vlan and tcp", 3);
    expect_raw("ip6", 4);
    expect_raw("udp or (vlan and udp)", 9);
    expect_raw("ether src 02:00:00:00:00:51", 10);
    expect_raw("tcp[tcpflags] & tcp-syn != 0", 12);
    expect_raw("not tcp", 19);
    expect_raw("greater 60 and tcp", 3);
}

/* A filter that the stream sockets do not take. */
static const char *const bad_streams[] = {
    "!tcp", "not tcp", "! tcp", "not  tcp", "dst port 80 and not tcp", "udp", "icmp", "ip", "ip6", "arp", "vlan 7",
    "ether host 02:00:00:00:00:01", "tcp[13] = 2", "tcp[tcpflags] & tcp-syn != 0", "len > 100", "greater 100",
    "less 100", "proto 6", "ip proto 6", "broadcast", "multicast", "inbound", "gateway somewhere", "port",
    "port 80 80", "dst port 99999999", "(dst port 80", "dst port 80)", "and", "port 80 and", "&", "dst", "host",
    "host 1.2.3.4.5", "net 10.0.0.0/99", "portrange 5-", "tcp;", "dst port 80 \\", "dst port '80'", "port 80 = 1",
    "host no.such.name.invalid", "tcp \x80", "port -1", "port 80 + 1", "sctp port 80", "icmp6", "mpls", "pppoes",
    "type mgt", "ifname eth0", "on eth0", "action pass", "llc", "protochain 6",
};

static void errors(void)
{
    char what[200];
    scene("errors");
    script_begin();
    WORKS(begin(NULL, NULL));
    mctx_t m = mtcp_create_context(0);
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    for (size_t i = 0; i < sizeof bad_streams / sizeof *bad_streams; i++) {
        snprintf(what, sizeof what, "\"%s\" as a SYN filter gives EINVAL", bad_streams[i]);
        FAILS_AS(mtcp_bind_monitor_filter(m, sock, stream_filter(bad_streams[i], NULL)), EINVAL, what);
        snprintf(what, sizeof what, "\"%s\" as an orphan filter gives EINVAL", bad_streams[i]);
        FAILS_AS(mtcp_bind_monitor_filter(m, sock, stream_filter("tcp", bad_streams[i])), EINVAL, what);
    }
    FAILS_AS(mtcp_bind_monitor_filter(m, raw, raw_filter("nonsense")), EINVAL, "a raw filter that is none");
    FAILS_AS(mtcp_bind_monitor_filter(m, raw, raw_filter("tcp and (")), EINVAL, "a raw filter that does not end");
    static char huge[20001];
    memset(huge, '(', sizeof huge - 1);
    FAILS_AS(mtcp_bind_monitor_filter(m, sock, stream_filter(huge, NULL)), EINVAL, "20000 parentheses");
    for (size_t i = 0; i + 5 < sizeof huge; i += 4)
        memcpy(huge + i, "tcp ", 4);
    huge[sizeof huge - 1] = 0;
    FAILS_AS(mtcp_bind_monitor_filter(m, sock, stream_filter(huge, NULL)), EINVAL, "20000 bytes");
    WORKS(mtcp_bind_monitor_filter(m, raw, raw_filter("not tcp")));
    WORKS(mtcp_bind_monitor_filter(m, raw, raw_filter(NULL)));
    WORKS(mtcp_bind_monitor_filter(m, sock, stream_filter(NULL, NULL)));
    WORKS(mtcp_bind_monitor_filter(m, raw, NULL));
    WORKS(mtcp_bind_monitor_filter(m, sock, NULL));
    FAILS(mtcp_bind_monitor_filter(m, 99, NULL), EBADF);
    FAILS(mtcp_bind_monitor_filter(m, -1, NULL), EBADF);
    WORKS(mtcp_destroy());
}

/* What a failed call, a second call and a null filter leave. */
static int step;

static void replace_setup(mctx_t m)
{
    setup(m);
    WORKS(mtcp_bind_monitor_filter(m, sock_id, stream_filter("dst port 80", "src host 10.0.0.8")));
    WORKS(mtcp_bind_monitor_filter(m, raw_id, raw_filter("udp")));
    switch (step) {
    case 0:
        FAILS(mtcp_bind_monitor_filter(m, sock_id, stream_filter("udp", NULL)), EINVAL);
        FAILS(mtcp_bind_monitor_filter(m, sock_id, stream_filter("tcp", "not tcp")), EINVAL);
        FAILS(mtcp_bind_monitor_filter(m, raw_id, raw_filter("what is this")), EINVAL);
        break;
    case 1:
        WORKS(mtcp_bind_monitor_filter(m, sock_id, stream_filter("src host 10.0.0.2", NULL)));
        WORKS(mtcp_bind_monitor_filter(m, raw_id, raw_filter("ip6")));
        break;
    case 2:
        WORKS(mtcp_bind_monitor_filter(m, sock_id, NULL));
        WORKS(mtcp_bind_monitor_filter(m, raw_id, NULL));
        break;
    }
}

static void replacing(void)
{
    syn_text = orphan_text = raw_text = NULL;
    for (step = 0; step < 3; step++) {
        scene("a second call");
        make_traffic();
        syn_count = orphan_count = raw_count = 0;
        play(NULL, NULL, replace_setup);
        if (step == 0) {
            check_int(syn_count, 5, "that fails leaves the SYN filter");
            check_int(orphan_count, 2, "the orphan filter, which sees the SYNs that the SYN filter refuses, too");
            check_int(raw_count, 7, "and the raw filter");
        } else if (step == 1) {
            check_int(syn_count, 1, "replaces the SYN filter");
            check_int(orphan_count, 28, "the orphan filter");
            check_int(raw_count, 4, "and the raw filter");
        } else {
            check_int(syn_count, 10, "without a filter lets everything in");
            check_int(orphan_count, 10, "all orphans as well");
            check_int(raw_count, 40, "and all packets");
        }
    }
}

/* On what the call is not made for. */
static int active_results[3], active_codes[3];
static void on_active(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    errno = 0;
    active_results[0] = mtcp_bind_monitor_filter(m, sock, stream_filter("tcp", NULL));
    active_codes[0] = errno;
    errno = 0;
    active_results[1] = mtcp_bind_monitor_filter(m, sock, NULL);
    active_codes[1] = errno;
    /* From a handler, on the listener: for what comes afterwards. */
    errno = 0;
    active_results[2] = mtcp_bind_monitor_filter(m, sock_id, stream_filter("port 1", NULL));
    active_codes[2] = errno;
}

static void active_setup(mctx_t m)
{
    setup(m);
    WORKS(mtcp_register_callback(m, sock_id, MOS_ON_CONN_START, MOS_HK_RCV, on_active));
}

static void on_active_sockets(void)
{
    scene("on an active socket");
    make_traffic();
    syn_count = 0;
    play(NULL, NULL, active_setup);
    check(active_results[0] == -1 && active_codes[0] == ENOPROTOOPT, "ENOPROTOOPT");
    check(active_results[1] == -1 && active_codes[1] == ENOPROTOOPT, "without a filter, too");
    check_int(active_results[2], 0, "on the listener it works from a handler");
    check_int(syn_count, 1, "and counts for what comes afterwards");
}

/* The SYN filter is tested once, on the first SYN; the flow's later packets do not have to match, and a
 * match lets nobody else in. */
static void once_setup(mctx_t m)
{
    sock_id = listen_to(m, AF_INET, MOS_ON_PKT_IN | MOS_ON_ORPHAN | MOS_ON_CONN_START);
    WORKS(mtcp_bind_monitor_filter(m, sock_id, stream_filter("src host 10.0.0.1", NULL)));
}

static void once(void)
{
    struct talk t, u;
    scene("a SYN filter is tested once");
    script_begin();
    talk_init(&t, 1);
    talk_init(&u, 2);
    say(&t, 0, SYN, NULL, 0);
    say(&t, 1, SYN | ACK, NULL, 0);
    say(&u, 0, SYN, NULL, 0);
    say(&t, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, once_setup);
    check_str(log_text,
              "sIN.c sSTART.c rIN.v rSTART.v "
              "sIN.v rIN.c "
              "nORPHAN.b "
              "sIN.c rIN.v",
              "packets of the flow that do not match it are its packets; another flow's SYN is an orphan");
    check_int((long long)played.flows_total, 1, "one flow");
    check_int((long long)played.orphans, 1, "one orphan");
}

/* Two listeners with different filters: each has its own flows. */
static void both_setup(mctx_t m)
{
    for (int i = 0; i < 2; i++) {
        int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, i ? on_orphan : on_syn));
        WORKS(mtcp_bind_monitor_filter(m, sock, stream_filter(i ? "src net 10.0.0.4/30" : "dst port 80", NULL)));
    }
}

static void two_listeners(void)
{
    scene("two listeners");
    make_traffic();
    syn_count = orphan_count = 0;
    play(NULL, NULL, both_setup);
    check_int(syn_count, 5, "the first has its flows");
    check_int(orphan_count, 4, "the second has its own, some of them the same");
    check_int((long long)played.flows_total, 7, "each flow is one flow");
}

int main(void)
{
    syn_filters();
    orphan_filters();
    raw_filters();
    errors();
    replacing();
    on_active_sockets();
    once();
    two_listeners();
    return finish();
}
