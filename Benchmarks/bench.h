/* What the driver and the contestants share. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#include "../tests-c/gen/gen.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One thing to measure. */
struct job {
    const char *who;  /* "mos", "floor", "nids", "tins" */
    char work[24];    /* "count", "search" … */
    int parameter;    /* of the workload, 0 if it has none */
    int checksum;     /* verify checksums? */
    uint32_t loops;   /* times the trace is played */
};

/** What a measurement gives; all of it comes through a pipe. */
struct result {
    int ok;                 /* 1: ran to its end */
    uint64_t packets, bytes;
    uint64_t wall_ns, cpu_ns;           /* from the first frame to the end; CPU of the whole process */
    uint64_t steady_packets;            /* the stretch in which all flows are open */
    uint64_t steady_wall_ns, steady_cpu_ns;
    uint64_t anon_bytes;                /* peak of the process's own memory over that at the start */
    uint64_t steady_anon_bytes;         /* the same when the last flow has opened */
    uint64_t counted;                   /* packets in the flow counters */
    uint64_t flows;                     /* flows that the contestant saw */
    uint64_t stream_bytes;              /* bytes searched */
    uint64_t hits;                      /* chunks in which the pattern was found */
    uint64_t calls;                     /* of handlers, where a workload counts them */
    uint64_t changes;                   /* of event sets */
    uint64_t heap_bytes, event_sets;    /* the most at a time, where a workload looks */
    double value;                       /* a workload's own figure (nanoseconds) */
    uint64_t start_ns;                  /* time that setting up took */
};

/* probe.c: clocks and memory along the trace. */
void probe_begin(const struct gen_trace *trace, uint32_t loops, struct result *result);
/** To be called when `delivered` frames have been handed out; returns the next
 *  count at which to be called. The first call, with 0, starts the clock. */
uint64_t probe_at(void *unused, uint64_t delivered);
void probe_end(void);
uint64_t now_ns(void);

/* Contestants: 0, or -1 after a message. */
int run_mos(const struct job *job, const struct gen_trace *trace, struct result *result);
int run_floor(const struct job *job, const struct gen_trace *trace, struct result *result);
int run_nids(const struct job *job, const struct gen_trace *trace, struct result *result);
int run_tins(const struct job *job, const struct gen_trace *trace, struct result *result);

#ifdef __cplusplus
}
#endif

#endif
