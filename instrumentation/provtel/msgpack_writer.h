/* Writes the parts of a frame's payload in msgpack, each at a place with room for it, in as few bytes as ormsgpack does.
 *
 * Each function returns the place behind what it wrote.
 */

#ifndef PROVTEL_MSGPACK_WRITER_H
#define PROVTEL_MSGPACK_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint8_t *put_big_endian(uint8_t *at, uint8_t type, uint64_t value, int size) {
    *at++ = type;
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) *at++ = (uint8_t)(value >> shift);
    return at;
}

static uint8_t *put_unsigned(uint8_t *at, uint64_t value) {
    if (value < 0x80) return *at++ = (uint8_t)value, at;
    if (value <= 0xFF) return put_big_endian(at, 0xCC, value, 1);
    if (value <= 0xFFFF) return put_big_endian(at, 0xCD, value, 2);
    return value <= 0xFFFFFFFF ? put_big_endian(at, 0xCE, value, 4) : put_big_endian(at, 0xCF, value, 8);
}

static uint8_t *put_signed(uint8_t *at, int64_t value) {
    if (value >= 0) return put_unsigned(at, (uint64_t)value);
    if (value >= -32) return *at++ = (uint8_t)value, at;
    if (value >= INT8_MIN) return put_big_endian(at, 0xD0, (uint64_t)value, 1);
    if (value >= INT16_MIN) return put_big_endian(at, 0xD1, (uint64_t)value, 2);
    return value >= INT32_MIN ? put_big_endian(at, 0xD2, (uint64_t)value, 4) : put_big_endian(at, 0xD3, (uint64_t)value, 8);
}

static uint8_t *put_float(uint8_t *at, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_big_endian(at, 0xCB, bits, 8);
}

static uint8_t *put_array(uint8_t *at, size_t count) {
    if (count < 16) return *at++ = (uint8_t)(0x90 | count), at;
    return put_big_endian(at, 0xDC, count, 2);
}

#endif
