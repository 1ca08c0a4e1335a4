/* mtcp_destroy and mtcp_init soon after: what was still due for the first life
 * (frames for contexts that were never made are given up 200 ms after the last
 * setup call) must not happen in the second. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>

#include "api/scene.h"

static void frames(unsigned count)
{
    script_begin();
    for (unsigned i = 1; i <= count; i++) {
        struct talk t;
        talk_init(&t, i);
        say_hello(&t);
    }
}

static void *join(void *m)
{
    mtcp_app_join((mctx_t)m);
    return NULL;
}

int main(void)
{
    struct mos_stats stats;
    unsigned long long flows = 0, lost = 0;
    mctx_t m[2];
    scene("two lives");
    if (GetNumCPUs() < 2)
        return skip("one CPU only");
    frames(1);
    check_int(begin("script:a 0x3", NULL), 0, "mtcp_init");
    m[0] = mtcp_create_context(0);
    pthread_t thread;
    pthread_create(&thread, NULL, join, m[0]);
    usleep(20000);
    mtcp_destroy_context(m[0]);
    pthread_join(thread, NULL);
    WORKS(mtcp_destroy());

    frames(64);
    check_int(begin("script:a 0x3", NULL), 0, "mtcp_init again");
    m[0] = mtcp_create_context(0);
    listen_to(m[0], AF_INET, MOS_ON_CONN_START);
    usleep(500000);
    m[1] = mtcp_create_context(1);
    listen_to(m[1], AF_INET, MOS_ON_CONN_START);
    pthread_create(&thread, NULL, join, m[0]);
    mtcp_app_join(m[1]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        memset(&stats, 0, sizeof stats);
        WORKS(mos_get_stats(m[i], -1, &stats, sizeof stats));
        flows += stats.flows_total;
        lost = stats.drop_source;
    }
    check_int((long long)flows, 64, "every flow has its context");
    check_int((long long)lost, 0, "nothing is lost before");
    WORKS(mtcp_destroy());
    script_begin();
    return finish();
}
