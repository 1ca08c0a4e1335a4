/*
 * midstat: netstat for a middlebox.
 *
 * One stack thread for each core follows the connections that pass. Every
 * connection has one record, which hangs on its socket as user context and
 * stands in the list of its core. Once a second a timer on the first core
 * takes a snapshot of all lists and prints it; with -1 the records stay and
 * are printed when the stacks are done.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/time.h>

#include <mos_api.h>

#define EXIT_USAGE 64                   /* sysexits.h: EX_USAGE */
#define TIMER_ID 1

/* One connection. `state` is the last pair of states, client's and server's,
 * that were not both CLOSED: the end of a flow closes both sides, which says
 * no more than that it is over. */
struct connection {
    TAILQ_ENTRY(connection) link;
    union {
        struct sockaddr_in v4[2];       /* MOS_SIDE_CLI, MOS_SIDE_SVR */
        struct sockaddr_in6 v6[2];
    } address;
    int state[2];
};
TAILQ_HEAD(connection_list, connection);

/* One core: its context and its connections. Handlers run on the core's stack
 * thread, the snapshot on the first core's, so the lock guards the list and
 * all that hangs on it. It is free but for one moment in a second. */
struct core {
    mctx_t context;
    pthread_mutex_t lock;
    struct connection_list connections;
    size_t count;
};

/* What one line shows. */
struct row {
    int cpu;
    const char *protocol;
    char address[2][INET6_ADDRSTRLEN + sizeof "[]:65535"];
    int state[2];
};

/* All lines, and how wide the two address columns must be. */
struct snapshot {
    struct row *rows;
    size_t count;
    int width[2];
};

static struct core *cores;
static int num_cores;
static bool once;                       /* -1 */
static bool on_terminal;

/* ---- the connections ---------------------------------------------------- */

static const char *
state_name(int state)
{
    static const char *const names[] = {
        "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED",
        "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK",
        "TIME_WAIT",
    };

    if (state < 0 || (size_t)state >= sizeof names / sizeof *names)
        return "?";
    return names[state];
}

/* Both ends' addresses. The call tells the families apart: an IPv6 flow
 * refuses the length of two IPv4 addresses. */
static int
read_addresses(mctx_t context, int sock, struct connection *connection)
{
    socklen_t length = sizeof connection->address.v4;

    if (mtcp_getpeername(context, sock,
                         (struct sockaddr *)&connection->address, &length,
                         MOS_SIDE_BOTH) == 0)
        return 0;
    if (errno != EAFNOSUPPORT)
        return -1;
    length = sizeof connection->address.v6;
    return mtcp_getpeername(context, sock,
                            (struct sockaddr *)&connection->address, &length,
                            MOS_SIDE_BOTH);
}

/* Takes over both states, unless they tell only that the flow has ended. */
static void
read_states(mctx_t context, int sock, struct connection *connection)
{
    int client = TCP_CLOSED, server = TCP_CLOSED;
    socklen_t length = sizeof(int);

    if (mtcp_getsockopt(context, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI,
                        &client, &length) < 0)
        return;
    length = sizeof(int);
    if (mtcp_getsockopt(context, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR,
                        &server, &length) < 0)
        return;
    if (client == TCP_CLOSED && server == TCP_CLOSED)
        return;
    connection->state[MOS_SIDE_CLI] = client;
    connection->state[MOS_SIDE_SVR] = server;
}

static void
on_start(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct core *core = &cores[context->cpu];
    struct connection *connection;

    (void)side, (void)event, (void)arg;
    connection = (struct connection *)calloc(1, sizeof *connection);
    if (!connection)
        return;                         /* this one goes unseen */
    if (read_addresses(context, sock, connection) < 0) {
        free(connection);
        return;
    }
    read_states(context, sock, connection);

    pthread_mutex_lock(&core->lock);
    TAILQ_INSERT_TAIL(&core->connections, connection, link);
    core->count++;
    pthread_mutex_unlock(&core->lock);
    mtcp_set_uctx(context, sock, connection);
}

static void
on_state_change(mctx_t context, int sock, int side, event_t event,
                filter_arg_t *arg)
{
    struct core *core = &cores[context->cpu];
    struct connection *connection =
        (struct connection *)mtcp_get_uctx(context, sock);

    (void)side, (void)event, (void)arg;
    if (!connection)
        return;
    pthread_mutex_lock(&core->lock);
    read_states(context, sock, connection);
    pthread_mutex_unlock(&core->lock);
}

/* Runs for each of the two sides. The first call does the work and clears the
 * user context, by which the second knows that nothing is left to do. */
static void
on_end(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct core *core = &cores[context->cpu];
    struct connection *connection =
        (struct connection *)mtcp_get_uctx(context, sock);

    (void)side, (void)event, (void)arg;
    if (!connection)
        return;
    mtcp_set_uctx(context, sock, NULL);
    if (once)
        return;                         /* kept for the list at the end */
    pthread_mutex_lock(&core->lock);
    TAILQ_REMOVE(&core->connections, connection, link);
    core->count--;
    pthread_mutex_unlock(&core->lock);
    free(connection);
}

/* ---- the list ----------------------------------------------------------- */

static void
fill_row(struct row *row, int cpu, const struct connection *connection)
{
    const bool v6 = connection->address.v4[0].sin_family != AF_INET;
    char text[INET6_ADDRSTRLEN];
    int side;

    row->cpu = cpu;
    row->protocol = v6 ? "tcp6" : "tcp";
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
        const struct sockaddr_in *v4 = &connection->address.v4[side];
        const struct sockaddr_in6 *in6 = &connection->address.v6[side];

        if (v6)
            inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        else
            inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        snprintf(row->address[side], sizeof row->address[side],
                 v6 ? "[%s]:%u" : "%s:%u", text,
                 (unsigned)ntohs(v6 ? in6->sin6_port : v4->sin_port));
        row->state[side] = connection->state[side];
    }
}

/* Appends one core's connections; false without memory. */
static bool
append_rows(struct snapshot *snapshot, struct core *core, int cpu)
{
    struct connection *connection;
    struct row *rows;
    int side;

    pthread_mutex_lock(&core->lock);
    rows = (struct row *)realloc(snapshot->rows,
                                 (snapshot->count + core->count + 1) * sizeof *rows);
    if (!rows) {
        pthread_mutex_unlock(&core->lock);
        return false;
    }
    snapshot->rows = rows;
    TAILQ_FOREACH(connection, &core->connections, link) {
        struct row *row = &rows[snapshot->count++];

        fill_row(row, cpu, connection);
        for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
            const int width = (int)strlen(row->address[side]);

            if (width > snapshot->width[side])
                snapshot->width[side] = width;
        }
    }
    pthread_mutex_unlock(&core->lock);
    return true;
}

/* Prints one line, cut to the terminal's width; 0 columns: as long as it is. */
static void __attribute__((format(printf, 2, 3)))
print_line(int columns, const char *format, ...)
{
    char line[256];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof line)
        length = sizeof line - 1;
    if (columns > 0 && length > columns)
        length = columns;
    while (length > 0 && line[length - 1] == ' ')
        length--;
    /* On a terminal what an earlier, longer line left behind goes away. That
     * comes first: behind a full line it would take its last character. */
    printf("%s%.*s\n", columns > 0 ? "\033[K" : "", length, line);
}

static void
print_table(const struct snapshot *snapshot, int columns, size_t limit)
{
    const int client = snapshot->width[MOS_SIDE_CLI];
    const int server = snapshot->width[MOS_SIDE_SVR];
    size_t i;

    print_line(columns, "%-5s %3s  %-*s %-11s  %-*s %s", "Proto", "CPU",
               client, "Client Address", "State",
               server, "Server Address", "State");
    for (i = 0; i < snapshot->count && i < limit; i++) {
        const struct row *row = &snapshot->rows[i];

        print_line(columns, "%-5s %3d  %-*s %-11s  %-*s %s", row->protocol,
                   row->cpu,
                   client, row->address[MOS_SIDE_CLI],
                   state_name(row->state[MOS_SIDE_CLI]),
                   server, row->address[MOS_SIDE_SVR],
                   state_name(row->state[MOS_SIDE_SVR]));
    }
}

/* All connections: plain lines into a file or pipe, a page on a terminal. */
static void
print_connections(void)
{
    struct snapshot snapshot = { NULL, 0, { 21, 21 } }; /* any IPv4 end */
    int cpu;

    for (cpu = 0; cpu < num_cores; cpu++)
        if (cores[cpu].context && !append_rows(&snapshot, &cores[cpu], cpu))
            fprintf(stderr, "midstat: no memory for the list of CPU %d\n", cpu);

    if (!on_terminal || once) {
        print_table(&snapshot, 0, (size_t)-1);
        if (!once)
            printf("\n");
    } else {
        struct winsize size;
        size_t room;
        int columns = 80, lines = 24;

        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0
            && size.ws_col > 0 && size.ws_row > 0) {
            columns = size.ws_col;
            lines = size.ws_row;
        }
        room = lines > 4 ? (size_t)lines - 4 : 1;
        printf("\033[H");
        print_line(columns, "midstat: %zu connection%s%s", snapshot.count,
                   snapshot.count == 1 ? "" : "s",
                   snapshot.count > room ? " (the oldest are shown)" : "");
        print_line(columns, "%s", "");
        print_table(&snapshot, columns, room);
        printf("\033[J");
    }
    fflush(stdout);
    free(snapshot.rows);
}

static void
on_timer(mctx_t context, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval second = { 1, 0 };

    (void)side, (void)event, (void)arg;
    print_connections();
    mtcp_settimer(context, id, &second, on_timer);
}

/* ---- the terminal ------------------------------------------------------- */

/* Into the alternate screen, without a cursor, and back. */
#define ENTER_SCREEN "\033[?1049h\033[?25l\033[2J"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"

static void
leave_screen(void)
{
    printf(LEAVE_SCREEN);
    fflush(stdout);
}

/* The library winds down on SIGINT; being asked to stop in another way means
 * the same to us. */
static void
interrupt(int signum)
{
    (void)signum;
    kill(getpid(), SIGINT);
}

/* ---- start -------------------------------------------------------------- */

/* One monitoring socket, for every connection of both IP versions. */
static int
monitor(mctx_t context)
{
    int sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    int nothing = 0;

    if (sock < 0)
        return -1;
    /* Payload does not matter here: flows without buffers. */
    if (mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_CLIBUF, &nothing,
                        sizeof nothing) < 0
        || mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_SVRBUF, &nothing,
                           sizeof nothing) < 0)
        return -1;
    if (mtcp_register_callback(context, sock, MOS_ON_CONN_START, MOS_HK_SND,
                               on_start) < 0
        || mtcp_register_callback(context, sock, MOS_ON_TCP_STATE_CHANGE,
                                  MOS_HK_SND, on_state_change) < 0
        || mtcp_register_callback(context, sock, MOS_ON_TCP_STATE_CHANGE,
                                  MOS_HK_RCV, on_state_change) < 0
        || mtcp_register_callback(context, sock, MOS_ON_CONN_END, MOS_HK_SND,
                                  on_end) < 0)
        return -1;
    return 0;
}

static void
usage(FILE *stream)
{
    fprintf(stream,
            "usage: midstat [-1h] [-c cores] [-f file]\n"
            "  -1        print once, at the end: every connection seen, with the\n"
            "            last states of its two ends\n"
            "  -c cores  use that many cores (default: those of the configuration)\n"
            "  -f file   the configuration (default: $MOS_CONF, else\n"
            "            config/mos.conf, else mos.conf)\n"
            "  -h        this text\n");
}

static void
free_cores(void)
{
    struct connection *connection;
    int cpu;

    for (cpu = 0; cpu < num_cores; cpu++) {
        while ((connection = TAILQ_FIRST(&cores[cpu].connections))) {
            TAILQ_REMOVE(&cores[cpu].connections, connection, link);
            free(connection);
        }
        pthread_mutex_destroy(&cores[cpu].lock);
    }
    free(cores);
}

int
main(int argc, char **argv)
{
    struct timeval second = { 1, 0 };
    struct mtcp_conf conf;
    const char *file = NULL;
    char *rest;
    long wanted = 0;
    int option, cpu, status = EXIT_SUCCESS;

    while ((option = getopt(argc, argv, "1c:f:h")) != -1) {
        switch (option) {
        case '1':
            once = true;
            break;
        case 'c':
            wanted = strtol(optarg, &rest, 10);
            if (*rest != '\0' || wanted < 1 || wanted > 1024) {
                fprintf(stderr, "midstat: -c takes a number of cores, not \"%s\"\n",
                        optarg);
                return EXIT_USAGE;
            }
            break;
        case 'f':
            file = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }

    if (mtcp_init(file) < 0) {
        fprintf(stderr, "midstat: cannot start: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    mtcp_getconf(&conf);
    if (wanted > conf.num_cores) {
        fprintf(stderr, "midstat: the configuration gives %d core%s, not %ld\n",
                conf.num_cores, conf.num_cores == 1 ? "" : "s", wanted);
        mtcp_destroy();
        return EXIT_FAILURE;
    }
    if (wanted > 0) {
        conf.num_cores = (int)wanted;
        mtcp_setconf(&conf);
    }

    cores = (struct core *)calloc((size_t)conf.num_cores, sizeof *cores);
    if (!cores) {
        fprintf(stderr, "midstat: %s\n", strerror(errno));
        mtcp_destroy();
        return EXIT_FAILURE;
    }
    num_cores = conf.num_cores;
    for (cpu = 0; cpu < num_cores; cpu++) {
        pthread_mutex_init(&cores[cpu].lock, NULL);
        TAILQ_INIT(&cores[cpu].connections);
    }
    signal(SIGTERM, interrupt);
    signal(SIGHUP, interrupt);

    for (cpu = 0; cpu < num_cores; cpu++) {
        mctx_t context = mtcp_create_context(cpu);

        if (!context || monitor(context) < 0) {
            fprintf(stderr, "midstat: CPU %d: %s\n", cpu, strerror(errno));
            mtcp_destroy();
            free_cores();
            return EXIT_FAILURE;
        }
        cores[cpu].context = context;
    }

    on_terminal = isatty(STDOUT_FILENO);
    if (!once) {
        if (on_terminal) {
            printf(ENTER_SCREEN);
            atexit(leave_screen);
            print_connections();        /* none yet, but it is there */
        }
        if (mtcp_settimer(cores[0].context, TIMER_ID, &second, on_timer) < 0) {
            fprintf(stderr, "midstat: no timer: %s\n", strerror(errno));
            status = EXIT_FAILURE;
        }
    }

    for (cpu = 0; cpu < num_cores; cpu++)
        mtcp_app_join(cores[cpu].context);
    if (once)
        print_connections();
    if (mtcp_destroy() < 0)
        status = EXIT_FAILURE;
    free_cores();
    return status;
}
