/* Handlers that call whatever there is, on whatever socket there is, with
 * whatever arguments. Nothing may crash or hang, every connection that began
 * ends at most once on each socket, and in the end no memory is held. The seeds
 * are the arguments, or a few fixed ones. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/time.h>
#include <sys/uio.h>

#include "api/scene.h"
#include "gen/gen.h"

static uint64_t state;

static uint32_t dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % sides;
}

static uint32_t rate; /* one call in so many does something */
static event_t own[6];
static int last_socket, calls, depth, timers;

static void act(mctx_t m, int sock, int side);

static void any(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    depth++;
    act(m, sock, side);
    depth--;
}

static void another(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    any(m, sock, side, event, arg);
}

static void reads(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[700];
    int rounds = 0;
    while (mtcp_peek(m, sock, side, buffer, sizeof buffer) != 0 && ++rounds < 200)
        ;
    any(m, sock, side, event, arg);
}

static void due(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    timers--;
    any(m, id, side, event, arg);
}

static bool sometimes(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    any(m, sock, side, event, arg);
    return dice(3) != 0;
}

static int some_socket(int sock)
{
    switch (dice(4)) {
    case 0: return (int)dice((uint32_t)last_socket + 3);
    case 1: return (int)dice(8) - 1;
    default: return sock;
    }
}

static callback_t some_handler(void)
{
    switch (dice(4)) {
    case 0: return NULL;
    case 1: return reads;
    case 2: return another;
    default: return any;
    }
}

static void add_socket(mctx_t m)
{
    static const int domains[] = { AF_INET, AF_INET6, AF_UNSPEC };
    int type = dice(3) ? MOS_SOCK_MONITOR_STREAM : MOS_SOCK_MONITOR_RAW;
    int sock = mtcp_socket(m, domains[dice(3)], type, 0);
    if (sock < 0)
        return;
    if (sock > last_socket)
        last_socket = sock;
    for (uint64_t bit = 1; bit <= MOS_ON_CONN_END; bit <<= 1) {
        if (dice(2))
            mtcp_register_callback(m, sock, bit, MOS_HK_SND, any);
        if (dice(2))
            mtcp_register_callback(m, sock, bit, MOS_HK_RCV, another);
        if (dice(2))
            mtcp_register_callback(m, sock, bit, MOS_NULL, bit == MOS_ON_CONN_NEW_DATA && dice(2) ? reads : any);
    }
}

static void set_packet(mctx_t m, int sock, int side)
{
    static const int actions[] = { MOS_DROP, MOS_OVERWRITE, MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT, 0 };
    static const int parts[] = { MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD, 0 };
    static byte bytes[65536];
    struct pkt_info p;
    uint16_t size = (uint16_t)(dice(3) ? dice(40) : dice(65536));
    int option = actions[dice(6)] | parts[dice(5)];
    off_t offset = dice(20) ? (off_t)dice(64) : (off_t)dice(70000) - 100;
    for (int i = 0; i < 40; i++)
        bytes[i] = (byte)dice(256);
    if (dice(2) && mtcp_getlastpkt(m, sock, side, &p) == 0) {
        /* A total length that may fit. */
        byte total[2];
        unsigned length = p.ip_len + dice(30) - 15;
        total[0] = (byte)(length >> 8);
        total[1] = (byte)length;
        mtcp_setlastpkt(m, sock, side, 2, total, 2, MOS_OVERWRITE | MOS_IP_HDR);
        size = (uint16_t)dice(16);
    }
    if (dice(2))
        option |= MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM;
    mtcp_setlastpkt(m, sock, side, offset, bytes, size, option);
}

static void send_packet(mctx_t m, int sock, int side)
{
    struct pkt_info p;
    static byte bytes[65536];
    if (mtcp_getlastpkt(m, sock, side, &p) != 0)
        return;
    if (dice(3) == 0) {
        p.payload = bytes;
        p.payloadlen = (uint16_t)dice(65536);
    }
    mtcp_sendpkt(m, sock, &p);
}

static void options(mctx_t m, int sock)
{
    static const int names[] = { MOS_CLIBUF, MOS_SVRBUF, MOS_FRAG_CLIBUF, MOS_FRAG_SVRBUF, MOS_CLIOVERLAP,
                                 MOS_SVROVERLAP, MOS_HISTORY, MOS_INFO_CLIBUF, MOS_INFO_SVRBUF, MOS_FRAGINFO_CLIBUF,
                                 MOS_FRAGINFO_SVRBUF, MOS_TIMESTAMP, MOS_TCP_STATE_CLI, MOS_SEQ_REMAP, 77 };
    int name = names[dice(15)];
    if (dice(2)) {
        int value = dice(3) == 0 ? 0 : dice(2) ? 1 : (int)dice(40000) - 100;
        mtcp_setsockopt(m, sock, SOL_MONSOCKET, name, &value, sizeof value);
    } else {
        struct tcp_ring_fragment out[9];
        socklen_t length = dice(2) ? sizeof(struct tcp_buf_info) : dice(2) ? 4 : (socklen_t)dice(sizeof out);
        memset(&out[8], 0x55, sizeof out[8]);
        mtcp_getsockopt(m, sock, SOL_MONSOCKET, name, out, &length);
        if (out[8].len != 0x55555555)
            check(0, "written behind the array");
    }
}

static void look(mctx_t m, int sock, int side)
{
    char buffer[3000];
    struct iovec pieces[4];
    struct sockaddr_in6 names[2];
    socklen_t length = dice(2) ? 2 * sizeof(struct sockaddr) : sizeof names;
    struct mos_flow_info flow;
    struct mos_stats stats;
    switch (dice(7)) {
    case 0: mtcp_peek(m, sock, side, buffer, dice(sizeof buffer)); break;
    case 1: mtcp_ppeek(m, sock, side, buffer, dice(sizeof buffer), dice(5) ? dice(30000) : UINT64_MAX - dice(5)); break;
    case 2: {
        ssize_t n = mos_peek_iov(m, sock, side, pieces, 4);
        volatile char sum = 0;
        for (int i = 0; n > 0 && i < 4; i++)
            for (size_t at = 0; at < pieces[i].iov_len; at++)
                sum = (char)(sum + ((char *)pieces[i].iov_base)[at]);
        mos_peek_advance(m, sock, side, n > 0 ? dice((uint32_t)n + 2) : dice(2) ? dice(100) : SIZE_MAX);
        break;
    }
    case 3: mtcp_getpeername(m, sock, (struct sockaddr *)names, &length, (int)dice(5) - 1); break;
    case 4: mos_flow_info(m, sock, &flow, dice(300) % (sizeof flow + 1)); break;
    case 5: mos_get_stats(m, (int)dice(5) - 2, &stats, sizeof stats); break;
    default:
        mtcp_set_uctx(m, sock, mtcp_get_uctx(m, sock));
        mtcp_cb_get_ts(m);
        mtcp_get_connection_cnt(m);
    }
}

static void act(mctx_t m, int sock, int side)
{
    static char syn[] = "port 80", orphan[] = "tcp", bad[] = "not tcp", raw[] = "ip and greater 100";
    union monitor_filter filter;
    struct timeval soon;
    if (sock > last_socket)
        last_socket = sock;
    if (dice(rate) != 0 || depth > 3)
        return;
    calls++;
    sock = some_socket(sock);
    if (dice(8) == 0)
        side = (int)dice(5) - 1;
    switch (dice(20)) {
    case 0:
        if (dice(4) == 0)
            mtcp_close(m, sock);
        break;
    case 1: {
        int stopped = (int)dice(4);
        mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &stopped, sizeof stopped);
        break;
    }
    case 2: mtcp_cb_stop(m, sock, (int)dice(4) - 1); break;
    case 3:
        if (dice(8) == 0)
            add_socket(m);
        break;
    case 4:
    case 5:
    case 6: {
        event_t event = dice(2) ? own[dice(6)] : (event_t)1 << dice(13);
        static const int hooks[] = { MOS_HK_SND, MOS_HK_RCV, MOS_NULL };
        mtcp_register_callback(m, sock, event, hooks[dice(3)], some_handler());
        break;
    }
    case 7: mtcp_raise_event(m, own[dice(6)]); break;
    case 8:
        if (timers < 50) {
            soon.tv_sec = dice(3) == 0;
            soon.tv_usec = dice(2) ? 0 : (int)dice(5000000);
            timers += mtcp_settimer(m, (int)dice(100), &soon, due) == 0;
        }
        break;
    case 9:
    case 10: set_packet(m, sock, side); break;
    case 11: send_packet(m, sock, side); break;
    case 12: mtcp_reset_conn(m, sock); break;
    case 13:
        memset(&filter, 0, sizeof filter);
        filter.stream_syn_filter = dice(4) ? syn : dice(2) ? bad : raw;
        filter.stream_orphan_filter = dice(2) ? orphan : NULL;
        mtcp_bind_monitor_filter(m, sock, dice(5) ? &filter : NULL);
        break;
    case 14: mtcp_cb_dropcurpkt(m); break;
    case 15:
    case 16: options(m, sock); break;
    default: look(m, sock, side);
    }
}

static void play_seed(uint64_t seed)
{
    char name[64];
    struct gen_options o;
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
    scene(name);
    state = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 10; i++)
        dice(2);
    gen_defaults(&o);
    o.seed = seed;
    o.flows = 150 + dice(300);
    o.concurrent = 1 + dice(o.flows);
    o.data_packets = 1 + dice(40);
    o.frame_min = 60 + dice(200);
    o.frame_max = o.frame_min + dice(dice(2) ? 1300 : 8000);
    o.client_share = dice(101);
    o.ack_every = dice(4);
    o.order = (enum gen_order)dice(3);
    o.burst = 1 + dice(20);
    o.reorder = dice(3) ? 0.1 : 0;
    o.lost = dice(3) ? 0.05 : 0;
    o.rexmit = dice(3) ? 0.05 : 0;
    o.reset = 0.1;
    o.unclosed = 0.2;
    o.ipv6 = dice(2) ? 0.3 : 0;
    o.timestamps = (int)dice(2);
    o.clients = dice(2) ? 0 : 3;
    o.servers = 1 + dice(5);
    o.interval_ns = 1000u << dice(15);
    struct gen_trace *trace = gen_make(&o);
    if (!check(trace != NULL, "a trace"))
        return;
    script_begin();
    for (size_t i = 0; i < trace->frame_count; i++) {
        const struct gen_frame *f = &trace->frames[i];
        uint8_t frame[9100];
        uint32_t length = f->len;
        if (dice(200) == 0)
            continue;
        memcpy(frame, f->data, length);
        int port = (int)dice(2);
        int copies = dice(100) == 0 ? 2 : 1;
        if (dice(150) == 0)
            frame[dice(length < 80 ? length : 80)] ^= (uint8_t)(1 << dice(8));
        while (copies--) {
            if (length > 200 && frame[12] == 8 && frame[13] == 0 && frame[14] == 0x45 && get16(frame + 16) == length - 14 &&
                dice(40) == 0) {
                /* In two fragments, perhaps in the other order. */
                uint8_t part[2][9100];
                uint32_t cut = 8 * (1 + dice((length - 34) / 8 - 1)), size[2] = { 34 + cut, length - cut };
                for (int n = 0; n < 2; n++) {
                    memcpy(part[n], frame, 34);
                    memcpy(part[n] + 34, frame + 34 + (n ? cut : 0), size[n] - 34);
                    put16(part[n] + 16, size[n] - 14);
                    put16(part[n] + 20, n ? cut / 8 : 0x2000);
                    fix_ip_checksum(part[n] + 14);
                }
                int first = (int)dice(2);
                script_clock = f->time_ns;
                script_add(port, part[first], size[first]);
                if (dice(10))
                    script_add(port, part[1 - first], size[1 - first]);
                continue;
            }
            script_clock = f->time_ns;
            struct script_frame *added = script_add(port, frame, length);
            if (dice(300) == 0 && length > 60) {
                added->len = 60 + dice(length - 60);
            }
        }
        if (dice(30) == 0)
            script_burst(port);
    }
    gen_free(trace);

    char items[400];
    snprintf(items, sizeof items,
             "nic_forward_table {\nscript:a script:b\n}\nmax_concurrency = %u\nrmem_size = %u\nrmem_max = %u\n"
             "mem_limit = %u\ntcp_timeout = %u\ntcp_tw_interval = %u\nforward = %u\nfrag_max = %u\nrx_checksum = %u",
             dice(3) ? 1000 : 20, 1000 + dice(10000), 12000 + dice(40000), 200000 + dice(2000000), 1 + dice(5),
             dice(3), dice(4) != 0, 1 + dice(20), dice(2));
    last_socket = calls = depth = timers = 0;
    rate = 1u << dice(8);
    int result = begin("script:a 0x1\nscript:b 0x1", items);
    mctx_t m = result == 0 ? mtcp_create_context(0) : NULL;
    if (!check(m != NULL, "a context"))
        return;
    own[0] = mtcp_define_event(MOS_ON_PKT_IN, sometimes, NULL);
    own[1] = mtcp_define_event(own[0], sometimes, NULL);
    own[2] = mtcp_define_event(MOS_ON_CONN_NEW_DATA, sometimes, NULL);
    own[3] = mtcp_alloc_event(own[0]);
    own[4] = mtcp_alloc_event(own[3]);
    own[5] = mtcp_alloc_event(MOS_ON_CONN_NEW_DATA);
    uint32_t sockets = 1 + dice(5);
    for (uint32_t i = 0; i < sockets; i++)
        add_socket(m);
    for (int i = 0; i < 12; i++) {
        static const int hooks[] = { MOS_HK_SND, MOS_HK_RCV, MOS_NULL };
        mtcp_register_callback(m, (int)dice(sockets), own[dice(6)], hooks[dice(3)], any);
    }
    mtcp_app_join(m);
    memset(&played, 0, sizeof played);
    WORKS(mos_get_stats(m, -1, &played, sizeof played));
    check_int((long long)played.flows_now, 0, "no flow is left");
    check_int((long long)played.memory_now, 0, "no memory is held");
    printf("# %d calls, %llu packets, %llu flows\n", calls, (unsigned long long)played.rx_packets,
           (unsigned long long)played.flows_total);
    WORKS(mtcp_destroy());
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        play_seed(strtoull(argv[i], NULL, 0));
    for (uint64_t seed = 1; argc == 1 && seed <= 24; seed++)
        play_seed(seed);
    script_begin();
    return finish();
}
