/*
 * What each conversation of the lossy test does. Client and server program
 * work it out for themselves from the seed and the connection's number, which
 * the client's port tells, so that nothing about it is in the stream.
 */
#ifndef PLAN_H
#define PLAN_H

#include <stdint.h>

#define CLIENT_PORT 20000   /* + number of the connection */
#define SERVER_PORT 9000    /* + number of the loss rate */
#define MAX_PHASES 24

/* A number from a seed and a place: splitmix64. */
static inline uint64_t
mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* FNV-1a, 64 bits. */
#define FNV_START 0xcbf29ce484222325ull

static inline uint64_t
fnv(uint64_t hash, const uint8_t *bytes, uint64_t count)
{
    uint64_t i;

    for (i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    return hash;
}

enum mode {
    CLIENT_FIRST,   /* client writes and half-closes, then the server writes */
    SERVER_FIRST,   /* the other way round */
    AT_ONCE,        /* both write and half-close at the same time */
    PING_PONG,      /* small questions and answers in turn */
    CLIENT_ABORTS,  /* a RST of the client when both have read everything */
    SERVER_ABORTS,
    SLOW_READER,    /* small buffers, slow reader: the window closes */
    FAST_OPEN,      /* CLIENT_FIRST with data in the SYN (RFC 7413) */
    URGENT,         /* CLIENT_FIRST with urgent bytes, read in line */
    MODES
};

static const char *const mode_names[MODES] = {
    "client-first", "server-first", "at-once", "ping-pong", "client-aborts",
    "server-aborts", "slow-reader", "fast-open", "urgent",
};

/* One step of one end: it writes and reads at the same time, and goes on when
 * both are done. */
struct phase {
    uint32_t write;     /* bytes to write */
    int32_t read;       /* bytes to read; UNTIL_END: until EOF or RST */
    int shut;           /* half-close when all is written */
};
#define UNTIL_END (-1)

struct conversation {
    enum mode mode;
    uint32_t bytes[2];  /* what the client and the server write in all */
    int aborts;         /* which end ends it with a RST, -1: neither */
    int phases[2];
    struct phase phase[2][MAX_PHASES];
};

static inline uint32_t
pick_size(uint64_t *random, uint32_t largest)
{
    static const uint32_t sizes[] = {
        0, 1, 2, 100, 536, 1447, 1448, 1449, 1460, 1461, 4000, 16384,
        40000, 65535, 65536, 100000, 200000, 400000,
    };
    uint32_t size;

    *random = mix(*random);
    size = sizes[*random % (sizeof sizes / sizeof *sizes)];
    if (size > 4000)
        size += (uint32_t)(*random >> 40) % 3000;
    return size < largest ? size : largest - (uint32_t)(*random >> 40) % 1000;
}

static inline void
add_phase(struct conversation *c, int end, uint32_t write, int32_t read, int shut)
{
    const struct phase phase = { write, read, shut };

    c->phase[end][c->phases[end]++] = phase;
    c->bytes[end] += write;
}

/* The conversation number `index` at a loss rate of `percent`. */
static inline struct conversation
plan(uint64_t seed, uint32_t index, uint32_t percent)
{
    struct conversation c = { CLIENT_FIRST, { 0, 0 }, -1, { 0, 0 }, { { { 0, 0, 0 } } } };
    uint64_t random = mix(seed ^ mix(index));
    const uint32_t largest = percent >= 10 ? 120000 : percent >= 5 ? 200000 : 500000;
    const uint32_t out = pick_size(&random, largest);
    const uint32_t in = pick_size(&random, largest);
    uint32_t answer = 0;
    int i, rounds;

    random = mix(random);
    c.mode = (enum mode)(random % MODES);
    switch (c.mode) {
    case CLIENT_FIRST:
    case FAST_OPEN:
    case URGENT:
        /* Fast open sends its SYN with the first byte only. */
        add_phase(&c, 0, c.mode == FAST_OPEN ? out + 1 : out, UNTIL_END, 1);
        add_phase(&c, 1, 0, UNTIL_END, 0);
        add_phase(&c, 1, in, 0, 1);
        break;
    case SERVER_FIRST:
        add_phase(&c, 1, in, UNTIL_END, 1);
        add_phase(&c, 0, 0, UNTIL_END, 0);
        add_phase(&c, 0, out, 0, 1);
        break;
    case AT_ONCE:
        add_phase(&c, 0, out, UNTIL_END, 1);
        add_phase(&c, 1, in, UNTIL_END, 1);
        break;
    case PING_PONG:
        rounds = 2 + (int)((random >> 32) % (MAX_PHASES - 3));
        for (i = 0; i < rounds; i++) {
            const uint32_t question = 1 + (uint32_t)(mix(random + 2 * i) % 900);

            /* The answer goes out while the next question is awaited. */
            add_phase(&c, 1, answer, (int32_t)question, 0);
            answer = 1 + (uint32_t)(mix(random + 2 * i + 1) % 5000);
            add_phase(&c, 0, question, (int32_t)answer, 0);
        }
        add_phase(&c, 1, answer, UNTIL_END, 1);
        add_phase(&c, 0, 0, UNTIL_END, 1);
        break;
    case CLIENT_ABORTS:
        /* An answer to bytes that were all read, read completely: nothing is
         * under way when the RST goes out. */
        add_phase(&c, 0, out + 1, (int32_t)in + 1, 0);
        add_phase(&c, 1, 0, (int32_t)out + 1, 0);
        add_phase(&c, 1, in + 1, UNTIL_END, 0);
        c.aborts = 0;
        break;
    case SERVER_ABORTS:
        add_phase(&c, 0, out + 1, (int32_t)in + 1, 0);
        add_phase(&c, 0, 1, UNTIL_END, 0);
        add_phase(&c, 1, 0, (int32_t)out + 1, 0);
        add_phase(&c, 1, in + 1, 1, 0);
        c.aborts = 1;
        break;
    case SLOW_READER:
        add_phase(&c, 0, out % 20000, UNTIL_END, 1);
        add_phase(&c, 1, in % 60000, UNTIL_END, 1);
        break;
    case MODES:
        break;
    }
    return c;
}

/* The bytes that an end writes: from `offset` on. */
static inline void
stream_bytes(uint64_t seed, uint32_t index, int end, uint64_t offset, uint8_t *out, uint32_t count)
{
    const uint64_t key = mix(seed ^ mix(((uint64_t)index << 1) | (uint64_t)end));
    uint32_t i;

    for (i = 0; i < count; i++, offset++)
        out[i] = (uint8_t)(mix(key ^ (offset >> 3)) >> (8 * (offset & 7)));
}

#endif
