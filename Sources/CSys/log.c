// Lines for people: on standard error, and in a file when the configuration
// names a directory. What formats numbers is here because Swift cannot call
// variadic functions.
#define _GNU_SOURCE 1
#include "csys.h"

#include <inttypes.h>
#include <sys/uio.h>

static int threshold = CSYS_LOG_WARNING;
static int file = -1;

void csys_log_line(const char *text)
{
    struct iovec line[2] = { { (void *)text, strlen(text) }, { (void *)"\n", 1 } };
    ssize_t written = writev(STDERR_FILENO, line, 2);
    (void)written; /* nowhere to report it */
}

static void to_file(const char *text)
{
    int out = __atomic_load_n(&file, __ATOMIC_ACQUIRE);
    if (out < 0)
        return;
    struct timespec now;
    struct tm parts;
    char stamp[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp + used, sizeof stamp - used, ".%06ldZ ", now.tv_nsec / 1000);
    struct iovec line[3] = { { stamp, strlen(stamp) }, { (void *)text, strlen(text) }, { (void *)"\n", 1 } };
    ssize_t written = writev(out, line, 3);
    (void)written;
}

void csys_log(int level, const char *text)
{
    if (level > __atomic_load_n(&threshold, __ATOMIC_RELAXED))
        return;
    csys_log_line(text);
    to_file(text);
}

int csys_log_open(const char *directory, int level)
{
    __atomic_store_n(&threshold, level, __ATOMIC_RELAXED);
    if (directory == NULL)
        return 0;
    char path[4096];
    size_t length = strlen(directory);
    if (length == 0 || length + sizeof "/libmos.log" > sizeof path)
        return ENAMETOOLONG;
    memcpy(path, directory, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        char kept = path[i];
        path[i] = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return errno;
        path[i] = kept;
    }
    memcpy(path + length, "/libmos.log", sizeof "/libmos.log");
    int opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (opened < 0)
        return errno;
    __atomic_store_n(&file, opened, __ATOMIC_RELEASE);
    return 0;
}

void csys_log_close(void)
{
    int out = __atomic_exchange_n(&file, -1, __ATOMIC_ACQ_REL);
    if (out >= 0)
        close(out);
    __atomic_store_n(&threshold, CSYS_LOG_WARNING, __ATOMIC_RELAXED);
}

void csys_log_errno(int level, const char *subject, const char *what, int code)
{
    char line[512];
    snprintf(line, sizeof line, "libmos: %s: %s: %s", subject, what, strerror(code));
    csys_log(level, line);
}

void csys_log_context(int level, int context, int cpu, const char *what)
{
    char line[128];
    snprintf(line, sizeof line, "libmos: context %d on CPU %d %s", context, cpu, what);
    csys_log(level, line);
}

void csys_log_totals(int level, int context, const struct csys_totals *t)
{
    char line[512];
    snprintf(line, sizeof line,
             "libmos: context %d is done: %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64 " flows, %" PRIu64
             " orphans, %" PRIu64 " errors, %" PRIu64 " drops, %" PRIu64 " gaps, %" PRIu64 " overruns",
             context, t->packets, t->bytes, t->flows, t->orphans, t->errors, t->drops, t->gaps, t->overruns);
    csys_log(level, line);
}

void csys_log_checksums(int level, int context, uint64_t bad, uint64_t packets)
{
    char line[512];
    snprintf(line, sizeof line,
             "libmos: context %d: %" PRIu64 " of %" PRIu64 " packets have a wrong TCP checksum and are not monitored; "
             "if this machine sent them, its network card was to fill it in: set rx_checksum = 0",
             context, bad, packets);
    csys_log(level, line);
}

void csys_print_rates(const char *name, double seconds, const struct csys_rates *r)
{
    char line[512];
    if (seconds <= 0)
        return;
    snprintf(line, sizeof line,
             "%s: rx %.3f Mpps %.3f Gbps, tx %.3f Mpps %.3f Gbps, errors %" PRIu64 ", drops %" PRIu64
             ", flows %" PRIu64,
             name, (double)r->rx_packets / seconds / 1e6, (double)r->rx_bytes * 8 / seconds / 1e9,
             (double)r->tx_packets / seconds / 1e6, (double)r->tx_bytes * 8 / seconds / 1e9, r->errors, r->drops,
             r->flows);
    csys_log_line(line);
    to_file(line);
}
