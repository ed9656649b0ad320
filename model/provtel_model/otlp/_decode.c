/* From a request of spans to plain records, compiled: `provtel_model.otlp.decode` says what a record is made of.
 *
 * It reads the plain case: a span that ended well and has neither events nor links. Every other span, and everything
 * that occurs once a request, is given to Python; a request that is not what it should be is left to Python whole,
 * which says what is wrong with it. Nothing is read outside of the request's bytes, whatever they say.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };
enum { DEEPEST = 20, NAMES = 1024, LONGEST_NAME = 64, MOST_TELEMETRY = 1000 };
enum { NOTHING = -1, NOT_PLAIN = 0, DONE = 1 };

/* ---- what is told by `configure`, and texts that every record has --------------------------------------------- */

static PyObject *places, *telemetry_prefix, *state_name, *flattened;
static PyObject *telemetry_names; /* attribute -> key of telemetry */

#define TEXTS(X) X(trace_id) X(span_id) X(name) X(parent_id) X(started_at) X(ended_at) X(status) X(finished) \
    X(telemetry) X(attributes) X(kind) X(task) X(span) X(used) X(generated) X(span_kind) X(scope)
#define DECLARE(text) static PyObject *text_##text;
TEXTS(DECLARE)

/* ---- the wire format of protobuf -------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at, *end;
} Bytes;

typedef struct {
    uint32_t number, type;
    uint64_t value; /* of all types but LENGTH */
    Bytes bytes;    /* of LENGTH */
} Field;

static bool read_varint(Bytes *from, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 70 && from->at < from->end; shift += 7) {
        uint8_t byte = *from->at++;
        if (shift == 63 && byte > 1) return false;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool read_fixed(Bytes *from, int size, uint64_t *value) {
    if (from->end - from->at < size) return false;
    *value = 0;
    for (int i = 0; i < size; i++) *value |= (uint64_t)from->at[i] << (8 * i);
    from->at += size;
    return true;
}

/* Read the next field; return false where there is none that this can read. */
static bool read_field(Bytes *from, Field *field) {
    uint64_t tag, length;
    if (!read_varint(from, &tag) || tag > UINT32_MAX || tag >> 3 == 0) return false;
    field->number = (uint32_t)(tag >> 3);
    field->type = (uint32_t)(tag & 7);
    switch (field->type) {
    case VARINT:
        return read_varint(from, &field->value);
    case FIXED64:
        return read_fixed(from, 8, &field->value);
    case FIXED32:
        return read_fixed(from, 4, &field->value);
    case LENGTH:
        if (!read_varint(from, &length) || length > (uint64_t)(from->end - from->at)) return false;
        field->bytes.at = from->at;
        field->bytes.end = from->at += length;
        return true;
    default:
        return false;
    }
}

static bool is(const Field *field, uint32_t number, uint32_t type) {
    return field->number == number && field->type == type;
}

/* ---- values; each function returns a new reference, or NULL where Python is to read, with or without an error -- */

static PyObject *text_of(Bytes bytes) {
    return PyUnicode_DecodeUTF8((const char *)bytes.at, bytes.end - bytes.at, NULL);
}

/* Return a text that comes again and again: a name. */
static PyObject *name_of(Bytes bytes) {
    static PyObject *known[NAMES];
    size_t size = (size_t)(bytes.end - bytes.at);
    if (size > LONGEST_NAME) return text_of(bytes);
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ bytes.at[i]) * 16777619u;
    PyObject **place = &known[hash % NAMES];
    if (*place != NULL && PyUnicode_IS_COMPACT_ASCII(*place) && (size_t)PyUnicode_GET_LENGTH(*place) == size &&
        memcmp(PyUnicode_1BYTE_DATA(*place), bytes.at, size) == 0)
        return Py_NewRef(*place);
    PyObject *name = text_of(bytes);
    if (name != NULL) Py_XSETREF(*place, Py_NewRef(name));
    return name;
}

static PyObject *value_of(Bytes bytes, int depth);
static PyObject *map_of(Bytes bytes, int depth);

static PyObject *list_of(Bytes bytes, int depth) {
    PyObject *list = PyList_New(0);
    Field field;
    while (list != NULL && bytes.at < bytes.end) {
        PyObject *item = read_field(&bytes, &field) && is(&field, 1, LENGTH) ? value_of(field.bytes, depth + 1) : NULL;
        if (item == NULL || PyList_Append(list, item) < 0) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *one_of(const Field *field, int depth) {
    double number;
    if (is(field, 1, LENGTH)) return text_of(field->bytes);
    if (is(field, 2, VARINT)) return PyBool_FromLong(field->value != 0);
    if (is(field, 3, VARINT)) return PyLong_FromLongLong((int64_t)field->value);
    if (is(field, 4, FIXED64)) {
        memcpy(&number, &field->value, sizeof number);
        return PyFloat_FromDouble(number);
    }
    if (is(field, 5, LENGTH)) return list_of(field->bytes, depth);
    if (is(field, 6, LENGTH)) return map_of(field->bytes, depth);
    if (is(field, 7, LENGTH)) return PyBytes_FromStringAndSize((const char *)field->bytes.at, field->bytes.end - field->bytes.at);
    return NULL;
}

static PyObject *value_of(Bytes bytes, int depth) {
    Field field;
    if (bytes.at == bytes.end) Py_RETURN_NONE;
    if (depth > DEEPEST || !read_field(&bytes, &field) || bytes.at != bytes.end) return NULL;
    return one_of(&field, depth);
}

/* Put a KeyValue into a map; of a key that comes twice the last counts. */
static bool put_pair(PyObject *map, Bytes bytes, int depth) {
    PyObject *key = NULL, *value = NULL;
    Field field;
    bool fine = true;
    while (fine && bytes.at < bytes.end) {
        fine = read_field(&bytes, &field);
        if (fine && key == NULL && is(&field, 1, LENGTH)) fine = (key = name_of(field.bytes)) != NULL;
        else if (fine && value == NULL && is(&field, 2, LENGTH)) fine = (value = value_of(field.bytes, depth + 1)) != NULL;
        else fine = false;
    }
    fine = fine && key != NULL && PyDict_SetItem(map, key, value == NULL ? Py_None : value) == 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return fine;
}

static PyObject *map_of(Bytes bytes, int depth) {
    PyObject *map = PyDict_New();
    Field field;
    while (map != NULL && bytes.at < bytes.end)
        if (!read_field(&bytes, &field) || !is(&field, 1, LENGTH) || !put_pair(map, field.bytes, depth)) Py_CLEAR(map);
    return map;
}

/* ---- a span ------------------------------------------------------------------------------------------------------- */

typedef struct {
    Bytes trace_id, span_id, parent_id, name;
    uint64_t start, end, kind;
    PyObject *attributes;
} Span;

static bool is_well(Bytes status) {
    Field field;
    while (status.at < status.end)
        if (!read_field(&status, &field) || !is(&field, 3, VARINT) || field.value > 0) return false;
    return true;
}

/* Read a span; return NOT_PLAIN where it has more than is read here. */
static bool read_span(Bytes bytes, Span *span) {
    Field field;
    while (bytes.at < bytes.end) {
        if (!read_field(&bytes, &field)) return false;
        if (is(&field, 9, LENGTH)) {
            if (!put_pair(span->attributes, field.bytes, 0)) return false;
        } else if (is(&field, 1, LENGTH)) span->trace_id = field.bytes;
        else if (is(&field, 2, LENGTH)) span->span_id = field.bytes;
        else if (is(&field, 4, LENGTH)) span->parent_id = field.bytes;
        else if (is(&field, 5, LENGTH)) span->name = field.bytes;
        else if (is(&field, 6, VARINT) && field.value < 128) span->kind = field.value;
        else if (is(&field, 7, FIXED64)) span->start = field.value;
        else if (is(&field, 8, FIXED64)) span->end = field.value;
        else if (is(&field, 15, LENGTH) ? !is_well(field.bytes) : !is(&field, 16, FIXED32)) return false;
    }
    return span->trace_id.end - span->trace_id.at == 16 && span->span_id.end - span->span_id.at == 8;
}

static char *put_hex(char *to, Bytes bytes) {
    for (; bytes.at < bytes.end; bytes.at++) {
        *to++ = "0123456789abcdef"[*bytes.at >> 4];
        *to++ = "0123456789abcdef"[*bytes.at & 15];
    }
    return to;
}

static PyObject *hex_of(Bytes bytes) {
    char text[64];
    return PyUnicode_FromStringAndSize(text, put_hex(text, bytes) - text);
}

static PyObject *record_id_of(Bytes trace_id, Bytes span_id) {
    char text[64], *at = put_hex(text, trace_id);
    *at++ = '-';
    return PyUnicode_FromStringAndSize(text, put_hex(at, span_id) - text);
}

/* Put a new reference, which may be NULL, into a map. */
static bool put(PyObject *map, PyObject *key, PyObject *value) {
    bool fine = value != NULL && PyDict_SetItem(map, key, value) == 0;
    Py_XDECREF(value);
    return fine;
}

static PyObject *time_of(uint64_t nanoseconds) {
    return PyLong_FromLongLong(nanoseconds > INT64_MAX ? INT64_MAX : (int64_t)nanoseconds);
}

/* Return a map of a record, made where it is missing; a borrowed reference. */
static PyObject *section_of(PyObject *plain, PyObject *name) {
    PyObject *section = PyDict_GetItemWithError(plain, name);
    if (section != NULL || PyErr_Occurred()) return section;
    return put(plain, name, PyDict_New()) ? PyDict_GetItemWithError(plain, name) : NULL;
}

static PyObject *telemetry_key(PyObject *name) {
    PyObject *key = PyDict_GetItemWithError(telemetry_names, name);
    if (key != NULL || PyErr_Occurred()) return Py_XNewRef(key);
    key = PyUnicode_Substring(name, PyUnicode_GET_LENGTH(telemetry_prefix), PyUnicode_GET_LENGTH(name));
    if (key != NULL && PyDict_GET_SIZE(telemetry_names) < MOST_TELEMETRY) PyDict_SetItem(telemetry_names, name, key);
    return key;
}

static bool starts_with(PyObject *text, PyObject *prefix) {
    return PyUnicode_Tailmatch(text, prefix, 0, PY_SSIZE_T_MAX, -1) == 1;
}

/* Put an attribute where it belongs; `rest` takes what has no place. */
static bool take_attribute(PyObject *plain, PyObject **rest, PyObject *name, PyObject *value) {
    PyObject *place = PyDict_GetItemWithError(places, name);
    if (place == NULL) {
        if (PyErr_Occurred() || name == state_name || PyUnicode_Compare(name, state_name) == 0) return false;
        if (starts_with(name, telemetry_prefix)) {
            PyObject *section = section_of(plain, text_telemetry), *key = telemetry_key(name);
            bool fine = section != NULL && key != NULL && PyDict_SetItem(section, key, value) == 0;
            Py_XDECREF(key);
            return fine;
        }
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(flattened); i++)
            if (starts_with(name, PyTuple_GET_ITEM(flattened, i))) return false;
    } else {
        PyObject *section = PyTuple_GET_ITEM(place, 0), *key = PyTuple_GET_ITEM(place, 1);
        if ((PyObject *)Py_TYPE(value) != PyTuple_GET_ITEM(place, 2) || PyObject_IsTrue(value) != 1) return false;
        if (PyTuple_GET_ITEM(place, 3) != Py_True) return false;
        PyObject *target = section == Py_None ? plain : section_of(plain, section);
        return target != NULL && PyDict_SetItem(target, key, value) == 0;
    }
    if (*rest == NULL && (*rest = PyDict_New()) == NULL) return false;
    return PyDict_SetItem(*rest, name, value) == 0;
}

static bool take_attributes(PyObject *plain, PyObject *attributes) {
    PyObject *rest = NULL, *name, *value;
    Py_ssize_t position = 0;
    bool fine = true;
    while (fine && PyDict_Next(attributes, &position, &name, &value)) fine = take_attribute(plain, &rest, name, value);
    PyObject *used = PyDict_GetItemWithError(plain, text_used), *generated = PyDict_GetItemWithError(plain, text_generated);
    if (used != NULL && PyDict_GET_SIZE(used) == 0) fine = false;
    if (generated != NULL && PyDict_GET_SIZE(generated) == 0) fine = false;
    if (fine && PyDict_GetItemWithError(plain, text_kind) == NULL) {
        PyObject *kind = used != NULL || generated != NULL ? text_task : text_span;
        fine = !PyErr_Occurred() && PyDict_SetItem(plain, text_kind, kind) == 0;
    }
    if (fine && rest != NULL) fine = PyDict_SetItem(plain, text_attributes, rest) == 0;
    Py_XDECREF(rest);
    return fine;
}

/* Return the record of a span; NULL where Python is to read it. */
static PyObject *record_of(Bytes bytes, PyObject *origin) {
    static const Bytes none;
    Span span = {none, none, none, none, 0, 0, 0, PyDict_New()};
    PyObject *plain = PyDict_New();
    bool fine = plain != NULL && span.attributes != NULL && read_span(bytes, &span);
    Py_ssize_t parent = span.parent_id.end - span.parent_id.at;
    fine = fine && (parent == 0 || parent == 8);
    fine = fine && put(plain, text_trace_id, hex_of(span.trace_id)) && put(plain, text_span_id, hex_of(span.span_id));
    fine = fine && put(plain, text_name, name_of(span.name));
    if (parent) fine = fine && put(plain, text_parent_id, record_id_of(span.trace_id, span.parent_id));
    fine = fine && put(plain, text_started_at, time_of(span.start));
    if (span.end) fine = fine && put(plain, text_ended_at, time_of(span.end));
    fine = fine && PyDict_SetItem(plain, text_status, text_finished) == 0 && take_attributes(plain, span.attributes);
    if (span.kind) fine = fine && put(plain, text_span_kind, PyLong_FromUnsignedLongLong(span.kind));
    fine = fine && PyDict_Update(plain, origin) == 0;
    if (!fine) Py_CLEAR(plain);
    Py_XDECREF(span.attributes);
    return plain;
}

/* ---- a request ------------------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject *records, *origin_of, *from_span;
} Reading;

static PyObject *bytes_of(Bytes bytes) {
    return PyBytes_FromStringAndSize((const char *)bytes.at, bytes.end - bytes.at);
}

/* Return what Python makes of bytes and objects. */
static PyObject *call_with(PyObject *function, Bytes bytes, PyObject *more, PyObject *last) {
    PyObject *whole = bytes_of(bytes);
    PyObject *found = whole == NULL ? NULL : PyObject_CallFunctionObjArgs(function, whole, more, last, NULL);
    Py_XDECREF(whole);
    return found;
}

static bool read_spans(Reading *reading, Bytes bytes, PyObject *origin) {
    Field field;
    while (bytes.at < bytes.end) {
        if (!read_field(&bytes, &field)) return false;
        if (!is(&field, 2, LENGTH)) continue;
        PyObject *plain = record_of(field.bytes, origin);
        if (plain == NULL) {
            PyErr_Clear();
            plain = call_with(reading->from_span, field.bytes, origin, NULL);
            if (plain == NULL) return false;
        }
        bool fine = plain == Py_None || PyList_Append(reading->records, plain) == 0;
        Py_DECREF(plain);
        if (!fine) return false;
    }
    return true;
}

/* Find the fields of a message that occur once; return false where one occurs twice. */
static bool find_once(Bytes bytes, uint32_t first, Bytes *one, uint32_t second, Bytes *two) {
    Field field;
    bool seen_one = false, seen_two = false;
    while (bytes.at < bytes.end) {
        if (!read_field(&bytes, &field)) return false;
        if (field.number == first || field.number == second) {
            bool *seen = field.number == first ? &seen_one : &seen_two;
            if (field.type != LENGTH || *seen) return false;
            *seen = true;
            *(field.number == first ? one : two) = field.bytes;
        }
    }
    return true;
}

static bool read_scope(Reading *reading, Bytes bytes, Bytes resource) {
    Bytes scope = {bytes.at, bytes.at}, schema = {bytes.at, bytes.at};
    if (!find_once(bytes, 1, &scope, 3, &schema)) return false;
    PyObject *resource_bytes = bytes_of(resource), *schema_bytes = bytes_of(schema), *origin = NULL;
    if (resource_bytes != NULL && schema_bytes != NULL)
        origin = call_with(reading->origin_of, scope, resource_bytes, schema_bytes);
    bool fine = origin != NULL && PyDict_Check(origin) && read_spans(reading, bytes, origin);
    Py_XDECREF(resource_bytes);
    Py_XDECREF(schema_bytes);
    Py_XDECREF(origin);
    return fine;
}

static bool read_resource(Reading *reading, Bytes bytes) {
    Bytes resource = {bytes.at, bytes.at}, schema = resource;
    Field field;
    if (!find_once(bytes, 1, &resource, 3, &schema)) return false;
    PyObject *address = text_of(schema);
    if (address == NULL) return false;
    Py_DECREF(address);
    while (bytes.at < bytes.end) {
        if (!read_field(&bytes, &field)) return false;
        if (field.number == 2 && (field.type != LENGTH || !read_scope(reading, field.bytes, resource))) return false;
    }
    return true;
}

/* `decode(payload, origin_of, from_span)`: a list of records, or None where Python is to read the request. */
static PyObject *decode(PyObject *module, PyObject *args) {
    PyObject *payload;
    Reading reading;
    Field field;
    (void)module;
    if (!PyArg_ParseTuple(args, "SOO", &payload, &reading.origin_of, &reading.from_span)) return NULL;
    if (places == NULL) Py_RETURN_NONE;
    if ((reading.records = PyList_New(0)) == NULL) return NULL;
    Bytes bytes = {(const uint8_t *)PyBytes_AS_STRING(payload), NULL};
    bytes.end = bytes.at + PyBytes_GET_SIZE(payload);
    bool fine = true;
    while (fine && bytes.at < bytes.end)
        fine = read_field(&bytes, &field) && is(&field, 1, LENGTH) && read_resource(&reading, field.bytes);
    if (fine) return reading.records;
    Py_DECREF(reading.records);
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return NULL;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* `configure(places, telemetry_prefix, state_name, flattened)`: the tables of `mapping.py`; a place is a section or
 * None, a key, a type, and whether every value of it that is not empty is fine. */
static PyObject *configure(PyObject *module, PyObject *args) {
    PyObject *table, *prefix, *state, *beginnings;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!UUO!", &PyDict_Type, &table, &prefix, &state, &PyTuple_Type, &beginnings)) return NULL;
    Py_XSETREF(places, Py_NewRef(table));
    Py_XSETREF(telemetry_prefix, Py_NewRef(prefix));
    Py_XSETREF(state_name, Py_NewRef(state));
    Py_XSETREF(flattened, Py_NewRef(beginnings));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"decode", decode, METH_VARARGS, "Return the records of a request of spans; None where Python is to read it."},
    {"configure", configure, METH_VARARGS, "Tell which attribute is which field."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "provtel_model.otlp._decode", .m_doc = "Requests of spans to records, compiled.",
    .m_size = -1, .m_methods = functions,
};

PyMODINIT_FUNC PyInit__decode(void) {
#define INTERN(text) if ((text_##text = PyUnicode_InternFromString(#text)) == NULL) return NULL;
    TEXTS(INTERN)
    if ((telemetry_names = PyDict_New()) == NULL) return NULL;
    return PyModule_Create(&module);
}
