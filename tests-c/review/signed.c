/* A connection whose ends sign their segments (RFC 2385): one without a
 * signature is none of theirs, however well its numbers fit, also in the middle
 * of the stream where the next segment is foreseen. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/scene.h"

static int packets;

static void on_packet(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg)
{
    (void)m, (void)sock, (void)side, (void)event, (void)arg;
    packets++;
}

static void setup(mctx_t m)
{
    int sock = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    read_clear();
    packets = 0;
    WORKS(mtcp_register_callback(m, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, read_on));
    WORKS(mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_packet));
}

static void say_signed(struct talk *t, int side, int flags, const char *payload)
{
    static const uint8_t option[20] = { 1, 1, 19, 18, 0xd1, 0x9e, 0x57 };
    uint8_t frame[256];
    uint32_t length = (uint32_t)strlen(payload);
    script_add(0, frame,
               make_tcp(frame, t, side, flags, t->next[side], t->next[1 - side], option, sizeof option, payload, length));
    t->next[side] += length + !!(flags & SYN) + !!(flags & FIN);
}

static void conversation(const char *name, int bursts)
{
    struct talk t;
    scene(name);
    script_begin();
    talk_init(&t, 1);
    say_signed(&t, 0, SYN, "");
    say_signed(&t, 1, SYN | ACK, "");
    say_signed(&t, 0, ACK, "");
    for (int i = 0; i < 3; i++) {
        say_signed(&t, 0, ACK | PSH, "yes");
        /* the next number, acknowledging what is right: but not signed */
        say_at(&t, 0, ACK | PSH, t.next[0], t.next[1], "NO!", 3);
        if (bursts)
            script_burst(0);
        say_signed(&t, 1, ACK, "");
        say_at(&t, 1, ACK | PSH, t.next[1], t.next[0], "NO!", 3);
    }
    say_signed(&t, 0, FIN | ACK, "");
    say_signed(&t, 1, FIN | ACK, "");
    say_signed(&t, 0, ACK, "");
    play("script:a 0x1", NULL, setup);
    check_str(read_text, "yesyesyes", "what is signed");
    check_int((long long)played.flows_now, 0, "the connection ends by its FINs");
    check_int(packets, 3 + 3 * 4 + 3, "each packet is seen");
}

int main(void)
{
    conversation("one burst", 0);
    conversation("several bursts", 1);
    return finish();
}
