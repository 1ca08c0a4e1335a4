/*
 * A wire that misbehaves, with a tap at either end:
 *
 *     relay CLIENT_IF SERVER_IF CLIENT_TAP.pcap SERVER_TAP.pcap SEED PORT=PERCENT…
 *
 * Frames go from one interface to the other after 2 ms. Of the TCP segments
 * of a server port, PERCENT are lost, as many come twice, as many are
 * overtaken by others. What happens to the n-th segment that an end of a
 * connection sends depends on the seed alone. Everything else just passes.
 *
 * The taps are the two interfaces: each file has what came in there and what
 * went out there, in that order, with nanoseconds. Runs until SIGTERM or
 * SIGINT, then prints what it did.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pcap_file.h"
#include "plan.h"

#define MS 1000000ull
#define DELAY (2 * MS)
#define MAX_LATE (8 * MS)       /* of a segment that others overtake */
#define MAX_ECHO (3 * MS)       /* of the second copy; below a round trip */
#define MAX_FRAME 2048

struct frame {
    uint64_t due, order;
    int to;
    uint32_t length;
    uint8_t bytes[MAX_FRAME];
};

static int sockets[2];
static FILE *taps[2];
static uint64_t seed, order, last_due[2], last_time;
static int percents[65536];     /* by server port, -1: none of ours */
static uint32_t counters[2][65536];
static struct frame **heap;
static size_t heap_count, heap_room;
static volatile sig_atomic_t stopped;
static uint64_t passed, lost, doubled, late, not_sent;

static void
die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void
stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* Wall clock, which never goes back here. */
static uint64_t
now(void)
{
    struct timespec t;
    uint64_t time;

    clock_gettime(CLOCK_REALTIME, &t);
    time = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    if (time > last_time)
        last_time = time;
    return last_time;
}

static int
open_interface(const char *name)
{
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
    struct packet_mreq promiscuous = { .mr_type = PACKET_MR_PROMISC };
    int one = 1, room = 64 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0)
        die("AF_PACKET");
    address.sll_ifindex = promiscuous.mr_ifindex = (int)if_nametoindex(name);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0
        || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0
        || setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) < 0
        || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die(name);
    return fd;
}

/* ---- frames on their way, the next one first ------------------------------ */

static int
before(const struct frame *a, const struct frame *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void
push(int to, uint64_t due, const uint8_t *bytes, uint32_t length)
{
    struct frame *f = malloc(sizeof *f);
    size_t i;

    if (!f)
        die("malloc");
    f->due = due;
    f->order = order++;
    f->to = to;
    f->length = length;
    memcpy(f->bytes, bytes, length);
    if (heap_count == heap_room) {
        heap_room = heap_room ? heap_room * 2 : 1024;
        heap = realloc(heap, heap_room * sizeof *heap);
        if (!heap)
            die("realloc");
    }
    for (i = heap_count++; i > 0 && before(f, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = f;
}

static struct frame *
pop(void)
{
    struct frame *first = heap[0], *last = heap[--heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= heap_count)
            break;
        if (child + 1 < heap_count && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

/* ---- what becomes of a frame ---------------------------------------------- */

/* The percentage that goes wrong, and the random number of this segment. */
static int
fate(int from, const uint8_t *bytes, uint32_t length, uint64_t *random)
{
    uint32_t ip_header, client;
    int percent;

    if (length < 54 || bytes[12] != 8 || bytes[13] != 0 || bytes[23] != IPPROTO_TCP)
        return 0;
    ip_header = (bytes[14] & 15u) * 4;
    if (length < 14 + ip_header + 20)
        return 0;
    bytes += 14 + ip_header + (from == 0 ? 0 : 2);
    client = (uint32_t)bytes[0] << 8 | bytes[1];
    bytes += from == 0 ? 2 : -2;
    percent = percents[(uint32_t)bytes[0] << 8 | bytes[1]];
    if (percent <= 0)
        return 0;
    *random = mix(seed ^ mix((uint64_t)client << 33 | (uint64_t)from << 32 | counters[from][client]++));
    return percent;
}

static void
take(int from, const uint8_t *bytes, uint32_t length)
{
    const int to = 1 - from;
    const uint64_t time = now();
    uint64_t random = 0, due = time + DELAY;
    int percent;

    pcap_add(taps[from], time, bytes, length);
    percent = fate(from, bytes, length, &random);
    if (percent > 0 && (int)(random % 100) < percent) {
        lost++;
        return;
    }
    random = mix(random);
    if (percent > 0 && (int)(random % 100) < percent) {
        late++;
        due += (random >> 32) % MAX_LATE;
    } else {
        /* In order, whatever the clock does. */
        if (due < last_due[to])
            due = last_due[to];
        last_due[to] = due;
    }
    push(to, due, bytes, length);
    passed++;
    random = mix(random);
    if (percent > 0 && (int)(random % 100) < percent) {
        doubled++;
        push(to, due + (random >> 32) % MAX_ECHO, bytes, length);
    }
}

static void
send_due(void)
{
    uint64_t time = now();

    while (heap_count > 0 && heap[0]->due <= time) {
        struct frame *f = pop();

        time = now();
        pcap_add(taps[f->to], time, f->bytes, f->length);
        if (send(sockets[f->to], f->bytes, f->length, 0) < 0)
            not_sent++;         /* one more that is lost, behind the tap */
        free(f);
    }
}

int
main(int argc, char **argv)
{
    static uint8_t bytes[65536];
    struct sigaction action = { .sa_handler = stop };
    int i, side;

    if (argc < 6) {
        fprintf(stderr, "usage: relay client-if server-if client.pcap server.pcap seed port=percent…\n");
        return 2;
    }
    for (side = 0; side < 2; side++) {
        sockets[side] = open_interface(argv[1 + side]);
        taps[side] = pcap_create(argv[3 + side]);
        if (!taps[side])
            die(argv[3 + side]);
    }
    seed = strtoull(argv[5], NULL, 0);
    for (i = 6; i < argc; i++) {
        char *rest;
        const unsigned long port = strtoul(argv[i], &rest, 10);

        if (*rest != '=' || port > 65535)
            return 2;
        percents[port] = atoi(rest + 1);
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    printf("relay: ready\n");
    fflush(stdout);

    while (!stopped) {
        struct pollfd ready[2] = { { sockets[0], POLLIN, 0 }, { sockets[1], POLLIN, 0 } };
        struct timespec wait = { 1, 0 };

        if (heap_count > 0) {
            const uint64_t time = now();
            const uint64_t left = heap[0]->due > time ? heap[0]->due - time : 0;

            wait.tv_sec = (time_t)(left / 1000000000);
            wait.tv_nsec = (long)(left % 1000000000);
        }
        if (ppoll(ready, 2, &wait, NULL) < 0 && errno != EINTR)
            die("ppoll");
        for (side = 0; side < 2; side++) {
            for (i = 0; i < 64; i++) {
                const ssize_t length = recv(sockets[side], bytes, sizeof bytes, MSG_DONTWAIT);

                if (length <= 0)
                    break;
                if (length > MAX_FRAME) {
                    fprintf(stderr, "relay: a frame of %zd bytes: offloading is on\n", length);
                    return EXIT_FAILURE;
                }
                take(side, bytes, (uint32_t)length);
            }
            send_due();
        }
    }

    for (side = 0; side < 2; side++) {
        struct tpacket_stats stats;
        socklen_t size = sizeof stats;

        if (getsockopt(sockets[side], SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
            not_sent += stats.tp_drops;
        if (fclose(taps[side]) != 0)
            die("tap");
    }
    printf("relay: %llu passed, %llu lost, %llu doubled, %llu overtaken, %llu not sent\n", (unsigned long long)passed,
           (unsigned long long)lost, (unsigned long long)doubled, (unsigned long long)late,
           (unsigned long long)not_sent);
    return EXIT_SUCCESS;
}
