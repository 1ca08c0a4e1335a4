#include "traffic.h"

#include <string.h>

#include "script.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };

#define ETHERNET 14
#define FRAME_ROOM 10240

static const uint32_t first_isn[TRAFFIC_FLOWS][2] = {
    {1000, 5000000},       {0, 0xffffffff},  {0xfffffff0, 0x7ffffff0}, {0x80000000, 1},
    {0xffffff00, 0xfffff}, {77, 0xffff0000}, {0x7fffffff, 0x80000001}, {3, 0xfffffffe},
};

/* Flows 4 and 5 are IPv6, 6 has VLAN tags, 7 goes the other way on the addresses of 0. */
static bool is_v6(uint32_t flow) { return flow == 4 || flow == 5; }
static uint32_t tags(uint32_t flow) { return flow == 6 ? 2 : flow == 5 ? 1 : 0; }
static bool has_timestamps(uint32_t flow) { return flow == 1 || flow == 4; }
static uint32_t scale(uint32_t flow) { return flow & 2 ? 7 : 0; }

static uint16_t port_of(uint32_t flow, int side)
{
    if (flow == 7) {
        flow = 0;
        side = 1 - side;
    }
    return (uint16_t)(side ? 80 : 40000 + flow);
}

uint8_t traffic_byte(uint32_t sequence, uint16_t from, uint16_t to)
{
    return (uint8_t)((sequence * 2654435761u + from * 31u + to * 17u) >> 13);
}

static uint32_t sum16(uint32_t sum, const uint8_t *bytes, uint32_t length)
{
    uint32_t i;

    for (i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    if (length & 1)
        sum += (uint32_t)bytes[length - 1] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value);
}

static void emit(struct traffic *t, const uint8_t *frame, uint32_t length, uint32_t wire_length)
{
    t->now += 1000;
    if (script_add(frame, length, wire_length, t->now, 0))
        t->packets++;
}

/* Ethernet with the flow's tags, and the IP header of `payload` bytes in front
 * of them. Returns where the payload goes. */
static uint32_t headers(struct traffic *t, uint8_t *frame, uint32_t flow, int side, uint32_t payload,
                        uint32_t fragment)
{
    const uint32_t who = flow == 7 ? 0 : flow;
    const int from = flow == 7 ? 1 - side : side;
    uint32_t at = 12, i;

    memset(frame, 0, ETHERNET);
    frame[0] = frame[6] = 2;
    frame[5] = (uint8_t)(2 - from);
    frame[11] = (uint8_t)(1 + from);
    for (i = 0; i < tags(flow); i++, at += 4) {
        put16(frame + at, i + 1 < tags(flow) ? 0x88a8 : 0x8100);
        put16(frame + at + 2, 100 + i);
    }
    put16(frame + at, is_v6(flow) ? 0x86dd : 0x0800);
    at += 2;
    if (is_v6(flow)) {
        uint8_t *ip = frame + at;

        memset(ip, 0, 40);
        ip[0] = 0x60;
        put16(ip + 4, payload);
        ip[6] = 6;
        ip[7] = 64;
        for (i = 0; i < 2; i++) {
            ip[8 + 16 * i] = 0x20;
            ip[9 + 16 * i] = 1;
            ip[20 + 16 * i] = (uint8_t)who;
            ip[23 + 16 * i] = (uint8_t)((int)i == from ? 1 : 2);
        }
        return at + 40;
    }
    uint8_t *ip = frame + at;

    memset(ip, 0, 20);
    ip[0] = 0x45;
    put16(ip + 2, 20 + payload);
    put16(ip + 4, t->ip_id);
    put16(ip + 6, fragment);
    ip[8] = 64;
    ip[9] = 6;
    ip[12] = ip[16] = 10;
    ip[14] = ip[18] = (uint8_t)who;
    ip[15] = (uint8_t)(from ? 2 : 1);
    ip[19] = (uint8_t)(from ? 1 : 2);
    put16(ip + 10, fold(sum16(0, ip, 20)));
    return at + 20;
}

/* The TCP header and its payload, checksum right. Returns their length. */
static uint32_t segment(struct traffic *t, uint8_t *tcp, uint32_t flow, int side, uint8_t flags, uint32_t sequence,
                        uint32_t acknowledgement, uint16_t window, uint32_t length)
{
    const uint16_t from = port_of(flow, side), to = port_of(flow, 1 - side);
    uint32_t header = 20, sum = 6, i;
    uint8_t pseudo[32];

    put16(tcp, from);
    put16(tcp + 2, to);
    put32(tcp + 4, sequence);
    put32(tcp + 8, acknowledgement);
    tcp[13] = flags;
    put16(tcp + 14, window);
    put32(tcp + 16, 0);
    if (t->options_length) {
        memcpy(tcp + header, t->options, t->options_length);
        header += t->options_length;
        t->options_length = 0;
    } else {
        if (flags & SYN) {
            static const uint8_t usual[] = {2, 4, 5, 0xb4, 1, 3, 3, 0};

            memcpy(tcp + header, usual, sizeof usual);
            tcp[header + 7] = (uint8_t)scale(flow);
            header += sizeof usual;
        }
        if (has_timestamps(flow)) {
            static const uint8_t stamp[] = {1, 1, 8, 10};

            memcpy(tcp + header, stamp, sizeof stamp);
            put32(tcp + header + 4, t->flows[flow].clock++);
            put32(tcp + header + 8, t->flows[flow].clock);
            header += 12;
        }
    }
    while (header % 4)
        tcp[header++] = 1;
    tcp[12] = (uint8_t)(header << 2);
    for (i = 0; i < length; i++)
        tcp[header + i] = traffic_byte(sequence + (flags & SYN ? 1 : 0) + i, from, to);
    length += header;
    /* Addresses: the same sum whichever way, so that of a header will do. */
    if (is_v6(flow)) {
        uint8_t frame[128];

        memcpy(pseudo, frame + headers(t, frame, flow, side, 0, 0) - 32, 32);
        sum = sum16(sum, pseudo, 32);
    } else {
        uint8_t frame[128];

        memcpy(pseudo, frame + headers(t, frame, flow, side, 0, 0) - 8, 8);
        sum = sum16(sum, pseudo, 8);
    }
    put16(tcp + 16, fold(sum16(sum + length, tcp, length)));
    return length;
}

static void packet(struct traffic *t, uint32_t flow, int side, uint8_t flags, uint32_t sequence,
                   uint32_t acknowledgement, uint16_t window, uint32_t length)
{
    uint8_t frame[FRAME_ROOM], tcp[FRAME_ROOM];
    const uint32_t bytes = segment(t, tcp, flow, side, flags, sequence, acknowledgement, window, length);
    const uint32_t start = headers(t, frame, flow, side, bytes, 0x4000);

    t->ip_id++;
    memcpy(frame + start, tcp, bytes);
    emit(t, frame, start + bytes, start + bytes);
}

static uint32_t sent_by(const struct traffic *t, uint32_t flow, int side)
{
    return t->flows[flow].next[side];
}

static void syn(struct traffic *t, uint32_t flow, int side)
{
    struct traffic_flow *f = &t->flows[flow];

    packet(t, flow, side, side ? SYN | ACK : SYN, f->isn[side], side ? f->isn[0] + 1 : 0, 65535, 0);
    f->next[side] = f->isn[side] + 1;
}

static void acknowledge(struct traffic *t, uint32_t flow, int side)
{
    packet(t, flow, side, ACK, sent_by(t, flow, side), sent_by(t, flow, 1 - side), 65535, 0);
}

/* Data at `sequence`; what comes behind all that was sent moves the end. */
static void data(struct traffic *t, uint32_t flow, int side, uint32_t sequence, uint32_t length)
{
    struct traffic_flow *f = &t->flows[flow];

    packet(t, flow, side, PSH | ACK, sequence, f->next[1 - side], 65535, length);
    if ((int32_t)(sequence + length - f->next[side]) > 0)
        f->next[side] = sequence + length;
}

/* One data segment in two or three fragments. */
static void fragments(struct traffic *t, uint32_t flow, int side)
{
    uint8_t frame[FRAME_ROOM], tcp[FRAME_ROOM];
    struct traffic_flow *f = &t->flows[flow];
    const uint32_t length = 8u * input_u8(t->in);
    const uint32_t cut = 8u * (1 + input_u8(t->in));
    const uint8_t how = input_u8(t->in);
    const uint32_t bytes = segment(t, tcp, flow, side, PSH | ACK, f->next[side], f->next[1 - side], 65535, length);
    uint32_t starts[3] = {0, cut, 2 * cut}, i;

    if (is_v6(flow))
        return;
    if (how & 8)
        starts[1] -= 8; /* overlaps the first */
    for (i = 0; i < 3; i++) {
        const uint32_t which = how & 1 ? 2 - i : i;
        const uint32_t begin = starts[which];
        uint32_t end = which == 2 ? bytes : which == 0 ? cut : starts[2];
        uint32_t start, word;

        if (begin >= bytes || (how & 2 && which == 1))
            continue;
        if (end > bytes)
            end = bytes;
        word = begin / 8 | (end < bytes || how & 4 ? 0x2000 : 0);
        start = headers(t, frame, flow, side, end - begin, word);
        memcpy(frame + start, tcp + begin, end - begin);
        emit(t, frame, start + end - begin, start + end - begin);
    }
    f->next[side] += length;
    t->ip_id++;
}

/* The last frame once more, with bytes changed or cut off. */
static void spoil(struct traffic *t)
{
    uint8_t frame[FRAME_ROOM];
    const uint8_t where = input_u8(t->in), what = input_u8(t->in);
    const struct script_frame *last;

    if (script.count == 0)
        return;
    last = &script.frames[script.count - 1];
    if (last->len > sizeof frame)
        return;
    memcpy(frame, script.bytes + last->start, last->len);
    if (where < 250) {
        if (where < last->len)
            frame[where] ^= what;
        emit(t, frame, last->len, last->wire_len);
    } else {
        const uint32_t kept = what < last->len ? what : last->len;

        emit(t, frame, kept, where & 1 ? last->wire_len : kept);
    }
    t->is_honest = false;
}

/* A frame, IP packet or TCP segment of any bytes. */
static void raw(struct traffic *t, uint32_t flow, int side)
{
    uint8_t frame[512];
    const uint8_t kind = input_u8(t->in);
    uint32_t length = input_u8(t->in), at = 0, i;

    if (length > input_left(t->in))
        length = (uint32_t)input_left(t->in);
    switch (kind & 3) {
    case 0:
        break;
    case 1:
        headers(t, frame, flow, side, length, 0);
        at = ETHERNET + 4 * tags(flow);
        break;
    default:
        at = headers(t, frame, flow, side, length, kind & 4 ? 0x2000 : 0);
        break;
    }
    for (i = 0; i < length; i++)
        frame[at + i] = input_u8(t->in);
    emit(t, frame, at + length, at + length + (kind >> 3));
    t->is_honest = false;
}

static void begin(struct traffic *t, uint32_t flow, uint32_t client, uint32_t server)
{
    struct traffic_flow *f = &t->flows[flow];

    f->isn[0] = client;
    f->isn[1] = server;
    f->next[0] = client + 1;
    f->next[1] = server + 1;
}

static void step(struct traffic *t)
{
    const uint8_t op = input_u8(t->in);
    const uint32_t flow = op >> 4 & 7;
    const int side = op >> 7;
    struct traffic_flow *f = &t->flows[flow];
    uint32_t i;

    switch (op & 15) {
    case OP_HANDSHAKE:
        syn(t, flow, 0);
        syn(t, flow, 1);
        acknowledge(t, flow, 0);
        break;
    case OP_SYN:
        syn(t, flow, side);
        break;
    case OP_DATA:
        data(t, flow, side, f->next[side], 8u * input_u8(t->in) + 1);
        break;
    case OP_DATA_ACKED:
        data(t, flow, side, f->next[side], 8u * input_u8(t->in) + 1);
        acknowledge(t, flow, 1 - side);
        break;
    case OP_ACK:
        acknowledge(t, flow, side);
        break;
    case OP_REPEAT: {
        const uint32_t back = 8u * input_u8(t->in) + 1;

        data(t, flow, side, f->next[side] - back, 8u * input_u8(t->in) + 1);
        break;
    }
    case OP_AHEAD: {
        const uint32_t ahead = 8u * input_u8(t->in) + 1;

        data(t, flow, side, f->next[side] + ahead, 8u * input_u8(t->in) + 1);
        break;
    }
    case OP_FIN:
        packet(t, flow, side, FIN | ACK, f->next[side], f->next[1 - side], 65535, 0);
        f->next[side]++;
        break;
    case OP_RST:
        packet(t, flow, side, RST | ACK, f->next[side], f->next[1 - side], 0, 0);
        break;
    case OP_SEGMENT: {
        const uint8_t flags = input_u8(t->in);
        const uint32_t sequence = f->next[side] + (uint32_t)(int16_t)input_u16(t->in);
        const uint32_t acknowledgement = f->next[1 - side] + (uint32_t)(int16_t)input_u16(t->in);
        const uint16_t window = (uint16_t)(input_u8(t->in) << 8);

        packet(t, flow, side, flags, sequence, acknowledgement, window, input_u8(t->in));
        break;
    }
    case OP_TIME: {
        uint64_t wait = 1;

        for (i = input_u8(t->in) % 12; i > 0; i--)
            wait *= 10;
        t->now += wait;
        break;
    }
    case OP_FRAGMENTS:
        fragments(t, flow, side);
        break;
    case OP_OPTIONS:
        t->options_length = input_u8(t->in) % (sizeof t->options + 1);
        for (i = 0; i < t->options_length; i++)
            t->options[i] = input_u8(t->in);
        break;
    case OP_SPOIL:
        spoil(t);
        break;
    case OP_RAW:
        raw(t, flow, side);
        break;
    default:
        i = (uint32_t)input_u8(t->in) << 24;
        begin(t, flow, f->isn[0] + i + 100000, f->isn[1] + i + 7777777);
        break;
    }
}

void traffic_run(struct traffic *t, struct input *in)
{
    memset(t, 0, sizeof *t);
    t->in = in;
    t->now = 1700000000u * (uint64_t)1000000000;
    t->is_honest = true;
    for (uint32_t i = 0; i < TRAFFIC_FLOWS; i++)
        begin(t, i, first_isn[i][0], first_isn[i][1]);
    while (!input_is_empty(in) && script.count < SCRIPT_FRAMES - 4)
        step(t);
}
