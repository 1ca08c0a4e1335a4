/* A clock that a trace sends to the end of time, with timers that set themselves
 * again: the stack must come back to its packets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/time.h>

#include "api/scene.h"

static int fired;

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval soon = { 0, id };
    (void)side, (void)event, (void)arg;
    fired++;
    if (mtcp_settimer(m, id, &soon, on_timer) != 0)
        check(0, "mtcp_settimer");
}

static void setup(mctx_t m)
{
    struct timeval soon = { 0, 0 };
    listen_to(m, AF_INET, MOS_ON_CONN_START);
    log_clear();
    fired = 0;
    WORKS(mtcp_settimer(m, 0, &soon, on_timer));
    WORKS(mtcp_settimer(m, 1000, &soon, on_timer));
}

static void one(const char *name, uint64_t time, uint64_t last)
{
    struct talk t;
    scene(name);
    alarm(10);
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    script_clock = time;
    say_text(&t, 0, "abc");
    say_text(&t, 0, "abc");
    script_clock = last;
    say_text(&t, 0, "abc");
    talk_init(&t, 2);
    say_hello(&t);
    play(NULL, NULL, setup);
    check(fired > 0, "timers fire");
    check_str(log_text, "sSTART.c rSTART.v sSTART.c rSTART.v", "both flows are seen");
}

int main(void)
{
    const uint64_t now = 1700000000ull * 1000000000u;
    one("no delay", now + 1000000000u, now + 2000000000u);
    one("a jump of years", now * 2, now * 2 + 1);
    one("a jump and back", now * 2, now);
    one("the last minute of all", UINT64_MAX - 60000000000u, UINT64_MAX - 5000000000u);
    one("the last moment", UINT64_MAX, UINT64_MAX);
    return finish();
}
