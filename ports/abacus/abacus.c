/*
 * abacus: accounting for a mobile network's middlebox.
 *
 * A subscriber pays for the payload that passes, but not for retransmissions:
 * those are the network's fault. Who knows that can send new data in the place
 * of old and travel free. So a retransmission is compared with what the stack
 * still holds of the original, and what differs is counted and reported.
 *
 * After Abacus in "mOS: A Reusable Networking Stack for Flow Monitoring
 * Middleboxes" (NSDI 2017), section 6.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <mos_api.h>

#define EXIT_USAGE 64                   /* sysexits.h: EX_USAGE */
#define TIMER_ID 1
#define MAX_RANGES 256                  /* out-of-order ranges looked at */

/* What a subscriber's name is made of: it needs no quoting in CSV or JSON. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz" \
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-"

/* One line of the subscribers' file. IPv4 prefixes are kept as IPv4-mapped
 * IPv6 prefixes (RFC 4291 section 2.5.5.2), so one table serves both. */
struct subscriber {
    char name[64];
    struct in6_addr prefix;
    int length;                         /* bits */
};

/* What one subscriber used on one core: bytes of TCP payload, each way. Only
 * the core's stack thread writes, anybody may read meanwhile: each counter is
 * loaded and stored in one piece, and that is all the order they need. */
struct usage {
    uint64_t connections;
    uint64_t charged[2];                /* UP, DOWN */
    uint64_t repeated[2];
    uint64_t forged_packets;            /* retransmissions that differ */
    uint64_t forged_bytes;              /* ... in so many bytes */
    uint64_t unverified;                /* repeated bytes without an original at hand */
};

enum { UP = 0, DOWN = 1 };

/* A connection: who pays for it at either end (-1: nobody), and whether a
 * forgery of that end was reported already. */
struct account {
    int subscriber[2];                  /* MOS_SIDE_CLI, MOS_SIDE_SVR */
    bool reported[2];
    char client[INET6_ADDRSTRLEN + sizeof "[]:65535"];
    char server[INET6_ADDRSTRLEN + sizeof "[]:65535"];
};

struct core {
    mctx_t context;
    struct usage *usage;                /* for each subscriber; then for all others */
};

static struct subscriber *subscribers;
static int num_subscribers;
static struct core *cores;
static int num_cores;
static const char *output;              /* NULL: standard output */
static bool json;
static int buffer_size = 65536;
static sig_atomic_t export_wanted;      /* atomic: set by SIGHUP */

static void
add(uint64_t *counter, uint64_t amount)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + amount,
                     __ATOMIC_RELAXED);
}

/* ---- subscribers -------------------------------------------------------- */

static bool
parse_prefix(char *text, struct subscriber *subscriber)
{
    char *slash = strchr(text, '/'), *rest;
    struct in_addr v4;
    long length = -1;

    if (slash) {
        *slash = '\0';
        length = strtol(slash + 1, &rest, 10);
        if (rest == slash + 1 || *rest != '\0' || length < 0)
            return false;
    }
    if (inet_pton(AF_INET, text, &v4) == 1) {
        memset(&subscriber->prefix, 0, sizeof subscriber->prefix);
        subscriber->prefix.s6_addr[10] = subscriber->prefix.s6_addr[11] = 0xff;
        memcpy(&subscriber->prefix.s6_addr[12], &v4, sizeof v4);
        if (length > 32)
            return false;
        subscriber->length = 96 + (length < 0 ? 32 : (int)length);
        return true;
    }
    if (length > 128 || inet_pton(AF_INET6, text, &subscriber->prefix) != 1)
        return false;
    subscriber->length = length < 0 ? 128 : (int)length;
    return true;
}

/* Lines of a name and an address or prefix; # starts a comment. */
static int
read_subscribers(const char *name)
{
    FILE *file = fopen(name, "r");
    char line[512], who[64], prefix[INET6_ADDRSTRLEN + 8], junk[2];
    int number = 0;

    if (!file) {
        fprintf(stderr, "abacus: %s: %s\n", name, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, file)) {
        struct subscriber *grown, *subscriber;
        int words;

        number++;
        line[strcspn(line, "#")] = '\0';
        words = sscanf(line, "%63s %53s %1s", who, prefix, junk);
        if (words <= 0)
            continue;
        grown = (struct subscriber *)realloc(subscribers,
                                             ((size_t)num_subscribers + 1) * sizeof *grown);
        if (!grown) {
            fprintf(stderr, "abacus: %s\n", strerror(errno));
            fclose(file);
            return -1;
        }
        subscribers = grown;
        subscriber = &subscribers[num_subscribers];
        snprintf(subscriber->name, sizeof subscriber->name, "%s", who);
        if (words != 2 || who[strspn(who, NAME_CHARACTERS)] != '\0'
            || !parse_prefix(prefix, subscriber)) {
            fprintf(stderr, "%s:%d: a line is a name (letters, digits, . _ @ -) and "
                            "an address or prefix\n", name, number);
            fclose(file);
            return -1;
        }
        num_subscribers++;
    }
    fclose(file);
    return 0;
}

static bool
has_prefix(const struct in6_addr *address, const struct in6_addr *prefix, int length)
{
    const int bytes = length / 8, bits = length % 8;

    if (memcmp(address, prefix, (size_t)bytes) != 0)
        return false;
    return bits == 0
        || ((address->s6_addr[bytes] ^ prefix->s6_addr[bytes]) >> (8 - bits)) == 0;
}

/* The subscriber with the longest prefix that fits; -1: none. Once for each
 * connection and end, so a list will do. */
static int
find_subscriber(const struct in6_addr *address)
{
    int best = -1, i;

    for (i = 0; i < num_subscribers; i++)
        if (has_prefix(address, &subscribers[i].prefix, subscribers[i].length)
            && (best < 0 || subscribers[i].length > subscribers[best].length))
            best = i;
    return best;
}

/* ---- connections -------------------------------------------------------- */

/* Both ends as IPv6 addresses, IPv4 ones mapped, and as text. */
static int
read_ends(mctx_t context, int sock, struct in6_addr ends[2], struct account *account)
{
    struct sockaddr_in v4[2];
    struct sockaddr_in6 v6[2];
    socklen_t length = sizeof v4;
    char text[INET6_ADDRSTRLEN];
    char *name[2] = { account->client, account->server };
    int side;

    if (mtcp_getpeername(context, sock, (struct sockaddr *)v4, &length, MOS_SIDE_BOTH) == 0) {
        for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
            memset(&ends[side], 0, sizeof ends[side]);
            ends[side].s6_addr[10] = ends[side].s6_addr[11] = 0xff;
            memcpy(&ends[side].s6_addr[12], &v4[side].sin_addr, 4);
            inet_ntop(AF_INET, &v4[side].sin_addr, text, sizeof text);
            snprintf(name[side], sizeof account->client, "%s:%u", text,
                     (unsigned)ntohs(v4[side].sin_port));
        }
        return 0;
    }
    length = sizeof v6;
    if (errno != EAFNOSUPPORT
        || mtcp_getpeername(context, sock, (struct sockaddr *)v6, &length, MOS_SIDE_BOTH) < 0)
        return -1;
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
        ends[side] = v6[side].sin6_addr;
        inet_ntop(AF_INET6, &v6[side].sin6_addr, text, sizeof text);
        snprintf(name[side], sizeof account->client, "[%s]:%u", text,
                 (unsigned)ntohs(v6[side].sin6_port));
    }
    return 0;
}

/* The counters of a connection's payers: one for an end that is a subscriber;
 * the others' (the last) when neither is. An end whose peer belongs to the
 * same subscriber does not pay twice. */
static void
payers(const struct account *account, struct usage *usage, struct usage *paying[2])
{
    const int client = account->subscriber[MOS_SIDE_CLI];
    const int server = account->subscriber[MOS_SIDE_SVR];

    paying[MOS_SIDE_CLI] = client >= 0 ? &usage[client] : NULL;
    paying[MOS_SIDE_SVR] = server >= 0 && server != client ? &usage[server] : NULL;
    if (client < 0 && server < 0)
        paying[MOS_SIDE_CLI] = &usage[num_subscribers];
}

/* A connection's account, opened with its first packet: MOS_ON_PKT_IN comes
 * before MOS_ON_CONN_START, and a SYN can carry data (RFC 7413). */
static struct account *
open_account(mctx_t context, int sock)
{
    struct account *account = (struct account *)mtcp_get_uctx(context, sock);
    struct usage *paying[2];
    struct in6_addr ends[2];
    int side;

    if (account)
        return account;
    account = (struct account *)calloc(1, sizeof *account);
    if (!account)
        return NULL;
    if (read_ends(context, sock, ends, account) < 0) {
        free(account);
        return NULL;
    }
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++)
        account->subscriber[side] = find_subscriber(&ends[side]);
    mtcp_set_uctx(context, sock, account);

    payers(account, cores[context->cpu].usage, paying);
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++)
        if (paying[side])
            add(&paying[side]->connections, 1);
    return account;
}

/* Every packet, when its sender has sent it: all of its payload is charged;
 * on_retransmission() takes back what is not new. */
static void
on_packet(mctx_t context, int sock, int sender, event_t event, filter_arg_t *arg)
{
    struct account *account = open_account(context, sock);
    struct usage *paying[2];
    struct pkt_info packet;
    int side;

    (void)event, (void)arg;
    if (!account || mtcp_getlastpkt(context, sock, sender, &packet) < 0
        || packet.payloadlen == 0)
        return;
    payers(account, cores[context->cpu].usage, paying);
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++)
        if (paying[side])
            add(&paying[side]->charged[side == sender ? UP : DOWN], packet.payloadlen);
}

/* What a retransmission turned out to be. */
struct verdict {
    uint64_t repeated;                  /* bytes that were received before */
    uint64_t differing;
    uint64_t unverified;
};

/* Compares the bytes [begin, end) of the stream, all received before, with
 * what the receiver's stack holds of them. */
static void
compare(mctx_t context, int sock, int receiver, const struct pkt_info *packet,
        uint64_t begin, uint64_t end, struct verdict *verdict)
{
    char original[2048];

    verdict->repeated += end - begin;
    while (begin < end) {
        size_t want = end - begin < sizeof original ? (size_t)(end - begin) : sizeof original;
        ssize_t got = mtcp_ppeek(context, sock, receiver, original, want, begin);
        ssize_t i;

        if (got <= 0) {                 /* this one is gone: try the next */
            verdict->unverified++;
            begin++;
            continue;
        }
        for (i = 0; i < got; i++)
            if ((uint8_t)original[i] != packet->payload[begin - packet->offset + (uint64_t)i])
                verdict->differing++;
        begin += (uint64_t)got;
    }
}

/* Looks for the parts of the packet that were received before: all below the
 * next byte expected, and what lies in one of the ranges beyond it. */
static int
examine(mctx_t context, int sock, int receiver, const struct pkt_info *packet,
        struct verdict *verdict)
{
    struct tcp_ring_fragment ranges[MAX_RANGES];
    struct tcp_buf_info info;
    const uint64_t begin = packet->offset, end = begin + packet->payloadlen;
    socklen_t length = sizeof info;
    socklen_t count = sizeof ranges;
    uint64_t next;
    socklen_t i;

    memset(verdict, 0, sizeof *verdict);
    if (mtcp_getsockopt(context, sock, SOL_MONSOCKET,
                        receiver == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF,
                        &info, &length) < 0
        || mtcp_getsockopt(context, sock, SOL_MONSOCKET,
                           receiver == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF,
                           ranges, &count) < 0)
        return -1;
    /* The option has the low 32 bits; the packet is less than 2^31 away. */
    next = begin + (uint64_t)(int64_t)(int32_t)(info.tcpbi_next_byte_expected - (uint32_t)begin);

    /* A keep-alive probe repeats the last byte, whatever it was (RFC 9293
     * section 3.8.4). */
    if (packet->payloadlen == 1 && end == next) {
        verdict->repeated = 1;
        return 0;
    }
    if (begin < next)
        compare(context, sock, receiver, packet, begin, end < next ? end : next, verdict);
    for (i = 0; i < count; i++) {
        uint64_t from = ranges[i].offset, to = ranges[i].offset + ranges[i].len;

        if (from < next)
            from = next;
        if (from < begin)
            from = begin;
        if (to > end)
            to = end;
        if (from < to)
            compare(context, sock, receiver, packet, from, to, verdict);
    }
    return 0;
}

/* Runs before the payload is merged: the buffer holds the original. */
static void
on_retransmission(mctx_t context, int sock, int receiver, event_t event, filter_arg_t *arg)
{
    const int sender = receiver == MOS_SIDE_CLI ? MOS_SIDE_SVR : MOS_SIDE_CLI;
    struct account *account = open_account(context, sock);
    struct usage *paying[2];
    struct pkt_info packet;
    struct verdict verdict;
    int side;

    (void)event, (void)arg;
    if (!account || mtcp_getlastpkt(context, sock, receiver, &packet) < 0
        || packet.payloadlen == 0
        || examine(context, sock, receiver, &packet, &verdict) < 0)
        return;
    payers(account, cores[context->cpu].usage, paying);
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
        const int way = side == sender ? UP : DOWN;

        if (!paying[side])
            continue;
        add(&paying[side]->charged[way], -verdict.repeated);
        add(&paying[side]->repeated[way], verdict.repeated);
        add(&paying[side]->unverified, verdict.unverified);
        add(&paying[side]->forged_bytes, verdict.differing);
        if (verdict.differing > 0)
            add(&paying[side]->forged_packets, 1);
    }
    if (verdict.differing > 0 && !account->reported[sender]) {
        account->reported[sender] = true;
        fprintf(stderr,
                "abacus: %s > %s: a retransmission at offset %llu differs from the "
                "original in %llu of %llu bytes\n",
                sender == MOS_SIDE_CLI ? account->client : account->server,
                sender == MOS_SIDE_CLI ? account->server : account->client,
                (unsigned long long)packet.offset,
                (unsigned long long)verdict.differing,
                (unsigned long long)verdict.repeated);
    }
}

/* Once for each side; the second call finds no account. */
static void
on_end(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)side, (void)event, (void)arg;
    free(mtcp_get_uctx(context, sock));
    mtcp_set_uctx(context, sock, NULL);
}

/* ---- export ------------------------------------------------------------- */

/* A subscriber's usage on all cores. */
static struct usage
total(int subscriber)
{
    struct usage sum;
    uint64_t *to = (uint64_t *)&sum;
    size_t i;
    int cpu;

    memset(&sum, 0, sizeof sum);
    for (cpu = 0; cpu < num_cores; cpu++) {
        /* struct usage is nothing but counters of this type. */
        uint64_t *from = (uint64_t *)&cores[cpu].usage[subscriber];

        for (i = 0; i < sizeof sum / sizeof *to; i++)
            to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    }
    return sum;
}

static void
print_usage(FILE *file, const char *name, const struct usage *usage)
{
    fprintf(file,
            json ? "{\"subscriber\":\"%s\",\"connections\":%llu,"
                   "\"up_bytes\":%llu,\"down_bytes\":%llu,"
                   "\"up_repeated\":%llu,\"down_repeated\":%llu,"
                   "\"forged_packets\":%llu,\"forged_bytes\":%llu,"
                   "\"unverified_bytes\":%llu}\n"
                 : "%s,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu\n",
            name, (unsigned long long)usage->connections,
            (unsigned long long)usage->charged[UP],
            (unsigned long long)usage->charged[DOWN],
            (unsigned long long)usage->repeated[UP],
            (unsigned long long)usage->repeated[DOWN],
            (unsigned long long)usage->forged_packets,
            (unsigned long long)usage->forged_bytes,
            (unsigned long long)usage->unverified);
}

/* Writes all of it: to standard output, or to a new file that then takes the
 * output's name, so that a reader never sees half of one. */
static int
export_usage(void)
{
    char temporary[PATH_MAX];
    FILE *file = stdout;
    struct usage usage;
    bool failed;
    int i;

    if (output) {
        int descriptor = -1;

        if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", output) < (int)sizeof temporary)
            descriptor = mkstemp(temporary);
        file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
        if (!file) {
            fprintf(stderr, "abacus: %s: %s\n", output, strerror(errno));
            return -1;
        }
        fchmod(descriptor, 0644);
    }
    if (!json)
        fprintf(file, "subscriber,connections,up_bytes,down_bytes,up_repeated,"
                      "down_repeated,forged_packets,forged_bytes,unverified_bytes\n");
    for (i = 0; i < num_subscribers; i++) {
        usage = total(i);
        print_usage(file, subscribers[i].name, &usage);
    }
    usage = total(num_subscribers);
    print_usage(file, "*", &usage);

    failed = fflush(file) != 0 || ferror(file);
    if (output) {
        failed |= fclose(file) != 0;
        failed = failed || rename(temporary, output) != 0;
        if (failed)
            unlink(temporary);
    }
    if (failed)
        fprintf(stderr, "abacus: %s: %s\n", output ? output : "standard output",
                strerror(errno));
    return failed ? -1 : 0;
}

static void
on_hangup(int signum)
{
    (void)signum;
    __atomic_store_n(&export_wanted, 1, __ATOMIC_RELEASE);
}

static void
on_terminate(int signum)
{
    (void)signum;
    kill(getpid(), SIGINT);             /* on which the library winds down */
}

/* On each core, for a trace's clock stands still on a core without packets:
 * whoever sees the wish first fulfils it. */
static void
on_timer(mctx_t context, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval second = { 1, 0 };

    (void)side, (void)event, (void)arg;
    if (__atomic_exchange_n(&export_wanted, 0, __ATOMIC_ACQ_REL))
        export_usage();
    mtcp_settimer(context, id, &second, on_timer);
}

/* ---- start -------------------------------------------------------------- */

static int
monitor(mctx_t context)
{
    int sock = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    if (sock < 0)
        return -1;
    /* Nobody reads: a buffer is what is left of the past to compare with. */
    if (mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_CLIBUF, &buffer_size,
                        sizeof buffer_size) < 0
        || mtcp_setsockopt(context, sock, SOL_MONSOCKET, MOS_SVRBUF, &buffer_size,
                           sizeof buffer_size) < 0)
        return -1;
    if (mtcp_register_callback(context, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0
        || mtcp_register_callback(context, sock, MOS_ON_REXMIT, MOS_HK_RCV,
                                  on_retransmission) < 0
        || mtcp_register_callback(context, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        return -1;
    return 0;
}

static void
usage_text(FILE *stream)
{
    fprintf(stream,
            "usage: abacus [-hj] [-b bytes] [-c cores] [-f file] [-o file] -s file\n"
            "  -s file   the subscribers: lines of a name and an address or prefix\n"
            "  -o file   where usage goes, at the end and on SIGHUP (default: standard\n"
            "            output)\n"
            "  -j        as JSON, one object per line, instead of CSV\n"
            "  -b bytes  how much of each direction is kept for comparison (65536)\n"
            "  -c cores  use that many cores (default: those of the configuration)\n"
            "  -f file   the configuration (default: $MOS_CONF, else\n"
            "            config/mos.conf, else mos.conf)\n"
            "  -h        this text\n");
}

/* The argument of an option that takes a number from 1 to the limit. */
static long
number(int option, const char *text, long limit)
{
    char *rest;
    long value = strtol(text, &rest, 10);

    if (rest == text || *rest != '\0' || value < 1 || value > limit) {
        fprintf(stderr, "abacus: -%c takes a number from 1 to %ld, not \"%s\"\n",
                option, limit, text);
        exit(EXIT_USAGE);
    }
    return value;
}

int
main(int argc, char **argv)
{
    struct timeval second = { 1, 0 };
    struct mtcp_conf conf;
    const char *file = NULL, *list = NULL;
    int option, cpu, wanted = 0, status = EXIT_FAILURE;

    while ((option = getopt(argc, argv, "b:c:f:hjo:s:")) != -1) {
        switch (option) {
        case 'b':
            buffer_size = (int)number(option, optarg, INT_MAX);
            break;
        case 'c':
            wanted = (int)number(option, optarg, 1024);
            break;
        case 'f':
            file = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 'o':
            output = optarg;
            break;
        case 's':
            list = optarg;
            break;
        case 'h':
            usage_text(stdout);
            return EXIT_SUCCESS;
        default:
            usage_text(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !list) {
        usage_text(stderr);
        return EXIT_USAGE;
    }
    if (read_subscribers(list) < 0) {
        free(subscribers);
        return EXIT_FAILURE;
    }

    if (mtcp_init(file) < 0) {
        fprintf(stderr, "abacus: cannot start: %s\n", strerror(errno));
        free(subscribers);
        return EXIT_FAILURE;
    }
    mtcp_getconf(&conf);
    if (wanted > conf.num_cores) {
        fprintf(stderr, "abacus: the configuration gives %d core%s, not %d\n",
                conf.num_cores, conf.num_cores == 1 ? "" : "s", wanted);
        goto done;
    }
    if (wanted > 0) {
        conf.num_cores = wanted;
        mtcp_setconf(&conf);
    }
    cores = (struct core *)calloc((size_t)conf.num_cores, sizeof *cores);
    if (!cores) {
        fprintf(stderr, "abacus: %s\n", strerror(errno));
        goto done;
    }
    num_cores = conf.num_cores;
    for (cpu = 0; cpu < num_cores; cpu++) {
        cores[cpu].usage = (struct usage *)calloc((size_t)num_subscribers + 1,
                                                  sizeof *cores[cpu].usage);
        if (!cores[cpu].usage) {
            fprintf(stderr, "abacus: %s\n", strerror(errno));
            goto done;
        }
    }
    signal(SIGHUP, on_hangup);
    signal(SIGTERM, on_terminate);

    for (cpu = 0; cpu < num_cores; cpu++) {
        cores[cpu].context = mtcp_create_context(cpu);
        if (!cores[cpu].context || monitor(cores[cpu].context) < 0) {
            fprintf(stderr, "abacus: CPU %d: %s\n", cpu, strerror(errno));
            goto done;
        }
        if (mtcp_settimer(cores[cpu].context, TIMER_ID, &second, on_timer) < 0) {
            fprintf(stderr, "abacus: CPU %d: no timer: %s\n", cpu, strerror(errno));
            goto done;
        }
    }
    for (cpu = 0; cpu < num_cores; cpu++)
        mtcp_app_join(cores[cpu].context);
    status = export_usage() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;

done:
    mtcp_destroy();                     /* the stack threads end here at the latest */
    for (cpu = 0; cpu < num_cores; cpu++)
        free(cores[cpu].usage);
    free(cores);
    free(subscribers);
    return status;
}
