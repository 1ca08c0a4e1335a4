/* RFCs to read first: 9293 (TCP), 7323 (window scale, timestamps), 1071 (checksum). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "gen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "checksum.h"

/* Stream bytes come from one text of POOL_SIZE bytes, read as a ring from a
 * place that depends on flow and side: filling a segment is one memcpy, and a
 * byte that a reader puts in the wrong place does not match. */
#define POOL_SIZE (1u << 20)
#define POOL_TAIL 16384u
#define MAX_PENDING 4
#define FRAME_MAX 9014u
#define FRAME_PAD 60u

enum phase { PH_SYN, PH_SYNACK, PH_ACK, PH_DATA, PH_FIN1, PH_FIN2, PH_LAST, PH_DONE };

struct pending {
    uint32_t position;
    uint16_t size;
    uint8_t side;
    uint8_t countdown : 7;
    uint8_t repeat : 1;
};

struct flow_state {
    uint32_t flow;
    uint32_t next[2];
    uint32_t shown[2]; /* end of the farthest byte that the trace holds */
    uint32_t base[2];
    uint32_t left;
    uint16_t owed[2]; /* data segments of that side not yet answered by a bare ACK */
    uint16_t ip_id;
    uint8_t phase;
    uint8_t pending_count;
    uint8_t started;
    uint8_t closer;
    struct pending pending[MAX_PENDING];
};

struct maker {
    struct gen_trace *trace;
    uint64_t rng;
    uint8_t *pool;
    uint32_t *pattern_at;
    uint32_t pattern_count;
    uint32_t pattern_size;
    size_t arena_used;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ull;
    return mix(*state);
}

static uint32_t below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(((draw(state) >> 32) * (uint64_t)limit) >> 32);
}

static double unit(uint64_t *state)
{
    return (double)(draw(state) >> 11) * (1.0 / 9007199254740992.0);
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

uint64_t gen_fnv(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *p = (const uint8_t *)bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * 0x100000001b3ull;
    return hash;
}

void gen_defaults(struct gen_options *o)
{
    memset(o, 0, sizeof *o);
    o->seed = 1;
    o->flows = 10000;
    o->concurrent = 10000;
    o->data_packets = 10;
    o->frame_min = 64;
    o->frame_max = 64;
    o->client_share = 30;
    o->order = GEN_RANDOM;
    o->burst = 8;
    o->open_first = 1;
    o->checksums = 1;
    o->servers = 256;
    o->start_ns = 1700000000000000000ull;
    o->interval_ns = 200;
    o->pattern = "GET /forbidden/fruit.html";
    o->pattern_every = 65536;
}

static uint8_t *make_pool(const struct gen_options *o, uint32_t **at, uint32_t *count)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    uint8_t *pool = (uint8_t *)malloc(POOL_SIZE + POOL_TAIL);
    uint64_t rng = mix(o->seed ^ 0x706f6f6cull);
    *at = NULL;
    *count = 0;
    if (!pool)
        return NULL;
    for (uint32_t i = 0; i < POOL_SIZE; i += 8) {
        uint64_t r = draw(&rng);
        for (uint32_t k = 0; k < 8; k++, r >>= 8)
            pool[i + k] = (uint8_t)letters[r & 63];
    }
    if (o->pattern && o->pattern_every) {
        uint32_t size = (uint32_t)strlen(o->pattern);
        uint32_t slots = POOL_SIZE / o->pattern_every;
        if (slots == 0)
            slots = 1;
        *at = (uint32_t *)malloc(slots * sizeof **at);
        if (!*at) {
            free(pool);
            return NULL;
        }
        uint32_t width = POOL_SIZE / slots;
        for (uint32_t i = 0; i < slots; i++) {
            uint32_t place = i * width + below(&rng, width - size);
            memcpy(pool + place, o->pattern, size);
            (*at)[i] = place;
        }
        *count = slots;
    }
    memcpy(pool + POOL_SIZE, pool, POOL_TAIL);
    return pool;
}

static uint32_t stream_base(uint64_t seed, uint32_t flow, int side)
{
    return (uint32_t)mix(seed * 0x9e3779b97f4a7c15ull + flow * 2ull + (unsigned)side) & (POOL_SIZE - 1);
}

void gen_stream_bytes(const struct gen_trace *trace, uint32_t flow, int side,
                      uint64_t position, void *bytes, size_t size)
{
    /* One pool is kept for the trace asked about last: tests ask about one. */
    static uint8_t *pool;
    static const struct gen_trace *owner;
    static uint64_t seed;
    if (owner != trace || seed != trace->options.seed || !pool) {
        uint32_t *at, count;
        free(pool);
        pool = make_pool(&trace->options, &at, &count);
        free(at);
        owner = trace;
        seed = trace->options.seed;
        if (!pool)
            abort();
    }
    uint64_t base = stream_base(trace->options.seed, flow, side) + position;
    uint8_t *to = (uint8_t *)bytes;
    while (size > 0) {
        uint32_t from = (uint32_t)(base & (POOL_SIZE - 1));
        size_t part = POOL_SIZE - from < size ? POOL_SIZE - from : size;
        memcpy(to, pool + from, part);
        to += part;
        base += part;
        size -= part;
    }
}

/* Occurrences that start at or after `base` and end within `size` bytes of it. */
static uint32_t count_hits(const struct maker *m, uint32_t base, uint64_t size)
{
    if (m->pattern_count == 0 || size < m->pattern_size)
        return 0;
    uint64_t starts = size - m->pattern_size + 1;
    uint64_t hits = starts / POOL_SIZE * m->pattern_count;
    uint32_t rest = (uint32_t)(starts % POOL_SIZE);
    uint32_t low = 0, high = m->pattern_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (m->pattern_at[middle] < base)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t i = 0; i < m->pattern_count; i++) {
        uint32_t place = m->pattern_at[(low + i) % m->pattern_count];
        if (((place - base) & (POOL_SIZE - 1)) >= rest)
            break;
        hits++;
    }
    return (uint32_t)hits;
}

static uint32_t header_size(const struct gen_options *o, int ipv6)
{
    return 14u + (ipv6 ? 40u : 20u) + 20u + (o->timestamps ? 12u : 0u);
}

/* What the other end has received of this side's stream. */
static uint32_t received(const struct flow_state *s, int side)
{
    uint32_t end = s->next[side];
    for (int i = 0; i < s->pending_count; i++)
        if (s->pending[i].side == side && s->pending[i].position < end)
            end = s->pending[i].position;
    return end;
}

#define F_FIN 0x01u
#define F_SYN 0x02u
#define F_RST 0x04u
#define F_PSH 0x08u
#define F_ACK 0x10u

static void emit(struct maker *m, struct flow_state *s, int side, uint32_t flags, uint32_t seq,
                 uint32_t ack, uint32_t position, uint32_t size, uint32_t kind)
{
    struct gen_trace *t = m->trace;
    const struct gen_options *o = &t->options;
    struct gen_flow *f = &t->flows[s->flow];
    uint8_t *frame = t->arena + m->arena_used;
    uint64_t now = o->start_ns + (uint64_t)t->frame_count * o->interval_ns;
    uint32_t options = o->timestamps ? 12 : 0;
    if (flags & F_SYN)
        options = o->timestamps ? 20 : 12;
    uint32_t segment = 20 + options + size;
    uint32_t from = side ? f->server : f->client;
    uint32_t to = side ? f->client : f->server;
    uint64_t pseudo;
    uint8_t *tcp;

    memset(frame, 0, 12);
    frame[0] = frame[6] = 2;
    frame[5] = side ? 1 : 2;
    frame[11] = side ? 2 : 1;
    if (f->ipv6) {
        uint8_t *ip = frame + 14;
        put16(frame + 12, 0x86dd);
        memset(ip, 0, 40);
        ip[0] = 0x60;
        put16(ip + 4, segment);
        ip[6] = 6;
        ip[7] = 64;
        put32(ip + 8, 0x20010db8u);
        put32(ip + 20, from);
        put32(ip + 24, 0x20010db8u);
        put32(ip + 36, to);
        pseudo = checksum_sum(ip + 8, 32);
        tcp = ip + 40;
    } else {
        uint8_t *ip = frame + 14;
        uint16_t sum;
        put16(frame + 12, 0x0800);
        put32(ip, 0x45000000u | (20 + segment));
        put32(ip + 4, (uint32_t)s->ip_id++ << 16 | 0x4000u);
        put32(ip + 8, 0x40060000u);
        put32(ip + 12, from);
        put32(ip + 16, to);
        sum = (uint16_t)~checksum_fold(checksum_sum(ip, 20));
        memcpy(ip + 10, &sum, 2);
        pseudo = checksum_sum(ip + 12, 8);
        tcp = ip + 20;
    }
    put16(tcp, side ? f->server_port : f->client_port);
    put16(tcp + 2, side ? f->client_port : f->server_port);
    put32(tcp + 4, seq);
    put32(tcp + 8, flags & F_ACK ? ack : 0);
    tcp[12] = (uint8_t)((20 + options) / 4 << 4);
    tcp[13] = (uint8_t)flags;
    put16(tcp + 14, flags & F_SYN ? 65535 : 2048);
    put32(tcp + 16, 0);
    uint8_t *opt = tcp + 20;
    if (flags & F_SYN) {
        put32(opt, 0x020405b4u);
        if (o->timestamps) {
            put16(opt + 4, 0x0402);
            opt += 6;
        } else {
            put32(opt + 4, 0x01030307u); /* NOP, window scale 7 */
            put32(opt + 8, 0x01010402u);
        }
    } else if (o->timestamps) {
        put16(opt, 0x0101);
        opt += 2;
    }
    if (o->timestamps) {
        uint32_t clock = (uint32_t)(now / 1000000);
        put16(opt, 0x080a);
        put32(opt + 2, clock + (side ? 777u : 0u));
        put32(opt + 6, flags & F_ACK ? clock + (side ? 0u : 777u) : 0);
        if (flags & F_SYN)
            put32(opt + 10, 0x01030307u);
    }
    if (size)
        memcpy(tcp + 20 + options, m->pool + ((s->base[side] + position) & (POOL_SIZE - 1)), size);
    uint8_t length[4];
    put32(length, segment);
    uint64_t sum = pseudo + checksum_sum(length, 4);
    uint8_t protocol[2] = {0, 6};
    sum += checksum_sum(protocol, 2);
    sum += checksum_sum(tcp, segment);
    uint16_t check = (uint16_t)~checksum_fold(sum);
    if (!o->checksums)
        check ^= 0x5555;
    memcpy(tcp + 16, &check, 2);

    uint32_t len = (uint32_t)(tcp - frame) + segment;
    if (len < FRAME_PAD) {
        memset(frame + len, 0, FRAME_PAD - len);
        len = FRAME_PAD;
    }
    struct gen_frame *out = &t->frames[t->frame_count++];
    out->data = frame;
    out->time_ns = now;
    out->flow = s->flow;
    out->len = (uint16_t)len;
    out->side = (uint8_t)side;
    out->kind = (uint8_t)kind;
    m->arena_used += (len + 7) & ~(size_t)7;
    t->frame_bytes += len;
    t->payload_bytes += size;
    f->packets[side]++;
    if (kind & GEN_REXMIT)
        f->repeated[side] += size;
}

static void emit_plain(struct maker *m, struct flow_state *s, int side, uint32_t flags, uint32_t kind)
{
    const struct gen_flow *f = &m->trace->flows[s->flow];
    emit(m, s, side, flags, f->isn[side] + 1 + s->next[side], f->isn[!side] + 1 + received(s, !side), 0,
         0, kind);
}

static void emit_data(struct maker *m, struct flow_state *s, int side, uint32_t position, uint32_t size,
                      uint32_t kind)
{
    const struct gen_flow *f = &m->trace->flows[s->flow];
    if (s->shown[side] > position && !(kind & GEN_REXMIT))
        kind |= GEN_LATE;
    if (s->shown[side] < position + size)
        s->shown[side] = position + size;
    emit(m, s, side, F_ACK | F_PSH, f->isn[side] + 1 + position,
         f->isn[!side] + 1 + received(s, !side), position, size, GEN_DATA | kind);
}

static void emit_pending(struct maker *m, struct flow_state *s, int index)
{
    struct pending p = s->pending[index];
    emit_data(m, s, p.side, p.position, p.size, p.repeat ? GEN_REXMIT : 0);
    s->pending_count--;
    for (int i = index; i < s->pending_count; i++)
        s->pending[i] = s->pending[i + 1];
}

static void start_flow(struct maker *m, struct flow_state *s, uint32_t flow)
{
    struct gen_trace *t = m->trace;
    const struct gen_options *o = &t->options;
    struct gen_flow *f = &t->flows[flow];
    memset(s, 0, sizeof *s);
    s->flow = flow;
    s->left = o->data_packets;
    s->ip_id = (uint16_t)(flow * 7919u);
    s->base[0] = stream_base(o->seed, flow, 0);
    s->base[1] = stream_base(o->seed, flow, 1);
    s->closer = (uint8_t)(draw(&m->rng) >> 63);
    f->hash[0] = f->hash[1] = GEN_FNV_BASIS;
    f->client = 0x0a000001u + flow % o->clients;
    f->client_port = (uint16_t)(1024 + flow / o->clients % 64000);
    f->server = 0xc0a80001u + below(&m->rng, o->servers);
    f->server_port = 80;
    f->isn[0] = (uint32_t)draw(&m->rng);
    f->isn[1] = (uint32_t)draw(&m->rng);
    f->ipv6 = o->ipv6 > 0 && unit(&m->rng) < o->ipv6;
    if (o->reset > 0 && unit(&m->rng) < o->reset)
        f->end = 1;
    else if (o->unclosed > 0 && unit(&m->rng) < o->unclosed)
        f->end = 2;
}

static void end_flow(struct maker *m, struct flow_state *s)
{
    struct gen_trace *t = m->trace;
    struct gen_flow *f = &t->flows[s->flow];
    for (int side = 0; side < 2; side++) {
        f->bytes[side] = s->next[side];
        f->hits[side] = count_hits(m, s->base[side], s->next[side]);
        t->stream_bytes += s->next[side];
        t->hits += f->hits[side];
    }
    s->phase = PH_DONE;
}

/* One data segment of the stream's front; 0 when it was lost or held back. */
static int send_front(struct maker *m, struct flow_state *s)
{
    const struct gen_options *o = &m->trace->options;
    struct gen_flow *f = &m->trace->flows[s->flow];
    int side = s->started && below(&m->rng, 100) >= o->client_share;
    uint32_t frame = o->frame_min;
    if (o->frame_max > o->frame_min)
        frame += below(&m->rng, o->frame_max - o->frame_min + 1);
    uint32_t headers = header_size(o, f->ipv6);
    uint32_t size = frame > headers ? frame - headers : 1;
    uint32_t position = s->next[side];
    s->started = 1;
    s->left--;
    if (o->hashes)
        f->hash[side] = gen_fnv(f->hash[side], m->pool + ((s->base[side] + position) & (POOL_SIZE - 1)), size);
    double dice = 1;
    if (o->reorder + o->lost + o->rexmit > 0 && s->pending_count < MAX_PENDING)
        dice = unit(&m->rng);
    int seen = dice >= o->reorder + o->lost;
    if (seen)
        emit_data(m, s, side, position, size, 0);
    s->next[side] = position + size;
    if (dice >= o->reorder + o->lost + o->rexmit) {
        s->owed[side]++;
        return 1;
    }
    struct pending *p = &s->pending[s->pending_count++];
    p->position = position;
    p->size = (uint16_t)size;
    p->side = (uint8_t)side;
    p->repeat = (uint8_t)seen;
    p->countdown = dice < o->reorder ? 1 + below(&m->rng, 3) : 4 + below(&m->rng, 8);
    return seen;
}

static int send_data(struct maker *m, struct flow_state *s)
{
    const struct gen_options *o = &m->trace->options;
    for (int i = 0; i < s->pending_count; i++)
        if (s->pending[i].countdown > 0)
            s->pending[i].countdown--;
    for (int i = 0; i < s->pending_count; i++)
        if (s->pending[i].countdown == 0) {
            emit_pending(m, s, i);
            return 1;
        }
    if (o->ack_every)
        for (int side = 0; side < 2; side++)
            if (s->owed[side] >= o->ack_every) {
                s->owed[side] = 0;
                emit_plain(m, s, !side, F_ACK, GEN_ACK);
                return 1;
            }
    while (s->left > 0)
        if (send_front(m, s))
            return 1;
    if (s->pending_count > 0) {
        emit_pending(m, s, 0);
        return 1;
    }
    return 0;
}

/* Out of data? Then only its end is to come. */
static int idle(const struct flow_state *s)
{
    return s->phase == PH_DATA && s->left == 0 && s->pending_count == 0;
}

/* Sends the flow's next packet. */
static void step(struct maker *m, struct flow_state *s)
{
    struct gen_flow *f = &m->trace->flows[s->flow];
    int a = s->closer;
    switch (s->phase) {
    case PH_SYN:
        emit(m, s, 0, F_SYN, f->isn[0], 0, 0, 0, GEN_SYN);
        s->phase = PH_SYNACK;
        return;
    case PH_SYNACK:
        emit(m, s, 1, F_SYN | F_ACK, f->isn[1], f->isn[0] + 1, 0, 0, GEN_SYN);
        s->phase = PH_ACK;
        return;
    case PH_ACK:
        emit_plain(m, s, 0, F_ACK, GEN_ACK);
        s->phase = PH_DATA;
        if (idle(s) && f->end == 2)
            end_flow(m, s);
        return;
    case PH_DATA:
        if (send_data(m, s)) {
            if (idle(s) && f->end == 2)
                end_flow(m, s);
            return;
        }
        if (f->end == 1) {
            emit_plain(m, s, a, F_RST | F_ACK, GEN_RST);
            end_flow(m, s);
            return;
        }
        s->phase = PH_FIN1;
        /* fallthrough */
    case PH_FIN1:
        emit_plain(m, s, a, F_FIN | F_ACK, GEN_FIN);
        s->phase = PH_FIN2;
        return;
    case PH_FIN2:
        emit(m, s, !a, F_FIN | F_ACK, f->isn[!a] + 1 + s->next[!a], f->isn[a] + 2 + s->next[a], 0, 0, GEN_FIN);
        s->phase = PH_LAST;
        return;
    case PH_LAST:
        emit(m, s, a, F_ACK, f->isn[a] + 2 + s->next[a], f->isn[!a] + 2 + s->next[!a], 0, 0, GEN_ACK);
        end_flow(m, s);
        return;
    default:
        return;
    }
}

static void run(struct maker *m)
{
    struct gen_trace *t = m->trace;
    const struct gen_options *o = &t->options;
    uint32_t open = o->concurrent, held = 0, started = open;
    struct flow_state *slots = (struct flow_state *)malloc(open * sizeof *slots);
    if (!slots)
        return;
    for (uint32_t i = 0; i < open; i++)
        start_flow(m, &slots[i], i);
    if (o->open_first)
        for (int round = 0; round < 3; round++)
            for (uint32_t i = 0; i < open; i++)
                if (slots[i].phase != PH_DONE)
                    step(m, &slots[i]);
    t->steady_begin = o->open_first ? t->frame_count : 0;
    uint32_t turn = 0;
    /* Slots [0, open) take part; [open, open + held) wait to be closed at the end. */
    while (open > 0) {
        uint32_t i = turn;
        uint32_t train = 1;
        if (o->order != GEN_ROUND_ROBIN)
            i = below(&m->rng, open);
        if (o->order == GEN_BURSTY)
            train = 1 + below(&m->rng, 2 * o->burst - 1);
        struct flow_state *s = &slots[i];
        while (train-- > 0 && s->phase != PH_DONE) {
            if (o->open_first && started == o->flows && idle(s))
                break;
            step(m, s);
        }
        if (s->phase == PH_DONE) {
            if (started < o->flows) {
                start_flow(m, s, started++);
            } else {
                /* fill the hole from the open ones, then theirs from the held */
                if (!t->steady_end && t->flows[s->flow].end != 2)
                    t->steady_end = t->frame_count;
                open--;
                slots[i] = slots[open];
                slots[open] = slots[open + held];
                continue;
            }
        } else if (o->open_first && started == o->flows && idle(s)) {
            struct flow_state keep = *s;
            open--;
            slots[i] = slots[open];
            slots[open] = keep;
            held++;
            continue;
        }
        if (++turn >= open)
            turn = 0;
    }
    if (!t->steady_end)
        t->steady_end = t->frame_count;
    for (int round = 0; round < 4 && held > 0; round++)
        for (uint32_t i = 0; i < held; i++)
            if (slots[i].phase != PH_DONE)
                step(m, &slots[i]);
    if (t->steady_begin >= t->steady_end) {
        t->steady_begin = 0;
        t->steady_end = t->frame_count;
    }
    free(slots);
}

static void *reserve(size_t size, int shared)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_HUGEPAGE);
    return p;
}

static size_t pages(size_t size)
{
    size_t unit_size = 2u << 20;
    return (size + unit_size - 1) / unit_size * unit_size;
}

struct gen_trace *gen_make(const struct gen_options *given)
{
    struct gen_options o = *given;
    if (o.clients == 0)
        o.clients = o.flows < 65536 ? o.flows : 65536;
    if (o.flows == 0 || o.flows > 1u << 28 || o.concurrent == 0 || o.concurrent > o.flows ||
        o.frame_max < o.frame_min || o.frame_max > FRAME_MAX || o.servers == 0 || o.burst == 0 ||
        o.flows / o.clients >= 64000 || o.reorder < 0 || o.lost < 0 || o.rexmit < 0 ||
        o.reorder + o.lost + o.rexmit > 1 || o.reset < 0 || o.unclosed < 0 || o.ipv6 < 0 ||
        (o.pattern && o.pattern_every && strlen(o.pattern) * 2 > o.pattern_every)) {
        errno = EINVAL;
        return NULL;
    }
    struct gen_trace *t = (struct gen_trace *)calloc(1, sizeof *t);
    if (!t)
        return NULL;
    struct maker m;
    memset(&m, 0, sizeof m);
    m.trace = t;
    m.rng = mix(o.seed);
    t->options = o;
    t->flow_count = o.flows;
    t->flows = (struct gen_flow *)calloc(o.flows, sizeof *t->flows);
    m.pool = make_pool(&o, &m.pattern_at, &m.pattern_count);
    m.pattern_size = o.pattern ? (uint32_t)strlen(o.pattern) : 0;

    /* The most that can come out: every data segment sent twice. */
    uint64_t data = (uint64_t)o.flows * o.data_packets * (o.rexmit > 0 ? 2 : 1);
    uint64_t plain = (uint64_t)o.flows * 7 + (o.ack_every ? data / o.ack_every + o.flows * 2ull : 0);
    uint32_t largest = o.frame_max > 110 ? o.frame_max : 110;
    t->arena_size = pages(data * ((largest + 7ull) & ~7ull) + plain * 112);
    t->frames_size = pages((data + plain) * sizeof *t->frames);
    t->arena = (uint8_t *)reserve(t->arena_size, o.shared);
    t->frames = (struct gen_frame *)reserve(t->frames_size, o.shared);
    if (!t->flows || !m.pool || !t->arena || !t->frames) {
        free(m.pool);
        free(m.pattern_at);
        gen_free(t);
        errno = ENOMEM;
        return NULL;
    }
    run(&m);
    free(m.pool);
    free(m.pattern_at);
    if (t->frame_count == 0) {
        gen_free(t);
        errno = ENOMEM;
        return NULL;
    }
    t->duration_ns = (uint64_t)t->frame_count * o.interval_ns;
    size_t used = pages(m.arena_used);
    if (used < t->arena_size)
        munmap(t->arena + used, t->arena_size - used);
    t->arena_size = used;
    used = pages(t->frame_count * sizeof *t->frames);
    if (used < t->frames_size)
        munmap((uint8_t *)t->frames + used, t->frames_size - used);
    t->frames_size = used;
    return t;
}

void gen_free(struct gen_trace *t)
{
    if (!t)
        return;
    if (t->arena)
        munmap(t->arena, t->arena_size);
    if (t->frames)
        munmap(t->frames, t->frames_size);
    free(t->flows);
    free(t);
}

int gen_write_pcap(const struct gen_trace *t, const char *path, int nanoseconds)
{
    int standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "wb");
    if (!file)
        return errno;
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    /* pcap-savefile(5) */
    struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, figures, snaplen, link;
    } head = {nanoseconds ? 0xa1b23c4du : 0xa1b2c3d4u, 2, 4, 0, 0, 65535, 1};
    int error = fwrite(&head, sizeof head, 1, file) == 1 ? 0 : EIO;
    for (size_t i = 0; i < t->frame_count && !error; i++) {
        const struct gen_frame *f = &t->frames[i];
        uint32_t fraction = (uint32_t)(f->time_ns % 1000000000u);
        uint32_t record[4] = {(uint32_t)(f->time_ns / 1000000000u), nanoseconds ? fraction : fraction / 1000,
                              f->len, f->len};
        if (fwrite(record, sizeof record, 1, file) != 1 || fwrite(f->data, f->len, 1, file) != 1)
            error = errno ? errno : EIO;
    }
    if (standard ? fflush(file) : fclose(file))
        error = errno;
    return error;
}
