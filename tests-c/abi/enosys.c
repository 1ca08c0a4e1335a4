/* Which functions are not supported yet. not-yet.txt names them: those return
 * -1 with ENOSYS whatever they are given, no other one does. exports.txt is
 * the list of all, and this file calls each of them once.
 *
 * usage: enosys [directory of the two lists] */
#include "mos_api.h"
#include "mos_ext.h"
#include "mos_io.h"
#include "mtcp_util.h"
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static char text[] = "a b";
static char buffer[64];
static int number, pair[2];
static char *words[4];
static socklen_t length = sizeof(struct sockaddr_in);
static struct sockaddr_in address;
static struct iovec vector;
static struct mtcp_conf configuration;
static struct mtcp_epoll_event readiness;
static struct pkt_info packet;
static struct mos_stats statistics;
static struct mos_flow_info flow;
static struct timeval moment;
#define ADDRESS ((struct sockaddr *)&address)

#define CALL(name, ...) \
    static long call_##name(void) \
    { \
        return (long)name(__VA_ARGS__); \
    }
#define CALL_VOID(name, ...) \
    static long call_##name(void) \
    { \
        name(__VA_ARGS__); \
        return 0; \
    }

CALL(EventToString, MOS_EPOLLIN)
CALL(GetNumCPUs)
CALL(GetRSSCPUCore, 1, 2, 3, 4, 2)
CALL(StrToArgs, text, &number, words, 4)
CALL(XXH32, text, 3, 0)
CALL(XXH64, text, 3, 0)
CALL(mos_flow_info, NULL, 0, &flow, sizeof(flow))
CALL(mos_get_stats, NULL, -1, &statistics, sizeof(statistics))
CALL(mos_io_register, NULL)
CALL(mos_peek_advance, NULL, 0, MOS_SIDE_CLI, 0)
CALL(mos_peek_iov, NULL, 0, MOS_SIDE_CLI, &vector, 1)
CALL(mos_version)
CALL(mtcp_abort, NULL, 0)
CALL(mtcp_accept, NULL, 0, ADDRESS, &length)
CALL(mtcp_alloc_event, MOS_ON_PKT_IN)
CALL_VOID(mtcp_app_join, NULL)
CALL(mtcp_bind, NULL, 0, ADDRESS, length)
CALL(mtcp_bind_monitor_filter, NULL, 0, NULL)
CALL(mtcp_cb_dropcurpkt, NULL)
CALL(mtcp_cb_get_ts, NULL)
CALL(mtcp_cb_stop, NULL, 0, MOS_SIDE_BOTH)
CALL(mtcp_clonepkt, NULL, NULL, NULL)
CALL(mtcp_close, NULL, 0)
CALL(mtcp_connect, NULL, 0, ADDRESS, length)
CALL(mtcp_core_affinitize, -1)
CALL(mtcp_create_context, -1)
CALL(mtcp_define_event, MOS_NULL_EVENT, NULL, NULL)
CALL(mtcp_destroy)
CALL(mtcp_destroy_context, NULL)
CALL(mtcp_epoll_create, NULL, 1)
CALL(mtcp_epoll_ctl, NULL, 0, MOS_EPOLL_CTL_ADD, 0, &readiness)
CALL(mtcp_epoll_wait, NULL, 0, &readiness, 1, 0)
CALL(mtcp_get_connection_cnt, NULL)
CALL(mtcp_get_uctx, NULL, 0)
CALL(mtcp_getconf, &configuration)
CALL(mtcp_getlastpkt, NULL, 0, MOS_SIDE_CLI, &packet)
CALL(mtcp_getpeername, NULL, 0, ADDRESS, &length, MOS_SIDE_CLI)
CALL(mtcp_getsockname, NULL, 0, ADDRESS, &length)
CALL(mtcp_getsockopt, NULL, 0, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &number, &length)
CALL(mtcp_init, "/nonexistent/mos.conf")
CALL(mtcp_init_rss, NULL, INADDR_ANY, 1, 1, 1)
CALL(mtcp_ioctl, NULL, 0, 0, &number)
CALL(mtcp_listen, NULL, 0, 1)
CALL(mtcp_peek, NULL, 0, MOS_SIDE_CLI, buffer, sizeof(buffer))
CALL(mtcp_pipe, NULL, pair)
CALL(mtcp_ppeek, NULL, 0, MOS_SIDE_CLI, buffer, sizeof(buffer), 0)
CALL(mtcp_raise_event, NULL, 4096)
CALL(mtcp_read, NULL, 0, buffer, sizeof(buffer))
CALL(mtcp_readv, NULL, 0, &vector, 1)
CALL(mtcp_recv, NULL, 0, buffer, sizeof(buffer), 0)
CALL(mtcp_register_callback, NULL, 0, MOS_ON_PKT_IN, MOS_HK_SND, NULL)
CALL(mtcp_register_signal, -1, SIG_DFL)
CALL(mtcp_reset_conn, NULL, 0)
CALL(mtcp_sendpkt, NULL, 0, &packet)
CALL(mtcp_setconf, &configuration)
CALL(mtcp_setlastpkt, NULL, 0, MOS_SIDE_CLI, 0, NULL, 0, MOS_DROP)
CALL(mtcp_setsock_nonblock, NULL, 0)
CALL(mtcp_setsockopt, NULL, 0, SOL_MONSOCKET, MOS_CLIBUF, &number, sizeof(number))
CALL(mtcp_settimer, NULL, 0, &moment, NULL)
CALL_VOID(mtcp_set_uctx, NULL, 0, NULL)
CALL(mtcp_socket, NULL, AF_INET, MOS_SOCK_MONITOR_STREAM, 0)
CALL(mtcp_unregister_callback, NULL, 0, MOS_ON_PKT_IN, MOS_HK_SND)
CALL(mtcp_write, NULL, 0, buffer, sizeof(buffer))
CALL(mtcp_writev, NULL, 0, &vector, 1)

#define ENTRY(name) {#name, call_##name, 0, 0}
static struct {
    const char *name;
    long (*call)(void);
    int exported, not_yet;
} functions[] = {
    ENTRY(EventToString),
    ENTRY(GetNumCPUs),
    ENTRY(GetRSSCPUCore),
    ENTRY(StrToArgs),
    ENTRY(XXH32),
    ENTRY(XXH64),
    ENTRY(mos_flow_info),
    ENTRY(mos_get_stats),
    ENTRY(mos_io_register),
    ENTRY(mos_peek_advance),
    ENTRY(mos_peek_iov),
    ENTRY(mos_version),
    ENTRY(mtcp_abort),
    ENTRY(mtcp_accept),
    ENTRY(mtcp_alloc_event),
    ENTRY(mtcp_app_join),
    ENTRY(mtcp_bind),
    ENTRY(mtcp_bind_monitor_filter),
    ENTRY(mtcp_cb_dropcurpkt),
    ENTRY(mtcp_cb_get_ts),
    ENTRY(mtcp_cb_stop),
    ENTRY(mtcp_clonepkt),
    ENTRY(mtcp_close),
    ENTRY(mtcp_connect),
    ENTRY(mtcp_core_affinitize),
    ENTRY(mtcp_create_context),
    ENTRY(mtcp_define_event),
    ENTRY(mtcp_destroy),
    ENTRY(mtcp_destroy_context),
    ENTRY(mtcp_epoll_create),
    ENTRY(mtcp_epoll_ctl),
    ENTRY(mtcp_epoll_wait),
    ENTRY(mtcp_get_connection_cnt),
    ENTRY(mtcp_get_uctx),
    ENTRY(mtcp_getconf),
    ENTRY(mtcp_getlastpkt),
    ENTRY(mtcp_getpeername),
    ENTRY(mtcp_getsockname),
    ENTRY(mtcp_getsockopt),
    ENTRY(mtcp_init),
    ENTRY(mtcp_init_rss),
    ENTRY(mtcp_ioctl),
    ENTRY(mtcp_listen),
    ENTRY(mtcp_peek),
    ENTRY(mtcp_pipe),
    ENTRY(mtcp_ppeek),
    ENTRY(mtcp_raise_event),
    ENTRY(mtcp_read),
    ENTRY(mtcp_readv),
    ENTRY(mtcp_recv),
    ENTRY(mtcp_register_callback),
    ENTRY(mtcp_register_signal),
    ENTRY(mtcp_reset_conn),
    ENTRY(mtcp_sendpkt),
    ENTRY(mtcp_set_uctx),
    ENTRY(mtcp_setconf),
    ENTRY(mtcp_setlastpkt),
    ENTRY(mtcp_setsock_nonblock),
    ENTRY(mtcp_setsockopt),
    ENTRY(mtcp_settimer),
    ENTRY(mtcp_socket),
    ENTRY(mtcp_unregister_callback),
    ENTRY(mtcp_write),
    ENTRY(mtcp_writev),
};
#define COUNT (sizeof(functions) / sizeof(functions[0]))

/* Marks what a list names. */
static int read_list(const char *directory, const char *file, int not_yet)
{
    char path[4096], line[256];
    FILE *list;

    snprintf(path, sizeof(path), "%s/%s", directory, file);
    list = fopen(path, "r");
    check(list != NULL, path);
    if (list == NULL)
        return 0;
    while (fgets(line, sizeof(line), list) != NULL) {
        size_t i;
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 0)
            continue;
        for (i = 0; i < COUNT && strcmp(functions[i].name, line) != 0; i++)
            continue;
        if (i == COUNT) {
            check(0, line);
        } else if (not_yet) {
            functions[i].not_yet = 1;
        } else {
            functions[i].exported = 1;
        }
    }
    fclose(list);
    return 1;
}

int main(int argc, char **argv)
{
    char directory[2048], what[512];
    char *slash;
    size_t i;

    snprintf(directory, sizeof(directory), "%s", argc > 1 ? argv[1] : __FILE__);
    slash = strrchr(directory, '/');
    if (argc <= 1)
        snprintf(slash != NULL ? slash : directory, 2, slash != NULL ? "" : ".");
    if (!read_list(directory, "exports.txt", 0) || !read_list(directory, "not-yet.txt", 1))
        return finish();

    for (i = 0; i < COUNT; i++) {
        long result;
        int error;

        errno = 0;
        result = functions[i].call();
        error = errno;
        if (functions[i].not_yet) {
            snprintf(what, sizeof(what), "%s is not supported yet (%ld, %s)", functions[i].name,
                     result, strerror(error));
            check(result == -1 && error == ENOSYS, what);
        } else {
            snprintf(what, sizeof(what), "%s is supported (%ld, %s)", functions[i].name, result,
                     strerror(error));
            check(error != ENOSYS, what);
        }
        snprintf(what, sizeof(what), "%s is in exports.txt", functions[i].name);
        check(functions[i].exported, what);
    }
    return finish();
}
