/* Takes every function into a pointer of the type that the interface gives
 * it: what is not exported does not link, what differs does not compile. */
#include "mos_api.h"
#include "mos_ext.h"
#include "mos_io.h"
#include "mtcp_util.h"
#include "check.h"

/* volatile: the pointer has to be there, whatever the optimiser thinks. */
#define USE(result, name, parameters) \
    { \
        result(*volatile pointer) parameters = name; \
        check(pointer != NULL, #name); \
    }

int main(void)
{
    /* mos_api.h */
    USE(int, mtcp_bind_monitor_filter, (mctx_t, int, monitor_filter_t))
    USE(int, mtcp_register_callback, (mctx_t, int, event_t, int, callback_t))
    USE(int, mtcp_unregister_callback, (mctx_t, int, event_t, int))
    USE(event_t, mtcp_alloc_event, (event_t))
    USE(event_t, mtcp_define_event, (event_t, filter_t, struct filter_arg *))
    USE(int, mtcp_raise_event, (mctx_t, event_t))
    USE(void, mtcp_set_uctx, (mctx_t, int, void *))
    USE(void *, mtcp_get_uctx, (mctx_t, int))
    USE(ssize_t, mtcp_peek, (mctx_t, int, int, char *, size_t))
    USE(ssize_t, mtcp_ppeek, (mctx_t, int, int, char *, size_t, uint64_t))
    USE(int, mtcp_getlastpkt, (mctx_t, int, int, struct pkt_info *))
    USE(int, mtcp_setlastpkt, (mctx_t, int, int, off_t, byte *, uint16_t, int))
    USE(int, mtcp_sendpkt, (mctx_t, int, const struct pkt_info *))
    USE(int, mtcp_settimer, (mctx_t, int, struct timeval *, callback_t))
    USE(uint32_t, mtcp_cb_get_ts, (mctx_t))
    USE(void, mtcp_app_join, (mctx_t))
    USE(int, mtcp_getpeername, (mctx_t, int, struct sockaddr *, socklen_t *, int))
    USE(int, mtcp_reset_conn, (mctx_t, int))
    USE(int, mtcp_cb_dropcurpkt, (mctx_t))
    USE(int, mtcp_cb_stop, (mctx_t, int, int))
    USE(int, mtcp_clonepkt, (struct pkt_info *, unsigned char *, struct pkt_info *))

    /* mtcp_api.h */
    USE(int, mtcp_init, (const char *))
    USE(int, mtcp_destroy, (void))
    USE(int, mtcp_getconf, (struct mtcp_conf *))
    USE(int, mtcp_setconf, (const struct mtcp_conf *))
    USE(int, mtcp_core_affinitize, (int))
    USE(mctx_t, mtcp_create_context, (int))
    USE(int, mtcp_destroy_context, (mctx_t))
    USE(mtcp_sighandler_t, mtcp_register_signal, (int, mtcp_sighandler_t))
    USE(int, mtcp_pipe, (mctx_t, int[2]))
    USE(int, mtcp_getsockopt, (mctx_t, int, int, int, void *, socklen_t *))
    USE(int, mtcp_setsockopt, (mctx_t, int, int, int, const void *, socklen_t))
    USE(int, mtcp_setsock_nonblock, (mctx_t, int))
    USE(int, mtcp_ioctl, (mctx_t, int, int, void *))
    USE(int, mtcp_socket, (mctx_t, int, int, int))
    USE(int, mtcp_bind, (mctx_t, int, const struct sockaddr *, socklen_t))
    USE(int, mtcp_listen, (mctx_t, int, int))
    USE(int, mtcp_accept, (mctx_t, int, struct sockaddr *, socklen_t *))
    USE(int, mtcp_init_rss, (mctx_t, in_addr_t, int, in_addr_t, in_addr_t))
    USE(int, mtcp_connect, (mctx_t, int, const struct sockaddr *, socklen_t))
    USE(int, mtcp_close, (mctx_t, int))
    USE(int, mtcp_abort, (mctx_t, int))
    USE(int, mtcp_getsockname, (mctx_t, int, struct sockaddr *, socklen_t *))
    USE(ssize_t, mtcp_recv, (mctx_t, int, char *, size_t, int))
    USE(ssize_t, mtcp_read, (mctx_t, int, char *, size_t))
    USE(ssize_t, mtcp_readv, (mctx_t, int, const struct iovec *, int))
    USE(ssize_t, mtcp_write, (mctx_t, int, const char *, size_t))
    USE(ssize_t, mtcp_writev, (mctx_t, int, const struct iovec *, int))
    USE(uint32_t, mtcp_get_connection_cnt, (mctx_t))

    /* mtcp_epoll.h */
    USE(int, mtcp_epoll_create, (mctx_t, int))
    USE(int, mtcp_epoll_ctl, (mctx_t, int, int, int, struct mtcp_epoll_event *))
    USE(int, mtcp_epoll_wait, (mctx_t, int, struct mtcp_epoll_event *, int, int))
    USE(char *, EventToString, (uint32_t))

    /* mtcp_util.h */
    USE(int, GetRSSCPUCore, (in_addr_t, in_addr_t, in_port_t, in_port_t, int))
    USE(int, StrToArgs, (char *, int *, char **, int))
    USE(unsigned int, XXH32, (const void *, size_t, unsigned))
    USE(unsigned long long, XXH64, (const void *, size_t, unsigned long long))

    /* mos_ext.h, mos_io.h */
    USE(const char *, mos_version, (void))
    USE(int, GetNumCPUs, (void))
    USE(int, mos_get_stats, (mctx_t, int, struct mos_stats *, size_t))
    USE(ssize_t, mos_peek_iov, (mctx_t, int, int, struct iovec *, int))
    USE(int, mos_peek_advance, (mctx_t, int, int, size_t))
    USE(int, mos_flow_info, (mctx_t, int, struct mos_flow_info *, size_t))
    USE(int, mos_io_register, (const struct mos_io_ops *))
    return finish();
}
