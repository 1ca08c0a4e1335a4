/* The driver: makes a trace, runs each contestant on it in a process of its
 * own, in turns (A B C A B C …), and prints medians and ratios. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define RUNS_MAX 51
#define JOBS_MAX 64
#define RECORDS_MAX 1024

struct scenario {
    const char *name;
    const char *works; /* blank between them; "work:parameter" */
    uint32_t frame, flows, concurrent, data_packets;
    double faults; /* share of late, lost and repeated segments together */
    uint32_t pattern_every;
    int in;        /* 1: default suite, 2: --quick, 4: callgrind */
};

#define MAIN "null count count-buffers search search-forget search-iov"

static const struct scenario scenarios[] = {
    {"64B-100", MAIN, 64, 100, 100, 40000, 0, 65536, 1},
    {"64B-10k", MAIN, 64, 10000, 10000, 400, 0, 65536, 1},
    {"64B-192k", MAIN, 64, 192000, 192000, 20, 0, 65536, 1},
    {"64B-1M", MAIN, 64, 1000000, 1000000, 10, 0, 65536, 1},
    {"1500B-100", MAIN, 1514, 100, 100, 7000, 0, 65536, 1},
    {"1500B-10k", MAIN, 1514, 10000, 10000, 70, 0, 65536, 1},
    {"1500B-192k", MAIN, 1514, 192000, 192000, 6, 0, 65536, 1},
    {"1500B-1M", MAIN, 1514, 1000000, 1000000, 2, 0, 65536, 1},
    {"64B-10k-faults", "count search", 64, 10000, 10000, 400, 0.05, 65536, 1},
    {"1500B-10k-faults", "count search search-iov", 1514, 10000, 10000, 70, 0.05, 65536, 1},
    {"short", "count churn search", 64, 400000, 10000, 4, 0, 65536, 1},
    {"events", "shared:4 naive:4 packed:4 shared:16 naive:16 packed:16 shared:64 naive:64 packed:64", 576, 192000, 192000, 10, 0, 2048, 1},
    {"dispatch", "callback dispatch:0 handler dispatch:1 dispatch:8 dispatch:64", 64, 100, 100, 20000, 0, 65536, 1},
    {"dispatch-192k", "callback dispatch:0 handler dispatch:1 dispatch:8 dispatch:64", 64, 192000, 192000, 10, 0,
     65536, 1},
    {"change", "callback change:0 change:4 change:16 change:64 build:4 build:16 build:64 spread:16", 64, 100, 100, 200,
     0, 65536, 1},
    {"change-10k", "callback spread:16", 64, 10000, 10000, 2, 0, 65536, 1},
    {"change-192k", "callback spread:16", 64, 192000, 192000, 2, 0, 65536, 1},
    {"quick-64B", "null count search search-iov", 64, 10000, 10000, 40, 0, 65536, 2},
    {"quick-1500B", "count search search-iov", 1514, 1000, 1000, 70, 0.05, 65536, 2},
    {"quick-short", "churn", 64, 20000, 1000, 4, 0, 65536, 2},
    {"quick-events", "shared:16 naive:16 packed:16", 576, 5000, 5000, 10, 0, 2048, 2},
    {"quick-dispatch", "callback dispatch:0 handler dispatch:8 change:16 build:16 spread:16", 64, 1000, 1000, 40, 0, 65536,
     2},
    {"callgrind-64B", "count search", 64, 500, 500, 40, 0, 65536, 4},
    {"callgrind-1500B", "count search", 1514, 500, 500, 20, 0.05, 65536, 4},
};

struct record {
    const struct scenario *scenario;
    struct job job;
    struct result results[RUNS_MAX];
    int runs;
    double ns, low, high, steady; /* per packet */
    double least;                 /* the lowest `steady` of all runs */
    double value;                 /* median of the workload's own figure */
    struct result middle;         /* the run whose time is the median */
};

static struct record records[RECORDS_MAX];
static int record_count;

static struct {
    int runs, cpu_clock, quick, timeout, cpu;
    const char *only, *works, *who, *json, *single;
    int checksums; /* bits: 1 off, 2 on */
    uint64_t seed;
    uint32_t loops;
    const char *pattern;
    struct scenario custom;
} set = {0, 0, 0, 120, 0, NULL, NULL, "mos,floor,nids,tins", NULL, NULL, 3, 1, 1,
         "GET /forbidden/fruit.html", {"custom", MAIN, 64, 10000, 0, 40, 0, 65536, 0}};

static int in_list(const char *list, const char *word)
{
    size_t size = strlen(word);
    while (list && *list) {
        size_t part = strcspn(list, ", ");
        if (part == size && strncmp(list, word, size) == 0)
            return 1;
        list += part;
        list += strspn(list, ", ");
    }
    return 0;
}

static int run_here(const struct job *job, const struct gen_trace *trace, struct result *r)
{
    memset(r, 0, sizeof *r);
#ifdef WITH_MOS
    if (strcmp(job->who, "mos") == 0)
        return run_mos(job, trace, r);
#endif
    if (strcmp(job->who, "floor") == 0)
        return run_floor(job, trace, r);
#ifdef WITH_NIDS
    if (strcmp(job->who, "nids") == 0)
        return run_nids(job, trace, r);
#endif
#ifdef WITH_TINS
    if (strcmp(job->who, "tins") == 0)
        return run_tins(job, trace, r);
#endif
    return -1;
}

static int have(const char *who)
{
#ifdef WITH_MOS
    if (strcmp(who, "mos") == 0)
        return 1;
#endif
#ifdef WITH_NIDS
    if (strcmp(who, "nids") == 0)
        return 1;
#endif
#ifdef WITH_TINS
    if (strcmp(who, "tins") == 0)
        return 1;
#endif
    return strcmp(who, "floor") == 0;
}

static void pin(void)
{
    cpu_set_t cpus;
    if (set.cpu < 0)
        return;
    CPU_ZERO(&cpus);
    CPU_SET(set.cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

/* Maps the trace into this process: the first touch is nobody's work. */
static void touch(const struct gen_trace *t)
{
    const volatile uint8_t *arena = t->arena, *frames = (const volatile uint8_t *)t->frames;
    for (size_t i = 0; i < t->arena_size; i += 4096)
        (void)arena[i];
    for (size_t i = 0; i < t->frames_size; i += 4096)
        (void)frames[i];
}

/* Takes memory from the system and gives it back at once, so that what the
 * contestant takes has been the system's before: in a virtual machine the first
 * touch of a page that the host has not lent yet costs microseconds. */
static void warm(const struct gen_trace *t)
{
    size_t size = ((size_t)128 << 20) + (size_t)t->options.concurrent * 24576;
    if (size > (size_t)3 << 29)
        size = (size_t)3 << 29;
    uint8_t *memory = (uint8_t *)mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    madvise(memory, size, MADV_HUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        ((volatile uint8_t *)memory)[i] = 1;
    munmap(memory, size);
}

static void run_apart(const struct job *job, const struct gen_trace *trace, struct result *r)
{
    int ends[2], status;
    memset(r, 0, sizeof *r);
    fflush(NULL);
    if (pipe(ends) != 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        struct result own;
        close(ends[0]);
        alarm((unsigned)set.timeout);
        pin();
        touch(trace);
        warm(trace);
        int bad = run_here(job, trace, &own);
        if (bad || write(ends[1], &own, sizeof own) != (ssize_t)sizeof own)
            _exit(1);
        _exit(0);
    }
    close(ends[1]);
    if (child > 0) {
        if (read(ends[0], r, sizeof *r) != (ssize_t)sizeof *r)
            r->ok = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) {
            fprintf(stderr, "%s %s: ended by signal %d\n", job->who, job->work, WTERMSIG(status));
            r->ok = 0;
        }
    }
    close(ends[0]);
}

static double per_packet(const struct result *r)
{
    return (double)(set.cpu_clock ? r->cpu_ns : r->wall_ns) / (double)(r->packets ? r->packets : 1);
}

static double steady_per_packet(const struct result *r)
{
    return r->steady_packets
               ? (double)(set.cpu_clock ? r->steady_cpu_ns : r->steady_wall_ns) / (double)r->steady_packets
               : 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void settle(struct record *rec)
{
    double ns[RUNS_MAX], steady[RUNS_MAX], value[RUNS_MAX];
    int n = 0;
    for (int i = 0; i < rec->runs; i++)
        if (rec->results[i].ok) {
            ns[n] = per_packet(&rec->results[i]);
            value[n] = rec->results[i].value;
            steady[n++] = steady_per_packet(&rec->results[i]);
        }
    if (n == 0)
        return;
    qsort(ns, (size_t)n, sizeof *ns, compare);
    qsort(steady, (size_t)n, sizeof *steady, compare);
    qsort(value, (size_t)n, sizeof *value, compare);
    rec->ns = ns[n / 2];
    rec->low = ns[0];
    rec->high = ns[n - 1];
    rec->steady = steady[n / 2];
    rec->least = steady[0];
    rec->value = value[n / 2];
    for (int i = 0; i < rec->runs; i++)
        if (rec->results[i].ok && per_packet(&rec->results[i]) == rec->ns)
            rec->middle = rec->results[i];
}

/* What the others have to do for the same result as this workload. */
static const char *class_of(const char *work)
{
    if (strncmp(work, "search", 6) == 0)
        return "search";
    if (strcmp(work, "null") == 0 || strncmp(work, "count", 5) == 0 || strcmp(work, "churn") == 0)
        return "count";
    return NULL;
}

static const struct record *find(const struct scenario *s, const char *who, const char *work, int checksum)
{
    for (int i = 0; work && i < record_count; i++)
        if (records[i].scenario == s && strcmp(records[i].job.who, who) == 0 &&
            strcmp(records[i].job.work, work) == 0 && records[i].job.checksum == checksum && records[i].ns > 0)
            return &records[i];
    return NULL;
}

/* 0 when it did all the work that the trace asks for, else what is missing. */
static const char *wrong(const struct record *rec, const struct gen_trace *trace)
{
    const struct result *r = &rec->middle;
    const char *class = class_of(rec->job.work);
    uint64_t loops = rec->job.loops;
    int own = strcmp(rec->job.who, "mos") == 0 || strcmp(rec->job.who, "floor") == 0;
    if (!class)
        return NULL;
    if (r->flows != trace->flow_count * loops)
        return "FLOWS DIFFER";
    if (strcmp(class, "search") == 0) {
        /* the floor searches repeats too */
        uint64_t bytes = strcmp(rec->job.who, "floor") == 0 ? trace->payload_bytes : trace->stream_bytes;
        return r->stream_bytes != bytes * loops ? "BYTES DIFFER" : NULL;
    }
    if (own && strcmp(rec->job.work, "null") != 0 && r->counted != trace->frame_count * loops)
        return "PACKETS DIFFER";
    return NULL;
}

static int bad_results;

static const struct record *record_of(const struct scenario *s, const char *work, int parameter)
{
    for (int i = 0; i < record_count; i++)
        if (records[i].scenario == s && strcmp(records[i].job.work, work) == 0 && records[i].middle.ok &&
            (parameter < 0 || records[i].job.parameter == parameter))
            return &records[i];
    return NULL;
}

static double gbps(const struct record *rec)
{
    return (double)rec->middle.bytes * 8 / ((double)rec->middle.packets * rec->ns);
}

/* What the scenarios of events have to say in addition. */
static void print_events(const struct scenario *s, const struct gen_trace *t)
{
    const struct record *unit = record_of(s, "callback", -1), *idle = record_of(s, "dispatch", 0);
    for (int n = 1; n <= 64; n++) {
        const struct record *shared = record_of(s, "shared", n);
        static const char *const others[] = {"naive", "packed"};
        if (!shared)
            continue;
        const struct result *a = &shared->middle;
        printf("  %d events: shared %.1f Gbps, %llu changes, %llu sets, %.1f bytes for each flow\n", n, gbps(shared),
               (unsigned long long)a->changes, (unsigned long long)a->event_sets,
               /* three references in the socket, and all sets together */
               24 + (double)a->heap_bytes / t->options.concurrent);
        for (int i = 0; i < 2; i++) {
            const struct record *other = record_of(s, others[i], n);
            if (!other)
                continue;
            const struct result *b = &other->middle;
            printf("      %s takes %.2f times as long (%.1f Gbps), %.0f bytes for each flow\n", others[i],
                   other->ns / shared->ns, gbps(other), (double)b->heap_bytes / t->options.concurrent);
            if (a->calls != b->calls || a->changes != b->changes || a->hits != b->hits || a->changes != a->hits) {
                printf("      WORK DIFFERS: %llu and %llu calls, %llu and %llu changes\n",
                       (unsigned long long)a->calls, (unsigned long long)b->calls, (unsigned long long)a->changes,
                       (unsigned long long)b->changes);
                bad_results++;
            }
        }
    }
    if (!unit)
        return;
    for (int i = 0; i < record_count; i++) {
        const struct record *rec = &records[i];
        const char *work = rec->job.work;
        if (rec->scenario != s || !rec->middle.ok)
            continue;
        int is_handler = strcmp(work, "handler") == 0, n = rec->job.parameter;
        if (idle && (is_handler || (strcmp(work, "dispatch") == 0 && n > 0))) {
            /* A small difference: of the runs that were disturbed least. */
            double ns = rec->least - idle->least;
            printf("  %s %d: %.1f ns, %.1f empty callbacks (%d of them are its filters and handlers)\n", work,
                   is_handler ? 1 : n, ns, ns / unit->value, is_handler ? 1 : 2 * n);
            uint64_t frames = (uint64_t)t->frame_count * rec->job.loops;
            if (!is_handler && rec->middle.calls != frames) {
                printf("  CALLS DIFFER: %llu instead of %llu\n", (unsigned long long)rec->middle.calls,
                       (unsigned long long)frames);
                bad_results++;
            }
        } else if (rec->middle.packets && rec->value > 0) {
            printf("  %s %d: %.1f ns a change, %.1f empty callbacks\n", work, n, rec->value, rec->value / unit->value);
        }
    }
}

static void print_scenario(const struct scenario *s, const struct gen_trace *t)
{
    printf("\n%s: %zu frames, %.0f MB, %u flows, %u at once%s\n", s->name, t->frame_count,
           (double)t->frame_bytes / 1e6, t->flow_count, t->options.concurrent,
           s->faults > 0 ? ", 5 % late, lost or repeated" : "");
    printf("  %-16s %-6s %4s %9s %19s %9s %8s %8s %9s %8s %8s %8s\n", "workload", "who", "csum", "ns/pkt",
           "(low .. high)", "steady", "Mpps", "Gbps", "own MB", "/floor", "/nids", "/tins");
    for (int i = 0; i < record_count; i++) {
        const struct record *rec = &records[i];
        const struct result *r = &rec->middle;
        if (rec->scenario != s)
            continue;
        char name[48], range[32];
        if (strchr(s->works, ':') && rec->job.parameter >= 0)
            snprintf(name, sizeof name, "%s:%d", rec->job.work, rec->job.parameter);
        else
            snprintf(name, sizeof name, "%s", rec->job.work);
        if (!r->ok) {
            printf("  %-16s %-6s %4d    failed\n", name, rec->job.who, rec->job.checksum);
            bad_results++;
            continue;
        }
        if (r->packets == 0) {
            printf("  %-16s %-6s      %9.2f ns a call\n", name, rec->job.who, rec->value);
            continue;
        }
        snprintf(range, sizeof range, "(%.1f .. %.1f)", rec->low, rec->high);
        printf("  %-16s %-6s %4d %9.1f %19s %9.1f %8.2f %8.2f %9.1f", name, rec->job.who, rec->job.checksum,
               rec->ns, range, rec->steady, 1e3 / rec->ns,
               (double)r->bytes * 8 / ((double)r->packets * rec->ns), (double)r->anon_bytes / 1e6);
        const char *class = class_of(rec->job.work);
        static const char *const others[] = {"floor", "nids", "tins"};
        for (int k = 0; k < 3; k++) {
            const struct record *other = find(s, others[k], class, rec->job.checksum);
            if (other)
                printf(" %8.2f", rec->ns / other->ns);
            else
                printf(" %8s", "-");
        }
        const struct record *keeping = find(s, "floor", "search-keep", rec->job.checksum);
        if (keeping && strcmp(rec->job.who, "mos") == 0 && strcmp(rec->job.work, "search") == 0)
            printf("  %.2f of the floor that keeps as much", rec->ns / keeping->ns);
        if (rec->value > 0)
            printf("  %.1f ns a change", rec->value);
        else if (r->calls)
            printf("  %llu calls", (unsigned long long)r->calls);
        const char *what = wrong(rec, t);
        if (what) {
            printf("  %s (%llu flows, %llu packets, %llu bytes)", what, (unsigned long long)r->flows,
                   (unsigned long long)r->counted, (unsigned long long)r->stream_bytes);
            if (strcmp(rec->job.who, "mos") == 0 || strcmp(rec->job.who, "floor") == 0)
                bad_results++;
        }
        printf("\n");
    }
    print_events(s, t);
    fflush(stdout);
}

static void add_jobs(const struct scenario *s, struct job *jobs, int *count)
{
    const char *at = s->works;
    static const char *const contestants[] = {"mos", "floor", "nids", "tins"};
    for (; *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        char work[24] = "";
        memcpy(work, at, size < sizeof work - 1 ? size : sizeof work - 1);
        at += size;
        int parameter = -1;
        char *colon = strchr(work, ':');
        if (colon) {
            parameter = atoi(colon + 1);
            *colon = 0;
        }
        if (set.works && !in_list(set.works, work))
            continue;
        for (int k = 0; k < 4; k++) {
            const char *who = contestants[k];
            int first = strcmp(work, "count") == 0 || strcmp(work, "search") == 0 ||
                        (strcmp(work, "churn") == 0 && !strstr(s->works, "count"));
            if (!have(who) || !in_list(set.who, who) || (k > 0 && !first))
                continue;
            for (int checksum = 1; checksum >= 0; checksum--) {
                if (!(set.checksums & (checksum ? 2 : 1)))
                    continue;
                if (!class_of(work) && checksum && set.checksums != 2)
                    continue; /* events are measured without checksums */
                if (*count == JOBS_MAX)
                    return;
                struct job *j = &jobs[(*count)++];
                memset(j, 0, sizeof *j);
                j->who = who;
                /* the others know only "count" and "search" */
                snprintf(j->work, sizeof j->work, "%s", k > 0 ? class_of(work) : work);
                j->parameter = parameter;
                j->checksum = checksum;
                j->loops = set.loops;
                if (strcmp(who, "floor") == 0 && strcmp(j->work, "search") == 0 && *count < JOBS_MAX) {
                    jobs[*count] = *j;
                    snprintf(jobs[(*count)++].work, sizeof j->work, "search-keep");
                }
            }
        }
    }
}

static struct gen_trace *make(const struct scenario *s)
{
    struct gen_options o;
    gen_defaults(&o);
    o.seed = set.seed;
    o.flows = s->flows;
    o.concurrent = s->concurrent ? s->concurrent : s->flows;
    o.frame_min = o.frame_max = s->frame;
    o.data_packets = s->data_packets;
    o.open_first = o.flows == o.concurrent;
    o.reorder = s->faults * 0.6;
    o.lost = s->faults * 0.2;
    o.rexmit = s->faults * 0.2;
    o.pattern = set.pattern;
    o.pattern_every = s->pattern_every;
    o.shared = 1;
    struct gen_trace *t = gen_make(&o);
    if (!t) {
        fprintf(stderr, "cannot make the trace %s: %s\n", s->name, strerror(errno));
        exit(1);
    }
    return t;
}

static void run_scenario(const struct scenario *s)
{
    struct job jobs[JOBS_MAX];
    int count = 0;
    add_jobs(s, jobs, &count);
    if (count == 0)
        return;
    struct gen_trace *t = make(s);
    if (record_count + count > RECORDS_MAX)
        count = RECORDS_MAX - record_count;
    struct record *first = &records[record_count];
    for (int i = 0; i < count; i++) {
        first[i].scenario = s;
        first[i].job = jobs[i];
    }
    record_count += count;
    for (int run = 0; run < set.runs; run++)
        for (int i = 0; i < count; i++) {
            /* what failed once is not tried again: it may have cost the whole timeout */
            if (run > 0 && !first[i].results[first[i].runs - 1].ok)
                continue;
            run_apart(&jobs[i], t, &first[i].results[first[i].runs]);
            first[i].runs++;
        }
    for (int i = 0; i < count; i++)
        settle(&first[i]);
    print_scenario(s, t);
    gen_free(t);
}

static void write_json(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!file) {
        perror(path);
        exit(1);
    }
    fprintf(file, "[\n");
    for (int i = 0; i < record_count; i++) {
        const struct record *rec = &records[i];
        const struct result *r = &rec->middle;
        const struct record *base = find(rec->scenario, "floor", class_of(rec->job.work), rec->job.checksum);
        fprintf(file,
                "  {\"scenario\": \"%s\", \"who\": \"%s\", \"workload\": \"%s\", \"parameter\": %d, "
                "\"rx_checksum\": %d, \"ok\": %s, \"runs\": %d, \"clock\": \"%s\", \"packets\": %llu, "
                "\"bytes\": %llu, \"ns_per_packet\": %.3f, \"low\": %.3f, \"high\": %.3f, "
                "\"steady_ns_per_packet\": %.3f, \"own_bytes\": %llu, \"open_bytes\": %llu, \"start_ns\": %llu, "
                "\"flows\": %llu, \"stream_bytes\": %llu, \"hits\": %llu, \"calls\": %llu, \"changes\": %llu, "
                "\"event_sets\": %llu, \"heap_bytes\": %llu, \"value\": %.3f, \"to_floor\": %.3f}%s\n",
                rec->scenario->name, rec->job.who, rec->job.work, rec->job.parameter, rec->job.checksum,
                r->ok ? "true" : "false", rec->runs, set.cpu_clock ? "cpu" : "wall",
                (unsigned long long)r->packets, (unsigned long long)r->bytes, rec->ns, rec->low, rec->high,
                rec->steady, (unsigned long long)r->anon_bytes, (unsigned long long)r->steady_anon_bytes,
                (unsigned long long)r->start_ns, (unsigned long long)r->flows,
                (unsigned long long)r->stream_bytes, (unsigned long long)r->hits, (unsigned long long)r->calls,
                (unsigned long long)r->changes, (unsigned long long)r->event_sets, (unsigned long long)r->heap_bytes,
                rec->value,
                base ? rec->ns / base->ns : 0.0, i + 1 < record_count ? "," : "");
    }
    fprintf(file, "]\n");
    if (file != stdout)
        fclose(file);
}

static void usage(FILE *to)
{
    fputs("usage: bench [options]\n"
          "  --quick             the small suite (CI)\n"
          "  --scenario A,B      only these (--list shows them)\n"
          "  --workload A,B      only these\n"
          "  --who A,B           of mos,floor,nids,tins (all)\n"
          "  --rx-checksum M     0, 1 or both (both)\n"
          "  --runs N            medians of N (5; quick 3)\n"
          "  --clock C           wall, or cpu: CPU time of the whole process, for shared machines\n"
          "  --cpu N             CPU to run on (0); -1: any\n"
          "  --seed N, --pattern TEXT\n"
          "  --loops N           play the trace N times\n"
          "  --flows N --concurrent N --frame LEN --data-packets N --faults S\n"
          "                      a scenario of one's own\n"
          "  --json FILE         results as JSON too\n"
          "  --single WHO:WORK[:N]  one measurement in this process, for profilers; needs one scenario\n"
          "  --timeout S         for each measurement (120)\n",
          to);
}

static int single(const struct scenario *s)
{
    struct job job;
    struct result r;
    char text[64];
    memset(&job, 0, sizeof job);
    snprintf(text, sizeof text, "%s", set.single);
    char *work = strchr(text, ':');
    if (!work) {
        usage(stderr);
        return 2;
    }
    *work++ = 0;
    char *number = strchr(work, ':');
    if (number)
        *number++ = 0;
    job.who = text;
    snprintf(job.work, sizeof job.work, "%s", work);
    job.parameter = number ? atoi(number) : 0;
    job.checksum = set.checksums != 1;
    job.loops = set.loops;
    struct gen_trace *t = make(s);
    pin();
    warm(t);
    if (run_here(&job, t, &r) != 0) {
        fprintf(stderr, "%s: failed or not built in\n", set.single);
        return 1;
    }
    printf("packets %llu flows %llu counted %llu stream_bytes %llu ns_per_packet %.2f\n",
           (unsigned long long)r.packets, (unsigned long long)r.flows, (unsigned long long)r.counted,
           (unsigned long long)r.stream_bytes, per_packet(&r));
    gen_free(t);
    return 0;
}

int main(int argc, char **argv)
{
    enum { QUICK = 256, SCENARIO, WORKLOAD, WHO, CHECKSUM, RUNS, CLOCK, CPU, SEED, PATTERN, LOOPS, FLOWS,
           CONCURRENT, FRAME, DATA, FAULTS, JSON, SINGLE, TIMEOUT, LIST, HELP };
    static const struct option longs[] = {
        {"quick", 0, 0, QUICK}, {"scenario", 1, 0, SCENARIO}, {"workload", 1, 0, WORKLOAD}, {"who", 1, 0, WHO},
        {"rx-checksum", 1, 0, CHECKSUM}, {"runs", 1, 0, RUNS}, {"clock", 1, 0, CLOCK}, {"cpu", 1, 0, CPU},
        {"seed", 1, 0, SEED}, {"pattern", 1, 0, PATTERN}, {"loops", 1, 0, LOOPS}, {"flows", 1, 0, FLOWS},
        {"concurrent", 1, 0, CONCURRENT}, {"frame", 1, 0, FRAME}, {"data-packets", 1, 0, DATA},
        {"faults", 1, 0, FAULTS}, {"json", 1, 0, JSON}, {"single", 1, 0, SINGLE}, {"timeout", 1, 0, TIMEOUT},
        {"list", 0, 0, LIST}, {"help", 0, 0, HELP}, {0, 0, 0, 0}};
    int option, custom = 0;
    size_t count = sizeof scenarios / sizeof *scenarios;
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1)
        switch (option) {
        case QUICK: set.quick = 1; break;
        case SCENARIO: set.only = optarg; break;
        case WORKLOAD: set.works = optarg; break;
        case WHO: set.who = optarg; break;
        case CHECKSUM: set.checksums = strcmp(optarg, "both") == 0 ? 3 : atoi(optarg) ? 2 : 1; break;
        case RUNS: set.runs = atoi(optarg); break;
        case CLOCK: set.cpu_clock = strcmp(optarg, "cpu") == 0; break;
        case CPU: set.cpu = atoi(optarg); break;
        case SEED: set.seed = strtoull(optarg, NULL, 0); break;
        case PATTERN: set.pattern = optarg; break;
        case LOOPS: set.loops = (uint32_t)atoi(optarg); break;
        case FLOWS: set.custom.flows = (uint32_t)atoi(optarg); custom = 1; break;
        case CONCURRENT: set.custom.concurrent = (uint32_t)atoi(optarg); custom = 1; break;
        case FRAME: set.custom.frame = (uint32_t)atoi(optarg); custom = 1; break;
        case DATA: set.custom.data_packets = (uint32_t)atoi(optarg); custom = 1; break;
        case FAULTS: set.custom.faults = atof(optarg); custom = 1; break;
        case JSON: set.json = optarg; break;
        case SINGLE: set.single = optarg; break;
        case TIMEOUT: set.timeout = atoi(optarg); break;
        case LIST:
            for (size_t i = 0; i < count; i++)
                printf("%-18s %s\n", scenarios[i].name, scenarios[i].works);
            return 0;
        case HELP:
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    if (set.runs <= 0)
        set.runs = set.quick ? 3 : 5;
    if (set.runs > RUNS_MAX)
        set.runs = RUNS_MAX;
    if (set.loops == 0)
        set.loops = 1;
    if (set.only)
        for (size_t i = 0; i < count; i++)
            if (set.single && in_list(set.only, scenarios[i].name))
                return single(&scenarios[i]);
    if (set.single)
        return single(&set.custom);
    printf("medians of %d interleaved runs, %s time, each in a process of its own\n", set.runs,
           set.cpu_clock ? "CPU" : "wall clock");
    if (custom)
        run_scenario(&set.custom);
    else
        for (size_t i = 0; i < count; i++)
            if (set.only ? in_list(set.only, scenarios[i].name) : scenarios[i].in == (set.quick ? 2 : 1))
                run_scenario(&scenarios[i]);
    if (set.json)
        write_json(set.json);
    if (record_count == 0) {
        fprintf(stderr, "nothing to run: no such scenario, workload or contestant\n");
        return 2;
    }
    return bad_results ? 1 : 0;
}
