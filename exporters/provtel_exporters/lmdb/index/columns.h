/* The items of columns, by the type codes of `struct`: signed and unsigned numbers, doubles, and codes. */

#ifndef PROVTEL_COLUMNS_H
#define PROVTEL_COLUMNS_H

#include "numbers.h"

/* The number of bytes of a type code, 0 for one that is none. */
static inline Py_ssize_t size_of(int code)
{
    switch (code) {
    case 'b':
    case 'B':
        return 1;
    case 'h':
    case 'H':
        return 2;
    case 'i':
    case 'I':
        return 4;
    case 'q':
    case 'Q':
    case 'd':
        return 8;
    default:
        return 0;
    }
}

static inline bool holds_codes(int code)
{
    return code == 'B' || code == 'H' || code == 'I';
}

static inline bool is_code(int code)
{
    return holds_codes(code) || wrong("codes are B, H or I") == 0;
}

static inline int64_t signed_at(const void *items, int code, Py_ssize_t place)
{
    int16_t h;
    int32_t i;
    int64_t q;
    switch (code) {
    case 'b':
        return ((const int8_t *)items)[place];
    case 'h':
        memcpy(&h, (const char *)items + 2 * place, 2);
        return h;
    case 'i':
        memcpy(&i, (const char *)items + 4 * place, 4);
        return i;
    default:
        memcpy(&q, (const char *)items + 8 * place, 8);
        return q;
    }
}

static inline uint32_t code_at(const void *items, int code, Py_ssize_t place)
{
    uint32_t value;
    switch (code) {
    case 'B':
        return ((const uint8_t *)items)[place];
    case 'H':
        return u16_at(items, place);
    default:
        memcpy(&value, (const char *)items + 4 * place, 4);
        return value;
    }
}

static inline double double_at(const void *items, Py_ssize_t place)
{
    double value;
    memcpy(&value, (const char *)items + 8 * place, 8);
    return value;
}

#endif
