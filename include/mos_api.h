/*
 * mos_api.h: monitoring sockets, events and packets.
 *
 * The names, values and layouts are those of mOS 0.3 on LP64 Linux.
 * Conventions of errors: see mtcp_api.h. "From the stack thread" means from a
 * handler, a filter or a timer of the same context: elsewhere EPERM.
 */
#ifndef MOS_API_H
#define MOS_API_H

/*
 * struct tcphdr is declared by <linux/tcp.h> and by <netinet/tcp.h>, and one
 * translation unit can have only one of them. Whichever the program included
 * first is kept (the latter has both sets of names, th_sport and source); if
 * it was neither, it is the former. An include of the other one further down
 * is then made to do nothing. Swift's C module has the latter already.
 */
#ifdef __swift__
/* fd_set looks different with _GNU_SOURCE and without, and the modules of one
 * Swift program must not disagree: this one does without it. */
#define _SYS_SELECT_H 1
#include <sys/time.h>
#include <netinet/tcp.h>
#endif
#if defined(__swift__) || (defined(_NETINET_TCP_H) && defined(TCPOPT_EOL))
/* <netinet/tcp.h> names the kernel's own states, with other numbers. In a
 * file that includes both, the names mean the ones of enum tcpstate; Swift
 * sees them under the names on the right. */
#define TCP_CLOSED      MOS_TCP_CLOSED
#define TCP_LISTEN      MOS_TCP_LISTEN
#define TCP_SYN_SENT    MOS_TCP_SYN_SENT
#define TCP_SYN_RCVD    MOS_TCP_SYN_RCVD
#define TCP_ESTABLISHED MOS_TCP_ESTABLISHED
#define TCP_FIN_WAIT_1  MOS_TCP_FIN_WAIT_1
#define TCP_FIN_WAIT_2  MOS_TCP_FIN_WAIT_2
#define TCP_CLOSE_WAIT  MOS_TCP_CLOSE_WAIT
#define TCP_CLOSING     MOS_TCP_CLOSING
#define TCP_LAST_ACK    MOS_TCP_LAST_ACK
#define TCP_TIME_WAIT   MOS_TCP_TIME_WAIT
#ifndef _LINUX_TCP_H
#define _LINUX_TCP_H
#endif
#else
#include <linux/tcp.h>
#ifndef _NETINET_TCP_H
#define _NETINET_TCP_H 1
#endif
#endif

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#ifndef _LINUX_IP_H /* it declares struct iphdr as well */
#include <netinet/ip.h>
#endif
#include <stddef.h>
#include <stdbool.h>
#include "mtcp_epoll.h"

#ifdef __cplusplus
extern "C" {
#endif

struct timeval;

typedef unsigned char byte;

/* A built-in event (one bit of enum mos_event_type) or a user-defined one
 * (a number from 4096 up). */
typedef uint64_t event_t;

/* Where in a packet's way a handler runs. MOS_HK_SND is a negative int; it is
 * accepted as such and sign-extended to 64 bits. */
enum mtcp_hook_point {
    MOS_NULL = 0x20000000,              /* bit 29: bound to neither end */
    MOS_HK_RCV = 0x40000000,            /* bit 30: the receiver's stack has taken the packet */
    MOS_HK_SND = (-0x7fffffff - 1)      /* bit 31: the sender's stack has sent it */
};

/* Built-in events, one bit each. */
enum mos_event_type {
    MOS_NULL_EVENT = 0,
    MOS_ON_PKT_IN = 0x001,           /* a packet of a flow, or of a raw socket */
    MOS_ON_PKT_OUT = 0x002,          /* never raised */
    MOS_ON_CONN_START = 0x004,       /* the first SYN */
    MOS_ON_CONN_SETUP = 0x008,       /* never raised */
    MOS_ON_CONN_NEW_DATA = 0x010,    /* new in-order bytes to mtcp_peek() at */
    MOS_ON_ERROR = 0x020,            /* overrun, gap, data beyond the window */
    MOS_ON_TIMEOUT = 0x040,          /* never raised */
    MOS_ON_TCP_STATE_CHANGE = 0x080, /* a side's state changed */
    MOS_ON_ORPHAN = 0x100,           /* a TCP packet that belongs to no flow */
    MOS_ON_REXMIT = 0x200,           /* the packet repeats what was received before */
    MOS_ON_CONN_END = 0x400,         /* the flow is over */
    MOS_ON_DEBUG_MESSAGE = 0x800     /* never raised */
};

/* Options of mtcp_setlastpkt(): exactly one action, for all but MOS_DROP
 * exactly one part, and any of the two checksum options. */
#define MOS_ETH_HDR           (1 << 0) /* part: the Ethernet header */
#define MOS_IP_HDR            (1 << 1) /* part: the IP header */
#define MOS_TCP_HDR           (1 << 2) /* part: the TCP header with its options */
#define MOS_TCP_PAYLOAD       (1 << 3) /* part: the payload */
#define MOS_UPDATE_IP_CHKSUM  (1 << 4) /* afterwards recompute the IP checksum */
#define MOS_UPDATE_TCP_CHKSUM (1 << 5) /* afterwards recompute the TCP checksum */
#define MOS_DROP              (1 << 6) /* action: the packet goes no further */
#define MOS_OVERWRITE         (1 << 7) /* action: replace bytes */
#define MOS_CHOMP             (1 << 8) /* action: remove bytes */
#define MOS_INSERT            (1 << 9) /* action: put bytes in */

/* mtcp_getlastpkt() fills a copy of the packet. */
#define MTCP_CB_GETCURPKT_CREATE_COPY

/* A side's TCP state (RFC 9293 section 3.3.2). */
enum tcpstate {
    TCP_CLOSED = 0,
    TCP_LISTEN = 1,
    TCP_SYN_SENT = 2,
    TCP_SYN_RCVD = 3,
    TCP_ESTABLISHED = 4,
    TCP_FIN_WAIT_1 = 5,
    TCP_FIN_WAIT_2 = 6,
    TCP_CLOSE_WAIT = 7,
    TCP_CLOSING = 8,
    TCP_LAST_ACK = 9,
    TCP_TIME_WAIT = 10
};

/* A packet as a handler sees it. Own fields are in host byte order, the
 * headers as they are on the wire. */
struct pkt_info {
    uint32_t cur_ts;     /* milliseconds of the stack's clock, low 32 bits */
    int8_t in_ifidx;     /* interface it came in by, in the configuration's order */
    uint16_t eth_len;    /* bytes of the frame */
    uint16_t ip_len;     /* bytes of the IP packet */
    uint64_t offset;     /* stream offset of the first payload byte, for mtcp_ppeek() on the receiver's side */
    uint16_t payloadlen; /* bytes of TCP payload */
    uint32_t seq;
    uint32_t ack_seq;
    uint16_t window;     /* as in the header, not scaled */
    struct ethhdr *ethh; /* the start of the frame */
    struct iphdr *iph;   /* behind VLAN tags; for IPv6 it points at the IPv6 header */
    struct tcphdr *tcph; /* NULL if the packet is not TCP */
    uint8_t *payload;    /* NULL if the packet is not TCP */
};

/* The bytes of struct pkt_info in front of its pointers. */
#define PKT_INFO_LEN offsetof(struct pkt_info, ethh)

struct pkt_ctx {
    struct pkt_info p;
    int8_t direction;
    uint8_t forward;
    int8_t out_ifidx;
    int8_t batch_index;
};

/* MOS_SEQ_REMAP */
typedef struct seq_remap_info {
    int64_t seq_off;   /* added to sequence numbers */
    int side;          /* MOS_SIDE_CLI or MOS_SIDE_SVR */
    uint32_t base_seq; /* from this sequence number on */
} seq_remap_info;

/* What a user-defined event carries: copied when the event is defined. */
typedef struct filter_arg {
    void *arg;
    size_t len; /* bytes at arg */
} filter_arg_t;

/* MOS_INFO_CLIBUF, MOS_INFO_SVRBUF: stream offsets, low 32 bits. */
struct tcp_buf_info {
    uint32_t tcpbi_init_seq;           /* the sequence number of offset 0 */
    uint32_t tcpbi_last_byte_read;     /* this socket's read position */
    uint32_t tcpbi_next_byte_expected; /* the end of the in-order bytes */
    uint32_t tcpbi_last_byte_received; /* the highest byte received plus one */
};

/* MOS_FRAGINFO_CLIBUF, MOS_FRAGINFO_SVRBUF: a range of bytes that is held. */
struct tcp_ring_fragment {
    uint64_t offset; /* in the stream */
    uint32_t len;    /* in bytes */
};

/* Filters in the syntax of pcap-filter(7); NULL lets everything pass. */
union monitor_filter {
    char *raw_pkt_filter; /* raw sockets: tested on each packet */
    __extension__ struct {
        char *stream_syn_filter;    /* listeners: tested once, on a flow's first SYN */
        char *stream_orphan_filter; /* listeners: tested on each orphan */
    };
};
typedef union monitor_filter *monitor_filter_t;

/** A handler. It runs on the stack thread and may call anything of this API.
 *
 * @param sock   the socket (an active socket for flows, the listener for
 *               orphans, the raw socket; the timer's id for timers)
 * @param side   MOS_SIDE_CLI, MOS_SIDE_SVR, or MOS_SIDE_BOTH without a flow
 * @param event  the event it was registered for
 * @param arg    the event's own copy of its argument; NULL and 0 for a
 *               built-in event; NULL itself for a timer */
typedef void (*callback_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/** Decides whether a user-defined event happened; parameters as above. */
__extension__ typedef bool (*filter_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/** Gives a monitoring socket its filter, instead of the one it had. On a
 * listener the expressions may hold only the words tcp host src dst net mask
 * port portrange not and or & |, parentheses, numbers, addresses and names.
 *
 * @param ft  NULL: everything passes
 * @return 0; -1 with EINVAL (the old filter stays), ENOPROTOOPT (not a
 *         listener or a raw socket), EBADF
 *
 * mOS: mtcp_bind_monitor_filter(3) */
int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t ft);

/** Registers a handler, instead of the one that the event had on this socket
 * and hook. On a listener it applies to flows that start afterwards, on an
 * active socket to that flow from the next dispatch on.
 *
 * @param event       one built-in event or a user-defined one
 * @param hook_point  MOS_NULL, MOS_HK_SND or MOS_HK_RCV
 * @param cb          NULL removes the handler
 * @return 0; -1 with EINVAL (no such event or hook, a hook where this event
 *         is not raised, nothing to remove), EBADF, ENOMEM
 *
 * mOS: mtcp_register_callback(3) */
int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook_point, callback_t cb);

/** Removes a handler: mtcp_register_callback() with NULL.
 *
 * @return 0; -1 with EINVAL if there is none, EBADF */
int mtcp_unregister_callback(mctx_t mctx, int sock, event_t event, int hook_point);

/** Makes a user-defined event without a filter, which happens only when
 * mtcp_raise_event() says so in a dispatch at its parent or below.
 *
 * @return its id; MOS_NULL_EVENT with EINVAL (unknown parent, no room)
 *
 * mOS: mtcp_alloc_event(3) */
event_t mtcp_alloc_event(event_t parent);

/** Makes a user-defined event: it happens when its parent does and the filter
 * returns true. Events belong to the process; any thread may define them.
 *
 * @param parent  a built-in or user-defined event
 * @param arg     NULL, or len bytes that are copied now
 * @return its id, the same one for the same (parent, filter, argument bytes);
 *         MOS_NULL_EVENT with EINVAL (no filter, len without arg, unknown
 *         parent, no room)
 *
 * mOS: mtcp_define_event(3) */
event_t mtcp_define_event(event_t parent, filter_t filter, struct filter_arg *arg);

/** Raises an event of mtcp_alloc_event() from inside a filter or handler of
 * its parent or below. It runs once in that dispatch; if the filter that
 * raised it returns false, it does not.
 *
 * @return 0; -1 with EINVAL (outside a dispatch, no such child, or no handler
 *         for it on this socket and hook), EPERM (another thread)
 *
 * mOS: mtcp_raise_event(3) */
int mtcp_raise_event(mctx_t mctx, event_t event);

/** Keeps one pointer of the application's with a socket. From the stack
 * thread; a socket that was not told has NULL.
 *
 * mOS: mtcp_set_uctx(3) */
void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx);

/** The pointer of mtcp_set_uctx(). From the stack thread.
 *
 * @return NULL if there is none, or with errno set
 *
 * mOS: mtcp_get_uctx(3) */
void *mtcp_get_uctx(mctx_t mctx, int sock);

/** Copies the next unread in-order bytes of a side's receive buffer and moves
 * this socket's read position behind them. From the stack thread.
 *
 * @param side  MOS_SIDE_CLI: what the server sent; MOS_SIDE_SVR: what the
 *              client sent
 * @param len   room at buf, in bytes
 * @return bytes copied, 0 if there is nothing to read. If bytes at the read
 *         position are lost, minus their number with ENODATA; the next call
 *         continues behind them. -1 with EINVAL (side, null buffer, buffering
 *         off), EBADF, ENOTSOCK, EPERM
 *
 * mOS: mtcp_peek(3) */
ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len);

/** Copies contiguous bytes that are held, in order or out of order, without
 * moving the read position. From the stack thread.
 *
 * @param count  room at buf, in bytes
 * @param off    stream offset of the first; 0 is the byte after the SYN
 * @return bytes copied; -1 with ENODATA (the byte at off is not held), EINVAL
 *         (side, null buffer, buffering off), EBADF, ENOTSOCK, EPERM
 *
 * mOS: mtcp_ppeek(3) */
ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t count, uint64_t off);

/** Describes the packet that is being handled, as the handlers before left
 * it. The pointers lead into a copy that the thread's next call reuses.
 *
 * @param side  not looked at if the packet is the current one
 * @return 0; -1 with EACCES (no current packet: MOS_ON_CONN_NEW_DATA,
 *         MOS_ON_CONN_END, timers), EINVAL (null pointer), EPERM
 *
 * mOS: mtcp_getlastpkt(3) */
int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *p);

/** Changes the packet that will be forwarded; what the emulated stacks
 * learned from it stays.
 *
 * @param offset   within the part, in bytes
 * @param data     what to write; not used by MOS_DROP and MOS_CHOMP
 * @param datalen  number of bytes to write, put in or remove
 * @param option   MOS_DROP, or one of MOS_OVERWRITE, MOS_CHOMP and MOS_INSERT
 *                 with one part, and MOS_UPDATE_*_CHKSUM
 * @return 0; -1 and nothing changed with EAGAIN (not exactly one action),
 *         EINVAL (not exactly one part; outside it; null data; no room),
 *         EACCES (MOS_CHOMP or MOS_INSERT on the Ethernet header), ENODATA
 *         (no current packet), EPERM
 *
 * mOS: mtcp_setlastpkt(3) */
int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset,
                    unsigned char *data, uint16_t datalen, int option);

/** Sends a TCP packet made of pkt->iph (addresses, id), pkt->tcph (ports,
 * numbers, flags, window, options) and pkt->payload / payloadlen, with
 * checksums computed, out of the interface that the flow's packets in that
 * direction leave by. It does not pass through the context's own flows. From
 * the stack thread.
 *
 * @return 0; -1 with ENODATA (no packet, no iph or no tcph), EINVAL (too
 *         long), ENETUNREACH (no way out), EBADF, EPERM. A frame that the
 *         interface has no room for is counted as drop_tx
 *
 * mOS: mtcp_sendpkt(3) */
int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt);

/** Calls cb(mctx, id, 0, 0, NULL) once, on the stack thread. Any number of
 * timers; those with one deadline fire in the order of their setting.
 *
 * @param id       handed to the handler as its sock
 * @param timeout  from now, by the stack's clock (a trace's is its packets'
 *                 timestamps)
 * @return 0; -1 with EINVAL (null pointer, negative time), ENOMEM
 *
 * mOS: mtcp_settimer(3) */
int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb);

/** The stack's clock. From the stack thread.
 *
 * @return microseconds, low 32 bits; 0 with errno set
 *
 * mOS: mtcp_cb_get_ts(3) */
uint32_t mtcp_cb_get_ts(mctx_t mctx);

/** Lets the context run and waits until it is done: destroyed, interrupted,
 * or all traces read to their end and all handlers run.
 *
 * mOS: mtcp_app_join(3) */
void mtcp_app_join(mctx_t mctx);

/** The addresses of a flow (struct sockaddr_in, or struct sockaddr_in6 for an
 * IPv6 flow; network order). From the stack thread.
 *
 * @param addr     one element, or two for MOS_SIDE_BOTH: client, server
 * @param addrlen  in: sizeof(struct sockaddr), or twice that for
 *                 MOS_SIDE_BOTH; for IPv6 flows the same with
 *                 sizeof(struct sockaddr_in6)
 * @return 0; -1 with EINVAL (another length, side, null pointer), ENOTCONN
 *         (the socket has no flow), EAFNOSUPPORT (an IPv6 flow asked with the
 *         IPv4 length), EBADF, EPERM
 *
 * mOS: mtcp_getpeername(3) */
int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen, int side);

/** Sends a RST to both ends of the flow. From the stack thread.
 *
 * @return 0; -1 with ENOTSOCK (not an active socket), ENETUNREACH (no way
 *         out), EBADF, EPERM */
int mtcp_reset_conn(mctx_t mctx, int sock);

/** Drops the current packet: mtcp_setlastpkt() with MOS_DROP.
 *
 * @return 0; -1 with ENODATA (no current packet), EPERM */
int mtcp_cb_dropcurpkt(mctx_t mctx);

/** Stops monitoring one side or both of a flow: mtcp_setsockopt() with
 * MOS_STOP_MON.
 *
 * @return 0; -1 with EINVAL (side), EPERM (a listener), EBADF, ENOTSOCK */
int mtcp_cb_stop(mctx_t mctx, int sock, int side);

/** Copies a packet with its description.
 *
 * @param to     out: the copy; its pointers lead into frame
 * @param frame  out: at least from->eth_len bytes
 * @param from   a packet of mtcp_getlastpkt()
 * @return 0; -1 with EINVAL for a null pointer */
int mtcp_clonepkt(struct pkt_info *to, unsigned char *frame, struct pkt_info *from);

#ifdef __cplusplus
}
#endif

#endif /* MOS_API_H */
