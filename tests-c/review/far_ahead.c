/* Data far ahead of the stream cannot be kept; what is in order and not read yet
 * must not suffer for it (02-monitor.md section 6, the guarantee). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static long total, lost;

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[4096];
    ssize_t n;
    (void)event, (void)arg;
    while ((n = mtcp_peek(m, sock, side, buffer, sizeof buffer)) != 0) {
        if (n < 0)
            lost -= (long)n;
        else
            total += (long)n;
    }
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    total = lost = 0;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
}

int main(void)
{
    static char bytes[1400];
    struct talk t;
    scene("a segment beyond rmem_max, in the window");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    script_burst(0);
    say(&t, 0, ACK, bytes, 1000);
    say_at(&t, 0, ACK, t.next[0] + 40000, t.next[1], bytes, 1000);
    say(&t, 0, ACK, bytes, 1000);
    script_burst(0);
    say_goodbye(&t, 0);
    play(NULL, "rmem_max = 16384", setup);
    check_int(total, 2000, "all bytes in order are read");
    check_int(lost, 0, "none is reported lost");
    return finish();
}
