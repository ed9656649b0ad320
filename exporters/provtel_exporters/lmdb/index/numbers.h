/* Numbers in buffers, for the kernels.
 *
 * Buffers come from LMDB's map, where numbers need not lie at their alignment: they are read by memcpy. A buffer whose
 * length is no multiple of its numbers, or that does not fit the others, is a ValueError: a damaged block ends there.
 */

#ifndef PROVTEL_NUMBERS_H
#define PROVTEL_NUMBERS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t u64_at(const void *items, Py_ssize_t place)
{
    uint64_t value;
    memcpy(&value, (const char *)items + 8 * place, 8);
    return value;
}

static inline uint16_t u16_at(const void *items, Py_ssize_t place)
{
    uint16_t value;
    memcpy(&value, (const char *)items + 2 * place, 2);
    return value;
}

static inline void put_u64(void *items, Py_ssize_t place, uint64_t value)
{
    memcpy((char *)items + 8 * place, &value, 8);
}

/* How many numbers of some bytes a buffer has; -1 with an error where it is none. */
static inline Py_ssize_t count_in(const Py_buffer *buffer, Py_ssize_t size)
{
    if (size == 0 || buffer->len % size != 0) {
        PyErr_SetString(PyExc_ValueError, "a buffer is no whole number of its items");
        return -1;
    }
    return buffer->len / size;
}

static inline int wrong(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

#endif
