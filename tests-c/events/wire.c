#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static wire_fill current_fill;
static uint8_t room[MOS_IO_BURST][1514];

static int wire_open(const char *spec, uint32_t queues, void **port, struct mos_io_info *info, char *error,
                     size_t error_size)
{
    (void)spec, (void)queues, (void)error, (void)error_size;
    memset(info, 0, sizeof *info);
    info->num_queues = 1;
    info->is_trace = 1;
    info->mtu = 1500;
    *port = room;
    return 0;
}

static int wire_recv(void *port, uint32_t queue, struct mos_io_frame *frames, uint32_t max)
{
    (void)port, (void)queue;
    return current_fill(frames, max);
}

static uint8_t *wire_tx_frame(void *port, uint32_t queue, uint32_t length)
{
    static uint8_t sink[65536];
    (void)port, (void)queue;
    return length <= sizeof sink ? sink : NULL;
}

static int wire_tx_send(void *port, uint32_t queue, uint8_t *frame, uint32_t length, uint64_t time_ns)
{
    (void)port, (void)queue, (void)frame, (void)length, (void)time_ns;
    return 0;
}

static int wire_tx_forward(void *port, uint32_t queue, const struct mos_io_frame *frame)
{
    (void)port, (void)queue, (void)frame;
    return 0;
}

static void wire_close(void *port)
{
    (void)port;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static void describe(struct mos_io_frame *frame, uint32_t at, uint32_t length, uint64_t time_ns)
{
    memset(frame, 0, sizeof *frame);
    frame->data = room[at];
    frame->len = frame->wire_len = length;
    frame->time_ns = time_ns;
    /* Nobody looks at checksums here. */
    frame->flags = MOS_IO_IP_CSUM_OK | MOS_IO_L4_CSUM_OK;
}

static uint8_t *put_ip(uint32_t at, const struct wire_packet *packet, uint32_t total, uint8_t protocol)
{
    uint8_t *ip = room[at] + 14;
    memset(room[at], 0, 14 + 40);
    room[at][5] = 2;
    room[at][11] = 1;
    put16(room[at] + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, total);
    ip[8] = 64;
    ip[9] = protocol;
    put32(ip + 12, packet->source);
    put32(ip + 16, packet->destination);
    put16(ip + 20, packet->source_port);
    put16(ip + 22, packet->destination_port);
    return ip;
}

void wire_frame(struct mos_io_frame *frame, uint32_t at, const struct wire_packet *packet)
{
    uint32_t total = 40 + packet->length;
    uint8_t *ip = put_ip(at, packet, total, 6);
    put32(ip + 24, packet->sequence);
    put32(ip + 28, packet->acknowledgement);
    ip[32] = 5 << 4;
    ip[33] = (uint8_t)packet->flags;
    put16(ip + 34, 65535);
    for (uint32_t i = 0; i < packet->length; i++)
        ip[40 + i] = (uint8_t)(packet->sequence + i);
    describe(frame, at, 14 + total, packet->time_ns);
}

void wire_udp(struct mos_io_frame *frame, uint32_t at, const struct wire_packet *packet)
{
    uint8_t *ip = put_ip(at, packet, 36, 17);
    put16(ip + 24, 16);
    describe(frame, at, 14 + 36, packet->time_ns);
}

mctx_t wire_start(wire_fill fill, const char *items)
{
    static const struct mos_io_ops ops = {
        MOS_IO_ABI, "wire", wire_open, wire_recv, NULL, wire_tx_frame,
        wire_tx_send, wire_tx_forward, NULL, NULL, wire_close,
    };
    static int registered;
    char path[] = "/tmp/mos-events-XXXXXX";
    if (!registered) {
        registered = 1;
        unsetenv("MOS_NETDEV");
        unsetenv("MOS_CONF");
        if (mos_io_register(&ops) != 0) {
            perror("mos_io_register");
            exit(1);
        }
    }
    current_fill = fill;
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file) {
        perror(path);
        exit(1);
    }
    fprintf(file, "mos {\nforward = 0\n%s\nnetdev {\nwire:x 0x1\n}\n}\n", items ? items : "");
    fclose(file);
    int result = mtcp_init(path);
    unlink(path);
    mctx_t m = result == 0 ? mtcp_create_context(0) : NULL;
    if (!m) {
        perror(result == 0 ? "mtcp_create_context" : "mtcp_init");
        exit(1);
    }
    return m;
}

void wire_stop(mctx_t m)
{
    mtcp_destroy_context(m);
    mtcp_destroy();
}
