/* Conversations of two correct TCPs, of which the capture misses packets. Every
 * byte that it has comes, at its place and with its value; what the reader is
 * told to be missing is what was not captured; and the flow ends by FIN
 * (02-monitor.md sections 4 and 6, docs/evasion.md "What is not decided at
 * once"). The seeds are the arguments, whose packets are shown, or some hundred
 * fixed ones. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

#define SEEDS 500
#define STREAM_MOST 100000u
/* Windows of both ends together stay below what the library keeps for a flow
 * until it is acknowledged (64 KiB). */
#define WINDOW_MOST 28000u
#define SEGMENT_MOST 1460u
#define IN_FLIGHT_MOST 64u

static uint64_t state;

static uint32_t dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % sides;
}

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* A byte that is captured again only after its receiver was seen to have it
 * may be taken or not: the stream may have gone on without it. */
enum capture { MISSED, TOO_LATE, CAPTURED };

/* What the captured packets had, by the end that sent it, and what the reader
 * made of it. Offsets are those of the stream. */
struct reading {
    uint8_t capture[STREAM_MOST];
    uint32_t acknowledged; /* in captured packets of the receiver */
    uint64_t position;
    uint32_t wrong;     /* other values, or bytes that nobody captured */
    uint32_t forgotten; /* captured, and told to be missing */
};

static struct reading reading[2];
static unsigned reason;
static int shown; /* whether packets and reading are */

static uint8_t byte_at(int end, uint64_t offset)
{
    return (uint8_t)((uint32_t)offset * 2654435761u >> 13 ^ (uint32_t)end * 77u);
}

static enum capture capture_of(const struct reading *r, uint64_t offset)
{
    return offset < STREAM_MOST ? (enum capture)r->capture[offset] : MISSED;
}

static void note_capture(int end, uint32_t offset, uint32_t length, uint32_t ack)
{
    struct reading *r = &reading[end], *other = &reading[1 - end];
    for (uint32_t i = offset; i < offset + length; i++) {
        if (i >= r->acknowledged)
            r->capture[i] = CAPTURED;
        else if (r->capture[i] == MISSED)
            r->capture[i] = TOO_LATE;
    }
    if (ack > other->acknowledged)
        other->acknowledged = ack;
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    static uint8_t buffer[1 << 16];
    /* What a side receives, the other end has sent. */
    int end = 1 - side;
    struct reading *r = &reading[end];
    ssize_t n;
    (void)event, (void)arg;
    while ((n = mtcp_peek(m, sock, side, (char *)buffer, sizeof buffer)) != 0) {
        uint64_t count = (uint64_t)(n < 0 ? -n : n);
        if (shown)
            printf("#    of %d %s %llu..%llu\n", end, n < 0 ? "missing" : "read", (unsigned long long)r->position,
                   (unsigned long long)(r->position + count));
        for (uint64_t i = 0; i < count; i++) {
            enum capture capture = capture_of(r, r->position + i);
            if (n < 0)
                r->forgotten += capture == CAPTURED;
            else
                r->wrong += capture == MISSED || buffer[i] != byte_at(end, r->position + i);
        }
        r->position += count;
    }
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_flow_info info;
    on_data(m, sock, side, event, arg);
    if (mos_flow_info(m, sock, &info, sizeof info) == 0)
        reason = info.end_reason;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) != 0 ||
        mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end) != 0)
        check(0, "the handlers are registered");
}

/* The conversation. */

struct segment {
    int flags;
    uint32_t offset, length; /* of the sender's stream */
    uint32_t ack;            /* offset in the receiver's */
    uint32_t edge;           /* how far the receiver may send */
    uint32_t stamp;
};

struct end {
    /* As a sender. */
    uint32_t size, sent, acked, edge;
    int fin_sent, fin_acked;
    /* As a receiver. */
    uint8_t arrived[STREAM_MOST];
    uint32_t next, read, announced, room;
    int fin_received;
    /* As both. */
    uint32_t scale, stamp, acked_last;
    /* On their way to it. */
    struct segment queue[IN_FLIGHT_MOST];
    uint32_t queued;
};

static struct talk talk;
static struct end ends[2];
static int scaled, stamped;
static uint32_t missed_share, lost_share, clock_ticks; /* shares of 1000 */

/* What there is room for in its buffer. */
static uint32_t free_room(const struct end *e)
{
    uint32_t unread = e->next - e->read;
    return unread < e->room ? e->room - unread : 0;
}

/* How far the peer may send, as far as a window field can say it; never less
 * than before (RFC 9293 section 3.8.6.2.1, as Linux rounds it). */
static uint32_t announce(struct end *e)
{
    uint32_t grain = 1u << e->scale;
    uint32_t window = free_room(e) / grain * grain;
    uint32_t old = (e->announced - e->next + grain - 1) / grain * grain;
    window = smaller(window > old ? window : old, 65535u << e->scale);
    e->announced = e->next + window;
    return window;
}

/* `side` sends: the capture sees it or misses it, and it is on its way. */
static void transmit(int side, int flags, uint32_t offset, uint32_t length, int missed, int lost)
{
    static uint8_t frame[SEGMENT_MOST + 100], payload[SEGMENT_MOST];
    struct end *e = &ends[side];
    uint32_t window = announce(e), seq = talk.isn[side] + offset + !(flags & SYN);
    uint32_t ack = flags & ACK ? talk.isn[1 - side] + 1 + e->next + (uint32_t)e->fin_received : 0;
    uint8_t options[40];
    uint32_t size = 0;
    if (flags & SYN) {
        options[size] = 2, options[size + 1] = 4;
        put16(options + size + 2, SEGMENT_MOST);
        size += 4;
        if (scaled) {
            options[size] = 1, options[size + 1] = 3, options[size + 2] = 3, options[size + 3] = (uint8_t)e->scale;
            size += 4;
        }
    }
    if (stamped) {
        options[size] = options[size + 1] = 1, options[size + 2] = 8, options[size + 3] = 10;
        put32(options + size + 4, ++clock_ticks);
        put32(options + size + 8, e->stamp);
        size += 12;
    }
    talk.window[side] = (uint16_t)(flags & SYN ? smaller(window, 65535) : window >> e->scale);
    for (uint32_t i = 0; i < length; i++)
        payload[i] = byte_at(side, offset + i);
    if (shown)
        printf("# %s%d %s%s %u..%u ack %u edge %u%s\n", missed ? "missed " : "", side, flags & SYN ? "SYN " : "",
               flags & FIN ? "FIN " : "", offset, offset + length, e->next + (uint32_t)e->fin_received, e->next + window,
               lost ? " lost" : "");
    if (!missed) {
        script_add(0, frame, make_tcp(frame, &talk, side, flags, seq, ack, options, size, payload, length));
        if (dice(4) == 0)
            script_burst(0);
        note_capture(side, offset, length, e->next);
    }
    e->acked_last = e->next;
    if (!lost && ends[1 - side].queued < IN_FLIGHT_MOST) {
        struct segment s = { flags, offset, length, e->next, e->next + window, clock_ticks };
        ends[1 - side].queue[ends[1 - side].queued++] = s;
    }
}

static void send_some(int side, uint32_t offset, uint32_t length)
{
    transmit(side, length ? ACK | PSH : ACK, offset, length, dice(1000) < missed_share, dice(1000) < lost_share);
}

/* The next packet arrives, and perhaps is acknowledged at once. */
static void arrive(int side)
{
    struct end *e = &ends[side];
    struct segment s;
    if (e->queued == 0)
        return;
    s = e->queue[0];
    memmove(e->queue, e->queue + 1, --e->queued * sizeof s);
    if (s.offset <= e->acked_last)
        e->stamp = s.stamp;
    if (s.ack > e->acked)
        e->acked = s.ack;
    /* The byte of a window probe may have found room. */
    if (e->acked > e->sent)
        e->sent = e->acked;
    if (s.edge > e->edge)
        e->edge = s.edge;
    /* What a window probe has beyond the window is not taken. */
    for (uint32_t i = s.offset; i < smaller(s.offset + s.length, e->announced); i++)
        e->arrived[i] = 1;
    while (e->next < STREAM_MOST && e->arrived[e->next])
        e->next++;
    /* A correct receiver answers what is out of order at once. */
    if (s.length > 0 && (s.offset + s.length > e->next || s.offset < e->acked_last || dice(3) == 0))
        send_some(side, e->sent, 0);
}

static void send_new(int side)
{
    struct end *e = &ends[side];
    uint32_t left = smaller(e->size - e->sent, e->edge - e->sent);
    uint32_t length = smaller(left, dice(3) ? SEGMENT_MOST : 1 + dice(SEGMENT_MOST));
    if (length > 0 && ends[1 - side].queued + 2 < IN_FLIGHT_MOST) {
        send_some(side, e->sent, length);
        e->sent += length;
    } else if (e->sent < e->size && e->acked == e->sent && e->edge == e->sent && dice(4) == 0) {
        /* A probe of a closed window: of what was acknowledged, as Linux does
         * it, or of the byte behind. */
        if (dice(2) && e->sent > 0)
            send_some(side, e->sent - 1, 0);
        else
            send_some(side, e->sent, 1);
    }
}

static void send_again(int side)
{
    struct end *e = &ends[side];
    uint32_t offset = e->acked, length = smaller(e->sent - offset, 1 + dice(SEGMENT_MOST));
    if (dice(3) == 0 && length > 0) {
        offset += dice(e->sent - offset);
        length = smaller(e->sent - offset, length);
    }
    if (length > 0)
        send_some(side, offset, length);
}

static void read_some(int side)
{
    struct end *e = &ends[side];
    uint32_t before = e->announced;
    e->read += dice(2) ? e->next - e->read : dice(e->next - e->read + 1);
    /* A window update, where it is worth one. */
    if (e->next + free_room(e) > before + 2 * SEGMENT_MOST && dice(2))
        send_some(side, e->sent, 0);
}

static int is_done(void)
{
    for (int side = 0; side < 2; side++) {
        if (ends[side].acked < ends[side].size || ends[side].queued > 0)
            return 0;
    }
    return 1;
}

static void begin_conversation(uint64_t seed)
{
    memset(reading, 0, sizeof reading);
    memset(ends, 0, sizeof ends);
    reason = 0;
    state = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 10; i++)
        dice(2);
    script_begin();
    talk_init(&talk, (unsigned)(seed % 64));
    talk.isn[0] = (uint32_t)(seed * 2654435761u);
    talk.isn[1] = 0u - dice(2 * STREAM_MOST);
    missed_share = dice(301);
    lost_share = dice(2) ? dice(50) : 0;
    scaled = dice(3) > 0;
    stamped = dice(2) > 0;
    clock_ticks = dice(2) ? 1000 : 0xffffff00u;
    for (int side = 0; side < 2; side++) {
        struct end *e = &ends[side];
        e->room = 1000 + dice(dice(2) ? 5000 : WINDOW_MOST - 1000);
        e->scale = scaled ? dice(8) : 0;
        e->size = dice(4) ? dice(STREAM_MOST) : dice(3000);
    }
}

static void say_all(void)
{
    transmit(0, SYN, 0, 0, 0, 0);
    arrive(1);
    transmit(1, SYN | ACK, 0, 0, 0, 0);
    arrive(0);
    transmit(0, ACK, 0, 0, 0, 0);
    arrive(1);
    while (!is_done()) {
        int side = (int)dice(2);
        switch (dice(12)) {
        case 0:
        case 1:
        case 2: send_new(side); break;
        case 3:
            if (dice(6) == 0 || lost_share)
                send_again(side);
            break;
        case 4: read_some(side); break;
        case 5:
            if (dice(3) == 0)
                send_some(side, ends[side].sent, 0);
            break;
        default: arrive(side);
        }
    }
    int first = (int)dice(2);
    transmit(first, FIN | ACK, ends[first].size, 0, 0, 0);
    ends[1 - first].fin_received = 1;
    transmit(1 - first, FIN | ACK, ends[1 - first].size, 0, 0, 0);
    ends[first].fin_received = 1;
    transmit(first, ACK, ends[first].size + 1, 0, 0, 0);
}

static int play_seed(uint64_t seed)
{
    begin_conversation(seed);
    say_all();
    play(NULL, "rmem_size = 65536", setup);
    int good = reason == MOS_END_FIN;
    for (int end = 0; end < 2; end++) {
        struct reading *r = &reading[end];
        good = good && r->wrong == 0 && r->forgotten == 0 && r->position == ends[end].size;
    }
    if (good)
        return 1;
    check_note("seed %llu: %u of 1000 packets missed, %u lost, scales %u and %u, windows %u and %u%s; ended by %u",
               (unsigned long long)seed, missed_share, lost_share, ends[0].scale, ends[1].scale, ends[0].room,
               ends[1].room, stamped ? ", timestamps" : "", reason);
    for (int end = 0; end < 2; end++)
        check_note("  end %d sent %u bytes, %llu told of: %u wrong, %u captured and called missing", end, ends[end].size,
                   (unsigned long long)reading[end].position, reading[end].wrong, reading[end].forgotten);
    return 0;
}

int main(int argc, char **argv)
{
    char name[64];
    for (int i = 1; i < argc; i++) {
        scene(argv[i]);
        shown = 1;
        check(play_seed(strtoull(argv[i], NULL, 10)), "what was captured is read");
    }
    if (argc > 1)
        return finish();
    for (uint64_t seed = 1; seed <= SEEDS;) {
        int bad = 0;
        uint64_t last = seed + 99;
        snprintf(name, sizeof name, "seeds %llu to %llu", (unsigned long long)seed, (unsigned long long)last);
        scene(name);
        for (; seed <= last; seed++)
            bad += !play_seed(seed);
        check_int(bad, 0, "what was captured is read");
    }
    return finish();
}
