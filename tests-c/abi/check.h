/* What every test here needs: one line for each check, and a count. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static int checks, failures;

static inline void check(int good, const char *what)
{
    checks++;
    if (!good)
        failures++;
    printf("%sok %d - %s\n", good ? "" : "not ", checks, what);
}

/* For main() to return. */
static inline int finish(void)
{
    printf("1..%d\n", checks);
    return failures != 0;
}

#endif
