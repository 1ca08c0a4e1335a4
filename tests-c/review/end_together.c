/* mtcp_destroy from two threads, and contexts made meanwhile. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>

#include "api/scene.h"

static pthread_barrier_t together;
static int good;

static void *destroy(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&together);
    if (mtcp_destroy() == 0)
        __atomic_add_fetch(&good, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void *create(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&together);
    for (int i = 0; i < 20; i++)
        mtcp_create_context(i & 1);
    return NULL;
}

int main(void)
{
    pthread_t thread[3];
    scene("mtcp_destroy from several threads");
    alarm(120);
    pthread_barrier_init(&together, NULL, 3);
    for (int round = 0; round < 200; round++) {
        script_begin();
        script[0].live = 1;
        if (begin(GetNumCPUs() < 2 ? "script:a 0x1" : "script:a 0x3", "max_concurrency = 100") != 0 ||
            !mtcp_create_context(0)) {
            check(0, "a context");
            break;
        }
        good = 0;
        pthread_create(&thread[0], NULL, destroy, NULL);
        pthread_create(&thread[1], NULL, destroy, NULL);
        pthread_create(&thread[2], NULL, create, NULL);
        for (int i = 0; i < 3; i++)
            pthread_join(thread[i], NULL);
        if (good != 1) {
            check_int(good, 1, "one of them has done it");
            break;
        }
    }
    check(good == 1, "each time one of them did it");
    return finish();
}
