/* More flows end at one moment than there are places for NEW_DATA between two
 * bursts: each had data behind a hole, towards an end that is not captured, which
 * come at its end. All are announced, and what arrives in the same burst is
 * announced, too, and is nobody else's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

#define LATE 5000u /* the flow whose data come in the burst of the ends */

static int announced;
static long got, missing, strange, others;

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_in ends[2];
    socklen_t length = sizeof ends;
    char buffer[8192];
    ssize_t n;
    (void)event, (void)arg;
    if (side != MOS_SIDE_SVR)
        return;
    announced++;
    if (mtcp_getpeername(m, sock, (struct sockaddr *)ends, &length, MOS_SIDE_BOTH) != 0)
        check(0, "mtcp_getpeername");
    int is_late = ntohs(ends[0].sin_port) == 10000 + LATE;
    while ((n = mtcp_peek(m, sock, side, buffer, sizeof buffer)) != 0) {
        if (n < 0) {
            missing -= (long)n;
            continue;
        }
        for (ssize_t i = 0; i < n; i++)
            strange += buffer[i] != (is_late ? 'L' : 'o');
        *(is_late ? &got : &others) += (long)n;
    }
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    announced = 0;
    got = missing = strange = others = 0;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
}

static void say_bytes(struct talk *t, char byte, uint32_t size)
{
    static char bytes[1000];
    memset(bytes, byte, sizeof bytes);
    say(t, 0, ACK | PSH, bytes, size);
}

static void many(const char *name, unsigned flows, int ends_before)
{
    struct talk t, late, other;
    scene(name);
    script_begin();
    script_step = 1000;
    for (unsigned i = 1; i <= flows; i++) {
        talk_init(&t, i);
        say(&t, 0, SYN, NULL, 0);
        t.next[1]++;
        say(&t, 0, ACK, NULL, 0);
        t.next[0] += 100;
        say_bytes(&t, 'o', 100);
    }
    script_burst(0);
    if (ends_before)
        script_clock += 40000000000ull;
    talk_init(&late, LATE);
    talk_init(&other, LATE + 1);
    say_hello(&late);
    say_hello(&other);
    say_bytes(&late, 'L', 500);
    say_bytes(&late, 'L', 500);
    script_burst(0);
    for (int i = 0; i < 10; i++)
        say_bytes(&other, 'o', 300);
    script_burst(0);
    for (int i = 0; i < 10; i++)
        say_bytes(&other, 'o', 300);
    say_bytes(&late, 'L', 500);
    script_burst(0);
    say_goodbye(&late, 0);
    say_goodbye(&other, 0);
    alarm(60);
    play(NULL, "max_concurrency = 8000", setup);
    alarm(0);
    check_int(strange, 0, "no byte of another flow");
    check_int(got, 1500, "all bytes that came in the burst of the ends");
    check_int(others, (long)flows * 100 + 6000, "and all of the others");
    check_int(missing, (long)flows * 100, "the holes are reported");
    check_int(announced, (int)flows + 4, "each is announced");
}

int main(void)
{
    many("400 flows idle out", 400, 1);
    many("600 flows idle out", 600, 1);
    many("3000 flows idle out", 3000, 1);
    many("3000 flows end with the trace", 3000, 0);
    return finish();
}
