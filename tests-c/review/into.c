/* Handlers of two contexts that set each other up: none may wait for ever. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sys/time.h>

#include "api/scene.h"

static mctx_t contexts[2];
static int rounds[2], made[2], refused[2], other[2];

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval soon = { 0, 1 };
    (void)side, (void)event, (void)arg;
    for (int i = 0; i < 20; i++) {
        int sock = mtcp_socket(contexts[1 - id], AF_INET, MOS_SOCK_MONITOR_RAW, 0);
        if (sock >= 0) {
            made[id]++;
            while (mtcp_close(contexts[1 - id], sock) != 0 && errno == EDEADLK)
                ;
        } else if (errno == EDEADLK) {
            refused[id]++;
        } else {
            other[id]++;
        }
    }
    if (__atomic_add_fetch(&rounds[id], 1, __ATOMIC_RELEASE) < 50)
        mtcp_settimer(m, id, &soon, on_timer);
}

int main(void)
{
    struct timeval soon = { 0, 1 };
    scene("handlers that set each other's context up");
    if (GetNumCPUs() < 2)
        return skip("one CPU only");
    script_begin();
    script[0].live = script[1].live = 1;
    check_int(begin("script:a 0x1\nscript:b 0x2", NULL), 0, "mtcp_init");
    for (int i = 0; i < 2; i++)
        contexts[i] = mtcp_create_context(i);
    if (!check(contexts[0] && contexts[1], "two contexts"))
        return finish();
    alarm(100);
    for (int i = 0; i < 2; i++)
        mtcp_settimer(contexts[i], i, &soon, on_timer);
    while (__atomic_load_n(&rounds[0], __ATOMIC_ACQUIRE) < 50 || __atomic_load_n(&rounds[1], __ATOMIC_ACQUIRE) < 50)
        usleep(1000);
    check(made[0] + made[1] > 0, "calls got through");
    check_int(made[0] + made[1] + refused[0] + refused[1], 2 * 50 * 20, "every other one gave EDEADLK");
    check_int(other[0] + other[1], 0, "no other error");
    check_int(mtcp_destroy(), 0, "mtcp_destroy");
    return finish();
}
