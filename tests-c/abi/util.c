/* The other helpers: words of a command line, names of events, CPUs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "mtcp_epoll.h"
#include "mtcp_util.h"
#include "check.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#ifdef __cplusplus
extern "C"
#endif
int GetNumCPUs(void); /* as programs for mOS declare it */

/* Splits line into at most room words and compares them, written one after
 * another with a bar behind each. */
static void splits(const char *line, int room, int result, int error, const char *wanted)
{
    char copy[256], got[512] = "", what[1024];
    char *words[10];
    int i, count = 77, outcome, behind = 1;

    for (i = 0; i < 10; i++)
        words[i] = (char *)&behind;
    snprintf(copy, sizeof(copy), "%s", line);
    errno = 0;
    outcome = StrToArgs(copy, &count, words, room);
    for (i = 0; i < count && i < room; i++) {
        strcat(got, words[i]);
        strcat(got, "|");
    }
    if (outcome == 0 && count < room)
        behind = words[count] == NULL;
    for (i = room; i < 10; i++)
        behind &= words[i] == (char *)&behind;
    snprintf(what, sizeof(what), "<%s> in %d gives <%s>", line, room, got);
    for (i = 0; what[i] != 0; i++)
        if (what[i] == '\n')
            what[i] = ' ';
    check(outcome == result && errno == error && strcmp(got, wanted) == 0 && behind, what);
}

static void words(void)
{
    char line[] = "a";
    char *argv[1];
    int argc;

    splits("", 4, 0, 0, "");
    splits(" \t\n ", 4, 0, 0, "");
    splits("midstat", 4, 0, 0, "midstat|");
    splits("midstat -c 2", 4, 0, 0, "midstat|-c|2|");
    splits("  a\tb  ", 4, 0, 0, "a|b|");
    splits("a b c", 3, 0, 0, "a|b|c|");
    splits("a b c ", 3, 0, 0, "a|b|c|");
    splits("a b c", 2, -1, E2BIG, "a|b|");
    splits("a", 0, -1, E2BIG, "");
    splits(" ", 0, 0, 0, "");
    splits("x 'two words' y", 4, 0, 0, "x|two words|y|");
    splits("x \"two words\" y", 4, 0, 0, "x|two words|y|");
    splits("-f'tcp port 80'\" or 81\"", 4, 0, 0, "-ftcp port 80 or 81|");
    splits("'' \"\"", 4, 0, 0, "||");
    splits("a\\ b c\\\\d", 4, 0, 0, "a b|c\\d|");
    splits("\"a\\\"b\\\\c\\d\"", 4, 0, 0, "a\"b\\c\\d|");
    splits("'a\\b\"c'", 4, 0, 0, "a\\b\"c|");
    splits("\"it's\"", 4, 0, 0, "it's|");
    splits("a\\", 4, 0, 0, "a\\|");
    splits("a 'b", 4, -1, EINVAL, "");
    splits("a \"b'", 4, -1, EINVAL, "");
    splits("\"\\", 4, -1, EINVAL, "");
    splits("a '", 4, -1, EINVAL, "");

    errno = 0;
    check(StrToArgs(NULL, &argc, argv, 1) == -1 && errno == EINVAL, "no line");
    errno = 0;
    check(StrToArgs(line, NULL, argv, 1) == -1 && errno == EINVAL, "nowhere to count");
    errno = 0;
    check(StrToArgs(line, &argc, NULL, 1) == -1 && errno == EINVAL, "nowhere to put words");
    errno = 0;
    check(StrToArgs(line, &argc, argv, -1) == -1 && errno == EINVAL, "a negative size");
}

static void names(void)
{
    check(strcmp(EventToString(MOS_EPOLLNONE), "MOS_EPOLLNONE") == 0, "MOS_EPOLLNONE");
    check(strcmp(EventToString(MOS_EPOLLIN), "MOS_EPOLLIN") == 0, "MOS_EPOLLIN");
    check(strcmp(EventToString(MOS_EPOLLPRI), "MOS_EPOLLPRI") == 0, "MOS_EPOLLPRI");
    check(strcmp(EventToString(MOS_EPOLLOUT), "MOS_EPOLLOUT") == 0, "MOS_EPOLLOUT");
    check(strcmp(EventToString(MOS_EPOLLRDNORM), "MOS_EPOLLRDNORM") == 0, "MOS_EPOLLRDNORM");
    check(strcmp(EventToString(MOS_EPOLLRDBAND), "MOS_EPOLLRDBAND") == 0, "MOS_EPOLLRDBAND");
    check(strcmp(EventToString(MOS_EPOLLWRNORM), "MOS_EPOLLWRNORM") == 0, "MOS_EPOLLWRNORM");
    check(strcmp(EventToString(MOS_EPOLLWRBAND), "MOS_EPOLLWRBAND") == 0, "MOS_EPOLLWRBAND");
    check(strcmp(EventToString(MOS_EPOLLMSG), "MOS_EPOLLMSG") == 0, "MOS_EPOLLMSG");
    check(strcmp(EventToString(MOS_EPOLLERR), "MOS_EPOLLERR") == 0, "MOS_EPOLLERR");
    check(strcmp(EventToString(MOS_EPOLLHUP), "MOS_EPOLLHUP") == 0, "MOS_EPOLLHUP");
    check(strcmp(EventToString(MOS_EPOLLRDHUP), "MOS_EPOLLRDHUP") == 0, "MOS_EPOLLRDHUP");
    check(strcmp(EventToString(MOS_EPOLLONESHOT), "MOS_EPOLLONESHOT") == 0, "MOS_EPOLLONESHOT");
    check(strcmp(EventToString((uint32_t)MOS_EPOLLET), "MOS_EPOLLET") == 0, "MOS_EPOLLET");
    check(strcmp(EventToString(0), "unknown") == 0, "no event has no name");
    check(strcmp(EventToString(MOS_EPOLLIN | MOS_EPOLLOUT), "unknown") == 0, "two events have no name");
}

static void cpus(void)
{
    cpu_set_t allowed, now;
    int cpu, good = 1;

    check(GetNumCPUs() == (int)sysconf(_SC_NPROCESSORS_ONLN), "the number of CPUs");

    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        good &= mtcp_core_affinitize(cpu) == 0;
        sched_getaffinity(0, sizeof(now), &now);
        good &= CPU_COUNT(&now) == 1 && CPU_ISSET(cpu, &now) && sched_getcpu() == cpu;
    }
    check(good, "the thread goes to each CPU that it may use, and to that one alone");

    sched_getaffinity(0, sizeof(allowed), &allowed);
    errno = 0;
    check(mtcp_core_affinitize(-1) == -1 && errno == EINVAL, "a negative CPU");
    errno = 0;
    check(mtcp_core_affinitize(CPU_SETSIZE - 1) == -1 && errno == EINVAL, "a CPU that is not there");
    errno = 0;
    check(mtcp_core_affinitize(0x7fffffff) == -1 && errno == EINVAL, "an impossible CPU");
    sched_getaffinity(0, sizeof(now), &now);
    check(CPU_EQUAL(&allowed, &now), "a refused call changes nothing");
}

int main(void)
{
    words();
    names();
    cpus();
    return finish();
}
