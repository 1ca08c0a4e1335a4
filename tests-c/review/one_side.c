/* Only the client's packets are captured: more of them than half of the
 * sequence numbers, one missing, and two connections on the same addresses. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

#include <mos_io.h>

#define PAYLOAD 65000u
#define AT_ONCE 8u

static char bytes[1000];
static uint64_t got, lost;
static int starts;

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char buffer[1 << 20];
    ssize_t n;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR)
        return;
    while ((n = mtcp_peek(m, sock, side, buffer, sizeof buffer)) != 0) {
        if (n < 0)
            lost += (uint64_t)-n;
        else
            got += (uint64_t)n;
    }
}

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    starts++;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    got = lost = 0;
    starts = 0;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_data));
}

/* A source that makes its frames when they are asked for: SYN, ACK, and data. */
static struct talk far;
static uint8_t frames[AT_ONCE][66000];
static uint64_t wanted, sent, packets, clock_ns;

static int far_open(const char *spec, uint32_t queues, void **port, struct mos_io_info *info, char *error, size_t size)
{
    (void)spec, (void)queues, (void)error, (void)size;
    memset(info, 0, sizeof *info);
    info->num_queues = 1;
    info->is_trace = 1;
    info->mtu = 1500;
    *port = frames;
    return 0;
}

static int far_recv(void *port, uint32_t queue, struct mos_io_frame *out, uint32_t max)
{
    uint32_t count = 0;
    (void)port, (void)queue;
    for (; count < max && count < AT_ONCE && sent < wanted; count++) {
        uint8_t *frame = frames[count];
        uint32_t length;
        if (packets++ == 0) {
            length = make_tcp(frame, &far, 0, SYN, far.next[0], 0, NULL, 0, NULL, 0);
            far.next[0]++;
            far.next[1]++;
        } else {
            length = make_tcp(frame, &far, 0, ACK, far.next[0], far.next[1], NULL, 0, NULL, 0);
            if (packets > 2) {
                /* The bytes that lie there are as good as any; the source
                 * vouches for the checksums. */
                put16(frame + 16, 40 + PAYLOAD);
                length += PAYLOAD;
                far.next[0] += PAYLOAD;
                sent += PAYLOAD;
            }
        }
        memset(&out[count], 0, sizeof out[count]);
        out[count].data = frame;
        out[count].len = out[count].wire_len = length;
        out[count].flags = MOS_IO_IP_CSUM_OK | MOS_IO_L4_CSUM_OK;
        out[count].time_ns = clock_ns;
        clock_ns += 1000;
    }
    return count ? (int)count : MOS_IO_END;
}

static void far_stats(void *port, struct mos_io_stats *out)
{
    (void)port;
    memset(out, 0, sizeof *out);
}

static void far_close(void *port)
{
    (void)port;
}

static void long_stream(const char *name, uint64_t size)
{
    static const struct mos_io_ops ops = {
        MOS_IO_ABI, "far", far_open, far_recv, NULL, NULL, NULL, NULL, NULL, far_stats, far_close,
    };
    static int registered;
    scene(name);
    script_begin();
    if (!registered && mos_io_register(&ops) != 0)
        check(0, "mos_io_register");
    registered = 1;
    talk_init(&far, 1);
    wanted = size;
    sent = packets = 0;
    clock_ns = script_clock;
    play("far:x 0x1", "forward = 0", setup);
    check_int((long long)got, (long long)sent, "all bytes are read");
    check_int((long long)lost, 0, "none is lost");
}

int main(void)
{
    struct talk t;
    long_stream("1 GB", 1000000000ull);
    long_stream("3 GB", 3000000000ull);
    long_stream("5 GB", 5000000000ull);

    scene("a packet is missing");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    t.next[1]++;
    say(&t, 0, ACK, NULL, 0);
    say(&t, 0, ACK, bytes, 1000);
    t.next[0] += 1000;
    for (int i = 0; i < 3000; i++)
        say(&t, 0, ACK, bytes, 1000);
    say(&t, 0, FIN | ACK, NULL, 0);
    play(NULL, NULL, setup);
    check_int((long long)got, 3001000, "the stream goes on behind it");
    check_int((long long)lost, 1000, "it is reported");

    scene("the same addresses again");
    script_begin();
    talk_init(&t, 1);
    for (int i = 0; i < 2; i++) {
        say(&t, 0, SYN, NULL, 0);
        t.next[1]++;
        say(&t, 0, ACK, NULL, 0);
        say_text(&t, 0, "request");
        say(&t, 0, FIN | ACK, NULL, 0);
        t.next[1]++;
        say(&t, 0, ACK, NULL, 0);
        t.next[0] += 500000;
        t.next[1] += 12345678;
        /* Not so soon that the server's answer may be on its way. */
        script_clock += 2000000000ull;
    }
    play(NULL, NULL, setup);
    check_int(starts, 2, "two connections");
    check_int((long long)got, 14, "both requests");
    return finish();
}
