/* The Internet checksum (RFC 1071), as fast as SSE2 allows: shared by the
 * trace generator and by the benchmarks' floor. */
#ifndef GEN_CHECKSUM_H
#define GEN_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/** Sum of the 16-bit words of `size` bytes in memory order, not yet folded;
 *  an odd last byte counts as if a zero followed. `size` up to 256 KiB. */
static inline uint64_t checksum_sum(const uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;
#ifdef __SSE2__
    if (size >= 96) {
        /* pmaddwd adds pairs of signed words; flipping the top bit makes each
         * word w - 32768, and the eight of a vector are put right at the end. */
        const __m128i flip = _mm_set1_epi16((short)0x8000);
        const __m128i one = _mm_set1_epi16(1);
        __m128i a = _mm_setzero_si128();
        __m128i b = _mm_setzero_si128();
        __m128i c = _mm_setzero_si128();
        __m128i d = _mm_setzero_si128();
        size_t vectors = size / 16;
        const uint64_t bias = (uint64_t)vectors * 8 * 32768;
        for (; vectors >= 4; vectors -= 4, bytes += 64) {
            __m128i v0 = _mm_loadu_si128((const __m128i *)(const void *)bytes);
            __m128i v1 = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 16));
            __m128i v2 = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 32));
            __m128i v3 = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 48));
            a = _mm_add_epi32(a, _mm_madd_epi16(_mm_xor_si128(v0, flip), one));
            b = _mm_add_epi32(b, _mm_madd_epi16(_mm_xor_si128(v1, flip), one));
            c = _mm_add_epi32(c, _mm_madd_epi16(_mm_xor_si128(v2, flip), one));
            d = _mm_add_epi32(d, _mm_madd_epi16(_mm_xor_si128(v3, flip), one));
        }
        for (; vectors > 0; vectors--, bytes += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)bytes);
            a = _mm_add_epi32(a, _mm_madd_epi16(_mm_xor_si128(v, flip), one));
        }
        a = _mm_add_epi32(_mm_add_epi32(a, b), _mm_add_epi32(c, d));
        int32_t lanes[4];
        _mm_storeu_si128((__m128i *)(void *)lanes, a);
        sum = (uint64_t)((int64_t)lanes[0] + lanes[1] + lanes[2] + lanes[3]) + bias;
        size %= 16;
    }
#endif
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t words;
        memcpy(&words, bytes, 8);
        sum += (words & 0xffffffffu) + (words >> 32);
    }
    if (size >= 4) {
        uint32_t word;
        memcpy(&word, bytes, 4);
        sum += word;
        bytes += 4;
        size -= 4;
    }
    if (size >= 2) {
        uint16_t word;
        memcpy(&word, bytes, 2);
        sum += word;
        bytes += 2;
        size -= 2;
    }
    if (size)
        sum += *bytes;
    return sum;
}

/** Folds a sum of words to 16 bits (not complemented). */
static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    uint32_t low = (uint32_t)sum;
    low = (low & 0xffffu) + (low >> 16);
    low = (low & 0xffffu) + (low >> 16);
    return (uint16_t)low;
}

#endif
