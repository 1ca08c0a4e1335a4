/* The fuzzer's bytes, read from both ends: traffic from the front, what the
 * application does with it from the back, so that a change of one leaves the
 * other as it was. An input that is used up gives zeros. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *front;
    const uint8_t *back; /* one behind the last byte */
};

static inline bool input_is_empty(const struct input *in)
{
    return in->front == in->back;
}

static inline size_t input_left(const struct input *in)
{
    return (size_t)(in->back - in->front);
}

static inline uint8_t input_u8(struct input *in)
{
    return input_is_empty(in) ? 0 : *in->front++;
}

static inline uint16_t input_u16(struct input *in)
{
    uint16_t high = input_u8(in);
    return (uint16_t)(high << 8 | input_u8(in));
}

static inline uint32_t input_u32(struct input *in)
{
    uint32_t high = input_u16(in);
    return high << 16 | input_u16(in);
}

static inline uint8_t input_back_u8(struct input *in)
{
    return input_is_empty(in) ? 0 : *--in->back;
}

static inline uint16_t input_back_u16(struct input *in)
{
    uint16_t high = input_back_u8(in);
    return (uint16_t)(high << 8 | input_back_u8(in));
}

static inline uint32_t input_back_u32(struct input *in)
{
    uint32_t high = input_back_u16(in);
    return high << 16 | input_back_u16(in);
}

#endif
