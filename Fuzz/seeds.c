/* seeds TARGET DIRECTORY TOP: good beginnings for a fuzz target's search. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gen/gen.h>

#include "traffic.h"

static const char *directory;

static void save(const char *name, const void *bytes, size_t size)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* ---- packets ------------------------------------------------------------ */

#define FLOW(n) ((n) << 4)
#define SERVER 0x80

static const struct {
    const char *name;
    uint8_t length;
    uint8_t bytes[96];
} stories[] = {
#define STORY(name, ...) {name, sizeof((const uint8_t[]){__VA_ARGS__}), {__VA_ARGS__}}
    STORY("clean", OP_HANDSHAKE, OP_DATA_ACKED, 20, OP_DATA_ACKED | SERVER, 180, OP_DATA_ACKED | SERVER, 180, OP_FIN,
          OP_FIN | SERVER, OP_ACK),
    STORY("reorder", OP_HANDSHAKE | FLOW(1), OP_AHEAD | FLOW(1), 20, 30, OP_AHEAD | FLOW(1), 2, 9, OP_DATA | FLOW(1),
          60, OP_REPEAT | FLOW(1), 40, 50, OP_ACK | FLOW(1) | SERVER, OP_FIN | FLOW(1)),
    STORY("gap", OP_HANDSHAKE | FLOW(2), OP_AHEAD | FLOW(2) | SERVER, 50, 50, OP_ACK | FLOW(2),
          OP_DATA_ACKED | FLOW(2) | SERVER, 9, OP_REPEAT | FLOW(2) | SERVER, 80, 10, OP_RST | FLOW(2)),
    STORY("overlaps", OP_HANDSHAKE, OP_AHEAD, 10, 10, OP_AHEAD, 5, 3, OP_REPEAT, 12, 20, OP_REPEAT, 25, 40,
          OP_REPEAT, 250, 255, OP_ACK | SERVER),
    STORY("halfclosed", OP_HANDSHAKE | FLOW(3), OP_DATA_ACKED | FLOW(3), 4, OP_FIN | FLOW(3),
          OP_ACK | FLOW(3) | SERVER, OP_DATA_ACKED | FLOW(3) | SERVER, 200, OP_DATA_ACKED | FLOW(3) | SERVER, 200,
          OP_FIN | FLOW(3) | SERVER, OP_ACK | FLOW(3)),
    STORY("again", OP_HANDSHAKE | FLOW(4), OP_DATA_ACKED | FLOW(4), 30, OP_NEW | FLOW(4), 1, OP_HANDSHAKE | FLOW(4),
          OP_DATA_ACKED | FLOW(4), 30, OP_FIN | FLOW(4), OP_FIN | FLOW(4) | SERVER, OP_ACK | FLOW(4), OP_NEW | FLOW(4),
          0, OP_HANDSHAKE | FLOW(4), OP_RST | FLOW(4) | SERVER),
    STORY("both", OP_SYN, OP_SYN | FLOW(7), OP_SYN | FLOW(7) | SERVER, OP_SYN | SERVER, OP_ACK, OP_ACK | FLOW(7),
          OP_DATA_ACKED, 5),
    STORY("fragments", OP_HANDSHAKE, OP_FRAGMENTS, 100, 20, 0, OP_FRAGMENTS, 100, 20, 1, OP_FRAGMENTS, 60, 9, 8,
          OP_FRAGMENTS, 60, 9, 2, OP_FRAGMENTS, 60, 9, 4, OP_DATA_ACKED, 3),
    STORY("options", OP_OPTIONS, 20, 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 3, 3, OP_HANDSHAKE | FLOW(5),
          OP_OPTIONS, 12, 1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 1, OP_DATA_ACKED | FLOW(5), 7, OP_OPTIONS, 3, 8, 200, 1,
          OP_DATA | FLOW(5), 7),
    STORY("segments", OP_HANDSHAKE, OP_SEGMENT, 16, 0, 0, 0, 0, 255, 40, OP_SEGMENT, 24, 0, 41, 0, 0, 0, 9, OP_SEGMENT,
          17, 255, 240, 255, 255, 1, 16, OP_SEGMENT, 2, 0, 5, 0, 0, 1, 8, OP_SEGMENT, 4, 0, 0, 0, 0, 0, 0),
    STORY("time", OP_HANDSHAKE | FLOW(6), OP_DATA | FLOW(6), 3, OP_TIME, 10, OP_DATA | FLOW(6), 3, OP_TIME, 11,
          OP_HANDSHAKE | FLOW(6), OP_TIME, 9, OP_FIN | FLOW(6), OP_FIN | FLOW(6) | SERVER, OP_ACK | FLOW(6), OP_TIME,
          10),
    STORY("spoilt", OP_HANDSHAKE, OP_DATA, 30, OP_SPOIL, 46, 0xf0, OP_SPOIL, 14, 3, OP_SPOIL, 251, 60, OP_SPOIL, 250,
          33, OP_SPOIL, 60, 1, OP_ACK | SERVER),
    STORY("raw", OP_RAW, 0, 14, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, OP_RAW, 1, 4, 0x46, 0, 0, 20, OP_RAW, 2, 6, 1,
          2, 3, 4, 5, 6, OP_RAW | FLOW(4), 2, 4, 1, 2, 3, 4, OP_RAW, 6, 8, 1, 2, 3, 4, 5, 6, 7, 8),
    STORY("interleaved", OP_HANDSHAKE, OP_HANDSHAKE | FLOW(1), OP_HANDSHAKE | FLOW(4), OP_HANDSHAKE | FLOW(6), OP_DATA,
          9, OP_DATA | FLOW(1), 9, OP_DATA | FLOW(4), 9, OP_DATA | FLOW(6) | SERVER, 9, OP_AHEAD, 1, 9,
          OP_AHEAD | FLOW(1), 1, 9, OP_REPEAT, 9, 9, OP_FIN | FLOW(4), OP_RST, OP_FIN | FLOW(6) | SERVER, OP_ACK),
};

static void save_stories(void)
{
    /* What the last bytes choose: burst, buffers, reader, policies. */
    static const uint8_t knobs[][3] = {{0, 0, 0}, {2, 0x01, 5}, {0, 0x20, 0x10}, {4, 0xd0, 0x95}, {1, 0x3a, 0x27},
                                       {0, 0x41, 0x8d}};
    uint8_t bytes[128];
    char name[64];

    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        for (size_t k = 0; k < sizeof knobs / sizeof *knobs; k++) {
            memcpy(bytes, stories[i].bytes, stories[i].length);
            memcpy(bytes + stories[i].length, knobs[k], 3);
            snprintf(name, sizeof name, "%s-%zu", stories[i].name, k);
            save(name, bytes, stories[i].length + 3u);
        }
}

/* The stories, with as many bytes for the handlers behind each. */
static void save_calls(void)
{
    uint64_t random = 88172645463325252;
    uint8_t bytes[2048];
    char name[64];

    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++)
        for (uint32_t turn = 0; turn < 6; turn++) {
            size_t length = 0;

            /* Several times over: the flows are open already, and closed again. */
            while (length + stories[i].length < sizeof bytes / 2 && length < 60u << turn) {
                memcpy(bytes + length, stories[i].bytes, stories[i].length);
                length += stories[i].length;
            }
            for (size_t at = length; at < 2 * length; at++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                bytes[at] = (uint8_t)(random >> 32);
            }
            snprintf(name, sizeof name, "%s-%u", stories[i].name, turn);
            save(name, bytes, 2 * length);
        }
}

/* ---- traces ------------------------------------------------------------- */

static void put(uint8_t *to, uint64_t value, int bytes, int big)
{
    for (int i = 0; i < bytes; i++)
        to[big ? bytes - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

static const struct link {
    uint16_t type;
    uint8_t header; /* bytes of the link's header */
    const char *name;
} links[] = {{1, 14, "ethernet"}, {101, 0, "raw"}, {0, 4, "null"}, {108, 4, "loop"}, {113, 16, "sll"},
             {276, 20, "sll2"}};

/* A frame as that link has it. Returns its length. */
static uint32_t put_frame(uint8_t *to, const struct gen_frame *frame, const struct link *link, int big)
{
    const uint32_t family = frame->data[12] == 0x86 ? 10 : 2;

    memset(to, 0, link->header);
    switch (link->type) {
    case 1: memcpy(to, frame->data, 14); break;
    case 0: put(to, family, 4, big); break;
    case 108: put(to, family, 4, 1); break;
    case 113: memcpy(to + 14, frame->data + 12, 2); break;
    case 276: memcpy(to, frame->data + 12, 2); break;
    default: break;
    }
    memcpy(to + link->header, frame->data + 14, frame->len - 14u);
    return frame->len - 14u + link->header;
}

/* As many frames as fit into a seed of usual size. */
#define TRACE_ROOM 3800

static void save_pcap(const struct gen_trace *trace, const struct link *link, int big, int nanoseconds)
{
    uint8_t bytes[TRACE_ROOM + 512] = {0};
    uint32_t used = 24;
    char name[64];

    put(bytes, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, 4, big);
    put(bytes + 4, 2, 2, big);
    put(bytes + 6, 4, 2, big);
    put(bytes + 16, 65535, 4, big);
    put(bytes + 20, link->type, 4, big);
    for (size_t i = 0; i < trace->frame_count && used < TRACE_ROOM; i++) {
        const struct gen_frame *frame = &trace->frames[i];
        const uint32_t length = put_frame(bytes + used + 16, frame, link, big);

        put(bytes + used, frame->time_ns / 1000000000, 4, big);
        put(bytes + used + 4, frame->time_ns % 1000000000 / (nanoseconds ? 1 : 1000), 4, big);
        put(bytes + used + 8, length, 4, big);
        put(bytes + used + 12, length, 4, big);
        used += 16 + length;
    }
    snprintf(name, sizeof name, "%s-%s-%s", link->name, big ? "big" : "little", nanoseconds ? "ns" : "us");
    save(name, bytes, used);
    snprintf(name, sizeof name, "%s-%s-%s-cut", link->name, big ? "big" : "little", nanoseconds ? "ns" : "us");
    save(name, bytes, used - 20);
}

/* A section, an interface, the frames as enhanced packet blocks. */
static void save_pcapng(const struct gen_trace *trace, const struct link *link)
{
    uint8_t bytes[TRACE_ROOM + 512] = {0};
    uint32_t used = 48;
    char name[64];

    put(bytes, 0x0a0d0d0a, 4, 0);
    put(bytes + 4, 28, 4, 0);
    put(bytes + 8, 0x1a2b3c4d, 4, 0);
    put(bytes + 12, 1, 2, 0);
    put(bytes + 16, UINT64_MAX, 8, 0);
    put(bytes + 24, 28, 4, 0);
    put(bytes + 28, 1, 4, 0);
    put(bytes + 32, 20, 4, 0);
    put(bytes + 36, link->type, 2, 0);
    put(bytes + 44, 20, 4, 0);
    for (size_t i = 0; i < trace->frame_count && used < TRACE_ROOM; i++) {
        const struct gen_frame *frame = &trace->frames[i];
        const uint64_t stamp = frame->time_ns / 1000;
        const uint32_t length = put_frame(bytes + used + 28, frame, link, 0), padded = (length + 3) & ~3u;

        put(bytes + used, 6, 4, 0);
        put(bytes + used + 4, 32 + padded, 4, 0);
        put(bytes + used + 12, stamp >> 32, 4, 0);
        put(bytes + used + 16, stamp, 4, 0);
        put(bytes + used + 20, length, 4, 0);
        put(bytes + used + 24, length, 4, 0);
        put(bytes + used + 28 + padded, 32 + padded, 4, 0);
        used += 32 + padded;
    }
    snprintf(name, sizeof name, "%s-pcapng", link->name);
    save(name, bytes, used);
}

/* The same packets in every kind of file. */
static void save_traces(void)
{
    struct gen_options options;
    struct gen_trace *trace;

    gen_defaults(&options);
    options.flows = 4;
    options.concurrent = 4;
    options.data_packets = 6;
    options.frame_min = 80;
    options.frame_max = 200;
    options.ipv6 = 0.5;
    options.reorder = options.rexmit = 0.2;
    trace = gen_make(&options);
    if (!trace) {
        perror("seeds: no trace");
        exit(1);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        for (int kind = 0; kind < 4; kind++)
            save_pcap(trace, &links[i], kind & 1, kind >> 1);
        save_pcapng(trace, &links[i]);
    }
    gen_free(trace);
}

/* ---- texts -------------------------------------------------------------- */

static void copy_files(const char *from)
{
    DIR *folder = opendir(from);
    const struct dirent *entry;

    if (!folder) {
        perror(from);
        exit(1);
    }
    while ((entry = readdir(folder))) {
        char path[4096];
        static char text[1 << 20];
        FILE *file;
        size_t size;

        if (!strstr(entry->d_name, ".conf"))
            continue;
        snprintf(path, sizeof path, "%s/%s", from, entry->d_name);
        file = fopen(path, "rb");
        if (!file)
            continue;
        size = fread(text, 1, sizeof text, file);
        fclose(file);
        save(entry->d_name, text, size);
    }
    closedir(folder);
}

static void save_configurations(const char *top)
{
    static const char with_devices[] = "mos {\nnetdev {\ndpdk0 1\n}\n}\n\1dpdk0=pcap:a,out=b x=\"null: c\"";
    char path[4096];

    save("environment", with_devices, sizeof with_devices - 1);
    snprintf(path, sizeof path, "%s/Tests/config-examples/good", top);
    copy_files(path);
    snprintf(path, sizeof path, "%s/Tests/config-examples/bad", top);
    copy_files(path);
}

static void save_filters(void)
{
    static const char *const filters[] = {
        "", "tcp", "tcp port 80", "host 10.0.0.1", "src host 10.0.0.1 and dst port 80", "not port 22",
        "!port 22", "net 10.0.0.0/8", "net 10.0.0.0 mask 255.0.0.0", "portrange 1-1024", "port 80|port 443",
        "(port 80 & host 1.2.3.4) or not net 2001:db8::/32", "tcp[13] & 2 != 0", "ip6", "vlan 100 and tcp",
        "ip[2:2] > 576", "ether[0] & 1 = 0", "len <= 128", "icmp or udp", "host ::1", "not tcp", "((((", "port http",
        "less 100 and greater 10", "ip proto 6", "tcp and (host 1.1.1.1 or host 2.2.2.2) and not port 25",
    };
    char name[16];

    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        snprintf(name, sizeof name, "%zu", i);
        save(name, filters[i], strlen(filters[i]));
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: seeds TARGET DIRECTORY TOP\n");
        return 64;
    }
    directory = argv[2];
    if (strcmp(argv[1], "frames") == 0) {
        save_stories();
    } else if (strcmp(argv[1], "api") == 0) {
        save_calls();
    } else if (strcmp(argv[1], "trace") == 0) {
        save_traces();
    } else if (strcmp(argv[1], "config") == 0) {
        save_configurations(argv[3]);
    } else if (strcmp(argv[1], "filter") == 0) {
        save_filters();
    } else {
        fprintf(stderr, "seeds: no target %s\n", argv[1]);
        return 64;
    }
    return 0;
}
