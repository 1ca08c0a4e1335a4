/* Prints the connections of a trace as a reading application sees them: one
 * JSON object for each, in the order of their first SYNs.
 *
 *     streams [-b BURST] [-c CONTEXTS] [-k] [-t SECONDS] TRACE
 *
 *   -b BURST     frames in one receive, 1 … 64, through a backend of the test
 *                that reads Ethernet traces; default: the library's own "pcap"
 *   -c CONTEXTS  share the trace among so many contexts, 1 or 2
 *   -k           verify checksums; default: rx_checksum = 0
 *   -t SECONDS   tcp_timeout; default -1, never
 *
 * The application reads each side with mtcp_peek() until 0 in each
 * MOS_ON_CONN_NEW_DATA, and nowhere else. `bytes` and `sha256` are what it got;
 * `gap_bytes` what mtcp_peek() said was lost; `left` what was still there to be
 * read at the end (never anything, if NEW_DATA is raised as it should be; a
 * loss that nothing follows is not counted). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <mos_api.h>
#include <mtcp_api.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parity/one_io.h"
#include "streams/sha256.h"

#define CONTEXTS 2

/* What one end sent. */
struct stream {
    struct sha256 hash;
    uint64_t bytes, gap_bytes, left;
    uint32_t gaps;
};

struct connection {
    struct connection *next;
    uint64_t number; /* in the order of first SYNs, over all contexts */
    char address[2][INET6_ADDRSTRLEN + 8];
    struct stream stream[2]; /* by the side whose buffer holds it */
    uint32_t ends;           /* MOS_ON_CONN_END at MOS_HK_RCV */
};

/* One context: only its own thread touches it while it runs. */
struct worker {
    mctx_t context;
    struct connection *connections;
    char buffer[65536];
};

static struct worker workers[CONTEXTS];
static uint64_t connections;
static int failed;

static void complain(const char *what)
{
    fprintf(stderr, "streams: %s: %s\n", what, strerror(errno));
    failed = 1;
}

static void take_addresses(mctx_t m, int sock, struct connection *c)
{
    struct sockaddr_in v4[2];
    struct sockaddr_in6 v6[2];
    socklen_t size = sizeof v4;
    char text[INET6_ADDRSTRLEN];
    if (mtcp_getpeername(m, sock, (struct sockaddr *)v4, &size, MOS_SIDE_BOTH) == 0) {
        for (int i = 0; i < 2; i++)
            snprintf(c->address[i], sizeof c->address[i], "%s:%u",
                     inet_ntop(AF_INET, &v4[i].sin_addr, text, sizeof text), ntohs(v4[i].sin_port));
        return;
    }
    size = sizeof v6;
    if (mtcp_getpeername(m, sock, (struct sockaddr *)v6, &size, MOS_SIDE_BOTH) != 0) {
        complain("mtcp_getpeername");
        return;
    }
    for (int i = 0; i < 2; i++)
        snprintf(c->address[i], sizeof c->address[i], "%s:%u",
                 inet_ntop(AF_INET6, &v6[i].sin6_addr, text, sizeof text), ntohs(v6[i].sin6_port));
}

static void on_start(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct worker *w = &workers[m->cpu];
    struct connection *c = (struct connection *)calloc(1, sizeof *c);
    (void)side;
    (void)event;
    (void)arg;
    if (c == NULL)
        abort();
    c->number = __atomic_add_fetch(&connections, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        sha256_begin(&c->stream[i].hash);
    take_addresses(m, sock, c);
    c->next = w->connections;
    w->connections = c;
    mtcp_set_uctx(m, sock, c);
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct worker *w = &workers[m->cpu];
    struct connection *c = (struct connection *)mtcp_get_uctx(m, sock);
    struct stream *s = &c->stream[side];
    uint64_t before = s->bytes;
    (void)event;
    (void)arg;
    for (;;) {
        ssize_t got = mtcp_peek(m, sock, side, w->buffer, sizeof w->buffer);
        if (got == 0)
            break;
        if (got > 0) {
            sha256_add(&s->hash, w->buffer, (size_t)got);
            s->bytes += (uint64_t)got;
        } else if (errno == ENODATA) {
            s->gaps++;
            s->gap_bytes += (uint64_t)-got;
        } else {
            complain("mtcp_peek");
            break;
        }
    }
    if (s->bytes == before) {
        errno = ENODATA;
        complain("MOS_ON_CONN_NEW_DATA without new data");
    }
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct worker *w = &workers[m->cpu];
    struct connection *c = (struct connection *)mtcp_get_uctx(m, sock);
    ssize_t got;
    (void)event;
    (void)arg;
    c->ends++;
    do {
        got = mtcp_peek(m, sock, side, w->buffer, sizeof w->buffer);
        if (got > 0)
            c->stream[side].left += (uint64_t)got;
    } while (got != 0 && (got > 0 || errno == ENODATA));
}

static int initialize(const char *trace, int burst, int contexts, int checksums, int timeout)
{
    char path[] = "/tmp/mos-streams-XXXXXX";
    int file = mkstemp(path), result;
    FILE *out = file < 0 ? NULL : fdopen(file, "w");
    if (out == NULL) {
        perror(path);
        return -1;
    }
    fprintf(out,
            "mos {\n forward = 0\n rx_checksum = %d\n tcp_timeout = %d\n netdev {\n \"%s:%s\" 0x%x\n }\n}\n",
            checksums, timeout, burst ? "one" : "pcap", trace, (1 << contexts) - 1);
    fclose(out);
    result = mtcp_init(path);
    unlink(path);
    return result;
}

static int by_number(const void *left, const void *right)
{
    const struct connection *a = *(struct connection *const *)left, *b = *(struct connection *const *)right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void print_stream(const char *name, struct stream *s, const char *after)
{
    char digest[65];
    sha256_end(&s->hash, digest);
    printf("\"%s\": {\"bytes\": %" PRIu64 ", \"sha256\": \"%s\", \"gaps\": %" PRIu32 ", \"gap_bytes\": %" PRIu64
           ", \"left\": %" PRIu64 "}%s",
           name, s->bytes, digest, s->gaps, s->gap_bytes, s->left, after);
}

int main(int argc, char **argv)
{
    int burst = 0, contexts = 1, checksums = 0, timeout = -1, option;
    struct connection **all;
    size_t count = 0;

    while ((option = getopt(argc, argv, "b:c:kt:")) != -1) {
        if (option == 'b')
            burst = atoi(optarg);
        else if (option == 'c')
            contexts = atoi(optarg);
        else if (option == 'k')
            checksums = 1;
        else if (option == 't')
            timeout = atoi(optarg);
        else
            return 2;
    }
    if (optind + 1 != argc || contexts < 1 || contexts > CONTEXTS) {
        fprintf(stderr, "usage: streams [-b BURST] [-c CONTEXTS] [-k] [-t SECONDS] TRACE\n");
        printf("it needs a trace: the suite \"traces\" gives it some\n");
        return 77;
    }
    if (burst && one_io_register((uint32_t)burst, 0) != 0) {
        perror("one_io");
        return 1;
    }
    if (initialize(argv[optind], burst, contexts, checksums, timeout) != 0)
        return 1;
    for (int i = 0; i < contexts; i++) {
        mctx_t m = mtcp_create_context(i);
        int sock = m == NULL ? -1 : mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
        workers[i].context = m;
        if (sock < 0 || mtcp_register_callback(m, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) != 0 ||
            mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) != 0 ||
            mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end) != 0) {
            perror("setting up a context");
            return 1;
        }
    }
    for (int i = 0; i < contexts; i++)
        mtcp_app_join(workers[i].context);
    all = (struct connection **)calloc(connections + 1, sizeof *all);
    for (int i = 0; i < contexts; i++)
        for (struct connection *c = workers[i].connections; c != NULL; c = c->next)
            all[count++] = c;
    qsort(all, count, sizeof *all, by_number);
    for (size_t i = 0; i < count; i++) {
        struct connection *c = all[i];
        if (c->ends != 2) {
            errno = EPROTO;
            complain("not one MOS_ON_CONN_END for each side");
        }
        printf("{\"client\": \"%s\", \"server\": \"%s\", \"syn\": true, ", c->address[0], c->address[1]);
        print_stream("c2s", &c->stream[MOS_SIDE_SVR], ", ");
        print_stream("s2c", &c->stream[MOS_SIDE_CLI], "}\n");
        free(c);
    }
    free(all);
    for (int i = 0; i < contexts; i++)
        mtcp_destroy_context(workers[i].context);
    mtcp_destroy();
    return failed;
}
