/* Ids as texts and as bytes, and the keys of 64 bits that are made of them. */

#ifndef PROVTEL_IDS_H
#define PROVTEL_IDS_H

#include "msgpack.h"

#include <stdlib.h>
#include <string.h>

enum { TRACE_DIGITS = 32, SPAN_DIGITS = 16, ID_BYTES = 24, FEW = 24 };

/* Read so many lower-case hexadecimal digits of a text; false where there are others. */
static bool read_hex(const uint8_t *digits, int count, uint8_t *bytes)
{
    for (int place = 0; place < count; place++) {
        uint8_t digit = digits[place];
        if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'))) {
            return false;
        }
        uint8_t value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
        bytes[place / 2] = (uint8_t)(place % 2 ? bytes[place / 2] | value : value << 4);
    }
    return true;
}

/* Digits that were read, and what they are as bytes: many records have the same trace and the same parent. */
typedef struct {
    int count; /* 0 where there are none */
    uint8_t digits[TRACE_DIGITS], bytes[TRACE_DIGITS / 2];
} Digits;

static bool read_again(Digits *known, const uint8_t *digits, int count, uint8_t *bytes)
{
    if (known->count != count || memcmp(known->digits, digits, (size_t)count) != 0) {
        known->count = 0;
        if (!read_hex(digits, count, known->bytes)) {
            return false;
        }
        memcpy(known->digits, digits, (size_t)count);
        known->count = count;
    }
    memcpy(bytes, known->bytes, (size_t)count / 2);
    return true;
}

static const uint8_t *ascii_of(PyObject *text, Py_ssize_t length)
{
    bool is_such = text != NULL && PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text);
    return is_such && PyUnicode_GET_LENGTH(text) == length ? PyUnicode_1BYTE_DATA(text) : NULL;
}

static bool read_ids(PyObject *trace_id, PyObject *span_id, uint8_t *bytes)
{
    const uint8_t *trace = ascii_of(trace_id, TRACE_DIGITS), *span = ascii_of(span_id, SPAN_DIGITS);
    return trace != NULL && span != NULL && read_hex(trace, TRACE_DIGITS, bytes) && read_hex(span, SPAN_DIGITS, bytes + 16);
}

static uint64_t number_of(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9;
    number = (number ^ number >> 27) * 0x94D049BB133111EB;
    return number ^ number >> 31;
}

static uint64_t key_of_ids(const uint8_t *ids)
{
    return mix(mix(mix(number_of(ids)) ^ number_of(ids + 8)) ^ number_of(ids + 16));
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void sort_numbers(uint64_t *numbers, size_t count)
{
    if (count > FEW) { /* of few, as most records have, each is put where it belongs in less time */
        qsort(numbers, count, sizeof(uint64_t), compare_numbers);
        return;
    }
    for (size_t next = 1; next < count; next++) {
        uint64_t number = numbers[next];
        size_t place = next;
        for (; place > 0 && numbers[place - 1] > number; place--) {
            numbers[place] = numbers[place - 1];
        }
        numbers[place] = number;
    }
}

/* The keys of a record. */
typedef struct {
    uint64_t *keys;
    size_t count, room;
} Keys;

static int add_key(Keys *to, uint64_t key)
{
    if (to->count == to->room) {
        size_t room = 2 * to->room + 64;
        uint64_t *larger = PyMem_Realloc(to->keys, room * sizeof(uint64_t));
        if (larger == NULL) {
            PyErr_NoMemory();
            return FAILED;
        }
        to->keys = larger;
        to->room = room;
    }
    to->keys[to->count++] = key;
    return DONE;
}

/* The first key, and behind it the others, in order and each once. */
static PyObject *keys_once(Keys *of)
{
    uint64_t *keys = of->keys;
    size_t kept = 1;
    sort_numbers(keys + 1, of->count - 1);
    for (size_t place = 1; place < of->count; place++) {
        if (keys[place] != keys[0] && (kept == 1 || keys[place] != keys[kept - 1])) {
            keys[kept++] = keys[place];
        }
    }
    return PyBytes_FromStringAndSize((const char *)keys, (Py_ssize_t)(kept * sizeof(uint64_t)));
}

#endif
