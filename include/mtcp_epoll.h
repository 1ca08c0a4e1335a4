/*
 * mtcp_epoll.h: readiness of stream sockets, listeners and pipes, in the
 * manner of epoll(7). Conventions of errors: see mtcp_api.h.
 */
#ifndef MTCP_EPOLL_H
#define MTCP_EPOLL_H

#include "mtcp_api.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mtcp_epoll_op {
    MOS_EPOLL_CTL_ADD = 1,
    MOS_EPOLL_CTL_DEL = 2,
    MOS_EPOLL_CTL_MOD = 3
};

/* Readiness. MOS_EPOLLET is a negative int, so it sign-extends when stored
 * into the 64-bit events field: only the low 32 bits count there. */
enum epoll_event_type {
    MOS_EPOLLNONE = 0x001,
    MOS_EPOLLIN = 0x002,
    MOS_EPOLLPRI = 0x004,
    MOS_EPOLLOUT = 0x008,
    MOS_EPOLLRDNORM = 0x010,
    MOS_EPOLLRDBAND = 0x020,
    MOS_EPOLLWRNORM = 0x040,
    MOS_EPOLLWRBAND = 0x080,
    MOS_EPOLLMSG = 0x100,
    MOS_EPOLLERR = 0x200,   /* always reported */
    MOS_EPOLLHUP = 0x400,   /* always reported */
    MOS_EPOLLRDHUP = 0x800,
    MOS_EPOLLONESHOT = 0x40000000,      /* bit 30 */
    MOS_EPOLLET = (-0x7fffffff - 1)     /* bit 31: edge-triggered */
};

/* What a handler may ask the stack to do next. */
enum mtcp_action {
    MOS_ACT_SEND_DATA = 2,
    MOS_ACT_SEND_ACK_NOW = 4,
    MOS_ACT_SEND_ACK_AGG = 8,
    MOS_ACT_SEND_CONTROL = 16,
    MOS_ACT_SEND_RST = 32,
    MOS_ACT_DESTROY = 64,
    MOS_ACT_READ_DATA = 128,
    MOS_ACT_CNT
};

/* The caller's own word, handed back with each event. */
typedef union mtcp_epoll_data {
    void *ptr;
    int sock;
    uint32_t u32;
    uint64_t u64;
} mtcp_epoll_data_t;

struct mtcp_epoll_event {
    uint64_t events; /* enum epoll_event_type, or-ed; the low 32 bits count */
    mtcp_epoll_data_t data;
};

/** Makes an epoll instance. A context may have several.
 *
 * @param size  at least 1; a hint
 * @return its id; -1 with EINVAL (size), ENFILE
 *
 * mOS: mtcp_epoll_create(3) */
int mtcp_epoll_create(mctx_t mctx, int size);

/** Adds a socket to an epoll instance, removes it, or changes what is waited
 * for. Readiness that exists already is reported.
 *
 * @param op     an enum mtcp_epoll_op
 * @param event  may be NULL for MOS_EPOLL_CTL_DEL
 * @return 0; -1 with EEXIST (added twice), ENOENT (was not added), EINVAL
 *         (op, null event, epid is not an epoll instance), EBADF
 *
 * mOS: mtcp_epoll_ctl(3) */
int mtcp_epoll_ctl(mctx_t mctx, int epid, int op, int sock, struct mtcp_epoll_event *event);

/** Waits for readiness. Another thread may call mtcp_epoll_ctl() meanwhile.
 *
 * @param events      out: what is ready
 * @param maxevents   room there, at least 1
 * @param timeout_ms  milliseconds; 0 does not wait, -1 waits for ever
 * @return the number of events, 0 when the time is over; -1 with EINVAL,
 *         EBADF, EINTR (signal or shutdown)
 *
 * mOS: mtcp_epoll_wait(3) */
int mtcp_epoll_wait(mctx_t mctx, int epid, struct mtcp_epoll_event *events,
                    int maxevents, int timeout_ms);

/** A readable name for one readiness bit.
 *
 * @param event  one bit of enum epoll_event_type
 * @return a constant string such as "MOS_EPOLLIN", or "unknown" for anything
 *         else; never NULL. Not to be changed or freed
 *
 * mOS: EventToString */
char *EventToString(uint32_t event);

#ifdef __cplusplus
}
#endif

#endif /* MTCP_EPOLL_H */
