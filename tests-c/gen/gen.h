/* A generator of TCP conversations for tests and benchmarks: seeded, fast, and
 * it knows the truth about every stream that it made.
 *
 * The same options and seed give the same bytes on every machine. Headers are
 * those that a capture on a path between the two ends would show: sequence and
 * acknowledgement numbers, windows and checksums are right, an acknowledgement
 * never covers a segment that the trace has not (re)delivered yet. */
#ifndef GEN_H
#define GEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which flow sends the next packet. */
enum gen_order {
    GEN_ROUND_ROBIN, /* each open flow in turn */
    GEN_RANDOM,      /* any open flow, uniformly */
    GEN_BURSTY       /* a random flow sends a train, then another */
};

/** What a frame is (a bit set). */
enum gen_kind {
    GEN_SYN = 1,
    GEN_DATA = 2,
    GEN_ACK = 4,    /* no payload, no SYN, FIN or RST */
    GEN_FIN = 8,
    GEN_RST = 16,
    GEN_REXMIT = 32, /* repeats bytes that an earlier frame carried */
    GEN_LATE = 64    /* carries bytes that come after later ones of its stream */
};

/** All that can be chosen. Start from gen_defaults(). */
struct gen_options {
    uint64_t seed;
    uint32_t flows;         /* connections in all, 1 … 2^28 */
    uint32_t concurrent;    /* open at the same time, 1 … flows */
    uint32_t data_packets;  /* segments with payload for each flow, both directions together */
    uint32_t frame_min;     /* length of a data frame, Ethernet header included, FCS not; */
    uint32_t frame_max;     /*   uniform in min … max; up to 9014; at least one byte of payload */
    uint32_t client_share;  /* percent of the data segments that the client sends */
    uint32_t ack_every;     /* a bare ACK after so many data segments of one side; 0: none */
    enum gen_order order;
    uint32_t burst;         /* GEN_BURSTY: mean length of a train */
    int open_first;         /* first all handshakes of the first wave, then data; closes at the end */
    double reorder;         /* share of data segments that arrive a few packets late */
    double lost;            /* share lost before the capture point and retransmitted */
    double rexmit;          /* share lost after the capture point: seen twice */
    double reset;           /* share of flows that end by RST instead of FIN */
    double unclosed;        /* share of flows that just stop */
    double ipv6;            /* share of flows over IPv6 */
    int timestamps;         /* RFC 7323 timestamps */
    int checksums;          /* 0: leave TCP checksums wrong, as offloading captures do */
    uint32_t clients;       /* distinct client addresses; 0: min(flows, 65536) */
    uint32_t servers;       /* distinct server addresses */
    uint64_t start_ns;      /* time of the first frame, since the epoch */
    uint32_t interval_ns;   /* time between frames */
    const char *pattern;    /* planted into the streams; NULL: none */
    uint32_t pattern_every; /* mean distance of plantings in bytes */
    int hashes;             /* compute the hash of each stream (5 cycles a byte) */
    int shared;             /* arena in MAP_SHARED memory: not counted as a child's own after fork */
};

struct gen_frame {
    const uint8_t *data;
    uint64_t time_ns;
    uint32_t flow; /* index into gen_trace.flows */
    uint16_t len;
    uint8_t side;  /* sender: 0 client, 1 server */
    uint8_t kind;  /* bits of enum gen_kind */
};

/** The truth about a flow. Side 0 is what the client sent, side 1 the server. */
struct gen_flow {
    uint64_t bytes[2];      /* length of the stream */
    uint64_t hash[2];       /* FNV-1a 64 of the stream (offset basis if empty or not computed) */
    uint32_t isn[2];        /* initial sequence numbers */
    uint32_t packets[2];    /* frames in the trace */
    uint32_t repeated[2];   /* bytes of payload that frames marked GEN_REXMIT carry */
    uint32_t hits[2];       /* occurrences of the pattern in the stream */
    uint32_t client, server; /* IPv4 addresses, host order; for IPv6 the low 32 bits */
    uint16_t client_port, server_port;
    uint8_t ipv6;
    uint8_t end;            /* 0 FIN, 1 RST, 2 not closed */
};

struct gen_trace {
    struct gen_options options;
    struct gen_frame *frames;
    size_t frame_count;
    struct gen_flow *flows;
    uint32_t flow_count;
    uint64_t frame_bytes;   /* sum of all len */
    uint64_t payload_bytes; /* TCP payload in all frames, repeats included */
    uint64_t stream_bytes;  /* sum of all streams' lengths */
    uint64_t hits;          /* sum of all flows' hits */
    uint64_t duration_ns;   /* from the first frame to one interval after the last */
    size_t steady_begin;    /* frames from here … */
    size_t steady_end;      /* … to here (exclusive) see `concurrent` flows open; all frames if
                               there is no such stretch (no data, or flows end before all are open) */
    uint8_t *arena;
    size_t arena_size;
    size_t frames_size;
};

/** 10 000 flows at once, 64-byte frames, ten data packets each, random order. */
void gen_defaults(struct gen_options *options);

/** Makes a trace. NULL when the options make no sense (EINVAL) or memory is
 *  short (ENOMEM). */
struct gen_trace *gen_make(const struct gen_options *options);

void gen_free(struct gen_trace *trace);

/** Writes a pcap file with nanosecond stamps (`nanoseconds` 1) or microsecond
 *  stamps (0); "-" is standard output. 0 or an errno value. */
int gen_write_pcap(const struct gen_trace *trace, const char *path, int nanoseconds);

/** FNV-1a 64, continued: start with GEN_FNV_BASIS. */
#define GEN_FNV_BASIS 0xcbf29ce484222325ull
uint64_t gen_fnv(uint64_t hash, const void *bytes, size_t size);

/** The bytes `position` … `position + size` of a stream, made again from the
 *  seed: lets a test compare a read without keeping the stream. */
void gen_stream_bytes(const struct gen_trace *trace, uint32_t flow, int side,
                      uint64_t position, void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif
