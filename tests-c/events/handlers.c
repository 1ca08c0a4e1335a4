/* (Under a sanitizer: 60.)
 * Handlers that change their own set, stop their flow, close their socket or
 * listener, define events, set timers and raise events, at every place there is.
 *
 * A short trace raises every event that there is at every hook. It is played
 * once, and each call of a filter or handler is written down. Then it is played
 * again for each of these calls and each deed: the call does the deed, and what
 * comes afterwards has to be the first record without what the deed took away
 * and with what it added. A second listener watches: its record never changes.
 *
 * handlers [every [deed]]: only each every-th of the places (for valgrind), one
 * deed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOOKS = 3, AT_NULL = 0, AT_SEND, AT_RECEIVE };
static const int hook_points[HOOKS] = {MOS_NULL, MOS_HK_SND, MOS_HK_RCV};

static const event_t built_in[] = {MOS_ON_PKT_IN,           MOS_ON_CONN_START, MOS_ON_CONN_NEW_DATA, MOS_ON_ERROR,
                                   MOS_ON_TCP_STATE_CHANGE, MOS_ON_ORPHAN,     MOS_ON_REXMIT,        MOS_ON_CONN_END};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };

/* Events of a place: a built-in one; one with a filter below it; one that the
 * filter raises below that; one that a deed makes. */
enum { ROOT, CHILD, RAISED, ADDED };

/* ---- The trace ---- */

enum { A = 1, B, C, D, STRAY, UDP };
static struct {
    int flow;
    struct wire_packet packet;
} trace[64];
static uint32_t trace_count;
static uint64_t trace_time;
static int after_gap; /* the frame behind the gap in which C idles out */
static uint32_t numbers[5][2];

static void say_at(int flow, int side, int flags, uint32_t sequence, uint32_t length)
{
    struct wire_packet *p = &trace[trace_count].packet;
    trace[trace_count++].flow = flow;
    memset(p, 0, sizeof *p);
    p->source = side == 0 ? 0x0a000001u : 0x0a000002u;
    p->destination = side == 0 ? 0x0a000002u : 0x0a000001u;
    p->source_port = side == 0 ? (uint16_t)(1000 + flow) : 80;
    p->destination_port = side == 0 ? 80 : (uint16_t)(1000 + flow);
    p->sequence = sequence;
    p->acknowledgement = flags & ACK && flow <= D ? numbers[flow][1 - side] : 0;
    p->flags = flags;
    p->length = length;
    p->time_ns = trace_time += 1000000;
}

static void say(int flow, int side, int flags, uint32_t length)
{
    say_at(flow, side, flags, numbers[flow][side], length);
    numbers[flow][side] += length + !!(flags & SYN) + !!(flags & FIN);
}

static void say_hello(int flow)
{
    numbers[flow][0] = 1000u * (unsigned)flow;
    numbers[flow][1] = 0xffffff00u + (unsigned)flow;
    say(flow, 0, SYN, 0);
    say(flow, 1, SYN | ACK, 0);
    say(flow, 0, ACK, 0);
}

static void make_trace(void)
{
    trace_time = 1700000000ull * 1000000000u;
    say_hello(A);
    say_hello(B);
    say(A, 0, ACK | PSH, 10);
    say(A, 1, ACK | PSH, 10);
    say_at(A, 0, ACK | PSH, numbers[A][0] - 10, 10);    /* again */
    say_at(A, 0, ACK | PSH, numbers[A][0] + 5, 5);      /* ahead … */
    say(A, 0, ACK | PSH, 5);                            /* … and what was missing */
    numbers[A][0] += 5;
    say_at(A, 0, ACK | PSH, numbers[A][0] + 200000, 4); /* beyond the window */
    say_at(STRAY, 0, ACK, 7, 0);
    say_at(UDP, 0, 0, 0, 0);
    say(B, 0, ACK | PSH, 20);
    say(B, 1, RST | ACK, 0);
    say_hello(C);
    say(C, 1, ACK | PSH, 7);
    say(A, 1, FIN | ACK, 0);
    say(A, 0, FIN | ACK, 0);
    say(A, 1, ACK, 0);
    trace_time += 100000000000ull; /* C idles out */
    after_gap = (int)trace_count + 1;
    say_at(STRAY, 0, ACK, 7, 0);
    say_hello(D);
    say(D, 0, ACK | PSH, 3);
    say(D, 1, FIN | ACK, 6); /* and the trace ends */
}

/* ---- What is done ---- */

enum deed {
    NOTHING,
    UNREGISTER_SELF,
    REGISTER_NULL_SELF,
    REPLACE_SELF,
    CLEAR_HOOK,
    DEFINE_BELOW,
    RAISE_AGAIN,
    STOP_CLIENT,
    STOP_SERVER,
    STOP_BOTH,
    STOP_TWICE,
    CLOSE_SELF,
    CLOSE_LISTENER,
    REOPEN_LISTENER,
    TIMER_NOTHING,
    TIMER_STOP,
    TIMER_CLOSE,
    TIMER_CLEAR,
    TIMER_AGAIN,
    DEEDS
};
static const char *const deed_names[DEEDS] = {
    "nothing", "unregister itself", "register NULL for itself", "replace itself", "clear its hook",
    "define an event below and register it", "raise", "MOS_STOP_MON CLI", "MOS_STOP_MON SVR", "MOS_STOP_MON BOTH",
    "stop both, twice and by mtcp_cb_stop", "close its socket", "close its listener", "close its listener, open another",
    "set a timer", "stop from a timer", "close the listener from a timer", "clear the sets from a timer",
    "set timers from timers"};

/* One call. */
struct entry {
    int flow;  /* A … D; STRAY: the listener's own; UDP: the raw socket's */
    int event; /* index into built_in */
    int level, hook, side, is_filter, hand;
    int frame; /* frames handed out before it */
    int start; /* the entry that begins its dispatch */
};

#define ENTRIES 2000
struct record {
    struct entry entries[ENTRIES];
    int count;
};

static struct {
    int burst, watched; /* kind of run */
    int place;          /* the call that does it, -1: none */
    enum deed deed;
    struct record target, watcher;
    int did, frame, start;
    int sock, side, hook, flow; /* where it was done */
    int timer_calls, timer_frame, timer_result, timer_code, is_over;
    mctx_t m;
    int listener, second, raw;
} now;

static int failures;
static event_t child[BUILT_IN][HOOKS], raised[BUILT_IN][HOOKS], added[BUILT_IN][HOOKS];
static unsigned long long runs, calls;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...)
{
    va_list list;
    if (failures++ > 20)
        return;
    printf("# %s at call %d (burst %d, watcher %d): ", deed_names[now.deed], now.place, now.burst, now.watched);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

static const char *event_name(int event)
{
    static const char *const names[BUILT_IN] = {"PKT_IN", "START", "NEW_DATA", "ERROR", "STATE", "ORPHAN", "REXMIT", "END"};
    return names[event];
}

static void show(const char *what, const struct entry *e)
{
    static const char *const hooks[] = {"NULL", "SND", "RCV"};
    static const char *const levels[] = {"", " child", " raised", " added"};
    if (!e)
        printf("#   %s: nothing\n", what);
    else
        printf("#   %s: flow %d %s%s at %s, side %d, %s %d, frame %d\n", what, e->flow, event_name(e->event),
               levels[e->level], hooks[e->hook], e->side, e->is_filter ? "filter" : "handler", e->hand, e->frame);
}

/* ---- The calls ---- */

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg);
static callback_t handler_of(int watcher, int hook, int hand);
static bool target_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg);

static void want(long result, long expected, int code, int expected_code, const char *what)
{
    if (result != expected || (result < 0 && code != expected_code))
        fail("%s gave %ld with %s, not %ld with %s", what, result, strerror(code), expected, strerror(expected_code));
}

#define WANT(call, expected, expected_code)                              \
    do {                                                                 \
        errno = 0;                                                       \
        long result_ = (long)(call);                                     \
        want(result_, (expected), errno, (expected_code), #call);        \
    } while (0)

static event_t event_of(const struct entry *e)
{
    return e->level == ROOT    ? built_in[e->event]
           : e->level == CHILD ? child[e->event][e->hook]
           : e->level == RAISED ? raised[e->event][e->hook]
                                : added[e->event][e->hook];
}

static int is_legal(int event, int hook)
{
    event_t e = built_in[event];
    if (hook == AT_NULL)
        return e == MOS_ON_PKT_IN || e == MOS_ON_CONN_NEW_DATA || e == MOS_ON_ERROR || e == MOS_ON_ORPHAN;
    return e != MOS_ON_CONN_NEW_DATA && e != MOS_ON_ERROR && e != MOS_ON_ORPHAN;
}

/* All events at all hooks but `without`, and with `below` what hangs below them. */
static void register_all(mctx_t m, int sock, int watcher, int below, int hand, event_t without)
{
    for (int event = 0; event < BUILT_IN; event++)
        for (int hook = 0; hook < HOOKS; hook++) {
            if (!is_legal(event, hook) || built_in[event] == without)
                continue;
            callback_t handler = handler_of(watcher, hook, hand);
            WANT(mtcp_register_callback(m, sock, built_in[event], hook_points[hook], handler), 0, 0);
            if (below) {
                WANT(mtcp_register_callback(m, sock, child[event][hook], hook_points[hook], handler), 0, 0);
                WANT(mtcp_register_callback(m, sock, raised[event][hook], hook_points[hook], handler), 0, 0);
            }
        }
}

static void clear_hook(mctx_t m, int sock, int hook)
{
    for (int event = 0; event < BUILT_IN; event++) {
        mtcp_unregister_callback(m, sock, built_in[event], hook_points[hook]);
        mtcp_unregister_callback(m, sock, raised[event][hook], hook_points[hook]);
        mtcp_unregister_callback(m, sock, child[event][hook], hook_points[hook]);
    }
    WANT(mtcp_unregister_callback(m, sock, MOS_ON_PKT_IN, hook_points[hook]), -1, EINVAL);
}

static void set_timer(mctx_t m, int id)
{
    struct timeval delay;
    delay.tv_sec = 0;
    delay.tv_usec = 1000;
    WANT(mtcp_settimer(m, id, &delay, on_timer), 0, 0);
}

static int stop(mctx_t m, int sock, int side)
{
    return mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof side);
}

static void do_deed(mctx_t m, int sock, const struct entry *e)
{
    int active = e->flow <= D, hook = hook_points[e->hook];
    long refused = active ? 0 : -1;
    int code = e->flow == UDP ? ENOTSOCK : EPERM;
    struct filter_arg argument;
    int value;
    switch (now.deed) {
    case UNREGISTER_SELF:
        WANT(mtcp_unregister_callback(m, sock, event_of(e), hook), 0, 0);
        WANT(mtcp_unregister_callback(m, sock, event_of(e), hook), -1, EINVAL);
        break;
    case REGISTER_NULL_SELF:
        WANT(mtcp_register_callback(m, sock, event_of(e), hook, NULL), 0, 0);
        break;
    case REPLACE_SELF:
        WANT(mtcp_register_callback(m, sock, event_of(e), hook, handler_of(0, e->hook, 1)), 0, 0);
        break;
    case CLEAR_HOOK:
        clear_hook(m, sock, e->hook);
        break;
    case DEFINE_BELOW:
        value = 1000 + e->event * HOOKS + e->hook;
        argument.arg = &value;
        argument.len = sizeof value;
        added[e->event][e->hook] = mtcp_define_event(built_in[e->event], target_filter, &argument);
        value = 0;
        WANT(mtcp_register_callback(m, sock, added[e->event][e->hook], hook, handler_of(0, e->hook, 2)), 0, 0);
        break;
    case RAISE_AGAIN: {
        /* At the child and below it, else not; and nothing but its own. */
        int below = e->level == CHILD || e->level == RAISED;
        WANT(mtcp_raise_event(m, raised[e->event][e->hook]), below ? 0 : -1, EINVAL);
        WANT(mtcp_raise_event(m, raised[(e->event + 1) % BUILT_IN][e->hook]), -1, EINVAL);
        WANT(mtcp_raise_event(m, child[e->event][e->hook]), -1, EINVAL);
        break;
    }
    case STOP_CLIENT:
        WANT(stop(m, sock, MOS_SIDE_CLI), refused, code);
        break;
    case STOP_SERVER:
        WANT(stop(m, sock, MOS_SIDE_SVR), refused, code);
        break;
    case STOP_BOTH:
        WANT(stop(m, sock, MOS_SIDE_BOTH), refused, code);
        break;
    case STOP_TWICE:
        WANT(stop(m, sock, 3), -1, active ? EINVAL : code);
        WANT(mtcp_cb_stop(m, sock, MOS_SIDE_BOTH), refused, code);
        WANT(mtcp_cb_stop(m, sock, MOS_SIDE_CLI), refused, code);
        break;
    case CLOSE_SELF:
        WANT(mtcp_close(m, sock), 0, 0);
        if (!active)
            WANT(mtcp_close(m, sock), -1, EBADF);
        break;
    case CLOSE_LISTENER:
        WANT(mtcp_close(m, now.listener), 0, 0);
        WANT(mtcp_register_callback(m, now.listener, MOS_ON_PKT_IN, MOS_HK_SND, handler_of(0, AT_SEND, 0)), -1, EBADF);
        break;
    case REOPEN_LISTENER:
        WANT(mtcp_close(m, now.listener), 0, 0);
        now.second = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        if (now.second < 0 || now.second == now.listener)
            fail("mtcp_socket gave %d", now.second);
        register_all(m, now.second, 0, 1, 1, 0);
        break;
    case TIMER_NOTHING:
    case TIMER_STOP:
    case TIMER_CLOSE:
    case TIMER_CLEAR:
        set_timer(m, 777);
        break;
    case TIMER_AGAIN:
        for (int i = 0; i < 3; i++)
            set_timer(m, 777);
        break;
    default:
        break;
    }
}

static void on_timer(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    if (id != 777 || side != 0 || event != 0 || arg)
        fail("a timer is called with %d, %d, %llu", id, side, (unsigned long long)event);
    if (now.timer_calls++ == 0)
        now.timer_frame = now.frame;
    struct pkt_info info;
    WANT(mtcp_getlastpkt(m, now.raw, 0, &info), -1, EACCES);
    WANT(mtcp_raise_event(m, raised[0][AT_SEND]), -1, EINVAL);
    errno = 0;
    switch (now.deed) {
    case TIMER_STOP:
        now.timer_result = stop(m, now.sock, MOS_SIDE_BOTH);
        now.timer_code = errno;
        break;
    case TIMER_CLOSE:
        WANT(mtcp_close(m, now.listener), 0, 0);
        break;
    case TIMER_CLEAR:
        errno = 0;
        now.timer_result = mtcp_register_callback(m, now.sock, MOS_ON_PKT_OUT, hook_points[now.hook], handler_of(0, 0, 0));
        now.timer_code = errno;
        if (now.timer_result == 0)
            for (int hook = 0; hook < HOOKS; hook++)
                clear_hook(m, now.sock, hook);
        break;
    case TIMER_AGAIN:
        if (now.timer_calls < 9)
            set_timer(m, 777);
        break;
    default:
        break;
    }
}

static int flow_of(mctx_t m, int sock)
{
    struct sockaddr_in ends[2];
    socklen_t length = sizeof ends;
    memset(ends, 0, sizeof ends);
    if (mtcp_getpeername(m, sock, (struct sockaddr *)ends, &length, MOS_SIDE_BOTH) == 0)
        return ntohs(ends[0].sin_port) - 1000;
    return sock == now.raw ? UDP : STRAY;
}

static void note(int watcher, int hook, int hand, int is_filter, mctx_t m, int sock, int side, event_t event)
{
    struct record *r = watcher ? &now.watcher : &now.target;
    calls++;
    if (m != now.m || r->count == ENTRIES) {
        fail("called with a wrong context, or without end");
        return;
    }
    struct entry *e = &r->entries[r->count];
    memset(e, 0, sizeof *e);
    e->event = -1;
    for (int i = 0; i < BUILT_IN; i++)
        for (int h = 0; h < HOOKS; h++) {
            if (!is_legal(i, h) || (hook >= 0 && h != hook))
                continue;
            int level = event == built_in[i] ? (int)ROOT
                        : event == child[i][h] ? (int)CHILD
                        : event == raised[i][h] ? (int)RAISED
                        : event == added[i][h] ? (int)ADDED
                                               : -1;
            if (level < 0)
                continue;
            e->event = i;
            e->level = level;
            e->hook = h;
        }
    if (e->event < 0) {
        fail("called for event %llu", (unsigned long long)event);
        return;
    }
    e->flow = flow_of(m, sock);
    e->side = side;
    e->is_filter = is_filter;
    e->hand = hand;
    e->frame = now.frame;
    if (!watcher && e->level == ROOT)
        now.start = r->count;
    e->start = now.start;
    int here = r->count++;
    if (!watcher && here == now.place && !now.did) {
        now.did = 1;
        now.sock = sock;
        now.side = side;
        now.hook = e->hook;
        now.flow = e->flow;
        struct entry copy = *e;
        do_deed(m, sock, &copy);
    }
}

#define HANDLER(name, watcher, hook, hand)                                              \
    static void name(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)    \
    {                                                                                   \
        (void)arg;                                                                      \
        note(watcher, hook, hand, 0, m, sock, side, event);                             \
    }
HANDLER(target_null, 0, AT_NULL, 0)
HANDLER(target_send, 0, AT_SEND, 0)
HANDLER(target_receive, 0, AT_RECEIVE, 0)
HANDLER(other_null, 0, AT_NULL, 1)
HANDLER(other_send, 0, AT_SEND, 1)
HANDLER(other_receive, 0, AT_RECEIVE, 1)
HANDLER(added_null, 0, AT_NULL, 2)
HANDLER(added_send, 0, AT_SEND, 2)
HANDLER(added_receive, 0, AT_RECEIVE, 2)
HANDLER(watcher_null, 1, AT_NULL, 0)
HANDLER(watcher_send, 1, AT_SEND, 0)
HANDLER(watcher_receive, 1, AT_RECEIVE, 0)

static callback_t handler_of(int watcher, int hook, int hand)
{
    static const callback_t all[4][HOOKS] = {{target_null, target_send, target_receive},
                                             {other_null, other_send, other_receive},
                                             {added_null, added_send, added_receive},
                                             {watcher_null, watcher_send, watcher_receive}};
    return all[watcher ? 3 : hand][hook];
}

/* Of the children and of what deeds add; raises what is below the former. */
static bool target_filter(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    int value;
    if (arg->len != sizeof value) {
        fail("a filter's argument has %zu bytes", arg->len);
        return false;
    }
    memcpy(&value, arg->arg, sizeof value);
    int which = value % 1000;
    note(0, which % HOOKS, value >= 1000 ? 2 : 0, 1, m, sock, side, event);
    if (value < 1000)
        mtcp_raise_event(m, raised[which / HOOKS][which % HOOKS]);
    return true;
}

/* ---- One run ---- */

static int fill(struct mos_io_frame *frames, uint32_t max)
{
    static uint32_t next;
    uint32_t count = 0;
    if (next == trace_count) {
        next = 0;
        now.is_over = 1;
        now.frame++;
        return MOS_IO_END;
    }
    uint32_t burst = (uint32_t)now.burst < max ? (uint32_t)now.burst : max;
    while (count < burst && next < trace_count) {
        if (trace[next].flow == UDP)
            wire_udp(&frames[count], count, &trace[next].packet);
        else
            wire_frame(&frames[count], count, &trace[next].packet);
        next++;
        count++;
    }
    now.frame += (int)count;
    return (int)count;
}

static int make_listener(mctx_t m, int watcher)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    register_all(m, sock, watcher, !watcher, 0, 0);
    return sock;
}

static void play(int burst, int watched, int place, enum deed deed)
{
    now.burst = burst;
    now.watched = watched;
    now.place = place;
    now.deed = deed;
    now.target.count = now.watcher.count = 0;
    now.did = now.frame = now.start = now.timer_calls = now.timer_result = now.timer_code = now.is_over = 0;
    now.second = -1;
    memset(added, 0, sizeof added);
    now.m = wire_start(fill, "max_concurrency = 16\ntcp_timeout = 30\ntcp_tw_interval = 0");
    if (watched == 1)
        make_listener(now.m, 1);
    now.listener = make_listener(now.m, 0);
    if (watched == 2)
        make_listener(now.m, 1);
    now.raw = mtcp_socket(now.m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    /* Without any listener all packets are orphans. */
    register_all(now.m, now.raw, 0, 1, 0, watched ? 0 : MOS_ON_ORPHAN);
    mtcp_app_join(now.m);
    wire_stop(now.m);
    runs++;
    if (place >= 0 && !now.did)
        fail("it was never called");
    if (!now.is_over)
        fail("the trace was not read to its end");
}

/* ---- What has to come ---- */

static int is_same(const struct entry *a, const struct entry *b)
{
    return a->flow == b->flow && a->event == b->event && a->level == b->level && a->hook == b->hook &&
           a->side == b->side && a->is_filter == b->is_filter && a->hand == b->hand && a->frame == b->frame;
}

static void compare(const char *what, const struct record *got, const struct record *expected)
{
    int count = got->count < expected->count ? got->count : expected->count, at = 0;
    while (at < count && is_same(&got->entries[at], &expected->entries[at]))
        at++;
    if (at == got->count && at == expected->count)
        return;
    fail("the %s's call %d (of %d, expected %d) is wrong", what, at, got->count, expected->count);
    if (failures <= 20) {
        show("got", at < got->count ? &got->entries[at] : NULL);
        show("expected", at < expected->count ? &expected->entries[at] : NULL);
        if (at > 0)
            show("after", &got->entries[at - 1]);
    }
}

/* The first call for a flow. */
static int birth(const struct record *first, int flow)
{
    int at = 0;
    while (first->entries[at].flow != flow)
        at++;
    return at;
}

static void expect(const struct record *first, struct record *wanted)
{
    const struct entry *p = &first->entries[now.place];
    /* When C idles out there is time enough for a timer before the next packet. */
    int idles = p->flow == C && p->frame == after_gap;
    int is_active = p->flow <= D, fires = idles || p->frame < (int)trace_count;
    wanted->count = 0;
    for (int i = 0; i < first->count; i++) {
        struct entry e = first->entries[i];
        int later = i > now.place, next = later && e.start != p->start; /* a later dispatch */
        int after = fires && (e.frame > p->frame || (idles && e.frame == p->frame && e.flow != C)); /* after the timer */
        /* What begins later has what its listener has then. */
        int begins = e.flow <= D && birth(first, e.flow) > now.place && e.flow != p->flow;
        int own = e.flow == p->flow || (p->flow == STRAY && begins);
        int at_hook = own && e.hook == p->hook;
        int same = at_hook && e.event == p->event && e.level == p->level && !e.is_filter;
        int of_listener = e.flow != UDP;
        int keep = 1;
        switch (now.deed) {
        case UNREGISTER_SELF:
        case REGISTER_NULL_SELF:
            keep = !(next && same);
            break;
        case REPLACE_SELF:
            if (next && same)
                e.hand = 1;
            break;
        case CLEAR_HOOK:
            keep = !(next && at_hook);
            break;
        case STOP_CLIENT:
            keep = !(later && own && is_active && e.side == MOS_SIDE_CLI);
            break;
        case STOP_SERVER:
            keep = !(later && own && is_active && e.side == MOS_SIDE_SVR);
            break;
        case STOP_BOTH:
        case STOP_TWICE:
            keep = !(later && own && is_active);
            break;
        case CLOSE_SELF:
            keep = !(later && (p->flow == STRAY ? of_listener : own));
            break;
        case CLOSE_LISTENER:
            keep = !(later && of_listener);
            break;
        case REOPEN_LISTENER:
            /* What begins afterwards, and later orphans, are the other listener's. */
            if (later && of_listener) {
                keep = begins || (e.flow == STRAY && next);
                if (!e.is_filter)
                    e.hand = 1;
            }
            break;
        case TIMER_STOP:
            keep = !(after && own && is_active);
            break;
        case TIMER_CLOSE:
            keep = !(after && of_listener);
            break;
        case TIMER_CLEAR:
            keep = !(after && own);
            break;
        default:
            break;
        }
        if (keep)
            wanted->entries[wanted->count++] = e;
        int is_last = i + 1 == first->count || first->entries[i + 1].start != e.start;
        if (now.deed == DEFINE_BELOW && next && is_last && at_hook && e.event == p->event) {
            /* The youngest event of the tree comes last. */
            e.level = ADDED;
            e.hand = 2;
            e.is_filter = 1;
            wanted->entries[wanted->count++] = e;
            e.is_filter = 0;
            wanted->entries[wanted->count++] = e;
        }
    }

    /* And the timers. */
    int count = 0, waiting = now.deed == TIMER_AGAIN ? 3 : now.deed >= TIMER_NOTHING ? 1 : 0;
    for (int frame = p->frame + !idles; frame <= (int)trace_count; frame += frame != after_gap || waiting == 0) {
        int again = 0;
        for (; waiting > 0; waiting--)
            if (++count < 9 && now.deed == TIMER_AGAIN)
                again++;
        waiting = again;
    }
    if (now.timer_calls != count)
        fail("%d timers went off instead of %d", now.timer_calls, count);
    if (count && now.timer_frame != p->frame + !idles)
        fail("a timer went off at frame %d instead of %d", now.timer_frame, p->frame + !idles);
    if (count && (now.deed == TIMER_STOP || now.deed == TIMER_CLEAR)) {
        int lives = !is_active, code = p->flow == STRAY ? EPERM : ENOTSOCK;
        for (int i = now.place; i < first->count && !lives; i++)
            lives = first->entries[i].flow == p->flow && first->entries[i].frame > p->frame;
        int result = lives && (is_active || now.deed == TIMER_CLEAR) ? 0 : -1;
        want(now.timer_result, result, now.timer_code, lives ? code : EBADF, "what the timer did");
    }
}

static int is_in(const struct record *r, event_t root, int hook)
{
    for (int i = 0; i < r->count; i++)
        if (built_in[r->entries[i].event] == root && r->entries[i].hook == hook)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    static struct record first, first_watcher, wanted;
    int every = argc > 1 ? atoi(argv[1]) : 1, number = 0;
    int only = argc > 2 ? atoi(argv[2]) : -1;
    if (every < 1) {
        fprintf(stderr, "usage: handlers [every [deed]]\n");
        return 2;
    }
    make_trace();
    for (int event = 0; event < BUILT_IN; event++)
        for (int hook = 0; hook < HOOKS; hook++)
            if (is_legal(event, hook)) {
                int value = event * HOOKS + hook;
                struct filter_arg argument = {&value, sizeof value};
                child[event][hook] = mtcp_define_event(built_in[event], target_filter, &argument);
                raised[event][hook] = mtcp_alloc_event(child[event][hook]);
            }
    for (int burst = 1; burst <= 64; burst *= 64)
        for (int watched = 0; watched < 3; watched++) {
            int before = failures, places = 0;
            unsigned long long calls_before = calls;
            play(burst, watched, -1, NOTHING);
            first = now.target;
            first_watcher = now.watcher;
            for (int event = 0; event < BUILT_IN; event++)
                for (int hook = 0; hook < HOOKS; hook++) {
                    /* REXMIT is not raised at the sender, PKT_IN at MOS_NULL only on raw sockets */
                    int raises = is_legal(event, hook) && !(built_in[event] == MOS_ON_REXMIT && hook == AT_SEND);
                    if (is_in(&first, built_in[event], hook) != raises)
                        fail("the trace has no %s at hook %d", event_name(event), hook);
                }
            /* All places when the target is alone, each fourth in the other kinds of run. */
            int first_place = burst == 1 && !watched ? 0 : (watched + (burst > 1)) % 4;
            int step = burst == 1 && !watched ? every : 4 * every;
            for (int place = first_place; place < first.count; place += step) {
                places++;
                for (int deed = NOTHING; deed < DEEDS; deed++) {
                    if ((only >= 0 && deed != only) || (burst > 1 && deed >= TIMER_NOTHING))
                        continue;
                    play(burst, watched, place, (enum deed)deed);
                    expect(&first, &wanted);
                    compare("target", &now.target, &wanted);
                    compare("watcher", &now.watcher, &first_watcher);
                }
            }
            printf("%sok %d - bursts of %d, %s: %d places, %llu calls\n", failures > before ? "not " : "", ++number,
                   burst,
                   watched == 0   ? "alone"
                   : watched == 1 ? "with a watcher before"
                                  : "with a watcher behind",
                   places, calls - calls_before);
            fflush(stdout);
        }
    printf("# %llu runs\n", runs);
    return failures != 0;
}
