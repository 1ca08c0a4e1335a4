#include "mem_io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <mos_io.h>

#define SOURCES 8

static struct {
    char name[32];
    struct mem_source *source;
} sources[SOURCES];
static int source_count;
static uint8_t sink[65536];

static int mem_open(const char *spec, uint32_t queues, void **port, struct mos_io_info *info, char *error,
                    size_t error_size)
{
    (void)queues;
    for (int i = 0; i < source_count; i++)
        if (strcmp(sources[i].name, spec) == 0) {
            struct mem_source *s = sources[i].source;
            s->delivered = s->bytes = s->index = s->next_at = s->sent = s->forwarded = 0;
            s->loop = 0;
            s->time_base = 0;
            memset(info, 0, sizeof *info);
            info->num_queues = 1;
            info->is_trace = 1;
            info->mtu = 9000;
            *port = s;
            return 0;
        }
    snprintf(error, error_size, "no trace in memory is named \"%s\"", spec);
    return ENOENT;
}

static int mem_recv(void *port, uint32_t queue, struct mos_io_frame *frames, uint32_t max)
{
    struct mem_source *s = (struct mem_source *)port;
    const struct gen_trace *t = s->trace;
    (void)queue;
    if (s->at && s->delivered >= s->next_at)
        s->next_at = s->at(s->arg, s->delivered);
    if (s->index == t->frame_count) {
        uint32_t loops = s->loops ? s->loops : 1;
        if (s->loop + 1 >= loops)
            return MOS_IO_END;
        s->loop++;
        s->index = 0;
        s->time_base += t->duration_ns;
    }
    if (s->burst && max > s->burst)
        max = s->burst;
    uint64_t left = t->frame_count - s->index;
    uint32_t count = left < max ? (uint32_t)left : max;
    const struct gen_frame *from = t->frames + s->index;
    for (uint32_t i = 0; i < count; i++) {
        frames[i].data = from[i].data;
        frames[i].len = from[i].len;
        frames[i].wire_len = from[i].len;
        frames[i].time_ns = from[i].time_ns + s->time_base;
        frames[i].flags = s->frame_flags;
        frames[i].port = 0;
        frames[i].cookie = NULL;
        s->bytes += from[i].len;
    }
    s->index += count;
    s->delivered += count;
    return (int)count;
}

static int mem_wait_fd(void *port, uint32_t queue)
{
    (void)port;
    (void)queue;
    return -1;
}

static uint8_t *mem_tx_frame(void *port, uint32_t queue, uint32_t len)
{
    (void)port;
    (void)queue;
    return len <= sizeof sink ? sink : NULL;
}

static int mem_tx_send(void *port, uint32_t queue, uint8_t *frame, uint32_t len, uint64_t time_ns)
{
    (void)queue;
    (void)frame;
    (void)len;
    (void)time_ns;
    ((struct mem_source *)port)->sent++;
    return 0;
}

static int mem_tx_forward(void *port, uint32_t queue, const struct mos_io_frame *frame)
{
    (void)queue;
    (void)frame;
    ((struct mem_source *)port)->forwarded++;
    return 0;
}

static void mem_tx_flush(void *port, uint32_t queue)
{
    (void)port;
    (void)queue;
}

static void mem_stats(void *port, struct mos_io_stats *out)
{
    const struct mem_source *s = (const struct mem_source *)port;
    memset(out, 0, sizeof *out);
    out->rx_packets = s->delivered;
    out->rx_bytes = s->bytes;
    out->tx_packets = s->sent + s->forwarded;
}

static void mem_close(void *port)
{
    (void)port;
}

int mem_io_add(const char *name, struct mem_source *source)
{
    static const struct mos_io_ops ops = {
        MOS_IO_ABI, "mem", mem_open, mem_recv, mem_wait_fd, mem_tx_frame,
        mem_tx_send, mem_tx_forward, mem_tx_flush, mem_stats, mem_close,
    };
    if (source_count == SOURCES) {
        errno = ENOSPC;
        return -1;
    }
    if (source_count == 0 && mos_io_register(&ops) != 0)
        return -1;
    snprintf(sources[source_count].name, sizeof sources[0].name, "%s", name);
    sources[source_count++].source = source;
    return 0;
}
