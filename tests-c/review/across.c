/* Two contexts whose handlers ask about each other. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/time.h>

#include "api/scene.h"

static mctx_t contexts[2];
static int asked[2];

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval soon = { 0, 1 };
    struct mos_stats stats;
    (void)side, (void)event, (void)arg;
    for (int i = 0; i < 100; i++) {
        if (mtcp_get_connection_cnt(contexts[1 - id]) != 0)
            check(0, "no connection");
        if (mos_get_stats(contexts[1 - id], -1, &stats, sizeof stats) != 0)
            check(0, "mos_get_stats");
    }
    if (__atomic_add_fetch(&asked[id], 1, __ATOMIC_RELAXED) < 1000)
        mtcp_settimer(m, id, &soon, on_timer);
}

int main(void)
{
    struct timeval soon = { 0, 1 };
    scene("handlers that ask about each other's context");
    if (GetNumCPUs() < 2)
        return skip("one CPU only");
    script_begin();
    script[0].live = script[1].live = 1;
    check_int(begin("script:a 0x1\nscript:b 0x2", NULL), 0, "mtcp_init");
    for (int i = 0; i < 2; i++)
        contexts[i] = mtcp_create_context(i);
    if (!check(contexts[0] && contexts[1], "two contexts"))
        return finish();
    alarm(30);
    for (int i = 0; i < 2; i++)
        WORKS(mtcp_settimer(contexts[i], i, &soon, on_timer));
    while (__atomic_load_n(&asked[0], __ATOMIC_RELAXED) < 1000 || __atomic_load_n(&asked[1], __ATOMIC_RELAXED) < 1000)
        usleep(1000);
    check(1, "they get their answers");
    WORKS(mtcp_destroy());
    return finish();
}
