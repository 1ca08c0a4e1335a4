/* Reassembly buffers and reading: 02-monitor.md section 6. */
#include <limits.h>

#include "api/scene.h"

/* What a reading application gets, by side; a socket of its own at a time. */
static char got[2][1 << 20];
static long long position[2];  /* the sum of all counts */
static size_t lost[2];
static int peek_errors, listener;

static void stream_clear(void)
{
    memset(got, '-', sizeof got);
    position[0] = position[1] = 0;
    lost[0] = lost[1] = 0;
    peek_errors = 0;
    log_clear();
}

/* Reads until 0, `most` bytes at a time. */
static void drain(mctx_t m, int sock, int side, size_t most)
{
    for (;;) {
        errno = 0;
        ssize_t n = mtcp_peek(m, sock, side, got[side] + position[side], most);
        if (n == 0)
            return;
        if (n < 0 && errno != ENODATA) {
            peek_errors++;
            return;
        }
        if (n < 0) {
            lost[side] += (size_t)-n;
            log_word("-%lld", (long long)-n);
            n = -n;
        } else {
            log_word("+%lld", (long long)n);
        }
        position[side] += n;
    }
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    drain(m, sock, side, 4096);
}

static void on_error(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)event, (void)arg;
    log_word("E%d", side);
}

static void option(mctx_t m, int sock, int name, int value)
{
    char what[64];
    snprintf(what, sizeof what, "option 0x%x = %d", name, value);
    check_int(mtcp_setsockopt(m, sock, SOL_MONSOCKET, name, &value, sizeof value), 0, what);
}

static void reader_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) ||
        mtcp_register_callback(m, listener, MOS_ON_ERROR, MOS_NULL, on_error))
        check(0, "registration");
}

/* Bytes of a stream: never the same over a distance that matters. */
static void fill(char *to, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = from + i;
        to[i] = (char)('a' + (at * 7 + at / 26 + at / 1000) % 26);
    }
}

static void say_stream(struct talk *t, int side, size_t from, size_t count)
{
    char bytes[66000];
    fill(bytes, from, count);
    say(t, side, ACK | PSH, bytes, (uint32_t)count);
}

/* Somewhere in the stream, whatever was said before. */
static void say_part(struct talk *t, int side, size_t from, size_t count)
{
    char bytes[66000];
    fill(bytes, from, count);
    say_at(t, side, ACK | PSH, t->isn[side] + 1 + (uint32_t)from, t->next[1 - side], bytes, (uint32_t)count);
}

static int stream_good(int side, size_t count)
{
    static char want[1 << 20];
    fill(want, 0, count);
    return (size_t)position[side] == count && memcmp(want, got[side], count) == 0;
}

/* The guarantee. */
static unsigned seed;
static unsigned dice(unsigned faces)
{
    seed = seed * 1103515245 + 12345;
    return (seed >> 8) % faces;
}

static void guarantee(void)
{
    static const char *const bursts[] = { "burst = 1", "burst = 2", "burst = 7", "burst = 64" };
    char items[100];
    for (int round = 0; round < 4; round++)
        for (int small = 0; small < 2; small++) {
            struct talk t;
            scene(bursts[round]);
            script_begin();
            script_step = 1000;
            talk_init(&t, 1);
            t.window[1] = 65535;
            say_hello(&t);
            seed = 17;
            for (int piece = 0; piece < 10; piece++) {
                /* Within the window each time; acknowledged afterwards. */
                size_t from = (size_t)piece * 30000;
                size_t order[40];
                size_t n = 30000 / 750;
                for (size_t i = 0; i < n; i++)
                    order[i] = i;
                for (size_t i = 0; i < n; i++) {
                    size_t j = i + dice(15);
                    if (j < n) {
                        size_t other = order[i];
                        order[i] = order[j];
                        order[j] = other;
                    }
                }
                for (size_t i = 0; i < n; i++) {
                    say_part(&t, 0, from + order[i] * 750, 750);
                    if (dice(5) == 0)
                        say_part(&t, 0, from + order[dice((unsigned)i + 1)] * 750, 400 + dice(350));
                }
                t.next[0] = t.isn[0] + 1 + (uint32_t)from + 30000;
                say(&t, 1, ACK, NULL, 0);
            }
            say_goodbye(&t, 0);
            stream_clear();
            snprintf(items, sizeof items, "%s\nrmem_size = %d", bursts[round], small ? 512 : 8192);
            play(NULL, items, reader_setup);
            check(stream_good(1, 300000), small ? "every byte, in order, once, although little is kept" : "every byte, in order, once");
            check_int(peek_errors, 0, "no error");
            check_int((long long)played.overruns + (long long)played.gaps, 0, "nothing was lost");
            check(script[0].asked_most == (uint32_t)atoi(bursts[round] + 8), "frames come in such bursts");
        }
}

/* mtcp_peek in all its ways. */
static int raw;
static void try_peek(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[16], *end = buffer + sizeof buffer;
    (void)event, (void)arg;
    memset(buffer, '.', sizeof buffer);
    check_int(side, MOS_SIDE_SVR, "what the client sent is in the server's buffer");
    FAILS(mtcp_peek(m, sock, 2, buffer, 4), EINVAL);
    FAILS(mtcp_peek(m, sock, -1, buffer, 4), EINVAL);
    FAILS(mtcp_peek(m, sock, 1000000, buffer, 4), EINVAL);
    FAILS(mtcp_peek(m, sock, side, NULL, 4), EINVAL);
    FAILS(mtcp_peek(m, listener, side, buffer, 4), ENOTSOCK);
    FAILS(mtcp_peek(m, raw, side, buffer, 4), ENOTSOCK);
    FAILS(mtcp_peek(m, 77, side, buffer, 4), EBADF);
    FAILS(mtcp_peek(m, -1, side, buffer, 4), EBADF);
    FAILS(mtcp_ppeek(m, sock, 2, buffer, 4, 0), EINVAL);
    FAILS(mtcp_ppeek(m, sock, -1, buffer, 4, 0), EINVAL);
    FAILS(mtcp_ppeek(m, sock, side, NULL, 4, 0), EINVAL);
    FAILS(mtcp_ppeek(m, listener, side, buffer, 4, 0), ENOTSOCK);
    FAILS(mtcp_ppeek(m, 77, side, buffer, 4, 0), EBADF);
    check_int(mtcp_peek(m, sock, side, buffer, 0), 0, "length 0 reads 0");
    check_int(mtcp_peek(m, sock, side, NULL, 0), 0, "without a buffer, too");
    check_int(mtcp_ppeek(m, sock, side, NULL, 0, 0), 0, "mtcp_ppeek as well");
    check_int(mtcp_peek(m, sock, MOS_SIDE_CLI, buffer, 4), 0, "nothing on the other side");
    check_int(mtcp_peek(m, sock, side, buffer, 4), 4, "four bytes");
    check_bytes(buffer, "0123....", 8, "and no more are written");
    check_int(mtcp_ppeek(m, sock, side, buffer, 4, 4), 4, "mtcp_ppeek does not move anything");
    check_int(mtcp_peek(m, sock, side, buffer, 3), 3, "the next three");
    check_bytes(buffer, "456", 3, "follow");
    check_int(mtcp_peek(m, sock, side, buffer, sizeof buffer), 3, "what is left");
    check_bytes(buffer, "789", 3, "to the end");
    check_int(mtcp_peek(m, sock, side, buffer, sizeof buffer), 0, "then 0");
    check_int(mtcp_peek(m, sock, side, buffer, SIZE_MAX), 0, "whatever length");
    check_int(mtcp_ppeek(m, sock, side, buffer, sizeof buffer, 2), 8, "mtcp_ppeek goes back");
    check_bytes(buffer, "23456789", 8, "to what was read");
    FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 10), ENODATA);
    FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 1ull << 40), ENODATA);
    FAILS(mtcp_ppeek(m, sock, side, buffer, 4, UINT64_MAX), ENODATA);
    FAILS(mtcp_ppeek(m, sock, side, buffer, SIZE_MAX, UINT64_MAX - 3), ENODATA);
    check_int(mtcp_ppeek(m, sock, side, buffer, 1, 9), 1, "the last byte");
    (void)end;
}

static void peek_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, try_peek));
}

static void peeking(void)
{
    struct talk t;
    for (int round = 0; round < 2; round++) {
        scene(round ? "mtcp_peek on several segments" : "mtcp_peek");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        if (round == 0) {
            say_text(&t, 0, "0123456789");
        } else {
            say_text(&t, 0, "01");
            say_text(&t, 0, "234");
            say_at(&t, 0, ACK, t.next[0] + 2, t.next[1], "789", 3);
            say_at(&t, 0, ACK, t.next[0], t.next[1], "567", 3);
        }
        play(NULL, NULL, peek_setup);
    }
}

/* Each active socket has its own position. */
static int reads[2], read_listener[2];
static void read_two(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[4];
    (void)event, (void)arg;
    reads[0] += (int)mtcp_peek(m, sock, side, buffer, 2);
}

static void read_four(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[4];
    (void)event, (void)arg;
    int n = (int)mtcp_peek(m, sock, side, buffer, 4);
    reads[1] += n;
    if (n == 4)
        log_word("%.4s", buffer);
}

static void two_readers(mctx_t m)
{
    for (int i = 0; i < 2; i++) {
        read_listener[i] = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        WORKS(mtcp_register_callback(m, read_listener[i], MOS_ON_CONN_NEW_DATA, MOS_NULL, i ? read_four : read_two));
    }
}

static void positions(void)
{
    struct talk t;
    scene("two readers");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (int i = 0; i < 3; i++) {
        say_text(&t, 0, i == 0 ? "abcd" : i == 1 ? "efgh" : "ijkl");
        script_burst(0);
    }
    log_clear();
    reads[0] = reads[1] = 0;
    play(NULL, NULL, two_readers);
    check_int(reads[0], 6, "each has its own position");
    check_str(log_text, "abcd efgh ijkl", "and gets everything");
}

/* Overruns. */
static enum { DO_NOTHING, DRAIN, ENLARGE, READ_A_BIT } on_overrun;

static void overrun_error(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    on_error(m, sock, side, event, arg);
    errno = 0;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 || errno != EACCES)
        log_word("packet");
    if (on_overrun == DRAIN)
        drain(m, sock, side, 4096);
    if (on_overrun == ENLARGE)
        option(m, sock, MOS_SVRBUF, 100000);
    if (on_overrun == READ_A_BIT) {
        ssize_t n = mtcp_peek(m, sock, side, got[side], 500);
        log_word(n < 0 ? "%lld" : "+%lld", (long long)n);
        position[side] += n < 0 ? -n : n;
    }
}

static void at_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    if (side == MOS_SIDE_SVR)
        drain(m, sock, side, 100000);
}

static void overrun_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_ERROR, MOS_NULL, overrun_error));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_END, MOS_HK_RCV, at_end));
}

static void overruns(void)
{
    static const char *const names[4] = { "nobody reads", "the handler of ERROR reads", "the handler of ERROR enlarges the buffer",
                                          "the handler of ERROR reads a little" };
    for (int round = 0; round < 4; round++) {
        struct talk t;
        scene("overrun");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        for (int i = 0; i < 3; i++)
            say_stream(&t, 0, (size_t)i * 1000, 1000);
        script_burst(0);
        say_stream(&t, 0, 3000, 1000);
        on_overrun = (__typeof__(on_overrun))round;
        stream_clear();
        play(NULL, "rmem_size = 1000", overrun_setup);
        if (round == 0) {
            check_str(log_text, "E1 E1 -3000 +1000", names[round]);
            check_int((long long)played.overruns, 2, "counted");
            check_int((long long)played.overrun_bytes, 3000, "with their bytes");
        } else if (round == 1) {
            check_str(log_text, "E1 +3000 +1000", names[round]);
            check(stream_good(1, 4000), "nothing is lost");
            check_int((long long)played.overruns, 0, "nothing is counted");
        } else if (round == 2) {
            check_str(log_text, "E1 +4000", names[round]);
            check(stream_good(1, 4000), "nothing is lost");
        } else {
            check_str(log_text, "E1 +500 E1 -1500 -1000 +1000", "what it reads is not lost");
        }
        check_int(position[1], 4000, "the sum of all counts is the stream position");
    }
}

/* Gaps. */
static void gaps(void)
{
    struct talk t;
    scene("a gap");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_stream(&t, 0, 0, 100);
    t.next[0] += 50; /* never seen */
    script_burst(0);
    say_part(&t, 0, 150, 100);
    t.next[0] += 100;
    script_burst(0);
    say(&t, 1, ACK, NULL, 0); /* but acknowledged */
    script_burst(0);
    say_stream(&t, 0, 250, 100);
    stream_clear();
    play(NULL, NULL, reader_setup);
    check_str(log_text, "+100 E1 -50 +100 +100", "acknowledged and never seen: skipped and told");
    check_int(position[1], 350, "the sum of all counts is the stream position");
    check_int((long long)played.gaps, 1, "counted");
    check_int((long long)played.gap_bytes, 50, "with its bytes");

    /* The same, all in one burst, with unread bytes in front of it. */
    for (int burst = 1; burst <= 64; burst += 63) {
        char items[40];
        scene(burst == 1 ? "gaps, frame by frame" : "gaps, in one burst");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        size_t at = 0;
        for (int i = 0; i < 11; i++) {
            say_part(&t, 0, at, 100);
            /* An ACK of what nobody has sent counts for nothing: it comes after the next bytes. */
            say_at(&t, 1, ACK, t.next[1], t.isn[0] + 1 + (uint32_t)at, NULL, 0);
            at += 130;
        }
        stream_clear();
        snprintf(items, sizeof items, "burst = %d", burst);
        play(NULL, items, reader_setup);
        check_int(position[1], 1400, "the sum of all counts is the stream position");
        check_int((long long)lost[1], 300, "what was missing is known");
        check_int((long long)played.gaps, 10, "each gap");
        check_int((long long)played.gap_bytes, 300, "with its bytes");
        int wrong = 0;
        char want[100];
        for (int i = 0; i < 11; i++) {
            fill(want, (size_t)i * 130, 100);
            wrong += memcmp(want, got[1] + i * 130, 100) != 0;
        }
        check_int(wrong, 0, "all that was seen is where it belongs");
    }
}

/* mtcp_ppeek, out of order. */
static int ppeek_sock = -1;
static void late_check(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[600], want[600];
    struct pkt_info p;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen != 200)
        return;
    ppeek_sock = sock;
    check_int((long long)p.offset, 300, "pkt_info tells the offset in the receiver's stream");
    fill(want, 0, sizeof want);
    check_int(mtcp_ppeek(m, sock, side, buffer, sizeof buffer, p.offset), 200, "up to the end of what is contiguous");
    check_bytes(buffer, want + 300, 200, "out-of-order bytes");
    check_int(mtcp_ppeek(m, sock, side, buffer, 30, 350), 30, "from their middle");
    check_bytes(buffer, want + 350, 30, "the right ones");
    FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 200), ENODATA);
    FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 299), ENODATA);
    FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 500), ENODATA);
    check_int(mtcp_ppeek(m, sock, side, buffer, sizeof buffer, 40), 60, "in order up to the hole");
    check_bytes(buffer, want + 40, 60, "in-order bytes");
    check_int(mtcp_peek(m, sock, side, buffer, sizeof buffer), 100, "mtcp_peek stops at the hole");
}

static void ppeek_setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, late_check));
}

static void out_of_order(void)
{
    struct talk t;
    scene("mtcp_ppeek");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_stream(&t, 0, 0, 100);
    say_part(&t, 0, 300, 100);
    /* The packet whose handler looks: it repeats the last one and adds to it. */
    say_part(&t, 0, 300, 200);
    ppeek_sock = -1;
    play(NULL, NULL, ppeek_setup);
    check(ppeek_sock >= 0, "the handler ran");
}

/* Overlap. */
static int policy_cli, policy_svr, policy_active;
static void policy_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    if (policy_active) {
        option(m, sock, MOS_CLIOVERLAP, policy_cli);
        option(m, sock, MOS_SVROVERLAP, policy_svr);
        int now = -1;
        socklen_t length = sizeof now;
        WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_CLIOVERLAP, &now, &length));
        check_int(now, policy_cli, "it can be read back");
    }
}

static void policy_setup(mctx_t m)
{
    int bad;
    reader_setup(m);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_START, MOS_HK_SND, policy_start));
    if (!policy_active) {
        option(m, listener, MOS_CLIOVERLAP, policy_cli);
        option(m, listener, MOS_SVROVERLAP, policy_svr);
    }
    bad = 99;
    FAILS(mtcp_setsockopt(m, listener, SOL_MONSOCKET, MOS_CLIOVERLAP, &bad, sizeof bad), EINVAL);
    bad = -1;
    FAILS(mtcp_setsockopt(m, listener, SOL_MONSOCKET, MOS_SVROVERLAP, &bad, sizeof bad), EINVAL);
}

static void overlaps(void)
{
    for (policy_active = 0; policy_active < 2; policy_active++)
        for (policy_cli = 0; policy_cli < 2; policy_cli++)
            for (policy_svr = 0; policy_svr < 2; policy_svr++) {
                struct talk t;
                scene(policy_active ? "overlap, set on the active socket" : "overlap, set on the listener");
                script_begin();
                talk_init(&t, 1);
                say_hello(&t);
                for (int side = 0; side < 2; side++) {
                    /* Out of order: 4..12 with a's, then 8..16 with b's, then 0..6 with c's. */
                    say_at(&t, side, ACK, t.next[side] + 4, t.next[1 - side], "aaaaaaaa", 8);
                    say_at(&t, side, ACK, t.next[side] + 8, t.next[1 - side], "bbbbbbbb", 8);
                    say_at(&t, side, ACK, t.next[side], t.next[1 - side], "cccccc", 6);
                    /* In order and unread: 2..4 again with d's. */
                    say_at(&t, side, ACK, t.next[side] + 2, t.next[1 - side], "dd", 2);
                }
                stream_clear();
                play(NULL, NULL, policy_setup);
                check_int(position[0] + position[1], 32, "both streams are complete");
                for (int side = 0; side < 2; side++)
                    check_bytes(got[side], (side == 0 ? policy_cli : policy_svr) ? "ccddccaabbbbbbbb" : "ccccaaaaaaaabbbb", 16,
                                (side == 0 ? policy_cli : policy_svr) ? "the last copy wins" : "the first copy wins");
            }
}

/* Buffers off, on, larger, smaller. */
static int buffer_step;
static void buffer_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    char buffer[16];
    int number;
    struct tcp_buf_info info;
    socklen_t length = sizeof info;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    buffer_step++;
    switch (buffer_step) {
    case 1:
        check_int(mtcp_ppeek(m, sock, side, buffer, 4, 0), 4, "on: bytes are there");
        option(m, sock, MOS_SVRBUF, 0);
        FAILS(mtcp_peek(m, sock, side, buffer, 4), EINVAL);
        FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 0), EINVAL);
        FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_SVRBUF, &info, &length), ENODATA);
        check_int(mtcp_peek(m, sock, MOS_SIDE_CLI, buffer, 4), 0, "the other side is still on");
        break;
    case 2:
        FAILS(mtcp_peek(m, sock, side, buffer, 4), EINVAL);
        option(m, sock, MOS_SVRBUF, 4096);
        check_int(mtcp_peek(m, sock, side, buffer, 4), 0, "on again: what came meanwhile was not kept");
        FAILS(mtcp_ppeek(m, sock, side, buffer, 4, 0), ENODATA);
        break;
    case 3:
        check_int(mtcp_peek(m, sock, side, buffer, sizeof buffer), 10, "reading goes on from there");
        check_bytes(buffer, "CCCCCCCCCC", 10, "with the right bytes");
        WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_SVRBUF, &info, &length));
        check_int(info.tcpbi_last_byte_read, 30, "at the right offset");
        number = -1;
        FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &number, sizeof number), EINVAL);
        number = (1 << 20) + 1;
        FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &number, sizeof number), EINVAL);
        number = INT_MIN;
        FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &number, sizeof number), EINVAL);
        option(m, sock, MOS_SVRBUF, 1 << 20);
        number = 0;
        length = sizeof number;
        WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &number, &length));
        check_int(number, 1 << 20, "rmem_max is allowed, and read back");
        break;
    }
}

static void buffer_setup(mctx_t m)
{
    reader_setup(m);
    WORKS(mtcp_unregister_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, buffer_packet));
}

static int rexmits;
static void on_rexmit(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    rexmits++;
}

static int off_side;
static void off_setup(mctx_t m)
{
    reader_setup(m);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_REXMIT, MOS_HK_RCV, on_rexmit));
    if (off_side >= 0)
        option(m, listener, off_side == 0 ? MOS_CLIBUF : MOS_SVRBUF, 0);
}

static void buffers(void)
{
    struct talk t;
    scene("MOS_SVRBUF on an active socket");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "AAAAAAAAAA");
    script_burst(0);
    say_text(&t, 0, "BBBBBBBBBB");
    script_burst(0);
    say_text(&t, 0, "CCCCCCCCCC");
    buffer_step = 0;
    stream_clear();
    play(NULL, NULL, buffer_setup);
    check_int(buffer_step, 3, "all steps were made");

    for (off_side = 0; off_side < 2; off_side++) {
        scene(off_side ? "MOS_SVRBUF 0 on a listener" : "MOS_CLIBUF 0 on a listener");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        for (int side = 0; side < 2; side++) {
            say_text(&t, side, "hello");
            say_at(&t, side, ACK, t.next[side] - 2, t.next[1 - side], "lo", 2);
            /* Out of order, and that again, and its beginning. */
            say_at(&t, side, ACK, t.next[side] + 5, t.next[1 - side], "world", 5);
            say_at(&t, side, ACK, t.next[side] + 5, t.next[1 - side], "world", 5);
            say_at(&t, side, ACK, t.next[side], t.next[1 - side], "small", 5);
            t.next[side] += 10;
        }
        say_goodbye(&t, 0);
        stream_clear();
        rexmits = 0;
        play(NULL, NULL, off_setup);
        check_int(position[off_side], 0, "nothing to read there");
        check_int(position[1 - off_side], 15, "the other side is as always");
        check_int(rexmits, 4, "retransmissions are found on both");
        check_int((long long)played.retransmissions, 4, "and counted");
        check_int(peek_errors, 0, "no NEW_DATA is raised where nothing can be read");
    }

    scene("no_ring_buffers = 1");
    stream_clear();
    off_side = -1;
    rexmits = 0;
    play(NULL, "no_ring_buffers = 1", off_setup);
    check_int(position[0] + position[1], 0, "nothing to read on either side");
    check_int(peek_errors, 0, "no NEW_DATA");
    check_int(rexmits, 4, "retransmissions are found");
    check_int((long long)played.memory_peak < 4096, 1, "no memory is taken for payload");
}

/* Shrinking. */
static void shrink_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen != 1)
        return;
    option(m, sock, MOS_SVRBUF, 1000);
    drain(m, sock, side, 10000);
}

static void shrink_setup(mctx_t m)
{
    reader_setup(m);
    WORKS(mtcp_unregister_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, shrink_packet));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_END, MOS_HK_RCV, at_end));
}

static void shrinking(void)
{
    struct talk t;
    scene("a buffer that shrinks");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (int i = 0; i < 5; i++)
        say_stream(&t, 0, (size_t)i * 1000, 1000);
    script_burst(0);
    say_stream(&t, 0, 5000, 1);
    stream_clear();
    play(NULL, NULL, shrink_setup);
    check_int(position[1], 5001, "the sum of all counts is the stream position");
    check_str(log_text, "-4001 +1000", "the oldest bytes were dropped, and told");
}

/* Ranges without payload. */
static int ranges_checked;
static void ranges_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct tcp_ring_fragment list[8];
    struct pkt_info p;
    char buffer[8];
    socklen_t length;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen != 7)
        return;
    ranges_checked++;
    FAILS(mtcp_peek(m, sock, side, buffer, sizeof buffer), EINVAL);
    FAILS(mtcp_ppeek(m, sock, side, buffer, sizeof buffer, 0), EINVAL);
    length = sizeof list;
    memset(list, 0xee, sizeof list);
    WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, list, &length));
    check_int(length, 3, "three ranges");
    check(list[0].offset == 0 && list[0].len == 100, "the one in order");
    check(list[1].offset == 200 && list[1].len == 50 && list[2].offset == 300 && list[2].len == 7, "those out of order");
    check(list[3].offset == 0 && list[3].len == 0, "then zeros");
    WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, list, &length));
}

static void ranges_setup(mctx_t m)
{
    int number = -1;
    reader_setup(m);
    option(m, listener, MOS_FRAG_SVRBUF, 0);
    FAILS(mtcp_setsockopt(m, listener, SOL_MONSOCKET, MOS_FRAG_SVRBUF, &number, sizeof number), EINVAL);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, ranges_packet));
}

/* MOS_FRAGINFO_*: never past the array. */
static void fraginfo_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR || mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen != 7)
        return;
    ranges_checked++;
    for (socklen_t size = 0; size <= 100; size++) {
        unsigned char space[160];
        socklen_t length = size;
        char what[100];
        memset(space, 0xee, sizeof space);
        int result = mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, space, &length);
        unsigned room = size / 16, want = room < 3 ? room : 3;
        int good = result == 0 && length == want;
        for (unsigned at = size; at < sizeof space; at++)
            good = good && space[at] == 0xee;
        const struct tcp_ring_fragment *list = (const struct tcp_ring_fragment *)(const void *)space;
        static const struct { uint64_t offset; uint32_t len; } expected[4] = { { 0, 100 }, { 200, 50 }, { 300, 7 }, { 0, 0 } };
        for (unsigned at = 0; at < room && at < 4; at++)
            good = good && list[at].offset == expected[at].offset && list[at].len == expected[at].len;
        if (room == want)
            for (unsigned at = room * 16; at < size; at++)
                good = good && space[at] == 0xee;
        if (size % 16 == 0 || !good) {
            snprintf(what, sizeof what, "MOS_FRAGINFO_SVRBUF with %u bytes", (unsigned)size);
            check(good, what);
        }
    }
    int number;
    socklen_t length = 16;
    FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, NULL, &length), EINVAL);
    FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, &number, NULL), EINVAL);
}

static void fraginfo_setup(mctx_t m)
{
    reader_setup(m);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, fraginfo_packet));
}

static void ranges(void)
{
    for (int round = 0; round < 2; round++) {
        struct talk t;
        scene(round ? "MOS_FRAGINFO_SVRBUF" : "MOS_FRAG_SVRBUF 0");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_stream(&t, 0, 0, 100);
        say_part(&t, 0, 200, 50);
        say_part(&t, 0, 300, 7);
        ranges_checked = 0;
        stream_clear();
        play(NULL, NULL, round ? fraginfo_setup : ranges_setup);
        check_int(ranges_checked, 1, "the handler ran");
        check_int(position[1], round ? 100 : 0, round ? "payload can be read" : "no NEW_DATA without payload");
    }
}

/* MOS_INFO_*. */
static int info_step;
static void info_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct tcp_buf_info info;
    struct pkt_info p;
    socklen_t length;
    char buffer[30];
    (void)event, (void)arg;
    if (side != MOS_SIDE_CLI || mtcp_getlastpkt(m, sock, side, &p) != 0 || p.payloadlen == 0)
        return;
    info_step++;
    for (length = 0; length < 40; length++) {
        if (length == sizeof info)
            continue;
        socklen_t wrong = length;
        errno = 0;
        if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &info, &wrong) != -1 || errno != EINVAL)
            check(0, "another size is EINVAL");
    }
    length = sizeof info;
    memset(&info, 0xee, sizeof info);
    WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &info, &length));
    check_int(length, sizeof info, "the length stays");
    /* The server's numbers wrap after 14 bytes. */
    check_int(info.tcpbi_init_seq, (long long)(uint32_t)(0xfffffff1u + 1), "the sequence number of offset 0");
    switch (info_step) {
    case 1:
        check(info.tcpbi_last_byte_read == 0 && info.tcpbi_next_byte_expected == 20 && info.tcpbi_last_byte_received == 20,
              "twenty bytes");
        check_int(mtcp_peek(m, sock, side, buffer, 5), 5, "five are read");
        break;
    case 2:
        check(info.tcpbi_last_byte_read == 5 && info.tcpbi_next_byte_expected == 20 && info.tcpbi_last_byte_received == 60,
              "and twenty more behind a hole");
        break;
    case 3:
        check(info.tcpbi_last_byte_read == 5 && info.tcpbi_next_byte_expected == 60 && info.tcpbi_last_byte_received == 60,
              "the hole is filled");
        break;
    }
    FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, NULL, &length), EINVAL);
    FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &info, NULL), EINVAL);
}

static void info_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, info_packet));
}

static void infos(void)
{
    struct talk t;
    scene("MOS_INFO_CLIBUF");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_stream(&t, 1, 0, 20);
    say_part(&t, 1, 40, 20);
    say_part(&t, 1, 20, 20);
    info_step = 0;
    play(NULL, NULL, info_setup);
    check_int(info_step, 3, "all steps were made");
}

/* Options that are none, on sockets that are none. */
static int option_checked;
static void option_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static const int unknown[] = { 0, 8, 0x11, 0x12, 0xff, 0x101, -1, INT_MAX };
    static const int getters[] = { MOS_TCP_STATE_CLI, MOS_TCP_STATE_SVR, MOS_TIMESTAMP };
    int number = 1;
    socklen_t length = sizeof number;
    uint32_t stamp = 0;
    (void)side, (void)event, (void)arg;
    if (option_checked++)
        return;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char what[64];
        snprintf(what, sizeof what, "getting option %d gives ENOSYS", unknown[i]);
        FAILS_AS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, unknown[i], &number, &length), ENOSYS, what);
        snprintf(what, sizeof what, "setting option %d gives ENOSYS", unknown[i]);
        FAILS_AS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, unknown[i], &number, sizeof number), ENOSYS, what);
    }
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, &number, sizeof number), ENOSYS);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &number, sizeof number), ENOSYS);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF, &number, sizeof number), ENOSYS);
    FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &number, &length), ENOSYS);
    FAILS(mtcp_getsockopt(m, sock, 12345, MOS_TIMESTAMP, &number, &length), ENOSYS);
    FAILS(mtcp_setsockopt(m, sock, 12345, MOS_CLIBUF, &number, sizeof number), ENOSYS);
    for (int i = 0; i < 3; i++) {
        char what[64];
        snprintf(what, sizeof what, "option %d of a listener gives ENOTSOCK", getters[i]);
        FAILS_AS(mtcp_getsockopt(m, listener, SOL_MONSOCKET, getters[i], &number, &length), ENOTSOCK, what);
        snprintf(what, sizeof what, "option %d of a raw socket gives ENOTSOCK", getters[i]);
        FAILS_AS(mtcp_getsockopt(m, raw, SOL_MONSOCKET, getters[i], &number, &length), ENOTSOCK, what);
        snprintf(what, sizeof what, "option %d of no socket gives EBADF", getters[i]);
        FAILS_AS(mtcp_getsockopt(m, 99, SOL_MONSOCKET, getters[i], &number, &length), EBADF, what);
        FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, getters[i], NULL, &length), EINVAL);
        FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, getters[i], &number, NULL), EINVAL);
        length = 3;
        FAILS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, getters[i], &number, &length), EINVAL);
        length = sizeof number;
    }
    FAILS(mtcp_getsockopt(m, raw, SOL_MONSOCKET, MOS_INFO_CLIBUF, &number, &length), ENOTSOCK);
    FAILS(mtcp_getsockopt(m, listener, SOL_MONSOCKET, MOS_FRAGINFO_CLIBUF, &number, &length), ENOTSOCK);
    FAILS(mtcp_setsockopt(m, raw, SOL_MONSOCKET, MOS_CLIBUF, &number, sizeof number), ENOTSOCK);
    FAILS(mtcp_setsockopt(m, raw, SOL_MONSOCKET, MOS_SVROVERLAP, &number, sizeof number), ENOTSOCK);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, NULL, sizeof number), EINVAL);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &number, 3), EINVAL);
    FAILS(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &number, 0), EINVAL);
    length = sizeof stamp;
    WORKS(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_TIMESTAMP, &stamp, &length));
    check(stamp == mtcp_cb_get_ts(m) && stamp == (uint32_t)(script[0].frames[0].time_ns / 1000),
          "MOS_TIMESTAMP is the last packet's time in microseconds");
    /* Settings are read back. */
    number = 99;
    WORKS(mtcp_getsockopt(m, listener, SOL_MONSOCKET, MOS_SVRBUF, &number, &length));
    check_int(number, 8192, "a listener's buffer size");
    WORKS(mtcp_getsockopt(m, listener, SOL_MONSOCKET, MOS_HISTORY, &number, &length));
    check_int(number, 1, "MOS_HISTORY is on");
    number = 2;
    FAILS(mtcp_setsockopt(m, listener, SOL_MONSOCKET, MOS_HISTORY, &number, sizeof number), EINVAL);
}

static void option_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_SND, option_packet));
}

static uint32_t stamps[3];
static int stamp_count;
static void stamp_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    socklen_t length = sizeof stamps[0];
    (void)side, (void)event, (void)arg;
    if (stamp_count < 3 && mtcp_getsockopt(m, id, SOL_MONSOCKET, MOS_TIMESTAMP, &stamps[stamp_count], &length) == 0)
        stamp_count++;
}

static void stamp_setup(mctx_t m)
{
    struct timeval later = { 0, 6500 };
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_settimer(m, 1, &later, stamp_timer)); /* socket 1 is the flow's */
}

static void options(void)
{
    struct talk t, u;
    scene("options");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    option_checked = 0;
    play(NULL, NULL, option_setup);
    scene("MOS_TIMESTAMP");
    script_begin();
    talk_init(&t, 1);
    talk_init(&u, 2);
    say_hello(&t);  /* the last at 2 ms */
    for (int i = 0; i < 5; i++)
        say(&u, 0, ACK, NULL, 0);
    stamp_count = 0;
    play(NULL, NULL, stamp_setup);
    check_int(stamp_count, 1, "asked by a timer");
    check(stamps[0] == (uint32_t)(script[0].frames[2].time_ns / 1000), "it is the flow's last packet's, of either side");
}

/* MOS_HISTORY. */
static int history_value, history_step;
static void history_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[100];
    drain(m, sock, side, 4096);
    history_step++;
    (void)event, (void)arg;
    if (history_step == 2) {
        errno = 0;
        ssize_t n = mtcp_ppeek(m, sock, side, buffer, sizeof buffer, 0);
        if (history_value)
            check_int(n, 100, "bytes that were read are kept for mtcp_ppeek");
        else
            check_errno(n, -1, ENODATA, "bytes that were read are forgotten");
    }
}

static void history_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    option(m, listener, MOS_HISTORY, history_value);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, history_data));
}

static void history(void)
{
    for (history_value = 0; history_value < 2; history_value++) {
        struct talk t;
        scene(history_value ? "MOS_HISTORY 1" : "MOS_HISTORY 0");
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_stream(&t, 0, 0, 1000);
        script_burst(0);
        say_stream(&t, 0, 1000, 1000);
        stream_clear();
        history_step = 0;
        play(NULL, NULL, history_setup);
        check(stream_good(1, 2000), "reading is the same");
        check_int(history_step, 2, "two bursts");
    }
}

/* mos_peek_iov and mos_peek_advance. */
static int iov_step;
static char joined[10000];
static void iov_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct iovec list[8];
    char want[10000];
    (void)event, (void)arg;
    iov_step++;
    if (iov_step == 1) {
        FAILS(mos_peek_iov(m, sock, 2, list, 8), EINVAL);
        FAILS(mos_peek_iov(m, sock, -1, list, 8), EINVAL);
        FAILS(mos_peek_iov(m, sock, side, NULL, 8), EINVAL);
        FAILS(mos_peek_iov(m, sock, side, list, 0), EINVAL);
        FAILS(mos_peek_iov(m, sock, side, list, -1), EINVAL);
        FAILS(mos_peek_iov(m, listener, side, list, 8), ENOTSOCK);
        FAILS(mos_peek_iov(m, 99, side, list, 8), EBADF);
        FAILS(mos_peek_advance(m, sock, 2, 1), EINVAL);
        FAILS(mos_peek_advance(m, listener, side, 1), ENOTSOCK);
        FAILS(mos_peek_advance(m, 99, side, 1), EBADF);
        check_int(mos_peek_iov(m, sock, MOS_SIDE_CLI, list, 8), 0, "nothing on the other side");
        check(list[0].iov_base == NULL && list[0].iov_len == 0, "no pieces");
        FAILS(mos_peek_advance(m, sock, MOS_SIDE_CLI, 1), EINVAL);
        WORKS(mos_peek_advance(m, sock, MOS_SIDE_CLI, 0));
    }
    size_t from = (size_t)position[side];
    ssize_t total = mos_peek_iov(m, sock, side, list, 8);
    if (total < 0) {
        check_int(total, -50, "lost bytes are told as by mtcp_peek");
        check_int(errno, ENODATA, "with ENODATA");
        position[side] += -total;
        from = (size_t)position[side];
        total = mos_peek_iov(m, sock, side, list, 8);
    }
    size_t sum = 0;
    int pieces = 0;
    for (int i = 0; i < 8; i++) {
        if (list[i].iov_len == 0) {
            check(list[i].iov_base == NULL, "pieces that are not needed are NULL");
            continue;
        }
        memcpy(joined + sum, list[i].iov_base, list[i].iov_len);
        sum += list[i].iov_len;
        pieces++;
    }
    check_int((long long)sum, total, "the sum of the pieces");
    fill(want, from, sum);
    check_bytes(joined, want, sum, "the bytes of the stream");
    FAILS(mos_peek_advance(m, sock, side, sum + 1), EINVAL);
    FAILS(mos_peek_advance(m, sock, side, SIZE_MAX), EINVAL);
    check_int(mos_peek_iov(m, sock, side, list, 8), total, "nothing moved");
    check_int(mos_peek_iov(m, sock, side, list, 1) > 0, 1, "one piece is enough to begin with");
    size_t part = sum / 3;
    WORKS(mos_peek_advance(m, sock, side, part));
    char one;
    check_int(mtcp_peek(m, sock, side, &one, 1), 1, "mtcp_peek goes on from there");
    check_bytes(&one, want + part, 1, "with the right byte");
    WORKS(mos_peek_advance(m, sock, side, sum - part - 1));
    check_int(mos_peek_iov(m, sock, side, list, 8), 0, "all read");
    position[side] = (long long)(from + sum);
}

static void iov_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, iov_data));
}

static void vectors(void)
{
    struct talk t;
    scene("mos_peek_iov");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_stream(&t, 0, 0, 1000);
    say_stream(&t, 0, 1000, 500);
    script_burst(0);
    say_part(&t, 0, 2500, 1000);
    say_part(&t, 0, 1500, 1000);
    t.next[0] = t.isn[0] + 1 + 3500;
    script_burst(0);
    say_part(&t, 0, 3550, 300);
    say_at(&t, 1, ACK, t.next[1], t.isn[0] + 1 + 3550, NULL, 0);
    stream_clear();
    iov_step = 0;
    play(NULL, NULL, iov_setup);
    check_int(position[1], 3850, "the whole stream");
    check_int(iov_step, 3, "three times");
}

/* rmem_max, and data outside of the window. */
static int error_packets;
static void window_error(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    on_error(m, sock, side, event, arg);
    if (mtcp_getlastpkt(m, sock, side, &p) == 0) {
        error_packets++;
        log_word("p%u", p.payloadlen);
    }
}

static void note_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;
    (void)event, (void)arg;
    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen)
        log_word("r%u", p.payloadlen);
}

static void window_setup(mctx_t m)
{
    listener = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    WORKS(mtcp_register_callback(m, listener, MOS_ON_ERROR, MOS_NULL, window_error));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_PKT_IN, MOS_HK_RCV, note_packet));
    WORKS(mtcp_register_callback(m, listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
}

static void limits(void)
{
    struct talk t;
    scene("data beyond the window");
    script_begin();
    talk_init(&t, 1);
    t.window[1] = 1000;
    say_hello(&t);
    say(&t, 1, ACK, NULL, 0);
    say_stream(&t, 0, 0, 10);
    say_part(&t, 0, 5000, 20);
    say_stream(&t, 0, 10, 30);
    stream_clear();
    error_packets = 0;
    play(NULL, NULL, window_setup);
    check_str(log_text, "r10 E1 p20 r20 r30 +40", "ERROR before the handlers of HK_RCV, with the packet; nothing of it is kept");

    scene("behind a hole, up to rmem_max");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    for (size_t at = 0; at < 60000; at += 1000)
        say_part(&t, 0, 1 + at, 1000);
    script_burst(0);
    say_part(&t, 0, 0, 1);
    stream_clear();
    play(NULL, "rmem_size = 4096\nrmem_max = 65536", reader_setup);
    check(stream_good(1, 60001), "a hole that is filled at last: everything is there");
    stream_clear();
    play(NULL, "rmem_size = 4096\nrmem_max = 20000", reader_setup);
    check(position[1] >= 20000 - 1000 && position[1] <= 22000, "with a small rmem_max as much as that");
    check(strstr(log_text, "E1") != NULL, "and ERROR tells");
    check_note("%lld bytes: %.80s", position[1], log_text);
}

int main(void)
{
    guarantee();
    peeking();
    positions();
    overruns();
    gaps();
    out_of_order();
    overlaps();
    buffers();
    shrinking();
    ranges();
    infos();
    options();
    history();
    vectors();
    limits();
    return finish();
}
