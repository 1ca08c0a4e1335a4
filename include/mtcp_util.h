/*
 * mtcp_util.h: where a flow lands, splitting of command lines, hashing.
 * None of these needs a context or mtcp_init(); all may be called from any
 * thread.
 */
#ifndef MTCP_UTIL_H
#define MTCP_UTIL_H

#include <stdint.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The queue, and so the context, that a TCP connection's packets go to.
 * Neither swapping the two ends nor the numbers' byte order changes it.
 *
 * The queue is computed from a Toeplitz hash with the key 0x05 repeated, as
 * receive-side scaling does it (Microsoft: "RSS Hashing Types").
 *
 * @param sip         source address
 * @param dip         destination address
 * @param sp          source port
 * @param dp          destination port
 * @param num_queues  number of queues, at least 1
 * @return 0 to num_queues - 1; -1 with EINVAL for num_queues below 1
 *
 * mOS: GetRSSCPUCore */
int GetRSSCPUCore(in_addr_t sip, in_addr_t dip, in_port_t sp, in_port_t dp, int num_queues);

/** Splits a command line in place, as a shell would: blanks separate words,
 * '...' and "..." hold them together, a backslash takes the next character as it
 * is (within double quotes only before " and \).
 *
 * @param str       the line; it is overwritten and argv points into it
 * @param argc      out: number of words
 * @param argv      out: the words; a NULL follows the last if there is room
 * @param max_argc  entries at argv
 * @return 0; -1 with EINVAL for a null pointer, a negative size or a quote
 *         that does not end (*argc is then 0), E2BIG for more words than
 *         argv holds (*argc is then max_argc, argv has the first of them)
 *
 * mOS: StrToArgs */
int StrToArgs(char *str, int *argc, char **argv, int max_argc);

/** The 32-bit xxHash of some bytes (xxHash specification, XXH32).
 *
 * @param input   may be NULL if length is 0
 * @param length  in bytes
 * @param seed    any number */
unsigned int XXH32(const void *input, size_t length, unsigned seed);

/** The 64-bit xxHash of some bytes (xxHash specification, XXH64).
 *
 * @param input   may be NULL if length is 0
 * @param length  in bytes
 * @param seed    any number */
__extension__ unsigned long long XXH64(const void *input, size_t length, unsigned long long seed);

#ifdef __cplusplus
}
#endif

#endif /* MTCP_UTIL_H */
