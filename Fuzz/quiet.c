/* What the library would say on standard error, a line for almost every input,
 * is only looked at: it must be a string. The linker puts these in the place of
 * the library's own (scripts/fuzz). */
#include <string.h>

#include "check.h"

void __wrap_csys_log_line(const char *text);
void __wrap_csys_log(int level, const char *text);
void __wrap_cpcap_log(const char *text);
int __wrap_csys_log_open(const char *directory, int level);

void __wrap_csys_log_line(const char *text)
{
    CHECK(strlen(text) < 16384, "a line of %zu bytes", strlen(text));
}

void __wrap_cpcap_log(const char *text)
{
    __wrap_csys_log_line(text);
}

void __wrap_csys_log(int level, const char *text)
{
    (void)level;
    __wrap_csys_log_line(text);
}

/* A text that names a log directory must not make it. */
int __wrap_csys_log_open(const char *directory, int level)
{
    (void)level;
    CHECK(directory == NULL || strlen(directory) < 16384, "a directory of %zu bytes", strlen(directory));
    return 0;
}
