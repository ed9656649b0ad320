/* Whether a request is one, and how many items it has: the twin of what `decode.py` asks protobuf's parser.
 *
 * The parser builds an object for each message, which takes twice as long, and 86 bytes for each byte of a request of
 * very many very small ones. This only walks over them. What is a request is protobuf's to say: the walk takes and
 * refuses the same bytes, and the tests hold the two together. Nothing that is read is trusted: every length is checked
 * against what is left, every recursion against MAX_DEPTH.
 *
 * A schema is made from protobuf's own descriptors: for each message, the first one the request itself, a pair of bytes
 * for each field number below FIELDS: what its values are, and which message they are.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FIELDS = 32, MAX_DEPTH = 100, MALFORMED = -1 };
enum { UNKNOWN, VARINT, FIXED64, FIXED32, BYTES, STRING, MESSAGE, KIND = 0x0f };
enum { REPEATED = 0x10, COUNTED = 0x20, CHOICE = 0x40 };
enum { WIRE_VARINT, WIRE_FIXED64, WIRE_SIZED, WIRE_GROUP, WIRE_GROUP_END, WIRE_FIXED32 };

#define REQUIRE(condition) do { if (!(condition)) return false; } while (0)

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} In;

typedef struct {
    const uint8_t *schema;
    int64_t items;
} Walk;

static size_t left(const In *in)
{
    return (size_t)(in->end - in->at);
}

static bool skip_varint(In *in)
{
    for (int size = 1; size <= 10; size++) {
        REQUIRE(in->at < in->end);
        uint8_t byte = *in->at++;
        if (byte < 0x80) {
            return size < 10 || byte <= 1;
        }
    }
    return false;
}

/* A tag, or a size, has 32 bits, in at most five bytes. */
static inline bool read_number(In *in, uint32_t *number)
{
    REQUIRE(in->at < in->end);
    uint64_t value = *in->at++;
    if (value >= 0x80) {
        value &= 0x7f;
        for (int shift = 7;; shift += 7) {
            REQUIRE(shift < 35 && in->at < in->end);
            uint8_t byte = *in->at++;
            value |= (uint64_t)(byte & 0x7f) << shift;
            if (byte < 0x80) {
                break;
            }
        }
        REQUIRE(value <= UINT32_MAX);
    }
    *number = (uint32_t)value;
    return true;
}

static bool skip(In *in, size_t size)
{
    REQUIRE(size <= left(in));
    in->at += size;
    return true;
}

static bool read_sized(In *in, In *content)
{
    uint32_t size;
    REQUIRE(read_number(in, &size) && size <= left(in));
    content->at = in->at;
    content->end = in->at += size;
    return true;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* What Unicode calls well-formed, table 3-7: no surrogates, nothing overlong, nothing beyond U+10FFFF. */
static bool is_utf8(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t eight;
        if (end - at >= 8 && (memcpy(&eight, at, 8), !(eight & 0x8080808080808080))) {
            at += 8;
            continue;
        }
        uint8_t first = *at;
        ptrdiff_t rest = end - at - 1;
        if (first < 0x80) {
            at += 1;
        } else if (first < 0xe0) {
            REQUIRE(first >= 0xc2 && rest >= 1 && is_continuation(at[1]));
            at += 2;
        } else if (first < 0xf0) {
            REQUIRE(rest >= 2 && is_continuation(at[1]) && is_continuation(at[2]));
            REQUIRE((first != 0xe0 || at[1] >= 0xa0) && (first != 0xed || at[1] < 0xa0));
            at += 3;
        } else {
            REQUIRE(first < 0xf5 && rest >= 3 && is_continuation(at[1]) && is_continuation(at[2]) && is_continuation(at[3]));
            REQUIRE((first != 0xf0 || at[1] >= 0x90) && (first != 0xf4 || at[1] < 0x90));
            at += 4;
        }
    }
    return true;
}

static bool skip_group(In *in, uint32_t number, int depth);

/* The value of a field that nobody knows. */
static bool skip_unknown(In *in, uint32_t tag, int depth)
{
    In content;
    switch (tag & 7) {
    case WIRE_VARINT:
        return skip_varint(in);
    case WIRE_FIXED64:
        return skip(in, 8);
    case WIRE_SIZED:
        return read_sized(in, &content);
    case WIRE_GROUP:
        return skip_group(in, tag >> 3, depth - 1);
    case WIRE_FIXED32:
        return skip(in, 4);
    default:
        return false;
    }
}

static bool skip_group(In *in, uint32_t number, int depth)
{
    REQUIRE(depth >= 0);
    for (;;) {
        uint32_t tag;
        REQUIRE(read_number(in, &tag) && tag >> 3);
        if ((tag & 7) == WIRE_GROUP_END) {
            return tag >> 3 == number;
        }
        REQUIRE(skip_unknown(in, tag, depth));
    }
}

static bool walk_packed(In *in, unsigned kind)
{
    In content;
    REQUIRE(read_sized(in, &content));
    if (kind != VARINT) {
        return left(&content) % (kind == FIXED64 ? 8 : 4) == 0;
    }
    while (content.at < content.end) {
        REQUIRE(skip_varint(&content));
    }
    return true;
}

static bool walk_message(Walk *walk, unsigned message, In *in, int depth);

static bool walk_sized(Walk *walk, unsigned kind, unsigned message, In *in, int depth)
{
    In content;
    REQUIRE(read_sized(in, &content));
    if (kind == MESSAGE) {
        return depth > 0 && walk_message(walk, message, &content, depth - 1);
    }
    return kind == BYTES || is_utf8(content.at, content.end);
}

/* The value of a field; one whose wire type is not the field's own is as good as unknown. */
static bool walk_field(Walk *walk, const uint8_t *field, In *in, uint32_t tag, int depth)
{
    static const uint8_t wire_types[] = {
        [VARINT] = WIRE_VARINT, [FIXED64] = WIRE_FIXED64, [FIXED32] = WIRE_FIXED32,
        [BYTES] = WIRE_SIZED, [STRING] = WIRE_SIZED, [MESSAGE] = WIRE_SIZED,
    };
    unsigned kind = field[0] & KIND, wire_type = tag & 7;
    if (kind >= VARINT && kind <= FIXED32 && wire_type == WIRE_SIZED && field[0] & REPEATED) {
        return walk_packed(in, kind);
    }
    if (kind == UNKNOWN || wire_type != wire_types[kind]) {
        return skip_unknown(in, tag, depth);
    }
    return wire_type == WIRE_SIZED ? walk_sized(walk, kind, field[1], in, depth) : skip_unknown(in, tag, depth);
}

static bool walk_message(Walk *walk, unsigned message, In *in, int depth)
{
    static const uint8_t unknown[2] = {UNKNOWN, 0};
    const uint8_t *fields = walk->schema + (size_t)message * FIELDS * 2;
    int64_t before = walk->items;
    uint32_t chosen = 0;
    while (in->at < in->end) {
        uint32_t tag;
        REQUIRE(read_number(in, &tag));
        uint32_t number = tag >> 3;
        REQUIRE(number);
        const uint8_t *field = number < FIELDS ? fields + number * 2 : unknown;
        if ((tag & 7) == WIRE_SIZED) {
            walk->items += field[0] & COUNTED ? 1 : 0;
            if (field[0] & CHOICE && number != chosen) {
                walk->items = before; /* of a choice only the last counts */
                chosen = number;
            }
        }
        REQUIRE(walk_field(walk, field, in, tag, depth));
    }
    return true;
}

/* --- the module --------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(count_doc, "count(schema, payload)\n--\n\nReturn how many items a request has; -1 where it is none.");

static PyObject *count(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t size)
{
    if (size != 2 || !PyBytes_Check(arguments[0]) || !PyBytes_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "count() takes a schema and a payload, both bytes");
        return NULL;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(arguments[0]);
    const uint8_t *schema = (const uint8_t *)PyBytes_AS_STRING(arguments[0]);
    if (length == 0 || length % (FIELDS * 2)) {
        PyErr_SetString(PyExc_ValueError, "a schema has 64 bytes for each message");
        return NULL;
    }
    for (Py_ssize_t place = 0; place < length; place += 2) {
        if ((schema[place] & KIND) > MESSAGE || schema[place + 1] >= length / (FIELDS * 2)) {
            PyErr_SetString(PyExc_ValueError, "a schema names a kind or a message that there is not");
            return NULL;
        }
    }
    const uint8_t *payload = (const uint8_t *)PyBytes_AS_STRING(arguments[1]);
    In in = {payload, payload + PyBytes_GET_SIZE(arguments[1])};
    Walk walk = {schema, 0};
    return PyLong_FromLongLong(walk_message(&walk, 0, &in, MAX_DEPTH) ? walk.items : MALFORMED);
}

static PyMethodDef methods[] = {
    {"count", (PyCFunction)(void (*)(void))count, METH_FASTCALL, count_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "provtel_model.otlp._check", .m_size = 0, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__check(void)
{
    return PyModule_Create(&module);
}
