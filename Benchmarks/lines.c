/* What this machine's memory takes for lines that no cache has, however well
 * they are asked for ahead: docs/performance.md, "Where the time goes".
 *
 *   lines FLOWS LINES COUNTER
 *
 * In random order each step writes LINES lines of one of FLOWS records (of six
 * lines), and with COUNTER not 0 a counter of 16 bytes elsewhere; 32 steps are asked
 * for together. Prints nanoseconds for each step, the best of five passes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "large_pages.h"

#define STEPS 4000000u
#define TOGETHER 32u
#define RECORD 384u

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    size_t flows = argc == 4 ? strtoul(argv[1], NULL, 10) : 0, lines = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (flows < 1 || flows > 10000000 || lines < 1 || lines > RECORD / 64) {
        fprintf(stderr, "usage: lines FLOWS LINES COUNTER (1 to 6 lines; counter 0 or 1)\n");
        return 2;
    }
    int has_counter = argv[3][0] != '0';
    char *records = (char *)large_pages(flows * RECORD), *counters = (char *)large_pages(flows * 16);
    memset(records, 1, flows * RECORD);
    memset(counters, 1, flows * 16);
    uint32_t *order = (uint32_t *)malloc(STEPS * sizeof *order);
    if (!order)
        return 1;
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < STEPS; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        order[i] = (uint32_t)((random >> 20) % flows);
    }
    double best = 1e18;
    for (int pass = 0; pass < 5; pass++) {
        double start = now();
        for (size_t at = 0; at + TOGETHER <= STEPS; at += TOGETHER) {
            for (size_t i = at; i < at + TOGETHER; i++) {
                for (size_t line = 0; line < lines; line++)
                    __builtin_prefetch(records + (size_t)order[i] * RECORD + line * 64, 1);
                if (has_counter)
                    __builtin_prefetch(counters + (size_t)order[i] * 16, 1);
            }
            for (size_t i = at; i < at + TOGETHER; i++) {
                for (size_t line = 0; line < lines; line++)
                    ++*(uint64_t *)(void *)(records + (size_t)order[i] * RECORD + line * 64);
                if (has_counter)
                    ++*(uint64_t *)(void *)(counters + (size_t)order[i] * 16);
            }
        }
        double taken = (now() - start) / STEPS;
        best = taken < best ? taken : best;
    }
    printf("%.1f ns\n", best);
    free(order);
    return 0;
}
