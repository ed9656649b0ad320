/* What is done to the columns of a block: the twin of the functions of the same names in in_python.py. */

#include "numbers.h"

#include <math.h>

#define NO_NUMBER 1
#define SIGN ((uint64_t)1 << 63)
#define MOST_COLUMNS 64

/* The number of bytes of a type code, 0 for one that is none. */
static Py_ssize_t size_of(int code)
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

enum { EQ, LT, LTE, GT, GTE };

static int operator_of(const char *name)
{
    static const char *const NAMES[] = {"$eq", "$lt", "$lte", "$gt", "$gte"};
    for (int word = EQ; word <= GTE; word++) {
        if (strcmp(name, NAMES[word]) == 0) {
            return word;
        }
    }
    return wrong("there is no such operator");
}

#define HOLDS(value, limit) \
    (word == EQ ? (value) == (limit) : word == LT ? (value) < (limit) : word == LTE ? (value) <= (limit) \
     : word == GT ? (value) > (limit) : (value) >= (limit))

static PyObject *compare(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer values;
    int code;
    const char *name;
    PyObject *operand;
    if (!PyArg_ParseTuple(arguments, "y*CsO", &values, &code, &name, &operand)) {
        return NULL;
    }
    int word = operator_of(name);
    Py_ssize_t count = word < 0 ? -1 : count_in(&values, size_of(code));
    double real = count >= 0 && code == 'd' ? PyFloat_AsDouble(operand) : 0;
    uint64_t natural = count >= 0 && code == 'Q' ? PyLong_AsUnsignedLongLong(operand) : 0;
    int64_t whole = count >= 0 && code != 'd' && code != 'Q' ? PyLong_AsLongLong(operand) : 0;
    PyObject *mask = PyErr_Occurred() ? NULL : PyBytes_FromStringAndSize(NULL, count);
    if (mask != NULL) {
        char *bits = PyBytes_AS_STRING(mask);
        for (Py_ssize_t place = 0; place < count; place++) {
            if (code == 'd') {
                double value;
                memcpy(&value, (const char *)values.buf + 8 * place, 8);
                bits[place] = HOLDS(value, real);
            } else if (code == 'Q') {
                uint64_t value = u64_at(values.buf, place);
                bits[place] = HOLDS(value, natural);
            } else {
                int64_t value = signed_at(values.buf, code, place);
                bits[place] = HOLDS(value, whole);
            }
        }
    }
    PyBuffer_Release(&values);
    return mask;
}

static bool is_code(int code)
{
    return code == 'B' || code == 'H' || code == 'I' || wrong("codes are B, H or I") == 0;
}

static PyObject *map_codes(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer codes, table;
    int code;
    if (!PyArg_ParseTuple(arguments, "y*Cy*", &codes, &code, &table)) {
        return NULL;
    }
    Py_ssize_t count = is_code(code) ? count_in(&codes, size_of(code)) : -1;
    PyObject *mask = count < 0 ? NULL : PyBytes_FromStringAndSize(NULL, count);
    for (Py_ssize_t place = 0; mask != NULL && place < count; place++) {
        uint32_t number = code_at(codes.buf, code, place);
        if (number >= table.len) {
            Py_CLEAR(mask);
            PyErr_SetString(PyExc_IndexError, "a code is not in the table");
            break;
        }
        PyBytes_AS_STRING(mask)[place] = ((const char *)table.buf)[number];
    }
    PyBuffer_Release(&codes);
    PyBuffer_Release(&table);
    return mask;
}

/* Spread items of some bytes over all rows; the twin of `spread` and `spread_ranks`. */
static PyObject *spread_items(Py_ssize_t count, Py_buffer *present, Py_buffer *items, const void *missing, Py_ssize_t size)
{
    Py_ssize_t many = count_in(present, 2);
    if (many < 0 || count < 0 || (items->len != size * many && wrong("there are not as many items as rows") < 0)) {
        return NULL;
    }
    PyObject *result = PyBytes_FromStringAndSize(NULL, size * count);
    if (result == NULL) {
        return NULL;
    }
    char *all = PyBytes_AS_STRING(result);
    for (Py_ssize_t row = 0; row < count; row++) {
        memcpy(all + size * row, missing, (size_t)size);
    }
    for (Py_ssize_t place = 0; place < many; place++) {
        Py_ssize_t row = u16_at(present->buf, place);
        if (row >= count) {
            Py_DECREF(result);
            PyErr_SetString(PyExc_IndexError, "a row is not in the block");
            return NULL;
        }
        memcpy(all + size * row, (const char *)items->buf + size * place, (size_t)size);
    }
    return result;
}

static PyObject *spread(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_ssize_t count;
    Py_buffer present, mask;
    unsigned char missing;
    if (!PyArg_ParseTuple(arguments, "ny*y*b", &count, &present, &mask, &missing)) {
        return NULL;
    }
    PyObject *result = spread_items(count, &present, &mask, &missing, 1);
    PyBuffer_Release(&present);
    PyBuffer_Release(&mask);
    return result;
}

static PyObject *spread_ranks(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_ssize_t count;
    Py_buffer present, ranks;
    unsigned long long missing;
    if (!PyArg_ParseTuple(arguments, "ny*y*K", &count, &present, &ranks, &missing)) {
        return NULL;
    }
    uint64_t lacking = missing;
    PyObject *result = spread_items(count, &present, &ranks, &lacking, 8);
    PyBuffer_Release(&present);
    PyBuffer_Release(&ranks);
    return result;
}

static inline uint64_t rank_of_double(double value)
{
    if (isnan(value)) {
        return NO_NUMBER;
    }
    value += 0.0; /* so that both zeros are one */
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits & SIGN ? ~bits : bits + SIGN;
}

static PyObject *ranks_of_numbers(PyObject *module, PyObject *arguments, PyObject *named)
{
    (void)module;
    static char *names[] = {"values", "code", "descending", NULL};
    Py_buffer values;
    int code, descending;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "y*C$p", names, &values, &code, &descending)) {
        return NULL;
    }
    Py_ssize_t count = count_in(&values, size_of(code));
    PyObject *ranks = count < 0 ? NULL : PyBytes_FromStringAndSize(NULL, 8 * count);
    for (Py_ssize_t place = 0; ranks != NULL && place < count; place++) {
        uint64_t rank;
        if (code == 'd') {
            double value;
            memcpy(&value, (const char *)values.buf + 8 * place, 8);
            rank = rank_of_double(value);
        } else if (code == 'Q') {
            rank = u64_at(values.buf, place);
        } else {
            rank = (uint64_t)signed_at(values.buf, code, place) + SIGN - 1;
        }
        put_u64(PyBytes_AS_STRING(ranks), place, descending ? ~rank : rank);
    }
    PyBuffer_Release(&values);
    return ranks;
}

static PyObject *ranks_of_codes(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer codes, table;
    int code;
    if (!PyArg_ParseTuple(arguments, "y*Cy*", &codes, &code, &table)) {
        return NULL;
    }
    Py_ssize_t count = is_code(code) ? count_in(&codes, size_of(code)) : -1, many = count_in(&table, 8);
    PyObject *ranks = count < 0 || many < 0 ? NULL : PyBytes_FromStringAndSize(NULL, 8 * count);
    for (Py_ssize_t place = 0; ranks != NULL && place < count; place++) {
        uint32_t number = code_at(codes.buf, code, place);
        if (number >= many) {
            Py_CLEAR(ranks);
            PyErr_SetString(PyExc_IndexError, "a code is not in the table");
            break;
        }
        put_u64(PyBytes_AS_STRING(ranks), place, u64_at(table.buf, number));
    }
    PyBuffer_Release(&codes);
    PyBuffer_Release(&table);
    return ranks;
}

typedef struct {
    Py_buffer columns[MOST_COLUMNS];
    Py_ssize_t many;
} Ranks;

static bool is_before(const Ranks *ranks, Py_ssize_t left, Py_ssize_t right)
{
    for (Py_ssize_t column = 0; column < ranks->many; column++) {
        uint64_t a = u64_at(ranks->columns[column].buf, left), b = u64_at(ranks->columns[column].buf, right);
        if (a != b) {
            return a < b;
        }
    }
    return left < right;
}

/* Whether the ranks of a row are above a floor. Equal ranks are not: `top` promises rows that exceed it. */
static bool is_above(const Ranks *ranks, Py_ssize_t row, const uint64_t *floor)
{
    for (Py_ssize_t column = 0; column < ranks->many; column++) {
        uint64_t rank = u64_at(ranks->columns[column].buf, row);
        if (rank != floor[column]) {
            return rank > floor[column];
        }
    }
    return false;
}

/* Move a row down a heap whose greatest row is on top. */
static void sink(const Ranks *ranks, Py_ssize_t *heap, Py_ssize_t count, Py_ssize_t place)
{
    Py_ssize_t row = heap[place];
    for (;;) {
        Py_ssize_t child = 2 * place + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && is_before(ranks, heap[child], heap[child + 1])) {
            child++;
        }
        if (!is_before(ranks, row, heap[child])) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = row;
}

static PyObject *lowest(const Ranks *ranks, const uint64_t *floor, const Py_buffer *mask, Py_ssize_t most)
{
    const char *counts = mask->buf;
    Py_ssize_t room = most < mask->len ? most : mask->len, count = 0;
    Py_ssize_t *heap = PyMem_Malloc(sizeof(Py_ssize_t) * (size_t)(room + 1));
    if (heap == NULL) {
        return PyErr_NoMemory();
    }
    for (Py_ssize_t row = 0; room > 0 && row < mask->len; row++) {
        if (!counts[row] || (floor != NULL && !is_above(ranks, row, floor))) {
            continue;
        }
        if (count < room) {
            heap[count++] = row;
            for (Py_ssize_t place = count / 2 - 1; count == room && place >= 0; place--) {
                sink(ranks, heap, count, place);
            }
        } else if (is_before(ranks, row, heap[0])) {
            heap[0] = row;
            sink(ranks, heap, count, 0);
        }
    }
    for (Py_ssize_t place = count / 2 - 1; count < room && place >= 0; place--) {
        sink(ranks, heap, count, place);
    }
    for (Py_ssize_t end = count - 1; end > 0; end--) {
        Py_ssize_t last = heap[0];
        heap[0] = heap[end];
        sink(ranks, heap, end, 0);
        heap[end] = last;
    }
    PyObject *found = PyList_New(count);
    for (Py_ssize_t place = 0; found != NULL && place < count; place++) {
        PyObject *row = PyLong_FromSsize_t(heap[place]);
        if (row == NULL) {
            Py_CLEAR(found);
            break;
        }
        PyList_SET_ITEM(found, place, row);
    }
    PyMem_Free(heap);
    return found;
}

static bool read_floor(PyObject *given, Py_ssize_t many, uint64_t *floor)
{
    PyObject *sequence = PySequence_Fast(given, "the floor is no sequence");
    if (sequence == NULL) {
        return false;
    }
    bool is_well = PySequence_Fast_GET_SIZE(sequence) == many || wrong("the floor has not a rank a column") == 0;
    for (Py_ssize_t column = 0; is_well && column < many; column++) {
        floor[column] = PyLong_AsUnsignedLongLong(PySequence_Fast_GET_ITEM(sequence, column));
        is_well = !PyErr_Occurred();
    }
    Py_DECREF(sequence);
    return is_well;
}

static PyObject *top(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *columns, *floor;
    Py_buffer mask;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(arguments, "OOy*n", &columns, &floor, &mask, &most)) {
        return NULL;
    }
    Ranks ranks = {.many = 0};
    uint64_t limits[MOST_COLUMNS];
    PyObject *found = NULL, *sequence = PySequence_Fast(columns, "the columns are no sequence");
    Py_ssize_t many = sequence == NULL ? -1 : PySequence_Fast_GET_SIZE(sequence);
    bool is_well = many >= 0 && (many <= MOST_COLUMNS || wrong("there are too many columns") == 0);
    while (is_well && ranks.many < many) {
        Py_buffer *column = &ranks.columns[ranks.many];
        is_well = PyObject_GetBuffer(PySequence_Fast_GET_ITEM(sequence, ranks.many), column, PyBUF_SIMPLE) == 0;
        if (is_well) {
            ranks.many++;
            is_well = column->len == 8 * mask.len || wrong("a column has not a rank a row") == 0;
        }
    }
    if (is_well && (floor == Py_None || read_floor(floor, many, limits))) {
        found = lowest(&ranks, floor == Py_None ? NULL : limits, &mask, most);
    }
    while (ranks.many > 0) {
        PyBuffer_Release(&ranks.columns[--ranks.many]);
    }
    Py_XDECREF(sequence);
    PyBuffer_Release(&mask);
    return found;
}

static PyObject *kept(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer values, mask;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "y*ny*", &values, &size, &mask)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (size > 0 && values.len / size >= mask.len) {
        const char *keeps = mask.buf;
        Py_ssize_t count = 0;
        for (Py_ssize_t place = 0; place < mask.len; place++) {
            count += keeps[place] != 0;
        }
        result = PyBytes_FromStringAndSize(NULL, size * count);
        char *end = result == NULL ? NULL : PyBytes_AS_STRING(result);
        for (Py_ssize_t place = 0; end != NULL && place < mask.len; place++) {
            if (keeps[place]) {
                memcpy(end, (const char *)values.buf + size * place, (size_t)size);
                end += size;
            }
        }
    } else {
        wrong("there are fewer items than rows");
    }
    PyBuffer_Release(&values);
    PyBuffer_Release(&mask);
    return result;
}

static PyObject *seconds(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer starts, ends, present;
    PyObject *rows;
    if (!PyArg_ParseTuple(arguments, "y*y*O", &starts, &ends, &rows)) {
        return NULL;
    }
    bool is_whole = rows == Py_None;
    Py_ssize_t count = count_in(&ends, 8), known = count < 0 ? -1 : count_in(&starts, 8);
    if (known < 0 || (!is_whole && PyObject_GetBuffer(rows, &present, PyBUF_SIMPLE) < 0)) {
        PyBuffer_Release(&starts);
        PyBuffer_Release(&ends);
        return NULL;
    }
    PyObject *result = NULL;
    if (is_whole ? known == count : present.len == 2 * count) {
        result = PyBytes_FromStringAndSize(NULL, 8 * count);
    } else {
        wrong("there are not as many ends as rows");
    }
    for (Py_ssize_t place = 0; result != NULL && place < count; place++) {
        Py_ssize_t row = is_whole ? place : u16_at(present.buf, place);
        if (row >= known) {
            Py_CLEAR(result);
            PyErr_SetString(PyExc_IndexError, "a row is not in the block");
            break;
        }
        __int128 nanoseconds = (__int128)signed_at(ends.buf, 'q', place) - (__int128)u64_at(starts.buf, row);
        double found = (double)nanoseconds / 1e9;
        memcpy(PyBytes_AS_STRING(result) + 8 * place, &found, 8);
    }
    if (!is_whole) {
        PyBuffer_Release(&present);
    }
    PyBuffer_Release(&starts);
    PyBuffer_Release(&ends);
    return result;
}

static PyMethodDef METHODS[] = {
    {"compare", compare, METH_VARARGS, "Return a mask of numbers that compare as asked."},
    {"map_codes", map_codes, METH_VARARGS, "Return the byte of a table for each code."},
    {"spread", spread, METH_VARARGS, "Return the mask of all rows."},
    {"ranks_of_numbers", (PyCFunction)(void (*)(void))ranks_of_numbers, METH_VARARGS | METH_KEYWORDS, "Return ranks of numbers."},
    {"ranks_of_codes", ranks_of_codes, METH_VARARGS, "Return the rank of a table for each code."},
    {"spread_ranks", spread_ranks, METH_VARARGS, "Return the ranks of all rows."},
    {"top", top, METH_VARARGS, "Return the rows with the lowest ranks."},
    {"kept", kept, METH_VARARGS, "Return the items of the rows of a mask."},
    {"seconds", seconds, METH_VARARGS, "Return durations."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "provtel_exporters.lmdb.index._column_kernels",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__column_kernels(void);

PyMODINIT_FUNC PyInit__column_kernels(void)
{
    return PyModule_Create(&MODULE);
}
