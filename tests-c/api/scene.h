/* Running the library on a script, and a log of what it told its handlers. */
#ifndef SCENE_H
#define SCENE_H

#include <mos_api.h>
#include <mos_ext.h>
#include <mtcp_api.h>
#include <mtcp_util.h>

#include "check.h"
#include "script.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Writes a configuration and calls mtcp_init. `devices` are the lines of the
 *  netdev block (NULL: "script:a 0x1"), `items` further lines of the mos block
 *  (NULL: none). max_concurrency is 1000 unless items name it. Returns what
 *  mtcp_init returned. */
int begin(const char *devices, const char *items);

/** One context on it all: begin, create, setup(m), join, statistics into
 *  `played`, destroy. */
void play(const char *devices, const char *items, void (*setup)(mctx_t m));

extern struct mos_stats played;

/** The log: words, each "hook EVENT side", like "sSTART.c": hook s, r or n;
 *  side c, v (server) or b (both). With `log_sockets` the words of a socket
 *  begin with what tag() said of its listener. */
extern char log_text[1 << 16];
void log_word(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_clear(void);

/** Handlers that log; the event's name comes from its number. */
void at_send(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg);
void at_receive(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg);
void at_null(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg);

/** A handler of NEW_DATA that adds what there is to `read_text`, of both sides in the
 *  order of its coming, "<5 missing>" for a gap; as much as there is room for. */
extern char read_text[256];
void read_on(mctx_t m, int sock, int side, event_t event, filter_arg_t *arg);
void read_clear(void);

/** A listener, with these events logged at every hook where they are legal. */
int listen_to(mctx_t m, int domain, uint64_t events);

/** All built-in events that are raised. */
#define EVERYTHING                                                                                       \
    (MOS_ON_PKT_IN | MOS_ON_CONN_START | MOS_ON_CONN_NEW_DATA | MOS_ON_ERROR | MOS_ON_TCP_STATE_CHANGE | \
     MOS_ON_ORPHAN | MOS_ON_REXMIT | MOS_ON_CONN_END)

const char *event_name(event_t event);

#ifdef __cplusplus
}
#endif

#endif
