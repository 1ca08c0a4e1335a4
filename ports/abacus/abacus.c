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
#include <pthread.h>
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
#define ADDRESS_BITS 128

/* What a subscriber's name is made of: it needs no quoting in CSV or JSON. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz" \
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-"

struct subscriber {
    char name[64];
};

/* One line of the subscribers' file. IPv4 prefixes are kept as IPv4-mapped
 * IPv6 prefixes (RFC 4291 section 2.5.5.2), so one table serves both. */
struct prefix {
    struct in6_addr address;            /* zeros behind the prefix */
    int length;                         /* bits */
    int subscriber;
    int line;
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
    uint64_t outside;                   /* bytes of packets without a connection */
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
    struct tcp_ring_fragment *ranges;   /* room for what examine() asks for */
    size_t num_ranges;
};

static struct subscriber *subscribers;
static int num_subscribers;
static struct prefix *prefixes;         /* the longest first, then by address */
static int num_prefixes;
static int prefixes_end[ADDRESS_BITS + 1]; /* where those of a length end; 0: none */
static pthread_mutex_t exporting = PTHREAD_MUTEX_INITIALIZER;
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
parse_prefix(char *text, struct prefix *prefix)
{
    char *slash = strchr(text, '/'), *rest;
    struct in_addr v4;
    long length = -1;
    int i;

    if (slash) {
        *slash = '\0';
        length = strtol(slash + 1, &rest, 10);
        if (rest == slash + 1 || *rest != '\0' || length < 0)
            return false;
    }
    if (inet_pton(AF_INET, text, &v4) == 1) {
        memset(&prefix->address, 0, sizeof prefix->address);
        prefix->address.s6_addr[10] = prefix->address.s6_addr[11] = 0xff;
        memcpy(&prefix->address.s6_addr[12], &v4, sizeof v4);
        if (length > 32)
            return false;
        prefix->length = 96 + (length < 0 ? 32 : (int)length);
    } else {
        if (length > ADDRESS_BITS || inet_pton(AF_INET6, text, &prefix->address) != 1)
            return false;
        prefix->length = length < 0 ? ADDRESS_BITS : (int)length;
    }
    for (i = prefix->length; i < ADDRESS_BITS; i++)
        prefix->address.s6_addr[i / 8] &= (uint8_t)~(0x80 >> i % 8);
    return true;
}

static int
compare_prefixes(const void *one, const void *other)
{
    const struct prefix *a = (const struct prefix *)one;
    const struct prefix *b = (const struct prefix *)other;
    const int order = memcmp(&a->address, &b->address, sizeof a->address);

    if (a->length != b->length)
        return b->length - a->length;
    return order != 0 ? order : a->line - b->line;
}

static int
compare_names(const void *one, const void *other)
{
    const struct prefix *a = (const struct prefix *)one;
    const struct prefix *b = (const struct prefix *)other;
    const int order = strcmp(subscribers[a->subscriber].name, subscribers[b->subscriber].name);

    return order != 0 ? order : a->line - b->line;
}

/* Makes one subscriber of the lines that have the same name, and puts the
 * prefixes in the order in which find_subscriber() looks for them. */
static int
arrange(const char *name)
{
    int *merged = (int *)malloc(((size_t)num_subscribers + 1) * sizeof *merged);
    int i, kept = 0;

    if (!merged) {
        fprintf(stderr, "abacus: %s\n", strerror(errno));
        return -1;
    }
    if (num_prefixes > 0)
        qsort(prefixes, (size_t)num_prefixes, sizeof *prefixes, compare_names);
    for (i = 0; i < num_prefixes; i++) {
        const int number = prefixes[i].subscriber;
        const int before = i > 0 ? prefixes[i - 1].subscriber : -1;

        merged[number] = number;
        if (before >= 0 && strcmp(subscribers[before].name, subscribers[number].name) == 0)
            merged[number] = merged[before];
    }
    /* In the order of the file; whoever is first has the lowest number. */
    for (i = 0; i < num_subscribers; i++) {
        if (merged[i] == i) {
            subscribers[kept] = subscribers[i];
            merged[i] = kept++;
        } else {
            merged[i] = merged[merged[i]];
        }
    }
    num_subscribers = kept;
    for (i = 0; i < num_prefixes; i++)
        prefixes[i].subscriber = merged[prefixes[i].subscriber];
    free(merged);

    if (num_prefixes > 0)
        qsort(prefixes, (size_t)num_prefixes, sizeof *prefixes, compare_prefixes);
    for (i = 0; i < num_prefixes; i++) {
        const struct prefix *line = &prefixes[i], *before = line - 1;

        if (i > 0 && line->length == before->length && line->subscriber != before->subscriber
            && memcmp(&line->address, &before->address, sizeof line->address) == 0) {
            fprintf(stderr, "%s:%d: line %d gives this address or prefix to %s\n", name,
                    line->line, before->line, subscribers[before->subscriber].name);
            return -1;
        }
        prefixes_end[line->length] = i + 1;
    }
    return 0;
}

/* Room for one more line. */
static bool
make_room(void)
{
    const size_t count = (size_t)num_prefixes;
    struct subscriber *names;
    struct prefix *lines;

    if ((count & (count - 1)) != 0)     /* it doubles at each power of two */
        return true;
    names = (struct subscriber *)realloc(subscribers, (count * 2 + 1) * sizeof *names);
    if (names)
        subscribers = names;
    lines = (struct prefix *)realloc(prefixes, (count * 2 + 1) * sizeof *lines);
    if (lines)
        prefixes = lines;
    return names && lines;
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
        struct prefix *next;
        int words;

        number++;
        line[strcspn(line, "#")] = '\0';
        words = sscanf(line, "%63s %53s %1s", who, prefix, junk);
        if (words <= 0)
            continue;
        if (!make_room()) {
            fprintf(stderr, "abacus: %s\n", strerror(errno));
            fclose(file);
            return -1;
        }
        next = &prefixes[num_prefixes];
        next->line = number;
        next->subscriber = num_subscribers;
        if (words != 2 || who[strspn(who, NAME_CHARACTERS)] != '\0'
            || !parse_prefix(prefix, next)) {
            fprintf(stderr, "%s:%d: a line is a name (letters, digits, . _ @ -) and "
                            "an address or prefix\n", name, number);
            fclose(file);
            return -1;
        }
        snprintf(subscribers[num_subscribers].name, sizeof subscribers->name, "%s", who);
        num_subscribers++;
        num_prefixes++;
    }
    if (ferror(file)) {
        fprintf(stderr, "abacus: %s: %s\n", name, strerror(errno));
        fclose(file);
        return -1;
    }
    fclose(file);
    return arrange(name);
}

/* The subscriber with the longest prefix that fits; -1: none. A binary search
 * for each length that occurs: few, in practice. No IPv6 prefix fits an IPv4
 * address. */
static int
find_subscriber(const struct in6_addr *address)
{
    const int shortest = IN6_IS_ADDR_V4MAPPED(address) ? ADDRESS_BITS - 32 : 0;
    struct prefix wanted;
    int begin = 0;

    wanted.address = *address;
    wanted.line = 0;
    for (wanted.length = ADDRESS_BITS; wanted.length >= shortest; wanted.length--) {
        const int end = prefixes_end[wanted.length];
        int low = begin, high = end;

        if (wanted.length < ADDRESS_BITS)
            wanted.address.s6_addr[wanted.length / 8] &= (uint8_t)~(0x80 >> wanted.length % 8);
        if (end == 0)
            continue;
        while (low < high) {
            const int middle = low + (high - low) / 2;

            if (compare_prefixes(&prefixes[middle], &wanted) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < end && memcmp(&prefixes[low].address, &wanted.address, sizeof wanted.address) == 0)
            return prefixes[low].subscriber;
        begin = end;
    }
    return -1;
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

/* The ranges of a stream that the receiver's stack holds, lowest first: their
 * number, or -1. */
static ssize_t
read_ranges(mctx_t context, int sock, int receiver)
{
    const int option = receiver == MOS_SIDE_CLI ? MOS_FRAGINFO_CLIBUF : MOS_FRAGINFO_SVRBUF;
    struct core *core = &cores[context->cpu];

    for (;;) {
        socklen_t count = (socklen_t)(core->num_ranges * sizeof *core->ranges);
        const size_t room = core->num_ranges > 0 ? core->num_ranges * 2 : 64;
        struct tcp_ring_fragment *grown;

        if (core->num_ranges > 0) {
            if (mtcp_getsockopt(context, sock, SOL_MONSOCKET, option, core->ranges, &count) < 0)
                return -1;
            if (count < core->num_ranges)
                return (ssize_t)count;
        }
        grown = (struct tcp_ring_fragment *)realloc(core->ranges, room * sizeof *grown);
        if (!grown)
            return -1;
        core->ranges = grown;
        core->num_ranges = room;
    }
}

/* Looks for the parts of the packet that were received before: what lies in a
 * range that is held, and all below the lowest of these, which was forgotten.
 * A hole between two ranges was skipped, as the receiver acknowledged what
 * never came by here: what comes for it now is new. */
static int
examine(mctx_t context, int sock, int receiver, const struct pkt_info *packet,
        struct verdict *verdict)
{
    const struct tcp_ring_fragment *ranges;
    struct tcp_buf_info info;
    const uint64_t end = packet->offset + packet->payloadlen;
    socklen_t length = sizeof info;
    uint64_t begin = packet->offset, next, lowest;
    ssize_t count, i;

    memset(verdict, 0, sizeof *verdict);
    if (mtcp_getsockopt(context, sock, SOL_MONSOCKET,
                        receiver == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF,
                        &info, &length) < 0)
        return -1;
    count = read_ranges(context, sock, receiver);
    if (count < 0)
        return -1;
    ranges = cores[context->cpu].ranges;
    /* The option has the low 32 bits; the packet is less than 2^31 away. */
    next = end + (uint64_t)(int64_t)(int32_t)(info.tcpbi_next_byte_expected - (uint32_t)end);

    /* A keep-alive probe repeats the last byte, whatever it was (RFC 9293
     * section 3.8.4). */
    if (packet->payloadlen == 1 && end == next) {
        verdict->repeated = 1;
        return 0;
    }
    if (begin > end)                    /* it starts before the stream does */
        begin = 0;
    lowest = count > 0 && ranges[0].offset < next ? ranges[0].offset : next;
    if (begin < lowest) {
        const uint64_t forgotten = (end < lowest ? end : lowest) - begin;

        verdict->repeated += forgotten;
        verdict->unverified += forgotten;
    }
    for (i = 0; i < count && ranges[i].offset < end; i++) {
        const uint64_t range_end = ranges[i].offset + ranges[i].len;
        const uint64_t from = ranges[i].offset > begin ? ranges[i].offset : begin;
        const uint64_t to = range_end < end ? range_end : end;

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
                (unsigned long long)((int64_t)packet.offset < 0 ? 0 : packet.offset),
                (unsigned long long)verdict.differing,
                (unsigned long long)verdict.repeated);
    }
}

/* A packet of no connection that began here: nobody can tell whether its bytes
 * were paid for. They are neither charged nor compared, but shown. */
static void
on_orphan(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct usage *usage = cores[context->cpu].usage;
    struct account account;
    struct usage *paying[2];
    struct pkt_info packet;
    struct in6_addr ends[2];
    const uint8_t *ip;

    (void)event, (void)arg;
    if (mtcp_getlastpkt(context, sock, side, &packet) < 0 || packet.payloadlen == 0)
        return;
    ip = (const uint8_t *)packet.iph;
    memset(ends, 0, sizeof ends);
    if (ip[0] >> 4 == 4) {
        for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
            ends[side].s6_addr[10] = ends[side].s6_addr[11] = 0xff;
            memcpy(&ends[side].s6_addr[12], ip + 12 + side * 4, 4);
        }
    } else {
        memcpy(ends, ip + 8, sizeof ends);
    }
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++)
        account.subscriber[side] = find_subscriber(&ends[side]);
    payers(&account, usage, paying);
    for (side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++)
        if (paying[side])
            add(&paying[side]->outside, packet.payloadlen);
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
                   "\"unverified_bytes\":%llu,\"outside_bytes\":%llu}\n"
                 : "%s,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu\n",
            name, (unsigned long long)usage->connections,
            (unsigned long long)usage->charged[UP],
            (unsigned long long)usage->charged[DOWN],
            (unsigned long long)usage->repeated[UP],
            (unsigned long long)usage->repeated[DOWN],
            (unsigned long long)usage->forged_packets,
            (unsigned long long)usage->forged_bytes,
            (unsigned long long)usage->unverified,
            (unsigned long long)usage->outside);
}

/* A new file beside the output. */
static FILE *
open_temporary(char name[PATH_MAX])
{
    FILE *file = NULL;
    int descriptor = -1;

    if (snprintf(name, PATH_MAX, "%s.XXXXXX", output) < PATH_MAX)
        descriptor = mkstemp(name);
    else
        errno = ENAMETOOLONG;
    if (descriptor >= 0) {
        fchmod(descriptor, 0644);
        file = fdopen(descriptor, "w");
    }
    if (!file)
        fprintf(stderr, "abacus: %s: %s\n", output, strerror(errno));
    return file;
}

/* Writes all of it: to standard output, or to a new file that then takes the
 * output's name, so that a reader never sees half of one. */
static int
write_usage(void)
{
    char temporary[PATH_MAX];
    FILE *file = stdout;
    struct usage usage;
    bool failed;
    int i;

    if (output) {
        file = open_temporary(temporary);
        if (!file)
            return -1;
    }
    if (!json)
        fprintf(file, "subscriber,connections,up_bytes,down_bytes,up_repeated,"
                      "down_repeated,forged_packets,forged_bytes,unverified_bytes,"
                      "outside_bytes\n");
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

/* One at a time: two signals may be answered by two cores. */
static int
export_usage(void)
{
    int result;

    pthread_mutex_lock(&exporting);
    result = write_usage();
    pthread_mutex_unlock(&exporting);
    return result;
}

/* Whether there can be an output: better to know before the work is done. */
static bool
can_export(void)
{
    char temporary[PATH_MAX];
    FILE *file = output ? open_temporary(temporary) : NULL;

    if (!file)
        return !output;
    fclose(file);
    unlink(temporary);
    return true;
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
                           sizeof buffer_size) < 0) {
        if (errno == EINVAL)
            fprintf(stderr, "abacus: -b %d is more than the configuration's rmem_max\n",
                    buffer_size);
        return -1;
    }
    if (mtcp_register_callback(context, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0
        || mtcp_register_callback(context, sock, MOS_ON_REXMIT, MOS_HK_RCV,
                                  on_retransmission) < 0
        || mtcp_register_callback(context, sock, MOS_ON_ORPHAN, MOS_NULL, on_orphan) < 0
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
    if (read_subscribers(list) < 0 || !can_export()) {
        free(subscribers);
        free(prefixes);
        return EXIT_FAILURE;
    }

    if (mtcp_init(file) < 0) {
        fprintf(stderr, "abacus: cannot start: %s\n", strerror(errno));
        free(subscribers);
        free(prefixes);
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
    for (cpu = 0; cpu < num_cores; cpu++) {
        free(cores[cpu].usage);
        free(cores[cpu].ranges);
    }
    free(cores);
    free(subscribers);
    free(prefixes);
    return status;
}
