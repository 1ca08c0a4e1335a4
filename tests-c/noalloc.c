/* The packet path does not allocate: all of malloc's family is replaced by
 * counting wrappers, a generated trace is played three times through handlers
 * that read every stream, and from the second time on the count must stay at
 * zero, with late, lost and repeated segments and with short flows that come
 * and go. A third run allocates in a handler, and must be noticed. Each is a
 * process of its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <mos_api.h>
#include <mos_ext.h>
#include <mtcp_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gen/gen.h"
#include "gen/mem_io.h"

#ifdef __cplusplus
#define EXTERN_C extern "C"
extern "C" {
#else
#define EXTERN_C extern
#endif
/* glibc's allocator under its own names: what the wrappers stand in front of. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
#ifdef __cplusplus
}
#define NO_THROW __THROW
#else
#define NO_THROW
#endif

static int armed;
static uint64_t allocations, releases;
static volatile size_t last_size;

static void count(size_t size)
{
    if (__atomic_load_n(&armed, __ATOMIC_RELAXED)) {
        __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
        last_size = size;
    }
}

EXTERN_C void *malloc(size_t size) __THROW;
EXTERN_C void *calloc(size_t number, size_t size) __THROW;
EXTERN_C void *realloc(void *old, size_t size) __THROW;
EXTERN_C void *memalign(size_t alignment, size_t size) __THROW;
EXTERN_C void *aligned_alloc(size_t alignment, size_t size) __THROW;
EXTERN_C int posix_memalign(void **out, size_t alignment, size_t size) __THROW;
EXTERN_C void free(void *old) __THROW;

void *malloc(size_t size) NO_THROW
{
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) NO_THROW
{
    count(number * size);
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) NO_THROW
{
    count(size);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) NO_THROW
{
    count(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) NO_THROW
{
    count(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) NO_THROW
{
    count(size);
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

void free(void *old) NO_THROW
{
    if (old && __atomic_load_n(&armed, __ATOMIC_RELAXED))
        __atomic_add_fetch(&releases, 1, __ATOMIC_RELAXED);
    __libc_free(old);
}

#define LOOPS 3

static struct gen_trace *trace;
static uint64_t streamed, packets, matches, ends;
static int spoil; /* a handler allocates: the test must notice */
static event_t match;

static bool has_text(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char first[4];
    (void)event, (void)arg;
    return mtcp_ppeek(m, sock, side, first, sizeof first, 0) > 0;
}

static void on_match(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    matches++;
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char buffer[65536];
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mtcp_peek(m, sock, side, buffer, sizeof buffer)) > 0)
        streamed += (uint64_t)got;
}

/* The same bytes, in place. */
static void on_data_in_place(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct iovec pieces[8];
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mos_peek_iov(m, sock, side, pieces, 8)) > 0) {
        streamed += (uint64_t)got;
        mos_peek_advance(m, sock, side, (size_t)got);
    }
}

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info info;
    (void)event, (void)arg;
    packets++;
    mtcp_getlastpkt(m, sock, side, &info);
    if (spoil) {
        void *volatile p = malloc(16);
        free(p);
    }
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    ends++;
}

/* Counting is on from the second playing to the end of the last. */
static uint64_t at(void *unused, uint64_t delivered)
{
    (void)unused;
    if (delivered >= trace->frame_count * LOOPS) {
        __atomic_store_n(&armed, 0, __ATOMIC_RELAXED);
        return UINT64_MAX;
    }
    if (delivered >= trace->frame_count) {
        __atomic_store_n(&armed, 1, __ATOMIC_RELAXED);
        return trace->frame_count * LOOPS;
    }
    return trace->frame_count;
}

static int must(int result, const char *what)
{
    if (result >= 0)
        return result;
    perror(what);
    exit(1);
}

/* 0, or 1 after saying what is wrong. */
static int run(int brief, int allocate)
{
    static struct mem_source source;
    static const char configuration[] = "mos {\n"
                                        "    forward = 0\n"
                                        "    netdev {\n"
                                        "        mem:noalloc 0x0001\n"
                                        "    }\n"
                                        "    max_concurrency = 4096\n"
                                        "}\n";
    struct gen_options o;
    char path[] = "/tmp/mos-noalloc-XXXXXX";
    spoil = allocate;
    unsetenv("MOS_NETDEV");

    gen_defaults(&o);
    o.flows = 4000;
    o.concurrent = 1000;
    o.open_first = 0;
    o.data_packets = 30;
    o.frame_min = 64;
    o.frame_max = 1514;
    o.ack_every = 2;
    o.reorder = o.lost = o.rexmit = 0.02;
    if (brief) {
        o.flows = 20000;
        o.data_packets = 4;
        o.reset = o.ipv6 = 0.2;
        o.frame_min = o.frame_max = 120;
    }
    trace = gen_make(&o);
    if (!trace) {
        perror("gen_make");
        return 1;
    }
    source.trace = trace;
    source.loops = LOOPS;
    source.at = at;
    must(mem_io_add("noalloc", &source), "mem_io_add");
    int descriptor = must(mkstemp(path), "mkstemp");
    if (write(descriptor, configuration, sizeof configuration - 1) != (ssize_t)sizeof configuration - 1)
        must(-1, path);
    close(descriptor);
    int started = mtcp_init(path);
    unlink(path);
    must(started, "mtcp_init");
    mctx_t m = mtcp_create_context(0);
    must(m ? 0 : -1, "mtcp_create_context");
    int sock = must(mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0), "mtcp_socket");
    match = mtcp_define_event(MOS_ON_CONN_NEW_DATA, has_text, NULL);
    must(match == MOS_NULL_EVENT ? -1 : 0, "mtcp_define_event");
    int no = 0;
    if (brief)
        must(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_HISTORY, &no, sizeof no), "MOS_HISTORY");
    must(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, brief ? on_data_in_place : on_data),
         "NEW_DATA");
    must(mtcp_register_callback(m, sock, match, MOS_NULL, on_match), "user-defined event");
    must(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet), "PKT_IN");
    must(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end), "CONN_END");
    mtcp_app_join(m);
    __atomic_store_n(&armed, 0, __ATOMIC_RELAXED);

    int bad = 0;
    uint64_t frames = trace->frame_count * (uint64_t)LOOPS;
    if (packets != frames || streamed != trace->stream_bytes * LOOPS ||
        ends != 2ull * trace->flow_count * LOOPS || matches == 0) {
        printf("FAIL %llu of %llu packets, %llu of %llu bytes, %llu of %llu ends, %llu matches\n",
               (unsigned long long)packets, (unsigned long long)frames, (unsigned long long)streamed,
               (unsigned long long)(trace->stream_bytes * LOOPS), (unsigned long long)ends,
               2ull * trace->flow_count * LOOPS, (unsigned long long)matches);
        bad = 1;
    }
    uint64_t counted = frames - trace->frame_count;
    if (spoil ? allocations < counted : allocations + releases != 0) {
        printf("FAIL %llu allocations (last of %zu bytes) and %llu releases in %llu packets\n",
               (unsigned long long)allocations, (size_t)last_size, (unsigned long long)releases,
               (unsigned long long)counted);
        bad = 1;
    }
    if (!bad)
        printf("%llu packets after warm-up: %llu allocations\n", (unsigned long long)counted,
               (unsigned long long)allocations);
    mtcp_destroy_context(m);
    mtcp_destroy();
    gen_free(trace);
    return bad;
}

int main(void)
{
    static const struct {
        const char *name;
        int brief, allocate;
    } runs[] = {
        {"long streams, late, lost and repeated segments: no allocation", 0, 0},
        {"short flows over IPv4 and IPv6, read in place: no allocation", 1, 0},
        {"an allocation in a handler is noticed", 0, 1},
    };
    int bad = 0;
    for (int i = 0; i < 3; i++) {
        int status = 1;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            int wrong = run(runs[i].brief, runs[i].allocate);
            fflush(NULL);
            _exit(wrong);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            perror(runs[i].name);
        printf("%sok %d - %s\n", status == 0 ? "" : "not ", i + 1, runs[i].name);
        bad |= status != 0;
    }
    printf("1..3\n");
    return bad;
}
