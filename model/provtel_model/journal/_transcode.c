/* From the frames of a journal straight to the bytes of OTLP spans: the twin of what `frames.py`, `activities.py` and
 * `spans.py` do in Python, for the frames that most activities have.
 *
 * `take` reads frame after frame from a buffer. It stops at the first that is anything else: torn, incomplete, with
 * facts of its own, no msgpack, or just rare. It has then changed nothing on that frame's behalf, and Python, which
 * understands or refuses them all, goes on there. Nothing that is read is trusted: every length is checked against what
 * is left, every recursion against MAX_DEPTH. The result is the same, byte for byte, whoever built a span.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>

#include "crc32.h"
#include "msgpack.h"
#include "protobuf.h"

enum { FRAME_HEADER = 8, TRACE_ID = 16, MAX_DEPTH = 64, MAX_KEYS = 32, KNOWN = 16, GROUPS = 16 };
/* Each array has one item more where facts follow. */
enum { START_ARRAY = 0x98, KIND_START = 3, END_ARRAY = 0x97, KIND_END = 4, STATUS_FINISHED = 0 };
/* Tags of protobuf: field number << 3 | wire type. */
enum {
    SPAN_TRACE_ID = 0x0a, SPAN_ID = 0x12, SPAN_PARENT = 0x22, SPAN_START = 0x39, SPAN_END = 0x41, SPAN_ATTRIBUTE = 0x4a,
    SCOPE_SPAN = 0x12, KEY = 0x0a, VALUE = 0x12, ITEM = 0x0a,
    STRING = 0x0a, BOOL = 0x10, INT = 0x18, FLOAT = 0x21, ARRAY = 0x2a, KVLIST = 0x32, BYTES = 0x3a
};

/* What all activities of one definition in one context share: `spans.Shared`, a tuple of these and more. */
enum {
    STATIC, USED_KEY, USED_ROLES, GENERATED_KEY, GENERATED_ROLES, CPU_USER, CPU_SYSTEM, ATTRIBUTES, GROUP, SHARED_ITEMS
};

/* --- values ------------------------------------------------------------------------------------------------------- */

static bool put_value(Out *out, In *in, int depth);

static bool put_items(Out *out, In *in, int64_t count, int depth)
{
    size_t array = begin(out, ARRAY);
    for (; count; count--) {
        size_t item = begin(out, ITEM);
        REQUIRE(put_value(out, in, depth));
        finish(out, item);
    }
    finish(out, array);
    return true;
}

/* A map whose keys are texts, each there once: what Python's dictionary would drop is left to Python. */
static bool put_map(Out *out, In *in, int64_t count, int depth)
{
    In keys[MAX_KEYS];
    REQUIRE(count <= MAX_KEYS);
    size_t map = begin(out, KVLIST);
    for (int64_t number = 0; number < count; number++) {
        In *key = &keys[number];
        REQUIRE(read_text(in, key));
        for (int64_t other = 0; other < number; other++) {
            REQUIRE(left(key) != left(&keys[other]) || memcmp(key->at, keys[other].at, left(key)));
        }
        size_t pair = begin(out, ITEM);
        put_sized(out, KEY, key->at, left(key));
        size_t value = begin(out, VALUE);
        REQUIRE(put_value(out, in, depth));
        finish(out, value);
        finish(out, pair);
    }
    finish(out, map);
    return true;
}

/* The content of an `AnyValue`; false where the value is for Python. */
static bool put_value(Out *out, In *in, int depth)
{
    uint64_t bits;
    bool negative;
    double number;
    In bytes;
    REQUIRE(left(in) && depth <= MAX_DEPTH);
    uint8_t type = *in->at;
    if (type == NIL) {
        in->at++;
        return true;
    }
    if (type == DOUBLE) {
        REQUIRE(read_double(in, &number));
        put_double(out, FLOAT, number);
        return true;
    }
    if (type <= 0x7f || (type >= 0xcc && type <= 0xd3) || type >= 0xe0) {
        REQUIRE(read_integer(in, &bits, &negative));
        put_byte(out, INT);
        put_varint(out, bits);
        return true;
    }
    if (type == FALSE_ || type == TRUE_) {
        in->at++;
        put_byte(out, BOOL);
        put_byte(out, type == TRUE_);
        return true;
    }
    if ((type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb)) {
        REQUIRE(read_text(in, &bytes));
        put_sized(out, STRING, bytes.at, left(&bytes));
        return true;
    }
    if (type >= BIN8 && type <= 0xc6) {
        REQUIRE(read_bytes(in, read_length(in, 0, 0, BIN8, 3, 1), &bytes));
        put_sized(out, BYTES, bytes.at, left(&bytes));
        return true;
    }
    int64_t count = read_array(in);
    if (count >= 0) {
        return put_items(out, in, count, depth + 1);
    }
    count = read_map(in);
    return count >= 0 && put_map(out, in, count, depth + 1);
}

/* The values of `used` or `generated` as a span's attribute: a map, or a list in the order of the roles. */
static bool put_roles(Out *out, In *in, PyObject *key, PyObject *roles)
{
    REQUIRE(left(in));
    uint8_t type = *in->at;
    if (type == NIL || type == 0x80 || type == 0x90) {
        in->at++;
        return true;
    }
    size_t attribute = begin(out, SPAN_ATTRIBUTE);
    put_object(out, key);
    size_t value = begin(out, VALUE);
    int64_t count = read_array(in);
    if (count < 0) {
        count = read_map(in);
        REQUIRE(count > 0 && put_map(out, in, count, 1));
    }
    else {
        REQUIRE(count > 0 && count <= PyTuple_GET_SIZE(roles));
        size_t map = begin(out, KVLIST);
        for (int64_t number = 0; number < count; number++) {
            size_t pair = begin(out, ITEM);
            put_object(out, PyTuple_GET_ITEM(roles, number));
            size_t content = begin(out, VALUE);
            REQUIRE(put_value(out, in, 1));
            finish(out, content);
            finish(out, pair);
        }
        finish(out, map);
    }
    finish(out, value);
    finish(out, attribute);
    return true;
}

/* Seconds, to the microsecond: what Python's round(seconds, 6) gives. */
static bool round_cost(double *seconds)
{
    double scaled = *seconds * 1e6;
    REQUIRE(!signbit(*seconds) && scaled < 1e12);
    double whole = (double)(int64_t)(scaled + 0.5);
    /* The product is not exact: close to a half only the decimal digits tell. */
    REQUIRE(fabs(scaled - whole) < 0.499);
    *seconds = whole / 1e6;
    return true;
}

static bool put_costs(Out *out, In *in, PyObject *shared)
{
    double user, system;
    if (left(in) >= 2 && in->at[0] == NIL && in->at[1] == NIL) {
        in->at += 2;
        return true;
    }
    REQUIRE(read_double(in, &user) && read_double(in, &system) && round_cost(&user) && round_cost(&system));
    put_object(out, PyTuple_GET_ITEM(shared, CPU_USER));
    put_double(out, FLOAT, user);
    put_object(out, PyTuple_GET_ITEM(shared, CPU_SYSTEM));
    put_double(out, FLOAT, system);
    return true;
}

/* --- activities --------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t definition, context;
    PyObject *shared; /* borrowed from the templates, which nobody changes during a call */
    Py_ssize_t group; /* that its spans belong to: those of one scope go together */
} Known;

typedef struct {
    Out outs[GROUPS];
    Out *out;            /* of the last start */
    PyObject *open;      /* span id -> (shared, payload of the start), or what Python made of a start */
    PyObject *templates; /* (definition, context) -> shared */
    Known known[KNOWN];
    In start;            /* payload of the last start, while its front is the last that was written */
    PyObject *shared;    /* and what it shares, or NULL where there is none */
    In keys[MAX_KEYS];   /* of the attributes that were written of it */
    int keys_written;
    uint64_t span;
    size_t front, content;
    uint64_t last_time;
    Py_ssize_t items;
} Transcoder;

/* Returns what a definition and a context share, borrowed; NULL where Python has to see them first. */
static Known *find_shared(Transcoder *self, uint64_t definition, uint64_t context)
{
    Known *known = &self->known[(definition ^ context << 2) % KNOWN];
    if (known->shared == NULL || known->definition != definition || known->context != context) {
        PyObject *key = Py_BuildValue("(KK)", (unsigned long long)definition, (unsigned long long)context);
        PyObject *shared = key ? PyDict_GetItemWithError(self->templates, key) : NULL;
        Py_XDECREF(key);
        if (shared == NULL || !PyTuple_Check(shared) || PyTuple_GET_SIZE(shared) < SHARED_ITEMS) {
            return NULL;
        }
        Py_ssize_t group = PyLong_AsSsize_t(PyTuple_GET_ITEM(shared, GROUP));
        if (group < 0 || group >= GROUPS) {
            return NULL;
        }
        *known = (Known){definition, context, shared, group};
    }
    return known;
}

/* Says whether no attribute with a key was written yet, and none is among those that all spans share. */
static bool is_new(const Transcoder *self, const In *key, PyObject *shared)
{
    PyObject *others = PyTuple_GET_ITEM(shared, ATTRIBUTES);
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(others); number++) {
        PyObject *other = PyTuple_GET_ITEM(others, number);
        REQUIRE(left(key) != (size_t)PyBytes_GET_SIZE(other) || memcmp(key->at, PyBytes_AS_STRING(other), left(key)));
    }
    for (int number = 0; number < self->keys_written; number++) {
        const In *other = &self->keys[number];
        REQUIRE(left(key) != left(other) || memcmp(key->at, other->at, left(key)));
    }
    return true;
}

/* Writes facts that are attributes of the span and nothing else. */
static bool put_attributes(Transcoder *self, In *in, PyObject *shared)
{
    static const char FIELD[] = "attributes";
    In name;
    Out *out = self->out;
    REQUIRE(read_map(in) == 1 && read_text(in, &name));
    REQUIRE(left(&name) == sizeof FIELD - 1 && memcmp(name.at, FIELD, left(&name)) == 0);
    int64_t count = read_map(in);
    REQUIRE(count >= 0 && count <= MAX_KEYS - self->keys_written);
    for (; count; count--) {
        In *key = &self->keys[self->keys_written];
        REQUIRE(read_text(in, key) && is_new(self, key, shared));
        self->keys_written++;
        size_t attribute = begin(out, SPAN_ATTRIBUTE);
        put_sized(out, KEY, key->at, left(key));
        size_t value = begin(out, VALUE);
        REQUIRE(put_value(out, in, 1));
        finish(out, value);
        finish(out, attribute);
    }
    return true;
}

/* Writes the front of a span, all that its start tells; false where it is for Python. */
static bool put_front(Transcoder *self, In in, uint64_t *span, PyObject **shared, uint64_t *started)
{
    uint64_t definition, context, parent = 0;
    In trace;
    bool has_facts = left(&in) && *in.at == START_ARRAY + 1;
    REQUIRE(read_byte(&in, START_ARRAY + has_facts) && read_byte(&in, KIND_START));
    REQUIRE(read_unsigned(&in, &definition) && read_unsigned(&in, &context));
    REQUIRE(read_byte(&in, BIN8) && read_byte(&in, TRACE_ID) && read_bytes(&in, TRACE_ID, &trace));
    REQUIRE(read_unsigned(&in, span) && left(&in));
    bool has_parent = *in.at != NIL;
    REQUIRE(has_parent ? read_unsigned(&in, &parent) : read_byte(&in, NIL));
    REQUIRE(read_unsigned(&in, started) && *started <= INT64_MAX);
    Known *known = find_shared(self, definition, context);
    REQUIRE(known != NULL);
    *shared = known->shared;
    Out *out = self->out = &self->outs[known->group];
    self->front = out->size;
    self->content = begin(out, SCOPE_SPAN);
    self->keys_written = 0;
    put_sized(out, SPAN_TRACE_ID, trace.at, left(&trace));
    put_id(out, SPAN_ID, *span);
    if (has_parent) {
        put_id(out, SPAN_PARENT, parent);
    }
    put_object(out, PyTuple_GET_ITEM(*shared, STATIC));
    put_fixed64(out, SPAN_START, *started);
    REQUIRE(put_roles(out, &in, PyTuple_GET_ITEM(*shared, USED_KEY), PyTuple_GET_ITEM(*shared, USED_ROLES)));
    return (!has_facts || put_attributes(self, &in, *shared)) && !left(&in);
}

/* Takes back what was written of the last start. */
static void take_back(Transcoder *self)
{
    if (self->out != NULL) {
        self->out->size = self->front;
    }
    self->shared = NULL;
}

/* Keeps the last start as open, and takes its front back; only an error of Python's makes it false. */
static bool keep_open(Transcoder *self)
{
    if (self->shared == NULL) {
        return true;
    }
    self->out->size = self->front;
    PyObject *key = PyLong_FromUnsignedLongLong(self->span);
    PyObject *kept = Py_BuildValue("(Oy#)", self->shared, (const char *)self->start.at, (Py_ssize_t)left(&self->start));
    bool done = key && kept && PyDict_SetItem(self->open, key, kept) == 0;
    Py_XDECREF(key);
    Py_XDECREF(kept);
    self->shared = NULL;
    return done;
}

static bool take_start(Transcoder *self, In payload)
{
    uint64_t started;
    REQUIRE(keep_open(self));
    self->out = NULL;
    if (!put_front(self, payload, &self->span, &self->shared, &started)) {
        take_back(self);
        return false;
    }
    self->start = payload;
    if (started > self->last_time) {
        self->last_time = started;
    }
    return true;
}

/* Writes the front of an open activity, whose start came before others; false where it is none that we kept. */
static bool put_kept_front(Transcoder *self, PyObject *key)
{
    uint64_t span, started;
    PyObject *again;
    PyObject *kept = PyDict_GetItemWithError(self->open, key);
    REQUIRE(kept != NULL && PyTuple_CheckExact(kept) && PyTuple_GET_SIZE(kept) == 2);
    PyObject *bytes = PyTuple_GET_ITEM(kept, 1);
    const uint8_t *start = (const uint8_t *)PyBytes_AS_STRING(bytes);
    In payload = {start, start + PyBytes_GET_SIZE(bytes)};
    self->shared = PyTuple_GET_ITEM(kept, 0);
    self->out = NULL;
    return put_front(self, payload, &span, &again, &started) && again == self->shared;
}

static bool take_end(Transcoder *self, In in, bool give)
{
    uint64_t span, ended;
    bool has_facts = left(&in) && *in.at == END_ARRAY + 1;
    REQUIRE(read_byte(&in, END_ARRAY + has_facts) && read_byte(&in, KIND_END) && read_unsigned(&in, &span));
    REQUIRE(read_unsigned(&in, &ended) && ended <= INT64_MAX && read_byte(&in, STATUS_FINISHED));
    bool at_hand = self->shared != NULL && self->span == span;
    PyObject *key = NULL;
    if (!at_hand || PyDict_Size(self->open)) {
        key = PyLong_FromUnsignedLongLong(span);
        if (key == NULL || (!at_hand && !keep_open(self))) {
            goto not_taken;
        }
        if (!at_hand && !put_kept_front(self, key)) {
            goto not_taken;
        }
    }
    PyObject *shared = self->shared;
    Out *out = self->out;
    put_fixed64(out, SPAN_END, ended);
    if (!put_roles(out, &in, PyTuple_GET_ITEM(shared, GENERATED_KEY), PyTuple_GET_ITEM(shared, GENERATED_ROLES))
        || !put_costs(out, &in, shared) || (has_facts && !put_attributes(self, &in, shared)) || left(&in)) {
        goto not_taken;
    }
    /* An older start of this id is replaced by the one at hand, and both are over. */
    if (key && PyDict_Contains(self->open, key) == 1 && PyDict_DelItem(self->open, key) < 0) {
        goto not_taken;
    }
    finish(out, self->content);
    if (give) {
        self->items++;
    }
    else {
        out->size = self->front;
    }
    self->shared = NULL;
    if (ended > self->last_time) {
        self->last_time = ended;
    }
    Py_XDECREF(key);
    return true;
not_taken:
    if (!at_hand && self->shared != NULL) {
        take_back(self);
    }
    Py_XDECREF(key);
    return false;
}

static uint32_t little_endian_32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Takes frames from `at` on; returns where the first is that it does not take. */
static Py_ssize_t take_frames(Transcoder *self, const uint8_t *data, Py_ssize_t size, Py_ssize_t at, Py_ssize_t given)
{
    while (size - at > FRAME_HEADER) {
        uint32_t length = little_endian_32(data + at), crc = little_endian_32(data + at + 4);
        Py_ssize_t next = at + FRAME_HEADER + (Py_ssize_t)length;
        if (length < 2 || length > (size_t)(size - at - FRAME_HEADER)) {
            break;
        }
        In payload = {data + at + FRAME_HEADER, data + next};
        if (crc32_of(payload.at, length) != crc) {
            break;
        }
        if (!(payload.at[1] == KIND_END ? take_end(self, payload, next > given) : take_start(self, payload))) {
            break;
        }
        at = next;
    }
    return at;
}

PyDoc_STRVAR(take_doc,
"take(buffer, at, given, open, templates)\n--\n\n"
"Take the usual frames at the start of what is at `at` in a buffer, up to the first that is for Python.\n\n"
"Ends before `given` end what is open and are not given. `open` is changed. Returns where it stopped, how many spans\n"
"it wrote, the latest time that it saw, and of each group the spans as the field of a ``ScopeSpans``.");

/* Returns what was written, by group, up to the last that has any. */
static PyObject *written(const Transcoder *self)
{
    Py_ssize_t groups = GROUPS;
    while (groups && self->outs[groups - 1].size == 0) {
        groups--;
    }
    PyObject *result = PyTuple_New(groups);
    for (Py_ssize_t group = 0; result != NULL && group < groups; group++) {
        const Out *out = &self->outs[group];
        PyObject *spans = out->failed ? PyErr_NoMemory()
                                      : PyBytes_FromStringAndSize((const char *)out->data, (Py_ssize_t)out->size);
        if (spans == NULL) {
            Py_CLEAR(result);
        }
        else {
            PyTuple_SET_ITEM(result, group, spans);
        }
    }
    return result;
}

static PyObject *take(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer view;
    Py_ssize_t at, given;
    Transcoder self = {0};
    if (!PyArg_ParseTuple(args, "y*nnO!O!:take", &view, &at, &given, &PyDict_Type, &self.open, &PyDict_Type,
                          &self.templates)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (at < 0 || at > view.len) {
        PyErr_SetString(PyExc_ValueError, "the place is outside of the buffer");
    }
    else {
        at = take_frames(&self, view.buf, view.len, at, given);
        if (!PyErr_Occurred() && keep_open(&self)) {
            PyObject *spans = written(&self);
            result = spans ? Py_BuildValue("(nnKN)", at, self.items, (unsigned long long)self.last_time, spans) : NULL;
        }
    }
    for (int group = 0; group < GROUPS; group++) {
        PyMem_Free(self.outs[group].data);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef methods[] = {
    {"take", take, METH_VARARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "provtel_model.journal._transcode",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__transcode(void)
{
    crc32_prepare();
    return PyModuleDef_Init(&definition);
}
