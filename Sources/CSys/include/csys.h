// The libc that the Swift rooms use, plus the few things that Swift cannot
// say itself: errno, thread-local storage, variadic printing.
#ifndef MOS_CSYS_H
#define MOS_CSYS_H

// Without _GNU_SOURCE, as Swift's own modules include these headers: one type
// must look the same in all of them.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>


/// Random bytes of the kernel's; the number that came, without waiting.
static inline ssize_t csys_getrandom(void *_Nonnull buffer, size_t size)
{
    return getrandom(buffer, size, GRND_NONBLOCK);
}

/// Asks for a cache line that will be read soon.
static inline void csys_prefetch(const void *_Nullable address)
{
    __builtin_prefetch(address, 0, 3);
}

/// Asks for a cache line that will be written soon.
static inline void csys_prefetch_write(const void *_Nullable address)
{
    __builtin_prefetch(address, 1, 3);
}

/// Copies to memory that will not be read soon and is not cached: whole lines
/// are written past the caches, so that they need not be fetched first and push
/// nothing out. Like memcpy otherwise.
static inline void csys_copy_uncached(void *_Nonnull target, const void *_Nonnull source, size_t size)
{
    uint8_t *to = (uint8_t *)target;
    const uint8_t *from = (const uint8_t *)source;
#if defined(__clang__)
    typedef long long vector __attribute__((vector_size(16)));
    size_t head = (0 - (uintptr_t)to) & 63;
    if (head > size)
        head = size;
    memcpy(to, from, head);
    to += head;
    from += head;
    size -= head;
    for (; size >= 64; size -= 64, to += 64, from += 64) {
        vector line[4];
        memcpy(line, from, 64);
        for (int i = 0; i < 4; i++)
            __builtin_nontemporal_store(line[i], (vector *)to + i);
    }
#endif
    memcpy(to, from, size);
}

static inline int csys_errno(void)
{
    return errno;
}

static inline void csys_set_errno(int value)
{
    errno = value;
}

// What the running thread is: the context whose stack thread it is, and how
// many contexts' locks it holds.

extern __thread void *_Nullable csys_current_context
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline void *_Nullable csys_current(void)
{
    return csys_current_context;
}

static inline void csys_set_current(void *_Nullable context)
{
    csys_current_context = context;
}

int csys_lock_depth(void);
void csys_add_lock_depth(int change);

enum { CSYS_LOG_ERROR, CSYS_LOG_WARNING, CSYS_LOG_INFO, CSYS_LOG_DEBUG };

/// Prints one line on standard error in one write.
void csys_log_line(const char *_Nonnull text);
/// The same, and into the log file, if `level` is within what is wanted.
void csys_log(int level, const char *_Nonnull text);
/// What is wanted from now on, and the directory of the log file, which is
/// made if it does not exist; NULL: no file. 0 or an errno value.
int csys_log_open(const char *_Nullable directory, int level);
void csys_log_close(void);
/// `libmos: subject: what: strerror(code)`.
void csys_log_errno(int level, const char *_Nonnull subject, const char *_Nonnull what, int code);
/// `libmos: context N on CPU N what`.
void csys_log_context(int level, int context, int cpu, const char *_Nonnull what);

/// A context's totals at its end.
struct csys_totals {
    uint64_t packets, bytes, flows, orphans, errors, drops, gaps, overruns;
};
void csys_log_totals(int level, int context, const struct csys_totals *_Nonnull totals);

/// Many of a context's packets had a wrong TCP checksum.
void csys_log_checksums(int level, int context, uint64_t bad, uint64_t packets);

/// An interface's counts of the last second.
struct csys_rates {
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, errors, drops, flows;
};
void csys_print_rates(const char *_Nonnull name, double seconds, const struct csys_rates *_Nonnull rates);

/// Whether a signal's action is the default one.
int csys_signal_is_default(int number);
/// Installs a handler without SA_RESTART; NULL: the default. 0, or -1.
int csys_set_signal(int number, void (*_Nullable handler)(int));
/// The handler that is installed, NULL for the default.
void (*_Nullable csys_signal_handler(int number))(int);

/// poll(2) with a timeout of `nanoseconds`.
int csys_poll(struct pollfd *_Nonnull list, unsigned count, uint64_t nanoseconds);

/// Keeps the calling thread on one CPU; 0, or -1 with errno.
int csys_stay_on(int cpu);

/// Starts a thread on function(argument); 0 or an errno value.
int csys_start_thread(pthread_t *_Nonnull thread, const char *_Nonnull name, int cpu,
                      void (*_Nonnull function)(void *_Nullable), void *_Nullable argument);

/// Address space without memory behind it: pages come when they are touched,
/// large ones where the region is large and the system has them, since tables
/// of many flows are read in no order. NULL with errno set when the system
/// refuses.
void *_Nullable csys_reserve(size_t size);

static inline void csys_unreserve(void *_Nullable base, size_t size)
{
    if (base != NULL)
        munmap(base, size);
}

#endif
