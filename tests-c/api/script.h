/* A packet source and sink that does exactly what a test says: devices
 * "script:a" to "script:d". Frames are put into a list with their times, and
 * where a burst ends; what the stack sends is kept. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "frames.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SCRIPT_PORTS 4

struct script_frame {
    uint8_t *data;
    uint32_t len, wire_len, flags;
    uint64_t time_ns;
    int ends_burst;
    void (*call)(void *arg); /* instead of a frame: called by the thread that receives */
    void *arg;
};

struct script_sent {
    uint8_t *data;
    uint32_t len;
    int forwarded; /* through tx_forward, unchanged */
    uint64_t time_ns;
};

struct script {
    struct script_frame *frames;
    size_t count, room, next;
    struct script_sent *sent;
    size_t sent_count, sent_room;

    int live;            /* not a trace: wall clock, no end unless asked */
    int held;            /* nothing is given until this is 0 */
    int ends;            /* a live port: MOS_IO_END after the last frame */
    int repeat;          /* give the last frame again and again while not 0 */
    uint32_t queues;     /* receive queues; 0: one */
    uint32_t most;       /* frames in a burst at most; 0: as asked for */
    uint32_t asked_most; /* out: the largest number that was asked for */
    int tx_full;         /* tx_frame has no room */
    int tx_code;         /* what tx_send and tx_forward return */
    uint32_t rx_drops;   /* for the statistics */
    int opened, closed;  /* how often */
    int open_code;       /* what open returns */
    uint32_t queues_wanted;
    uint64_t flushes;
    uint8_t *tx;
    uint64_t received;
};

extern struct script script[SCRIPT_PORTS];

/** The time that the next frame gets, ns. Each frame advances it by script_step. */
extern uint64_t script_clock, script_step;

/** Forgets everything and registers the backend the first time. The clock is
 *  2023-11-14 22:13:20 UTC, a step is a millisecond. */
void script_begin(void);

/** Adds a frame; it is copied. */
struct script_frame *script_add(int port, const void *data, uint32_t len);

/** The frames added so far to this port are a burst of their own. */
void script_burst(int port);

/** Calls something when the frames before have been handled. */
void script_call(int port, void (*call)(void *), void *arg);

/* Conversations on it. */

/** Sends what comes next in sequence and advances: SYN and FIN count. */
void say(struct talk *t, int side, int flags, const void *payload, uint32_t length);
/** The same with text. */
void say_text(struct talk *t, int side, const char *text);
/** A segment with any numbers; nothing advances. */
void say_at(struct talk *t, int side, int flags, uint32_t seq, uint32_t ack, const void *payload, uint32_t length);
/** SYN, SYN/ACK, ACK. */
void say_hello(struct talk *t);
/** FIN and ACK both ways, begun by `side`. */
void say_goodbye(struct talk *t, int side);

#ifdef __cplusplus
}
#endif

#endif
