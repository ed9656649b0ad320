/* MessagePack as ormsgpack writes it, of what values in AnyValue form are made of.
 *
 * What is rare (subclasses, integers beyond 64 bits, texts without UTF-8, deep nesting) is not plain, and left to
 * Python.
 */

#ifndef PROVTEL_MSGPACK_H
#define PROVTEL_MSGPACK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { FAILED = -1, NOT_PLAIN = 0, DONE = 1, DEEPEST = 32, LEAST_ROOM = 1024 };

typedef struct {
    uint8_t *bytes;
    size_t size, room;
} Packed;

/* Return where so many bytes may be written, which count as written then; NULL with an error. */
static uint8_t *more(Packed *to, size_t size)
{
    if (to->room - to->size < size) {
        size_t room = 2 * (to->size + size) + LEAST_ROOM;
        uint8_t *larger = PyMem_Realloc(to->bytes, room);
        if (larger == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        to->bytes = larger;
        to->room = room;
    }
    uint8_t *at = to->bytes + to->size;
    to->size += size;
    return at;
}

/* Put a byte, and a number of so many bytes behind it, the highest first. */
static int put_number(Packed *to, uint8_t first, uint64_t number, int size)
{
    uint8_t *at = more(to, (size_t)size + 1);
    if (at == NULL) {
        return FAILED;
    }
    at[0] = first;
    for (int i = 0; i < size; i++) {
        at[1 + i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    }
    return DONE;
}

static int put_bytes(Packed *to, const void *from, size_t size)
{
    uint8_t *at = more(to, size);
    if (at == NULL) {
        return FAILED;
    }
    memcpy(at, from, size);
    return DONE;
}

/* Put how long something is: in its first byte, or in one, two or four bytes behind another one. */
static int put_length(Packed *to, Py_ssize_t length, uint8_t fixed, Py_ssize_t most_fixed, uint8_t byte, uint8_t two)
{
    if (length <= most_fixed) {
        return put_number(to, (uint8_t)(fixed | length), 0, 0);
    }
    if (byte && length <= UINT8_MAX) {
        return put_number(to, byte, (uint64_t)length, 1);
    }
    if (length <= UINT16_MAX) {
        return put_number(to, two, (uint64_t)length, 2);
    }
    return length > UINT32_MAX ? NOT_PLAIN : put_number(to, (uint8_t)(two + 1), (uint64_t)length, 4);
}

static int put_array(Packed *to, Py_ssize_t length)
{
    return put_length(to, length, 0x90, 15, 0, 0xdc);
}

static int put_text(Packed *to, PyObject *text)
{
    Py_ssize_t size;
    const char *content = PyUnicode_CheckExact(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (content == NULL) {
        PyErr_Clear();
        return NOT_PLAIN;
    }
    int done = put_length(to, size, 0xa0, 31, 0xd9, 0xda);
    return done == DONE ? put_bytes(to, content, (size_t)size) : done;
}

static int put_blob(Packed *to, const void *content, Py_ssize_t size)
{
    int done = put_length(to, size, 0, -1, 0xc4, 0xc5);
    return done == DONE ? put_bytes(to, content, (size_t)size) : done;
}

static int put_natural(Packed *to, uint64_t number)
{
    if (number < 0x80) {
        return put_number(to, (uint8_t)number, 0, 0);
    }
    int power = number <= UINT8_MAX ? 0 : number <= UINT16_MAX ? 1 : number <= UINT32_MAX ? 2 : 3;
    return put_number(to, (uint8_t)(0xcc + power), number, 1 << power);
}

static int put_negative(Packed *to, int64_t number)
{
    if (number >= -32) {
        return put_number(to, (uint8_t)number, 0, 0);
    }
    int power = number >= INT8_MIN ? 0 : number >= INT16_MIN ? 1 : number >= INT32_MIN ? 2 : 3;
    return put_number(to, (uint8_t)(0xd0 + power), (uint64_t)number, 1 << power);
}

static int put_integer(Packed *to, PyObject *number)
{
    int overflow;
    long long found = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (!overflow) {
        return found < 0 ? put_negative(to, found) : put_natural(to, (uint64_t)found);
    }
    uint64_t natural = overflow > 0 ? PyLong_AsUnsignedLongLong(number) : 0;
    if (overflow < 0 || PyErr_Occurred()) {
        PyErr_Clear();
        return NOT_PLAIN;
    }
    return put_natural(to, natural);
}

static int put_float(Packed *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return put_number(to, 0xcb, bits, 8);
}

static int put_value(Packed *to, PyObject *value, int depth);

static int put_list(Packed *to, PyObject *list, int depth)
{
    int done = put_array(to, PyList_GET_SIZE(list));
    for (Py_ssize_t place = 0; done == DONE && place < PyList_GET_SIZE(list); place++) {
        done = put_value(to, PyList_GET_ITEM(list, place), depth + 1);
    }
    return done;
}

static int put_map(Packed *to, PyObject *map, int depth)
{
    int done = put_length(to, PyDict_GET_SIZE(map), 0x80, 15, 0, 0xde);
    PyObject *key, *value;
    for (Py_ssize_t place = 0; done == DONE && PyDict_Next(map, &place, &key, &value);) {
        done = put_text(to, key);
        if (done == DONE) {
            done = put_value(to, value, depth + 1);
        }
    }
    return done;
}

static int put_value(Packed *to, PyObject *value, int depth)
{
    if (PyFloat_CheckExact(value)) {
        return put_float(to, PyFloat_AS_DOUBLE(value));
    }
    if (PyUnicode_CheckExact(value)) {
        return put_text(to, value);
    }
    if (PyLong_CheckExact(value)) {
        return put_integer(to, value);
    }
    if (value == Py_None || PyBool_Check(value)) {
        return put_number(to, value == Py_None ? 0xc0 : value == Py_True ? 0xc3 : 0xc2, 0, 0);
    }
    if (PyBytes_CheckExact(value)) {
        return put_blob(to, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    }
    if (depth >= DEEPEST) {
        return NOT_PLAIN;
    }
    return PyList_CheckExact(value) ? put_list(to, value, depth) : PyDict_CheckExact(value) ? put_map(to, value, depth) : NOT_PLAIN;
}

#endif
