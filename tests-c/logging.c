/*
 * What the library says to people: stat_print, mos_log and log_level of the
 * configuration, MOS_LOG of the environment; and that it prints nothing on
 * standard output.
 */
#include <fcntl.h>
#include <mos_api.h>
#include <mos_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/check.h"
#include "gen/gen.h"

static char folder[] = "/tmp/mos-logging-XXXXXX";
static char buffer[65536];

static char *path_of(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *content(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t got = 0;
    if (file) {
        got = fread(buffer, 1, sizeof buffer - 1, file);
        fclose(file);
    }
    buffer[got] = '\0';
    return buffer;
}

/* Runs a context over the trace; standard error goes to `errors`, standard
 * output to `output`. */
static int run(const char *keys, const char *errors, const char *output)
{
    FILE *config = fopen(path_of("mos.conf"), "w");
    int saved_error = dup(2), saved_output = dup(1), bad = 0;
    mctx_t m;
    if (!config)
        return -1;
    fprintf(config, "mos {\n forward = 0\n netdev { dpdk0 0x1 }\n %s\n}\n", keys);
    fclose(config);
    fflush(stdout);
    if (!freopen(errors, "w", stderr) || !freopen(output, "w", stdout))
        return -1;
    if (mtcp_init(path_of("mos.conf")) != 0) {
        bad = -1;
    } else {
        m = mtcp_create_context(0);
        if (m && mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) >= 0)
            mtcp_app_join(m);
        else
            bad = -1;
        mtcp_destroy();
    }
    fflush(stdout);
    fflush(stderr);
    dup2(saved_error, 2);
    dup2(saved_output, 1);
    close(saved_error);
    close(saved_output);
    clearerr(stdout);
    return bad;
}

int main(void)
{
    struct gen_options options;
    struct gen_trace *trace;
    struct stat info;
    char keys[1024], variable[600];
    gen_defaults(&options);
    options.flows = options.concurrent = 20;
    trace = gen_make(&options);
    if (!mkdtemp(folder) || !trace || gen_write_pcap(trace, path_of("t.pcap"), 1) != 0)
        return 1;
    snprintf(variable, sizeof variable, "dpdk0=pcap:%s", path_of("t.pcap"));
    setenv("MOS_NETDEV", variable, 1);
    unsetenv("MOS_LOG");

    check(run("", path_of("err"), path_of("out")) == 0, "a quiet run works");
    check(content(path_of("err"))[0] == '\0', "… and says nothing on standard error");
    check(content(path_of("out"))[0] == '\0', "… and nothing on standard output");

    snprintf(keys, sizeof keys, "log_level = info\n mos_log = %s/a/b\n stat_print = dpdk0", folder);
    check(run(keys, path_of("err"), path_of("out")) == 0, "a run with stat_print and mos_log works");
    content(path_of("err"));
    check(strstr(buffer, "libmos: context 0 on CPU 0 is made\n") != NULL, "info says that the context is made");
    check(strstr(buffer, "20 flows") != NULL, "… and the totals at its end");
    check(strstr(buffer, "dpdk0: rx ") != NULL && strstr(buffer, " Gbps") != NULL, "stat_print prints rates");
    check(content(path_of("out"))[0] == '\0', "nothing of it on standard output");
    check(stat(path_of("a/b"), &info) == 0 && S_ISDIR(info.st_mode), "mos_log makes its directory");
    content(path_of("a/b/libmos.log"));
    check(strstr(buffer, "20 flows") != NULL && strstr(buffer, "dpdk0: rx ") != NULL, "the file has the same lines");
    check(buffer[4] == '-' && buffer[10] == 'T', "… each with its time");

    check(run("no_such_key = 1", path_of("err"), path_of("out")) == 0, "an unknown key is only a warning");
    check(strstr(content(path_of("err")), "mos.conf:4: ") != NULL, "… with file and line");
    check(run("no_such_key = 1\n log_level = error", path_of("err"), path_of("out")) == 0, "log_level = error");
    check(content(path_of("err"))[0] == '\0', "… keeps warnings back");
    setenv("MOS_LOG", "info", 1);
    check(run("log_level = error", path_of("err"), path_of("out")) == 0, "MOS_LOG=info");
    check(strstr(content(path_of("err")), "is done: ") != NULL, "… wins over the file");
    unsetenv("MOS_LOG");

    snprintf(keys, sizeof keys, "mos_log = %s/t.pcap/x", folder);
    check(run(keys, path_of("err"), path_of("out")) == 0, "a log directory that cannot be made is no error");
    check(strstr(content(path_of("err")), "mos.conf:4: no log file in '") != NULL, "… but a warning with file and line");

    snprintf(keys, sizeof keys, "rm -rf '%s'", folder);
    check(system(keys) == 0, "cleaned up");
    gen_free(trace);
    return finish();
}
