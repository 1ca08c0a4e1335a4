/* The floor: the least that any flow-aware program has to do, written as fast
 * as we can in C. It parses Ethernet, IPv4 and TCP, verifies both checksums if
 * asked to, and finds (makes, removes) the flow in one table whose entry, key
 * and counters together, is half a cache line; in bursts of 64, frames and
 * entries prefetched. `search` adds memmem over the payload while it is still
 * in the first-level cache. No reassembly, no state machine, no timers.
 *
 * `search-keep` also keeps the last 8 KiB of each direction, as mtcp_ppeek() can
 * ask for them, in a ring of its flow's, written past the caches: what libmos
 * does by default and need not do with MOS_HISTORY 0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <nmmintrin.h>
#include <stdio.h>
#include <string.h>

#include "../tests-c/gen/checksum.h"
#include "bench.h"
#include "large_pages.h"

#define BURST 64
#define AHEAD 8

struct entry {
    uint32_t low_address, high_address;
    uint32_t ports;
    uint32_t state; /* 0: free; USED, which ends have sent FIN, number of the rings */
    uint64_t packets, bytes;
};

enum { USED = 1, FIN_LOW = 2, FIN_HIGH = 4, STATE_BITS = 3, STATE_MASK = 7 };

#define RING 8192u

/* Of one flow, a ring for each direction. */
struct rings {
    uint8_t bytes[2][RING];
};

struct parsed {
    uint32_t low_address, high_address, ports, slot;
    uint16_t length;
    uint8_t flags, swapped, valid, hit;
    uint16_t payload;
};

struct table {
    struct entry *entries;
    uint32_t mask;
    uint64_t flows, orphans, counted, removed;
    /* search-keep: all rings, how much has come into each, and a stack of free ones */
    struct rings *rings;
    uint32_t (*filled)[2];
    uint32_t *free_rings, free_count;
};

static inline uint32_t slot_of(const struct table *t, uint32_t low, uint32_t high, uint32_t ports)
{
    uint64_t crc = _mm_crc32_u64(0x9747b28c, (uint64_t)low << 32 | high);
    return (uint32_t)_mm_crc32_u64(crc, (uint64_t)ports * 0x9e3779b97f4a7c15ull) & t->mask;
}

static inline __attribute__((always_inline)) void parse(const struct table *t, const struct gen_frame *f,
                                                        struct parsed *p, int checksum, const char *pattern,
                                                        size_t pattern_size, const uint8_t **content)
{
    const uint8_t *frame = f->data;
    uint32_t len = f->len, link = 14;
    uint16_t type;
    p->valid = 0;
    p->hit = 0;
    if (len < 54)
        return;
    memcpy(&type, frame + 12, 2);
    while (type == 0x0081 || type == 0xa888) {
        if (len < link + 24)
            return;
        memcpy(&type, frame + link + 2, 2);
        link += 4;
    }
    if (type != 0x0008)
        return;
    const uint8_t *ip = frame + link;
    uint32_t ip_size = (ip[0] & 15u) * 4;
    uint32_t total = (uint32_t)ip[2] << 8 | ip[3];
    if (ip[0] >> 4 != 4 || ip_size < 20 || total < ip_size + 20 || link + total > len || ip[9] != 6 ||
        ((ip[6] & 0x3f) | ip[7]) != 0)
        return;
    const uint8_t *tcp = ip + ip_size;
    uint32_t segment = total - ip_size;
    uint32_t header = (uint32_t)(tcp[12] >> 4) * 4;
    if (header < 20 || header > segment)
        return;
    uint32_t from, to, ports;
    memcpy(&from, ip + 12, 4);
    memcpy(&to, ip + 16, 4);
    memcpy(&ports, tcp, 4);
    int swap = from > to || (from == to && (ports & 0xffff) > ports >> 16);
    p->swapped = (uint8_t)swap;
    p->low_address = swap ? to : from;
    p->high_address = swap ? from : to;
    p->ports = swap ? ports << 16 | ports >> 16 : ports;
    p->slot = slot_of(t, p->low_address, p->high_address, p->ports);
    __builtin_prefetch(&t->entries[p->slot], 1);
    if (checksum) {
        uint64_t pseudo = (uint64_t)from + to + __builtin_bswap16((uint16_t)segment) + 0x0600;
        if (checksum_fold(checksum_sum(ip, ip_size)) != 0xffff ||
            checksum_fold(pseudo + checksum_sum(tcp, segment)) != 0xffff)
            return;
    }
    p->flags = tcp[13];
    p->length = (uint16_t)len;
    p->payload = (uint16_t)(segment - header);
    if (content)
        *content = tcp + header;
    p->valid = 1;
    if (pattern && p->payload)
        p->hit = memmem(tcp + header, p->payload, pattern, pattern_size) != NULL;
}

static void drop(struct table *t, uint32_t hole)
{
    /* backward shift: later entries of the run move up, no tombstones */
    uint32_t next = hole;
    for (;;) {
        next = (next + 1) & t->mask;
        struct entry *e = &t->entries[next];
        if (!e->state)
            break;
        uint32_t home = slot_of(t, e->low_address, e->high_address, e->ports);
        if (((next - home) & t->mask) >= ((next - hole) & t->mask)) {
            t->entries[hole] = *e;
            hole = next;
        }
    }
    t->entries[hole].state = 0;
}

/* Like memcpy; whole lines are not fetched first and push nothing out. */
static inline void copy_past_caches(uint8_t *to, const uint8_t *from, size_t size)
{
    size_t head = -(uintptr_t)to & 63;
    head = head < size ? head : size;
    memcpy(to, from, head);
    to += head, from += head, size -= head;
    for (; size >= 64; size -= 64, to += 64, from += 64)
        for (int i = 0; i < 64; i += 16)
            _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
    memcpy(to, from, size);
}

static inline void keep_payload(struct table *t, const struct entry *e, const struct parsed *p, const uint8_t *content)
{
    uint32_t which = e->state >> STATE_BITS;
    uint8_t *ring = t->rings[which].bytes[p->swapped];
    uint32_t *filled = &t->filled[which][p->swapped];
    uint32_t at = *filled % RING, size = p->payload < RING ? p->payload : RING;
    uint32_t first = size < RING - at ? size : RING - at;
    copy_past_caches(ring + at, content, first);
    copy_past_caches(ring, content + first, size - first);
    *filled += size;
}

static inline __attribute__((always_inline)) void finish(struct table *t, const struct entry *e, uint32_t slot, int keep)
{
    t->counted += e->packets;
    if (keep)
        t->free_rings[t->free_count++] = e->state >> STATE_BITS;
    drop(t, slot);
}

static inline __attribute__((always_inline)) void account(struct table *t, const struct parsed *p, int keep,
                                                          const uint8_t *content)
{
    uint32_t slot = p->slot;
    struct entry *e;
    for (;;) {
        e = &t->entries[slot];
        if (e->low_address == p->low_address && e->high_address == p->high_address && e->ports == p->ports &&
            e->state)
            break;
        if (!e->state) {
            if ((p->flags & 0x12) != 0x02) {
                t->orphans++;
                return;
            }
            e->low_address = p->low_address;
            e->high_address = p->high_address;
            e->ports = p->ports;
            e->state = USED;
            if (keep) {
                uint32_t which = t->free_rings[--t->free_count];
                e->state |= which << STATE_BITS;
                t->filled[which][0] = t->filled[which][1] = 0;
            }
            e->packets = e->bytes = 0;
            t->flows++;
            break;
        }
        slot = (slot + 1) & t->mask;
    }
    e->packets++;
    e->bytes += p->length;
    if (keep && p->payload)
        keep_payload(t, e, p, content);
    if (p->flags & 0x05)
        e->state |= p->swapped ? FIN_HIGH : FIN_LOW;
    else if ((keep ? e->state & STATE_MASK : e->state) == (USED | FIN_LOW | FIN_HIGH)) {
        finish(t, e, slot, keep);
        return;
    }
    if (p->flags & 0x04)
        finish(t, e, slot, keep);
}

static inline __attribute__((always_inline)) void pass(struct table *t, const struct gen_trace *trace,
                                                       struct result *r, uint32_t loops, int checksum,
                                                       const char *pattern, int keep)
{
    struct parsed parsed[BURST];
    const uint8_t *contents[BURST];
    size_t pattern_size = pattern ? strlen(pattern) : 0;
    uint64_t delivered = 0, next = 0;
    for (uint32_t loop = 0; loop < loops; loop++)
        for (size_t at = 0; at < trace->frame_count; at += BURST) {
            const struct gen_frame *frames = trace->frames + at;
            size_t count = trace->frame_count - at < BURST ? trace->frame_count - at : BURST;
            if (delivered >= next)
                next = probe_at(NULL, delivered);
            for (size_t i = 0; i < AHEAD && i < count; i++)
                __builtin_prefetch(frames[i].data);
            for (size_t i = 0; i < count; i++) {
                if (i + AHEAD < count)
                    __builtin_prefetch(frames[i + AHEAD].data);
                parse(t, &frames[i], &parsed[i], checksum, pattern, pattern_size, keep ? &contents[i] : NULL);
            }
            for (size_t i = 0; i < count; i++)
                if (parsed[i].valid) {
                    account(t, &parsed[i], keep, keep ? contents[i] : NULL);
                    if (pattern) {
                        r->stream_bytes += parsed[i].payload;
                        r->hits += parsed[i].hit;
                    }
                }
            delivered += count;
        }
}

/* One more than can be open: a flow that ends in a burst may be followed by another. */
static void make_rings(struct table *t, uint32_t concurrent)
{
    uint32_t count = concurrent + BURST;
    t->rings = (struct rings *)large_pages(count * sizeof *t->rings);
    t->filled = (uint32_t(*)[2])large_pages(count * sizeof *t->filled);
    t->free_rings = (uint32_t *)large_pages(count * sizeof *t->free_rings);
    for (t->free_count = 0; t->free_count < count; t->free_count++)
        t->free_rings[t->free_count] = count - 1 - t->free_count;
}

int run_floor(const struct job *job, const struct gen_trace *trace, struct result *r)
{
    struct table t;
    memset(&t, 0, sizeof t);
    uint32_t slots = 64;
    while (slots < trace->options.concurrent * 2u)
        slots *= 2;
    uint64_t before = now_ns();
    probe_begin(trace, job->loops, r);
    t.mask = slots - 1;
    t.entries = (struct entry *)large_pages(slots * sizeof *t.entries);
    r->start_ns = now_ns() - before;
    int search = strncmp(job->work, "search", 6) == 0;
    int keep = strcmp(job->work, "search-keep") == 0;
    const char *pattern = trace->options.pattern;
    if (keep)
        make_rings(&t, trace->options.concurrent);
    if (keep && job->checksum)
        pass(&t, trace, r, job->loops, 1, pattern, 1);
    else if (keep)
        pass(&t, trace, r, job->loops, 0, pattern, 1);
    else if (search && job->checksum)
        pass(&t, trace, r, job->loops, 1, pattern, 0);
    else if (search)
        pass(&t, trace, r, job->loops, 0, pattern, 0);
    else if (job->checksum)
        pass(&t, trace, r, job->loops, 1, NULL, 0);
    else
        pass(&t, trace, r, job->loops, 0, NULL, 0);
    probe_end();
    for (uint32_t i = 0; i < slots; i++)
        if (t.entries[i].state)
            t.counted += t.entries[i].packets;
    r->counted = t.counted;
    r->flows = t.flows;
    return 0;
}
