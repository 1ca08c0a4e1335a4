/* A packet source for libmos that asks the test for each burst: device
 * "wire:x". The clock is that of the frames. */
#ifndef EVENTS_WIRE_H
#define EVENTS_WIRE_H

#include <mos_api.h>
#include <mos_ext.h>
#include <mos_io.h>
#include <mtcp_api.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/** One TCP packet over IPv4; all in host order. */
struct wire_packet {
    uint32_t source, destination;
    uint16_t source_port, destination_port;
    uint32_t sequence, acknowledgement;
    int flags;
    uint32_t length; /* of the payload, up to 1400 */
    uint64_t time_ns;
};

/** Fills `frames` with a burst: its number, 0 for "nothing now", MOS_IO_END.
 *  Runs on the stack thread, between two bursts, outside any dispatch. */
typedef int (*wire_fill)(struct mos_io_frame *frames, uint32_t max);

/** Makes the frame of place `at` (0 … 63) in a burst. */
void wire_frame(struct mos_io_frame *frame, uint32_t at, const struct wire_packet *packet);

/** The same as a UDP packet of 8 bytes. */
void wire_udp(struct mos_io_frame *frame, uint32_t at, const struct wire_packet *packet);

/** mtcp_init() with this source, and the context of core 0; ends the program
 *  when that fails. `items` are further lines of the mos block, or NULL. */
mctx_t wire_start(wire_fill fill, const char *items);

/** mtcp_destroy_context() and mtcp_destroy(). */
void wire_stop(mctx_t m);

#ifdef __cplusplus
}
#endif

#endif
