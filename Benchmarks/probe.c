#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SAMPLES 32

static struct {
    struct result *result;
    uint64_t begin, end, total, next_sample, sample_step;
    uint64_t wall, cpu, steady_wall, steady_cpu, anon;
    int statm, in_steady, started;
} probe;

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Resident memory that is not shared: the trace is in shared memory and does not count. */
static uint64_t anonymous(void)
{
    char text[128];
    unsigned long size, resident, shared;
    ssize_t got = pread(probe.statm, text, sizeof text - 1, 0);
    if (got <= 0)
        return 0;
    text[got] = 0;
    if (sscanf(text, "%lu %lu %lu", &size, &resident, &shared) != 3)
        return 0;
    return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void sample(void)
{
    uint64_t own = anonymous();
    if (own > probe.anon && own - probe.anon > probe.result->anon_bytes)
        probe.result->anon_bytes = own - probe.anon;
}

void probe_begin(const struct gen_trace *trace, uint32_t loops, struct result *result)
{
    memset(&probe, 0, sizeof probe);
    probe.result = result;
    probe.begin = trace->steady_begin;
    probe.end = trace->steady_end;
    probe.total = trace->frame_count * (uint64_t)loops;
    probe.sample_step = probe.total / SAMPLES + 1;
    probe.statm = open("/proc/self/statm", O_RDONLY);
    probe.anon = anonymous();
    result->packets = probe.total;
    result->bytes = trace->frame_bytes * loops;
}

uint64_t probe_at(void *unused, uint64_t delivered)
{
    (void)unused;
    if (!probe.started) {
        probe.started = 1;
        probe.wall = now_ns();
        probe.cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    }
    if (delivered >= probe.next_sample) {
        sample();
        probe.next_sample = delivered + probe.sample_step;
    }
    if (!probe.in_steady && delivered >= probe.begin) {
        uint64_t own = anonymous();
        probe.result->steady_anon_bytes = own > probe.anon ? own - probe.anon : 0;
        probe.in_steady = 1;
        probe.result->steady_packets = delivered;
        probe.steady_wall = now_ns();
        probe.steady_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    }
    if (probe.in_steady == 1 && delivered >= probe.end) {
        probe.in_steady = 2;
        probe.result->steady_packets = delivered - probe.result->steady_packets;
        probe.result->steady_wall_ns = now_ns() - probe.steady_wall;
        probe.result->steady_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - probe.steady_cpu;
    }
    uint64_t next = probe.next_sample;
    if (probe.in_steady == 0 && probe.begin < next)
        next = probe.begin;
    if (probe.in_steady == 1 && probe.end < next)
        next = probe.end;
    return next;
}

void probe_end(void)
{
    probe.result->wall_ns = now_ns() - probe.wall;
    probe.result->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - probe.cpu;
    sample();
    if (probe.in_steady == 1) {
        probe.in_steady = 2;
        probe.result->steady_packets = probe.total - probe.result->steady_packets;
        probe.result->steady_wall_ns = now_ns() - probe.steady_wall;
        probe.result->steady_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - probe.steady_cpu;
    }
    close(probe.statm);
    probe.result->ok = 1;
}
