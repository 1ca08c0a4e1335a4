// libpcap, and what MOSPacketIO needs of the system that Swift cannot say
// itself: variadic calls, ioctls, stream cookies, relaxed atomics.
#ifndef MOS_CPCAP_H
#define MOS_CPCAP_H

#include <pcap/pcap.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// libpcap's results as typed constants (its macros are negative literals).
enum {
    CPCAP_ERROR = PCAP_ERROR,
    CPCAP_END_OF_FILE = PCAP_ERROR_BREAK, // pcap_next_ex on a savefile
    CPCAP_NO_SUCH_DEVICE = PCAP_ERROR_NO_SUCH_DEVICE,
    CPCAP_PERM_DENIED = PCAP_ERROR_PERM_DENIED,
    CPCAP_PROMISC_PERM_DENIED = PCAP_ERROR_PROMISC_PERM_DENIED,
    CPCAP_IFACE_NOT_UP = PCAP_ERROR_IFACE_NOT_UP,
};

/// Adds to a counter that other threads read at any time.
static inline void cpcap_count(uint64_t *_Nonnull counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/// Sets a counter that other threads read at any time.
static inline void cpcap_store(uint64_t *_Nonnull counter, uint64_t n)
{
    __atomic_store_n(counter, n, __ATOMIC_RELAXED);
}

/// Reads such a counter.
static inline uint64_t cpcap_load(const uint64_t *_Nonnull counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/// A mutex of the process, for the table of backends: a C variable, because a
/// Swift one would be made at its first use.
void cpcap_registry_lock(void);
void cpcap_registry_unlock(void);

/// Writes `libmos: `, the line and a line feed to standard error in one write.
void cpcap_log(const char *_Nonnull line);

/// What stands behind a descriptor.
struct cpcap_file_id {
    uint64_t device, inode;
    int regular;   // 1: a regular file, which can be read again
    int directory; // 1
    int stream;    // 1: a FIFO or a socket: what two read or write there is mixed up
};

/// open(2) for reading. A descriptor, or -1 with errno.
int cpcap_open_read(const char *_Nonnull path);

/// open(2) for writing, made if missing, *not* truncated (cpcap_truncate).
int cpcap_open_write(const char *_Nonnull path);

/// Empties a regular file; others are left alone. 0, or -1 with errno.
int cpcap_truncate(int fd);

/// fstat(2). 0, or -1 with errno.
int cpcap_identify(int fd, struct cpcap_file_id *_Nonnull out);

/// A stdio stream over a descriptor with a buffer of `buffer` bytes. The
/// stream owns the descriptor. NULL with errno; the descriptor is then open.
FILE *_Nullable cpcap_stream(int fd, const char *_Nonnull mode, size_t buffer);

// A savefile that comes through a pipe, a FIFO, a socket or a terminal.
// libpcap reads it through stdio and cannot stop in the middle of a packet and
// go on later, so this stands between the two: it collects bytes without
// blocking and tells when a whole packet is there.
struct cpcap_pipe;

/// A stream for pcap_fopen_offline over the descriptor, which it owns. Reading
/// the file header blocks until the writer has written it. NULL with errno.
FILE *_Nullable cpcap_pipe_open(int fd, struct cpcap_pipe *_Nullable *_Nonnull out);

/// 1: the next pcap_next_ex will not block (a whole packet is there, or the
/// writer has closed); 0: not yet. To be called between packets only.
/// The cpcap_pipe lives as long as its stream.
int cpcap_pipe_ready(struct cpcap_pipe *_Nonnull pipe);

/// A timer descriptor of CLOCK_MONOTONIC that is readable from the start.
/// -1 with errno.
int cpcap_timer(void);

/// From now on the timer is readable at and after that time, not before.
void cpcap_timer_set(int fd, uint64_t monotonic_ns);

/// What the kernel says of an interface.
struct cpcap_interface {
    int32_t index;
    uint32_t mtu;
    uint32_t address; // IPv4, network byte order; 0 none
    uint32_t netmask;
    uint8_t mac[6];
    uint8_t has_mac;
};

/// The interface's index, 0 if there is none of this name.
uint32_t cpcap_interface_index(const char *_Nonnull name);

/// 0, or an errno value.
int cpcap_interface_read(const char *_Nonnull name, struct cpcap_interface *_Nonnull out);

/// The kernel does not hand what is sent on the interface to this packet
/// socket (PACKET_IGNORE_OUTGOING, Linux 4.20). 0, or an errno value.
int cpcap_ignore_outgoing(int fd);

/// Makes packet sockets one group over which the kernel spreads flows by a
/// hash that is the same for both directions (PACKET_FANOUT_HASH). The first
/// socket gets group -1 and returns the new group's number, which the others
/// are given. Below zero: -errno.
int cpcap_fanout(int fd, int group);

#endif
