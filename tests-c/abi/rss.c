/* GetRSSCPUCore against the definition of the Toeplitz hash, bit by bit. */
#include "mtcp_util.h"
#include "check.h"

#include <errno.h>

/* The hash as "RSS Hashing Types" defines it: for each one bit of the input,
 * from the left, XOR the leftmost 32 bits of the key; shift the key by one. */
static uint32_t toeplitz(const unsigned char *input, int bytes)
{
    uint32_t hash = 0;
    int bit, k;

    for (bit = 0; bit < 8 * bytes; bit++) {
        uint32_t window = 0;
        if (!(input[bit / 8] >> (7 - bit % 8) & 1))
            continue;
        for (k = bit; k < bit + 32; k++) {
            const unsigned char key = 0x05; /* each of the 40 bytes */
            window = window << 1 | (uint32_t)(key >> (7 - k % 8) & 1);
        }
        hash ^= window;
    }
    return hash;
}

static int expected(uint32_t sip, uint32_t dip, uint16_t sp, uint16_t dp, int queues)
{
    static const int correction[4] = {3, 1, -1, -3};
    const unsigned char input[12] = {
        (unsigned char)(sip >> 24), (unsigned char)(sip >> 16), (unsigned char)(sip >> 8), (unsigned char)sip,
        (unsigned char)(dip >> 24), (unsigned char)(dip >> 16), (unsigned char)(dip >> 8), (unsigned char)dip,
        (unsigned char)(sp >> 8), (unsigned char)sp,
        (unsigned char)(dp >> 8), (unsigned char)dp,
    };
    int value = (int)(toeplitz(input, 12) & 0x1ff);

    value += correction[value & 3];
    return value % queues;
}

/* xorshift64*, so that every run tries the same connections. */
static uint64_t random_state = 88172645463325252ULL;
static uint32_t random32(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 2685821657736338717ULL) >> 32);
}

int main(void)
{
    int i, bit, right = 0, symmetric = 0, single = 0, used[8] = {0}, all_used = 1;
    int tries = 20000;

    for (i = 0; i < tries; i++) {
        uint32_t sip = random32(), dip = random32();
        uint16_t sp = (uint16_t)random32(), dp = (uint16_t)random32();
        int queues = 1 + (int)(random32() % 600);
        int queue = GetRSSCPUCore(sip, dip, sp, dp, queues);

        right += queue == expected(sip, dip, sp, dp, queues);
        symmetric += queue == GetRSSCPUCore(dip, sip, dp, sp, queues);
        used[GetRSSCPUCore(sip, dip, sp, dp, 8)]++;
    }
    check(right == tries, "random connections land where the definition says");
    check(symmetric == tries, "both directions land on one queue");
    for (i = 0; i < 8; i++)
        all_used &= used[i] > tries / 16;
    check(all_used, "every one of eight queues gets its share");

    for (bit = 0; bit < 96; bit++) {
        uint32_t word[3] = {0, 0, 0};
        word[bit / 32] = 1U << (bit % 32);
        single += GetRSSCPUCore(word[0], word[1], (uint16_t)(word[2] >> 16), (uint16_t)word[2], 512) ==
                  expected(word[0], word[1], (uint16_t)(word[2] >> 16), (uint16_t)word[2], 512);
    }
    check(single == 96, "each single bit of the input");

    /* By hand. All zero: hash 0, 0 + 3. One bit, the last one: the key from
     * bit 7 on is 1000 0010 ..., so the low nine bits are 0 1000 0010, 130,
     * and 130 - 1. */
    check(GetRSSCPUCore(0, 0, 0, 0, 512) == 3, "nothing set");
    check(GetRSSCPUCore(0, 0, 0, 1, 512) == 129, "the last bit set");
    check(GetRSSCPUCore(0, 0, 0, 1, 4) == 1, "the last bit set, four queues");
    check(GetRSSCPUCore(0x80000000U, 0, 0, 0, 512) == 0x106, "the first bit set");

    check(GetRSSCPUCore(1, 2, 3, 4, 1) == 0, "a single queue");
    errno = 0;
    check(GetRSSCPUCore(1, 2, 3, 4, 0) == -1 && errno == EINVAL, "no queue");
    errno = 0;
    check(GetRSSCPUCore(1, 2, 3, 4, -2147483647 - 1) == -1 && errno == EINVAL, "a negative number of queues");
    return finish();
}
