/* A packet source for libmos that hands out a generated trace from memory:
 * device "mem:NAME". Frames are given without copying, in bursts; the clock is
 * the trace's (a virtual clock). What the stack sends is counted and dropped. */
#ifndef GEN_MEM_IO_H
#define GEN_MEM_IO_H

#include <stdint.h>

#include "gen.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mem_source {
    const struct gen_trace *trace;
    uint32_t loops;      /* times the trace is played, time going on; 0 counts as 1 */
    uint32_t burst;      /* frames at most for each receive; 0: as many as asked for */
    uint32_t frame_flags; /* MOS_IO_*_CSUM_OK bits to claim for each frame */
    /* Called before a receive once `delivered` frames have been handed out in
     * all; the frames before are done with. Returns the next count at which to
     * be called, UINT64_MAX for never. Called first at 0. */
    uint64_t (*at)(void *arg, uint64_t delivered);
    void *arg;

    /* State and results. */
    uint64_t next_at;
    uint64_t delivered;
    uint64_t bytes;
    uint64_t time_base;
    uint64_t sent;
    uint64_t forwarded;
    uint64_t index;
    uint32_t loop;
};

/** Registers the scheme "mem" with libmos and names a source; before
 *  mtcp_init(). The source must outlive the library's use. 0, or -1 with
 *  errno (ENOSPC after eight sources). */
int mem_io_add(const char *name, struct mem_source *source);

#ifdef __cplusplus
}
#endif

#endif
