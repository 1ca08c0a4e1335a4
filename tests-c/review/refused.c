/* Several listeners, and no room for the sockets of all: each SYN that is refused
 * counts once (mos_ext.h, drop_flow_table_full), and is an orphan. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static int listeners;

static void setup(mctx_t m)
{
    for (int i = 0; i < listeners; i++)
        listen_to(m, AF_INET, 0);
}

int main(void)
{
    for (listeners = 1; listeners <= 4; listeners++) {
        static const char *const names[] = { "", "one listener", "two listeners", "three listeners", "four listeners" };
        struct talk t;
        scene(names[listeners]);
        script_begin();
        for (unsigned i = 0; i < 150; i++) {
            talk_init(&t, i);
            say(&t, 0, SYN, NULL, 0);
        }
        play(NULL, "max_concurrency = 100", setup);
        check_int((long long)(played.flows_total + played.drop_flow_table_full), 150, "taken and refused are all");
        check_int((long long)played.orphans, (long long)played.drop_flow_table_full, "what is refused is an orphan");
    }
    return finish();
}
