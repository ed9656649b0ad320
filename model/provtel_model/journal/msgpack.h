/* Reads msgpack from bytes that nobody vouches for: every length is checked against what is left. */

#ifndef PROVTEL_MSGPACK_H
#define PROVTEL_MSGPACK_H

#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Types, as far as they are looked for by name. */
enum { NIL = 0xc0, FALSE_ = 0xc2, TRUE_ = 0xc3, BIN8 = 0xc4, DOUBLE = 0xcb };

/* What is read is as it must be, or the function that reads it says false. */
#define REQUIRE(condition)  \
    do {                    \
        if (!(condition)) { \
            return false;   \
        }                   \
    } while (0)

typedef struct {
    const uint8_t *at, *end;
} In;

static size_t left(const In *in)
{
    return (size_t)(in->end - in->at);
}

/* A number of 1, 2, 4 or 8 bytes, the most significant first. */
static bool read_big_endian(In *in, int size, uint64_t *value)
{
    REQUIRE(left(in) >= (size_t)size);
    uint64_t sum = 0;
    for (int place = 0; place < size; place++) {
        sum = sum << 8 | *in->at++;
    }
    *value = sum;
    return true;
}

static bool read_byte(In *in, uint8_t expected)
{
    return left(in) && *in->at++ == expected;
}

/* An integer, as 64 bits of two's complement; `negative` tells -1 from 2**64 - 1. */
static bool read_integer(In *in, uint64_t *value, bool *negative)
{
    REQUIRE(left(in));
    uint8_t type = *in->at++;
    if (type <= 0x7f || type >= 0xe0) {
        *value = (uint64_t)(int64_t)(int8_t)type;
        *negative = type >= 0xe0;
        return true;
    }
    REQUIRE(type >= 0xcc && type <= 0xd3);
    int size = 1 << (type & 3);
    REQUIRE(read_big_endian(in, size, value));
    *negative = type >= 0xd0 && *value >> (8 * size - 1);
    if (*negative && size < 8) {
        *value |= ~(uint64_t)0 << (8 * size);
    }
    return true;
}

static bool read_unsigned(In *in, uint64_t *value)
{
    bool negative;
    return read_integer(in, value, &negative) && !negative;
}

static bool read_double(In *in, double *value)
{
    uint64_t bits;
    REQUIRE(read_byte(in, DOUBLE) && read_big_endian(in, 8, &bits));
    memcpy(value, &bits, sizeof bits);
    return true;
}

/* The head of something with a length: `fix` is its short form, `long_form` its first long one, `forms` the number of
 * those; -1 where what comes is something else. The content of texts and bytes is not looked at here. */
static int64_t read_length(In *in, uint8_t fix, uint8_t fix_bits, uint8_t long_form, int forms, int smallest)
{
    if (!left(in)) {
        return -1;
    }
    uint8_t type = *in->at;
    uint64_t length;
    if (fix && (type & (uint8_t)~fix_bits) == fix) {
        in->at++;
        return type & fix_bits;
    }
    if (type < long_form || type >= long_form + forms) {
        return -1;
    }
    in->at++;
    return read_big_endian(in, smallest << (type - long_form), &length) ? (int64_t)length : -1;
}

static int64_t read_array(In *in)
{
    return read_length(in, 0x90, 0x0f, 0xdc, 2, 2);
}

static int64_t read_map(In *in)
{
    return read_length(in, 0x80, 0x0f, 0xde, 2, 2);
}

/* As many bytes as a length says. */
static bool read_bytes(In *in, int64_t length, In *bytes)
{
    REQUIRE(length >= 0 && left(in) >= (uint64_t)length);
    bytes->at = in->at;
    bytes->end = in->at += length;
    return true;
}

static bool is_text(In bytes)
{
    for (const uint8_t *at = bytes.at; at < bytes.end; at++) {
        if (*at & 0x80) {
            PyObject *text = PyUnicode_DecodeUTF8((const char *)bytes.at, (Py_ssize_t)left(&bytes), NULL);
            if (text == NULL) {
                PyErr_Clear();
                return false;
            }
            Py_DECREF(text);
            return true;
        }
    }
    return true;
}

static bool read_text(In *in, In *text)
{
    return read_bytes(in, read_length(in, 0xa0, 0x1f, 0xd9, 3, 1), text) && is_text(*text);
}

#endif
