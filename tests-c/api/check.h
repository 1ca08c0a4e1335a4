/* One line for each check, and a count. A check that fails says what it got.
 * A scene (one situation, set up and torn down) that hangs ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif
extern int checks, failures; /* in scene.c */
extern const char *scene_name;
#ifdef __cplusplus
}
#endif

/* What a check that failed shows, on lines of their own. */
static inline void check_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void check_note(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("#   ");
    vprintf(format, list);
    printf("\n");
    va_end(list);
}

static inline int check(int good, const char *what)
{
    checks++;
    if (!good)
        failures++;
    printf("%sok %d - %s%s%s\n", good ? "" : "not ", checks, scene_name, scene_name[0] ? ": " : "", what);
    return good;
}

static inline int check_int(long long got, long long want, const char *what)
{
    if (!check(got == want, what))
        check_note("got %lld, want %lld", got, want);
    return got == want;
}

static inline int check_str(const char *got, const char *want, const char *what)
{
    int good = strcmp(got, want) == 0;
    if (!check(good, what))
        check_note("got  \"%s\"\n#   want \"%s\"", got, want);
    return good;
}

static inline int check_bytes(const void *got, const void *want, size_t size, const char *what)
{
    const unsigned char *a = (const unsigned char *)got, *b = (const unsigned char *)want;
    size_t at = 0;
    while (at < size && a[at] == b[at])
        at++;
    if (!check(at == size, what))
        check_note("byte %zu of %zu is 0x%02x, want 0x%02x", at, size, a[at], b[at]);
    return at == size;
}

/* A call that has to fail: `result` is -1 (or 0 for those that return that) and
 * errno is `code`. Set errno to 0 before the call: FAILS does. */
static inline int check_errno(long long result, long long bad, int code, const char *what)
{
    int saved = errno;
    if (!check(result == bad && saved == code, what))
        check_note("got %lld and errno %d (%s), want %lld and %s", result, saved, strerror(saved), bad, strerror(code));
    return result == bad && saved == code;
}

#define FAILS(call, code) (errno = 0, check_errno((long long)(call), -1, (code), #call " gives " #code))
#define FAILS_AS(call, code, what) (errno = 0, check_errno((long long)(call), -1, (code), (what)))
#define WORKS(call) check_int((long long)(call), 0, #call " works")

static inline void check_timeout(int number)
{
    static const char text[] = "not ok 9999 - took too long: ";
    ssize_t ignored = write(1, text, sizeof text - 1);
    ignored = write(1, scene_name, strlen(scene_name));
    ignored = write(1, "\n", 1);
    (void)number;
    (void)ignored;
    _exit(1);
}

/* Begins a scene, which may take 60 seconds. */
static inline void scene(const char *name)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    scene_name = name;
    signal(SIGALRM, check_timeout);
    alarm(60);
}

/* For main() to return. */
static inline int finish(void)
{
    alarm(0);
    printf("1..%d\n", checks);
    return failures != 0;
}

static inline int skip(const char *why)
{
    printf("%s\n", why);
    return 77;
}

#endif
