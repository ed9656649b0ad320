/* What is done to the keys of a block: the twin of the functions of the same names in in_python.py. */

#include "numbers.h"

#include <stdlib.h>

typedef struct {
    uint64_t digest;
    uint16_t row;
} Key;

/* Put keys in the order of one byte of their digests, without changing it otherwise. */
static void order_by_byte(const Key *from, Key *to, Py_ssize_t count, int byte)
{
    Py_ssize_t places[257] = {0};
    for (Py_ssize_t place = 0; place < count; place++) {
        places[(from[place].digest >> (8 * byte) & 0xFF) + 1]++;
    }
    for (int value = 0; value < 256; value++) {
        places[value + 1] += places[value];
    }
    for (Py_ssize_t place = 0; place < count; place++) {
        to[places[from[place].digest >> (8 * byte) & 0xFF]++] = from[place];
    }
}

/* Sort keys whose rows are in order, the lowest byte first; `keys` has room for twice as many. */
static void order(Key *keys, Py_ssize_t count)
{
    for (int byte = 0; byte < 8; byte += 2) {
        order_by_byte(keys, keys + count, count, byte);
        order_by_byte(keys + count, keys, count, byte + 1);
    }
}

static int compare_keys(const void *left, const void *right)
{
    const Key *a = left, *b = right;
    if (a->digest != b->digest) {
        return a->digest < b->digest ? -1 : 1;
    }
    return (int)a->row - (int)b->row;
}

/* The digests and the rows of keys, as two objects of bytes. */
static PyObject *apart(const Key *keys, Py_ssize_t count)
{
    PyObject *digests = PyBytes_FromStringAndSize(NULL, 8 * count);
    PyObject *rows = PyBytes_FromStringAndSize(NULL, 2 * count);
    if (digests == NULL || rows == NULL) {
        Py_XDECREF(digests);
        Py_XDECREF(rows);
        return NULL;
    }
    for (Py_ssize_t place = 0; place < count; place++) {
        put_u64(PyBytes_AS_STRING(digests), place, keys[place].digest);
        memcpy(PyBytes_AS_STRING(rows) + 2 * place, &keys[place].row, 2);
    }
    return Py_BuildValue("(NN)", digests, rows);
}

/* How many keys there are of some rows; -1 with an error where one's keys are none. */
static Py_ssize_t count_keys(PyObject *rows)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t row = 0; row < PySequence_Fast_GET_SIZE(rows); row++) {
        PyObject *keys = PySequence_Fast_GET_ITEM(rows, row);
        if (row > UINT16_MAX || !PyBytes_Check(keys) || PyBytes_GET_SIZE(keys) % 8) {
            return wrong("there are too many rows, or one's keys are no whole number of digests");
        }
        count += PyBytes_GET_SIZE(keys) / 8;
    }
    return count;
}

static PyObject *sort_keys(PyObject *module, PyObject *given)
{
    (void)module;
    PyObject *rows = PySequence_Fast(given, "the keys of rows are no sequence"), *result = NULL;
    Py_ssize_t count = rows == NULL ? -1 : count_keys(rows);
    Key *keys = count < 0 ? NULL : PyMem_Malloc(sizeof(Key) * (size_t)(2 * count + 1));
    if (keys != NULL) {
        Key *next = keys;
        for (Py_ssize_t row = 0; row < PySequence_Fast_GET_SIZE(rows); row++) {
            PyObject *digests = PySequence_Fast_GET_ITEM(rows, row);
            for (Py_ssize_t place = 0; place < PyBytes_GET_SIZE(digests) / 8; place++) {
                *next++ = (Key){u64_at(PyBytes_AS_STRING(digests), place), (uint16_t)row};
            }
        }
        order(keys, count);
        result = apart(keys, count);
    } else if (count >= 0) {
        PyErr_NoMemory();
    }
    PyMem_Free(keys);
    Py_XDECREF(rows);
    return result;
}

typedef struct {
    Py_buffer digests, rows, renumbered;
    Py_ssize_t next, count;
    Key key; /* the one at `next`, renumbered */
} Part;

/* Go to the next key whose row is kept; false at the end, or with an error. */
static bool advance(Part *part)
{
    for (; part->next < part->count; part->next++) {
        uint16_t row = u16_at(part->rows.buf, part->next);
        int32_t number;
        if (4 * ((Py_ssize_t)row + 1) > part->renumbered.len) {
            wrong("a key leads to a row that is not there");
            return false;
        }
        memcpy(&number, (const char *)part->renumbered.buf + 4 * row, 4);
        if (number >= 0 && number <= UINT16_MAX) {
            part->key = (Key){u64_at(part->digests.buf, part->next), (uint16_t)number};
            return true;
        }
    }
    return false;
}

static PyObject *merged(Part *parts, Py_ssize_t many, Py_ssize_t most)
{
    Key *keys = PyMem_Malloc(sizeof(Key) * (size_t)(most + 1));
    if (keys == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t count = 0;
    bool is_sorted = true;
    for (Py_ssize_t part = 0; part < many; part++) {
        parts[part].next = 0;
        if (!advance(&parts[part])) {
            parts[part].next = parts[part].count;
        }
    }
    for (;;) {
        Part *first = NULL;
        for (Py_ssize_t part = 0; part < many; part++) {
            Part *one = &parts[part];
            if (one->next < one->count && (first == NULL || compare_keys(&one->key, &first->key) < 0)) {
                first = one;
            }
        }
        if (first == NULL) {
            break;
        }
        is_sorted = is_sorted && (count == 0 || compare_keys(&keys[count - 1], &first->key) <= 0);
        keys[count++] = first->key;
        first->next++;
        if (!advance(first)) {
            first->next = first->count;
        }
    }
    if (!is_sorted) {
        qsort(keys, (size_t)count, sizeof(Key), compare_keys);
    }
    PyObject *result = PyErr_Occurred() ? NULL : apart(keys, count);
    PyMem_Free(keys);
    return result;
}

static PyObject *merge_keys(PyObject *module, PyObject *given)
{
    (void)module;
    PyObject *sequence = PySequence_Fast(given, "the parts are no sequence");
    if (sequence == NULL) {
        return NULL;
    }
    Py_ssize_t many = PySequence_Fast_GET_SIZE(sequence), opened = 0, most = 0;
    Part *parts = PyMem_Calloc((size_t)many + 1, sizeof(Part));
    PyObject *result = NULL;
    bool is_well = parts != NULL || PyErr_NoMemory() != NULL;
    while (is_well && opened < many) {
        Part *part = &parts[opened];
        PyObject *item = PySequence_Fast_GET_ITEM(sequence, opened);
        if (!PyTuple_Check(item) || !PyArg_ParseTuple(item, "y*y*y*", &part->digests, &part->rows, &part->renumbered)) {
            is_well = PyErr_Occurred() == NULL && wrong("a part is no tuple") == 0;
            break;
        }
        opened++;
        part->count = count_in(&part->digests, 8);
        is_well = part->count >= 0 && (part->rows.len == 2 * part->count || wrong("there are not as many rows as digests") == 0);
        most += part->count;
    }
    if (is_well) {
        result = merged(parts, many, most);
    }
    while (opened > 0) {
        opened--;
        PyBuffer_Release(&parts[opened].digests);
        PyBuffer_Release(&parts[opened].rows);
        PyBuffer_Release(&parts[opened].renumbered);
    }
    PyMem_Free(parts);
    Py_DECREF(sequence);
    return result;
}

enum { FIRST_STEP = 8, TOGETHER = 16 };

/* Digests are spread evenly, so that one lies near the place that its size tells. */
static Py_ssize_t first_guess(Py_ssize_t count, uint64_t digest)
{
    return (Py_ssize_t)(((unsigned __int128)digest * (uint64_t)count) >> 64);
}

/* What is at the first guess tells how far from there it lies. */
static Py_ssize_t second_guess(const void *digests, Py_ssize_t count, uint64_t digest)
{
    Py_ssize_t guess = first_guess(count, digest);
    uint64_t there = u64_at(digests, guess);
    Py_ssize_t back = first_guess(count, there > digest ? there - digest : 0);
    Py_ssize_t on = first_guess(count, digest > there ? digest - there : 0);
    if (there > digest) {
        return guess > back ? guess - back : 0;
    }
    return count - 1 - guess > on ? guess + on : count - 1;
}

/* Guess where several digests are, and have what lies there fetched for all of them at once: to wait for the memory is
 * what takes the time in a large block. */
static void guess_together(const void *digests, Py_ssize_t count, const void *wanted, Py_ssize_t many, Py_ssize_t *guesses)
{
    const char *items = digests;
    for (Py_ssize_t number = 0; number < many; number++) {
        __builtin_prefetch(items + 8 * first_guess(count, u64_at(wanted, number)));
    }
    for (Py_ssize_t number = 0; number < many; number++) {
        guesses[number] = second_guess(digests, count, u64_at(wanted, number));
        __builtin_prefetch(items + 8 * guesses[number]);
    }
}

/* From the guess the search goes out in growing steps, which mostly stays within a line of the processor's cache. */
static Py_ssize_t first_not_below(const void *digests, Py_ssize_t count, uint64_t digest, Py_ssize_t guess)
{
    Py_ssize_t low = guess, high = guess, step = FIRST_STEP;
    while (low > 0 && u64_at(digests, low) >= digest) {
        high = low;
        low = low > step ? low - step : 0;
        step *= 2;
    }
    for (step = FIRST_STEP; high < count && u64_at(digests, high) < digest; step *= 2) {
        low = high;
        high = count - high > step ? high + step : count;
    }
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (u64_at(digests, middle) < digest) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool add_found(PyObject *found, Py_ssize_t number, Py_ssize_t place)
{
    PyObject *pair = Py_BuildValue("(nn)", number, place);
    bool is_added = pair != NULL && PyList_Append(found, pair) == 0;
    Py_XDECREF(pair);
    return is_added;
}

/* Which rows may be found: those of a mask, where there is one; of each digest at most so many. */
typedef struct {
    const char *rows;
    const unsigned char *mask;
    Py_ssize_t mask_size, most;
} Wanted;

/* Add what lies from a place on under one digest. */
static bool add_all(PyObject *found, Py_ssize_t number, const void *digests, Py_ssize_t count, Py_ssize_t place, const Wanted *wanted)
{
    uint64_t digest = place < count ? u64_at(digests, place) : 0;
    Py_ssize_t left = wanted->most;
    for (; place < count && left > 0 && u64_at(digests, place) == digest; place++) {
        if (wanted->mask != NULL) {
            uint16_t row = u16_at(wanted->rows, place);
            if (row >= wanted->mask_size) {
                return wrong("a key leads to a row that is not there") == 0;
            }
            if (!wanted->mask[row]) {
                continue;
            }
        }
        if (!add_found(found, number, place)) {
            return false;
        }
        left--;
    }
    return true;
}

static bool search_all(const void *digests, Py_ssize_t count, const char *keys, Py_ssize_t many, const Wanted *wanted, PyObject *found)
{
    Py_ssize_t guesses[TOGETHER];
    for (Py_ssize_t number = 0; number < many; number++) {
        if (number % TOGETHER == 0) {
            Py_ssize_t some = many - number < TOGETHER ? many - number : TOGETHER;
            guess_together(digests, count, keys + 8 * number, some, guesses);
        }
        uint64_t digest = u64_at(keys, number);
        Py_ssize_t place = first_not_below(digests, count, digest, guesses[number % TOGETHER]);
        if (place < count && u64_at(digests, place) == digest && !add_all(found, number, digests, count, place, wanted)) {
            return false;
        }
    }
    return true;
}

/* Search, and release what is searched. */
static PyObject *found_in(Py_buffer *digests, Py_buffer *keys, const Wanted *wanted)
{
    Py_ssize_t count = count_in(digests, 8), many = count_in(keys, 8);
    PyObject *found = count < 0 || many < 0 ? NULL : PyList_New(0);
    if (found != NULL && count > 0 && !search_all(digests->buf, count, keys->buf, many, wanted, found)) {
        Py_CLEAR(found);
    }
    return found;
}

static PyObject *search(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer digests, keys;
    Wanted wanted = {NULL, NULL, 0, 0};
    if (!PyArg_ParseTuple(arguments, "y*y*n", &digests, &keys, &wanted.most)) {
        return NULL;
    }
    PyObject *found = found_in(&digests, &keys, &wanted);
    PyBuffer_Release(&digests);
    PyBuffer_Release(&keys);
    return found;
}

static PyObject *search_within(PyObject *module, PyObject *arguments)
{
    (void)module;
    Py_buffer digests, rows, keys, mask;
    if (!PyArg_ParseTuple(arguments, "y*y*y*y*", &digests, &rows, &keys, &mask)) {
        return NULL;
    }
    Wanted wanted = {rows.buf, mask.buf, mask.len, PY_SSIZE_T_MAX};
    PyObject *found = NULL;
    if (rows.len == digests.len / 4 || wrong("there are not as many rows as digests") == 0) {
        found = found_in(&digests, &keys, &wanted);
    }
    PyBuffer_Release(&digests);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&keys);
    PyBuffer_Release(&mask);
    return found;
}

static PyMethodDef METHODS[] = {
    {"sort_keys", sort_keys, METH_O, "Return the keys of rows in order."},
    {"merge_keys", merge_keys, METH_O, "Return the keys of several blocks as those of one."},
    {"search", search, METH_VARARGS, "Return where wanted digests are."},
    {"search_within", search_within, METH_VARARGS, "Return where wanted digests are that lead to some rows."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "provtel_exporters.lmdb.index._key_kernels",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__key_kernels(void);

PyMODINIT_FUNC PyInit__key_kernels(void)
{
    return PyModule_Create(&MODULE);
}
