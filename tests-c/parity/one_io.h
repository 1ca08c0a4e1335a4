/* A backend "one:FILE" that reads a trace with libpcap and hands out as many
 * frames in one receive as the test wants, by default one; optionally followed
 * by a frame that is not IP, some time after the last one, which moves the
 * stack's clock. Ethernet only. One file at a time. */
#ifndef ONE_IO_H
#define ONE_IO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Registers the backend; before mtcp_init().
 *
 * @param burst    frames in one receive, 1 … 64
 * @param silence  seconds between the trace's last frame and the one that is
 *                 added behind it; 0 adds none
 * @return 0, or -1 with errno */
int one_io_register(uint32_t burst, uint32_t silence);

/** Frames handed out so far. From handlers: with a burst of 1, the number of
 * the current packet, from 1. */
uint32_t one_io_delivered(void);

#ifdef __cplusplus
}
#endif

#endif /* ONE_IO_H */
