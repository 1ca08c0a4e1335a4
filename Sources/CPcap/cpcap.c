#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "cpcap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;

void cpcap_registry_lock(void)
{
    pthread_mutex_lock(&registry);
}

void cpcap_registry_unlock(void)
{
    pthread_mutex_unlock(&registry);
}

void cpcap_log(const char *line)
{
    struct iovec part[3] = {
        {.iov_base = (void *)"libmos: ", .iov_len = 8},
        {.iov_base = (void *)line, .iov_len = strlen(line)},
        {.iov_base = (void *)"\n", .iov_len = 1},
    };
    int saved = errno;
    ssize_t ignored = writev(STDERR_FILENO, part, 3);
    (void)ignored;
    errno = saved;
}

int cpcap_open_read(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC);
}

int cpcap_open_write(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
}

int cpcap_truncate(int fd)
{
    struct cpcap_file_id id;
    if (cpcap_identify(fd, &id) != 0)
        return -1;
    return id.regular ? ftruncate(fd, 0) : 0;
}

int cpcap_identify(int fd, struct cpcap_file_id *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    out->device = st.st_dev;
    out->inode = st.st_ino;
    out->regular = S_ISREG(st.st_mode);
    out->directory = S_ISDIR(st.st_mode);
    out->stream = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
    return 0;
}

FILE *cpcap_stream(int fd, const char *mode, size_t buffer)
{
    FILE *file = fdopen(fd, mode);
    if (file != NULL)
        setvbuf(file, NULL, _IOFBF, buffer);
    return file;
}

// ---------------------------------------------------------------- pipes

enum {
    PIPE_FIRST = 256 * 1024,      // bytes of the buffer at first
    PIPE_MOST = 64 * 1024 * 1024, // a longer block is left to libpcap to refuse
};

enum pipe_format { FORMAT_UNKNOWN, FORMAT_PCAP, FORMAT_PCAPNG };

struct cpcap_pipe {
    int fd;
    int eof;
    enum pipe_format format;
    int swapped;          // the file's byte order is not ours
    size_t record_header; // pcap: bytes before each packet
    uint64_t consumed;    // bytes given to libpcap so far
    uint8_t head[12];     // the first bytes of the file
    uint8_t *data;        // bytes start ..< end are read and not given on
    size_t start, end, capacity;
};

static uint32_t order(const struct cpcap_pipe *p, int swapped, size_t at)
{
    uint32_t value;
    memcpy(&value, p->data + at, 4);
    return swapped ? __builtin_bswap32(value) : value;
}

/// Learns the format from the bytes that libpcap has taken as the file header.
static void recognise(struct cpcap_pipe *p)
{
    uint32_t magic, order_magic;
    memcpy(&magic, p->head, 4);
    memcpy(&order_magic, p->head + 8, 4);
    if (magic == 0x0A0D0D0A) { // the pcapng section header reads the same both ways
        p->format = FORMAT_PCAPNG;
        p->swapped = order_magic == 0x4D3C2B1A;
        return;
    }
    for (int swapped = 0; swapped < 2; swapped++) {
        uint32_t m = swapped ? __builtin_bswap32(magic) : magic;
        if (m == 0xA1B2C3D4 || m == 0xA1B23C4D || m == 0xA1B2CD34) {
            p->format = FORMAT_PCAP;
            p->swapped = swapped;
            p->record_header = m == 0xA1B2CD34 ? 24 : 16; // Kuznetzov's has two words more
        }
    }
}

/// 1 if what is buffered holds the next packet completely, or if it is
/// something that this does not understand, which libpcap then judges.
static int holds_packet(struct cpcap_pipe *p, size_t *needed)
{
    size_t at = p->start;
    int swapped = p->swapped;
    *needed = 0;
    if (p->format == FORMAT_UNKNOWN && p->consumed >= sizeof p->head)
        recognise(p), swapped = p->swapped;
    switch (p->format) {
    case FORMAT_UNKNOWN:
        return p->end > p->start;
    case FORMAT_PCAP: {
        *needed = p->record_header;
        if (p->end - at < p->record_header)
            return 0;
        size_t captured = order(p, swapped, at + 8);
        if (captured > PIPE_MOST)
            return 1;
        *needed += captured;
        return p->end - at >= *needed;
    }
    case FORMAT_PCAPNG:
        for (;;) {
            *needed = at - p->start + 12;
            if (p->end - at < 12)
                return 0;
            uint32_t type = order(p, swapped, at);
            if (type == 0x0A0D0D0A) { // a new section may have another byte order
                uint32_t mark;
                memcpy(&mark, p->data + at + 8, 4);
                swapped = mark == 0x4D3C2B1A;
            }
            size_t length = order(p, swapped, at + 4);
            if (length < 12 || length > PIPE_MOST || (length & 3) != 0)
                return 1;
            *needed = at - p->start + length;
            if (*needed > PIPE_MOST)
                return 1;
            if (p->end - at < length)
                return 0;
            // Obsolete, simple and enhanced packet blocks.
            if (type == 2 || type == 3 || type == 6) {
                p->swapped = swapped;
                return 1;
            }
            at += length;
        }
    }
    return 1;
}

/// Room for at least `needed` bytes from start on and one more. 0 if there is
/// no memory.
static int make_room(struct cpcap_pipe *p, size_t needed)
{
    if (p->start != 0) {
        memmove(p->data, p->data + p->start, p->end - p->start);
        p->end -= p->start;
        p->start = 0;
    }
    if (needed < p->capacity && p->end < p->capacity)
        return 1;
    size_t capacity = p->capacity;
    while (capacity <= needed || capacity <= p->end)
        capacity *= 2;
    uint8_t *data = realloc(p->data, capacity);
    if (data == NULL)
        return 0;
    p->data = data;
    p->capacity = capacity;
    return 1;
}

int cpcap_pipe_ready(struct cpcap_pipe *p)
{
    for (;;) {
        size_t needed;
        if (holds_packet(p, &needed) || p->eof)
            return 1;
        struct pollfd wait = {.fd = p->fd, .events = POLLIN};
        int n = poll(&wait, 1, 0);
        if (n == 0 || (n < 0 && errno == EINTR))
            return 0;
        if (n < 0 || !make_room(p, needed)) {
            p->eof = 1;
            return 1;
        }
        // Does not block: there is something, or the end.
        ssize_t got = read(p->fd, p->data + p->end, p->capacity - p->end);
        if (got > 0)
            p->end += (size_t)got;
        else if (got == 0 || (errno != EINTR && errno != EAGAIN))
            p->eof = 1;
        else
            return 0;
    }
}

static ssize_t pipe_read(void *cookie, char *buffer, size_t size)
{
    struct cpcap_pipe *p = cookie;
    ssize_t got = 0;
    if (p->end > p->start) {
        size_t n = p->end - p->start < size ? p->end - p->start : size;
        memcpy(buffer, p->data + p->start, n);
        p->start += n;
        got = (ssize_t)n;
    } else if (!p->eof) {
        for (;;) {
            got = read(p->fd, buffer, size);
            if (got >= 0)
                break;
            if (errno == EAGAIN) {
                struct pollfd wait = {.fd = p->fd, .events = POLLIN};
                poll(&wait, 1, -1);
            } else if (errno != EINTR)
                return -1;
        }
        if (got == 0)
            p->eof = 1;
    }
    for (ssize_t i = 0; i < got && p->consumed + (size_t)i < sizeof p->head; i++)
        p->head[p->consumed + (size_t)i] = (uint8_t)buffer[i];
    p->consumed += (size_t)got;
    return got;
}

static int pipe_close(void *cookie)
{
    struct cpcap_pipe *p = cookie;
    close(p->fd);
    free(p->data);
    free(p);
    return 0;
}

FILE *cpcap_pipe_open(int fd, struct cpcap_pipe **out)
{
    struct cpcap_pipe *p = calloc(1, sizeof *p);
    if (p == NULL || (p->data = malloc(PIPE_FIRST)) == NULL) {
        free(p);
        errno = ENOMEM;
        return NULL;
    }
    p->fd = fd;
    p->capacity = PIPE_FIRST;
    FILE *file = fopencookie(p, "r", (cookie_io_functions_t){.read = pipe_read, .close = pipe_close});
    if (file == NULL) {
        free(p->data);
        free(p);
        return NULL;
    }
    // Unbuffered, so that nothing hides between libpcap and our buffer.
    setvbuf(file, NULL, _IONBF, 0);
    *out = p;
    return file;
}

// ---------------------------------------------------------------- timer

int cpcap_timer(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd >= 0)
        cpcap_timer_set(fd, 1);
    return fd;
}

void cpcap_timer_set(int fd, uint64_t monotonic_ns)
{
    if (monotonic_ns == 0)
        monotonic_ns = 1; // 0 would disarm it
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(monotonic_ns / 1000000000u),
                     .tv_nsec = (long)(monotonic_ns % 1000000000u)},
    };
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL);
}

// ---------------------------------------------------------------- interfaces

uint32_t cpcap_interface_index(const char *name)
{
    if (strlen(name) >= IFNAMSIZ)
        return 0;
    return if_nametoindex(name);
}

int cpcap_interface_read(const char *name, struct cpcap_interface *out)
{
    struct ifreq request;
    memset(out, 0, sizeof *out);
    if (strlen(name) >= IFNAMSIZ)
        return ENODEV;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, name); // fits: checked above
    if (ioctl(fd, SIOCGIFINDEX, &request) != 0) {
        int error = errno;
        close(fd);
        return error;
    }
    out->index = request.ifr_ifindex;
    if (ioctl(fd, SIOCGIFMTU, &request) == 0)
        out->mtu = (uint32_t)request.ifr_mtu;
    if (ioctl(fd, SIOCGIFHWADDR, &request) == 0
        && (request.ifr_hwaddr.sa_family == ARPHRD_ETHER
            || request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK)) {
        memcpy(out->mac, request.ifr_hwaddr.sa_data, 6);
        out->has_mac = 1;
    }
    if (ioctl(fd, SIOCGIFADDR, &request) == 0 && request.ifr_addr.sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &request.ifr_addr, sizeof in);
        out->address = in.sin_addr.s_addr;
        if (ioctl(fd, SIOCGIFNETMASK, &request) == 0) {
            memcpy(&in, &request.ifr_netmask, sizeof in);
            out->netmask = in.sin_addr.s_addr;
        }
    }
    close(fd);
    return 0;
}

int cpcap_ignore_outgoing(int fd)
{
#ifdef PACKET_IGNORE_OUTGOING
    int on = 1;
    return setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0 ? 0 : errno;
#else
    (void)fd;
    return ENOPROTOOPT;
#endif
}

int cpcap_fanout(int fd, int group)
{
    int argument = PACKET_FANOUT_HASH << 16;
    if (group < 0)
        argument |= PACKET_FANOUT_FLAG_UNIQUEID << 16; // the kernel finds a free number
    else
        argument |= group & 0xFFFF;
    if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) != 0)
        return -errno;
    socklen_t size = sizeof argument;
    if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument, &size) != 0)
        return -errno;
    return argument & 0xFFFF;
}
