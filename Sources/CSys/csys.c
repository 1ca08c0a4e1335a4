#define _GNU_SOURCE 1
#include "csys.h"

__thread void *csys_current_context;
static __thread int depth __attribute__((tls_model("initial-exec")));

int csys_lock_depth(void)
{
    return depth;
}

void csys_add_lock_depth(int change)
{
    depth += change;
}

void *csys_reserve(size_t size)
{
    const size_t large = (size_t)2 << 20;
    size_t spare = size >= 2 * large ? large : 0; /* to begin where a large page does */
    char *p = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (!spare)
        return p;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), head = -(uintptr_t)p & (large - 1);
    size_t end = (size + page - 1) & ~(page - 1);
    if (head)
        munmap(p, head);
    if (spare - head)
        munmap(p + head + end, spare - head);
    p += head;
    madvise(p, size, MADV_HUGEPAGE); /* a wish: EINVAL where there are none */
    return p;
}

int csys_poll(struct pollfd *list, unsigned count, uint64_t nanoseconds)
{
    struct timespec time = { (time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u) };
    return ppoll(list, count, &time, NULL);
}

int csys_signal_is_default(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
           action.sa_handler == SIG_DFL;
}

int csys_set_signal(int number, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler != NULL ? handler : SIG_DFL;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL);
}

void (*csys_signal_handler(int number))(int)
{
    struct sigaction action;
    if (sigaction(number, NULL, &action) != 0 || action.sa_flags & SA_SIGINFO)
        return NULL;
    return action.sa_handler;
}

int csys_stay_on(int cpu)
{
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
        errno = EINVAL;
        return -1;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

struct start {
    void (*function)(void *);
    void *argument;
    int cpu;
};

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    /* A hint: where the system does not allow it, the thread runs anywhere. */
    if (start.cpu >= 0)
        csys_stay_on(start.cpu);
    start.function(start.argument);
    return NULL;
}

int csys_start_thread(pthread_t *thread, const char *name, int cpu,
                      void (*function)(void *), void *argument)
{
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return ENOMEM;
    *start = (struct start){ function, argument, cpu };
    int code = pthread_create(thread, NULL, run, start);
    if (code != 0)
        free(start);
    else
        pthread_setname_np(*thread, name);
    return code;
}
