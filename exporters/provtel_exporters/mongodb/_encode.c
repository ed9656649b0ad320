/* From records, data points and log records to BSON, compiled: the twin of `Encoder` in documents.py, which says what a
 * document is made of, and of `document_id` in layout.py.
 *
 * It writes the plain case: what a document holds as it is, and takes whole. Everything else (names that MongoDB does
 * not take, integers beyond 64 bits, what is too deep or too large, types that no record has) is left to Python, and so
 * is every error.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "digest.h"

enum { DEEPEST = 40, MOST_ATTRIBUTES = 256, MOST_NUMBERS = 1024, SMALL = 4096, TRACE = 32, SPAN = 16 };
enum { DOUBLE = 1, TEXT = 2, MAP = 3, LIST = 4, BINARY = 5, TRUTH = 8, NOTHING = 10, INT32 = 16, INT64 = 18 };

/* ---- what is told by `configure`, and names of fields ----------------------------------------------------------- */

static PyObject *group_of_name, *numbers_in, *linked_ids;
static uint64_t content_group;
static Py_ssize_t longest;

#define TEXTS(X) X(trace_id) X(span_id) X(workflow_id) X(started_at) X(ended_at) X(used) X(generated) X(links) X(attributes)
#define DECLARE(text) static PyObject *text_##text;
TEXTS(DECLARE)

/* ---- bytes that grow; each function returns false where Python is to do it, with or without an error ------------ */

typedef struct {
    char *bytes;
    Py_ssize_t size, room;
    char small[SMALL];
} Out;

typedef struct {
    const char *at;
    Py_ssize_t size;
} Name;

static void begin(Out *out) {
    out->bytes = out->small;
    out->size = 0;
    out->room = SMALL;
}

static void release(Out *out) {
    if (out->bytes != out->small) PyMem_Free(out->bytes);
}

/* Make room; what is larger than a document may be ends here. */
static char *room_for(Out *out, Py_ssize_t size) {
    if (size > longest - out->size) return NULL;
    if (size > out->room - out->size) {
        Py_ssize_t room = 2 * (out->size + size);
        char *bytes = PyMem_Malloc((size_t)room);
        if (bytes == NULL) return NULL;
        memcpy(bytes, out->bytes, (size_t)out->size);
        release(out);
        out->bytes = bytes;
        out->room = room;
    }
    char *at = out->bytes + out->size;
    out->size += size;
    return at;
}

static bool put(Out *out, const void *bytes, Py_ssize_t size) {
    char *at = room_for(out, size);
    if (at != NULL) memcpy(at, bytes, (size_t)size);
    return at != NULL;
}

static void put_little(char *at, uint64_t value, int size) {
    for (int i = 0; i < size; i++) at[i] = (char)(value >> (8 * i));
}

static bool put_head(Out *out, int type, Name name) {
    char *at = room_for(out, name.size + 2);
    if (at == NULL) return false;
    at[0] = (char)type;
    memcpy(at + 1, name.at, (size_t)name.size);
    at[1 + name.size] = '\0';
    return true;
}

static bool put_number(Out *out, int type, Name name, uint64_t value, int size) {
    if (!put_head(out, type, name)) return false;
    char *at = room_for(out, size);
    if (at != NULL) put_little(at, value, size);
    return at != NULL;
}

static bool put_int(Out *out, Name name, int64_t value) {
    bool is_small = value >= INT32_MIN && value <= INT32_MAX;
    return put_number(out, is_small ? INT32 : INT64, name, (uint64_t)value, is_small ? 4 : 8);
}

static bool put_float(Out *out, Name name, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_number(out, DOUBLE, name, bits, 8);
}

/* Put a text of two pieces, with a byte between them where there is a second. */
static bool put_texts(Out *out, Name name, Name one, Name other) {
    Py_ssize_t size = one.size + (other.at == NULL ? 0 : 1 + other.size) + 1;
    if (size > longest || !put_number(out, TEXT, name, (uint64_t)size, 4) || !put(out, one.at, one.size)) return false;
    return (other.at == NULL || (put(out, "-", 1) && put(out, other.at, other.size))) && put(out, "", 1);
}

/* A document or list is opened by where its length will be, which is written when it is closed. */
static bool open_document(Out *out, Py_ssize_t *start) {
    *start = out->size;
    return room_for(out, 4) != NULL;
}

static bool close_document(Out *out, Py_ssize_t start) {
    if (!put(out, "", 1)) return false;
    put_little(out->bytes + start, (uint64_t)(out->size - start), 4);
    return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

#define NAME(text) ((Name){text, sizeof text - 1})

static bool is(Name name, const char *text) {
    return (size_t)name.size == strlen(text) && memcmp(name.at, text, (size_t)name.size) == 0;
}

static bool read_text(PyObject *text, Name *name) {
    name->at = text != NULL && PyUnicode_CheckExact(text) ? PyUnicode_AsUTF8AndSize(text, &name->size) : NULL;
    return name->at != NULL;
}

/* Read a name that BSON takes. */
static bool read_name(PyObject *text, Name *name) {
    return read_text(text, name) && memchr(name->at, '\0', (size_t)name->size) == NULL;
}

static Name place_name(Py_ssize_t place, char *digits) {
    return (Name){digits, snprintf(digits, 24, "%zd", place)};
}

/* ---- values that a document holds as they are -------------------------------------------------------------------- */

static bool put_value(Out *out, Name name, PyObject *value, int depth);

static bool put_list(Out *out, PyObject *list, int depth) {
    char digits[24];
    Py_ssize_t start;
    if (!open_document(out, &start)) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
        if (!put_value(out, place_name(i, digits), PyList_GET_ITEM(list, i), depth + 1)) return false;
    return close_document(out, start);
}

static bool put_pairs(Out *out, PyObject *map, PyObject *but, int depth) {
    PyObject *key, *value;
    Name name;
    for (Py_ssize_t at = 0; PyDict_Next(map, &at, &key, &value);) {
        if (!read_name(key, &name)) return false;
        if (but != NULL && is(name, "attributes")) continue;
        if (name.size == 0 || name.at[0] == '$' || memchr(name.at, '.', (size_t)name.size) != NULL) return false;
        if (!put_value(out, name, value, depth + 1)) return false;
    }
    return true;
}

static bool put_map(Out *out, PyObject *map, int depth) {
    Py_ssize_t start;
    return open_document(out, &start) && put_pairs(out, map, NULL, depth) && close_document(out, start);
}

static bool put_binary(Out *out, Name name, PyObject *value) {
    Py_ssize_t size = PyBytes_GET_SIZE(value);
    if (size > longest || !put_number(out, BINARY, name, (uint64_t)size, 4)) return false;
    return put(out, "", 1) && put(out, PyBytes_AS_STRING(value), size);
}

static bool put_value(Out *out, Name name, PyObject *value, int depth) {
    Name text;
    if (PyUnicode_CheckExact(value)) return read_text(value, &text) && put_texts(out, name, text, (Name){NULL, 0});
    if (PyFloat_CheckExact(value)) return put_float(out, name, PyFloat_AS_DOUBLE(value));
    if (PyBool_Check(value)) return put_number(out, TRUTH, name, value == Py_True, 1);
    if (value == Py_None) return put_head(out, NOTHING, name);
    if (PyBytes_CheckExact(value)) return put_binary(out, name, value);
    if (PyLong_CheckExact(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return !overflow && put_int(out, name, number);
    }
    if (depth == DEEPEST) return false;
    if (PyDict_CheckExact(value)) return put_head(out, MAP, name) && put_map(out, value, depth);
    return PyList_CheckExact(value) && put_head(out, LIST, name) && put_list(out, value, depth);
}

/* ---- attributes, nested by the dots in their names --------------------------------------------------------------- */

typedef struct {
    Name name;
    PyObject *value;
    int next; /* of its group, or -1 */
} Attribute;

static Py_ssize_t part_size(Name name, Py_ssize_t from) {
    const char *dot = memchr(name.at + from, '.', (size_t)(name.size - from));
    return dot == NULL ? name.size - from : dot - name.at - from;
}

/* Whether both names have the same part. */
static bool share(Name one, Name other, Py_ssize_t from, Py_ssize_t size) {
    return other.size - from >= size && memcmp(one.at + from, other.at + from, (size_t)size) == 0 &&
           part_size(other, from) == size;
}

/* Put attributes whose names are the same up to `from`, in the order in which their next parts come first. */
static bool put_group(Out *out, Attribute *all, int first, Py_ssize_t from, int depth) {
    Py_ssize_t start;
    if (depth > DEEPEST || !open_document(out, &start)) return false;
    for (int i = first, rest; i >= 0; i = rest) {
        Name name = all[i].name;
        Py_ssize_t size = part_size(name, from);
        bool is_leaf = from + size == name.size;
        int *link = &rest, last = i;
        if (size == 0 || name.at[from] == '$') return false;
        rest = all[i].next;
        all[i].next = -1;
        while (*link >= 0) {
            int other = *link;
            if (!share(name, all[other].name, from, size)) {
                link = &all[other].next;
                continue;
            }
            if (is_leaf || from + size == all[other].name.size) return false;
            *link = all[other].next;
            all[other].next = -1;
            last = all[last].next = other;
        }
        Name part = {name.at + from, size};
        if (is_leaf ? PyDict_CheckExact(all[i].value) || !put_value(out, part, all[i].value, 0)
                    : !put_head(out, MAP, part) || !put_group(out, all, i, from + size + 1, depth + 1))
            return false;
    }
    return close_document(out, start);
}

static bool put_attributes(Out *out, PyObject *map) {
    Attribute all[MOST_ATTRIBUTES];
    int count = 0;
    if (!PyDict_CheckExact(map) || PyDict_GET_SIZE(map) > MOST_ATTRIBUTES) return false;
    PyObject *key, *value;
    for (Py_ssize_t at = 0; PyDict_Next(map, &at, &key, &value); count++) {
        if (!read_name(key, &all[count].name)) return false;
        all[count].value = value;
        all[count].next = count + 1;
    }
    if (count > 0) all[count - 1].next = -1;
    return put_group(out, all, count > 0 ? 0 : -1, 0, 1);
}

/* Put a scope, an event, a link or an exemplar. */
static bool put_with_attributes(Out *out, PyObject *map) {
    Py_ssize_t start;
    if (!PyDict_CheckExact(map) || !open_document(out, &start)) return false;
    PyObject *attributes = PyDict_GetItemWithError(map, text_attributes);
    if (!put_pairs(out, map, attributes, 0)) return false;
    if (attributes != NULL && !(put_head(out, MAP, NAME("attributes")) && put_attributes(out, attributes))) return false;
    return close_document(out, start);
}

static bool put_all_with_attributes(Out *out, PyObject *list) {
    char digits[24];
    Py_ssize_t start;
    if (!open_document(out, &start)) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        if (!put_head(out, MAP, place_name(i, digits)) || !put_with_attributes(out, PyList_GET_ITEM(list, i))) return false;
    }
    return close_document(out, start);
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* Return the document of a value that many records share; a borrowed reference, or NULL. */
static PyObject *shared_document(PyObject *value, bool is_scope, PyObject *shared) {
    PyObject *key = PyLong_FromVoidPtr(value), *content = NULL;
    PyObject *known = key == NULL ? NULL : PyDict_GetItemWithError(shared, key);
    if (known != NULL) {
        Py_DECREF(key);
        content = PyTuple_GET_ITEM(known, 1);
        return content == Py_None ? NULL : content;
    }
    Out out;
    begin(&out);
    bool fine = key != NULL && (is_scope ? put_with_attributes(&out, value) : put_attributes(&out, value));
    if (key != NULL && !PyErr_Occurred()) {
        content = fine ? PyBytes_FromStringAndSize(out.bytes, out.size) : Py_NewRef(Py_None);
        PyObject *entry = content == NULL ? NULL : PyTuple_Pack(2, value, content);
        if (entry == NULL || PyDict_SetItem(shared, key, entry) < 0) fine = false;
        Py_XDECREF(entry);
        Py_XDECREF(content); /* `shared` holds it */
    }
    Py_XDECREF(key);
    release(&out);
    return fine ? content : NULL;
}

static bool put_shared(Out *out, Name name, PyObject *value, bool is_scope, PyObject *shared) {
    PyObject *content = PyDict_CheckExact(value) ? shared_document(value, is_scope, shared) : NULL;
    return content != NULL && put_head(out, MAP, name) && put(out, PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content));
}

static bool is_computed(Name name) {
    return is(name, "_id") || is(name, "id") || is(name, "run") || is(name, "duration") || is(name, "provtel");
}

static bool put_field(Out *out, Name name, PyObject *value, PyObject *shared) {
    if (PyUnicode_CheckExact(value) || PyLong_CheckExact(value)) return !is_computed(name) && put_value(out, name, value, 0);
    if (is(name, "resource")) return put_shared(out, name, value, false, shared);
    if (is(name, "scope")) return put_shared(out, name, value, true, shared);
    if (is(name, "telemetry") || is(name, "attributes")) return put_head(out, MAP, name) && put_attributes(out, value);
    if (is(name, "events") || is(name, "links") || is(name, "exemplars"))
        return PyList_CheckExact(value) && put_head(out, LIST, name) && put_all_with_attributes(out, value);
    return !is_computed(name) && put_value(out, name, value, 0);
}

static bool put_fields(Out *out, PyObject *plain, PyObject *shared) {
    PyObject *key, *value;
    Name name;
    for (Py_ssize_t at = 0; PyDict_Next(plain, &at, &key, &value);)
        if (!read_name(key, &name) || !put_field(out, name, value, shared)) return false;
    return true;
}

/* ---- numbers of data keys ---------------------------------------------------------------------------------------- */

typedef struct {
    int64_t all[MOST_NUMBERS];
    int count;
} Numbers;

static bool add_number(Numbers *numbers, uint64_t number) {
    int64_t value = (int64_t)(number ^ ((uint64_t)1 << 63));
    for (int i = 0; i < numbers->count; i++)
        if (numbers->all[i] == value) return true;
    if (numbers->count == MOST_NUMBERS) return false;
    numbers->all[numbers->count++] = value;
    return true;
}

/* Add those of a list or map, which Python knows. */
static bool add_members(Numbers *numbers, PyObject *plain, PyObject *role, PyObject *value) {
    PyObject *found = PyObject_CallFunctionObjArgs(numbers_in, plain, role, value, NULL);
    bool fine = found != NULL && PyList_CheckExact(found);
    for (Py_ssize_t i = 0; fine && i < PyList_GET_SIZE(found); i++) {
        long long number = PyLong_AsLongLong(PyList_GET_ITEM(found, i));
        fine = !(number == -1 && PyErr_Occurred()) && add_number(numbers, (uint64_t)number ^ ((uint64_t)1 << 63));
    }
    Py_XDECREF(found);
    return fine;
}

static bool add_scalar(Numbers *numbers, PyObject *run, PyObject *role, const uint8_t *digest, bool is_telling) {
    uint64_t end = 0;
    for (int i = DIGEST - 8; i < DIGEST; i++) end = end << 8 | digest[i];
    PyObject *group = PyObject_CallFunctionObjArgs(group_of_name, run, role, NULL);
    uint64_t named = group == NULL ? 0 : PyLong_AsUnsignedLongLong(group);
    Py_XDECREF(group);
    if (PyErr_Occurred() || !add_number(numbers, end ^ named)) return false;
    return !is_telling || add_number(numbers, end ^ content_group);
}

static bool add_data(Numbers *numbers, PyObject *plain, PyObject *run, PyObject *role, PyObject *value) {
    uint8_t digest[DIGEST];
    bool is_telling, fine;
    /* Python may run in between, in other threads too */
    Py_INCREF(role);
    Py_INCREF(value);
    if (PyList_CheckExact(value) || PyDict_CheckExact(value))
        fine = add_members(numbers, plain, role, value);
    else
        fine = digest_of_scalar(value, digest, &is_telling) == 1 && add_scalar(numbers, run, role, digest, is_telling);
    Py_DECREF(role);
    Py_DECREF(value);
    return fine;
}

static bool put_numbers(Out *out, Name name, PyObject *plain, PyObject *run, PyObject *values) {
    Numbers numbers = {.count = 0};
    char digits[24];
    Py_ssize_t start;
    if (values == NULL) return !PyErr_Occurred();
    if (!PyDict_CheckExact(values)) return false;
    if (PyDict_GET_SIZE(values) == 0) return true;
    PyObject *role, *value;
    for (Py_ssize_t at = 0; PyDict_Next(values, &at, &role, &value);)
        if (!add_data(&numbers, plain, run, role, value)) return false;
    if (!put_head(out, LIST, name) || !open_document(out, &start)) return false;
    for (int i = 0; i < numbers.count; i++)
        if (!put_int(out, place_name(i, digits), numbers.all[i])) return false;
    return close_document(out, start);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject *plain, *trace_id, *span_id, *run;
} Record; /* its references are borrowed */

static bool read_record(Record *record, PyObject *plain) {
    record->plain = plain;
    record->trace_id = PyDict_GetItemWithError(plain, text_trace_id);
    record->span_id = PyDict_GetItemWithError(plain, text_span_id);
    PyObject *workflow_id = PyDict_GetItemWithError(plain, text_workflow_id);
    if (workflow_id != NULL && !PyUnicode_CheckExact(workflow_id)) return false;
    record->run = workflow_id != NULL && PyUnicode_GET_LENGTH(workflow_id) ? workflow_id : record->trace_id;
    return record->trace_id != NULL && record->span_id != NULL && record->run != NULL;
}

static bool read_int(PyObject *map, PyObject *name, int64_t *number, bool *is_there) {
    PyObject *value = PyDict_GetItemWithError(map, name);
    int overflow = 0;
    *is_there = value != NULL;
    if (value == NULL) return true;
    if (!PyLong_CheckExact(value)) return false;
    *number = PyLong_AsLongLongAndOverflow(value, &overflow);
    return !overflow;
}

static bool put_duration(Out *out, PyObject *plain) {
    int64_t started, ended, lasted;
    bool has_started, has_ended;
    if (!read_int(plain, text_ended_at, &ended, &has_ended) || !has_ended) return !has_ended;
    if (!read_int(plain, text_started_at, &started, &has_started) || !has_started) return false;
    return !__builtin_sub_overflow(ended, started, &lasted) && put_float(out, NAME("duration"), (double)lasted / 1e9);
}

static bool put_computed(Out *out, PyObject *identity, const Record *record) {
    Name id, trace, span, run;
    if (!read_text(identity, &id) || !read_text(record->trace_id, &trace) || !read_text(record->span_id, &span)) return false;
    return read_text(record->run, &run) && put_texts(out, NAME("_id"), id, (Name){NULL, 0}) &&
           put_texts(out, NAME("id"), trace, span) && put_texts(out, NAME("run"), run, (Name){NULL, 0}) &&
           put_duration(out, record->plain);
}

static bool put_linked(Out *out, PyObject *plain) {
    PyObject *links = PyDict_GetItemWithError(plain, text_links);
    if (links == NULL) return !PyErr_Occurred();
    PyObject *ids = PyObject_CallOneArg(linked_ids, plain);
    bool fine = ids != NULL && put_value(out, NAME("linked"), ids, 0);
    Py_XDECREF(ids);
    return fine;
}

static bool put_ours(Out *out, const Record *record, PyObject *stamp) {
    PyObject *plain = record->plain;
    Py_ssize_t start;
    return put_head(out, MAP, NAME("provtel")) && open_document(out, &start) && put_pairs(out, stamp, NULL, 0) &&
           put_numbers(out, NAME("used"), plain, record->run, PyDict_GetItemWithError(plain, text_used)) &&
           put_numbers(out, NAME("generated"), plain, record->run, PyDict_GetItemWithError(plain, text_generated)) &&
           put_linked(out, plain) && close_document(out, start);
}

static bool put_record(Out *out, PyObject *identity, PyObject *plain, PyObject *stamp, PyObject *shared) {
    Record record;
    Py_ssize_t start;
    return read_record(&record, plain) && open_document(out, &start) && put_computed(out, identity, &record) &&
           put_fields(out, plain, shared) && put_ours(out, &record, stamp) && close_document(out, start);
}

static bool put_observation(Out *out, PyObject *identity, PyObject *plain, PyObject *ours, PyObject *shared) {
    Py_ssize_t start;
    Name id;
    return open_document(out, &start) && read_text(identity, &id) && put_texts(out, NAME("_id"), id, (Name){NULL, 0}) &&
           put_fields(out, plain, shared) && (PyDict_GET_SIZE(ours) == 0 || put_value(out, NAME("provtel"), ours, 0)) &&
           close_document(out, start);
}

/* Return `result`, or None where Python is to do it; errors that end a program, and no others, are left standing. */
static PyObject *given(PyObject *result) {
    if (result != NULL) return result;
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return NULL;
    PyErr_Clear();
    Py_RETURN_NONE;
}

typedef bool Putter(Out *, PyObject *, PyObject *, PyObject *, PyObject *);

static PyObject *document(PyObject *args, Putter *putter) {
    PyObject *identity, *plain, *ours, *shared;
    Out out;
    if (!PyArg_ParseTuple(args, "UO!O!O!", &identity, &PyDict_Type, &plain, &PyDict_Type, &ours, &PyDict_Type, &shared))
        return NULL;
    if (group_of_name == NULL) Py_RETURN_NONE;
    begin(&out);
    PyObject *content = putter(&out, identity, plain, ours, shared) ? PyBytes_FromStringAndSize(out.bytes, out.size) : NULL;
    release(&out);
    return given(content);
}

static PyObject *record(PyObject *module, PyObject *args) {
    (void)module;
    return document(args, put_record);
}

static PyObject *observation(PyObject *module, PyObject *args) {
    (void)module;
    return document(args, put_observation);
}

static bool put_hex(char *to, PyObject *text, Py_ssize_t size) {
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text) || PyUnicode_GET_LENGTH(text) != size) return false;
    const Py_UCS1 *from = PyUnicode_1BYTE_DATA(text);
    for (Py_ssize_t i = 0; i < size; i++) {
        if (!(from[i] >= '0' && from[i] <= '9') && !(from[i] >= 'a' && from[i] <= 'f')) return false;
        to[i] = (char)from[i];
    }
    return true;
}

static PyObject *document_id(PyObject *module, PyObject *plain) {
    char text[TRACE + 1 + SPAN + 1 + 16 + 1];
    int64_t started;
    bool is_there;
    Record record;
    (void)module;
    if (!PyDict_CheckExact(plain) || !read_record(&record, plain)) return given(NULL);
    if (!read_int(plain, text_started_at, &started, &is_there) || !is_there || started < 0) return given(NULL);
    if (!put_hex(text, record.trace_id, TRACE) || !put_hex(text + TRACE + 1, record.span_id, SPAN)) return given(NULL);
    text[TRACE] = '-';
    snprintf(text + TRACE + 1 + SPAN, 1 + 16 + 1, "-%016llx", (unsigned long long)started);
    return PyUnicode_FromStringAndSize(text, sizeof text - 1);
}

/* `configure(group_of_name, numbers_in, linked_ids, content_group, longest)`: functions of layout.py, and limits. */
static PyObject *configure(PyObject *module, PyObject *args) {
    PyObject *group, *numbers, *linked;
    unsigned long long content;
    Py_ssize_t most;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOKn", &group, &numbers, &linked, &content, &most)) return NULL;
    Py_XSETREF(group_of_name, Py_NewRef(group));
    Py_XSETREF(numbers_in, Py_NewRef(numbers));
    Py_XSETREF(linked_ids, Py_NewRef(linked));
    content_group = content;
    longest = most;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"record", record, METH_VARARGS, "Return the document of a record; None where Python is to make it."},
    {"observation", observation, METH_VARARGS, "Return the document of a data point or log record; None likewise."},
    {"document_id", document_id, METH_O, "Return the _id of a record; None likewise."},
    {"configure", configure, METH_VARARGS, "Tell what Python knows, and how long a document may be."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "provtel_exporters.mongodb._encode", .m_doc = "Records to BSON, compiled.",
    .m_size = -1, .m_methods = functions,
};

PyMODINIT_FUNC PyInit__encode(void) {
#define INTERN(text) if ((text_##text = PyUnicode_InternFromString(#text)) == NULL) return NULL;
    TEXTS(INTERN)
    return PyModule_Create(&module);
}
