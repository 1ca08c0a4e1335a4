/* (Under a sanitizer: 1 1500 300.)
 * Random trees of events, random registrations and removals on thousands of
 * live flows, against a model that keeps a list for each flow.
 *
 * The model follows the words of the manual pages and knows nothing of event
 * sets. For each burst it writes a plan: every call of a filter or handler that
 * has to come, in order, with what is to be done in it (register, remove, raise,
 * stop, close, define, set timers) and what each of these has to answer. The
 * filters and handlers compare themselves with the plan and do what it says.
 * After each change and each burst the number of event sets has to be that of
 * the distinct non-empty lists; no planned call may be missing after a burst.
 *
 * Changes from another thread happen between two bursts: the source gives no
 * frames while one is under way, so it is known before which burst it came.
 *
 * model [seed [packets [flows]]]: one run of each kind; the seed of a run that
 * fails is printed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOOKS = 3, HANDLERS = 6, FILTERS = 4, BUILT_IN = 12, EVENTS_MAX = 4096, LISTENERS_MAX = 5 };

static const int hook_points[HOOKS] = {MOS_NULL, MOS_HK_SND, MOS_HK_RCV};
enum { AT_NULL, AT_SEND, AT_RECEIVE };

/* What one run is. */
struct kind {
    const char *name;
    int listeners;  /* at the beginning; with 1 there are never more */
    int burst;      /* frames at most in one */
    int events;     /* user-defined ones at the beginning */
    int share;      /* percent of changes that are one of a few that all flows make */
    int thread;     /* another thread changes things, too */
    int flows_of;   /* this share of the flows wanted, in percent */
};

static const struct kind kinds[] = {
    {"one listener, single packets", 1, 1, 60, 30, 0, 100},
    {"one listener, bursts, another thread", 1, 64, 60, 30, 1, 100},
    {"several listeners, single packets, another thread", 4, 1, 60, 30, 1, 60},
    {"several listeners, bursts", 3, 64, 100, 10, 0, 30},
    {"few events, much sharing", 2, 16, 6, 90, 1, 100},
    {"many events on few flows", 2, 8, 150, 0, 1, 1},
    {"one flow at a time, bursts", 2, 64, 40, 10, 0, 0},
};

/* ---- What a run knows ---- */

struct pair {
    int event, handler;
};

struct list {
    int count, room;
    struct pair *pairs; /* in the order of registration */
    struct distinct *key;
};

struct event {
    event_t id; /* 0: planned, not yet made */
    int parent, filter, allocated;
    uint32_t root; /* one bit */
    uint64_t value;
    uint32_t size;
};

struct sock {
    int in_use, id, listener, flow;
    int stopped[2], closed, gone, next_free;
    struct list lists[HOOKS];
};

enum phase { FRESH, SYN_SEEN, ANSWERED, OPEN, FIRST_FIN, SECOND_FIN };

struct flow {
    enum phase phase;
    uint32_t number, next[2], last_length;
    int socks[LISTENERS_MAX], sock_count;
    int data_left, closer, last_side, queued[2];
};

/* The distinct lists, by their contents. */
struct distinct {
    struct distinct *next;
    uint64_t hash;
    int count, users;
    struct pair pairs[1];
};

enum deed_kind { REGISTER, REMOVE, RAISE, STOP, CLOSE, DEFINE, LISTEN, SET_TIMER };

struct deed {
    enum deed_kind kind;
    int sock, hook, handler, side, result, code;
    int event;      /* index, or -1: `raw` */
    event_t raw;
    uint32_t delay; /* ms */
    int sets;       /* event sets that there are after it */
};

enum { FILTER_CALL, HANDLER_CALL, TIMER_CALL };

struct step {
    int kind, sock, side, event, number, result, first_deed, deeds;
};

struct timer {
    uint64_t deadline;
    uint64_t order;
    int id;
};

#define DISTINCT_SLOTS 65536

static struct {
    const struct kind *kind;
    uint64_t seed, random;
    mctx_t m;
    uint64_t now, packet, packets;
    int flows_wanted;

    struct event events[EVENTS_MAX];
    int event_count;
    event_t highest_id;
    int shared_events[EVENTS_MAX]; /* made, for the other thread to choose from */
    int shared_count;

    struct sock *socks;
    int sock_count, free_sock;
    int *by_id;
    int id_room;
    int *dying;
    int dying_count, dying_room;
    int listeners[LISTENERS_MAX + 1], listener_count;

    struct flow *flows;
    int flow_count, passing_count;
    uint32_t next_number;

    struct distinct *distinct[DISTINCT_SLOTS];
    int distinct_count, distinct_most;

    struct timer timers[256];
    int timer_count;
    uint64_t timers_set;

    struct step *steps;
    int step_count, step_room, step_at;
    struct deed *deeds;
    int deed_count, deed_room;

    struct {
        int flow, side;
    } new_data[128];
    int new_data_count;

    uint64_t calls, changes, raises, stops, closes, thread_changes, ended;
} run;

/* The dispatch that is being planned. */
static struct {
    int sock, hook, side, cut, active;
    struct pair pairs[EVENTS_MAX];
    int pair_count;
    int relevant[EVENTS_MAX], relevant_count;
    int path[EVENTS_MAX], path_count;
    int raised[EVENTS_MAX], raised_count;
} d;

static uint64_t any(uint64_t below)
{
    /* xorshift64*, Vigna */
    run.random ^= run.random >> 12;
    run.random ^= run.random << 25;
    run.random ^= run.random >> 27;
    return (run.random * 0x2545f4914f6cdd1dull >> 20) % below;
}

static int chance(uint64_t percent)
{
    return any(100) < percent;
}

static unsigned long long shown_id(int event)
{
    return event >= 0 ? (unsigned long long)run.events[event].id : 0;
}

/* The calls before and behind the one that failed, and what the other thread did last. */
static void show_thread(void);
static void show_plan(void)
{
    static const char *const kinds_of_call[] = {"filter", "handler", "timer"};
    static const char *const kinds_of_deed[] = {"register", "remove", "raise", "stop", "close", "define", "listen",
                                                "timer"};
    for (int i = run.step_at > 12 ? run.step_at - 12 : 0; i < run.step_count && i < run.step_at + 5; i++) {
        const struct step *s = &run.steps[i];
        const struct event *e = s->event >= 0 ? &run.events[s->event] : NULL;
        printf("# %d: %s %d, event %llu of 0x%x below %llu, socket %d, side %d, result %d\n", i,
               kinds_of_call[s->kind], s->number, shown_id(s->event), e ? e->root : 0, e ? shown_id(e->parent) : 0,
               s->sock >= 0 ? run.socks[s->sock].id : -1, s->side, s->result);
        for (int j = 0; j < s->deeds; j++) {
            const struct deed *deed = &run.deeds[s->first_deed + j];
            printf("#     %s: socket %d, event %llu, hook %d, handler %d, side %d: %d, %s\n",
                   kinds_of_deed[deed->kind], deed->sock >= 0 ? run.socks[deed->sock].id : -1,
                   shown_id(deed->event), deed->hook, deed->handler, deed->side, deed->result, strerror(deed->code));
        }
    }
    show_thread();
}

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
    va_list list;
    printf("not ok %d - %s: seed %llu, packet %llu, call %d of %d: ", (int)(run.kind - kinds) + 1, run.kind->name,
           (unsigned long long)run.seed, (unsigned long long)run.packet, run.step_at, run.step_count);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    show_plan();
    fflush(stdout);
    _exit(1);
}

static void *grown(void *old, int *room, int count, size_t size)
{
    if (count < *room)
        return old;
    *room = *room ? *room * 2 : 64;
    void *made = realloc(old, (size_t)*room * size);
    if (!made)
        abort();
    return made;
}

/* ---- Lists, and the distinct ones among them ---- */

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = (const struct pair *)a, *y = (const struct pair *)b;
    return x->event != y->event ? (x->event > y->event) - (x->event < y->event) : x->handler - y->handler;
}

static void forget(struct distinct *key)
{
    if (!key || --key->users > 0)
        return;
    struct distinct **at = &run.distinct[key->hash % DISTINCT_SLOTS];
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    free(key);
    run.distinct_count--;
}

static void note(struct list *list)
{
    static struct pair sorted[EVENTS_MAX];
    struct distinct *old = list->key, *found = NULL;
    if (list->count > 0) {
        uint64_t hash = 14695981039346656037ull;
        memcpy(sorted, list->pairs, (size_t)list->count * sizeof *sorted);
        qsort(sorted, (size_t)list->count, sizeof *sorted, compare_pairs);
        for (int i = 0; i < list->count; i++)
            hash = (hash ^ (uint64_t)sorted[i].event * 31 ^ (uint64_t)sorted[i].handler << 20) * 1099511628211ull;
        hash ^= hash >> 32;
        for (found = run.distinct[hash % DISTINCT_SLOTS]; found; found = found->next)
            if (found->count == list->count &&
                memcmp(found->pairs, sorted, (size_t)list->count * sizeof *sorted) == 0)
                break;
        if (!found) {
            found = (struct distinct *)malloc(sizeof *found + (size_t)list->count * sizeof *sorted);
            if (!found)
                abort();
            found->hash = hash;
            found->count = list->count;
            found->users = 0;
            memcpy(found->pairs, sorted, (size_t)list->count * sizeof *sorted);
            found->next = run.distinct[hash % DISTINCT_SLOTS];
            run.distinct[hash % DISTINCT_SLOTS] = found;
            if (++run.distinct_count > run.distinct_most)
                run.distinct_most = run.distinct_count;
        }
        found->users++;
    }
    list->key = found;
    forget(old);
}

static int place_of(const struct list *list, int event)
{
    for (int i = 0; i < list->count; i++)
        if (list->pairs[i].event == event)
            return i;
    return -1;
}

static void list_set(struct list *list, int event, int handler)
{
    int at = place_of(list, event);
    if (at < 0) {
        list->pairs = (struct pair *)grown(list->pairs, &list->room, list->count, sizeof *list->pairs);
        at = list->count++;
    }
    list->pairs[at].event = event;
    list->pairs[at].handler = handler;
    note(list);
}

static void list_remove(struct list *list, int at)
{
    list->count--;
    memmove(&list->pairs[at], &list->pairs[at + 1], (size_t)(list->count - at) * sizeof *list->pairs);
    note(list);
}

static void list_copy(struct list *to, const struct list *from)
{
    while (to->room < from->count)
        to->pairs = (struct pair *)grown(to->pairs, &to->room, to->room, sizeof *to->pairs);
    to->count = from->count;
    if (from->count)
        memcpy(to->pairs, from->pairs, (size_t)from->count * sizeof *from->pairs);
    note(to);
}

/* ---- Events ---- */

static int is_refused(uint32_t root, int hook)
{
    const uint32_t not_at_null = MOS_ON_CONN_START | MOS_ON_REXMIT | MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END;
    const uint32_t only_at_null = MOS_ON_CONN_NEW_DATA | MOS_ON_ORPHAN | MOS_ON_ERROR;
    return (root & (hook == AT_NULL ? not_at_null : only_at_null)) != 0;
}

static event_t id_of(const struct deed *deed)
{
    return deed->event >= 0 ? run.events[deed->event].id : deed->raw;
}

static void argument_bytes(const struct event *e, uint8_t bytes[24])
{
    for (uint32_t i = 0; i < e->size; i++)
        bytes[i] = (uint8_t)(e->value >> i % 8 * 8 ^ i / 8);
}

static int same_definition(const struct event *a, const struct event *b)
{
    uint8_t x[24], y[24];
    if (a->parent != b->parent || a->filter != b->filter || a->allocated || b->allocated || a->size != b->size)
        return 0;
    argument_bytes(a, x);
    argument_bytes(b, y);
    return a->size == 0 || memcmp(x, y, a->size) == 0;
}

/* A new event in the model: its index, or that of an equal one. */
static int plan_event(int parent, int allocated)
{
    struct event e;
    memset(&e, 0, sizeof e);
    e.parent = parent;
    e.allocated = allocated;
    e.filter = allocated ? -1 : (int)any(FILTERS);
    e.root = run.events[parent].root;
    if (!allocated) {
        static const uint32_t sizes[] = {0, 1, 8, 8, 8, 16, 17, 24};
        e.size = sizes[any(8)];
        e.value = any(1u << 30);
    }
    for (int i = BUILT_IN; i < run.event_count; i++)
        if (same_definition(&run.events[i], &e))
            return i;
    run.events[run.event_count] = e;
    return run.event_count++;
}

static filter_t filter_of(int number);
static callback_t handler_of(int number);

/* Makes the real one; -1 and a message in the plan's terms if it is not right. */
static void make_event(int index)
{
    struct event *e = &run.events[index];
    event_t parent = run.events[e->parent].id, made;
    if (e->allocated) {
        made = mtcp_alloc_event(parent);
    } else {
        uint8_t bytes[24];
        struct filter_arg argument = {bytes, e->size};
        argument_bytes(e, bytes);
        made = mtcp_define_event(parent, filter_of(e->filter), e->size || any(2) ? &argument : NULL);
        memset(bytes, 0xee, sizeof bytes); /* it has its copy */
    }
    if (e->id) {
        if (made != e->id)
            fail("defined again, event %llu is %llu", (unsigned long long)e->id, (unsigned long long)made);
        return;
    }
    if (made < 4096 || made <= run.highest_id)
        fail("a new event has the id %llu, after %llu", (unsigned long long)made, (unsigned long long)run.highest_id);
    e->id = made;
    run.highest_id = made;
}

static int any_event(uint32_t unwanted_roots)
{
    for (int tries = 0; tries < 64; tries++) {
        int index = chance(20) ? (int)any(BUILT_IN) : (int)any((uint64_t)run.event_count);
        /* built-in ones that are raised more often than others */
        if (run.events[index].id && !(run.events[index].root & unwanted_roots))
            return index;
    }
    return 0;
}

static int any_parent(void)
{
    static const int good[] = {0, 0, 0, 2, 4, 4, 7, 8, 9, 10}; /* bits of events that are raised */
    for (;;) {
        int index = chance(25) ? good[any(sizeof good / sizeof *good)] : (int)any((uint64_t)run.event_count);
        if (run.events[index].id)
            return index;
    }
}

/* ---- Sockets ---- */

static int new_sock(void)
{
    int s;
    if (run.free_sock >= 0) {
        s = run.free_sock;
        run.free_sock = run.socks[s].next_free;
    } else {
        if (run.sock_count == 32768)
            abort();
        s = run.sock_count++;
    }
    struct sock *k = &run.socks[s];
    struct list kept[HOOKS];
    memcpy(kept, k->lists, sizeof kept);
    memset(k, 0, sizeof *k);
    for (int hook = 0; hook < HOOKS; hook++) {
        kept[hook].count = 0;
        kept[hook].key = NULL;
    }
    memcpy(k->lists, kept, sizeof kept);
    k->in_use = 1;
    k->id = k->listener = k->flow = -1;
    return s;
}

/* Its lists go at once, the rest after the burst: the plan still speaks of it. */
static void drop_sock(int s)
{
    struct sock *k = &run.socks[s];
    if (k->gone)
        return;
    k->gone = 1;
    for (int hook = 0; hook < HOOKS; hook++) {
        k->lists[hook].count = 0;
        note(&k->lists[hook]);
    }
    run.dying = (int *)grown(run.dying, &run.dying_room, run.dying_count, sizeof *run.dying);
    run.dying[run.dying_count++] = s;
}

static void bury(void)
{
    for (int i = 0; i < run.dying_count; i++) {
        struct sock *k = &run.socks[run.dying[i]];
        if (k->id >= 0 && run.by_id[k->id] == run.dying[i])
            __atomic_store_n(&run.by_id[k->id], -1, __ATOMIC_RELAXED);
        k->in_use = 0;
        k->next_free = run.free_sock;
        run.free_sock = run.dying[i];
    }
    run.dying_count = 0;
}

static void bind_sock(int s, int id)
{
    struct sock *k = &run.socks[s];
    if (id < 0 || id >= run.id_room)
        fail("a socket has the id %d", id);
    if (run.by_id[id] >= 0 && !run.socks[run.by_id[id]].gone)
        fail("the id %d of a live socket is given to another", id);
    k->id = id;
    __atomic_store_n(&run.by_id[id], s, __ATOMIC_RELAXED);
}

static void release_listener(int s)
{
    int at = 0;
    while (run.listeners[at] != s)
        at++;
    run.listener_count--;
    memmove(&run.listeners[at], &run.listeners[at + 1], (size_t)(run.listener_count - at) * sizeof *run.listeners);
    drop_sock(s);
}

static int open_listeners(void)
{
    int count = 0;
    for (int i = 0; i < run.listener_count; i++)
        count += !run.socks[run.listeners[i]].closed;
    return count;
}

static int is_stopped(int s)
{
    return run.socks[s].stopped[0] && run.socks[s].stopped[1];
}

/* What the stack does after handlers stopped or closed something. */
static void settle(int between_bursts)
{
    for (int i = 0; i < run.flow_count; i++) {
        struct flow *f = &run.flows[i];
        int kept = 0;
        for (int j = 0; j < f->sock_count; j++)
            if (is_stopped(f->socks[j]))
                drop_sock(f->socks[j]);
            else
                f->socks[kept++] = f->socks[j];
        f->sock_count = kept;
    }
    for (int i = run.listener_count - 1; between_bursts && i >= 0; i--)
        if (run.socks[run.listeners[i]].closed)
            release_listener(run.listeners[i]);
}

static int unsettled; /* something was stopped or closed */
static int is_quiet;  /* handlers do nothing any more */

static void settle_if(int between_bursts)
{
    if (unsettled)
        settle(between_bursts);
    if (between_bursts)
        unsettled = 0;
}

/* ---- What calls answer, in the model ---- */

static int model_change(int s, int event, event_t raw, int hook, int handler, int *code)
{
    struct sock *k = &run.socks[s];
    (void)raw;
    if (k->closed && k->listener < 0) {
        *code = EBADF;
        return -1;
    }
    *code = EINVAL;
    if (hook < 0 || hook >= HOOKS || event < 0 || is_refused(run.events[event].root, hook))
        return -1;
    struct list *list = &k->lists[hook];
    int at = place_of(list, event);
    if (handler < 0) {
        if (at < 0)
            return -1;
        list_remove(list, at);
    } else {
        list_set(list, event, handler);
    }
    run.changes++;
    *code = 0;
    return 0;
}

static int model_stop(int s, int side, int *code)
{
    struct sock *k = &run.socks[s];
    if (k->listener < 0) {
        *code = k->closed ? EBADF : EPERM;
        return -1;
    }
    *code = EINVAL;
    if (side < 0 || side > MOS_SIDE_BOTH)
        return -1;
    if (side != MOS_SIDE_SVR)
        k->stopped[0] = 1;
    if (side != MOS_SIDE_CLI)
        k->stopped[1] = 1;
    if (d.active && d.sock == s && (side == MOS_SIDE_BOTH || side == d.side))
        d.cut = 1;
    unsettled = 1;
    run.stops++;
    *code = 0;
    return 0;
}

static int model_close(int s, int *code)
{
    struct sock *k = &run.socks[s];
    if (k->listener >= 0)
        return model_stop(s, MOS_SIDE_BOTH, code);
    if (k->closed) {
        *code = EBADF;
        return -1;
    }
    k->closed = 1;
    for (int i = 0; i < run.sock_count; i++)
        if (run.socks[i].in_use && !run.socks[i].gone && run.socks[i].listener == s)
            model_stop(i, MOS_SIDE_BOTH, code);
    if (d.active && d.sock == s)
        d.cut = 1;
    if (!d.active)
        release_listener(s);
    unsettled = 1;
    run.closes++;
    *code = 0;
    return 0;
}

static int is_on_path(int event)
{
    for (int i = 0; i < d.path_count; i++)
        if (d.path[i] == event)
            return 1;
    return 0;
}

static int is_relevant(int event)
{
    for (int i = 0; i < d.relevant_count; i++)
        if (d.relevant[i] == event)
            return 1;
    return 0;
}

static int model_raise(int event, int *code)
{
    *code = EINVAL;
    if (!d.active || event < 0 || !run.events[event].allocated || !is_on_path(run.events[event].parent) ||
        !is_relevant(event))
        return -1;
    *code = 0;
    for (int i = 0; i < d.raised_count; i++)
        if (d.raised[i] == event)
            return 0;
    d.raised[d.raised_count++] = event;
    run.raises++;
    return 0;
}

/* ---- Planning what a call does ---- */

static struct deed *add_deed(enum deed_kind kind)
{
    run.deeds = (struct deed *)grown(run.deeds, &run.deed_room, run.deed_count, sizeof *run.deeds);
    struct deed *deed = &run.deeds[run.deed_count++];
    memset(deed, 0, sizeof *deed);
    deed->kind = kind;
    deed->event = -1;
    return deed;
}

/* A socket that can be named: its id is known. */
static int any_sock(int own)
{
    if (own >= 0 && chance(70))
        return own;
    if (chance(4)) {
        int s = run.listeners[any((uint64_t)run.listener_count)];
        return run.socks[s].id >= 0 ? s : own;
    }
    for (int tries = 0; tries < 8; tries++) {
        int s = (int)any((uint64_t)run.sock_count);
        if (run.socks[s].in_use && !run.socks[s].gone && run.socks[s].id >= 0)
            return s;
    }
    return own;
}

static const event_t impossible[] = {0, 3, 0x1000000, 4095, 0xc00, 1ull << 40, UINT64_MAX, 0x30000000};

static void plan_change(int own)
{
    int s = any_sock(own);
    if (s < 0)
        return;
    struct sock *k = &run.socks[s];
    int hook = s == d.sock && d.active && chance(60) ? d.hook : (int)any(HOOKS);
    int removes = chance(k->lists[hook].count > 12 ? 60 : 30);
    struct deed *deed = add_deed(removes ? REMOVE : REGISTER);
    deed->sock = s;
    deed->hook = hook;
    deed->handler = removes ? -1 : (int)any(HANDLERS);
    if (chance(2)) {
        deed->raw = impossible[any(sizeof impossible / sizeof *impossible)];
    } else if (chance(1)) {
        deed->hook = HOOKS; /* no such hook */
        deed->event = 0;
    } else if (removes && k->lists[hook].count && chance(90)) {
        deed->event = k->lists[hook].pairs[any((uint64_t)k->lists[hook].count)].event;
    } else if (!removes && chance((uint64_t)run.kind->share)) {
        /* what many flows do alike */
        deed->event = BUILT_IN + (int)any(4);
        deed->handler = deed->event % HANDLERS;
        if (is_refused(run.events[deed->event].root, hook))
            deed->hook = hook = hook == AT_NULL ? AT_SEND : AT_NULL;
    } else {
        uint32_t unwanted = chance(95) && hook == AT_NULL ? MOS_ON_CONN_START | MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END
                                                          : 0;
        deed->event = any_event(unwanted);
        if (!run.events[deed->event].id)
            deed->event = 0;
    }
    /* So that each socket makes itself known at once. */
    if (removes && k->listener < 0 && hook == AT_SEND && deed->event == 2)
        deed->event = 11;
    deed->result = model_change(s, deed->event, deed->raw, deed->hook, deed->handler, &deed->code);
    deed->sets = run.distinct_count;
}

static void plan_raise(void)
{
    int event = -1;
    for (int tries = 0; tries < 24; tries++) {
        int index = chance(50) && d.active && d.pair_count ? d.pairs[any((uint64_t)d.pair_count)].event
                                                           : (int)any((uint64_t)run.event_count);
        if (!run.events[index].id)
            continue;
        event = index;
        if (run.events[index].allocated && (tries > 12 || is_on_path(run.events[index].parent)))
            break;
    }
    struct deed *deed = add_deed(RAISE);
    deed->event = event;
    if (chance(2)) {
        deed->event = -1;
        deed->raw = impossible[any(sizeof impossible / sizeof *impossible)];
    }
    deed->result = model_raise(deed->event, &deed->code);
}

static void plan_stop(int own)
{
    int s = any_sock(own);
    if (s < 0)
        return;
    if (chance(30)) {
        struct deed *deed = add_deed(CLOSE);
        if (run.socks[s].listener < 0 && (open_listeners() < 2 || !chance(10))) {
            run.deed_count--;
            return;
        }
        deed->sock = s;
        deed->result = model_close(s, &deed->code);
        return;
    }
    struct deed *deed = add_deed(STOP);
    static const int sides[] = {MOS_SIDE_CLI, MOS_SIDE_SVR, MOS_SIDE_BOTH, MOS_SIDE_CLI, MOS_SIDE_SVR, 3, -1};
    deed->sock = s;
    deed->side = sides[any(sizeof sides / sizeof *sides)];
    deed->result = model_stop(s, deed->side, &deed->code);
}

static void plan_listen(void)
{
    if (run.kind->listeners < 2 || run.listener_count >= LISTENERS_MAX)
        return;
    int s = new_sock();
    struct deed *deed = add_deed(LISTEN);
    deed->sock = s;
    deed->handler = (int)any(HANDLERS);
    run.listeners[run.listener_count++] = s;
    list_set(&run.socks[s].lists[AT_SEND], 2, deed->handler);
}

static void plan_timer(void)
{
    if (run.timer_count == 200)
        return;
    struct deed *deed = add_deed(SET_TIMER);
    deed->delay = (uint32_t)any(40) + 1;
    deed->handler = (int)run.timers_set;
    struct timer *t = &run.timers[run.timer_count++];
    t->deadline = run.now + deed->delay * 1000000ull;
    t->order = run.timers_set++;
    t->id = deed->handler;
}

static void plan_deeds(int step, int own)
{
    int first = run.deed_count;
    if (!is_quiet && chance(22)) {
        int count = 1 + (int)any(3);
        for (int i = 0; i < count; i++) {
            uint64_t what = any(1000);
            if (what < 420)
                plan_raise();
            else if (what < 930)
                plan_change(own);
            else if (what < 960)
                plan_stop(own);
            else if (what < 967 && run.kind->events > 10 && run.event_count < EVENTS_MAX - 64) {
                struct deed *deed = add_deed(DEFINE);
                deed->event = plan_event(any_parent(), chance(45));
            } else if (what < 972)
                plan_listen();
            else if (what < 985)
                plan_timer();
        }
    }
    run.steps[step].first_deed = first;
    run.steps[step].deeds = run.deed_count - first;
}

static int add_step(int kind, int sock, int side, int event, int number)
{
    run.steps = (struct step *)grown(run.steps, &run.step_room, run.step_count, sizeof *run.steps);
    struct step *step = &run.steps[run.step_count];
    memset(step, 0, sizeof *step);
    step->kind = kind;
    step->sock = sock;
    step->side = side;
    step->event = event;
    step->number = number;
    return run.step_count++;
}

/* ---- Dispatch, in the model ---- */

static int compare_events(const void *a, const void *b)
{
    event_t x = run.events[*(const int *)a].id, y = run.events[*(const int *)b].id;
    return (x > y) - (x < y);
}

static void run_node(int event)
{
    int path = d.path_count, mark = d.raised_count, i;
    d.path[d.path_count++] = event;
    const struct event *e = &run.events[event];
    if (e->filter >= 0) {
        int step = add_step(FILTER_CALL, d.sock, d.side, event, e->filter);
        run.steps[step].result = chance(65);
        plan_deeds(step, d.sock);
        if (d.cut)
            return;
        if (!run.steps[step].result) {
            d.raised_count = mark;
            d.path_count = path;
            return;
        }
    }
    for (i = 0; i < d.pair_count; i++)
        if (d.pairs[i].event == event) {
            int step = add_step(HANDLER_CALL, d.sock, d.side, event, d.pairs[i].handler);
            plan_deeds(step, d.sock);
            if (d.cut)
                return;
        }
    int end = d.raised_count;
    for (i = 0; i < d.relevant_count && !d.cut; i++)
        if (run.events[d.relevant[i]].parent == event && !run.events[d.relevant[i]].allocated)
            run_node(d.relevant[i]);
    for (i = mark; i < end && !d.cut; i++)
        run_node(d.raised[i]);
    d.path_count = path;
}

static void dispatch(int s, uint32_t root, int hook, int side)
{
    const struct list *list = &run.socks[s].lists[hook];
    int top = __builtin_ctz(root);
    d.pair_count = list->count;
    if (list->count)
        memcpy(d.pairs, list->pairs, (size_t)list->count * sizeof *d.pairs);
    d.relevant_count = 0;
    for (int i = 0; i < list->count; i++)
        for (int e = list->pairs[i].event; e >= 0 && !is_relevant(e); e = run.events[e].parent)
            d.relevant[d.relevant_count++] = e;
    if (!is_relevant(top))
        return;
    qsort(d.relevant, (size_t)d.relevant_count, sizeof *d.relevant, compare_events);
    d.sock = s;
    d.hook = hook;
    d.side = side;
    d.cut = d.path_count = d.raised_count = 0;
    d.active = 1;
    run_node(top);
    d.active = 0;
}

static void raise_on_flow(int flow, uint32_t events, int hook, int side, int sender)
{
    for (uint32_t bit = 1; bit <= MOS_ON_DEBUG_MESSAGE; bit <<= 1) {
        if (!(events & bit))
            continue;
        for (int i = 0; i < run.flows[flow].sock_count; i++) {
            int count = run.flows[flow].sock_count;
            int s = run.flows[flow].socks[sender == 0 ? i : count - 1 - i];
            if (!run.socks[s].stopped[side])
                dispatch(s, bit, hook, side);
        }
    }
}

static void raise_orphan(void)
{
    int count = run.listener_count;
    for (int i = 0; i < count; i++) {
        int s = run.listeners[i];
        if (!run.socks[s].closed)
            dispatch(s, MOS_ON_ORPHAN, AT_NULL, MOS_SIDE_BOTH);
    }
}

/* ---- Flows ---- */

static void queue_new_data(int flow, int side)
{
    if (run.flows[flow].queued[side])
        return;
    run.flows[flow].queued[side] = 1;
    run.new_data[run.new_data_count].flow = flow;
    run.new_data[run.new_data_count].side = side;
    run.new_data_count++;
}

static void deliver_new_data(int flow, int side)
{
    if (!run.flows[flow].queued[side])
        return;
    run.flows[flow].queued[side] = 0;
    raise_on_flow(flow, MOS_ON_CONN_NEW_DATA, AT_NULL, side, 1 - side);
}

static void deliver_all_new_data(void)
{
    for (int i = 0; i < run.new_data_count; i++)
        if (run.new_data[i].flow >= 0)
            deliver_new_data(run.new_data[i].flow, run.new_data[i].side);
    run.new_data_count = 0;
}

static int new_flow(void)
{
    struct flow *f = &run.flows[run.flow_count];
    memset(f, 0, sizeof *f);
    f->number = run.next_number++;
    f->next[0] = (uint32_t)any(1ull << 32);
    f->next[1] = (uint32_t)any(1ull << 32);
    f->data_left = (int)any(12);
    f->closer = (int)any(2);
    return run.flow_count++;
}

static void end_flow(int flow, int receiver, int sender)
{
    const uint32_t last = MOS_ON_TCP_STATE_CHANGE | MOS_ON_CONN_END;
    struct flow *f = &run.flows[flow];
    /* What waits, in the order in which it came. */
    for (int i = 0; i < run.new_data_count; i++)
        if (run.new_data[i].flow == flow)
            deliver_new_data(flow, run.new_data[i].side);
    for (int i = 0; i < 2; i++) {
        int side = i == 0 ? receiver : 1 - receiver;
        raise_on_flow(flow, last, AT_RECEIVE, side, sender);
        raise_on_flow(flow, last, AT_SEND, side, sender);
    }
    for (int i = 0; i < f->sock_count; i++)
        drop_sock(f->socks[i]);
    run.ended++;
    /* The last one takes its place. */
    int moved = --run.flow_count;
    for (int i = 0; i < run.new_data_count; i++) {
        if (run.new_data[i].flow == flow)
            run.new_data[i].flow = -1;
        if (run.new_data[i].flow == moved)
            run.new_data[i].flow = flow;
    }
    run.flows[flow] = run.flows[moved];
}

static void describe(const struct flow *f, int side, struct wire_packet *p)
{
    uint32_t client = 0x0a000000u + f->number % 60000, server = 0xc0a80001u;
    uint16_t port = (uint16_t)(1024 + f->number / 60000);
    memset(p, 0, sizeof *p);
    p->source = side == 0 ? client : server;
    p->destination = side == 0 ? server : client;
    p->source_port = side == 0 ? port : 80;
    p->destination_port = side == 0 ? 80 : port;
    p->sequence = f->next[side];
    p->acknowledgement = f->next[1 - side];
    p->flags = ACK;
    p->time_ns = run.now;
}

/* The next packet of a flow: its frame, and the plan of what it raises. */
static void next_packet(int flow, struct mos_io_frame *frame, uint32_t at, int closing)
{
    const uint32_t in = MOS_ON_PKT_IN, start = MOS_ON_CONN_START, state = MOS_ON_TCP_STATE_CHANGE;
    struct flow *f = &run.flows[flow];
    struct wire_packet p;
    uint32_t send = in, receive = in, error = 0, again = 0;
    int side = 0, data = 0, ends = 0;

    if (f->phase == OPEN && (f->data_left == 0 || closing)) {
        side = f->closer;
        describe(f, side, &p);
        send |= state;
        receive |= state;
        if (chance(35)) {
            p.flags = RST | ACK;
            ends = 1;
        } else {
            p.flags = FIN | ACK;
            f->next[side]++;
            f->phase = FIRST_FIN;
        }
    } else {
        switch (f->phase) {
        case FRESH:
            describe(f, 0, &p);
            p.flags = SYN;
            p.acknowledgement = 0;
            f->next[0]++;
            f->phase = SYN_SEEN;
            send |= start | state;
            receive |= start | state;
            for (int i = 0; i < run.listener_count; i++) {
                int l = run.listeners[i];
                if (run.socks[l].closed)
                    continue;
                int s = new_sock();
                run.socks[s].listener = l;
                run.socks[s].flow = 1;
                for (int hook = 0; hook < HOOKS; hook++)
                    list_copy(&run.socks[s].lists[hook], &run.socks[l].lists[hook]);
                f->socks[f->sock_count++] = s;
            }
            break;
        case SYN_SEEN:
            side = 1;
            describe(f, 1, &p);
            p.flags = SYN | ACK;
            f->next[1]++;
            f->phase = ANSWERED;
            receive |= state;
            break;
        case ANSWERED:
            describe(f, 0, &p);
            f->phase = OPEN;
            receive |= state;
            break;
        case OPEN:
            f->data_left--;
            side = (int)any(2);
            describe(f, side, &p);
            if (chance(6)) { /* beyond the window */
                p.sequence += 1000000;
                p.length = 4;
                error = MOS_ON_ERROR;
            } else if (f->last_length && chance(15)) { /* the last data segment again */
                side = f->last_side;
                describe(f, side, &p);
                p.length = f->last_length;
                p.sequence -= p.length;
                again = MOS_ON_REXMIT;
            } else if (chance(85)) {
                p.length = (uint32_t)any(8) + 1;
                p.flags |= PSH;
                f->next[side] += p.length;
                f->last_length = p.length;
                f->last_side = side;
                data = 1;
            }
            break;
        case FIRST_FIN:
            side = 1 - f->closer;
            describe(f, side, &p);
            p.flags = FIN | ACK;
            f->next[side]++;
            f->phase = SECOND_FIN;
            send |= state;
            receive |= state;
            break;
        default:
            side = f->closer;
            describe(f, side, &p);
            receive |= state;
            ends = 1;
            break;
        }
    }
    wire_frame(frame, at, &p);
    raise_on_flow(flow, send, AT_SEND, side, side);
    raise_on_flow(flow, error, AT_NULL, 1 - side, side);
    raise_on_flow(flow, again, AT_RECEIVE, 1 - side, side);
    if (data)
        queue_new_data(flow, 1 - side);
    raise_on_flow(flow, receive, AT_RECEIVE, 1 - side, side);
    if (ends)
        end_flow(flow, 1 - side, side);
}

static void stray_packet(struct mos_io_frame *frame, uint32_t at)
{
    struct wire_packet p;
    memset(&p, 0, sizeof p);
    p.source = 0xac100000u + (uint32_t)any(65536);
    p.destination = 0xac110001u;
    p.source_port = 7;
    p.destination_port = 9;
    p.flags = chance(50) ? ACK : RST;
    p.time_ns = run.now;
    wire_frame(frame, at, &p);
    raise_orphan();
}

static void fire_timers(void)
{
    int due = 0;
    for (int i = 0; i < run.timer_count; i++)
        due |= run.timers[i].deadline <= run.now;
    if (!due)
        return;
    /* It came by the time of the packet before. */
    run.now -= 1000000;
    deliver_all_new_data();
    settle_if(0);
    run.now += 1000000;
    for (;;) {
        int first = -1;
        for (int i = 0; i < run.timer_count; i++) {
            const struct timer *t = &run.timers[i];
            if (t->deadline <= run.now &&
                (first < 0 || t->deadline < run.timers[first].deadline ||
                 (t->deadline == run.timers[first].deadline && t->order < run.timers[first].order)))
                first = i;
        }
        if (first < 0)
            break;
        int step = add_step(TIMER_CALL, -1, 0, -1, run.timers[first].id);
        run.timers[first] = run.timers[--run.timer_count];
        plan_deeds(step, -1);
    }
    settle_if(0);
}

/* ---- The other thread ---- */

struct request {
    enum deed_kind kind;
    int id, hook, handler, side, event, result, code;
    event_t raw;
};

#define REQUESTS 65536
static struct request requests[REQUESTS];
static uint64_t announced, answered, applied;
static int thread_ends, thread_ended;

/* Events that nobody uses, made while the stack thread makes its own. */
static void define_some(int number)
{
    char text[32];
    struct filter_arg argument = {text, sizeof text};
    memset(text, 0, sizeof text);
    snprintf(text, sizeof text, "%llu %d", (unsigned long long)run.seed, number);
    event_t made = mtcp_define_event(MOS_ON_PKT_IN, filter_of(0), &argument);
    event_t again = mtcp_define_event(MOS_ON_PKT_IN, filter_of(0), &argument);
    event_t raised = mtcp_alloc_event(made);
    if (made < 4096 || again != made || raised <= made)
        fail("events of another thread: %llu, again %llu, below it %llu", (unsigned long long)made,
             (unsigned long long)again, (unsigned long long)raised);
}

static void *meddle(void *unused)
{
    uint64_t random = run.seed * 77777 + 5;
    int defined = 0;
    (void)unused;
    while (!__atomic_load_n(&thread_ends, __ATOMIC_ACQUIRE)) {
        struct request *r = &requests[announced % REQUESTS];
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t x = random >> 33;
        if (announced - __atomic_load_n(&applied, __ATOMIC_ACQUIRE) >= REQUESTS / 2) {
            sched_yield();
            continue;
        }
        memset(r, 0, sizeof *r);
        r->id = (int)(x % (uint64_t)run.id_room);
        if (__atomic_load_n(&run.by_id[r->id], __ATOMIC_RELAXED) < 0)
            continue; /* most likely none */
        x /= (uint64_t)run.id_room;
        int known = __atomic_load_n(&run.shared_count, __ATOMIC_ACQUIRE);
        r->event = run.shared_events[x % (uint64_t)known];
        r->raw = run.events[r->event].id;
        r->hook = (int)((random >> 7) % HOOKS);
        r->handler = (int)((random >> 11) % HANDLERS);
        uint64_t what = (random >> 20) % 100;
        r->kind = what < 62 ? REGISTER : what < 97 ? REMOVE : what < 99 ? STOP : CLOSE;
        r->side = (int)((random >> 30) % 3);
        if (r->hook == AT_SEND && r->raw == MOS_ON_CONN_START)
            r->raw = MOS_ON_PKT_OUT, r->event = 1;
        __atomic_store_n(&announced, announced + 1, __ATOMIC_SEQ_CST);
        errno = 0;
        switch (r->kind) {
        case REGISTER:
            r->result = mtcp_register_callback(run.m, r->id, r->raw, hook_points[r->hook], handler_of(r->handler));
            break;
        case REMOVE:
            r->handler = -1;
            r->result = r->side ? mtcp_unregister_callback(run.m, r->id, r->raw, hook_points[r->hook])
                                : mtcp_register_callback(run.m, r->id, r->raw, hook_points[r->hook], NULL);
            break;
        case STOP:
            r->result = mtcp_setsockopt(run.m, r->id, SOL_MONSOCKET, MOS_STOP_MON, &r->side, sizeof r->side);
            break;
        default:
            /* Listeners are closed by handlers. */
            r->result = mtcp_cb_stop(run.m, r->id, MOS_SIDE_BOTH);
            r->side = MOS_SIDE_BOTH;
            r->kind = STOP;
            break;
        }
        r->code = r->result ? errno : 0;
        __atomic_store_n(&answered, answered + 1, __ATOMIC_SEQ_CST);
        if (random >> 60 == 0)
            usleep(100);
        else if (random >> 60 < 4)
            sched_yield();
        if (random >> 55 == 1 && defined < 1000)
            define_some(defined++);
    }
    __atomic_store_n(&thread_ended, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void show_thread(void)
{
    uint64_t last = __atomic_load_n(&announced, __ATOMIC_SEQ_CST);
    for (uint64_t i = last > 5 ? last - 5 : 0; i < last; i++) {
        const struct request *r = &requests[i % REQUESTS];
        printf("# other thread: %d, socket %d, event %llu, hook %d, handler %d, side %d: %d, %s%s\n", r->kind, r->id,
               (unsigned long long)r->raw, r->hook, r->handler, r->side, r->result, strerror(r->code),
               i >= applied ? ", not yet seen" : "");
    }
}

/* Whether nothing is under way. What was done is put into the model. */
static int catch_up(void)
{
    uint64_t asked = __atomic_load_n(&announced, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&answered, __ATOMIC_SEQ_CST) != asked)
        return 0;
    while (applied < asked) {
        struct request *r = &requests[applied % REQUESTS];
        int code = EBADF, result = -1, s = run.by_id[r->id];
        if (s >= 0 && run.socks[s].gone)
            s = -1;
        if (s >= 0 && r->kind == STOP)
            result = model_stop(s, r->side, &code);
        else if (s >= 0)
            result = model_change(s, r->event, r->raw, r->hook, r->handler, &code);
        if (result != r->result || code != r->code)
            fail("a call of another thread (%d) on socket %d, event %llu at hook %d, gave %d with %s, not %d with %s",
                 r->kind, r->id, (unsigned long long)r->raw, r->hook, r->result, strerror(r->code), result,
                 strerror(code));
        settle_if(1);
        run.thread_changes++;
        __atomic_store_n(&applied, applied + 1, __ATOMIC_RELEASE);
    }
    bury();
    return 1;
}

/* ---- The source: checks, then plans the next burst ---- */

static void share_events(void)
{
    /* in the order of being made */
    for (int i = run.shared_count; i < run.event_count; i++) {
        if (!run.events[i].id)
            return;
        run.shared_events[i] = i;
        __atomic_store_n(&run.shared_count, i + 1, __ATOMIC_RELEASE);
    }
}

static void check_counts(void)
{
    struct mos_stats stats;
    if (mos_get_stats(run.m, -1, &stats, sizeof stats) != 0)
        fail("mos_get_stats");
    if (stats.event_sets != (uint64_t)run.distinct_count)
        fail("%llu event sets instead of %d", (unsigned long long)stats.event_sets, run.distinct_count);
    if (stats.flows_now != (uint64_t)run.flow_count)
        fail("%llu flows instead of %d", (unsigned long long)stats.flows_now, run.flow_count);
    if (stats.timers != (uint64_t)run.timer_count)
        fail("%llu timers instead of %d", (unsigned long long)stats.timers, run.timer_count);
}

static int is_closing;

static int fill(struct mos_io_frame *frames, uint32_t max)
{
    if (run.step_at != run.step_count) {
        const struct step *s = &run.steps[run.step_at];
        fail("call missing: %s %d for event %llu on socket %d, side %d",
             s->kind == FILTER_CALL ? "filter" : s->kind == HANDLER_CALL ? "handler" : "timer", s->number,
             s->event >= 0 ? (unsigned long long)run.events[s->event].id : 0ull,
             s->sock >= 0 ? run.socks[s->sock].id : -1, s->side);
    }
    bury();
    if (run.kind->thread) {
        /* Sometimes it is given the time for a few changes. */
        static uint64_t wanted;
        uint64_t done = __atomic_load_n(&answered, __ATOMIC_SEQ_CST);
        if (wanted > done && !__atomic_load_n(&thread_ended, __ATOMIC_ACQUIRE) && done > 0)
            return 0;
        if (!catch_up())
            return 0;
        wanted = __atomic_load_n(&answered, __ATOMIC_SEQ_CST) + any(4);
        if (run.packet >= run.packets)
            __atomic_store_n(&thread_ends, 1, __ATOMIC_RELEASE);
    }
    share_events();
    check_counts();
    run.step_at = run.step_count = run.deed_count = run.new_data_count = 0;

    if (run.packet >= run.packets)
        is_closing = 1;
    if (is_closing && run.flow_count == 0) {
        if (run.kind->thread && !__atomic_load_n(&thread_ended, __ATOMIC_ACQUIRE))
            return 0;
        if (is_quiet)
            return MOS_IO_END;
        /* Only listeners have sets now; without them there are none. */
        while (run.listener_count) {
            int code, s = run.listeners[0];
            if (mtcp_close(run.m, run.socks[s].id) != 0)
                fail("mtcp_close: %s", strerror(errno));
            model_close(s, &code);
        }
        settle_if(1);
        is_quiet = 1;
        run.now += 1000000;
        fire_timers();
        stray_packet(&frames[0], 0);
        return 1;
    }
    uint32_t count = 1 + (uint32_t)any((uint64_t)run.kind->burst), made = 0;
    if (count > max)
        count = max;
    while (made < count && !(is_closing && run.flow_count == 0)) {
        run.now += 1000000;
        run.packet++;
        fire_timers();
        if (chance(2) && !is_closing) {
            stray_packet(&frames[made], made);
        } else {
            int wanted = run.flow_count < run.flows_wanted ? 45 : 2;
            int flow = !is_closing && (run.flow_count == 0 || (chance((uint64_t)wanted) && run.flow_count < run.flows_wanted))
                           ? new_flow()
                           : (int)any((uint64_t)run.flow_count);
            next_packet(flow, &frames[made], made, is_closing);
        }
        made++;
    }
    deliver_all_new_data();
    settle_if(1);
    return (int)made;
}

/* ---- The real calls ---- */

static void check_sets(int wanted)
{
    struct mos_stats stats;
    memset(&stats, 0, sizeof stats);
    if (mos_get_stats(run.m, -1, &stats, sizeof stats) != 0 || stats.event_sets != (uint64_t)wanted)
        fail("%llu event sets behind a change instead of %d", (unsigned long long)stats.event_sets, wanted);
}

static void do_deed(const struct deed *deed)
{
    int id = deed->kind == DEFINE || deed->kind == LISTEN || deed->kind == SET_TIMER || deed->kind == RAISE
                 ? -1
                 : run.socks[deed->sock].id;
    int hook = deed->hook < HOOKS ? hook_points[deed->hook] : 12345, result = 0;
    struct timeval delay;
    errno = 0;
    switch (deed->kind) {
    case REGISTER:
        result = mtcp_register_callback(run.m, id, id_of(deed), hook, handler_of(deed->handler));
        break;
    case REMOVE:
        result = mtcp_unregister_callback(run.m, id, id_of(deed), hook);
        break;
    case RAISE:
        result = mtcp_raise_event(run.m, id_of(deed));
        break;
    case STOP:
        result = mtcp_setsockopt(run.m, id, SOL_MONSOCKET, MOS_STOP_MON, &deed->side, sizeof deed->side);
        break;
    case CLOSE:
        result = mtcp_close(run.m, id);
        break;
    case DEFINE:
        make_event(deed->event);
        return;
    case LISTEN:
        id = mtcp_socket(run.m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        if (id < 0)
            fail("mtcp_socket: %s", strerror(errno));
        bind_sock(deed->sock, id);
        result = mtcp_register_callback(run.m, id, MOS_ON_CONN_START, MOS_HK_SND, handler_of(deed->handler));
        break;
    default:
        delay.tv_sec = 0;
        delay.tv_usec = (suseconds_t)deed->delay * 1000;
        /* A timer's id is found again in its call. */
        result = mtcp_settimer(run.m, deed->handler, &delay, handler_of(0));
        break;
    }
    int code = result ? errno : 0;
    if (result != deed->result || code != deed->code)
        fail("deed %d on socket %d, event %llu, hook %d, side %d gave %d with %s, not %d with %s", deed->kind, id,
             deed->kind == STOP || deed->kind == CLOSE ? 0ull : (unsigned long long)id_of(deed), deed->hook, deed->side,
             result, strerror(code), deed->result, strerror(deed->code));
    if (deed->kind == REGISTER || deed->kind == REMOVE)
        check_sets(deed->sets);
}

static int on_call(int kind, int number, mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    if (kind == HANDLER_CALL && !arg) {
        kind = TIMER_CALL;
        number = sock;
    }
    const char *what = kind == FILTER_CALL ? "filter" : kind == HANDLER_CALL ? "handler" : "timer";
    run.calls++;
    if (m != run.m)
        fail("another context");
    if (run.step_at >= run.step_count)
        fail("%s %d for event %llu on socket %d, side %d: not to be called", what, number, (unsigned long long)event,
             sock, side);
    struct step step = run.steps[run.step_at];
    event_t wanted = step.event >= 0 ? run.events[step.event].id : 0;
    if (step.sock >= 0 && run.socks[step.sock].id < 0)
        bind_sock(step.sock, sock);
    int wanted_sock = step.sock >= 0 ? run.socks[step.sock].id : step.number;
    if (kind != step.kind || number != step.number || sock != wanted_sock || side != step.side || event != wanted)
        fail("%s %d for event %llu on socket %d, side %d; expected %s %d for event %llu on socket %d, side %d", what,
             number, (unsigned long long)event, sock, side,
             step.kind == FILTER_CALL ? "filter" : step.kind == HANDLER_CALL ? "handler" : "timer", step.number,
             (unsigned long long)wanted, wanted_sock, step.side);
    if (kind != TIMER_CALL) {
        uint8_t bytes[24];
        const struct event *e = &run.events[step.event];
        argument_bytes(e, bytes);
        if (arg->len != e->size || (e->size ? memcmp(arg->arg, bytes, e->size) != 0 : arg->arg != NULL))
            fail("wrong argument for event %llu", (unsigned long long)event);
    }
    run.step_at++;
    for (int i = 0; i < step.deeds; i++)
        do_deed(&run.deeds[step.first_deed + i]);
    return step.result;
}

#define FILTER(n)                                                                                     \
    static bool filter_##n(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)            \
    {                                                                                                 \
        return on_call(FILTER_CALL, n, m, sock, side, event, arg) != 0;                               \
    }
#define HANDLER(n)                                                                                    \
    static void handler_##n(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)           \
    {                                                                                                 \
        on_call(HANDLER_CALL, n, m, sock, side, event, arg);                                          \
    }

FILTER(0)
FILTER(1)
FILTER(2)
FILTER(3)
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)

static filter_t filter_of(int number)
{
    static const filter_t all[FILTERS] = {filter_0, filter_1, filter_2, filter_3};
    return all[number];
}

static callback_t handler_of(int number)
{
    static const callback_t all[HANDLERS] = {handler_0, handler_1, handler_2, handler_3, handler_4, handler_5};
    return all[number];
}

/* ---- One run ---- */

static void play(const struct kind *kind, uint64_t seed, uint64_t packets, int flows)
{
    char items[128];
    pthread_t thread;
    event_t highest = run.highest_id;
    memset(&run, 0, sizeof run);
    run.kind = kind;
    run.seed = seed;
    run.random = seed * 0x9e3779b97f4a7c15ull + 1;
    run.packets = packets;
    run.flows_wanted = flows * kind->flows_of / 100 + 1;
    run.highest_id = highest;
    run.free_sock = -1;
    run.now = 1700000000ull * 1000000000u;
    announced = answered = applied = 0;
    thread_ends = thread_ended = is_closing = is_quiet = unsettled = 0;
    /* socket ids for all of them */
    int concurrency = run.flows_wanted * (kind->listeners > 1 ? (LISTENERS_MAX + 1) / 2 : 1) + 64;
    run.id_room = 2 * concurrency + 64;
    run.by_id = (int *)malloc((size_t)run.id_room * sizeof *run.by_id);
    run.socks = (struct sock *)calloc(32768, sizeof *run.socks);
    run.flows = (struct flow *)calloc((size_t)flows + 2, sizeof *run.flows);
    if (!run.by_id || !run.socks || !run.flows)
        abort();
    for (int i = 0; i < run.id_room; i++)
        run.by_id[i] = -1;

    snprintf(items, sizeof items, "max_concurrency = %d\ntcp_timeout = -1\ntcp_tw_interval = 0", concurrency);
    run.m = wire_start(fill, items);
    for (int bit = 0; bit < BUILT_IN; bit++) {
        struct event *e = &run.events[run.event_count++];
        e->id = (event_t)1 << bit;
        e->root = 1u << bit;
        e->parent = e->filter = -1;
    }
    for (int i = 0; i < kind->events; i++) {
        int known = run.event_count, index = plan_event(any_parent(), chance(45));
        make_event(index);
        if (index < known)
            i--;
    }
    share_events();
    for (int i = 0; i < kind->listeners; i++) {
        int s = new_sock(), id = mtcp_socket(run.m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        bind_sock(s, id);
        run.listeners[run.listener_count++] = s;
        if (mtcp_register_callback(run.m, id, MOS_ON_CONN_START, MOS_HK_SND, handler_of(i)) != 0)
            fail("mtcp_register_callback: %s", strerror(errno));
        list_set(&run.socks[s].lists[AT_SEND], 2, i);
        for (int j = 0; j < 30; j++) {
            int hook = (int)any(HOOKS), event = any_event(0), handler = (int)any(HANDLERS);
            if (is_refused(run.events[event].root, hook) || (hook == AT_SEND && event == 2))
                continue;
            if (mtcp_register_callback(run.m, id, run.events[event].id, hook_points[hook], handler_of(handler)) != 0)
                fail("mtcp_register_callback: %s", strerror(errno));
            list_set(&run.socks[s].lists[hook], event, handler);
        }
    }
    if (kind->thread && pthread_create(&thread, NULL, meddle, NULL) != 0)
        abort();
    mtcp_app_join(run.m);
    if (kind->thread)
        pthread_join(thread, NULL);
    if (!is_quiet || run.distinct_count)
        fail("it ended early");
    wire_stop(run.m);
    printf("ok %d - %s: %llu packets of %llu flows, %llu calls, %llu changes, %llu of another thread, %llu raised, "
           "%llu stops, %d events, at most %d sets\n",
           (int)(kind - kinds) + 1, kind->name, (unsigned long long)run.packet, (unsigned long long)run.ended,
           (unsigned long long)run.calls, (unsigned long long)run.changes, (unsigned long long)run.thread_changes,
           (unsigned long long)run.raises, (unsigned long long)run.stops, run.event_count - BUILT_IN,
           run.distinct_most);
    fflush(stdout);
    for (int i = 0; i < run.sock_count; i++)
        for (int hook = 0; hook < HOOKS; hook++)
            free(run.socks[i].lists[hook].pairs);
    free(run.socks);
    free(run.flows);
    free(run.by_id);
    free(run.dying);
    free(run.steps);
    free(run.deeds);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t packets = argc > 2 ? strtoull(argv[2], NULL, 0) : 10000;
    int flows = argc > 3 ? atoi(argv[3]) : 3000;
    if (flows < 10 || flows > 6000 || packets < 1) {
        fprintf(stderr, "usage: model [seed [packets [flows, 10 to 6000]]]\n");
        return 2;
    }
    int bad = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        /* Each in a process of its own: events are for ever. */
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            play(&kinds[i], seed + i, packets, flows);
            return 0;
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            if (WIFSIGNALED(status))
                printf("not ok %d - %s: seed %llu: signal %d\n", (int)i + 1, kinds[i].name,
                       (unsigned long long)(seed + i), WTERMSIG(status));
            bad = 1;
        }
    }
    return bad;
}
