/* Writes a pcap file of Ethernet frames with nanoseconds. */
#ifndef PCAP_FILE_H
#define PCAP_FILE_H

#include <stdint.h>
#include <stdio.h>

static inline FILE *
pcap_create(const char *path)
{
    const uint32_t header[6] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, 65535, 1 };
    FILE *file = fopen(path, "wb");

    if (file) {
        setvbuf(file, NULL, _IOFBF, 1 << 20);
        fwrite(header, sizeof header, 1, file);
    }
    return file;
}

static inline void
pcap_add(FILE *file, uint64_t time_ns, const uint8_t *frame, uint32_t length)
{
    const uint32_t header[4] = {
        (uint32_t)(time_ns / 1000000000), (uint32_t)(time_ns % 1000000000), length, length,
    };

    fwrite(header, sizeof header, 1, file);
    fwrite(frame, length, 1, file);
}

#endif
