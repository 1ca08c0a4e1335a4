/* Packets that the capture missed while the ends had them. What was captured
 * has to come, and the flow has to go on and to end (02-monitor.md section 4:
 * "loss between the wire and the stack must not wedge a flow"). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static char bytes[2000];
static long got[2], lost[2]; /* by buffer */
static unsigned reason;

static void read_all(mctx_t m, int sock, int side)
{
    char buffer[4096];
    ssize_t n;
    while ((n = mtcp_peek(m, sock, side, buffer, sizeof buffer)) != 0) {
        if (n < 0)
            lost[side] -= (long)n;
        else
            got[side] += (long)n;
    }
}

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)event, (void)arg;
    read_all(m, sock, side);
}

static void on_end(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_flow_info info;
    (void)event, (void)arg;
    read_all(m, sock, side);
    if (mos_flow_info(m, sock, &info, sizeof info) == 0)
        reason = info.end_reason;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    got[0] = got[1] = lost[0] = lost[1] = 0;
    reason = 0;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end));
}

static void expect(long up, long up_lost, long down, long down_lost, unsigned why)
{
    play(NULL, NULL, setup);
    check_int(got[MOS_SIDE_SVR], up, "what the client sent and was captured");
    check_int(lost[MOS_SIDE_SVR], up_lost, "what of it was missed");
    check_int(got[MOS_SIDE_CLI], down, "what the server sent and was captured");
    check_int(lost[MOS_SIDE_CLI], down_lost, "what of it was missed");
    check_int(reason, why, "how it ended");
}

/* The other ends' words are missed, not lost. */
static void missed(struct talk *t, uint32_t up, uint32_t down)
{
    t->next[0] += up;
    t->next[1] += down;
}

static void open_with(struct talk *t, const char *name, uint32_t window)
{
    scene(name);
    script_begin();
    talk_init(t, 1);
    t->window[1] = (uint16_t)window;
    say_hello(t);
    script_burst(0);
}

int main(void)
{
    struct talk t;

    open_with(&t, "a window update is missed, data begin right at the old edge", 4000);
    for (int i = 0; i < 4; i++)
        say(&t, 0, ACK, bytes, 1000);
    script_burst(0);
    say(&t, 0, ACK, bytes, 1000);
    say(&t, 0, ACK, bytes, 1000);
    script_burst(0);
    say(&t, 1, ACK, NULL, 0);
    say_goodbye(&t, 0);
    expect(6000, 0, 0, 0, MOS_END_FIN);

    open_with(&t, "the end of a zero window is missed", 1000);
    say(&t, 0, ACK, bytes, 1000);
    t.window[1] = 0;
    say(&t, 1, ACK, NULL, 0);
    t.window[1] = 1000;
    say(&t, 0, ACK, bytes, 1000);
    say(&t, 1, ACK, NULL, 0);
    say_goodbye(&t, 0);
    expect(2000, 0, 0, 0, MOS_END_FIN);

    open_with(&t, "the last request and its answer are missed", 65535);
    say_text(&t, 0, "hello");
    say_text(&t, 1, "hello");
    missed(&t, 100, 100);
    say_goodbye(&t, 0);
    expect(5, 100, 5, 100, MOS_END_FIN);

    open_with(&t, "the last request and its answer are missed, keep-alives", 65535);
    say_text(&t, 0, "hello");
    say_text(&t, 1, "hello");
    missed(&t, 100, 100);
    for (int i = 0; i < 10; i++) {
        say(&t, 0, ACK, NULL, 0);
        say(&t, 1, ACK, NULL, 0);
    }
    say(&t, 0, RST | ACK, NULL, 0);
    expect(5, 100, 5, 100, MOS_END_RESET);

    open_with(&t, "more than the window is missed before the end", 65535);
    say_text(&t, 0, "hello");
    missed(&t, 70000, 0);
    say(&t, 1, ACK, NULL, 0);
    say_goodbye(&t, 0);
    expect(5, 70000, 0, 0, MOS_END_FIN);

    open_with(&t, "more than the window is missed of both", 65535);
    say_text(&t, 0, "hello");
    say_text(&t, 1, "hello");
    missed(&t, 70000, 70000);
    for (int i = 0; i < 100; i++) {
        say(&t, 0, ACK, bytes, 1000);
        say(&t, 1, ACK, bytes, 1000);
    }
    say_goodbye(&t, 0);
    expect(100005, 70000, 100005, 70000, MOS_END_FIN);

    for (int flying = 1; flying <= 12; flying += 11) {
        open_with(&t, flying > 1 ? "the same with twelve segments in flight" : "the same with one segment in flight", 65535);
        say_text(&t, 0, "hello");
        say_text(&t, 1, "hello");
        missed(&t, 70000, 70000);
        /* Each end sees what the other sent `flying` segments ago. */
        uint32_t next[2] = { t.next[0], t.next[1] };
        for (int i = 0; i < 300; i++)
            for (int side = 0; side < 2; side++) {
                int seen = i > flying ? i - flying : 0;
                say_at(&t, side, ACK, next[side] + 1000u * (uint32_t)i, next[1 - side] + 1000u * (uint32_t)seen, bytes, 1000);
                t.next[side] = next[side] + 1000u * (uint32_t)(i + 1);
            }
        say(&t, 0, ACK, NULL, 0);
        say(&t, 1, ACK, NULL, 0);
        say_goodbye(&t, 0);
        expect(300005, 70000, 300005, 70000, MOS_END_FIN);
    }

    scene("SYN/ACK, ACK and the request are missed: a download");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    missed(&t, 100, 1);
    for (int i = 0; i < 100; i++) {
        say(&t, 1, ACK, bytes, 1000);
        say(&t, 0, ACK, NULL, 0);
    }
    say_goodbye(&t, 1);
    expect(0, 100, 100000, 0, MOS_END_FIN);

    scene("SYN/ACK, ACK and the request are missed: more requests");
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    missed(&t, 100, 1);
    for (int i = 0; i < 20; i++) {
        say(&t, 1, ACK, bytes, 1000);
        say(&t, 0, ACK, NULL, 0);
        say(&t, 0, ACK, bytes, 50);
    }
    say_goodbye(&t, 0);
    expect(1000, 100, 20000, 0, MOS_END_FIN);

    open_with(&t, "the last ACK is captured before the FIN that it is for", 65535);
    say(&t, 0, FIN | ACK, NULL, 0);
    say_at(&t, 0, ACK, t.next[0], t.next[1] + 1, NULL, 0);
    say(&t, 1, FIN | ACK, NULL, 0);
    expect(0, 0, 0, 0, MOS_END_FIN);
    return finish();
}
