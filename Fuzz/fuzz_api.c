/* Handlers, filters and timers that call whatever there is to call, with good
 * and bad arguments, while packets go by. Whatever they do to sockets, events,
 * buffers and packets, the library survives, writes nowhere else, and leaves
 * nothing behind. The calls come from the end of the input, the packets from
 * its beginning. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include <mtcp_util.h>

#include "check.h"
#include "input.h"
#include "run.h"
#include "script.h"
#include "traffic.h"

#define MAX_EVENTS 160
#define MAX_CALLS 4000
#define HANDLERS 4

static struct input input;
static uint32_t calls;
static bool is_handling;
/* User-defined events belong to the process and never go away. */
static event_t events[MAX_EVENTS];
static uint32_t num_events, num_allocated;

static void act(mctx_t context, int sock, int side);

static void act_several(mctx_t context, int sock, int side, uint32_t most)
{
    uint32_t left = input_back_u8(&input) % (most + 1);

    while (left-- > 0 && calls < MAX_CALLS && !input_is_empty(&input))
        act(context, sock, side);
}

/* Handlers and filters that differ by address, as sets of them do. */
#define HANDLER(n)                                                                                    \
    static void handler_##n(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)     \
    {                                                                                                 \
        CHECK(arg == NULL || arg->len == 0 || arg->arg != NULL, "an argument without bytes");         \
        (void)event;                                                                                  \
        is_handling = true;                                                                           \
        act_several(context, sock, side, n);                                                          \
    }                                                                                                 \
    static bool filter_##n(mctx_t context, int sock, int side, event_t event, filter_arg_t *arg)      \
    {                                                                                                 \
        CHECK(arg == NULL || arg->len == 0 || arg->arg != NULL, "an argument without bytes");         \
        (void)event;                                                                                  \
        act_several(context, sock, side, n / 2);                                                      \
        return input_back_u8(&input) & 1;                                                             \
    }
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
static const callback_t handlers[HANDLERS] = {handler_0, handler_1, handler_2, handler_3};
static const filter_t filters[HANDLERS] = {filter_0, filter_1, filter_2, filter_3};

/* ---- arguments ---------------------------------------------------------- */

static int any_socket(int sock)
{
    static const int odd[4] = {-1, INT_MIN, INT_MAX, 100000};
    const uint8_t choice = input_back_u8(&input);

    return choice < 128 ? sock : choice < 250 ? choice % 24 : odd[choice & 3];
}

static int any_side(int side)
{
    static const int odd[4] = {MOS_SIDE_BOTH, 3, -1, INT_MIN};
    const uint8_t choice = input_back_u8(&input);

    return choice < 100 ? side : choice < 240 ? choice & 1 : odd[choice & 3];
}

static event_t any_event(void)
{
    static const event_t odd[4] = {0, 3, 1ull << 63, 4095};
    const uint8_t choice = input_back_u8(&input);

    if (choice < 100)
        return 1ull << choice % 12;
    if (choice < 246 && num_events)
        return events[input_back_u8(&input) % num_events];
    return odd[choice & 3];
}

static int any_hook(void)
{
    static const int hooks[4] = {MOS_NULL, MOS_HK_SND, MOS_HK_RCV, 0};

    return hooks[input_back_u8(&input) & 3];
}

static int any_number(void)
{
    static const int numbers[16] = {0, 1, 2, 3, 37, 100, 1000, 2048, 8192, 65536, 70000, 1 << 20, 1 << 30, INT_MAX, -1,
                                    INT_MIN};

    return numbers[input_back_u8(&input) & 15];
}

/* Memory of exactly that size; the address sanitizer sees what goes beyond. */
static uint8_t *room(size_t size)
{
    uint8_t *memory = malloc(size ? size : 1);

    CHECK(memory != NULL, "no memory");
    memset(memory, 0xa5, size);
    return memory;
}

/* ---- calls -------------------------------------------------------------- */

static void read_stream(mctx_t context, int sock, int side, uint8_t how)
{
    static const size_t sizes[4] = {0, 1, 37, 70000};
    const size_t size = sizes[how & 3];
    uint8_t *bytes = room(size);
    struct iovec pieces[3];
    ssize_t got;

    switch (how >> 2 & 3) {
    case 0:
        mtcp_peek(context, sock, side, (char *)bytes, size);
        break;
    case 1:
        mtcp_ppeek(context, sock, side, (char *)bytes, size,
                   how & 0x80 ? (uint64_t)input_back_u32(&input) << 32 | input_back_u16(&input) : input_back_u16(&input));
        break;
    case 2:
        got = mos_peek_iov(context, sock, side, pieces, any_number() % 4);
        if (got > 0)
            mos_peek_advance(context, sock, side, how & 0x40 ? input_back_u16(&input) : (size_t)got);
        break;
    default:
        mos_peek_advance(context, sock, side, (size_t)(ssize_t)any_number());
        break;
    }
    free(bytes);
}

static void get_option(mctx_t context, int sock)
{
    const int name = input_back_u8(&input) & 1 ? MOS_HISTORY : input_back_u8(&input) % 20;
    socklen_t length = input_back_u8(&input) % 80;
    const socklen_t size = length;
    uint8_t *value = room(size);

    mtcp_getsockopt(context, sock, input_back_u8(&input) < 250 ? SOL_MONSOCKET : SOL_SOCKET, name,
                    length == 79 ? NULL : value, &length);
    free(value);
}

static void set_option(mctx_t context, int sock)
{
    const uint8_t choice = input_back_u8(&input);
    const int name = choice > 240 ? MOS_HISTORY : choice % 20;
    const int number = any_number();
    const socklen_t length = choice < 220 ? 4 : choice & 7;
    uint8_t *value = room(length);

    memcpy(value, &number, length < 4 ? length : 4);
    mtcp_setsockopt(context, sock, SOL_MONSOCKET, name, value, length);
    free(value);
}

static void define(void)
{
    static const char arguments[] = "0123456789abcdef";
    const uint8_t choice = input_back_u8(&input);
    filter_arg_t arg = {(void *)(uintptr_t)arguments, choice >> 4};
    event_t event;
    uint32_t i;

    if (num_events == MAX_EVENTS)
        return;
    if (choice & 8) {
        if (num_allocated == MAX_EVENTS / 4)
            return;
        event = mtcp_alloc_event(any_event());
        num_allocated += event != MOS_NULL_EVENT;
    } else {
        event = mtcp_define_event(any_event(), choice & 4 ? filters[choice & 3] : filters[0], choice & 1 ? &arg : NULL);
    }
    for (i = 0; i < num_events; i++)
        if (events[i] == event)
            return;
    if (event != MOS_NULL_EVENT)
        events[num_events++] = event;
}

static void set_timer(mctx_t context)
{
    struct timeval wait = {0, input_back_u16(&input)};

    if (wait.tv_usec & 1)
        wait.tv_sec = any_number();
    mtcp_settimer(context, any_number(), &wait, handlers[input_back_u8(&input) % HANDLERS]);
}

static void make_socket(mctx_t context)
{
    static const int families[4] = {AF_INET, AF_INET6, AF_UNSPEC, AF_UNIX};
    const uint8_t choice = input_back_u8(&input);
    const int sock = mtcp_socket(context, families[choice & 3],
                                 choice & 4 ? MOS_SOCK_MONITOR_STREAM : choice & 8 ? MOS_SOCK_MONITOR_RAW : choice >> 4,
                                 0);

    if (sock >= 0)
        mtcp_register_callback(context, sock, any_event(), any_hook(), handlers[choice >> 4 & 3]);
}

static void bind_filter(mctx_t context, int sock)
{
    static const char *const expressions[8] = {"tcp", "host 10.0.0.1", "port 80 and not src 10.0.1.1", "tcp port 80 |",
                                               "ip6", "vlan", "len > 100", ""};
    const uint8_t choice = input_back_u8(&input);
    union monitor_filter filter;
    char text[64];

    snprintf(text, sizeof text, "%s", expressions[choice & 7]);
    memset(&filter, 0, sizeof filter);
    if (choice & 8)
        filter.stream_orphan_filter = text;
    else
        filter.stream_syn_filter = text;
    mtcp_bind_monitor_filter(context, sock, choice & 16 ? NULL : &filter);
}

static void look_at_packet(mctx_t context, int sock, int side)
{
    struct pkt_info packet;
    volatile uint8_t sum = 0;
    uint32_t i;

    if (mtcp_getlastpkt(context, sock, side, &packet) != 0)
        return;
    for (i = 0; i < packet.eth_len; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)packet.ethh)[i]);
    for (i = 0; packet.payload && i < packet.payloadlen; i++)
        sum = (uint8_t)(sum + packet.payload[i]);
    if (input_back_u8(&input) & 1) {
        if (packet.iph && input_back_u8(&input) & 1)
            ((uint8_t *)packet.iph)[input_back_u8(&input) % 20] ^= input_back_u8(&input);
        if (packet.tcph && input_back_u8(&input) & 1)
            ((uint8_t *)packet.tcph)[input_back_u8(&input) % 20] ^= input_back_u8(&input);
        if (input_back_u8(&input) & 1)
            packet.payloadlen = (uint16_t)(packet.payloadlen ? input_back_u16(&input) % packet.payloadlen : 0);
        mtcp_sendpkt(context, any_socket(sock), &packet);
    }
}

static void change_packet(mctx_t context, int sock, int side)
{
    static const int actions[4] = {MOS_OVERWRITE, MOS_CHOMP, MOS_INSERT, MOS_DROP};
    const uint8_t choice = input_back_u8(&input);
    const uint16_t length = choice & 0x80 ? input_back_u16(&input) : input_back_u8(&input) % 40;
    uint8_t *data = room(length);
    int options = actions[choice & 3] | (choice & 4 ? MOS_UPDATE_IP_CHKSUM : 0) | (choice & 8 ? MOS_UPDATE_TCP_CHKSUM : 0);

    options |= 1 << (choice >> 4 & 3);
    if (choice & 0x40 && input_back_u8(&input) < 40)
        options = input_back_u16(&input);
    for (uint32_t i = 0; i < length && i < 8; i++)
        data[i] = input_back_u8(&input);
    mtcp_setlastpkt(context, sock, side, choice == 255 ? (off_t)any_number() : input_back_u8(&input) % 64, data, length,
                    options);
    free(data);
}

static void ask_names(mctx_t context, int sock, int side)
{
    static const socklen_t lengths[4] = {16, 32, 28, 56};
    const uint8_t choice = input_back_u8(&input);
    socklen_t length = choice < 240 ? lengths[choice & 3] : choice;
    uint8_t *names = room(length);
    struct mos_flow_info info;

    mtcp_getpeername(context, sock, (struct sockaddr *)(void *)names, &length, side);
    free(names);
    names = room(choice);
    mos_flow_info(context, sock, (struct mos_flow_info *)(void *)names, choice);
    mos_flow_info(context, sock, &info, sizeof info);
    free(names);
}

static void ask_context(mctx_t context, int sock)
{
    struct mos_stats stats;
    struct mtcp_conf conf;

    mos_get_stats(context, any_number() % 3, &stats, input_back_u8(&input));
    mtcp_cb_get_ts(context);
    mtcp_get_connection_cnt(context);
    if (mtcp_getconf(&conf) == 0)
        mtcp_setconf(&conf);
    mtcp_set_uctx(context, sock, &calls);
    mtcp_get_uctx(context, any_socket(sock));
    if (is_handling)
        CHECK(mtcp_destroy() == -1 && errno == EPERM, "a handler destroys the library");
}

static void use_as_host(mctx_t context, int sock)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 80};
    socklen_t length = sizeof address;
    char bytes[16] = {0};
    int number = 1;

    mtcp_connect(context, sock, (struct sockaddr *)&address, sizeof address);
    mtcp_bind(context, sock, (struct sockaddr *)&address, sizeof address);
    mtcp_listen(context, sock, 5);
    mtcp_setsock_nonblock(context, sock);
    mtcp_ioctl(context, sock, FIONBIO, &number);
    mtcp_accept(context, sock, NULL, NULL);
    mtcp_getsockname(context, sock, (struct sockaddr *)&address, &length);
    mtcp_read(context, sock, bytes, sizeof bytes);
    mtcp_write(context, sock, bytes, sizeof bytes);
    mtcp_abort(context, sock);
}

static void act(mctx_t context, int sock, int side)
{
    const uint8_t op = input_back_u8(&input);
    const int some = any_socket(sock);

    calls++;
    switch (op % 24) {
    case 0:
    case 1:
    case 2: read_stream(context, some, any_side(side), input_back_u8(&input)); break;
    case 3: get_option(context, some); break;
    case 4:
    case 5: set_option(context, some); break;
    case 6:
    case 7:
    case 8:
        mtcp_register_callback(context, some, any_event(), any_hook(), handlers[input_back_u8(&input) % HANDLERS]);
        break;
    case 9: mtcp_unregister_callback(context, some, any_event(), any_hook()); break;
    case 10:
    case 11: define(); break;
    case 12:
    case 13: mtcp_raise_event(context, any_event()); break;
    case 14: set_timer(context); break;
    case 15: mtcp_close(context, some); break;
    case 16: make_socket(context); break;
    case 17: bind_filter(context, some); break;
    case 18: look_at_packet(context, some, any_side(side)); break;
    case 19:
    case 20: change_packet(context, some, any_side(side)); break;
    case 21: ask_names(context, some, any_side(side)); break;
    case 22: ask_context(context, some); break;
    default:
        if (op > 230)
            mtcp_destroy_context(context);
        else if (op > 128)
            use_as_host(context, some);
        else
            mtcp_close(context, any_socket(sock));
        break;
    }
}

static void set_up(mctx_t context)
{
    static const int hooks[2] = {MOS_HK_SND, MOS_HK_RCV};
    const int raw = mtcp_socket(context, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    int i, bit;

    if (input_back_u8(&input) & 1)
        mtcp_register_callback(context, raw, MOS_ON_PKT_IN, MOS_NULL, handler_1);
    else
        mtcp_close(context, raw);
    for (i = 0; i < 2; i++) {
        const int sock = mtcp_socket(context, i ? AF_INET : AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

        CHECK(sock >= 0, "errno %d", errno);
        for (bit = 0; bit < 12; bit++) {
            const event_t event = 1ull << bit;

            mtcp_register_callback(context, sock, event, MOS_NULL, handlers[1 + (bit + i) % 3]);
            mtcp_register_callback(context, sock, event, hooks[0], handlers[1 + bit % 3]);
            mtcp_register_callback(context, sock, event, hooks[1], handlers[1 + bit % 2]);
        }
    }
    while (input_back_u8(&input) & 3 && calls < MAX_CALLS && !input_is_empty(&input))
        act(context, 1, 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    run_prepare();
    script_register();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t bursts[4] = {64, 1, 3, 17};
    struct run_settings settings = {64, 2048, 65536, 1 << 20, 30, 0, true, true, false};
    struct traffic traffic;
    struct mos_stats stats;
    struct input program;

    /* The first half makes packets, so that there is something left for handlers. */
    program.front = data;
    program.back = data + size / 2;
    input.front = data + size / 2;
    input.back = data + size;
    calls = 0;
    is_handling = false;
    script_reset();
    script.burst = bursts[input_back_u8(&input) & 3];
    settings.max_concurrency = input_back_u8(&input) & 1 ? 4 : 64;
    settings.mem_limit = input_back_u8(&input) & 1 ? 65536 : 1 << 20;
    settings.tcp_tw_interval = input_back_u8(&input) & 1;
    traffic_run(&traffic, &program);
    run_script(&settings, set_up, &stats);
    return 0;
}
