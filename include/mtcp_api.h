/*
 * mtcp_api.h: contexts, configuration and stream sockets.
 *
 * The names, values and layouts are those of mOS 0.3 on LP64 Linux; a program
 * written for it compiles and links against this header unchanged.
 *
 * Unless a comment says otherwise a function returns 0, or -1 with errno set.
 * Common to all functions that take a context: EACCES for a null context,
 * EINVAL for one that cannot be, EPERM for one that has finished. Common to
 * all that take a socket: EBADF for an id out of range or unused, ENOTSOCK for
 * a socket of another kind. ENOSYS: not supported by this library.
 */
#ifndef MTCP_API_H
#define MTCP_API_H

#include <stdint.h>
#include <netinet/in.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef UNUSED
#define UNUSED(x) ((void)(x))
#endif

/* Any local port, in struct sockaddr_in's sin_port. */
#ifndef INPORT_ANY
#define INPORT_ANY ((uint16_t)0)
#endif

/* Kinds of sockets. mtcp_socket() makes SOCK_STREAM, MOS_SOCK_MONITOR_STREAM
 * and MOS_SOCK_MONITOR_RAW; the others name what an id has become. */
enum socket_type {
    MOS_SOCK_UNUSED = 0,
    MOS_SOCK_STREAM_LISTEN = 1,
    MOS_SOCK_PROXY_LISTEN = 2,
    MOS_SOCK_MONITOR_STREAM = 3,        /* a listener: makes an active socket for each new flow */
    MOS_SOCK_STREAM = 4,
    MOS_SOCK_PROXY = 5,
    MOS_SOCK_MONITOR_STREAM_ACTIVE = 6, /* one monitored flow */
    MOS_SOCK_MONITOR_RAW = 7,           /* packets without flows */
    MOS_SOCK_EPOLL = 8,
    MOS_SOCK_PIPE = 9
};

/* The level of the monitoring options below; SOL_SOCKET is the system's. */
#define SOL_MONSOCKET 0xfffe

/* Options of monitoring sockets. CLI is the client's stack (what the server
 * sent), SVR the server's. mos_ext.h adds to these. */
enum mos_socket_opts {
    MOS_FRAGINFO_CLIBUF = 0x01, /* get: struct tcp_ring_fragment[], ranges held, lowest first */
    MOS_FRAGINFO_SVRBUF = 0x02,
    MOS_INFO_CLIBUF = 0x03,     /* get: struct tcp_buf_info */
    MOS_INFO_SVRBUF = 0x04,
    MOS_TCP_STATE_CLI = 0x05,   /* get: int, an enum tcpstate */
    MOS_TCP_STATE_SVR = 0x06,
    MOS_TIMESTAMP = 0x07,       /* get: uint32_t, microseconds of the flow's last packet */
    MOS_CLIBUF = 0x09,          /* set: int, bytes; 0 turns the buffer off */
    MOS_SVRBUF = 0x0a,
    MOS_SEQ_REMAP = 0x0b,       /* set: seq_remap_info */
    MOS_STOP_MON = 0x0c,        /* set: int, a side; no handler for it any more */
    MOS_FRAG_CLIBUF = 0x0d,     /* set: int; 0 keeps ranges but no payload */
    MOS_FRAG_SVRBUF = 0x0e,
    MOS_CLIOVERLAP = 0x0f,      /* set: int, an overlap policy */
    MOS_SVROVERLAP = 0x10
};

/* Which copy of a byte counts when segments overlap. */
enum {
    MOS_OVERLAP_POLICY_FIRST = 0, /* the first that arrived (default) */
    MOS_OVERLAP_POLICY_LAST = 1,  /* the last that arrived, while the byte is still held */
    MOS_OVERLAP_CNT = 2
};

/* Which of a flow's two emulated stacks is meant. */
enum {
    MOS_SIDE_CLI = 0, /* the end that sent the first SYN */
    MOS_SIDE_SVR = 1, /* the other */
    MOS_SIDE_BOTH = 2
};

/* Array bounds of struct mtcp_conf. */
#define APP_NAME_LEN 40
#define MOS_APP      20
#define MOS_APP_ARGC 20

/* A context: one CPU core with its stack thread, its packets and its sockets. */
struct mtcp_context {
    int cpu; /* the core, from 0 */
};
typedef struct mtcp_context *mctx_t;

typedef void (*mtcp_sighandler_t)(int signum);

/* What mtcp_getconf() and mtcp_setconf() exchange. */
struct mtcp_conf {
    int num_cores;                           /* contexts that can be created */
    int max_concurrency;                     /* flows for each context */
    uint64_t cpu_mask;                       /* cores in use, bit n is core n */
    int max_num_buffers;                     /* flows that may hold buffers at a time, for each context */
    int rcvbuf_size;                         /* rmem_size: bytes kept for each side between bursts */
    int sndbuf_size;                         /* wmem_size: bytes of a stream socket's send buffer */
    int tcp_timewait;                        /* seconds in TIME_WAIT */
    int tcp_timeout;                         /* seconds without a packet after which a flow ends, -1 never */
    uint64_t app_cpu_mask[MOS_APP];          /* cores of each application block */
    char *app_argv[MOS_APP][MOS_APP_ARGC];   /* the "run" line of each application block, split */
    int app_argc[MOS_APP];                   /* words in it */
    int num_app;                             /* application blocks */
};

struct conn_filter;

/* For programs that keep several applications in one process. */
struct app_context {
    mctx_t mctx;
    int socket_id;
    struct conn_filter *cf;
    int ep_id;
};

struct app_ops {
    void (*app_init)(int argc, char **argv);
    void (*thread_init)(mctx_t mctx, void **app_ctx);
    void (*run)(mctx_t mctx, void **app_ctx);
    int enable;
};

/** Reads the configuration. Its interfaces are opened when the first context
 * is created, since mtcp_setconf() may come in between.
 *
 * @param config_file  path, or NULL for the file that $MOS_CONF names, else
 *                     config/mos.conf, else mos.conf
 * @return 0; -1 with ENOENT or EACCES (the file), EINVAL (it says something
 *         impossible: one line "file:line: what" went to standard error),
 *         EALREADY (called before), ENOMEM
 *
 * mOS: mtcp_init(3) */
int mtcp_init(const char *config_file);

/** Ends all contexts, closes the interfaces and frees everything. Handles and
 * socket ids are invalid afterwards, and mtcp_init() may be called again.
 *
 * @return 0; -1 with EPERM when nothing was initialised
 *
 * mOS: mtcp_destroy(3) */
int mtcp_destroy(void);

/** Copies the configuration in force into *conf. The strings of app_argv
 * belong to the library and live until mtcp_destroy().
 *
 * @return 0; -1 with EINVAL for a null pointer, EPERM before mtcp_init()
 *
 * mOS: mtcp_getconf(3) */
int mtcp_getconf(struct mtcp_conf *conf);

/** Changes the configuration for contexts created later. Fields that are
 * zero or negative where that means nothing leave the old value, so a cleared
 * structure with a few fields set changes these few; but a tcp_timewait of 0
 * means no TIME_WAIT, and a tcp_timeout of -1 never. cpu_mask, max_num_buffers
 * and the application fields are not taken over. rcvbuf_size beyond rmem_max
 * raises that, too.
 *
 * @return 0; -1 with EINVAL for a null pointer or a value out of range, EPERM
 *         before mtcp_init()
 *
 * mOS: mtcp_setconf(3) */
int mtcp_setconf(const struct mtcp_conf *conf);

/** Ties the calling thread to one CPU. Memory that it touches first comes from
 * that CPU's node (the kernel's default policy).
 *
 * @param cpu  from 0, below the machine's number of CPUs
 * @return 0; -1 with EINVAL for an impossible CPU or one that this process
 *         may not use, or another errno of sched_setaffinity(2)
 *
 * mOS: mtcp_core_affinitize(3) */
int mtcp_core_affinitize(int cpu);

/** Makes the context of one core and starts its stack thread; the first one
 * opens the interfaces. It reads no trace before the application is ready
 * (mtcp_app_join(), mtcp_epoll_wait(), mtcp_accept() or a blocking
 * mtcp_connect()).
 *
 * @param cpu  0 to num_cores - 1
 * @return the context; NULL with EINVAL (no such core), EPERM (before
 *         mtcp_init()), EEXIST (the core has a context, or had one that is
 *         destroyed), ENOMEM, EAGAIN (no thread to be had), or what was wrong
 *         with an interface: ENOENT, EACCES, EPERM, ENODEV, EINVAL, ENOTSUP …,
 *         said in one line on standard error
 *
 * mOS: mtcp_create_context(3) */
mctx_t mtcp_create_context(int cpu);

/** Ends a context: its flows end (MOS_ON_CONN_END is delivered), its thread
 * stops. May be called from a signal handler, from another thread, and twice;
 * the handle can be passed in, and gives EPERM, until mtcp_destroy().
 *
 * mOS: mtcp_destroy_context(3) */
int mtcp_destroy_context(mctx_t mctx);

/** Installs a signal handler. With one for SIGINT the library's blocking
 * calls return EINTR and the handler decides; without one SIGINT winds the
 * contexts down. A second SIGINT within a second ends them in any case.
 *
 * @return the handler that was installed before; SIG_ERR with EINVAL
 *
 * mOS: mtcp_register_signal(3) */
mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler);

/** Makes a byte pipe of 10240 bytes between threads, usable with epoll.
 *
 * @param pipeid  out: [0] reads, [1] writes
 * @return 0; -1 with EINVAL for a null array, ENFILE
 *
 * mOS: mtcp_pipe(3) */
int mtcp_pipe(mctx_t mctx, int pipeid[2]);

/** Reads an option.
 *
 * @param level   SOL_MONSOCKET
 *                (enum mos_socket_opts, on active monitoring sockets, from the
 *                stack thread)
 * @param optlen  in: bytes at optval; out: bytes written, or for
 *                MOS_FRAGINFO_* the number of ranges
 * @return 0; -1 with EINVAL (null pointer, wrong size), ENODATA (the side has
 *         no buffer), ENOSYS (no such option), ENOTSOCK, EPERM (not the stack
 *         thread)
 *
 * mOS: mtcp_getsockopt(3) */
int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname,
                    void *optval, socklen_t *optlen);

/** Sets an option. On a listener it applies to flows that start afterwards,
 * on an active socket to that flow, at once.
 *
 * @return 0; -1 with EINVAL (null pointer, wrong size, value out of range),
 *         EPERM (MOS_STOP_MON on a listener), ENOSYS (no such option), ENOTSOCK
 *
 * mOS: mtcp_setsockopt(3) */
int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname,
                    const void *optval, socklen_t optlen);

/** Makes a stream socket's or pipe's calls return EAGAIN instead of waiting.
 *
 * mOS: mtcp_setsock_nonblock(3) */
int mtcp_setsock_nonblock(mctx_t mctx, int sock);

/** FIONREAD (argp: int *, readable bytes) and FIONBIO (argp: int *, 0 or 1).
 *
 * @return 0; -1 with EINVAL for another request or a null argp
 *
 * mOS: mtcp_ioctl(3) */
int mtcp_ioctl(mctx_t mctx, int sock, int request, void *argp);

/** Makes a socket.
 *
 * @param domain    AF_INET; for monitoring sockets also AF_INET6, and
 *                  AF_UNSPEC for both families
 * @param type      SOCK_STREAM, MOS_SOCK_MONITOR_STREAM or MOS_SOCK_MONITOR_RAW
 * @param protocol  0
 * @return an id from 0, below 2 * max_concurrency + 64; -1 with EAFNOSUPPORT,
 *         EINVAL (type), ENFILE (none left)
 *
 * mOS: mtcp_socket(3) */
int mtcp_socket(mctx_t mctx, int domain, int type, int protocol);

/** Gives a stream socket its local address. Port 0 and INADDR_ANY mean any.
 *
 * @return 0; -1 with EINVAL (null, short or non-IPv4 address, bound before),
 *         EADDRINUSE
 *
 * mOS: mtcp_bind(3) */
int mtcp_bind(mctx_t mctx, int sock, const struct sockaddr *addr, socklen_t addrlen);

/** Accepts connections from now on. The same port may be listened to in every
 * context: each gets the connections that its queue receives.
 *
 * @param backlog  1 to max_concurrency: connections that wait for mtcp_accept()
 * @return 0; -1 with EINVAL (backlog), EADDRINUSE
 *
 * mOS: mtcp_listen(3) */
int mtcp_listen(mctx_t mctx, int sock, int backlog);

/** Takes the next established connection.
 *
 * @param addr     NULL, or out: the peer
 * @param addrlen  in and out: its size in bytes
 * @return the new socket's id; -1 with EINVAL (not listening), EAGAIN (none
 *         and non-blocking), EINTR (shutdown), ENFILE
 *
 * mOS: mtcp_accept(3) */
int mtcp_accept(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen);

/** Makes this context's pool of local (address, port) pairs whose replies
 * arrive at this context, for mtcp_connect() to choose from.
 *
 * @param saddr_base  first local address, network order; INADDR_ANY: that of
 *                    the outgoing interface
 * @param num_addr    number of successive addresses, at least 1
 * @param daddr       the server's address, network order
 * @param dport       the server's port, network order
 * @return 0; -1 with EINVAL, EHOSTUNREACH, ENOMEM
 *
 * mOS: mtcp_init_rss(3) */
int mtcp_init_rss(mctx_t mctx, in_addr_t saddr_base, int num_addr,
                  in_addr_t daddr, in_addr_t dport);

/** Opens a connection.
 *
 * @return 0; -1 with EINPROGRESS (non-blocking; MOS_EPOLLOUT or MOS_EPOLLERR
 *         will tell), ETIMEDOUT, ECONNREFUSED, ECONNRESET, EHOSTUNREACH,
 *         EINTR, EFAULT (null address), EAFNOSUPPORT, EISCONN, EALREADY,
 *         EINVAL (bound to an address whose replies go to another context),
 *         EAGAIN (no free local port)
 *
 * mOS: mtcp_connect(3) */
int mtcp_connect(mctx_t mctx, int sock, const struct sockaddr *addr, socklen_t addrlen);

/** Closes a socket; the id is free at once. A stream socket's buffered data
 * and FIN are still sent; a stream listener's waiting connections are reset.
 * A monitoring listener gets no new flow and no handler of its active sockets
 * runs again; a raw socket no packet; on an active monitoring socket this is
 * MOS_STOP_MON with MOS_SIDE_BOTH. Monitored flows themselves go on.
 *
 * mOS: mtcp_close(3) */
int mtcp_close(mctx_t mctx, int sock);

/** Ends a stream socket's connection with a RST; buffered data is dropped.
 *
 * mOS: mtcp_abort(3) */
int mtcp_abort(mctx_t mctx, int sock);

/** The local address of a stream socket (struct sockaddr_in).
 *
 * @param addrlen  in: bytes at addr; out: bytes of the address
 * @return 0; -1 with EINVAL (null pointer, too short), ENOTCONN
 *
 * mOS: mtcp_getsockname(3) */
int mtcp_getsockname(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen);

/** Reads from a stream socket.
 *
 * @param flags  0 or MSG_PEEK
 * @return bytes, 0 at the end of the stream; -1 with EINVAL (flags, null
 *         buffer), EAGAIN, ENOTCONN, ECONNRESET (once), EINTR
 *
 * mOS: mtcp_recv(3) */
ssize_t mtcp_recv(mctx_t mctx, int sock, char *buf, size_t len, int flags);

/** mtcp_recv() with flags 0; also reads from a pipe.
 *
 * mOS: mtcp_read(3) */
ssize_t mtcp_read(mctx_t mctx, int sock, char *buf, size_t len);

/** mtcp_read() into several buffers, filled in order.
 *
 * mOS: mtcp_readv(3) */
ssize_t mtcp_readv(mctx_t mctx, int sock, const struct iovec *iov, int numIOV);

/** Puts bytes into a stream socket's send buffer, or into a pipe.
 *
 * @return bytes taken, fewer than asked when the buffer fills; -1 with EAGAIN
 *         (full), EINVAL (null buffer), ENOTCONN, EPIPE (after our own close),
 *         ECONNRESET, EINTR. Length 0: 0, or EAGAIN if non-blocking
 *
 * mOS: mtcp_write(3) */
ssize_t mtcp_write(mctx_t mctx, int sock, const char *buf, size_t len);

/** mtcp_write() from several buffers, in order.
 *
 * mOS: mtcp_writev(3) */
ssize_t mtcp_writev(mctx_t mctx, int sock, const struct iovec *iov, int numIOV);

/** The number of flows that the context holds now, monitored and own.
 *
 * @return the number; 0 with errno set for a bad context
 *
 * mOS: mtcp_get_connection_cnt(3) */
uint32_t mtcp_get_connection_cnt(mctx_t mctx);

#ifdef __cplusplus
}
#endif

#endif /* MTCP_API_H */
