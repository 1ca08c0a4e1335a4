/* Memory at its limit: bytes that everybody has read already make room for
 * those that have not been read, and who loses unread bytes hears of it
 * (02-monitor.md section 6: the guarantee, MOS_ON_ERROR at mem_limit). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static char bytes[1400];
static long total, lost;
static int errors, reads;

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[4096];
    ssize_t n;
    (void)event, (void)arg;
    while (reads && (n = mtcp_peek(m, sock, side, buffer, sizeof buffer)) != 0) {
        if (n < 0)
            lost -= (long)n;
        else
            total += (long)n;
    }
}

static void on_error(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    errors++;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    total = lost = 0;
    errors = 0;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_ERROR, MOS_NULL, on_error));
}

static void many_flows(int flows, int segments)
{
    struct talk t;
    script_begin();
    for (int i = 0; i < flows; i++) {
        talk_init(&t, (unsigned)i);
        say_hello(&t);
        script_burst(0);
        for (int j = 0; j < segments; j++) {
            say(&t, 0, ACK, bytes, 1400);
            script_burst(0);
        }
    }
}

int main(void)
{
    struct talk t;
    scene("200 idle flows that were read, then one with reordering");
    many_flows(200, 6);
    talk_init(&t, 500);
    say_hello(&t);
    for (int i = 0; i < 10; i++) {
        uint32_t next = t.next[0];
        script_burst(0);
        say_at(&t, 0, ACK, next + 1000, t.next[1], bytes, 1000);
        script_burst(0);
        say_at(&t, 0, ACK, next, t.next[1], bytes, 1000);
        t.next[0] += 2000;
        script_burst(0);
        say(&t, 1, ACK, NULL, 0);
    }
    say_goodbye(&t, 0);
    reads = 1;
    play(NULL, "mem_limit = 1M", setup);
    check_int(total, 200 * 6 * 1400 + 20000, "all bytes are read");
    check_int(lost, 0, "none is lost");
    check_int((long long)played.overrun_bytes, 0, "what was read already does not count as lost");

    scene("500 flows that nobody reads, each below rmem_size");
    many_flows(500, 5);
    reads = 0;
    play(NULL, "mem_limit = 1M", setup);
    check((long long)played.overrun_bytes > 0, "unread bytes go");
    check(errors > 0, "and MOS_ON_ERROR says so");
    return finish();
}
