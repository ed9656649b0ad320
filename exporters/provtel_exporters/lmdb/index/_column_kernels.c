/* What is done to the columns of a block: the twin of the functions of the same names in in_python.py. */

#include "columns.h"

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

static PyObject *spread(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_ssize_t count;
    Py_buffer present, mask;
    unsigned char missing;
    if (!PyArg_ParseTuple(arguments, "ny*y*b", &count, &present, &mask, &missing)) {
        return NULL;
    }
    Py_ssize_t many = count_in(&present, 2);
    bool is_well = many >= 0 && count >= 0 && (mask.len == many || wrong("there are not as many items as rows") == 0);
    PyObject *result = is_well ? PyBytes_FromStringAndSize(NULL, count) : NULL;
    if (result != NULL) {
        memset(PyBytes_AS_STRING(result), missing, (size_t)count);
    }
    for (Py_ssize_t place = 0; result != NULL && place < many; place++) {
        Py_ssize_t row = u16_at(present.buf, place);
        if (row >= count) {
            Py_CLEAR(result);
            PyErr_SetString(PyExc_IndexError, "a row is not in the block");
            break;
        }
        PyBytes_AS_STRING(result)[row] = ((const char *)mask.buf)[place];
    }
    PyBuffer_Release(&present);
    PyBuffer_Release(&mask);
    return result;
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

static inline double seconds_between(uint64_t start, int64_t end)
{
    int64_t nanoseconds;
    bool is_wide = start > INT64_MAX || __builtin_sub_overflow(end, (int64_t)start, &nanoseconds);
    return (is_wide ? (double)((__int128)end - (__int128)start) : (double)nanoseconds) / 1e9;
}

/* Write the seconds of rows which all have an end. */
static void put_seconds(const char *starts, const char *ends, Py_ssize_t count, char *result)
{
    for (Py_ssize_t row = 0; row < count; row++) {
        double found = seconds_between(u64_at(starts, row), (int64_t)u64_at(ends, row));
        memcpy(result + 8 * row, &found, 8);
    }
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
    if (result != NULL && is_whole) {
        put_seconds(starts.buf, ends.buf, count, PyBytes_AS_STRING(result));
    }
    for (Py_ssize_t place = 0; result != NULL && !is_whole && place < count; place++) {
        Py_ssize_t row = u16_at(present.buf, place);
        if (row >= known) {
            Py_CLEAR(result);
            PyErr_SetString(PyExc_IndexError, "a row is not in the block");
            break;
        }
        double found = seconds_between(u64_at(starts.buf, row), (int64_t)u64_at(ends.buf, place));
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
