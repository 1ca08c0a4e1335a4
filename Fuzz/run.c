#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "run.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "check.h"
#include "script.h"

static int config = -1;

void run_prepare(void)
{
    /* Clearing large pages would take most of the time of a short run. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

const char *run_config_path(void)
{
    static char path[64];

    if (config < 0) {
        config = memfd_create("fuzz.conf", 0);
        CHECK(config >= 0, "no memory file");
        snprintf(path, sizeof path, "/proc/self/fd/%d", config);
    }
    return path;
}

void run_config_write(const char *text, size_t length)
{
    run_config_path();
    CHECK(ftruncate(config, 0) == 0, "the memory file cannot be emptied");
    CHECK(pwrite(config, text, length, 0) == (ssize_t)length, "the memory file cannot be written");
}

void run_script(const struct run_settings *settings, void (*set_up)(mctx_t), struct mos_stats *stats)
{
    char text[1024];
    const int length = snprintf(text, sizeof text,
                                "mos {\n"
                                "netdev {\nfuzz:in 1\nfuzz:out 1\n}\n"
                                "nic_forward_table {\nfuzz:in fuzz:out\n}\n"
                                "forward = %d\nmax_concurrency = %u\nrmem_size = %u\nrmem_max = %u\n"
                                "mem_limit = %u\ntcp_timeout = %d\ntcp_tw_interval = %d\nrx_checksum = %d\n"
                                "no_ring_buffers = %d\nfrag_max = 8\nlog_level = error\n}\n",
                                settings->forward, settings->max_concurrency, settings->rmem_size,
                                settings->rmem_max, settings->mem_limit, settings->tcp_timeout,
                                settings->tcp_tw_interval, settings->rx_checksum, settings->no_ring_buffers);
    mctx_t context;

    run_config_write(text, (size_t)length);
    CHECK(mtcp_init(run_config_path()) == 0, "mtcp_init");
    context = mtcp_create_context(0);
    CHECK(context != NULL, "mtcp_create_context");
    set_up(context);
    if (getenv("FUZZ_PCAP"))
        script_write(getenv("FUZZ_PCAP"));
    mtcp_app_join(context);
    memset(stats, 0xff, sizeof *stats);
    CHECK(mos_get_stats(context, -1, stats, sizeof *stats) == 0, "mos_get_stats");
    CHECK(stats->flows_now == 0, "%llu flows are left", (unsigned long long)stats->flows_now);
    CHECK(stats->memory_now == 0, "%llu bytes are left", (unsigned long long)stats->memory_now);
    CHECK(mtcp_destroy() == 0, "mtcp_destroy");
}
