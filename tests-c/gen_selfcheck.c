/* Checks the trace generator against an independent reading of what it made:
 * every frame is parsed again, checksums are added byte by byte, streams are
 * put together in a byte map, and the result has to be the declared truth. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/gen.h"

static int failures;
static int quiet;

#define CHECK(condition, ...)                                                  \
    do {                                                                       \
        if (!(condition)) {                                                    \
            failures++;                                                        \
            if (!quiet && failures < 20) {                                     \
                fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
                fprintf(stderr, __VA_ARGS__);                                  \
                fputc('\n', stderr);                                           \
            }                                                                  \
        }                                                                      \
    } while (0)

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

static uint32_t slow_sum(uint32_t sum, const uint8_t *p, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

struct view {
    uint8_t *bytes[2];
    uint8_t *seen[2];
    uint64_t contiguous[2];
    uint64_t highest[2];
    uint64_t repeated[2];
    uint32_t packets[2];
    int syn[2], fin[2], rst;
};

static void check_frame(const struct gen_trace *t, size_t n, struct view *views)
{
    const struct gen_options *o = &t->options;
    const struct gen_frame *f = &t->frames[n];
    const struct gen_flow *flow = &t->flows[f->flow];
    struct view *v = &views[f->flow];
    const uint8_t *ip = f->data + 14;
    uint32_t ip_size, total;
    const uint8_t *tcp;
    uint32_t pseudo;
    int side = f->side;

    CHECK(f->len >= 60, "frame %zu has %u bytes", n, f->len);
    CHECK(f->time_ns == o->start_ns + n * (uint64_t)o->interval_ns, "frame %zu", n);
    if (flow->ipv6) {
        CHECK(get16(f->data + 12) == 0x86dd && ip[0] >> 4 == 6, "frame %zu", n);
        ip_size = 40;
        total = 40 + get16(ip + 4);
        CHECK(ip[6] == 6, "frame %zu", n);
        CHECK(get32(ip + 20) == (side ? flow->server : flow->client), "source of frame %zu", n);
        CHECK(get32(ip + 36) == (side ? flow->client : flow->server), "destination of frame %zu", n);
        pseudo = slow_sum(0, ip + 8, 32);
    } else {
        CHECK(get16(f->data + 12) == 0x0800 && ip[0] == 0x45, "frame %zu", n);
        ip_size = 20;
        total = get16(ip + 2);
        CHECK(ip[9] == 6, "frame %zu", n);
        CHECK(slow_sum(0, ip, 20) == 0xffff, "IP checksum of frame %zu", n);
        CHECK(get32(ip + 12) == (side ? flow->server : flow->client), "source of frame %zu", n);
        CHECK(get32(ip + 16) == (side ? flow->client : flow->server), "destination of frame %zu", n);
        pseudo = slow_sum(0, ip + 12, 8);
    }
    CHECK(14 + total <= f->len && (14 + total == f->len || f->len == 60), "length of frame %zu", n);
    tcp = ip + ip_size;
    uint32_t segment = total - ip_size;
    uint32_t header = (uint32_t)(tcp[12] >> 4) * 4;
    CHECK(header >= 20 && header <= segment, "data offset of frame %zu", n);
    if (header < 20 || header > segment)
        return;
    uint32_t sum = pseudo + 6 + segment;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = slow_sum(sum, tcp, segment);
    CHECK((sum == 0xffff) == !!o->checksums, "TCP checksum of frame %zu is %04x", n, sum);
    CHECK(get16(tcp) == (side ? flow->server_port : flow->client_port), "frame %zu", n);
    CHECK(get16(tcp + 2) == (side ? flow->client_port : flow->server_port), "frame %zu", n);

    uint32_t flags = tcp[13];
    uint32_t size = segment - header;
    uint32_t offset = get32(tcp + 4) - flow->isn[side] - 1;
    v->packets[side]++;
    CHECK(!(f->kind & GEN_SYN) == !(flags & 2), "SYN of frame %zu", n);
    CHECK(!(f->kind & GEN_FIN) == !(flags & 1), "FIN of frame %zu", n);
    CHECK(!(f->kind & GEN_RST) == !(flags & 4), "RST of frame %zu", n);
    CHECK(!(f->kind & GEN_DATA) == !size, "payload of frame %zu", n);
    if (flags & 2) {
        CHECK(offset == 0xffffffffu && size == 0, "sequence number of the SYN in frame %zu", n);
        CHECK(!v->syn[side] && (side == 0 || v->syn[0]), "order of the handshake in frame %zu", n);
        CHECK(!(flags & 16) == !side, "ACK of the SYN in frame %zu", n);
        v->syn[side] = 1;
        if (flags & 16)
            CHECK(get32(tcp + 8) == flow->isn[0] + 1, "frame %zu", n);
        return;
    }
    CHECK(flags & 16, "no ACK in frame %zu", n);
    CHECK(v->syn[0] && v->syn[1], "frame %zu before the handshake", n);
    CHECK(!v->rst, "frame %zu after a RST", n);
    uint32_t acked = get32(tcp + 8) - flow->isn[!side] - 1;
    CHECK(acked <= v->contiguous[!side] + (v->fin[!side] ? 1 : 0),
          "frame %zu acknowledges %u of %llu", n, acked, (unsigned long long)v->contiguous[!side]);
    CHECK(size == 0 || !v->fin[side], "data after FIN in frame %zu", n);
    if (flags & 1) {
        CHECK(offset == flow->bytes[side], "FIN of frame %zu not at the end", n);
        v->fin[side]++;
    }
    if (flags & 4)
        v->rst = 1;
    if ((uint64_t)offset + size > flow->bytes[side] + (v->fin[side] ? 1 : 0)) {
        CHECK(0, "frame %zu beyond the end of its stream", n);
        return;
    }
    if (!size)
        return;
    uint32_t again = 0;
    for (uint32_t i = 0; i < size; i++)
        again += v->seen[side][offset + i];
    CHECK(!(f->kind & GEN_REXMIT) == !again, "frame %zu repeats %u bytes", n, again);
    CHECK(again == 0 || memcmp(v->bytes[side] + offset, tcp + header, size) == 0,
          "frame %zu repeats other bytes", n);
    int late = v->highest[side] > offset;
    CHECK(!(f->kind & (GEN_LATE | GEN_REXMIT)) == !late, "frame %zu, kind %u", n, f->kind);
    v->repeated[side] += again;
    memcpy(v->bytes[side] + offset, tcp + header, size);
    memset(v->seen[side] + offset, 1, size);
    if (v->highest[side] < offset + (uint64_t)size)
        v->highest[side] = offset + (uint64_t)size;
    while (v->contiguous[side] < flow->bytes[side] && v->seen[side][v->contiguous[side]])
        v->contiguous[side]++;
}

static uint32_t occurrences(const uint8_t *bytes, uint64_t size, const char *pattern)
{
    uint32_t hits = 0;
    const uint8_t *end = bytes + size, *at = bytes;
    size_t length = strlen(pattern);
    while ((at = (const uint8_t *)memmem(at, (size_t)(end - at), pattern, length)) != NULL) {
        hits++;
        at++;
    }
    return hits;
}

/* Number of findings; prints the first of them unless `quiet`. */
static int check_trace(const struct gen_trace *t)
{
    failures = 0;
    struct view *views = (struct view *)calloc(t->flow_count, sizeof *views);
    uint64_t frame_bytes = 0, payload = 0, stream = 0, hits = 0;
    for (uint32_t i = 0; i < t->flow_count; i++)
        for (int side = 0; side < 2; side++) {
            views[i].bytes[side] = (uint8_t *)calloc(1, t->flows[i].bytes[side] + 2);
            views[i].seen[side] = (uint8_t *)calloc(1, t->flows[i].bytes[side] + 2);
        }
    uint32_t open = 0, most = 0;
    for (size_t n = 0; n < t->frame_count; n++) {
        const struct gen_frame *f = &t->frames[n];
        struct view *v = &views[f->flow];
        int was = v->syn[1] && !v->rst && !(v->fin[0] && v->fin[1]);
        check_frame(t, n, views);
        int is = v->syn[1] && !v->rst && !(v->fin[0] && v->fin[1]);
        open += (uint32_t)(is - was);
        if (open > most)
            most = open;
        if (t->options.open_first && t->options.data_packets > 0 && t->options.unclosed == 0 && t->options.flows == t->options.concurrent &&
            n >= t->steady_begin && n < t->steady_end)
            CHECK(open == t->options.concurrent, "%u flows open at frame %zu", open, n);
        frame_bytes += f->len;
        if (f->kind & GEN_DATA) {
            const uint8_t *ip = f->data + 14;
            uint32_t ip_size = ip[0] >> 4 == 6 ? 40 : 20;
            uint32_t total = ip_size == 40 ? 40 + get16(ip + 4) : get16(ip + 2);
            payload += total - ip_size - (uint32_t)(ip[ip_size + 12] >> 4) * 4;
        }
    }
    if (t->options.unclosed == 0)
        CHECK(most <= t->options.concurrent, "%u flows open at once", most);
    for (uint32_t i = 0; i < t->flow_count; i++) {
        const struct gen_flow *flow = &t->flows[i];
        struct view *v = &views[i];
        for (int side = 0; side < 2; side++) {
            CHECK(v->contiguous[side] == flow->bytes[side], "flow %u side %d: %llu of %llu bytes", i, side,
                  (unsigned long long)v->contiguous[side], (unsigned long long)flow->bytes[side]);
            CHECK(v->packets[side] == flow->packets[side], "flow %u side %d", i, side);
            CHECK(v->repeated[side] == flow->repeated[side], "flow %u side %d", i, side);
            CHECK(v->fin[side] == (flow->end == 0), "flow %u side %d has %d FINs", i, side, v->fin[side]);
            if (t->options.hashes)
                CHECK(gen_fnv(GEN_FNV_BASIS, v->bytes[side], flow->bytes[side]) == flow->hash[side],
                      "hash of flow %u side %d", i, side);
            uint8_t *again = (uint8_t *)malloc(flow->bytes[side] + 1);
            gen_stream_bytes(t, i, side, 0, again, flow->bytes[side]);
            CHECK(memcmp(again, v->bytes[side], flow->bytes[side]) == 0, "bytes of flow %u side %d", i, side);
            free(again);
            if (t->options.pattern)
                CHECK(occurrences(v->bytes[side], flow->bytes[side], t->options.pattern) == flow->hits[side],
                      "hits of flow %u side %d", i, side);
            stream += flow->bytes[side];
            hits += flow->hits[side];
            free(v->bytes[side]);
            free(v->seen[side]);
        }
        CHECK(v->rst == (flow->end == 1), "flow %u", i);
    }
    free(views);
    CHECK(frame_bytes == t->frame_bytes, "frame bytes");
    CHECK(payload == t->payload_bytes, "payload bytes");
    CHECK(stream == t->stream_bytes, "stream bytes");
    CHECK(hits == t->hits, "hits");
    CHECK(t->duration_ns == t->frame_count * (uint64_t)t->options.interval_ns, "duration");
    CHECK(t->steady_begin < t->steady_end && t->steady_end <= t->frame_count, "steady range");
    return failures;
}

static uint64_t fingerprint(const struct gen_trace *t)
{
    uint64_t hash = GEN_FNV_BASIS;
    for (size_t n = 0; n < t->frame_count; n++)
        hash = gen_fnv(hash, t->frames[n].data, t->frames[n].len);
    return hash;
}

static int check_pcap(const struct gen_trace *t, int nanoseconds)
{
    char path[] = "/tmp/gen-selfcheck-XXXXXX";
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        return 1;
    int bad = gen_write_pcap(t, path, nanoseconds) != 0;
    FILE *file = fdopen(descriptor, "rb");
    uint32_t head[6];
    bad |= fread(head, sizeof head, 1, file) != 1 || head[0] != (nanoseconds ? 0xa1b23c4du : 0xa1b2c3d4u) ||
           head[5] != 1;
    uint8_t buffer[9014];
    for (size_t n = 0; n < t->frame_count && !bad; n++) {
        const struct gen_frame *f = &t->frames[n];
        uint32_t record[4];
        bad |= fread(record, sizeof record, 1, file) != 1 || record[2] != f->len || record[3] != f->len ||
               fread(buffer, f->len, 1, file) != 1 || memcmp(buffer, f->data, f->len) != 0;
        uint64_t ns = record[0] * 1000000000ull + record[1] * (nanoseconds ? 1u : 1000u);
        bad |= ns != (nanoseconds ? f->time_ns : f->time_ns / 1000 * 1000);
    }
    bad |= fgetc(file) != EOF;
    fclose(file);
    unlink(path);
    return bad;
}

static int total_failures;

static void report(const char *name, int bad)
{
    printf("%s %s\n", bad ? "FAIL" : "ok  ", name);
    total_failures += bad != 0;
}

static void run(const char *name, struct gen_options o)
{
    struct gen_trace *t = gen_make(&o);
    if (!t) {
        report(name, 1);
        return;
    }
    int bad = check_trace(t);
    struct gen_trace *again = gen_make(&o);
    bad += !again || fingerprint(t) != fingerprint(again);
    gen_free(again);
    o.seed++;
    again = gen_make(&o);
    bad += !again || fingerprint(t) == fingerprint(again);
    gen_free(again);
    bad += check_pcap(t, 1) + check_pcap(t, 0);
    gen_free(t);
    report(name, bad);
}

/* The share of frames of a kind among the data segments of the streams. */
static double share(const struct gen_trace *t, unsigned kind)
{
    size_t with = 0, data = 0;
    for (size_t n = 0; n < t->frame_count; n++)
        if (t->frames[n].kind & GEN_DATA) {
            with += (t->frames[n].kind & kind) != 0;
            data += !(t->frames[n].kind & GEN_REXMIT);
        }
    return (double)with / (double)data;
}

int main(void)
{
    struct gen_options base, o;
    gen_defaults(&base);
    base.flows = base.concurrent = 300;
    base.hashes = 1;
    base.pattern_every = 2048;

    run("64-byte frames", base);
    o = base;
    o.frame_min = o.frame_max = 1514;
    o.data_packets = 40;
    run("1500-byte packets", o);
    o.order = GEN_ROUND_ROBIN;
    o.ack_every = 2;
    run("round robin with bare ACKs", o);
    o.order = GEN_BURSTY;
    o.frame_min = 60;
    run("trains, mixed sizes", o);
    o.reorder = o.lost = o.rexmit = 0.05;
    run("late, lost and repeated segments", o);
    o.timestamps = 1;
    o.ipv6 = 0.5;
    run("timestamps, IPv6", o);
    o.reset = 0.3;
    o.unclosed = 0.3;
    run("resets and flows that stop", o);
    o.flows = 3000;
    o.data_packets = 4;
    o.order = GEN_RANDOM;
    run("short flows", o);
    o = base;
    o.flows = 2000;
    o.concurrent = 100;
    o.open_first = 0;
    o.order = GEN_ROUND_ROBIN;
    run("short flows, round robin", o);
    o = base;
    o.data_packets = 0;
    o.ipv6 = 1;
    run("no data", o);
    o = base;
    o.checksums = 0;
    run("wrong checksums on purpose", o);
    o = base;
    o.flows = o.concurrent = 5;
    o.data_packets = 2000;
    o.frame_min = o.frame_max = 9014;
    o.ack_every = 1;
    o.order = GEN_BURSTY;
    run("long streams, jumbo frames", o);

    o = base;
    o.flows = o.concurrent = 2000;
    o.data_packets = 50;
    o.rexmit = 0.05;
    struct gen_trace *t = gen_make(&o);
    double got = share(t, GEN_REXMIT);
    report("5 % repeated", got < 0.045 || got > 0.055);
    gen_free(t);
    o.rexmit = 0;
    o.reorder = 0.05;
    t = gen_make(&o);
    got = share(t, GEN_LATE);
    report("5 % late", got < 0.035 || got > 0.055);
    gen_free(t);

    /* The checker must see what is wrong: one flipped bit, one frame in the
     * wrong place, one missing. */
    o = base;
    o.hashes = 1;
    quiet = 1;
    t = gen_make(&o);
    size_t n = t->frame_count / 2;
    t->arena[(size_t)(t->frames[n].data - t->arena) + 60] ^= 4;
    report("a flipped bit is seen", check_trace(t) == 0);
    t->arena[(size_t)(t->frames[n].data - t->arena) + 60] ^= 4;
    report("and put back is not", check_trace(t) != 0);
    t->flows[7].hash[1] ^= 1;
    report("a wrong hash is seen", check_trace(t) == 0);
    t->flows[7].hash[1] ^= 1;
    t->frames[n].kind ^= GEN_REXMIT;
    report("a wrong mark is seen", check_trace(t) == 0);
    t->frames[n].kind ^= GEN_REXMIT;
    t->frame_count--;
    report("a missing frame is seen", check_trace(t) == 0);
    t->frame_count++;
    gen_free(t);
    quiet = 0;

    o = base;
    o.concurrent = o.flows + 1;
    errno = 0;
    report("impossible options are refused", gen_make(&o) != NULL || errno != EINVAL);
    return total_failures ? 1 : 0;
}
