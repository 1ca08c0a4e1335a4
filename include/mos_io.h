/*
 * mos_io.h - the interface between libmos and whatever gives it packets.
 *
 * A backend is one `struct mos_io_ops`: a scheme name and a handful of
 * functions. The library carries the backends "pcap" (trace files), "live"
 * (network interfaces through libpcap) and "null" (a sink); others register
 * themselves with mos_io_register() before mtcp_init() and are then reached
 * as `scheme:rest` wherever a device is named (the configuration's `netdev`
 * block, the environment's MOS_NETDEV).
 *
 * A port is one open device. It has receive queues 0 .. num_queues-1.
 *
 * Frames. Every frame that passes here, in either direction, is an Ethernet
 * frame without its frame check sequence. A backend whose link has no
 * Ethernet header puts one of 14 bytes in front of the packet (addresses 0
 * where they are not known) and takes it off again before it sends.
 *
 * Threads. One thread at a time calls recv and wait_fd of one receive queue,
 * and one thread at a time calls tx_* of one transmit queue; different queues
 * are used at once from different threads. stats may be called by any thread
 * between open and close. open and close are never concurrent with anything
 * else on that port.
 *
 * Transmit queues are numbered 0 .. queues_wanted-1, whatever num_queues the
 * backend chose: a backend with fewer hardware queues locks for itself.
 */
#ifndef MOS_IO_H
#define MOS_IO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface; goes into mos_io_ops.abi. */
#define MOS_IO_ABI 1

/* The library asks for at most this many frames in one recv. */
#define MOS_IO_BURST 64

/* mos_io_frame.flags: what the source has already checked and found right. */
enum {
    MOS_IO_IP_CSUM_OK = 1,      /* the IPv4 header checksum */
    MOS_IO_L4_CSUM_OK = 2       /* the TCP or UDP checksum */
};

/* Results of recv below zero. */
enum {
    MOS_IO_END   = -1,          /* nothing will come any more on this queue */
    MOS_IO_ERROR = -2           /* the source has failed for good. The backend
                                   has said why on standard error; further
                                   calls give MOS_IO_END */
};

/* One received frame. 40 bytes on LP64. */
struct mos_io_frame {
    const uint8_t *data;        /* first byte of the Ethernet header */
    uint32_t len;               /* bytes at data */
    uint32_t wire_len;          /* bytes it had on the wire; more than len if
                                   the capture cut it. Never less than len */
    uint64_t time_ns;           /* when it was captured: nanoseconds since the
                                   Unix epoch */
    uint32_t flags;             /* MOS_IO_*_CSUM_OK */
    int32_t port;               /* interface index; set by the library after
                                   recv, a backend need not touch it */
    void *cookie;               /* the backend's own; NULL in a frame that the
                                   library has copied */
};

/* What a port is; filled by open, constant afterwards. Zeroed before. */
struct mos_io_info {
    uint32_t num_queues;        /* receive queues, 1 .. queues_wanted. With
                                   fewer than wanted, the library spreads the
                                   flows over its contexts itself */
    uint32_t is_trace;          /* 1: the frames' times are the clock (virtual
                                   clock) and the source has an end.
                                   0: wall clock */
    uint32_t mtu;               /* bytes of the largest IP packet that the
                                   stack itself makes for this port. What is
                                   forwarded is not limited by it */
    uint8_t mac[6];             /* the interface's address, if has_mac */
    uint8_t has_mac;
    uint8_t pad;
    uint32_t addr;              /* IPv4 address, network byte order; 0: none */
    uint32_t netmask;           /* network byte order */
    int32_t ifindex;            /* the kernel's interface index; 0: none */
};

/* Counters since open. They only grow. */
struct mos_io_stats {
    uint64_t rx_packets;        /* frames given by recv */
    uint64_t rx_bytes;          /* sum of their wire_len */
    uint64_t rx_errors;         /* damaged input: a truncated or corrupt file,
                                   a packet that is no IP on a link that
                                   carries only IP, a failed interface */
    uint64_t rx_drops;          /* frames lost before recv: a full kernel or
                                   hardware buffer, over-long frames */
    uint64_t tx_packets;        /* frames handed to the outside. Those queued
                                   since the last tx_flush may be missing */
    uint64_t tx_bytes;
    uint64_t tx_drops;          /* frames that could not be sent or queued */
};

struct mos_io_ops {
    /* MOS_IO_ABI. */
    uint32_t abi;

    /* What stands before the colon in a device's name: 1 to 31 characters,
       lower-case letters, digits, '_', '-', '+', starting with a letter.
       The library copies it. */
    const char *scheme;

    /* Opens the device `spec` (what follows "scheme:"; valid during the call
       only) for `queues_wanted` >= 1 contexts. Sets *port and *info and
       returns 0; or returns an errno value after writing one line without a
       line feed, NUL-terminated, of at most error_size bytes, to error: what
       is wrong and, if it is known, what to do about it. Runs inside the
       first mtcp_create_context() and may block. */
    int (*open)(const char *spec, uint32_t queues_wanted, void **port,
                struct mos_io_info *info, char *error, size_t error_size);

    /* Up to max frames of a queue, in order of arrival. Returns their number;
       0 if there are none now; MOS_IO_END; MOS_IO_ERROR. Frames that came
       before the end are given first. The bytes stay where they are,
       unmodified, until the next recv on this queue. Does not wait; a file
       may wait for its disk. */
    int (*recv)(void *port, uint32_t queue, struct mos_io_frame *frames,
                uint32_t max);

    /* A descriptor that polls readable (or in error) when a recv that has
       just returned 0 would have something again; -1 if there is none, then
       the library asks from time to time. May change after each recv.
       Optional: NULL means -1. */
    int (*wait_fd)(void *port, uint32_t queue);

    /* Room for a frame of len bytes that the caller fills and passes to
       tx_send. One at a time for each queue: a frame that is not sent before
       the next tx_frame is given up. NULL: none to be had, which the backend
       has counted in tx_drops. */
    uint8_t *(*tx_frame)(void *port, uint32_t queue, uint32_t len);

    /* Sends a frame got from tx_frame; len may be less than was asked for.
       time_ns is the sender's clock. Returns 0, or an errno value after
       counting it in tx_drops; the frame is given up either way. Does not
       wait for room. */
    int (*tx_send)(void *port, uint32_t queue, uint8_t *frame, uint32_t len,
                   uint64_t time_ns);

    /* Sends a received frame, of this or of another port, unchanged. The
       frame stays the caller's. Returns as tx_send does. Must work for a
       frame whose cookie is NULL or another backend's. */
    int (*tx_forward)(void *port, uint32_t queue,
                      const struct mos_io_frame *frame);

    /* Everything queued goes out. Called at the end of each burst. Optional. */
    void (*tx_flush)(void *port, uint32_t queue);

    /* Fills *out, which the library has zeroed. Optional. */
    void (*stats)(void *port, struct mos_io_stats *out);

    /* Flushes and frees everything. */
    void (*close)(void *port);
};

/*
 * Makes a backend known. *ops and its scheme are copied. tx_frame, tx_send and
 * tx_forward may all be NULL for a source that cannot send: every frame is
 * then refused with ENOTSUP. Call it before mtcp_init().
 *
 * Returns 0; or -1 with errno: EINVAL (NULL, another MOS_IO_ABI, a bad scheme,
 * open, recv or close missing, only some of the tx functions), EEXIST (the
 * scheme is taken; the built-in ones are), ENOMEM (more than 16).
 */
int mos_io_register(const struct mos_io_ops *ops);

#ifdef __cplusplus
}
#endif

#endif /* MOS_IO_H */
