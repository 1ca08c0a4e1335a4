/* As many events as there can be, as deep as they go, made by as many threads as
 * want to: ids, order, limits, and that nothing of it costs a stack. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 20, FIRST = 4096, DEEP = 100000, RAISED_DEEP = 2000, WIDE = 3000, THREADS = 6, SAME = 20000 };

static int checks, failures;

static void check(int good, const char *what)
{
    checks++;
    failures += !good;
    printf("%sok %d - %s\n", good ? "" : "not ", checks, what);
    fflush(stdout);
}

static mctx_t context;

static bool always(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return true;
}

static event_t numbered(event_t parent, uint32_t number)
{
    struct filter_arg argument = {&number, sizeof number};
    return mtcp_define_event(parent, always, &argument);
}

/* ---- Many threads define the same ---- */

static event_t same[THREADS][SAME], own[THREADS][SAME / 100];
static pthread_barrier_t together;

static void *define_same(void *number)
{
    int thread = *(int *)number;
    pthread_barrier_wait(&together);
    for (uint32_t i = 0; i < SAME; i++) {
        /* Each in another order: 7919 has no factor in common with SAME. */
        uint32_t at = (i * 7919 + (uint32_t)thread * 3001) % SAME;
        same[thread][at] = numbered(MOS_ON_PKT_OUT, at);
        if (i % 100 == 0)
            own[thread][i / 100] = mtcp_alloc_event(same[thread][at]);
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    event_t x = *(const event_t *)a, y = *(const event_t *)b;
    return (x > y) - (x < y);
}

static void by_threads(void)
{
    enum { ALL = SAME + THREADS * (SAME / 100) };
    static event_t all[ALL];
    pthread_t threads[THREADS];
    int numbers[THREADS], different = 0, gaps = 0, count = 0;
    pthread_barrier_init(&together, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, define_same, &numbers[i]) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&together);
    for (int at = 0; at < SAME; at++) {
        for (int i = 1; i < THREADS; i++)
            different += same[i][at] != same[0][at];
        all[count++] = same[0][at];
    }
    check(different == 0, "six threads define 20 000 events at once, each in another order: the same ids");
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < SAME / 100; j++)
            all[count++] = own[i][j];
    qsort(all, (size_t)count, sizeof *all, compare_ids);
    for (int i = 0; i < count; i++)
        gaps += all[i] != (event_t)(FIRST + i);
    check(gaps == 0, "these and the allocated ones between them are numbered without a gap");
}

/* ---- Deep and wide ---- */

static int frames_given;

static int two_packets(struct mos_io_frame *frames, uint32_t max)
{
    struct wire_packet p;
    (void)max;
    if (frames_given == 2)
        return MOS_IO_END;
    memset(&p, 0, sizeof p);
    p.source = 1;
    p.destination = 2;
    p.source_port = 3;
    p.destination_port = 4;
    p.flags = SYN;
    p.time_ns = 1700000000ull * 1000000000u + (uint64_t)frames_given++;
    wire_frame(&frames[0], 0, &p);
    return 1;
}

static event_t *expected;
static int calls, expected_count, wrong;

static void note(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)arg;
    wrong += event != expected[calls++ % expected_count];
}

static event_t chain[RAISED_DEEP];
static int refused;

/* Raises the one below. */
static void raise_next(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int at = calls % expected_count;
    note(m, sock, side, event, arg);
    if (at + 1 < RAISED_DEEP)
        refused += mtcp_raise_event(m, chain[at + 1]) != 0;
}

static int begin(void)
{
    frames_given = calls = wrong = refused = 0;
    context = wire_start(two_packets, NULL);
    return mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
}

static void deep(void)
{
    int sock = begin();
    event_t event = MOS_ON_PKT_IN, half = 0;
    for (int i = 0; i < DEEP; i++) {
        event = mtcp_define_event(event, always, NULL);
        if (i == DEEP / 2)
            half = event;
    }
    event_t two[2] = {half, event};
    expected = two;
    expected_count = 2;
    int bad = mtcp_register_callback(context, sock, event, MOS_HK_SND, note);
    bad |= mtcp_register_callback(context, sock, half, MOS_HK_SND, note);
    check(event != 0 && bad == 0, "100 000 events, each below the one before; handlers half way and at the bottom");
    errno = 0;
    check(mtcp_register_callback(context, sock, event, MOS_NULL, note) == 0 &&
              mtcp_unregister_callback(context, sock, event, MOS_NULL) == 0,
          "the hooks of the bottom one are those of its root");
    mtcp_app_join(context);
    check(calls == 4 && wrong == 0, "both run, for each packet");
    wire_stop(context);

    sock = begin();
    event = MOS_ON_CONN_END;
    for (int i = 0; i < 1000; i++)
        event = mtcp_define_event(event, always, NULL);
    errno = 0;
    check(mtcp_register_callback(context, sock, event, MOS_NULL, note) == -1 && errno == EINVAL,
          "a thousand below MOS_ON_CONN_END: not at MOS_NULL");
    event = MOS_ON_CONN_NEW_DATA;
    for (int i = 0; i < 1000; i++)
        event = i % 2 ? mtcp_alloc_event(event) : mtcp_define_event(event, always, NULL);
    errno = 0;
    check(mtcp_register_callback(context, sock, event, MOS_HK_RCV, note) == -1 && errno == EINVAL,
          "a thousand below MOS_ON_CONN_NEW_DATA: not at MOS_HK_RCV");
    wire_stop(context);
}

static void raised(void)
{
    int sock = begin(), bad = 0;
    for (int i = 0; i < RAISED_DEEP; i++) {
        chain[i] = i == 0 ? mtcp_define_event(MOS_ON_PKT_IN, always, NULL) : mtcp_alloc_event(chain[i - 1]);
        bad |= mtcp_register_callback(context, sock, chain[i], MOS_HK_SND, raise_next);
    }
    expected = chain;
    expected_count = RAISED_DEEP;
    mtcp_app_join(context);
    check(bad == 0 && refused == 0 && calls == 2 * RAISED_DEEP && wrong == 0,
          "2000 allocated events, each raised by the handler of the one above");
    wire_stop(context);
}

static void wide(void)
{
    static event_t events[WIDE];
    int sock = begin(), bad = 0;
    for (uint32_t i = 0; i < WIDE; i++)
        events[i] = numbered(MOS_ON_PKT_IN, i);
    for (uint32_t i = 0; i < WIDE; i++)
        bad |= mtcp_register_callback(context, sock, events[i * 1009 % WIDE], MOS_HK_SND, note);
    expected = events;
    expected_count = WIDE;
    mtcp_app_join(context);
    check(bad == 0 && calls == 2 * WIDE && wrong == 0, "3000 below one event, registered in any order, run by their ids");
    wire_stop(context);
}

/* ---- All of them ---- */

static void no_more(void)
{
    event_t last = 0, next;
    int gaps = 0, sock;
    while ((next = mtcp_alloc_event(last && last % 2 ? last : (event_t)MOS_ON_PKT_IN)) != 0) {
        gaps += last && next != last + 1;
        last = next;
    }
    check(gaps == 0 && last == (event_t)FIRST + LIMIT - 1, "there can be 1 048 576 events");
    errno = 0;
    check(mtcp_alloc_event(MOS_ON_PKT_IN) == MOS_NULL_EVENT && errno == EINVAL, "and no further by mtcp_alloc_event");
    errno = 0;
    check(numbered(last, 1) == MOS_NULL_EVENT && errno == EINVAL, "nor by mtcp_define_event");
    check(numbered(MOS_ON_PKT_OUT, 5) == same[0][5], "what there is already is found");
    sock = begin();
    expected = &last;
    expected_count = 1;
    check(mtcp_register_callback(context, sock, last, MOS_HK_RCV, note) == 0, "the last one can be registered");
    errno = 0;
    check(mtcp_register_callback(context, sock, last + 1, MOS_HK_RCV, note) == -1 && errno == EINVAL,
          "the one behind it cannot");
    wire_stop(context);
}

int main(void)
{
    by_threads();
    deep();
    raised();
    wide();
    no_more();
    printf("1..%d\n", checks);
    return failures != 0;
}
