/* Contexts and the life of the library: 02-monitor.md section 8. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "api/scene.h"

#define FAILS_NULL(call, code) (errno = 0, check((call) == NULL && errno == (code), #call " gives NULL and " #code))

static void nothing(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
}

static bool yes(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    return true;
}

/* Every call that takes a context, with one that is wrong. */
static void refused(mctx_t m, int code, const char *kind)
{
    struct timeval second = { 1, 0 };
    struct pkt_info packet;
    struct sockaddr address;
    struct mos_flow_info flow;
    struct iovec piece;
    socklen_t length = sizeof address;
    char buffer[16], what[128];
    int number = 0;
    union monitor_filter filter;
    memset(&filter, 0, sizeof filter);
    memset(&packet, 0, sizeof packet);
#define ONE(call)                                         \
    do {                                                  \
        snprintf(what, sizeof what, "%s: %s", kind, #call); \
        FAILS_AS(call, code, what);                       \
    } while (0)
    ONE(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0));
    ONE(mtcp_close(m, 0));
    ONE(mtcp_bind_monitor_filter(m, 0, &filter));
    ONE(mtcp_register_callback(m, 0, MOS_ON_PKT_IN, MOS_HK_SND, nothing));
    ONE(mtcp_unregister_callback(m, 0, MOS_ON_PKT_IN, MOS_HK_SND));
    ONE(mtcp_raise_event(m, MOS_ON_PKT_IN));
    ONE(mtcp_peek(m, 0, 0, buffer, sizeof buffer));
    ONE(mtcp_ppeek(m, 0, 0, buffer, sizeof buffer, 0));
    ONE(mos_peek_iov(m, 0, 0, &piece, 1));
    ONE(mos_peek_advance(m, 0, 0, 1));
    ONE(mtcp_getlastpkt(m, 0, 0, &packet));
    ONE(mtcp_setlastpkt(m, 0, 0, 0, NULL, 0, MOS_DROP));
    ONE(mtcp_sendpkt(m, 0, &packet));
    ONE(mtcp_settimer(m, 0, &second, nothing));
    ONE(mtcp_getpeername(m, 0, &address, &length, MOS_SIDE_CLI));
    ONE(mtcp_reset_conn(m, 0));
    ONE(mtcp_cb_dropcurpkt(m));
    ONE(mtcp_cb_stop(m, 0, MOS_SIDE_BOTH));
    ONE(mtcp_getsockopt(m, 0, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &number, &length));
    ONE(mtcp_setsockopt(m, 0, SOL_MONSOCKET, MOS_CLIBUF, &number, sizeof number));
    ONE(mos_flow_info(m, 0, &flow, sizeof flow));
    ONE(mtcp_destroy_context(m));
#undef ONE
    errno = 0;
    mtcp_set_uctx(m, 0, NULL);
    snprintf(what, sizeof what, "%s: mtcp_set_uctx", kind);
    check_int(errno, code, what);
    errno = 0;
    void *pointer = mtcp_get_uctx(m, 0);
    snprintf(what, sizeof what, "%s: mtcp_get_uctx", kind);
    check(pointer == NULL && errno == code, what);
    errno = 0;
    uint32_t value = mtcp_cb_get_ts(m);
    snprintf(what, sizeof what, "%s: mtcp_cb_get_ts", kind);
    check(value == 0 && errno == code, what);
    errno = 0;
    value = mtcp_get_connection_cnt(m);
    snprintf(what, sizeof what, "%s: mtcp_get_connection_cnt", kind);
    check(value == 0 && errno == code, what);
    errno = 0;
    mtcp_app_join(m);
    snprintf(what, sizeof what, "%s: mtcp_app_join", kind);
    check_int(errno, code, what);
}

static void before_init(void)
{
    struct mtcp_conf conf;
    struct mos_stats stats;
    struct mtcp_context own = { 0 };
    scene("before mtcp_init");
    memset(&conf, 0, sizeof conf);
    FAILS_NULL(mtcp_create_context(0), EPERM);
    FAILS(mtcp_getconf(&conf), EPERM);
    FAILS(mtcp_setconf(&conf), EPERM);
    FAILS(mtcp_destroy(), EPERM);
    FAILS(mtcp_getconf(NULL), EINVAL);
    FAILS(mtcp_setconf(NULL), EINVAL);
    FAILS(mos_get_stats(&own, -1, &stats, sizeof stats), EINVAL);
    refused(&own, EINVAL, "no context yet");
    refused(NULL, EACCES, "null context");
    check(mtcp_define_event(MOS_ON_PKT_IN, yes, NULL) >= 4096, "events can be defined at any time");
    check(strlen(mos_version()) >= 5, "the version has a name");
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(1);
    }
    fputs(text, file);
    fclose(file);
}

static void init_errors(void)
{
    char folder[] = "/tmp/mos-api-dir-XXXXXX";
    char path[128];
    scene("mtcp_init");
    script_begin();
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        perror(folder);
        exit(1);
    }
    FAILS(mtcp_init("no-such-file.conf"), ENOENT);
    FAILS_AS(mtcp_init(NULL), ENOENT, "without any file");
    FAILS_AS(mtcp_init(folder), EISDIR, "a directory");
    write_file("bad.conf", "mos { netdev { script:a 0x1 }\n max_concurrency = many\n}\n");
    FAILS_AS(mtcp_init("bad.conf"), EINVAL, "a value that is none");
    write_file("empty.conf", "mos { }\n");
    FAILS_AS(mtcp_init("empty.conf"), EINVAL, "no netdev");
    FAILS_AS(mtcp_destroy(), EPERM, "a failed mtcp_init initialises nothing");
    if (geteuid() != 0) {
        write_file("secret.conf", "mos { netdev { script:a 0x1 } }\n");
        chmod("secret.conf", 0);
        FAILS_AS(mtcp_init("secret.conf"), EACCES, "a file that may not be read");
    }
    write_file("mos.conf", "mos { netdev { script:a 0x1 }\n max_concurrency = 11\n}\n");
    mkdir("config", 0755);
    WORKS(mtcp_init(NULL));
    struct mtcp_conf conf;
    WORKS(mtcp_getconf(&conf));
    check_int(conf.max_concurrency, 11, "NULL finds mos.conf");
    FAILS(mtcp_init("mos.conf"), EALREADY);
    WORKS(mtcp_destroy());
    write_file("config/mos.conf", "mos { netdev { script:a 0x1 }\n max_concurrency = 12\n}\n");
    WORKS(mtcp_init(NULL));
    mtcp_getconf(&conf);
    check_int(conf.max_concurrency, 12, "NULL finds config/mos.conf first");
    WORKS(mtcp_destroy());
    write_file("other.conf", "mos { netdev { script:a 0x1 }\n max_concurrency = 13\n}\n");
    setenv("MOS_CONF", "other.conf", 1);
    WORKS(mtcp_init(NULL));
    mtcp_getconf(&conf);
    check_int(conf.max_concurrency, 13, "NULL finds what MOS_CONF names first of all");
    WORKS(mtcp_destroy());
    unsetenv("MOS_CONF");
    FAILS(mtcp_destroy(), EPERM);
    snprintf(path, sizeof path, "rm -r %s", folder);
    if (chdir("/") != 0 || system(path) != 0)
        perror(path);
}

static void devices(void)
{
    scene("interfaces");
    script_begin();
    script[1].open_code = EACCES;
    WORKS(begin("script:a 0x1\nscript:b 0x1", NULL));
    FAILS_NULL(mtcp_create_context(0), EACCES);
    check_int(script[0].opened - script[0].closed, 0, "the interface that was opened is closed again");
    FAILS_NULL(mtcp_create_context(0), EACCES);
    script[1].open_code = 0;
    mctx_t m = mtcp_create_context(0);
    check(m != NULL, "it works once the interface opens");
    mtcp_app_join(m);
    WORKS(mtcp_destroy());
    check_int(script[0].opened - script[0].closed, 0, "mtcp_destroy closes a");
    check_int(script[1].opened - script[1].closed, 0, "mtcp_destroy closes b");

    script_begin();
    WORKS(begin("nowhere0 0x1", NULL));
    FAILS_NULL(mtcp_create_context(0), ENODEV);
    WORKS(mtcp_destroy());
    WORKS(begin("pcap:/tmp/no/such/trace.pcap 0x1", NULL));
    FAILS_NULL(mtcp_create_context(0), ENOENT);
    WORKS(mtcp_destroy());
}

static void creation(void)
{
    struct mtcp_context own;
    struct mos_stats stats;
    scene("creation");
    script_begin();
    WORKS(begin("script:a 0x3", NULL));
    FAILS_NULL(mtcp_create_context(-1), EINVAL);
    FAILS_NULL(mtcp_create_context(2), EINVAL);
    FAILS_NULL(mtcp_create_context(1 << 30), EINVAL);
    mctx_t m = mtcp_create_context(0);
    check(m && m->cpu == 0, "context 0");
    FAILS_NULL(mtcp_create_context(0), EEXIST);
    own.cpu = 1;
    refused(&own, EINVAL, "a core without context");
    own.cpu = 64;
    refused(&own, EINVAL, "a core that cannot be");
    own.cpu = -1;
    refused(&own, EINVAL, "a negative core");
    mctx_t second = mtcp_create_context(1);
    check(second && second->cpu == 1 && second != m, "context 1");
    own.cpu = 0;
    check_int(mtcp_socket(&own, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 0, "a struct of the program's own names the context");
    check_int(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 1, "and it is the same one");
    check_int(mtcp_get_connection_cnt(m), 0, "no connections");
    FAILS(mos_get_stats(m, -1, NULL, sizeof stats), EINVAL);
    FAILS(mos_get_stats(m, -1, &stats, 0), EINVAL);
    FAILS(mos_get_stats(m, 1, &stats, sizeof stats), EINVAL);
    FAILS(mos_get_stats(m, -2, &stats, sizeof stats), EINVAL);
    FAILS(mos_get_stats(NULL, -1, &stats, sizeof stats), EACCES);
    WORKS(mos_get_stats(m, 0, &stats, sizeof stats));
    struct {
        struct mos_stats known;
        unsigned char more[16];
    } larger;
    memset(&larger, 0xee, sizeof larger);
    WORKS(mos_get_stats(m, -1, (struct mos_stats *)&larger, sizeof larger));
    check(larger.more[0] == 0 && larger.more[15] == 0, "what the library does not know is 0");
    memset(&larger, 0xee, sizeof larger);
    WORKS(mos_get_stats(m, -1, (struct mos_stats *)&larger, 8));
    check(larger.known.rx_packets == 0 && larger.known.rx_bytes == 0xeeeeeeeeeeeeeeeeull, "no more than asked for is written");

    WORKS(mtcp_destroy_context(m));
    refused(m, EPERM, "a finished context");
    refused(&own, EPERM, "a finished context named by a struct");
    WORKS(mos_get_stats(m, -1, &stats, sizeof stats));
    FAILS_NULL(mtcp_create_context(0), EEXIST);
    check_int(mtcp_socket(second, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 0, "the other one goes on, with ids of its own");
    WORKS(mtcp_destroy());
    refused(&own, EINVAL, "after mtcp_destroy");
}

/* Several traces in one process. */
static uint64_t streamed;
static int ends;

static void read_all(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    char buffer[512];
    ssize_t got;
    (void)event, (void)arg;
    while ((got = mtcp_peek(m, sock, side, buffer, sizeof buffer)) > 0)
        streamed += (uint64_t)got;
}

static void count_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    ends++;
}

static void read_setup(mctx_t m)
{
    int sock = listen_to(m, AF_INET, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_all));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, count_end));
}

static void many_traces(void)
{
    scene("one trace after another");
    for (unsigned round = 1; round <= 5; round++) {
        struct talk t;
        script_begin();
        streamed = 0;
        ends = 0;
        for (unsigned n = 0; n < round; n++) {
            talk_init(&t, n);
            say_hello(&t);
            say_text(&t, 0, "GET /");
            say_text(&t, 1, "hello, world");
            if (n & 1)
                say_goodbye(&t, 0);
        }
        play(NULL, NULL, read_setup);
        check_int((long long)streamed, round * 17, "all bytes were read");
        check_int(ends, round * 2, "all flows ended");
        check_int((long long)played.flows_total, round, "flows counted");
        check_int((long long)played.flows_now, 0, "none is left");
        check_int((long long)played.memory_now, 0, "no memory is held");
        check_int(script[0].closed, 1, "the interface was closed");
    }
}

/* Ending from everywhere. */
static volatile int timer_ran;
static int destroyed, destroy_result, destroy_code;

static void rearm(mctx_t m, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval interval = { 0, 10000 };
    (void)side, (void)event, (void)arg;
    timer_ran++;
    if (id == 7)
        mtcp_settimer(m, id, &interval, rearm);
}

static void timers_setup(mctx_t m)
{
    struct timeval interval = { 0, 10000 }, never = { 1000000, 0 };
    listen_to(m, AF_INET, 0);
    WORKS(mtcp_settimer(m, 7, &interval, rearm));
    WORKS(mtcp_settimer(m, 8, &never, rearm));
}

static void pending_timers(void)
{
    struct talk t;
    scene("timers at the end of a trace");
    script_begin();
    script_step = 25000000;
    talk_init(&t, 1);
    say_hello(&t);
    timer_ran = 0;
    play(NULL, NULL, timers_setup);
    check(timer_ran > 0, "a timer that re-arms itself ran");
    check_int((long long)played.timers, 2, "and it and another one are pending at the end");
}

static void destroy_here(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)sock, (void)side, (void)event, (void)arg;
    if (destroyed++)
        return;
    errno = 0;
    destroy_result = mtcp_destroy_context(m);
    destroy_code = errno;
    errno = 0;
    mtcp_app_join(m);
    check_int(errno, EPERM, "mtcp_app_join from a handler is EPERM");
    errno = 0;
    check_int(mtcp_destroy(), -1, "mtcp_destroy from a handler does nothing");
    check_int(errno, EPERM, "and is EPERM");
}

static void destroy_setup(mctx_t m)
{
    int sock = listen_to(m, AF_INET, 0);
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, destroy_here));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, count_end));
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
}

static void from_handler(void)
{
    struct talk t;
    scene("destroyed from a handler");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    script_burst(0);
    script[0].live = script[0].held = 1; /* never ends by itself */
    destroyed = ends = 0;
    play(NULL, NULL, destroy_setup);
    check_int(destroy_result, 0, "mtcp_destroy_context works");
    check_int(ends, 2, "the flow ended, both sides were told");
    check_int((long long)played.flows_now, 0, "nothing is left");
}

static mctx_t shared;

static void *destroyer(void *unused)
{
    (void)unused;
    usleep(100000);
    destroy_result = mtcp_destroy_context(shared);
    return NULL;
}

static void from_thread(void)
{
    pthread_t thread;
    struct talk t;
    scene("destroyed from another thread");
    script_begin();
    script[0].live = script[0].held = 1;
    talk_init(&t, 1);
    say_hello(&t);
    ends = 0;
    WORKS(begin(NULL, NULL));
    shared = mtcp_create_context(0);
    int sock = listen_to(shared, AF_INET, 0);
    WORKS(mtcp_register_callback(shared, sock, MOS_ON_CONN_END, MOS_HK_RCV, count_end));
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
    pthread_create(&thread, NULL, destroyer, NULL);
    mtcp_app_join(shared);
    pthread_join(thread, NULL);
    check_int(destroy_result, 0, "it works");
    check_int(ends, 2, "the flow ended, both sides were told");
    FAILS(mtcp_destroy_context(shared), EPERM);
    FAILS(mtcp_destroy_context(shared), EPERM);
    refused(shared, EPERM, "afterwards");
    WORKS(mtcp_destroy());
}

/* mtcp_destroy while another thread is inside mtcp_app_join. */
static void *joining(void *m)
{
    mtcp_app_join((mctx_t)m);
    return NULL;
}

static void destroyed_under_a_joiner(void)
{
    scene("mtcp_destroy while another thread joins");
    for (int round = 0; round < 10; round++) {
        pthread_t thread;
        script_begin();
        script[0].live = 1;
        if (begin(NULL, NULL) != 0)
            break;
        mctx_t m = mtcp_create_context(0);
        pthread_create(&thread, NULL, joining, m);
        usleep(20000);
        if (mtcp_destroy() != 0)
            check(0, "mtcp_destroy");
        pthread_join(thread, NULL);
    }
    check(1, "ends both");
}

/* Many threads destroy at once, while one sets things up. */
static void *many_destroyers(void *unused)
{
    (void)unused;
    mtcp_destroy_context(shared);
    return NULL;
}

static void from_many(void)
{
    scene("destroyed by many threads at once");
    for (int round = 0; round < 20; round++) {
        pthread_t threads[8];
        script_begin();
        script[0].live = 1;
        if (begin(NULL, NULL) != 0)
            break;
        shared = mtcp_create_context(0);
        for (int i = 0; i < 8; i++)
            pthread_create(&threads[i], NULL, many_destroyers, NULL);
        int sock = 0;
        while (sock >= 0)
            sock = mtcp_socket(shared, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
        mtcp_app_join(shared);
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
        if (mtcp_destroy() != 0)
            check(0, "mtcp_destroy");
    }
    check(1, "twenty times without a hang");
}

static void never_joined(void)
{
    scene("never joined");
    script_begin();
    struct talk t;
    talk_init(&t, 1);
    say_hello(&t);
    ends = 0;
    WORKS(begin(NULL, NULL));
    mctx_t m = mtcp_create_context(0);
    read_setup(m);
    usleep(400000);
    check_int((long long)script[0].received, 0, "no trace is read before the application is ready");
    WORKS(mtcp_destroy_context(m));
    check_int((long long)script[0].received, 0, "nor afterwards");
    WORKS(mtcp_destroy());

    /* mtcp_destroy ends what runs. */
    script_begin();
    script[0].live = 1;
    WORKS(begin(NULL, NULL));
    m = mtcp_create_context(0);
    WORKS(mtcp_destroy());
    check_int(script[0].closed, 1, "mtcp_destroy ends a running context");
}

static void *joiner(void *m)
{
    mtcp_app_join((mctx_t)m);
    return NULL;
}

static void without_interface(void)
{
    struct mtcp_conf conf;
    struct talk t;
    pthread_t thread;
    struct mos_stats stats;
    scene("a context without interface");
    script_begin();
    script_step = 1000000;
    talk_init(&t, 1);
    say_hello(&t);
    WORKS(begin("script:a 0x1", NULL));
    memset(&conf, 0, sizeof conf);
    conf.num_cores = 2;
    WORKS(mtcp_setconf(&conf));
    WORKS(mtcp_getconf(&conf));
    check_int(conf.num_cores, 2, "mtcp_setconf allows a second one");
    check_int(conf.max_concurrency, 1000, "and leaves the rest of a cleared structure");
    check_int(conf.tcp_timeout, 30, "timeouts as well");
    mctx_t fed = mtcp_create_context(0), idle = mtcp_create_context(1);
    check(fed && idle, "both exist");
    int sock = listen_to(fed, AF_INET, 0);
    WORKS(mtcp_register_callback(fed, sock, MOS_ON_CONN_END, MOS_HK_RCV, count_end));
    ends = 0;
    pthread_create(&thread, NULL, joiner, idle);
    usleep(50000);
    mtcp_app_join(fed);
    pthread_join(thread, NULL);
    check_int(ends, 2, "the one that has an interface saw the trace");
    WORKS(mos_get_stats(idle, -1, &stats, sizeof stats));
    check_int((long long)stats.rx_packets, 0, "the other one saw nothing and is done as well");
    WORKS(mtcp_destroy());

    script_begin();
    WORKS(begin("script:a 0x1", NULL));
    memset(&conf, 0, sizeof conf);
    conf.num_cores = 2;
    WORKS(mtcp_setconf(&conf));
    idle = mtcp_create_context(1);
    mtcp_app_join(idle);
    check(1, "alone it is done at once");
    WORKS(mtcp_destroy());
}

/* Fewer cores than the masks name, by mtcp_setconf. */
static void fewer_cores(void)
{
    struct mtcp_conf conf;
    struct talk t;
    scene("fewer cores than the masks name");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    talk_init(&t, 2);
    t.input[0] = t.input[1] = 1;
    say_hello(&t);
    WORKS(begin("script:a 0x1\nscript:b 0x2", NULL));
    memset(&conf, 0, sizeof conf);
    conf.num_cores = 1;
    WORKS(mtcp_setconf(&conf));
    mctx_t m = mtcp_create_context(0);
    check(m != NULL, "a context although no core is left for the second interface");
    if (m) {
        int sock = listen_to(m, AF_INET, 0);
        WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, count_end));
        ends = 0;
        mtcp_app_join(m);
        check_int(ends, 2, "it sees its own interface");
    }
    WORKS(mtcp_destroy());
}

static void setconf(void)
{
    struct mtcp_conf conf, other;
    scene("mtcp_setconf");
    script_begin();
    WORKS(begin("script:a 0x3", "max_concurrency = 77\nrmem_size = 4096\nwmem_size = 2048\n"
                                "tcp_tw_interval = 3\ntcp_timeout = 9"));
    WORKS(mtcp_getconf(&conf));
    check_int(conf.num_cores, 2, "num_cores");
    check_int((long long)conf.cpu_mask, 3, "cpu_mask");
    check_int(conf.max_concurrency, 77, "max_concurrency");
    check_int(conf.rcvbuf_size, 4096, "rcvbuf_size");
    check_int(conf.sndbuf_size, 2048, "sndbuf_size");
    check_int(conf.tcp_timewait, 3, "tcp_timewait, in seconds");
    check_int(conf.tcp_timeout, 9, "tcp_timeout, in seconds");
    check_int(conf.num_app, 0, "num_app");

    memset(&other, 0xff, sizeof other); /* all numbers are -1 */
    other.tcp_timeout = -5;
    WORKS(mtcp_setconf(&other));
    memset(&other, 0, sizeof other);
    WORKS(mtcp_getconf(&other));
    check_bytes(&other, &conf, sizeof conf, "negative fields change nothing");

    memset(&other, 0, sizeof other);
    WORKS(mtcp_setconf(&other));
    WORKS(mtcp_getconf(&other));
    check_int(other.tcp_timewait, 0, "a tcp_timewait of 0 is no TIME_WAIT");
    other.tcp_timewait = 3;
    check_bytes(&other, &conf, sizeof conf, "other zeros change nothing");

    memset(&other, 0, sizeof other);
    other.tcp_timeout = -1;
    other.max_concurrency = 5;
    WORKS(mtcp_setconf(&other));
    WORKS(mtcp_getconf(&other));
    check_int(other.tcp_timeout, -1, "a tcp_timeout of -1 is never");
    check_int(other.max_concurrency, 5, "what is said is taken");

    memset(&other, 0, sizeof other);
    other.num_cores = 100000;
    FAILS_AS(mtcp_setconf(&other), EINVAL, "more cores than there are");
    other.num_cores = 1;
    other.max_concurrency = 0x7fffffff;
    FAILS_AS(mtcp_setconf(&other), EINVAL, "too many flows");
    WORKS(mtcp_getconf(&other));
    check_int(other.num_cores, 2, "a refused call changes nothing");

    memset(&other, 0, sizeof other);
    other.num_cores = 1;
    WORKS(mtcp_setconf(&other));
    FAILS_NULL(mtcp_create_context(1), EINVAL);
    WORKS(mtcp_destroy());
}

int main(void)
{
    before_init();
    init_errors();
    devices();
    creation();
    many_traces();
    pending_timers();
    from_handler();
    from_thread();
    destroyed_under_a_joiner();
    from_many();
    never_joined();
    without_interface();
    fewer_cores();
    setconf();
    return finish();
}
