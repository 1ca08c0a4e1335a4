/* A SYN on a flow whose two sides are through, in TIME_WAIT: the old flow ends
 * and a new one starts (02-monitor.md section 4), whatever its number, and
 * whichever end sends it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static void setup(mctx_t m)
{
    listen_to(m, AF_INET, MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA);
}

static void one(const char *name, int first, uint32_t distance)
{
    struct talk t;
    scene(name);
    log_clear();
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_goodbye(&t, 0);
    if (distance) {
        t.next[0] += distance;
        t.next[1] += distance;
    } else {
        talk_init(&t, 1);
    }
    say(&t, first, SYN, NULL, 0);
    say(&t, 1 - first, SYN | ACK, NULL, 0);
    say(&t, first, ACK, NULL, 0);
    say_text(&t, first, "two");
    say_goodbye(&t, first);
    play(NULL, "tcp_tw_interval = 10", setup);
    check_str(log_text, "sSTART.c rSTART.v sSTART.c rSTART.v nDATA.v", "two connections");
    check_int((long long)played.flows_total, 2, "two flows");
}

int main(void)
{
    one("the client again, another number", 0, 100000);
    one("the client again, the same number", 0, 0);
    one("the server begins this time", 1, 100000);

    struct talk t;
    scene("a packet a millisecond after TIME_WAIT");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_goodbye(&t, 0);
    script_clock += 10000000000ull;
    say(&t, 0, ACK, NULL, 0);
    log_clear();
    play(NULL, "tcp_tw_interval = 10", setup);
    check_int((long long)played.orphans, 1, "belongs to no flow");
    return finish();
}
