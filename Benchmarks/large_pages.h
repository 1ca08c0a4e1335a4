/* Memory in large pages, where the system has them: what is read in no order costs
 * a walk for its page otherwise. Zero; until the process ends. */
#ifndef LARGE_PAGES_H
#define LARGE_PAGES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static inline void *large_pages(size_t size)
{
    const size_t page = 2u << 20;
    size = (size + page - 1) & ~(page - 1);
    char *room = (char *)mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                              -1, 0);
    if (room == MAP_FAILED) {
        perror("large_pages");
        exit(1);
    }
    room += (page - (uintptr_t)room % page) % page;
    madvise(room, size, MADV_HUGEPAGE);
    return room;
}

#endif
