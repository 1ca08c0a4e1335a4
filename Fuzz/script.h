/* Frames for the library from memory, as the devices "fuzz:in" and "fuzz:out"
 * (a second port, for what is forwarded; it gives nothing). Each burst lies in
 * memory of exactly its frames' sizes that goes away with the next receive, so
 * that the address sanitizer sees whoever reads beyond a frame or keeps it. */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#define SCRIPT_FRAMES 512
#define SCRIPT_BYTES (1 << 19)

struct script_frame {
    uint32_t start; /* in script.bytes */
    uint32_t len;
    uint32_t wire_len;
    uint32_t flags; /* MOS_IO_*_CSUM_OK */
    uint64_t time_ns;
};

struct script {
    struct script_frame frames[SCRIPT_FRAMES];
    uint8_t bytes[SCRIPT_BYTES];
    uint32_t count;
    uint32_t used;
    uint32_t burst; /* frames for each receive, 1 … 64 */

    /* What came of it. */
    uint32_t delivered;
    uint32_t forwarded; /* unchanged */
    uint32_t sent;      /* made or changed by the stack */
    int64_t last_forwarded;
};

/* The one that the devices read. */
extern struct script script;

/* Makes the devices known to the library; once in a process. */
void script_register(void);

/* Empties it. */
void script_reset(void);

/* Takes a frame: false when there is no room. wire_len counts at least len. */
bool script_add(const uint8_t *frame, uint32_t len, uint32_t wire_len, uint64_t time_ns, uint32_t flags);

/* Writes it as a pcap file, to see what an input means. */
void script_write(const char *path);

#endif
