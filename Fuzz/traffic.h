/* Makes packets of TCP conversations out of the fuzzer's bytes: each byte or
 * few say what happens next, so that a random change is another story and not
 * only a wrong checksum. seeds.c writes
 * good stories down. */
#ifndef FUZZ_TRAFFIC_H
#define FUZZ_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "input.h"

#define TRAFFIC_FLOWS 8

/* What a byte of a program does: the low half, to the flow in the three bits
 * above; the topmost bit says that the server does it. */
enum traffic_op {
    OP_HANDSHAKE = 0, /* SYN, SYN/ACK, ACK */
    OP_SYN,           /* or SYN/ACK of the server */
    OP_DATA,          /* + length / 8 */
    OP_DATA_ACKED,    /* + length / 8; the other end acknowledges it */
    OP_ACK,
    OP_REPEAT,        /* + how far back / 8, length / 8 */
    OP_AHEAD,         /* + how far ahead / 8, length / 8: what is between comes later or never */
    OP_FIN,
    OP_RST,
    OP_SEGMENT,       /* + flags, sequence (16, signed), acknowledgement (16, signed), window / 256, length */
    OP_TIME,          /* + 10^n ns */
    OP_FRAGMENTS,     /* + length / 8, where to cut / 8, order and overlap */
    OP_OPTIONS,       /* + number of bytes, the bytes: options of the next packet */
    OP_SPOIL,         /* + where, with what; or cuts: the last packet again, changed */
    OP_RAW,           /* + kind, number of bytes, the bytes */
    OP_NEW            /* + initial sequence number's high byte: another connection on these addresses */
};

struct traffic_flow {
    uint32_t isn[2];
    uint32_t next[2]; /* what that side sends next */
    uint32_t clock;   /* of timestamps */
};

struct traffic {
    struct input *in;
    uint64_t now;
    struct traffic_flow flows[TRAFFIC_FLOWS];
    uint8_t options[40];
    uint32_t options_length;
    uint16_t ip_id;
    /* Every byte of payload is the one that traffic_byte() gives, and every
     * frame is whole. */
    bool is_honest;
    uint32_t packets;
};

/* The payload byte at a sequence number of what is sent from one port to another. */
uint8_t traffic_byte(uint32_t sequence, uint16_t from, uint16_t to);

/* Fills the script by the input's program. */
void traffic_run(struct traffic *t, struct input *in);

#endif
