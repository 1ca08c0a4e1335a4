/*
 * httpmon: who asks these hosts for what, and how they answer.
 *
 * An example of paying only for what is looked at: a flow gets an event when
 * it begins to matter, loses a buffer when that ceases to, and is left alone
 * as soon as everything is known. README.md goes through it step by step.
 *
 *     MOS_ON_CONN_NEW_DATA
 *     |- request             the client has sent a complete request header
 *     |  |- for HOST         ... to that host (one event for each host)
 *     |  `- for another      ... to none of them
 *     `- something else      this is not HTTP
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE                     /* memmem */
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <mos_api.h>

#define EXIT_USAGE 64                   /* sysexits.h: EX_USAGE */
#define MAX_HOSTS 64
#define MAX_HEADER 8192                 /* of a request, in bytes */
#define STATUS_LINE 12                  /* bytes that matter: "HTTP/1.1 200" */

/* What is remembered of a flow that has shown a request. Other flows have
 * none, and cost no more than their socket. */
struct exchange {
    char client[INET6_ADDRSTRLEN + sizeof "[]:65535"];
    char method[16];
    char host[256];
    char target[512];
    bool wanted;                        /* a host event fired */
};

/* What was done, on all cores. Shown at the end: it is what this example is
 * about. */
static struct {
    unsigned long flows, not_http, requests, looks, unwanted, answers;
} counts;

static event_t request_event, other_event, unwanted_event;
static event_t host_events[MAX_HOSTS];
static char *hosts[MAX_HOSTS];
static int num_hosts;

static void
count(unsigned long *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* ---- reading ------------------------------------------------------------ */

/* Whether the bytes can be the beginning of a request: as many of them as are
 * there. */
static bool
may_be_request(const char *bytes, size_t length)
{
    static const char *const methods[] = {
        "GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ",
    };
    size_t i;

    for (i = 0; i < sizeof methods / sizeof *methods; i++) {
        size_t compared = strlen(methods[i]);

        if (length < compared)
            compared = length;
        if (memcmp(bytes, methods[i], compared) == 0)
            return true;
    }
    return false;
}

/* The length of the request header with its empty line that the client's
 * stream begins with; 0 if it is not complete yet, -1 if this is none, or its
 * beginning is lost: it passed before anybody could see it. */
static ssize_t
read_header(mctx_t context, int sock, char header[MAX_HEADER])
{
    ssize_t length = mtcp_ppeek(context, sock, MOS_SIDE_SVR, header, MAX_HEADER, 0);
    char *empty_line;

    if (length < 0)
        return -1;
    if (!may_be_request(header, (size_t)length))
        return -1;
    empty_line = (char *)memmem(header, (size_t)length, "\r\n\r\n", 4);
    if (empty_line)
        return empty_line + 4 - header;
    return length < MAX_HEADER ? 0 : -1;
}

/* Copies [begin, end) as a string, cut off where `size` ends. It will be printed:
 * what is not a letter, digit or sign becomes a question mark. */
static void
copy(char *to, size_t size, const char *begin, const char *end)
{
    size_t length = (size_t)(end - begin), i;

    if (length >= size)
        length = size - 1;
    for (i = 0; i < length; i++)
        to[i] = begin[i] > ' ' && begin[i] < 0x7f ? begin[i] : '?';
    to[length] = '\0';
}

/* The first of the bytes in [begin, end) that is in `set`; `end` if none is. */
static const char *
find(const char *begin, const char *end, const char *set)
{
    while (begin < end && !strchr(set, *begin))
        begin++;
    return begin;
}

/* The host in [begin, end), without the port. An IPv6 address is in brackets. */
static void
copy_host(struct exchange *exchange, const char *begin, const char *end)
{
    const char *port = begin;

    if (begin < end && *begin == '[') {
        port = find(begin, end, "]");
        port += port < end;
    }
    copy(exchange->host, sizeof exchange->host, begin, find(port, end, ":/ \t\r\n"));
}

/* Takes method, target and host (RFC 9112 sections 3 and 3.2) from a header. The
 * host of a target in absolute form counts, whatever the Host field says. */
static void
parse_header(struct exchange *exchange, const char *header, size_t length)
{
    const char *end = header + length;
    const char *method_end = find(header, end, " \r\n");
    const char *target = method_end < end ? method_end + 1 : end;
    const char *target_end = find(target, end, " \r\n");
    const char *line;

    copy(exchange->method, sizeof exchange->method, header, method_end);
    if (target_end - target > 7 && strncasecmp(target, "http://", 7) == 0) {
        const char *path = find(target + 7, target_end, "/?");

        copy_host(exchange, target + 7, path);
        if (path == target_end || *path == '?')
            strcpy(exchange->target, "/");
        copy(exchange->target + strlen(exchange->target),
             sizeof exchange->target - strlen(exchange->target), path, target_end);
        return;
    }
    copy(exchange->target, sizeof exchange->target, target, target_end);
    for (line = find(header, end, "\n"); line < end; line = find(line, end, "\n")) {
        line++;
        if (end - line > 5 && strncasecmp(line, "host:", 5) == 0) {
            const char *host = line + 5;

            while (host < end && (*host == ' ' || *host == '\t'))
                host++;
            copy_host(exchange, host, end);
            return;
        }
    }
}

static void
name_client(mctx_t context, int sock, struct exchange *exchange)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t length = sizeof v4;
    char text[INET6_ADDRSTRLEN];

    if (mtcp_getpeername(context, sock, (struct sockaddr *)&v4, &length,
                         MOS_SIDE_CLI) == 0) {
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        snprintf(exchange->client, sizeof exchange->client, "%s:%u", text,
                 (unsigned)ntohs(v4.sin_port));
        return;
    }
    length = sizeof v6;                 /* an IPv6 flow wants the larger one */
    if (mtcp_getpeername(context, sock, (struct sockaddr *)&v6, &length,
                         MOS_SIDE_CLI) == 0) {
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        snprintf(exchange->client, sizeof exchange->client, "[%s]:%u", text,
                 (unsigned)ntohs(v6.sin6_port));
    }
}

/* ---- the filters -------------------------------------------------------- */

/* Once the request is known, every further event of the flow is about it. */
static bool
is_request(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    char header[MAX_HEADER];

    (void)event, (void)arg;
    return mtcp_get_uctx(context, sock)
        || (side == MOS_SIDE_SVR && read_header(context, sock, header) > 0);
}

/* Where the client speaks first, and does so in HTTP, is no something else. */
static bool
is_other(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    char header[MAX_HEADER];

    (void)event, (void)arg;
    return !mtcp_get_uctx(context, sock)
        && (side == MOS_SIDE_CLI || read_header(context, sock, header) < 0);
}

/* The argument is the host's name. */
static bool
is_for_host(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct exchange *exchange = (struct exchange *)mtcp_get_uctx(context, sock);

    (void)side, (void)event;
    count(&counts.looks);
    return exchange && strlen(exchange->host) == arg->len
        && strncasecmp(exchange->host, (const char *)arg->arg, arg->len) == 0;
}

/* Runs behind those for hosts: events run in the order of their definition. */
static bool
is_for_another(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct exchange *exchange = (struct exchange *)mtcp_get_uctx(context, sock);

    (void)side, (void)event, (void)arg;
    return exchange && !exchange->wanted;
}

/* ---- the handlers ------------------------------------------------------- */

/* The end of a flow for us. No MOS_ON_CONN_END comes after MOS_STOP_MON, so
 * what belongs to the flow goes now. */
static void
leave(mctx_t context, int sock)
{
    int both = MOS_SIDE_BOTH;

    free(mtcp_get_uctx(context, sock));
    mtcp_set_uctx(context, sock, NULL);
    mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof both);
}

static void on_host_request(mctx_t, int, int, event_t, filter_arg_t *);
static void on_unwanted(mctx_t, int, int, event_t, filter_arg_t *);

/* The request is complete. What else the client sends is of no interest, so its
 * buffer goes, and with it the events of that side; what comes next is the
 * answer. The flow gets the events for hosts: in that next dispatch they run. */
static void
on_request(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct exchange *exchange;
    char header[MAX_HEADER];
    ssize_t length;
    int nothing = 0, i;

    (void)side, (void)arg;
    length = read_header(context, sock, header);
    exchange = length > 0 ? (struct exchange *)calloc(1, sizeof *exchange) : NULL;
    if (!exchange) {
        leave(context, sock);
        return;
    }
    parse_header(exchange, header, (size_t)length);
    name_client(context, sock, exchange);
    mtcp_set_uctx(context, sock, exchange);
    count(&counts.requests);

    mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_SVRBUF, &nothing, sizeof nothing);
    for (i = 0; i < num_hosts; i++)
        mtcp_register_callback(context, sock, host_events[i], MOS_NULL, on_host_request);
    mtcp_register_callback(context, sock, unwanted_event, MOS_NULL, on_unwanted);
    /* Its work is done. The filter stays in use: there are events below it. */
    mtcp_unregister_callback(context, sock, event, MOS_NULL);
    mtcp_unregister_callback(context, sock, other_event, MOS_NULL);
}

/* A request for one of the hosts, and the server has begun to answer. */
static void
on_host_request(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct exchange *exchange = (struct exchange *)mtcp_get_uctx(context, sock);
    char line[STATUS_LINE + 1];

    (void)side, (void)event, (void)arg;
    exchange->wanted = true;
    if (mtcp_ppeek(context, sock, MOS_SIDE_CLI, line, STATUS_LINE, 0) != STATUS_LINE)
        return;                         /* more to come */
    line[STATUS_LINE] = '\0';
    count(&counts.answers);
    printf("%s %s http://%s%s -> %s\n", exchange->client, exchange->method,
           exchange->host, exchange->target,
           strncmp(line, "HTTP/1.", 7) == 0 && strspn(line + 9, "0123456789") == 3
               ? line + 9 : "no HTTP");
    leave(context, sock);
}

static void
on_unwanted(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    count(&counts.unwanted);
    leave(context, sock);
}

static void
on_other(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    count(&counts.not_http);
    leave(context, sock);
}

static void
on_start(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)context, (void)sock, (void)side, (void)event, (void)arg;
    count(&counts.flows);
}

/* For flows that are monitored to their end. Once for each side; the second
 * call finds nothing. */
static void
on_end(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    free(mtcp_get_uctx(context, sock));
    mtcp_set_uctx(context, sock, NULL);
}

/* ---- start -------------------------------------------------------------- */

/* Events belong to the process: defined once, used by all contexts. Their ids
 * give the order in which they run. */
static int
define_events(void)
{
    int i;

    request_event = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_request, NULL);
    other_event = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_other, NULL);
    if (!request_event || !other_event)
        return -1;
    for (i = 0; i < num_hosts; i++) {
        filter_arg_t host = { hosts[i], strlen(hosts[i]) };

        host_events[i] = mtcp_define_event(request_event, is_for_host, &host);
        if (!host_events[i])
            return -1;
    }
    unwanted_event = mtcp_define_event(request_event, is_for_another, NULL);
    return unwanted_event ? 0 : -1;
}

static int
monitor(mctx_t context)
{
    int sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    int client_buffer = 2048, server_buffer = MAX_HEADER;

    if (sock < 0)
        return -1;
    /* Of the server's answers we want the first line, of the client's requests
     * the whole header. */
    if (mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_CLIBUF, &client_buffer,
                        sizeof client_buffer) < 0
        || mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_SVRBUF, &server_buffer,
                           sizeof server_buffer) < 0)
        return -1;
    if (mtcp_register_callback(context, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0
        || mtcp_register_callback(context, sock, request_event, MOS_NULL, on_request) < 0
        || mtcp_register_callback(context, sock, other_event, MOS_NULL, on_other) < 0
        || mtcp_register_callback(context, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        return -1;
    return 0;
}

static void
on_terminate(int signum)
{
    (void)signum;
    kill(getpid(), SIGINT);             /* on which the library winds down */
}

static void
usage(FILE *stream)
{
    fprintf(stream,
            "usage: httpmon [-hq] [-f file] host...\n"
            "  -f file  the configuration (default: $MOS_CONF, else config/mos.conf,\n"
            "           else mos.conf)\n"
            "  -q       no counts at the end\n"
            "  -h       this text\n");
}

int
main(int argc, char **argv)
{
    struct mtcp_conf conf;
    const char *file = NULL;
    mctx_t *contexts;
    bool quiet = false;
    int option, cpu;

    while ((option = getopt(argc, argv, "f:hq")) != -1) {
        switch (option) {
        case 'f':
            file = optarg;
            break;
        case 'q':
            quiet = true;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    for (; optind < argc && num_hosts < MAX_HOSTS; optind++)
        hosts[num_hosts++] = argv[optind];
    if (num_hosts == 0 || optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }

    if (mtcp_init(file) < 0) {
        fprintf(stderr, "httpmon: cannot start: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    mtcp_getconf(&conf);
    contexts = (mctx_t *)calloc((size_t)conf.num_cores, sizeof *contexts);
    if (!contexts || define_events() < 0) {
        fprintf(stderr, "httpmon: %s\n", strerror(errno));
        mtcp_destroy();
        free(contexts);
        return EXIT_FAILURE;
    }
    signal(SIGTERM, on_terminate);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);

    for (cpu = 0; cpu < conf.num_cores; cpu++) {
        contexts[cpu] = mtcp_create_context(cpu);
        if (!contexts[cpu] || monitor(contexts[cpu]) < 0) {
            fprintf(stderr, "httpmon: CPU %d: %s\n", cpu, strerror(errno));
            mtcp_destroy();
            free(contexts);
            return EXIT_FAILURE;
        }
    }
    for (cpu = 0; cpu < conf.num_cores; cpu++)
        mtcp_app_join(contexts[cpu]);
    mtcp_destroy();
    free(contexts);

    if (!quiet)
        fprintf(stderr,
                "httpmon: %lu connections: %lu not HTTP, %lu with a request; "
                "%lu looks for a host; %lu for other hosts, %lu shown\n",
                counts.flows, counts.not_http, counts.requests, counts.looks,
                counts.unwanted, counts.answers);
    return EXIT_SUCCESS;
}
