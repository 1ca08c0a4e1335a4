/* One context over the script, from mtcp_init() to mtcp_destroy(). */
#ifndef FUZZ_RUN_H
#define FUZZ_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <mos_api.h>
#include <mos_ext.h>

struct run_settings {
    uint32_t max_concurrency;
    uint32_t rmem_size;
    uint32_t rmem_max;
    uint32_t mem_limit;
    int tcp_timeout;      /* seconds, -1: never */
    int tcp_tw_interval;
    bool forward;
    bool rx_checksum;
    bool no_ring_buffers;
};

/* To be called once. */
void run_prepare(void);

/* Room for a configuration file that is not on any disk: its path, and how to
 * fill it. */
const char *run_config_path(void);
void run_config_write(const char *text, size_t length);

/* Plays the script to its end. `set_up` is called with the new context. What
 * the library counted goes to *stats, as does how it was left: no flow and no
 * memory may be. */
void run_script(const struct run_settings *settings, void (*set_up)(mctx_t), struct mos_stats *stats);

#endif
