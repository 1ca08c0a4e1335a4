#include "one_io.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_io.h>

static uint32_t wanted_burst, wanted_silence;
static uint32_t delivered;
static pcap_t *trace;
static uint64_t last_time;
static int silence_given;
static uint8_t *copies[MOS_IO_BURST];
static uint32_t room[MOS_IO_BURST];

/* An experimental EtherType (IEEE 802, 0x88b5). */
static const uint8_t quiet_frame[60] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5,
};

static int one_open(const char *spec, uint32_t queues, void **port, struct mos_io_info *info, char *error,
                    size_t error_size)
{
    char why[PCAP_ERRBUF_SIZE];
    (void)queues;
    if (trace != NULL) {
        snprintf(error, error_size, "the backend reads one trace at a time");
        return EBUSY;
    }
    trace = pcap_open_offline_with_tstamp_precision(spec, PCAP_TSTAMP_PRECISION_NANO, why);
    if (trace == NULL) {
        snprintf(error, error_size, "%s", why);
        return ENOENT;
    }
    if (pcap_datalink(trace) != DLT_EN10MB) {
        snprintf(error, error_size, "%s is not an Ethernet trace", spec);
        pcap_close(trace);
        trace = NULL;
        return EINVAL;
    }
    delivered = 0;
    last_time = 0;
    silence_given = wanted_silence == 0;
    info->num_queues = 1;
    info->is_trace = 1;
    info->mtu = 1500;
    *port = trace;
    return 0;
}

static int one_recv(void *port, uint32_t queue, struct mos_io_frame *frames, uint32_t max)
{
    uint32_t count = 0;
    (void)port;
    (void)queue;
    if (max > wanted_burst)
        max = wanted_burst;
    while (count < max) {
        struct pcap_pkthdr *header;
        const u_char *bytes;
        int status = pcap_next_ex(trace, &header, &bytes);
        if (status == PCAP_ERROR) {
            /* What was read before it is given first. */
            if (count > 0)
                break;
            fprintf(stderr, "one_io: %s\n", pcap_geterr(trace));
            return MOS_IO_ERROR;
        }
        struct mos_io_frame *frame = &frames[count];
        memset(frame, 0, sizeof *frame);
        if (status != 1) {
            if (silence_given)
                break;
            silence_given = 1;
            frame->data = quiet_frame;
            frame->len = frame->wire_len = sizeof quiet_frame;
            frame->time_ns = last_time + (uint64_t)wanted_silence * 1000000000u;
            count++;
            break;
        }
        if (header->caplen > room[count]) {
            free(copies[count]);
            room[count] = header->caplen;
            copies[count] = (uint8_t *)malloc(room[count]);
            if (copies[count] == NULL)
                return MOS_IO_ERROR;
        }
        memcpy(copies[count], bytes, header->caplen);
        frame->data = copies[count];
        frame->len = header->caplen;
        frame->wire_len = header->len < header->caplen ? header->caplen : header->len;
        /* With that precision, tv_usec holds nanoseconds. */
        last_time = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec;
        frame->time_ns = last_time;
        count++;
    }
    if (count == 0)
        return MOS_IO_END;
    delivered += count;
    return (int)count;
}

static void one_close(void *port)
{
    (void)port;
    pcap_close(trace);
    trace = NULL;
    for (uint32_t i = 0; i < MOS_IO_BURST; i++) {
        free(copies[i]);
        copies[i] = NULL;
        room[i] = 0;
    }
}

int one_io_register(uint32_t burst, uint32_t silence)
{
    struct mos_io_ops ops;
    if (burst < 1 || burst > MOS_IO_BURST) {
        errno = EINVAL;
        return -1;
    }
    wanted_burst = burst;
    wanted_silence = silence;
    memset(&ops, 0, sizeof ops);
    ops.abi = MOS_IO_ABI;
    ops.scheme = "one";
    ops.open = one_open;
    ops.recv = one_recv;
    ops.close = one_close;
    return mos_io_register(&ops);
}

uint32_t one_io_delivered(void)
{
    return delivered;
}
