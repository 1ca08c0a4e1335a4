/* Any bytes as a trace file, and the same bytes through a pipe: both ways of
 * reading must give the same packets. An application reads all that comes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "run.h"

static void on_new_data(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    static char bytes[65536];

    (void)event, (void)arg;
    while (mtcp_peek(context, sock, side, bytes, sizeof bytes) != 0)
        ;
}

static void on_packet(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info packet;
    volatile uint8_t sum = 0;
    uint32_t i;

    (void)event, (void)arg;
    CHECK(mtcp_getlastpkt(context, sock, side, &packet) == 0, "no packet");
    for (i = 0; i < packet.eth_len; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)packet.ethh)[i]);
}

/* Returns whether the device could be opened; *stats says what it gave. */
static bool read_device(const char *device, struct mos_stats *stats)
{
    char text[256];
    const int length = snprintf(text, sizeof text,
                                "mos {\nnetdev {\n%s 1\n}\nmax_concurrency = 64\nmem_limit = 16M\n"
                                "rx_checksum = 0\n}\n", device);
    mctx_t context;
    int sock;

    memset(stats, 0, sizeof *stats);
    run_config_write(text, (size_t)length);
    CHECK(mtcp_init(run_config_path()) == 0, "mtcp_init");
    context = mtcp_create_context(0);
    if (context) {
        sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
        CHECK(mtcp_register_callback(context, sock, MOS_ON_PKT_IN, MOS_NULL, on_packet) == 0, "raw");
        sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
        CHECK(mtcp_register_callback(context, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_new_data) == 0, "stream");
        mtcp_app_join(context);
        CHECK(mos_get_stats(context, -1, stats, sizeof *stats) == 0, "mos_get_stats");
        CHECK(stats->flows_now == 0 && stats->memory_now == 0, "something is left");
    }
    CHECK(mtcp_destroy() == 0, "mtcp_destroy");
    return context != NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    run_prepare();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mos_stats from_file, from_pipe;
    bool is_file, is_pipe;
    char device[64];
    int file, ends[2];

    /* A pipe takes so much without a reader. */
    if (size > 65536)
        return -1;
    file = memfd_create("fuzz.pcap", 0);
    CHECK(file >= 0 && write(file, data, size) == (ssize_t)size, "no memory file");
    snprintf(device, sizeof device, "pcap:/proc/self/fd/%d", file);
    is_file = read_device(device, &from_file);
    close(file);

    CHECK(pipe2(ends, 0) == 0 && write(ends[1], data, size) == (ssize_t)size, "no pipe");
    close(ends[1]);
    snprintf(device, sizeof device, "pcap:/proc/self/fd/%d", ends[0]);
    is_pipe = read_device(device, &from_pipe);
    close(ends[0]);

    CHECK(is_file == is_pipe, "a file opens: %d, a pipe: %d", is_file, is_pipe);
    CHECK(from_file.rx_packets == from_pipe.rx_packets, "%llu packets from a file, %llu from a pipe",
          (unsigned long long)from_file.rx_packets, (unsigned long long)from_pipe.rx_packets);
    CHECK(from_file.rx_bytes == from_pipe.rx_bytes, "%llu bytes from a file, %llu from a pipe",
          (unsigned long long)from_file.rx_bytes, (unsigned long long)from_pipe.rx_bytes);
    return 0;
}
