/* Frames, byte by byte, and conversations made of them. Everything is written
 * out here, independent of the library, so that what it says can be compared. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdint.h>
#include <string.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };

static inline uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }
static inline void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }

/* RFC 1071, the slow way. */
static inline uint32_t sum16(uint32_t sum, const uint8_t *p, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* The pseudo header's sum for the IP packet at ip. */
static inline uint32_t pseudo_sum(const uint8_t *ip, uint32_t protocol, uint32_t length)
{
    uint32_t sum = ip[0] >> 4 == 6 ? sum16(0, ip + 8, 32) : sum16(0, ip + 12, 8);
    sum += protocol + length;
    return (sum & 0xffff) + (sum >> 16);
}

static inline uint32_t ip_header_length(const uint8_t *ip) { return ip[0] >> 4 == 6 ? 40 : (ip[0] & 15u) * 4; }
static inline uint32_t ip_total_length(const uint8_t *ip) { return ip[0] >> 4 == 6 ? 40 + get16(ip + 4) : get16(ip + 2); }
static inline int ip_checksum_good(const uint8_t *ip) { return ip[0] >> 4 == 6 || sum16(0, ip, ip_header_length(ip)) == 0xffff; }

static inline int tcp_checksum_good(const uint8_t *ip)
{
    uint32_t header = ip_header_length(ip), length = ip_total_length(ip) - header;
    return sum16(pseudo_sum(ip, 6, length), ip + header, length) == 0xffff;
}

static inline void fix_ip_checksum(uint8_t *ip)
{
    if (ip[0] >> 4 != 4)
        return;
    put16(ip + 10, 0);
    put16(ip + 10, ~sum16(0, ip, ip_header_length(ip)));
}

static inline void fix_l4_checksum(uint8_t *ip, uint32_t protocol)
{
    uint32_t header = ip_header_length(ip), length = ip_total_length(ip) - header;
    uint8_t *field = ip + header + (protocol == 6 ? 16 : 6);
    put16(field, 0);
    put16(field, ~sum16(pseudo_sum(ip, protocol, length), ip + header, length));
}

/* One end of a conversation sends; the other's numbers are known from it. */
struct talk {
    int v6;
    uint8_t address[2][16]; /* client, server; IPv4 in the first four */
    uint16_t port[2];
    uint32_t isn[2];
    uint32_t next[2];       /* next sequence number of each end */
    uint16_t window[2];
    uint16_t vlan, outer_vlan; /* 0: none */
    int input[2];           /* the script port on which each end's frames come in */
    uint32_t wire_cut;      /* bytes that the capture left out */
};

/* A conversation of client number n: 10.0.n/256.n%256 port 10000+n to 10.9.0.1 port 80. */
static inline void talk_init(struct talk *t, unsigned n)
{
    memset(t, 0, sizeof *t);
    t->address[0][0] = t->address[1][0] = 10;
    t->address[0][1] = (uint8_t)(n >> 16);
    t->address[0][2] = (uint8_t)(n >> 8);
    t->address[0][3] = (uint8_t)n;
    t->address[1][1] = 9;
    t->address[1][3] = 1;
    t->port[0] = (uint16_t)(10000 + n % 50000);
    t->port[1] = 80;
    t->isn[0] = 1000 + n * 100000;
    t->isn[1] = 0xfffffff0u + n;
    t->next[0] = t->isn[0];
    t->next[1] = t->isn[1];
    t->window[0] = t->window[1] = 65535;
}

static inline void talk_init6(struct talk *t, unsigned n)
{
    static const uint8_t prefix[4] = { 0x20, 0x01, 0x0d, 0xb8 };
    talk_init(t, n);
    t->v6 = 1;
    for (int side = 0; side < 2; side++) {
        memset(t->address[side], 0, 16);
        memcpy(t->address[side], prefix, 4);
        t->address[side][7] = (uint8_t)(side + 1);
        put32(t->address[side] + 12, n);
    }
}

/* Ethernet and tags; returns where IP begins. */
static inline uint32_t put_ethernet(uint8_t *frame, const struct talk *t, int side)
{
    static const uint8_t mac[2][6] = { { 2, 0, 0, 0, 0, 0xc1 }, { 2, 0, 0, 0, 0, 0x51 } };
    uint32_t at = 12;
    memcpy(frame, mac[1 - side], 6);
    memcpy(frame + 6, mac[side], 6);
    if (t->outer_vlan) {
        put16(frame + at, 0x88a8);
        put16(frame + at + 2, t->outer_vlan);
        at += 4;
    }
    if (t->vlan) {
        put16(frame + at, 0x8100);
        put16(frame + at + 2, t->vlan);
        at += 4;
    }
    put16(frame + at, t->v6 ? 0x86dd : 0x0800);
    return at + 2;
}

/* The IP header for `length` bytes behind it. Returns its length. */
static inline uint32_t put_ip(uint8_t *ip, const struct talk *t, int side, uint32_t protocol, uint32_t length)
{
    if (t->v6) {
        memset(ip, 0, 40);
        ip[0] = 0x60;
        put16(ip + 4, length);
        ip[6] = (uint8_t)protocol;
        ip[7] = 64;
        memcpy(ip + 8, t->address[side], 16);
        memcpy(ip + 24, t->address[1 - side], 16);
        return 40;
    }
    memset(ip, 0, 20);
    ip[0] = 0x45;
    put16(ip + 2, 20 + length);
    put16(ip + 4, 0x1234);
    put16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    memcpy(ip + 12, t->address[side], 4);
    memcpy(ip + 16, t->address[1 - side], 4);
    fix_ip_checksum(ip);
    return 20;
}

/* A TCP frame. Options are padded to a multiple of four by the caller. Returns its length. */
static inline uint32_t make_tcp(uint8_t *frame, const struct talk *t, int side, int flags, uint32_t seq, uint32_t ack,
                                const void *options, uint32_t options_length, const void *payload, uint32_t length)
{
    uint32_t at = put_ethernet(frame, t, side), header = 20 + options_length;
    uint8_t *ip = frame + at;
    uint8_t *tcp = ip + put_ip(ip, t, side, 6, header + length);
    memset(tcp, 0, 20);
    put16(tcp, t->port[side]);
    put16(tcp + 2, t->port[1 - side]);
    put32(tcp + 4, seq);
    put32(tcp + 8, flags & ACK ? ack : 0);
    tcp[12] = (uint8_t)(header / 4 << 4);
    tcp[13] = (uint8_t)flags;
    put16(tcp + 14, t->window[side]);
    if (options_length)
        memcpy(tcp + 20, options, options_length);
    if (length)
        memcpy(tcp + header, payload, length);
    fix_l4_checksum(ip, 6);
    return (uint32_t)(tcp - frame) + header + length;
}

/* UDP (protocol 17), or any other protocol with the payload as it is. */
static inline uint32_t make_other(uint8_t *frame, const struct talk *t, int side, uint32_t protocol, const void *payload,
                                  uint32_t length)
{
    uint32_t at = put_ethernet(frame, t, side), header = protocol == 17 ? 8 : 0;
    uint8_t *ip = frame + at;
    uint8_t *body = ip + put_ip(ip, t, side, protocol, header + length);
    if (length)
        memcpy(body + header, payload, length);
    if (protocol == 17) {
        put16(body, t->port[side]);
        put16(body + 2, t->port[1 - side]);
        put16(body + 4, 8 + length);
        fix_l4_checksum(ip, 17);
    }
    return (uint32_t)(body - frame) + header + length;
}

/* A frame that is not IP. */
static inline uint32_t make_arp(uint8_t *frame)
{
    memset(frame, 0xff, 6);
    memset(frame + 6, 2, 6);
    put16(frame + 12, 0x0806);
    memset(frame + 14, 0, 46);
    put16(frame + 14, 1);
    put16(frame + 16, 0x0800);
    frame[18] = 6;
    frame[19] = 4;
    put16(frame + 20, 1);
    return 60;
}

/* Where a part of a frame of the talk begins. */
static inline uint32_t ip_at(const struct talk *t) { return 14 + (t->vlan ? 4 : 0) + (t->outer_vlan ? 4 : 0); }
static inline uint32_t tcp_at(const struct talk *t) { return ip_at(t) + (t->v6 ? 40 : 20); }

#endif
