#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <mos_io.h>

#include "check.h"

struct script script;

/* The frames of the burst that is out, and where they are in the script. */
static struct {
    uint8_t *data;
    uint32_t index;
} out[MOS_IO_BURST];
static uint32_t out_count;
static uint8_t *tx_room;

static int input_port, output_port;

static void take_back(void)
{
    for (uint32_t i = 0; i < out_count; i++)
        free(out[i].data);
    out_count = 0;
}

static int script_open(const char *spec, uint32_t queues, void **port, struct mos_io_info *info, char *error,
                       size_t error_size)
{
    (void)queues;
    if (strcmp(spec, "in") == 0) {
        *port = &input_port;
    } else if (strcmp(spec, "out") == 0) {
        *port = &output_port;
    } else {
        snprintf(error, error_size, "fuzz:%s is neither fuzz:in nor fuzz:out", spec);
        return ENOENT;
    }
    info->num_queues = 1;
    info->is_trace = 1;
    info->mtu = 1500;
    return 0;
}

static int script_recv(void *port, uint32_t queue, struct mos_io_frame *frames, uint32_t max)
{
    uint32_t count = 0;

    (void)queue;
    if (port != &input_port)
        return MOS_IO_END;
    take_back();
    if (max > script.burst)
        max = script.burst;
    while (count < max && script.delivered < script.count) {
        const struct script_frame *from = &script.frames[script.delivered];
        uint8_t *data = malloc(from->len);

        CHECK(data != NULL || from->len == 0, "no memory");
        memcpy(data, script.bytes + from->start, from->len);
        out[count].data = data;
        out[count].index = script.delivered++;
        frames[count].data = data;
        frames[count].len = from->len;
        frames[count].wire_len = from->wire_len;
        frames[count].time_ns = from->time_ns;
        frames[count].flags = from->flags;
        frames[count].cookie = &out[count];
        count++;
    }
    out_count = count;
    return count ? (int)count : MOS_IO_END;
}

static uint8_t *script_tx_frame(void *port, uint32_t queue, uint32_t len)
{
    (void)port, (void)queue;
    CHECK(len > 0 && len <= 1 << 17, "a frame of %u bytes", len);
    free(tx_room);
    tx_room = malloc(len);
    return tx_room;
}

static int script_tx_send(void *port, uint32_t queue, uint8_t *frame, uint32_t len, uint64_t time_ns)
{
    volatile uint8_t sum = 0;

    (void)port, (void)queue, (void)time_ns;
    CHECK(frame != NULL && frame == tx_room, "a frame that tx_frame did not give");
    for (uint32_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + frame[i]);
    free(tx_room);
    tx_room = NULL;
    script.sent++;
    return 0;
}

static int script_tx_forward(void *port, uint32_t queue, const struct mos_io_frame *frame)
{
    (void)port, (void)queue;
    for (uint32_t i = 0; i < out_count; i++)
        if (out[i].data == frame->data) {
            const struct script_frame *from = &script.frames[out[i].index];

            CHECK(frame->len == from->len, "frame %u is %u bytes long, not %u", out[i].index, frame->len, from->len);
            CHECK(memcmp(frame->data, script.bytes + from->start, from->len) == 0, "frame %u was written to",
                  out[i].index);
            CHECK((int64_t)out[i].index > script.last_forwarded, "frame %u after frame %lld", out[i].index,
                  (long long)script.last_forwarded);
            script.last_forwarded = out[i].index;
            script.forwarded++;
            return 0;
        }
    CHECK(false, "a frame that is not of this burst is forwarded");
    return EINVAL;
}

static void script_stats(void *port, struct mos_io_stats *stats)
{
    if (port == &input_port)
        stats->rx_packets = script.delivered;
}

static void script_close(void *port)
{
    if (port == &input_port)
        take_back();
    free(tx_room);
    tx_room = NULL;
}

void script_register(void)
{
    static const struct mos_io_ops ops = {
        .abi = MOS_IO_ABI,
        .scheme = "fuzz",
        .open = script_open,
        .recv = script_recv,
        .tx_frame = script_tx_frame,
        .tx_send = script_tx_send,
        .tx_forward = script_tx_forward,
        .stats = script_stats,
        .close = script_close,
    };

    CHECK(mos_io_register(&ops) == 0, "the backend is refused");
}

void script_reset(void)
{
    script.count = script.used = 0;
    script.burst = MOS_IO_BURST;
    script.delivered = script.forwarded = script.sent = 0;
    script.last_forwarded = -1;
}

bool script_add(const uint8_t *frame, uint32_t len, uint32_t wire_len, uint64_t time_ns, uint32_t flags)
{
    struct script_frame *to = &script.frames[script.count];

    if (script.count == SCRIPT_FRAMES || len > SCRIPT_BYTES - script.used)
        return false;
    to->start = script.used;
    to->len = len;
    to->wire_len = wire_len < len ? len : wire_len;
    to->flags = flags;
    to->time_ns = time_ns;
    memcpy(script.bytes + script.used, frame, len);
    script.used += len;
    script.count++;
    return true;
}

void script_write(const char *path)
{
    static const uint32_t header[6] = {0xa1b23c4d, 0x00040002, 0, 0, 262144, 1};
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL && fwrite(header, sizeof header, 1, file) == 1, "%s cannot be written", path);
    for (uint32_t i = 0; i < script.count; i++) {
        const struct script_frame *frame = &script.frames[i];
        const uint32_t record[4] = {(uint32_t)(frame->time_ns / 1000000000), (uint32_t)(frame->time_ns % 1000000000),
                                    frame->len, frame->wire_len};

        CHECK(fwrite(record, sizeof record, 1, file) == 1, "%s cannot be written", path);
        CHECK(fwrite(script.bytes + frame->start, 1, frame->len, file) == frame->len, "%s cannot be written", path);
    }
    CHECK(fclose(file) == 0, "%s cannot be written", path);
}
