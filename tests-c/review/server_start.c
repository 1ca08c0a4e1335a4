/* A server whose SYN/ACK and first segments passed the capture by: its stream
 * begins where its client was first seen to expect it, so that what comes late
 * is delivered, and what never comes is a gap. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static void on_data(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    if (side == MOS_SIDE_CLI)
        read_on(m, sock, side, event, arg);
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    read_clear();
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
}

static struct talk t;
static uint32_t client, server; /* the first numbers of the streams */

static void begin_scene(const char *name)
{
    scene(name);
    script_begin();
    talk_init(&t, 1);
    say(&t, 0, SYN, NULL, 0);
    client = t.next[0];
    server = t.next[1] + 1;
}

/* Segments, by their places in the streams. */
static void from_client(int flags, uint32_t at, uint32_t ack, const char *payload)
{
    say_at(&t, 0, ACK | flags, client + at, server + ack, payload, (uint32_t)strlen(payload));
}

static void from_server(int flags, uint32_t at, uint32_t ack, const char *payload)
{
    say_at(&t, 1, ACK | flags, server + at, client + ack, payload, (uint32_t)strlen(payload));
}

static void end_scene(const char *expected)
{
    play("script:a 0x1", NULL, setup);
    check_str(read_text, expected, "the server's stream");
    check_int((long long)played.flows_total, 1, "flows");
}

/* The server has its request, of `asked` bytes, and goes on behind "helloworld". */
static void end_with_mark(uint32_t asked, const char *expected)
{
    from_client(0, asked, 10, "");
    from_server(PSH, 10, asked, "!");
    from_client(0, asked, 11, "");
    end_scene(expected);
}

int main(void)
{
    begin_scene("the request tells, its answer comes in the wrong order");
    from_client(PSH, 0, 0, "GET");
    from_server(0, 5, 3, "world");
    from_server(0, 0, 3, "hello");
    end_with_mark(3, "helloworld!");
    check_int((long long)played.gaps, 0, "gaps");

    begin_scene("the request tells, and the first bytes were missed");
    from_client(PSH, 0, 0, "GET");
    from_server(0, 5, 3, "world");
    end_with_mark(3, "<5 missing>world!");
    check_int((long long)played.gap_bytes, 5, "bytes in gaps");

    begin_scene("the server speaks first, its client asks for what was before");
    from_server(0, 5, 0, "world");
    from_server(0, 10, 0, "!");
    from_client(0, 0, 0, "");
    from_client(0, 0, 0, "");
    from_server(0, 0, 0, "hello");
    from_client(0, 0, 11, "");
    end_scene("helloworld!");
    check_int((long long)played.gaps, 0, "gaps");

    begin_scene("nobody tells: the stream begins with the first that was seen");
    from_server(0, 5, 0, "world");
    end_with_mark(0, "world!");
    check_int((long long)played.gaps, 0, "gaps");

    begin_scene("the request has a FIN");
    from_client(PSH, 0, 0, "GET");
    from_client(FIN, 3, 0, "");
    from_server(0, 5, 4, "world");
    from_client(0, 4, 0, "");
    from_server(0, 0, 4, "hello");
    from_client(0, 4, 10, "");
    from_server(FIN, 10, 4, "");
    from_client(0, 4, 11, "");
    end_scene("helloworld");
    check_int((long long)played.flows_now, 0, "both FINs have arrived");

    begin_scene("the request was missed, and comes again after its answer");
    from_server(0, 5, 3, "world");
    from_client(PSH, 0, 0, "GET");
    from_server(0, 0, 3, "hello");
    end_with_mark(3, "helloworld!");

    begin_scene("a number of another connection is no start");
    from_server(0, 5, 0, "world");
    from_client(0, 0, (uint32_t)-70000, "");
    end_with_mark(0, "world!");
    check_int((long long)played.gaps, 0, "gaps");

    begin_scene("before any number of the server is known, its client gives up");
    say_at(&t, 1, ACK | PSH, (uint32_t)-5, client + 70000, "of nobody", 9);
    say_at(&t, 0, RST | ACK, client, server, NULL, 0);
    end_scene("");
    check_int((long long)played.flows_now, 0, "the flow has ended");

    begin_scene("nothing of the server: its bytes are no gap");
    from_client(PSH, 0, 0, "GET");
    from_client(0, 3, 10, "");
    from_client(PSH, 3, 10, "GET");
    from_client(0, 6, 20, "");
    end_scene("");
    check_int((long long)played.gaps, 0, "gaps");
    return finish();
}
