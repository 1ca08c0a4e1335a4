/*
 * The two programs that talk through the relay, each on its kernel's sockets:
 *
 *     talk server ADDRESS SEED RATE,RATE,… COUNT > server.rows
 *     talk client ADDRESS SEED RATE,RATE,… COUNT > client.rows
 *
 * COUNT conversations for each loss rate (in percent), the number of a
 * conversation being rate * COUNT + i. Each prints a line for every
 * conversation, with what it really read, in the end:
 *
 *     NUMBER MODE wrote BYTES HASH read BYTES HASH END TIME
 *
 * END is eof or rst, or what went wrong; TIME when it was seen, in
 * nanoseconds. The server ends by itself when all conversations are over.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "plan.h"

#define MAX_RATES 8
#define AT_A_TIME 250           /* conversations under way in the client */
#define PATIENCE 150e9          /* ns until a conversation counts as stuck */
#define SLOW_PIECE 900          /* bytes a slow reader reads … */
#define SLOW_PAUSE 15e6         /* … each time, ns */

enum { CLIENT, SERVER };

struct talk {
    int fd;
    uint32_t index;
    struct conversation plan;
    int phase;                  /* plan.phases[role]: done */
    uint64_t wrote, read;       /* in all */
    uint32_t phase_wrote;
    uint32_t phase_read;
    uint64_t read_hash;
    int is_shut, at_end;
    int is_connecting;
    double started, next_read;
    const char *end;
    double end_time;
};

static int role;
static uint64_t seed;
static uint32_t rates[MAX_RATES], rate_count, per_rate, total;
static struct talk *talks;
static int poller;
static uint32_t finished, under_way, connecting;

static void
die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
set(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        die("setsockopt");
}

static void
finish(struct talk *t, const char *end)
{
    if (!t->end) {
        t->end = end;
        t->end_time = now();
    }
    if (t->is_connecting) {
        t->is_connecting = 0;
        connecting--;
    }
    close(t->fd);
    t->fd = -1;
    finished++;
    under_way--;
}

static void
note_end(struct talk *t, const char *end)
{
    t->at_end = 1;
    if (!t->end) {
        t->end = end;
        t->end_time = now();
    }
}

/* Writes what the phase has to write, as far as the kernel takes it. */
static int
do_write(struct talk *t, const struct phase *phase)
{
    static uint8_t bytes[16384];

    while (t->phase_wrote < phase->write) {
        uint32_t count = phase->write - t->phase_wrote;
        ssize_t n;
        int flags = MSG_NOSIGNAL;

        if (count > sizeof bytes)
            count = sizeof bytes;
        if (t->plan.mode == URGENT) {
            /* Every now and then a byte with the urgent pointer behind it. */
            if (count > 700)
                count = 700;
            if ((t->wrote / 700) % 3 == 1)
                flags |= MSG_OOB;
        }
        stream_bytes(seed, t->index, role, t->wrote, bytes, count);
        n = send(t->fd, bytes, count, flags);
        if (n < 0) {
            if (errno == EAGAIN)
                return 0;
            note_end(t, errno == ECONNRESET || errno == EPIPE ? "rst" : strerrorname_np(errno));
            return -1;
        }
        t->wrote += (uint64_t)n;
        t->phase_wrote += (uint32_t)n;
    }
    if (phase->shut && !t->is_shut) {
        if (t->is_connecting)
            return 0;           /* it would take the SYN back */
        if (shutdown(t->fd, SHUT_WR) < 0) {
            note_end(t, errno == ENOTCONN ? "rst" : strerrorname_np(errno));
            return -1;
        }
        t->is_shut = 1;
    }
    return 1;
}

static int
do_read(struct talk *t, const struct phase *phase)
{
    static uint8_t bytes[65536];

    for (;;) {
        size_t want = sizeof bytes;
        ssize_t n;

        if (phase->read != UNTIL_END) {
            if (t->phase_read == (uint32_t)phase->read)
                return 1;
            if (want > (uint32_t)phase->read - t->phase_read)
                want = (uint32_t)phase->read - t->phase_read;
        } else if (t->at_end) {
            return 1;
        }
        if (t->plan.mode == SLOW_READER) {
            if (now() < t->next_read)
                return 0;
            t->next_read = now() + SLOW_PAUSE;
            if (want > SLOW_PIECE)
                want = SLOW_PIECE;
        }
        n = recv(t->fd, bytes, want, 0);
        if (n < 0) {
            if (errno == EAGAIN)
                return 0;
            note_end(t, errno == ECONNRESET ? "rst" : strerrorname_np(errno));
            return phase->read == UNTIL_END && errno == ECONNRESET ? 1 : -1;
        }
        if (n == 0) {
            note_end(t, "eof");
            return phase->read == UNTIL_END ? 1 : -1;
        }
        t->read += (uint64_t)n;
        t->phase_read += (uint32_t)n;
        t->read_hash = fnv(t->read_hash, bytes, (uint64_t)n);
    }
}

/* Goes on as far as possible. */
static void
step(struct talk *t)
{
    while (t->fd >= 0) {
        const struct phase *phase = &t->plan.phase[role][t->phase];
        int wrote, read;

        if (t->phase == t->plan.phases[role]) {
            if (t->plan.aborts == role) {
                struct linger hard = { 1, 0 };

                setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
                finish(t, "aborted");
            } else {
                finish(t, "eof");
            }
            return;
        }
        wrote = do_write(t, phase);
        read = do_read(t, phase);
        if (wrote < 0 || read < 0) {
            finish(t, "early");
            return;
        }
        if (wrote == 0 || read == 0)
            return;
        t->phase++;
        t->phase_wrote = 0;
        t->phase_read = 0;
    }
}

static struct talk *
begin(uint32_t index, int fd)
{
    struct talk *t = &talks[index];
    struct epoll_event event = { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, { .u32 = index } };

    t->fd = fd;
    t->started = now();
    t->read_hash = FNV_START;
    /* An end that waits finds out that a RST to it was lost. */
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    if (index % 2)
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    under_way++;
    return t;
}

static void
make_plans(void)
{
    uint32_t i;

    talks = calloc(total, sizeof *talks);
    if (!talks)
        die("calloc");
    for (i = 0; i < total; i++) {
        talks[i].fd = -1;
        talks[i].index = i;
        talks[i].plan = plan(seed, i, rates[i / per_rate]);
    }
}

/* ---- server --------------------------------------------------------------- */

#define LISTENER 0x80000000u

static int listeners[MAX_RATES];

static void
listen_on(uint32_t address)
{
    uint32_t i;

    for (i = 0; i < rate_count; i++) {
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(SERVER_PORT + i), .sin_addr = { address } };
        struct epoll_event event = { EPOLLIN, { .u32 = LISTENER | i } };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        if (fd < 0)
            die("socket");
        set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        set(fd, IPPROTO_TCP, TCP_FASTOPEN, 1000);
        if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 1000) < 0)
            die("listen");
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
            die("epoll_ctl");
        listeners[i] = fd;
    }
}

static void
accept_all(int listener)
{
    for (;;) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK);
        uint32_t index;

        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED)
                return;
            die("accept");
        }
        index = ntohs(peer.sin_port) - CLIENT_PORT;
        if (index >= total || talks[index].started > 0) {
            fprintf(stderr, "talk: a second connection from port %u\n", ntohs(peer.sin_port));
            exit(EXIT_FAILURE);
        }
        begin(index, fd);
        if (talks[index].plan.mode == SLOW_READER)
            set(fd, SOL_SOCKET, SO_RCVBUF, 3000);
        step(&talks[index]);
    }
}

/* ---- client --------------------------------------------------------------- */

static void
write_sysctl(const char *name, int value)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", name);
    file = fopen(path, "w");
    if (!file || fprintf(file, "%d", value) < 0 || fclose(file) != 0)
        die(path);
}

/* Three generations of clients: with all options, without timestamps, and
 * without SACK and window scaling. */
static void
set_generation(uint32_t generation)
{
    write_sysctl("tcp_timestamps", generation == 1 ? 0 : 1);
    write_sysctl("tcp_sack", generation == 2 ? 0 : 1);
    write_sysctl("tcp_window_scaling", generation == 2 ? 0 : 1);
}

static void
connect_one(uint32_t index, uint32_t address)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(CLIENT_PORT + index)) };
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)(SERVER_PORT + index / per_rate)), .sin_addr = { address },
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct talk *t = &talks[index];

    if (fd < 0)
        die("socket");
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (t->plan.mode == SLOW_READER)
        set(fd, SOL_SOCKET, SO_RCVBUF, 3000);
    if (t->plan.mode == FAST_OPEN)
        set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0)
        die("bind");
    if (connect(fd, (struct sockaddr *)&there, sizeof there) < 0 && errno != EINPROGRESS)
        die("connect");
    begin(index, fd);
    t->is_connecting = 1;
    connecting++;
    /* With fast open the first write is what connects. */
    if (t->plan.mode == FAST_OPEN)
        step(t);
}

static uint32_t next_client, generation = (uint32_t)-1;

static void
start_clients(uint32_t address)
{
    /* The rates take turns, so that all are under way all the time. */
    while (next_client < total && under_way < AT_A_TIME) {
        const uint32_t index = next_client % rate_count * per_rate + next_client / rate_count;
        const uint32_t wanted = 3 * next_client / total;

        if (wanted != generation) {
            if (connecting > 0)
                return;         /* SYNs may still be repeated */
            generation = wanted;
            set_generation(generation);
        }
        connect_one(index, address);
        next_client++;
    }
}

static void
note_connected(struct talk *t)
{
    int error = 0;
    socklen_t length = sizeof error;
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;

    if (!t->is_connecting)
        return;
    getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
        finish(t, strerrorname_np(error));
        return;
    }
    if (getpeername(t->fd, (struct sockaddr *)&peer, &size) < 0)
        return;                 /* not yet */
    t->is_connecting = 0;
    connecting--;
}

/* ---- both ----------------------------------------------------------------- */

static void
print_rows(void)
{
    uint32_t i;

    for (i = 0; i < total; i++) {
        const struct talk *t = &talks[i];
        uint64_t hash = FNV_START, offset = 0;
        uint8_t bytes[4096];

        while (offset < t->wrote) {
            uint32_t count = t->wrote - offset < sizeof bytes ? (uint32_t)(t->wrote - offset) : sizeof bytes;

            stream_bytes(seed, i, role, offset, bytes, count);
            hash = fnv(hash, bytes, count);
            offset += count;
        }
        printf("%u %s wrote %llu %016llx read %llu %016llx %s %.0f\n", i, mode_names[t->plan.mode],
               (unsigned long long)t->wrote, (unsigned long long)hash, (unsigned long long)t->read,
               (unsigned long long)t->read_hash, t->end ? t->end : "never", t->end_time);
    }
}

int
main(int argc, char **argv)
{
    static struct epoll_event events[512];
    struct rlimit limit = { 8192, 8192 };
    uint32_t address, i;
    double last_look = 0;
    char *next;

    if (argc != 6 || inet_pton(AF_INET, argv[2], &address) != 1)
        return 2;
    role = strcmp(argv[1], "server") == 0 ? SERVER : CLIENT;
    seed = strtoull(argv[3], NULL, 0);
    for (next = argv[4]; *next && rate_count < MAX_RATES; next += *next == ',')
        rates[rate_count++] = (uint32_t)strtoul(next, &next, 10);
    per_rate = (uint32_t)atoi(argv[5]);
    total = rate_count * per_rate;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(0);
    make_plans();
    if (role == SERVER)
        listen_on(address);

    while (finished < total) {
        int count, j;

        if (role == CLIENT)
            start_clients(address);
        count = epoll_wait(poller, events, 512, 5);
        for (j = 0; j < count; j++) {
            const uint32_t index = events[j].data.u32;

            if (index & LISTENER) {
                accept_all(listeners[index & ~LISTENER]);
                continue;
            }
            note_connected(&talks[index]);
            step(&talks[index]);
        }
        if (now() - last_look < 5e6)
            continue;
        last_look = now();
        for (i = 0; i < total; i++) {
            struct talk *t = &talks[i];

            if (t->fd < 0)
                continue;
            if (t->plan.mode == SLOW_READER && last_look >= t->next_read)
                step(t);
            if (t->fd >= 0 && last_look - t->started > PATIENCE)
                finish(t, "stuck");
        }
    }
    print_rows();
    return EXIT_SUCCESS;
}
