/* Signals: 02-monitor.md section 8, mtcp_register_signal. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

#include "api/scene.h"

static mctx_t context;
static volatile sig_atomic_t handled, destroy_result, destroy_code;
static int ends;

static void count(int number)
{
    (void)number;
    handled++;
}

static void destroy_in_handler(int number)
{
    int saved = errno;
    (void)number;
    handled++;
    errno = 0;
    destroy_result = mtcp_destroy_context(context);
    destroy_code = errno;
    errno = saved;
}

static void count_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    ends++;
}

/* A context with one flow and a source that never ends. */
static void start(void)
{
    struct talk t;
    script_begin();
    script[0].live = script[0].held = 1;
    talk_init(&t, 1);
    say_hello(&t);
    handled = ends = 0;
    destroy_result = destroy_code = 99;
    if (begin(NULL, NULL) != 0)
        check(0, "mtcp_init");
}

static void make(void)
{
    context = mtcp_create_context(0);
    int sock = listen_to(context, AF_INET, 0);
    if (mtcp_register_callback(context, sock, MOS_ON_CONN_END, MOS_HK_RCV, count_end) != 0)
        check(0, "registration");
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
}

/* Sends a number of signals from another thread, so that mtcp_app_join is interrupted. */
static struct {
    int number, times;
    useconds_t pause;
    pthread_t thread, target;
    int alive; /* the context worked after the first one */
} sender;

static void *send_signals(void *unused)
{
    (void)unused;
    for (int i = 0; i < sender.times; i++) {
        usleep(sender.pause);
        if (i)
            sender.alive += mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_RAW, 0) >= 0;
        pthread_kill(sender.target, sender.number);
    }
    return NULL;
}

static void send_later(int number, int times, useconds_t pause)
{
    sender.number = number;
    sender.times = times;
    sender.pause = pause;
    sender.alive = 0;
    sender.target = pthread_self();
    pthread_create(&sender.thread, NULL, send_signals, NULL);
}

static void (*installed(int number))(int)
{
    struct sigaction action;
    sigaction(number, NULL, &action);
    return action.sa_handler;
}

static void wind_down(void)
{
    scene("SIGINT without a handler");
    signal(SIGINT, SIG_DFL);
    start();
    make();
    send_later(SIGINT, 1, 100000);
    mtcp_app_join(context);
    check(1, "mtcp_app_join returns");
    check_int(ends, 2, "the flow ended, both sides were told");
    FAILS(mtcp_destroy_context(context), EPERM);
    pthread_join(sender.thread, NULL);
    WORKS(mtcp_destroy());
    check(installed(SIGINT) == SIG_DFL, "mtcp_destroy gives SIGINT back");
}

static void wind_down_process(void)
{
    scene("SIGINT to the process, two contexts");
    signal(SIGINT, SIG_DFL);
    script_begin();
    script[0].live = 1;
    script[1].live = 1;
    if (begin("script:a 0x1\nscript:b 0x2", NULL) != 0)
        check(0, "mtcp_init");
    mctx_t a = mtcp_create_context(0), b = mtcp_create_context(1);
    usleep(50000);
    kill(getpid(), SIGINT);
    mtcp_app_join(a);
    mtcp_app_join(b);
    check(1, "both are done");
    WORKS(mtcp_destroy());
}

static void handler_destroys(int number)
{
    start();
    make();
    check(mtcp_register_signal(number, destroy_in_handler) == SIG_DFL, "the first registration returns the default");
    send_later(number, 1, 100000);
    mtcp_app_join(context);
    pthread_join(sender.thread, NULL);
    check_int(handled, 1, "the handler ran once");
    check_int(destroy_result, 0, "mtcp_destroy_context works in it while mtcp_app_join is interrupted");
    check_int(ends, 2, "the flow ended, both sides were told");
    check(mtcp_register_signal(number, SIG_DFL) == destroy_in_handler, "the next registration returns the handler");
    WORKS(mtcp_destroy());
}

static void handler_decides(void)
{
    scene("SIGINT with a handler that does nothing");
    start();
    make();
    mtcp_register_signal(SIGINT, count);
    send_later(SIGINT, 2, 300000);
    mtcp_app_join(context);
    pthread_join(sender.thread, NULL);
    check_int(sender.alive, 1, "the context went on after the first");
    check_int(handled, 2, "the handler ran twice");
    check_int(ends, 2, "the second within a second ended the context");
    WORKS(mtcp_destroy());

    /* Slow ones do not insist. */
    scene("SIGINT every 1.2 seconds with a handler");
    start();
    make();
    mtcp_register_signal(SIGINT, count);
    send_later(SIGINT, 2, 1200000);
    pthread_join(sender.thread, NULL);
    usleep(100000);
    check_int(handled, 2, "the handler ran twice");
    check(mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_RAW, 0) >= 0, "the context goes on");
    WORKS(mtcp_destroy());
}

static void ignored(void)
{
    scene("SIGINT ignored");
    start();
    make();
    check(mtcp_register_signal(SIGINT, SIG_IGN) == SIG_DFL, "SIG_IGN can be registered");
    send_later(SIGINT, 2, 300000);
    mtcp_app_join(context);
    pthread_join(sender.thread, NULL);
    check_int(sender.alive, 1, "the first is ignored");
    check_int(ends, 2, "the second within a second ends the context in any case");
    WORKS(mtcp_destroy());

    scene("after an interrupted run");
    start();
    make();
    mtcp_register_signal(SIGINT, count);
    send_later(SIGINT, 1, 10000);
    pthread_join(sender.thread, NULL);
    usleep(100000);
    check(mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_RAW, 0) >= 0, "the last run's signals do not count");
    WORKS(mtcp_destroy());
}

static void own_handler(void)
{
    scene("a program's own SIGINT handler");
    signal(SIGINT, count);
    start();
    make();
    check(installed(SIGINT) == count, "mtcp_init leaves it in place");
    send_later(SIGINT, 2, 100000);
    pthread_join(sender.thread, NULL);
    check_int(handled, 2, "it runs");
    check(mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_RAW, 0) >= 0, "the library is not concerned");
    check(mtcp_register_signal(SIGINT, SIG_DFL) == count, "mtcp_register_signal tells about it");
    send_later(SIGINT, 1, 100000);
    mtcp_app_join(context);
    pthread_join(sender.thread, NULL);
    check(1, "the default winds down");
    WORKS(mtcp_destroy());
}

static void registration(void)
{
    scene("mtcp_register_signal");
#define REFUSED(call) (errno = 0, check((call) == SIG_ERR && errno == EINVAL, #call " gives SIG_ERR and EINVAL"))
    REFUSED(mtcp_register_signal(0, count));
    REFUSED(mtcp_register_signal(-1, count));
    REFUSED(mtcp_register_signal(65, count));
    REFUSED(mtcp_register_signal(1000000, count));
    REFUSED(mtcp_register_signal(SIGKILL, count));
    REFUSED(mtcp_register_signal(SIGSTOP, count));
    REFUSED(mtcp_register_signal(SIGINT, SIG_ERR));
    REFUSED(mtcp_register_signal(SIGUSR1, SIG_ERR));
    handled = 0;
    check(mtcp_register_signal(SIGUSR2, count) == SIG_DFL, "another signal");
    raise(SIGUSR2);
    check_int(handled, 1, "its handler runs");
    check(mtcp_register_signal(SIGUSR2, SIG_DFL) == count, "and is returned when it is replaced");

    /* Before mtcp_init. */
    signal(SIGINT, SIG_DFL);
    mtcp_register_signal(SIGINT, count);
    start();
    make();
    raise(SIGINT);
    check_int(handled, 1, "a handler registered before mtcp_init counts");
    usleep(50000);
    check(mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_RAW, 0) >= 0, "and decides");
    WORKS(mtcp_destroy());
    signal(SIGINT, SIG_DFL);
}

/* A handler that destroys while the same thread is inside a setup call: it must not wait for itself. */
static void inside_calls(void)
{
    int good = 0;
    scene("mtcp_destroy_context in a signal handler that interrupted a setup call");
    mtcp_register_signal(SIGALRM, destroy_in_handler);
    for (int round = 0; round < 100; round++) {
        struct itimerval soon;
        start();
        context = mtcp_create_context(0);
        memset(&soon, 0, sizeof soon);
        soon.it_value.tv_usec = 200 + round * 20;
        setitimer(ITIMER_REAL, &soon, NULL);
        int sock;
        union monitor_filter filter;
        memset(&filter, 0, sizeof filter);
        filter.raw_pkt_filter = (char *)(uintptr_t) "tcp port 80 or udp port 53";
        while ((sock = mtcp_socket(context, AF_INET, MOS_SOCK_MONITOR_RAW, 0)) >= 0) {
            mtcp_bind_monitor_filter(context, sock, &filter);
            mtcp_close(context, sock);
        }
        while (!handled)
            usleep(100);
        mtcp_app_join(context);
        good += destroy_result == 0;
        if (mtcp_destroy() != 0)
            check(0, "mtcp_destroy");
    }
    scene("mtcp_destroy_context in a signal handler that interrupted a setup call");
    check_int(good, 100, "a hundred times it works and does not hang");
}

int main(void)
{
    wind_down();
    wind_down_process();
    scene("SIGINT with a handler that destroys the context");
    handler_destroys(SIGINT);
    scene("SIGUSR1 with a handler that destroys the context");
    handler_destroys(SIGUSR1);
    handler_decides();
    ignored();
    own_handler();
    registration();
    inside_calls();
    return finish();
}
