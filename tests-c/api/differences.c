/* Where mOS 0.3 lost data, crashed or contradicted its manual: a check for each
 * sentence of 02-monitor.md section 9. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>

#include "api/scene.h"

static char stream[2][1 << 18];
static size_t stream_length[2];
static int listener, data_events, empty_events, count;

static void read_all(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    size_t before = stream_length[side];
    ssize_t n;
    (void)event, (void)arg;
    data_events++;
    while ((n = mtcp_peek(m, sock, side, stream[side] + stream_length[side], sizeof stream[side] - stream_length[side])) > 0)
        stream_length[side] += (size_t)n;
    empty_events += stream_length[side] == before;
}

static void reading(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_all) != 0)
        check(0, "registration");
    stream_length[0] = stream_length[1] = 0;
    data_events = empty_events = 0;
}

static void counting(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    count++;
}

static void pattern(char *to, size_t from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (char)((from + i) * 31 + (from + i) / 251);
}

static void say_bytes(struct talk *t, size_t from, size_t length)
{
    char bytes[20000];
    pattern(bytes, from, length);
    say_at(t, 0, ACK, t->isn[0] + 1 + (uint32_t)from, t->next[1], bytes, (uint32_t)length);
}

static int is_pattern(int side, size_t length)
{
    static char want[1 << 18];
    pattern(want, 0, length);
    return stream_length[side] == length && memcmp(want, stream[side], length) == 0;
}

/* "mtcp_peek with nothing to read ended the process; a wrong side ended the process." */
static void peek_nothing(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char byte;
    (void)side, (void)event, (void)arg;
    check_int(mtcp_peek(m, sock, MOS_SIDE_CLI, &byte, 1), 0, "mtcp_peek with nothing to read is 0");
    FAILS_AS(mtcp_peek(m, sock, 7, &byte, 1), EINVAL, "a wrong side is EINVAL");
    FAILS_AS(mtcp_ppeek(m, sock, 7, &byte, 1, 0), EINVAL, "for mtcp_ppeek as well");
}

static void peek_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV, peek_nothing));
}

/* "A segment with a data offset …": counts data events. */
static void rst_setup(mctx_t m)
{
    int sock = listen_to(m, AF_INET, MOS_ON_CONN_END | MOS_ON_CONN_START);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, counting));
    WORKS(mtcp_unregister_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV));
}

static void drop_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen && count++ == 0)
        mtcp_setlastpkt(m, sock, side, 0, NULL, 0, MOS_DROP);
}

static void drop_setup(mctx_t m)
{
    reading(m);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, drop_data));
}

static int ring_sizes;
static void read_ring(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char bytes[8192], want[8192];
    (void)event, (void)arg;
    ssize_t n = mtcp_peek(m, sock, side, bytes, sizeof bytes);
    pattern(want, 8192 * (size_t)ring_sizes, sizeof want);
    ring_sizes += n == 8192 && memcmp(bytes, want, 8192) == 0;
}

static void ring_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_ring));
}

static void last_setup(mctx_t m)
{
    int last = MOS_OVERLAP_POLICY_LAST;
    reading(m);
    WORKS(mtcp_setsockopt(m, listener, SOL_MONSOCKET, MOS_SVROVERLAP, &last, sizeof last));
}

static int big_frames;
static void look_at_big(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.eth_len > 4096)
        big_frames += memcmp(p.ethh, script[0].frames[3].data, p.eth_len) == 0;
}

static void big_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, look_at_big));
}

static bool counting_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    count++;
    return true;
}

static void filter_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    event_t event = mtcp_define_event(MOS_ON_CONN_START, counting_filter, NULL);
    event_t deep = mtcp_define_event(event, counting_filter, NULL);
    event_t made = mtcp_alloc_event(deep);
    check_int(mtcp_register_callback(m, sock, event, MOS_HK_SND, at_send), 0, "a user-defined event can be registered");
    check_int(mtcp_register_callback(m, sock, deep, MOS_HK_SND, at_send), 0, "two levels deep as well");
    check_int(mtcp_register_callback(m, sock, made, MOS_HK_SND, at_send), 0, "and one of mtcp_alloc_event");
}

static void first_handler(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    log_word("first");
}

static void second_handler(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    log_word("second");
}

static void register_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, first_handler));
    check_int(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND), 0, "de-registration works");
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, first_handler));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, second_handler));
}

/* A set that was changed back and forth is the one that it was: one set for all flows. */
static uint64_t sets;
static void back_and_forth(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_stats stats;
    (void)side, (void)event, (void)arg;
    mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, first_handler);
    mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, second_handler);
    mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, counting);
    count++;
    if (mos_get_stats(m, -1, &stats, sizeof stats) == 0 && count == 200)
        sets = stats.event_sets;
}

static void set_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_RCV, back_and_forth));
}

static void timeout_setup(mctx_t m)
{
    listen_to(m, AF_INET, MOS_ON_CONN_END | MOS_ON_ORPHAN);
}

static void stop_all(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int both = MOS_SIDE_BOTH;
    (void)side, (void)event, (void)arg;
    count++;
    WORKS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof both));
}

static void stop_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, stop_all));
}

static void syn_filter_setup(mctx_t m)
{
    union monitor_filter filter;
    memset(&filter, 0, sizeof filter);
    filter.stream_syn_filter = (char *)(uintptr_t) "src host 10.0.0.1";
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_bind_monitor_filter(m, sock, &filter));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, counting));
}

static int with_filter;
static void raw_setup(mctx_t m)
{
    union monitor_filter filter;
    memset(&filter, 0, sizeof filter);
    filter.raw_pkt_filter = (char *)(uintptr_t) "tcp";
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    if (with_filter)
        WORKS(mtcp_bind_monitor_filter(m, sock, &filter));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_NULL, counting));
    mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
}

static uint64_t seen_offset;
static void note_offset(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen == 7)
        seen_offset = p.offset;
}

static void offset_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, note_offset));
}

static void insert(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    unsigned char length[2] = { 0, 20 + 20 + 8 };
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen != 4)
        return;
    WORKS(mtcp_setlastpkt(m, sock, side, 2, length, 2, MOS_OVERWRITE | MOS_IP_HDR));
    WORKS(mtcp_setlastpkt(m, sock, side, 2, (unsigned char *)(uintptr_t) "--->", 4,
                          MOS_INSERT | MOS_TCP_PAYLOAD | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM));
}

static void insert_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, insert));
}

static void resize(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int size = 32768;
    (void)side, (void)event, (void)arg;
    check_int(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof size), 0, "buffers can be resized");
}

static void resize_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, resize));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, read_all));
    stream_length[0] = stream_length[1] = 0;
}

int main(void)
{
    struct talk t, u;
    uint8_t frame[2000];
    uint32_t length;

    scene("peek");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    play(NULL, NULL, peek_setup);

    scene("a burst larger than rmem_size");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (size_t i = 0; i < 40; i++)
        say_bytes(&t, i * 1000, 1000);
    play(NULL, "rmem_size = 2048", reading);
    check(is_pattern(1, 40000), "no byte is lost");
    scene("loss with more than rmem_size in flight");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (size_t i = 1; i < 40; i++)
        say_bytes(&t, i * 1000, 1000);
    script_burst(0);
    say_bytes(&t, 0, 1000);
    script_burst(0);
    say_bytes(&t, 40000, 1000);
    play(NULL, "rmem_size = 2048", reading);
    check(is_pattern(1, 41000), "no byte is lost, and the flow goes on");

    scene("data to an end that has half-closed");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say(&t, 0, FIN | ACK, NULL, 0);
    say(&t, 1, ACK, NULL, 0);
    for (int i = 0; i < 3; i++) {
        say_text(&t, 1, "late");
        script_burst(0);
    }
    play(NULL, NULL, reading);
    check_int(data_events, 3, "raises NEW_DATA");
    check(stream_length[0] == 12, "and can be read");

    scene("NEW_DATA pending when a flow ends");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "the last words");
    say(&t, 0, RST, NULL, 0);
    for (unsigned n = 2; n < 10; n++) { /* others take its place in the same burst */
        talk_init(&u, n);
        say_hello(&u);
    }
    play(NULL, NULL, reading);
    check(stream_length[1] == 14 && memcmp(stream[1], "the last words", 14) == 0, "is delivered before");

    scene("a RST with any sequence number");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_at(&t, 0, RST, t.next[0] + 5, 0, NULL, 0);
    say_at(&t, 1, RST, t.next[1] - 1000000, 0, NULL, 0);
    say_at(&t, 1, RST, t.next[1] + 70000, 0, NULL, 0);
    script_burst(0);
    say_text(&t, 0, "still here");
    count = 0;
    log_clear();
    play(NULL, NULL, reading);
    check(stream_length[1] == 10, "does not end a flow");

    scene("a repeated SYN");
    script_begin();
    talk_init(&t, 1);
    for (int i = 0; i < 4; i++) {
        t.next[0] = t.isn[0];
        say(&t, 0, SYN, NULL, 0);
    }
    count = 0;
    play(NULL, NULL, rst_setup);
    check_int(count, 1, "raises CONN_START once");

    scene("a packet dropped at HK_SND");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "lost");
    t.next[0] -= 4;
    say_text(&t, 0, "sent");
    count = 0;
    play("script:a 0x1\nscript:b 0x1", "nic_forward_table { script:a script:b }", drop_setup);
    check(stream_length[1] == 4 && memcmp(stream[1], "sent", 4) == 0, "is not fed to the receiver's stack");

    scene("data and close in one burst");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say(&t, 0, FIN | ACK | PSH, "all of it", 9);
    say(&t, 1, FIN | ACK, NULL, 0);
    say(&t, 0, ACK, NULL, 0);
    play(NULL, NULL, reading);
    check(stream_length[1] == 9 && data_events == 1, "the data's NEW_DATA is raised");
    scene("a FIN");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_goodbye(&t, 0);
    play(NULL, NULL, reading);
    check_int(data_events, 0, "raises no NEW_DATA with nothing to read");

    scene("reading exactly a full ring");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (size_t i = 0; i < 4; i++) {
        say_bytes(&t, i * 8192, 8192);
        script_burst(0);
    }
    ring_sizes = 0;
    play(NULL, NULL, ring_setup);
    check_int(ring_sizes, 4, "gives the right bytes");
    scene("the LAST policy");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_at(&t, 0, ACK, t.next[0] + 2, t.next[1], "cdefgh", 6);
    say_at(&t, 0, ACK, t.next[0] + 4, t.next[1], "EF", 2); /* ends within what it replaces, at the frame's end */
    say_at(&t, 0, ACK, t.next[0], t.next[1], "AB", 2);
    play(NULL, NULL, last_setup);
    check(stream_length[1] == 8 && memcmp(stream[1], "ABcdEFgh", 8) == 0, "does not read behind the packet");
    scene("frames over 4096 bytes");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_bytes(&t, 0, 9000);
    big_frames = 0;
    play(NULL, NULL, big_setup);
    check_int(big_frames, 1, "fit into mtcp_getlastpkt's buffer");

    scene("user-defined events");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    count = 0;
    play(NULL, NULL, filter_setup);
    check_int(count, 2, "filters run once");

    scene("registration");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    log_clear();
    play(NULL, NULL, register_setup);
    check_str(log_text, "second", "a second registration replaces the first");

    scene("a busy old flow");
    script_begin();
    talk_init(&t, 1);
    talk_init(&u, 2);
    say_hello(&t);
    say_hello(&u);
    for (int i = 0; i < 40; i++) {
        script_clock += 1000000000;
        say(&t, 0, ACK, NULL, 0);
    }
    say(&u, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, timeout_setup);
    check_str(log_text, "rEND.c sEND.c rEND.v sEND.v nORPHAN.b rEND.c sEND.c rEND.v sEND.v", "does not keep idle ones alive");

    scene("max_concurrency");
    script_begin();
    for (unsigned n = 0; n < 10; n++) {
        talk_init(&t, n);
        say_hello(&t);
    }
    play(NULL, "max_concurrency = 10", timeout_setup);
    check_int((long long)played.flows_total, 10, "counts flows, not halves");

    scene("impossible data offsets");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (int offset = 0; offset < 16; offset++) {
        if (offset == 5)
            continue;
        length = make_tcp(frame, &t, 0, ACK, t.next[0], t.next[1], NULL, 0, "12345678901234567890", 12);
        frame[14 + 20 + 12] = (uint8_t)(offset << 4);
        if (offset >= 5 && offset <= 8)
            continue; /* these are possible: bytes of it are options */
        fix_l4_checksum(frame + 14, 6);
        script_add(0, frame, length);
    }
    play(NULL, NULL, reading);
    check_int((long long)stream_length[1], 0, "below 5 words or beyond the packet: no data");
    check_int((long long)played.rx_bad_tcp_offset, 12, "counted");

    scene("a FIN ahead of a hole");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_at(&t, 0, FIN | ACK, t.next[0] + 5, t.next[1], NULL, 0);
    say_at(&t, 0, ACK, t.next[0], t.next[1], "there", 5);
    t.next[0] += 6;
    say(&t, 1, FIN | ACK, NULL, 0);
    say(&t, 0, ACK, NULL, 0);
    say(&t, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, NULL, timeout_setup);
    check_str(log_text, "rEND.v sEND.v rEND.c sEND.c nORPHAN.b", "is remembered: the flow closes");

    scene("MOS_STOP_MON with MOS_SIDE_BOTH");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    count = 0;
    play(NULL, NULL, stop_setup);
    check_int(count, 1, "stops");

    scene("a SYN filter that was hit");
    script_begin();
    for (unsigned n = 0; n < 4; n++) {
        talk_init(&t, n);
        say(&t, 0, SYN, NULL, 0);
    }
    count = 0;
    play(NULL, NULL, syn_filter_setup);
    check_int(count, 1, "lets no later flow in");

    for (with_filter = 0; with_filter < 2; with_filter++) {
        scene(with_filter ? "a raw socket with a filter" : "a raw socket without a filter");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        script_add(0, frame, make_other(frame, &t, 0, 17, "udp", 3));
        count = 0;
        play(NULL, NULL, raw_setup);
        check_int(count, with_filter ? 3 : 4, with_filter ? "gets TCP packets once" : "gets UDP packets");
    }

    scene("registering again and again");
    script_begin();
    for (unsigned n = 0; n < 200; n++) {
        talk_init(&t, n);
        say(&t, 0, SYN, NULL, 0);
    }
    count = 0;
    sets = 0;
    play(NULL, NULL, set_setup);
    check(sets > 0 && sets <= 4, "leaves no stale set: flows with equal ones share them");

    scene("pkt_info.offset");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "0123456789012345678901234567890123456789");
    say_text(&t, 1, "01234");
    say_text(&t, 1, "7 bytes");
    seen_offset = 99;
    play(NULL, NULL, offset_setup);
    check_int((long long)seen_offset, 5, "is in the receiver's stream");

    scene("MOS_INSERT");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "left");
    play("script:a 0x1\nscript:b 0x1", "nic_forward_table { script:a script:b }", insert_setup);
    check(script[1].sent_count == 4 && memcmp(script[1].sent[3].data + 54, "le--->ft", 8) == 0, "overwrites nothing");

    scene("a missing configuration file");
    {
        char path[] = "/tmp/mos-api-err-XXXXXX", text[300];
        int saved = dup(2), file = mkstemp(path);
        fflush(stderr);
        dup2(file, 2);
        errno = 0;
        int result = mtcp_init("/no/such/file.conf"), code = errno;
        dup2(saved, 2);
        close(saved);
        memset(text, 0, sizeof text);
        ssize_t n = pread(file, text, sizeof text - 1, 0);
        close(file);
        unlink(path);
        check(result == -1 && code == ENOENT, "is -1 and ENOENT");
        check(n > 0 && strstr(text, "/no/such/file.conf") != NULL && strchr(text, '\n') == text + n - 1, "and a line that says so");
    }

    scene("buffers");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (size_t i = 0; i < 20; i++)
        say_bytes(&t, i * 1000, 1000);
    play(NULL, "rmem_size = 1024", resize_setup);
    check(is_pattern(1, 20000), "and then hold as much as was asked for");

    scene("struct mtcp_conf");
    struct mtcp_conf conf;
    script_begin();
    WORKS(begin(NULL, "tcp_timeout = 7\ntcp_tw_interval = 4"));
    WORKS(mtcp_getconf(&conf));
    check_int(conf.tcp_timeout, 7, "tcp_timeout is in seconds");
    check_int(conf.tcp_timewait, 4, "tcp_timewait is in seconds");
    WORKS(mtcp_destroy());
    return finish();
}
