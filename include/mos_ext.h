/*
 * mos_ext.h: what libmos has in addition to mOS 0.3. Conventions of errors:
 * see mtcp_api.h and mos_api.h.
 */
#ifndef MOS_EXT_H
#define MOS_EXT_H

#include "mos_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Further options of SOL_MONSOCKET. */
enum {
    /* int. 1 (default): up to rmem_size bytes that were read already are kept
     * for mtcp_ppeek(). 0: bytes are forgotten once every socket of the flow
     * has read them, which is fastest. On a listener for new flows, on an
     * active socket for that flow; a flow keeps history if any of its sockets
     * asks for it. */
    MOS_HISTORY = 0x100
};

/* A further policy of MOS_CLIOVERLAP and MOS_SVROVERLAP. */
enum {
    /* What a Linux host does: bytes that are in order stay; ahead of a hole
     * the segment that begins first wins, and of two that begin at the same
     * place the longer one; what fills a hole wins over what it reaches into.
     * docs/evasion.md has the cases. */
    MOS_OVERLAP_POLICY_LINUX = 2
};

/** The library's version, "major.minor.patch".
 *
 * @return a constant string */
const char *mos_version(void);

/** The number of CPUs that are online.
 *
 * @return at least 1 */
int GetNumCPUs(void);

/*
 * Counters of a context. Those of the first three groups exist for each
 * interface as well; the others belong to the context and are 0 when one
 * interface is asked for.
 */
struct mos_stats {
    /* Frames; bytes as on the wire without the frame check sequence. */
    uint64_t rx_packets;
    uint64_t rx_bytes;
    uint64_t tx_packets;
    uint64_t tx_bytes;

    /* Received frames with an error, by reason. */
    uint64_t rx_short_frame;       /* ends within a header */
    uint64_t rx_bad_length;        /* lengths that contradict each other; IP options and
                                      extension headers with which no host takes TCP */
    uint64_t rx_bad_ip_checksum;
    uint64_t rx_bad_tcp_checksum;
    uint64_t rx_bad_tcp_offset;    /* TCP data offset below 5 or beyond the packet */
    uint64_t rx_truncated;         /* the source kept fewer bytes than there were on the wire */

    /* Frames that went no further, by reason. */
    uint64_t drop_app;             /* MOS_DROP */
    uint64_t drop_tx;              /* the output had no room */
    uint64_t drop_no_route;        /* no way out, or a next hop that did not answer */
    uint64_t drop_no_memory;
    uint64_t drop_flow_table_full; /* SYNs beyond max_concurrency: not monitored */
    uint64_t drop_fragment;        /* fragments beyond the limits of reassembly, or out of time */
    uint64_t drop_source;          /* lost before they reached a context: as the source
                                      says, and, where contexts share a source, those for
                                      a context that was not made or has ended. Of the
                                      source: the same number in each context */

    /* Flows. */
    uint64_t flows_now;
    uint64_t flows_total;
    uint64_t orphans;              /* TCP packets without a flow */
    uint64_t retransmissions;      /* packets that raised, or would have raised, MOS_ON_REXMIT */

    /* Reassembly. */
    uint64_t memory_now;           /* bytes held for stream data */
    uint64_t memory_peak;
    uint64_t gaps;                 /* places where acknowledged bytes were never seen */
    uint64_t gap_bytes;
    uint64_t overruns;             /* times that unread bytes were dropped */
    uint64_t overrun_bytes;

    /* Other traffic. */
    uint64_t fragments_in;
    uint64_t fragments_reassembled; /* datagrams put together from them */
    uint64_t non_tcp;               /* IP packets with another protocol */
    uint64_t non_ip;                /* frames with another protocol */

    uint64_t timers;                /* pending now */
    uint64_t event_sets;            /* distinct ones alive now */
    uint64_t event_set_bytes;       /* held for them, and for finding and building them */
};

/** Reads a context's counters. Any thread may call it.
 *
 * @param ifidx  an interface, in the configuration's order, or -1 for all
 * @param out    the first size bytes of struct mos_stats are filled; bytes
 *               that this library does not know are set to 0
 * @param size   sizeof(struct mos_stats) as the caller was compiled
 * @return 0; -1 with EINVAL (null pointer, size 0, no such interface) */
int mos_get_stats(mctx_t mctx, int ifidx, struct mos_stats *out, size_t size);

/** Shows the next unread in-order bytes of a side's receive buffer where they
 * are, without copying them and without moving the read position: see
 * mos_peek_advance(). From the stack thread.
 *
 * @param side    as for mtcp_peek()
 * @param iov     out: the pieces in stream order; entries that are not needed
 *                get a NULL base and a length of 0. The bytes must not be
 *                written to, and stay valid until the handler returns or
 *                changes this side's buffer (MOS_CLIBUF, MOS_SVRBUF,
 *                MOS_FRAG_*, MOS_STOP_MON, mtcp_close())
 * @param iovcnt  entries there, at least 1
 * @return the sum of the pieces' lengths, 0 if there is nothing to read. If
 *         bytes at the read position are lost, minus their number with
 *         ENODATA; the read position is then behind them. -1 with EINVAL
 *         (side, null pointer, iovcnt, buffering off), EBADF, ENOTSOCK, EPERM */
ssize_t mos_peek_iov(mctx_t mctx, int sock, int side, struct iovec *iov, int iovcnt);

/** Moves this socket's read position over bytes that mos_peek_iov() showed.
 * From the stack thread.
 *
 * @param n  bytes, at most those that are unread, in order and not lost
 * @return 0; -1 and nothing moved with EINVAL (too many, side, buffering
 *         off), EBADF, ENOTSOCK, EPERM */
int mos_peek_advance(mctx_t mctx, int sock, int side, size_t n);

/* Why a flow ended. */
enum mos_end_reason {
    MOS_END_NONE = 0,     /* it has not */
    MOS_END_FIN = 1,      /* both ends closed */
    MOS_END_RESET = 2,    /* a RST that its receiver accepted */
    MOS_END_TIMEOUT = 3,  /* no packet for tcp_timeout */
    MOS_END_STOPPED = 4,  /* the application stopped monitoring it */
    MOS_END_CONTEXT = 5,  /* the context was destroyed or its trace ended */
    MOS_END_REPLACED = 6, /* a new connection took its addresses */
    MOS_END_MEMORY = 7    /* no memory to go on with it */
};

/* One end of a flow: what it sent. */
struct mos_flow_side {
    uint64_t packets;
    uint64_t wire_bytes;           /* frames, without the frame check sequence */
    uint64_t payload_bytes;        /* TCP payload, repeated bytes counted again */
    uint64_t retransmitted_packets;
    uint64_t retransmitted_bytes;  /* payload received before */
    uint64_t out_of_order_packets; /* payload ahead of the next byte expected */
    uint64_t gaps;                 /* places where acknowledged bytes were never seen */
    uint64_t gap_bytes;
};

/* A flow's account. */
struct mos_flow_info {
    uint64_t start_ns;            /* first packet, nanoseconds of the stack's clock */
    uint64_t last_ns;             /* last packet so far */
    uint32_t end_reason;          /* an enum mos_end_reason; settled in MOS_ON_CONN_END */
    uint32_t family;              /* AF_INET or AF_INET6 */
    struct mos_flow_side side[2]; /* by MOS_SIDE_CLI, MOS_SIDE_SVR: what that end sent */
};

/** Reads a flow's account. From the stack thread.
 *
 * @param sock  an active monitoring socket
 * @param info  the first size bytes of struct mos_flow_info are filled; bytes
 *              that this library does not know are set to 0
 * @param size  sizeof(struct mos_flow_info) as the caller was compiled
 * @return 0; -1 with EINVAL (null pointer, size 0), ENOTCONN (no flow),
 *         EBADF, ENOTSOCK, EPERM */
int mos_flow_info(mctx_t mctx, int sock, struct mos_flow_info *info, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* MOS_EXT_H */
