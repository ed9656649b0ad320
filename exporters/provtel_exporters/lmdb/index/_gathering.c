/* From records to columns: the twin of `gather_in_python` in block.py and of `specify_in_python` in columns.py.
 *
 * Whatever is not plain (subclasses, values of several types in one column, lists and maps) is left to Python: then
 * NotImplemented is returned.
 */

#include "../msgpack.h"
#include "../trail.h"

#include "numbers.h"

enum { ELSEWHERE = -1, APART = -2, LONGEST_VALUE = 128, LEAST_NUMBER = 4 };

/* ---- what records have, by field ---------------------------------------------------------------------------------- */

typedef struct {
    PyObject *name, *items; /* owned */
    Packed rows;
} Gathered;

typedef struct {
    Gathered *columns;
    Py_ssize_t count, room;
    PyObject *places; /* name of a column -> its place in `columns` */
    PyObject *known;  /* field -> its place or ELSEWHERE; of a map, its keys -> their places */
    Trail trail;      /* what was found is the place, or ELSEWHERE, or APART of a map */
    PyObject *maps, *elsewhere;
} Gathering;

/* Return the place of a column, which is made where it is not there; FAILED with an error. */
static Py_ssize_t column_named(Gathering *all, PyObject *name)
{
    PyObject *known = PyDict_GetItemWithError(all->places, name);
    if (known != NULL || PyErr_Occurred()) {
        return known == NULL ? FAILED : PyLong_AsSsize_t(known);
    }
    if (all->count == all->room) {
        Py_ssize_t room = 2 * all->room + 16;
        Gathered *larger = PyMem_Realloc(all->columns, (size_t)room * sizeof(Gathered));
        if (larger == NULL) {
            PyErr_NoMemory();
            return FAILED;
        }
        all->columns = larger;
        all->room = room;
    }
    PyObject *place = PyLong_FromSsize_t(all->count), *items = PyList_New(0);
    if (place == NULL || items == NULL || PyDict_SetItem(all->places, name, place) < 0) {
        Py_XDECREF(place);
        Py_XDECREF(items);
        return FAILED;
    }
    Py_DECREF(place);
    all->columns[all->count] = (Gathered){.name = Py_NewRef(name), .items = items};
    return all->count++;
}

static int put_item(Gathering *all, Py_ssize_t column, Py_ssize_t row, PyObject *item)
{
    Gathered *to = &all->columns[column];
    uint16_t number = (uint16_t)row;
    return PyList_Append(to->items, item) == 0 ? put_bytes(&to->rows, &number, sizeof number) : FAILED;
}

/* Remember the place of a key, or of a field; FAILED with an error. */
static Py_ssize_t remember(PyObject *known, PyObject *key, Py_ssize_t place)
{
    PyObject *number = place == FAILED && PyErr_Occurred() ? NULL : PyLong_FromSsize_t(place);
    bool is_well = number != NULL && PyDict_SetItem(known, key, number) == 0;
    Py_XDECREF(number);
    return is_well ? place : FAILED;
}

/* Find the place of a key of a map; NOT_PLAIN where it is no text. */
static int find_key(Gathering *all, PyObject *name, PyObject *key, Py_ssize_t *place)
{
    if (follow(&all->trail, key, true, place)) {
        return DONE;
    }
    PyObject *keys = PyUnicode_CheckExact(key) ? PyDict_GetItemWithError(all->known, name) : NULL;
    if (keys == NULL) {
        return PyErr_Occurred() ? FAILED : NOT_PLAIN;
    }
    PyObject *found = PyDict_GetItemWithError(keys, key);
    *place = found == NULL ? FAILED : PyLong_AsSsize_t(found);
    if (found == NULL && !PyErr_Occurred()) {
        PyObject *whole = PyUnicode_FromFormat("%U%c%U", name, 0, key);
        *place = whole == NULL ? FAILED : remember(keys, key, column_named(all, whole));
        Py_XDECREF(whole);
    }
    return *place >= 0 && lead(&all->trail, key, true, *place) ? DONE : FAILED;
}

static int put_map_items(Gathering *all, PyObject *name, PyObject *map, Py_ssize_t row)
{
    PyObject *key, *item;
    Py_ssize_t place;
    int done = PyDict_CheckExact(map) ? DONE : NOT_PLAIN;
    for (Py_ssize_t at = 0; done == DONE && PyDict_Next(map, &at, &key, &item);) {
        done = find_key(all, name, key, &place);
        done = done == DONE ? put_item(all, place, row, item) : done;
    }
    return done;
}

/* Return what is known of a field, a number or a map of keys; borrowed, NULL with an error. */
static PyObject *field_of(Gathering *all, PyObject *name)
{
    PyObject *found = PyDict_GetItemWithError(all->known, name);
    if (found != NULL || PyErr_Occurred()) {
        return found;
    }
    int is_map = PySet_Contains(all->maps, name), is_elsewhere = PySet_Contains(all->elsewhere, name);
    if (is_map < 0 || is_elsewhere < 0) {
        return NULL;
    }
    if (is_map) {
        PyObject *keys = PyDict_New();
        int failed = keys == NULL || PyDict_SetItem(all->known, name, keys) < 0;
        Py_XDECREF(keys);
        return failed ? NULL : keys;
    }
    remember(all->known, name, is_elsewhere ? ELSEWHERE : column_named(all, name));
    return PyErr_Occurred() ? NULL : PyDict_GetItemWithError(all->known, name);
}

static int find_field(Gathering *all, PyObject *name, Py_ssize_t *place)
{
    if (follow(&all->trail, name, false, place)) {
        return DONE;
    }
    PyObject *field = PyUnicode_CheckExact(name) ? field_of(all, name) : NULL;
    if (field == NULL) {
        return PyErr_Occurred() ? FAILED : NOT_PLAIN;
    }
    *place = PyDict_CheckExact(field) ? APART : PyLong_AsSsize_t(field);
    return lead(&all->trail, name, false, *place) ? DONE : FAILED;
}

static int gather_record(Gathering *all, PyObject *plain, Py_ssize_t row)
{
    PyObject *name, *value;
    Py_ssize_t place;
    int done = PyDict_CheckExact(plain) && row <= UINT16_MAX ? DONE : NOT_PLAIN;
    all->trail.at = 0;
    for (Py_ssize_t at = 0; done == DONE && PyDict_Next(plain, &at, &name, &value);) {
        done = find_field(all, name, &place);
        if (done == DONE && place == APART) {
            done = put_map_items(all, name, value, row);
        } else if (done == DONE && place != ELSEWHERE) {
            done = put_item(all, place, row, value);
        }
    }
    return done;
}

/* Return the rows and the items of every column by its name, in the order in which they came. */
static PyObject *by_name(const Gathering *all)
{
    PyObject *result = PyDict_New();
    for (Py_ssize_t place = 0; result != NULL && place < all->count; place++) {
        const Gathered *column = &all->columns[place];
        PyObject *pair = Py_BuildValue("(y#O)", (const char *)column->rows.bytes, (Py_ssize_t)column->rows.size, column->items);
        if (pair == NULL || PyDict_SetItem(result, column->name, pair) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(pair);
    }
    return result;
}

static PyObject *gather(PyObject *module, PyObject *arguments)
{
    (void)module;
    Gathering all = {.count = 0};
    PyObject *given;
    if (!PyArg_ParseTuple(arguments, "OO!O!", &given, &PyFrozenSet_Type, &all.maps, &PyFrozenSet_Type, &all.elsewhere)) {
        return NULL;
    }
    PyObject *plains = PySequence_Fast(given, "the records are no sequence"), *result = NULL;
    all.places = PyDict_New();
    all.known = PyDict_New();
    int done = plains == NULL || all.places == NULL || all.known == NULL ? FAILED : DONE;
    for (Py_ssize_t row = 0; done == DONE && row < PySequence_Fast_GET_SIZE(plains); row++) {
        done = gather_record(&all, PySequence_Fast_GET_ITEM(plains, row), row);
    }
    if (done != FAILED) {
        result = done == DONE ? by_name(&all) : Py_NewRef(Py_NotImplemented);
    }
    for (Py_ssize_t place = 0; place < all.count; place++) {
        Py_DECREF(all.columns[place].name);
        Py_DECREF(all.columns[place].items);
        PyMem_Free(all.columns[place].rows.bytes);
    }
    PyMem_Free(all.columns);
    forget_trail(&all.trail);
    Py_XDECREF(all.places);
    Py_XDECREF(all.known);
    Py_XDECREF(plains);
    return result;
}

/* ---- one column --------------------------------------------------------------------------------------------------- */

/* Return the type that all items have, borrowed; NULL where there are several, or none. */
static PyTypeObject *type_of(PyObject *const *items, Py_ssize_t count)
{
    PyTypeObject *type = count ? Py_TYPE(items[0]) : NULL;
    for (Py_ssize_t place = 1; place < count; place++) {
        if (Py_TYPE(items[place]) != type) {
            return NULL;
        }
    }
    return type;
}

static PyObject *reals(PyObject *const *items, Py_ssize_t count)
{
    PyObject *data = PyBytes_FromStringAndSize(NULL, 8 * count);
    for (Py_ssize_t place = 0; data != NULL && place < count; place++) {
        double item = PyFloat_AS_DOUBLE(items[place]);
        memcpy(PyBytes_AS_STRING(data) + 8 * place, &item, 8);
    }
    return data == NULL ? NULL : Py_BuildValue("CNy", 'd', data, "");
}

/* Read integers; false, without an error, where one has more than 64 bits or is among the lowest. */
static bool read_integers(PyObject *const *items, Py_ssize_t count, int64_t *numbers, int64_t *low, int64_t *high)
{
    *low = INT64_MAX;
    *high = INT64_MIN;
    for (Py_ssize_t place = 0; place < count; place++) {
        int overflow;
        int64_t number = PyLong_AsLongLongAndOverflow(items[place], &overflow);
        if (overflow) {
            return false;
        }
        numbers[place] = number;
        *low = number < *low ? number : *low;
        *high = number > *high ? number : *high;
    }
    return *low >= INT64_MIN + LEAST_NUMBER;
}

static bool fits(int64_t low, int64_t high, int bits)
{
    return bits > 63 || (low >= -((int64_t)1 << (bits - 1)) && high < (int64_t)1 << (bits - 1));
}

/* Return integers as bytes, in as few as the largest needs; None where they are to have codes. */
static PyObject *integers(PyObject *const *items, Py_ssize_t count)
{
    int64_t low, high, *numbers = PyMem_Malloc((size_t)count * sizeof(int64_t));
    if (numbers == NULL) {
        return PyErr_NoMemory();
    }
    if (!read_integers(items, count, numbers, &low, &high)) {
        PyMem_Free(numbers);
        Py_RETURN_NONE;
    }
    int power = fits(low, high, 8) ? 0 : fits(low, high, 16) ? 1 : fits(low, high, 32) ? 2 : 3;
    PyObject *data = PyBytes_FromStringAndSize(NULL, count << power);
    char *to = data == NULL ? NULL : PyBytes_AS_STRING(data);
    for (Py_ssize_t place = 0; to != NULL && place < count; place++, to += 1 << power) {
        int8_t b = (int8_t)numbers[place];
        int16_t h = (int16_t)numbers[place];
        int32_t i = (int32_t)numbers[place];
        const void *from[] = {&b, &h, &i, &numbers[place]};
        memcpy(to, from[power], (size_t)1 << power);
    }
    PyMem_Free(numbers);
    return data == NULL ? NULL : Py_BuildValue("CNy", "bhiq"[power], data, "");
}

static bool can_be_listed(PyObject *item)
{
    if (PyUnicode_CheckExact(item)) {
        return PyUnicode_GET_LENGTH(item) <= LONGEST_VALUE;
    }
    return !PyBytes_CheckExact(item) || PyBytes_GET_SIZE(item) <= LONGEST_VALUE;
}

/* Return the code of an item, which gets one where it has none; FAILED with an error. */
static Py_ssize_t code_of(PyObject *codes, PyObject *different, PyObject *item)
{
    PyObject *known = PyDict_GetItemWithError(codes, item);
    if (known != NULL || PyErr_Occurred()) {
        return known == NULL ? FAILED : PyLong_AsSsize_t(known);
    }
    Py_ssize_t code = 0;
    if (can_be_listed(item)) {
        code = PyList_GET_SIZE(different) + 1;
        if (PyList_Append(different, item) < 0) {
            return FAILED;
        }
    }
    PyObject *number = PyLong_FromSsize_t(code);
    bool is_well = number != NULL && PyDict_SetItem(codes, item, number) == 0;
    Py_XDECREF(number);
    return is_well ? code : FAILED;
}

static bool read_codes(PyObject *const *items, Py_ssize_t count, PyObject *different, uint32_t *found, bool *are_one)
{
    PyObject *codes = PyDict_New();
    bool is_well = codes != NULL;
    *are_one = true;
    for (Py_ssize_t place = 0; is_well && place < count; place++) {
        bool is_as_before = place > 0 && items[place] == items[place - 1];
        Py_ssize_t code = is_as_before ? (Py_ssize_t)found[place - 1] : code_of(codes, different, items[place]);
        is_well = code >= 0;
        found[place] = (uint32_t)code;
        *are_one = *are_one && code == 1;
    }
    Py_XDECREF(codes);
    return is_well;
}

static PyObject *in_few_bytes(const uint32_t *found, Py_ssize_t count, Py_ssize_t different, PyObject *packed)
{
    int power = different < 1 << 8 ? 0 : different < 1 << 16 ? 1 : 2;
    PyObject *data = PyBytes_FromStringAndSize(NULL, count << power);
    char *to = data == NULL ? NULL : PyBytes_AS_STRING(data);
    for (Py_ssize_t place = 0; to != NULL && place < count; place++, to += 1 << power) {
        uint8_t b = (uint8_t)found[place];
        uint16_t h = (uint16_t)found[place];
        const void *from[] = {&b, &h, &found[place]};
        memcpy(to, from[power], (size_t)1 << power);
    }
    return data == NULL ? NULL : Py_BuildValue("CNO", "BHI"[power], data, packed);
}

static PyObject *coded(PyObject *const *items, Py_ssize_t count)
{
    uint32_t *found = PyMem_Malloc((size_t)count * sizeof(uint32_t));
    PyObject *different = PyList_New(0), *result = NULL, *packed = NULL;
    Packed bytes = {NULL, 0, 0};
    bool are_one;
    if (found == NULL) {
        PyErr_NoMemory();
    } else if (different != NULL && read_codes(items, count, different, found, &are_one)) {
        int done = put_list(&bytes, different, 0);
        packed = done == DONE ? PyBytes_FromStringAndSize((const char *)bytes.bytes, (Py_ssize_t)bytes.size) : NULL;
        if (done == NOT_PLAIN) {
            result = Py_NewRef(Py_NotImplemented);
        } else if (packed != NULL) {
            result = are_one ? Py_BuildValue("CyO", 'B', "", packed)
                             : in_few_bytes(found, count, PyList_GET_SIZE(different), packed);
        }
    }
    PyMem_Free(bytes.bytes);
    PyMem_Free(found);
    Py_XDECREF(packed);
    Py_XDECREF(different);
    return result;
}

static PyObject *column_of_type(PyTypeObject *type, PyObject *const *items, Py_ssize_t count, bool is_listed)
{
    if (type == &PyFloat_Type && !is_listed) {
        return reals(items, count);
    }
    if (type != &PyLong_Type && type != &PyUnicode_Type && type != &PyBytes_Type && type != &PyBool_Type) {
        return Py_NewRef(Py_NotImplemented);
    }
    PyObject *numbers = type == &PyLong_Type && !is_listed ? integers(items, count) : Py_NewRef(Py_None);
    if (numbers != Py_None) {
        return numbers;
    }
    Py_DECREF(numbers);
    return coded(items, count);
}

static PyObject *specify(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *given;
    int is_listed;
    if (!PyArg_ParseTuple(arguments, "Op", &given, &is_listed)) {
        return NULL;
    }
    PyObject *sequence = PySequence_Fast(given, "the items are no sequence");
    if (sequence == NULL) {
        return NULL;
    }
    PyObject **items = PySequence_Fast_ITEMS(sequence);
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
    PyObject *result = column_of_type(type_of(items, count), items, count, is_listed);
    Py_DECREF(sequence);
    return result;
}

static PyMethodDef METHODS[] = {
    {"gather", gather, METH_VARARGS, "Return what records have, by field."},
    {"specify", specify, METH_VARARGS, "Return how the items of a column are kept."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "provtel_exporters.lmdb.index._gathering",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__gathering(void);

PyMODINIT_FUNC PyInit__gathering(void)
{
    return PyModule_Create(&MODULE);
}
