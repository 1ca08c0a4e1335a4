/* gen-trace: writes a generated trace as a pcap file, and the truth about it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

static void usage(FILE *to)
{
    fputs("usage: gen-trace [options] FILE      (FILE - is standard output)\n"
          "  --seed N            default 1\n"
          "  --flows N           connections in all (10000)\n"
          "  --concurrent N      open at once (all)\n"
          "  --data-packets N    segments with payload for each flow (10)\n"
          "  --frame N[-M]       length of data frames (64; 1514 for 1500-byte packets)\n"
          "  --client-share P    percent of the segments that the client sends (30)\n"
          "  --ack-every N       a bare ACK after N segments (0: none)\n"
          "  --order O           round-robin, random (default), bursty\n"
          "  --burst N           mean train of bursty (8)\n"
          "  --mixed-phases      do not open all flows first and close all last\n"
          "  --reorder S, --lost S, --rexmit S    shares, 0 to 1\n"
          "  --reset S, --unclosed S, --ipv6 S    shares of the flows\n"
          "  --timestamps        RFC 7323 timestamps\n"
          "  --bad-checksums     wrong TCP checksums\n"
          "  --clients N, --servers N             distinct addresses\n"
          "  --interval NS       time between frames (200)\n"
          "  --pattern TEXT, --pattern-every BYTES\n"
          "  --truth FILE        CSV: flow, ends, bytes, FNV-1a 64 and hits of each stream\n"
          "  --microseconds      stamps in microseconds instead of nanoseconds\n",
          to);
}

static int write_truth(const struct gen_trace *t, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return -1;
    fprintf(file, "flow,ipv6,client,client_port,server,server_port,end,client_packets,server_packets,"
                  "client_bytes,server_bytes,client_hash,server_hash,client_repeated,server_repeated,"
                  "client_hits,server_hits\n");
    for (uint32_t i = 0; i < t->flow_count; i++) {
        const struct gen_flow *f = &t->flows[i];
        static const char *const ends[] = {"fin", "rst", "open"};
        fprintf(file, "%u,%u,%u.%u.%u.%u,%u,%u.%u.%u.%u,%u,%s,%u,%u,%llu,%llu,%016llx,%016llx,%u,%u,%u,%u\n", i,
                f->ipv6, f->client >> 24, f->client >> 16 & 255, f->client >> 8 & 255, f->client & 255,
                f->client_port, f->server >> 24, f->server >> 16 & 255, f->server >> 8 & 255, f->server & 255,
                f->server_port, ends[f->end], f->packets[0], f->packets[1], (unsigned long long)f->bytes[0],
                (unsigned long long)f->bytes[1], (unsigned long long)f->hash[0],
                (unsigned long long)f->hash[1], f->repeated[0], f->repeated[1], f->hits[0], f->hits[1]);
    }
    return fclose(file);
}

int main(int argc, char **argv)
{
    enum {
        SEED = 256, FLOWS, CONCURRENT, DATA, FRAME, SHARE, ACKS, ORDER, BURST, MIXED, REORDER, LOST, REXMIT,
        RESET, UNCLOSED, IPV6, STAMPS, BAD, CLIENTS, SERVERS, INTERVAL, PATTERN, EVERY, TRUTH, MICRO, HELP
    };
    static const struct option longs[] = {
        {"seed", 1, 0, SEED}, {"flows", 1, 0, FLOWS}, {"concurrent", 1, 0, CONCURRENT},
        {"data-packets", 1, 0, DATA}, {"frame", 1, 0, FRAME}, {"client-share", 1, 0, SHARE},
        {"ack-every", 1, 0, ACKS}, {"order", 1, 0, ORDER}, {"burst", 1, 0, BURST},
        {"mixed-phases", 0, 0, MIXED}, {"reorder", 1, 0, REORDER}, {"lost", 1, 0, LOST},
        {"rexmit", 1, 0, REXMIT}, {"reset", 1, 0, RESET}, {"unclosed", 1, 0, UNCLOSED}, {"ipv6", 1, 0, IPV6},
        {"timestamps", 0, 0, STAMPS}, {"bad-checksums", 0, 0, BAD}, {"clients", 1, 0, CLIENTS},
        {"servers", 1, 0, SERVERS}, {"interval", 1, 0, INTERVAL}, {"pattern", 1, 0, PATTERN},
        {"pattern-every", 1, 0, EVERY}, {"truth", 1, 0, TRUTH}, {"microseconds", 0, 0, MICRO},
        {"help", 0, 0, HELP}, {0, 0, 0, 0}};
    struct gen_options o;
    const char *truth = NULL;
    int nanoseconds = 1, all = 1, option;
    gen_defaults(&o);
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 0) : 0;
        double part = optarg ? atof(optarg) : 0;
        switch (option) {
        case SEED: o.seed = strtoull(optarg, NULL, 0); break;
        case FLOWS: o.flows = number; break;
        case CONCURRENT: o.concurrent = number; all = 0; break;
        case DATA: o.data_packets = number; break;
        case FRAME: {
            const char *dash = strchr(optarg, '-');
            o.frame_min = number;
            o.frame_max = dash ? (uint32_t)strtoul(dash + 1, NULL, 0) : number;
            break;
        }
        case SHARE: o.client_share = number; break;
        case ACKS: o.ack_every = number; break;
        case ORDER:
            if (strcmp(optarg, "round-robin") == 0)
                o.order = GEN_ROUND_ROBIN;
            else if (strcmp(optarg, "random") == 0)
                o.order = GEN_RANDOM;
            else if (strcmp(optarg, "bursty") == 0)
                o.order = GEN_BURSTY;
            else {
                usage(stderr);
                return 2;
            }
            break;
        case BURST: o.burst = number; break;
        case MIXED: o.open_first = 0; break;
        case REORDER: o.reorder = part; break;
        case LOST: o.lost = part; break;
        case REXMIT: o.rexmit = part; break;
        case RESET: o.reset = part; break;
        case UNCLOSED: o.unclosed = part; break;
        case IPV6: o.ipv6 = part; break;
        case STAMPS: o.timestamps = 1; break;
        case BAD: o.checksums = 0; break;
        case CLIENTS: o.clients = number; break;
        case SERVERS: o.servers = number; break;
        case INTERVAL: o.interval_ns = number; break;
        case PATTERN: o.pattern = optarg; break;
        case EVERY: o.pattern_every = number; break;
        case TRUTH: truth = optarg; break;
        case MICRO: nanoseconds = 0; break;
        case HELP:
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    }
    if (optind != argc - 1) {
        usage(stderr);
        return 2;
    }
    if (all)
        o.concurrent = o.flows;
    o.hashes = truth != NULL;
    struct gen_trace *t = gen_make(&o);
    if (!t) {
        perror("gen-trace");
        return 1;
    }
    int error = gen_write_pcap(t, argv[optind], nanoseconds);
    if (error) {
        fprintf(stderr, "gen-trace: %s: %s\n", argv[optind], strerror(error));
        return 1;
    }
    if (truth && write_truth(t, truth) != 0) {
        perror(truth);
        return 1;
    }
    fprintf(stderr, "%zu frames, %llu bytes, %u flows, %llu stream bytes, %llu occurrences of the pattern\n",
            t->frame_count, (unsigned long long)t->frame_bytes, t->flow_count,
            (unsigned long long)t->stream_bytes, (unsigned long long)t->hits);
    gen_free(t);
    return 0;
}
