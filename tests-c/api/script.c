#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_io.h>

struct script script[SCRIPT_PORTS];
uint64_t script_clock, script_step;

static int script_open(const char *spec, uint32_t queues, void **port, struct mos_io_info *info, char *error,
                       size_t error_size)
{
    if (spec[0] < 'a' || spec[0] >= 'a' + SCRIPT_PORTS || spec[1] != 0) {
        snprintf(error, error_size, "script:%s: no such port", spec);
        return ENODEV;
    }
    struct script *s = &script[spec[0] - 'a'];
    s->queues_wanted = queues;
    if (s->open_code) {
        snprintf(error, error_size, "script:%s: does not open", spec);
        return s->open_code;
    }
    s->opened++;
    s->next = 0;
    memset(info, 0, sizeof *info);
    info->num_queues = s->queues ? s->queues : 1;
    info->is_trace = !s->live;
    info->mtu = 1500;
    info->has_mac = 1;
    info->mac[0] = 2;
    info->mac[5] = (uint8_t)(0xa0 + (spec[0] - 'a'));
    *port = s;
    return 0;
}

static int script_recv(void *port, uint32_t queue, struct mos_io_frame *frames, uint32_t max)
{
    struct script *s = (struct script *)port;
    uint32_t count = 0;
    /* Tests look at it from their thread. */
#define NEXT() __atomic_store_n(&s->next, s->next + 1, __ATOMIC_RELAXED)
    if (queue != 0)
        return s->live && !s->ends ? 0 : MOS_IO_END;
    if (__atomic_load_n(&s->held, __ATOMIC_ACQUIRE))
        return 0;
    if (max > s->asked_most)
        s->asked_most = max;
    if (s->most && max > s->most)
        max = s->most;
    while (count < max && s->next < s->count) {
        struct script_frame *f = &s->frames[s->next];
        if (f->call) {
            if (count)
                break;
            NEXT();
            f->call(f->arg);
            continue;
        }
        frames[count].data = f->data;
        frames[count].len = f->len;
        frames[count].wire_len = f->wire_len;
        frames[count].flags = f->flags;
        frames[count].time_ns = f->time_ns;
        frames[count].port = 0;
        frames[count].cookie = NULL;
        count++;
        if (s->next + 1 == s->count && __atomic_load_n(&s->repeat, __ATOMIC_ACQUIRE))
            break;
        NEXT();
        if (f->ends_burst)
            break;
    }
#undef NEXT
    s->received += count;
    if (count)
        return (int)count;
    return s->live && !__atomic_load_n(&s->ends, __ATOMIC_ACQUIRE) ? 0 : MOS_IO_END;
}

static uint8_t *script_tx_frame(void *port, uint32_t queue, uint32_t len)
{
    struct script *s = (struct script *)port;
    (void)queue;
    if (s->tx_full)
        return NULL;
    s->tx = (uint8_t *)realloc(s->tx, len + 1);
    return s->tx;
}

static void keep(struct script *s, const uint8_t *data, uint32_t len, uint64_t time_ns, int forwarded)
{
    if (s->sent_count == s->sent_room) {
        s->sent_room = s->sent_room ? s->sent_room * 2 : 64;
        s->sent = (struct script_sent *)realloc(s->sent, s->sent_room * sizeof *s->sent);
    }
    struct script_sent *out = &s->sent[s->sent_count++];
    out->data = (uint8_t *)malloc(len + 1);
    memcpy(out->data, data, len);
    out->len = len;
    out->time_ns = time_ns;
    out->forwarded = forwarded;
}

static int script_tx_send(void *port, uint32_t queue, uint8_t *frame, uint32_t len, uint64_t time_ns)
{
    struct script *s = (struct script *)port;
    (void)queue;
    if (s->tx_code == 0)
        keep(s, frame, len, time_ns, 0);
    return s->tx_code;
}

static int script_tx_forward(void *port, uint32_t queue, const struct mos_io_frame *frame)
{
    struct script *s = (struct script *)port;
    (void)queue;
    if (s->tx_code == 0)
        keep(s, frame->data, frame->len, frame->time_ns, 1);
    return s->tx_code;
}

static void script_tx_flush(void *port, uint32_t queue)
{
    (void)queue;
    __atomic_add_fetch(&((struct script *)port)->flushes, 1, __ATOMIC_RELEASE);
}

static void script_stats(void *port, struct mos_io_stats *out)
{
    out->rx_drops = ((struct script *)port)->rx_drops;
}

static void script_close(void *port)
{
    ((struct script *)port)->closed++;
}

void script_begin(void)
{
    static const struct mos_io_ops ops = {
        MOS_IO_ABI, "script", script_open, script_recv, NULL, script_tx_frame,
        script_tx_send, script_tx_forward, script_tx_flush, script_stats, script_close,
    };
    static int registered;
    if (!registered) {
        registered = 1;
        unsetenv("MOS_NETDEV");
        unsetenv("MOS_CONF");
        if (mos_io_register(&ops) != 0) {
            perror("mos_io_register");
            exit(1);
        }
    }
    for (int i = 0; i < SCRIPT_PORTS; i++) {
        struct script *s = &script[i];
        for (size_t at = 0; at < s->count; at++)
            free(s->frames[at].data);
        for (size_t at = 0; at < s->sent_count; at++)
            free(s->sent[at].data);
        free(s->frames);
        free(s->sent);
        free(s->tx);
        memset(s, 0, sizeof *s);
    }
    script_clock = 1700000000ull * 1000000000u;
    script_step = 1000000;
}

static struct script_frame *more(int port)
{
    struct script *s = &script[port];
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 64;
        s->frames = (struct script_frame *)realloc(s->frames, s->room * sizeof *s->frames);
    }
    struct script_frame *f = &s->frames[s->count++];
    memset(f, 0, sizeof *f);
    return f;
}

struct script_frame *script_add(int port, const void *data, uint32_t len)
{
    struct script_frame *f = more(port);
    /* Of its own size, so that a checker sees a read beyond it. */
    f->data = (uint8_t *)malloc(len ? len : 1);
    memcpy(f->data, data, len);
    f->len = f->wire_len = len;
    f->time_ns = script_clock;
    script_clock += script_step;
    return f;
}

void script_burst(int port)
{
    if (script[port].count)
        script[port].frames[script[port].count - 1].ends_burst = 1;
}

void script_call(int port, void (*call)(void *), void *arg)
{
    struct script_frame *f = more(port);
    f->call = call;
    f->arg = arg;
}

void say_at(struct talk *t, int side, int flags, uint32_t seq, uint32_t ack, const void *payload, uint32_t length)
{
    static uint8_t frame[66000];
    static const uint8_t mss[4] = { 2, 4, 5, 0xb4 };
    uint32_t size = make_tcp(frame, t, side, flags, seq, ack, mss, flags & SYN ? 4 : 0, payload, length);
    struct script_frame *f = script_add(t->input[side], frame, size);
    if (t->wire_cut)
        f->len -= t->wire_cut;
}

void say(struct talk *t, int side, int flags, const void *payload, uint32_t length)
{
    say_at(t, side, flags, t->next[side], t->next[1 - side], payload, length);
    t->next[side] += length + !!(flags & SYN) + !!(flags & FIN);
}

void say_text(struct talk *t, int side, const char *text)
{
    say(t, side, ACK | PSH, text, (uint32_t)strlen(text));
}

void say_hello(struct talk *t)
{
    say(t, 0, SYN, NULL, 0);
    say(t, 1, SYN | ACK, NULL, 0);
    say(t, 0, ACK, NULL, 0);
}

void say_goodbye(struct talk *t, int side)
{
    say(t, side, FIN | ACK, NULL, 0);
    say(t, 1 - side, FIN | ACK, NULL, 0);
    say(t, side, ACK, NULL, 0);
}
