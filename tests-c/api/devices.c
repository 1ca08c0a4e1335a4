/* What is said about devices: their options, files that clash, checksums that
 * a card was to fill in, rates. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <sys/stat.h>

#include "api/scene.h"

static char folder[] = "/tmp/mos-api-dev-XXXXXX";
static char said[1 << 16];
static int saved_error = -1;

/* Standard error goes to a file, and from there to `said`. */
static void listen_in(void)
{
    int file = open("said", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    saved_error = dup(2);
    dup2(file, 2);
    close(file);
}

static const char *heard(void)
{
    FILE *file = fopen("said", "r");
    dup2(saved_error, 2);
    close(saved_error);
    size_t got = file ? fread(said, 1, sizeof said - 1, file) : 0;
    if (file)
        fclose(file);
    said[got] = 0;
    return said;
}

static void check_said(const char *text, const char *what)
{
    if (!check(strstr(said, text) != NULL, what))
        check_note("\"%s\" is not in \"%s\"", text, said);
}

static int count_said(const char *text)
{
    int count = 0;
    for (const char *at = said; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* A trace of four packets. */
static size_t trace_size;
static void make_trace(const char *name)
{
    static const uint32_t words[6] = { 0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1 };
    struct talk t;
    FILE *file = fopen(name, "w");
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    say_text(&t, 0, "hello");
    fwrite(words, 24, 1, file);
    for (size_t i = 0; i < script[0].count; i++) {
        uint32_t stamp[4] = { 1700000000u + (uint32_t)i, 0, script[0].frames[i].len, script[0].frames[i].len };
        fwrite(stamp, 16, 1, file);
        fwrite(script[0].frames[i].data, script[0].frames[i].len, 1, file);
    }
    trace_size = (size_t)ftell(file);
    fclose(file);
}

static long long size_of(const char *name)
{
    struct stat info;
    return stat(name, &info) == 0 ? (long long)info.st_size : -1;
}

static void refused(const char *devices, const char *text, const char *what)
{
    listen_in();
    int good = begin(devices, NULL) == 0;
    errno = 0;
    mctx_t m = good ? mtcp_create_context(0) : NULL;
    int code = errno;
    heard();
    check(good && !m && code == EINVAL, what);
    check_said(text, "and it is said why");
    if (good)
        mtcp_destroy();
    check_int(size_of("in1"), (long long)trace_size, "the first trace is untouched");
    check_int(size_of("in2"), (long long)trace_size, "the second trace is untouched");
    check_int(size_of("old"), 5, "an older output is untouched");
}

static void clashes(void)
{
    scene("files that clash");
    make_trace("in1");
    make_trace("in2");
    FILE *file = fopen("old", "w");
    fputs("older", file);
    fclose(file);
    if (symlink("in2", "alias") != 0)
        perror("alias");
    refused("pcap:in1,out=in2 0x1\npcap:in2 0x1", "in2: out= names a trace that another device reads",
            "the output of the first is the input of the second");
    refused("pcap:in2 0x1\npcap:in1,out=in2 0x1", "in2: out= names a trace that another device reads",
            "the same in the other order");
    refused("pcap:in1,out=alias 0x1\nnull: 0x1\npcap:in2,out=old 0x1", "alias: out= names a trace that another device reads",
            "under another name");
    refused("pcap:in1,out=old 0x1\npcap:in2,out=./old 0x1", "./old: two devices have this out=", "one output for two");
    refused("pcap:in1,out=old 0x1\npcap:in2,out=in2 0x1", "in2: out= names the trace that is read", "an input of its own");

    listen_in();
    WORKS(begin("pcap:in1,out=old 0x1\npcap:missing 0x1", NULL));
    check(mtcp_create_context(0) == NULL, "a device that does not open");
    heard();
    WORKS(mtcp_destroy());
    check_int(size_of("old"), 5, "leaves the other's output alone");

    WORKS(begin("pcap:in1,out=old 0x1\npcap:in1 0x1", NULL));
    mctx_t m = mtcp_create_context(0);
    check(m != NULL, "a trace may be read twice");
    mtcp_app_join(m);
    WORKS(mtcp_destroy());
    check_int(size_of("old"), 24, "and the output is emptied when all is well");
}

static void bad_option(const char *what, const char *devices, const char *text)
{
    listen_in();
    errno = 0;
    int result = begin(devices, NULL), code = errno;
    heard();
    check_errno((errno = code, result), -1, EINVAL, what);
    check_said(text, "is said with its line");
    if (result == 0)
        mtcp_destroy();
}

static void options(void)
{
    scene("options are checked by mtcp_init");
    make_trace("in1");
    bad_option("a bad value", "pcap:in1,speed=foo 0x1", ":5: in1: bad option \"speed=foo\": speed= takes a number above 0\n");
    bad_option("an unknown option, in the next line", "null: 0x1\npcap:in1,what 0x1", ":6: in1: bad option \"what\"");
    bad_option("one of an interface", "live:lo,buffer=1 0x1", ":5: lo: bad option \"buffer=1\"");
    bad_option("one of null:", "null:x 0x1", ":5: null:x: null: takes no options");
    bad_option("standard input twice", "pcap:- 0x1\npcap:-,loop=1 0x1",
               ":6: 'pcap:-,loop=1' is the second device to read standard input, which can be read only once");
    setenv("MOS_NETDEV", "script:a=pcap:in1,loop=no", 1);
    bad_option("one of MOS_NETDEV", NULL, "MOS_NETDEV:1: in1: bad option \"loop=no\"");

    setenv("MOS_NETDEV", "script:a=nosuch:dev", 1);
    listen_in();
    WORKS(begin(NULL, NULL));
    heard();
    check_said("MOS_NETDEV:1: no backend is known so far for 'nosuch:dev'", "an unknown scheme is a warning");
    listen_in();
    errno = 0;
    check(mtcp_create_context(0) == NULL && errno == EINVAL, "until the device is opened");
    heard();
    check_said("script:a: nosuch:dev: unknown scheme \"nosuch\"", "which names the device and what replaces it");
    WORKS(mtcp_destroy());
    unsetenv("MOS_NETDEV");
    listen_in();
    WORKS(begin("nosuch:dev 0x1", NULL));
    heard();
    check_said(":5: no backend is known so far for 'nosuch:dev'", "in the file with its line");
    WORKS(mtcp_destroy());

    make_trace("a,b");
    listen_in();
    WORKS(begin("\"pcap:a\\,b,out=c\\,d\" 0x1", NULL));
    mctx_t m = mtcp_create_context(0);
    check(m != NULL, "a comma in a trace's name");
    if (m)
        mtcp_app_join(m);
    WORKS(mtcp_destroy());
    check_str(heard(), "", "and nothing is said");
    check_int(size_of("c,d"), 24, "and in that of an output");
}

/* Checksums that are still to be filled in. */
static void live_traffic(int packets, int bad, const char *items)
{
    struct talk t;
    script_begin();
    talk_init(&t, 1);
    say_hello(&t);
    while (script[0].count < (size_t)packets)
        say_text(&t, 0, "x");
    for (int i = 0; i < bad; i++) {
        struct script_frame *f = &script[0].frames[packets - 1 - i];
        f->data[14 + 20 + 16] ^= 0x55;
    }
    script[0].live = script[0].held = 1;
    listen_in();
    WORKS(begin(NULL, items));
    mctx_t m = mtcp_create_context(0);
    listen_to(m, AF_INET, MOS_ON_CONN_START);
    __atomic_store_n(&script[0].held, 0, __ATOMIC_RELEASE);
    struct mos_stats stats;
    do
        usleep(1000);
    while (mos_get_stats(m, -1, &stats, sizeof stats) == 0 && stats.rx_packets < (uint64_t)packets);
    usleep(20000);
}

static void checksums(void)
{
    scene("unfinished checksums");
    live_traffic(1200, 600, NULL);
    heard();
    check_said("libmos: context 0: ", "while it runs there is a warning");
    check_said("set rx_checksum = 0\n", "which says what to do");
    listen_in();
    WORKS(mtcp_destroy());
    check_str(heard(), "", "once");
    live_traffic(100, 5, NULL);
    check_str(heard(), "", "not yet after a few packets");
    listen_in();
    WORKS(mtcp_destroy());
    heard();
    check_said("libmos: context 0: 5 of 100 packets have a wrong TCP checksum", "5 of 100 are many, at the end");
    check_int(count_said("\n"), 1, "and that is all");
    live_traffic(1300, 64, NULL);
    WORKS(mtcp_destroy());
    check_str(heard(), "", "less than 5 % is not");
    live_traffic(1200, 600, "rx_checksum = 0");
    WORKS(mtcp_destroy());
    check_str(heard(), "", "nor what is not looked at");
}

/* Rates of a run that is over in no time. */
static void no_setup(mctx_t m)
{
    (void)m;
}

static void rates(void)
{
    struct talk t;
    scene("stat_print");
    int bad = 0;
    for (int i = 0; i < 30; i++) {
        script_begin();
        talk_init(&t, 1);
        say_hello(&t);
        say_text(&t, 0, "hello");
        listen_in();
        play("script:a 0x1\nscript:b 0x1\nscript:c 0x1",
             "nic_forward_table { script:a script:b }\nstat_print = script:a script:b script:c", no_setup);
        heard();
        bad += count_said("script:a: rx ") != 1 || count_said("script:b: rx 0.000 Mpps 0.000 Gbps, tx ") != 1 ||
               count_said("script:c: ") != 0;
    }
    if (!check_int(bad, 0, "a line for the device that reads and for the one that writes, each time"))
        check_note("the last time \"%s\"", said);
}

static void end_hosts(void)
{
    scene("type = end");
    FILE *file = fopen("end.conf", "w");
    fputs("application {\n  type = end\n}\nmos { netdev { null: 1 } }\n", file);
    fclose(file);
    listen_in();
    WORKS(mtcp_init("end.conf"));
    check_str(heard(), "end.conf:2: there is no end-host stack in this version: 'type = end' has no effect\n",
              "is said to have no effect");
    WORKS(mtcp_destroy());
}

int main(void)
{
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        perror(folder);
        return 1;
    }
    unsetenv("MOS_LOG");
    script_begin();
    clashes();
    options();
    checksums();
    rates();
    end_hosts();
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (chdir("/") != 0 || system(command) != 0)
        perror(command);
    return finish();
}
