/* Any text as a filter, first of a listener, then of a raw socket; packets go
 * through what is accepted. */
#include <netdb.h>
#include <string.h>
#include <errno.h>

#include "check.h"
#include "run.h"
#include "script.h"
#include "traffic.h"

static char expression[4096];

/* libpcap asks for the address of every word that it does not know: nobody is. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    (void)node, (void)service, (void)hints, (void)result;
    return EAI_NONAME;
}

static void on_packet(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)context, (void)sock, (void)side, (void)event, (void)arg;
}

static void bind_filter(mctx_t context, int sock, bool orphans)
{
    union monitor_filter filter;
    char copy[sizeof expression];
    int result;

    strcpy(copy, expression);
    memset(&filter, 0, sizeof filter);
    if (orphans)
        filter.stream_orphan_filter = copy;
    else
        filter.stream_syn_filter = copy; /* a raw socket's filter is in the same place */
    result = mtcp_bind_monitor_filter(context, sock, &filter);
    CHECK(result == 0 || (result == -1 && (errno == EINVAL || errno == ENOMEM)), "%d, errno %d", result, errno);
    CHECK(strcmp(copy, expression) == 0, "the expression was written to");
}

static void set_up(mctx_t context)
{
    const int raw = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    const int sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    mtcp_register_callback(context, raw, MOS_ON_PKT_IN, MOS_NULL, on_packet);
    mtcp_register_callback(context, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet);
    mtcp_register_callback(context, sock, MOS_ON_ORPHAN, MOS_NULL, on_packet);
    bind_filter(context, sock, false);
    bind_filter(context, sock, true);
    bind_filter(context, raw, false);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    run_prepare();
    script_register();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t program[] = {
        OP_HANDSHAKE, OP_DATA, 3, OP_HANDSHAKE | 4 << 4, OP_DATA | 4 << 4, 2, OP_SYN | 6 << 4, OP_ACK | 3 << 4,
        OP_RAW, 1, 3, 0x45, 0, 0, OP_SPOIL, 251, 20, OP_FRAGMENTS, 9, 3, 0, OP_SPOIL, 255, 14,
    };
    const struct run_settings settings = {8, 8192, 65536, 1 << 20, 30, 0, false, true, false};
    struct input in = {program, program + sizeof program};
    struct traffic traffic;
    struct mos_stats stats;

    if (size >= sizeof expression)
        return -1;
    memcpy(expression, data, size);
    expression[size] = '\0';
    script_reset();
    traffic_run(&traffic, &in);
    run_script(&settings, set_up, &stats);
    return 0;
}
