#include "scene.h"

#include <stdlib.h>

int checks, failures;
const char *scene_name = "";
struct mos_stats played;
char log_text[1 << 16];
static size_t log_used;

int begin(const char *devices, const char *items)
{
    char path[] = "/tmp/mos-api-XXXXXX";
    int descriptor = mkstemp(path);
    if (descriptor < 0) {
        perror(path);
        exit(1);
    }
    FILE *file = fdopen(descriptor, "w");
    fprintf(file, "mos {\n");
    if (!items || !strstr(items, "max_concurrency"))
        fprintf(file, "max_concurrency = 1000\n");
    fprintf(file, "%s\nnetdev {\n%s\n}\n}\n", items ? items : "", devices ? devices : "script:a 0x1");
    fclose(file);
    int result = mtcp_init(path);
    int saved = errno;
    unlink(path);
    errno = saved;
    return result;
}

void play(const char *devices, const char *items, void (*setup)(mctx_t m))
{
    memset(&played, 0, sizeof played);
    if (begin(devices, items) != 0) {
        check(0, "mtcp_init");
        return;
    }
    mctx_t m = mtcp_create_context(0);
    if (!m) {
        check(0, "mtcp_create_context");
        mtcp_destroy();
        return;
    }
    setup(m);
    mtcp_app_join(m);
    if (mos_get_stats(m, -1, &played, sizeof played) != 0)
        check(0, "mos_get_stats");
    mtcp_destroy_context(m);
    mtcp_destroy();
}

void log_clear(void)
{
    log_used = 0;
    log_text[0] = 0;
}

void log_word(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    if (log_used && log_used + 1 < sizeof log_text)
        log_text[log_used++] = ' ';
    int n = vsnprintf(log_text + log_used, sizeof log_text - log_used, format, list);
    if (n > 0)
        log_used += (size_t)n;
    if (log_used >= sizeof log_text)
        log_used = sizeof log_text - 1;
    va_end(list);
}

const char *event_name(event_t event)
{
    switch (event) {
    case MOS_ON_PKT_IN: return "IN";
    case MOS_ON_CONN_START: return "START";
    case MOS_ON_CONN_NEW_DATA: return "DATA";
    case MOS_ON_ERROR: return "ERROR";
    case MOS_ON_TCP_STATE_CHANGE: return "STATE";
    case MOS_ON_ORPHAN: return "ORPHAN";
    case MOS_ON_REXMIT: return "REXMIT";
    case MOS_ON_CONN_END: return "END";
    default: return "?";
    }
}

static void note(char hook, int side, event_t event)
{
    log_word("%c%s.%c", hook, event_name(event), side == MOS_SIDE_CLI ? 'c' : side == MOS_SIDE_SVR ? 'v' : 'b');
}

void at_send(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)arg;
    note('s', side, event);
}

void at_receive(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)arg;
    note('r', side, event);
}

void at_null(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)arg;
    note('n', side, event);
}

int listen_to(mctx_t m, int domain, uint64_t events)
{
    int sock = mtcp_socket(m, domain, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0) {
        check(0, "a listener");
        return sock;
    }
    for (uint64_t bit = 1; bit <= MOS_ON_DEBUG_MESSAGE; bit <<= 1) {
        if (!(events & bit))
            continue;
        if (bit & (MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR | MOS_ON_ORPHAN)) {
            if (mtcp_register_callback(m, sock, bit, MOS_NULL, at_null) != 0)
                check(0, "registration at MOS_NULL");
            continue;
        }
        if (mtcp_register_callback(m, sock, bit, MOS_HK_RCV, at_receive) != 0)
            check(0, "registration at MOS_HK_RCV");
        /* REXMIT is never raised at the sender. */
        if (bit != MOS_ON_REXMIT && mtcp_register_callback(m, sock, bit, MOS_HK_SND, at_send) != 0)
            check(0, "registration at MOS_HK_SND");
    }
    return sock;
}

char read_text[256];
static size_t read_size;

void read_clear(void)
{
    read_size = 0;
    read_text[0] = 0;
}

void read_on(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    ssize_t n = 1;
    (void)event, (void)arg;
    while (read_size + 1 < sizeof read_text && n != 0) {
        char *at = read_text + read_size;
        size_t room = sizeof read_text - read_size;
        n = mtcp_peek(m, sock, side, at, room - 1);
        if (n < 0 && errno != ENODATA)
            break;
        if (n < 0)
            snprintf(at, room, "<%d missing>", (int)-n);
        else
            at[n] = 0;
        read_size += strlen(at);
    }
}
