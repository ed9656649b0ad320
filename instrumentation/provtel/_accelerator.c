/* The way of every call, compiled: `provtel.core` says what each part here does, and does the same without it.
 *
 * Everything runs under the interpreter's lock. Between the look at a segment and the frame in it no object is made and
 * no Python code runs, so no other thread, signal handler or finaliser comes in between: a frame is in the segment whole
 * or not at all, and the writer's own lock is not needed. Whatever is not the plain case is left to Python.
 */
#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "frame_area.h"
#include "interned.h"
#include "msgpack_writer.h"
#include "usage.h"

enum { LONGEST_HEAD = 64, LONGEST_PLAIN = 4096 };
enum { KIND_START = 3, KIND_END = 4, STATUS_FINISHED = 0 };

/* ---- what is told by `configure`: objects of the Python side ------------------------------------------------- */

static struct {
    PyObject *variable, *context_type, *span_key, *activity_key, *run_key, *no_run; /* otel_context.py, run.py */
    PyObject *outside, *packb, *getrandbits;
    PyObject *thread_meter, *no_meter;
    PyObject *activity_type, *begin;
    PyObject *api, *installed;    /* of OpenTelemetry's API: its names, and the one that holds the provider */
    PyObject *unwatched;          /* the provider with which nobody watches; see watching.py */
    PyObject *recorder;           /* of this process, or None */
    PyObject *secrets, *max_text; /* of that recorder: a tuple of bytes, and a number */
    PyObject *writing, *writer;   /* a recorder, and the writer behind it */
    PyObject *combined;           /* core.py */
    PyObject *sixty_four, *telemetry;
} the;

static struct { const char *name; PyObject **place; } places[] = {
    {"variable", &the.variable},         {"context_type", &the.context_type}, {"span_key", &the.span_key},
    {"activity_key", &the.activity_key}, {"run_key", &the.run_key},           {"no_run", &the.no_run},
    {"outside", &the.outside},           {"packb", &the.packb},               {"getrandbits", &the.getrandbits},
    {"thread_meter", &the.thread_meter}, {"no_meter", &the.no_meter},         {"activity_type", &the.activity_type},
    {"begin", &the.begin},               {"recorder", &the.recorder},         {"secrets", &the.secrets},
    {"max_text", &the.max_text},         {"writing", &the.writing},           {"writer", &the.writer},
    {"api", &the.api},                   {"installed", &the.installed},       {"unwatched", &the.unwatched},
    {"combined", &the.combined},         {"figures", &figure_words.keys},     {"process", &figure_words.process},
};

/* ---- values that are their own AnyValue form ----------------------------------------------------------------- */

/* Say whether a text is kept as it is: short and ASCII, no secret of the environment and no address with a password. */
static bool plain_text(PyObject *text, Py_ssize_t room) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (!PyUnicode_IS_COMPACT_ASCII(text) || length + 5 > room || length > PyLong_AsSsize_t(the.max_text)) return false;
    const void *characters = PyUnicode_1BYTE_DATA(text);
    if (memmem(characters, (size_t)length, "://", 3) != NULL) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(the.secrets); i++) {
        PyObject *secret = PyTuple_GET_ITEM(the.secrets, i);
        size_t size = (size_t)PyBytes_GET_SIZE(secret);
        if (memmem(characters, (size_t)length, PyBytes_AS_STRING(secret), size) != NULL) return false;
    }
    return true;
}

/* Write a value that is its own AnyValue form; return NULL, with no error set, where it is another one. */
static uint8_t *put_plain(uint8_t *at, const uint8_t *end, PyObject *value) {
    if (end - at < 16) return NULL;
    if (PyFloat_CheckExact(value)) return put_float(at, PyFloat_AS_DOUBLE(value));
    if (PyLong_CheckExact(value)) {
        int overflow;
        int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? NULL : put_signed(at, number);
    }
    if (value == Py_True || value == Py_False) return *at++ = value == Py_True ? 0xC3 : 0xC2, at;
    if (value == Py_None) return *at++ = 0xC0, at;
    if (!PyUnicode_CheckExact(value) || !plain_text(value, end - at)) return NULL;
    size_t length = (size_t)PyUnicode_GET_LENGTH(value);
    if (length < 32) *at++ = (uint8_t)(0xA0 | length);
    else at = length <= 0xFF ? put_big_endian(at, 0xD9, length, 1) : put_big_endian(at, 0xDA, length, 2);
    memcpy(at, PyUnicode_1BYTE_DATA(value), length);
    return at + length;
}

/* ---- ActivityCore ---------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *recorder, *trace, *facts, *context, *run, *definition, *start_payload, *generated, *failure;
    PyObject *meter, *before, *token;
    unsigned long long span_id;
    long long started_at, ended_at, clock;
    ThreadCpu cpu;
    unsigned long thread;
    double user, system;
    char ended, is_past, is_watched, cpu_known;
} ActivityCore;

#define FIELD(name, type, field) {name, type, offsetof(ActivityCore, field), 0, NULL}
static PyMemberDef activity_members[] = {
    FIELD("recorder", T_OBJECT_EX, recorder),
    FIELD("trace", T_OBJECT_EX, trace),
    FIELD("facts", T_OBJECT_EX, facts),
    FIELD("context", T_OBJECT, context),
    FIELD("run", T_OBJECT_EX, run),
    FIELD("definition", T_OBJECT_EX, definition),
    FIELD("start_payload", T_OBJECT_EX, start_payload),
    FIELD("_generated", T_OBJECT_EX, generated),
    FIELD("failure", T_OBJECT, failure),
    FIELD("_meter", T_OBJECT, meter),
    FIELD("_before", T_OBJECT, before),
    FIELD("_token", T_OBJECT, token),
    FIELD("span_id", T_ULONGLONG, span_id),
    FIELD("started_at", T_LONGLONG, started_at),
    FIELD("_ended_at", T_LONGLONG, ended_at),
    FIELD("_clock", T_LONGLONG, clock),
    FIELD("_thread", T_ULONG, thread),
    FIELD("_user", T_DOUBLE, user),
    FIELD("_system", T_DOUBLE, system),
    FIELD("ended", T_BOOL, ended),
    FIELD("is_past", T_BOOL, is_past),
    FIELD("is_watched", T_BOOL, is_watched),
    FIELD("_cpu_known", T_BOOL, cpu_known),
    {NULL},
};

static PyObject *activity_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    ActivityCore *self = (ActivityCore *)type->tp_alloc(type, 0);
    if (self != NULL) self->cpu_known = true;
    return (PyObject *)self;
}

static int activity_traverse(ActivityCore *self, visitproc visit, void *arg) {
    for (PyObject **field = &self->recorder; field <= &self->token; field++) Py_VISIT(*field);
    return 0;
}

static int activity_clear(ActivityCore *self) {
    for (PyObject **field = &self->recorder; field <= &self->token; field++) Py_CLEAR(*field);
    return 0;
}

static void activity_dealloc(ActivityCore *self) {
    PyObject_GC_UnTrack(self);
    activity_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

#ifdef __APPLE__
#define STEADY CLOCK_UPTIME_RAW /* Python's perf_counter */
#else
#define STEADY CLOCK_MONOTONIC
#endif

static int measure_from_here(ActivityCore *self) {
    if (self->meter == the.no_meter) return 0;
    if (self->meter == the.thread_meter) {
        self->cpu = thread_cpu();
        return 0;
    }
    PyObject *before = Py_TYPE(self->meter) == &FullMeterType ? full_meter_start((FullMeter *)self->meter, NULL)
                                                              : PyObject_CallMethod(self->meter, "start", NULL);
    Py_XSETREF(self->before, before);
    return self->before == NULL ? -1 : 0;
}

/* Put further figures, which are taken over, to the facts. */
static int add_figures(ActivityCore *self, PyObject *figures) {
    PyObject *known = PyDict_GetItemWithError(self->facts, the.telemetry);
    if (known != NULL) Py_SETREF(figures, PyObject_CallFunctionObjArgs(the.combined, known, figures, NULL));
    int failed = figures == NULL || PyErr_Occurred() ? -1 : PyDict_SetItem(self->facts, the.telemetry, figures);
    Py_XDECREF(figures);
    return failed;
}

static int measure_to_here(ActivityCore *self) {
    if (self->meter == the.no_meter) return 0;
    if (self->meter == the.thread_meter) {
        add_thread_cpu(self->cpu, &self->user, &self->system);
        return 0;
    }
    double user = 0, system = 0;
    PyObject *figures;
    if (Py_TYPE(self->meter) == &FullMeterType) {
        figures = full_meter_figures((FullMeter *)self->meter, self->before, &user, &system);
        if (figures == NULL) return -1;
    } else {
        PyObject *spent = PyObject_CallMethod(self->meter, "spent", "(O)", self->before);
        if (spent == NULL || !PyArg_ParseTuple(spent, "ddO", &user, &system, &figures)) return Py_XDECREF(spent), -1;
        figures = figures == Py_None ? NULL : Py_NewRef(figures);
        Py_DECREF(spent);
    }
    self->user += user;
    self->system += system;
    return figures == NULL ? 0 : add_figures(self, figures);
}

static PyObject *activity_enter(ActivityCore *self, PyObject *const *args, Py_ssize_t count) {
    if (self->context == NULL || self->context == Py_None) Py_RETURN_NONE;
    Py_XSETREF(self->token, PyContextVar_Set(the.variable, self->context));
    if (self->token == NULL) return NULL;
    if (count == 1) {
        Py_INCREF(args[0]);
        Py_XSETREF(self->meter, args[0]);
        self->thread = PyThread_get_thread_ident();
    }
    if (measure_from_here(self) < 0) return NULL;
    Py_RETURN_NONE;
}

static int leave(ActivityCore *self) {
    self->ended_at = self->started_at + nanoseconds(STEADY) - self->clock;
    if (measure_to_here(self) < 0) return -1;
    if (self->token == NULL || PyContextVar_Reset(the.variable, self->token) < 0) {
        /* The token is another context's: see `otel_context.detach`. */
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_RuntimeError))
            return -1;
        PyErr_Clear();
    }
    Py_CLEAR(self->token);
    return 0;
}

static PyObject *activity_leave(ActivityCore *self, PyObject *ignored) {
    (void)ignored;
    if (leave(self) < 0) return NULL;
    Py_RETURN_NONE;
}

/* Return the writer behind a recorder, where it has a segment of ours. */
static WriterCore *writer_of(PyObject *recorder) {
    WriterCore *writer = (WriterCore *)the.writer;
    if (recorder != the.writing || writer == NULL || !PyObject_TypeCheck(the.writer, &WriterCoreType)) return NULL;
    if (writer->segment == NULL || !PyObject_TypeCheck(writer->segment, &FrameAreaType)) return NULL;
    return writer->open != NULL && PyDict_CheckExact(writer->open) ? writer : NULL;
}

/* Write the start; the key is the span's id. */
static int write_start(ActivityCore *self, PyObject *key) {
    WriterCore *writer = writer_of(self->recorder);
    Interned *definition = (Interned *)self->definition, *run = (Interned *)self->run;
    if (writer != NULL && definition->stamp == writer->segment && run->stamp == writer->segment &&
        self->started_at <= writer->look_at) {
        FrameArea *segment = (FrameArea *)writer->segment;
        Py_ssize_t length = PyBytes_GET_SIZE(self->start_payload);
        if (length <= segment->memory.len - segment->position - FRAME_HEADER) {
            if (PyDict_SetItem(writer->open, key, (PyObject *)self) < 0) return -1;
            append_frame(segment, (const uint8_t *)PyBytes_AS_STRING(self->start_payload), length);
            writer->appended++;
            return 0;
        }
    }
    PyObject *done = PyObject_CallMethod(self->recorder, "start", "(O)", self);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int take_place(ActivityCore *self, PyObject *outer, PyObject *given, PyObject **parent_id) {
    PyObject *parent = PyDict_GetItemWithError(outer, the.span_key);
    if (given != NULL) {
        if (!PyArg_ParseTuple(given, "SKO", &self->trace, &self->span_id, parent_id)) return self->trace = NULL, -1;
        Py_INCREF(self->trace);
        Py_INCREF(*parent_id);
    } else if (parent != NULL && (PyObject *)Py_TYPE(parent) == the.activity_type) {
        ActivityCore *activity = (ActivityCore *)parent;
        Py_INCREF(activity->trace);
        self->trace = activity->trace;
        *parent_id = PyLong_FromUnsignedLongLong(activity->span_id);
    } else {
        if (PyErr_Occurred()) return -1;
        PyObject *found = PyObject_CallOneArg(the.outside, parent == NULL ? Py_None : parent);
        if (found == NULL || !PyArg_ParseTuple(found, "SO", &self->trace, parent_id)) {
            self->trace = NULL;
            return Py_XDECREF(found), -1;
        }
        Py_INCREF(self->trace);
        Py_INCREF(*parent_id);
        Py_DECREF(found);
    }
    PyObject *run = PyDict_GetItemWithError(outer, the.run_key);
    self->run = run != NULL && PyObject_TypeCheck(run, &InternedType) ? run : the.no_run;
    Py_INCREF(self->run);
    if (*parent_id == NULL || PyErr_Occurred()) return -1;
    self->context = PyObject_CallOneArg(the.context_type, outer);
    if (self->context == NULL || !PyDict_Check(self->context)) return -1;
    /* A context refuses entries once it is made, because others may hold it; this one nobody has seen yet. */
    if (PyDict_SetItem(self->context, the.span_key, (PyObject *)self) < 0) return -1;
    return PyDict_SetItem(self->context, the.activity_key, (PyObject *)self);
}

static int begin_own_run(ActivityCore *self) {
    PyObject *id = PyObject_GetAttrString((PyObject *)self, "id");
    if (id == NULL) return -1;
    PyObject *run = PyObject_CallMethod(self->definition, "run_within", "OO", self->run, id);
    Py_DECREF(id);
    if (run == NULL) return -1;
    Py_SETREF(self->run, run);
    if (!PyObject_TypeCheck(run, &InternedType)) return PyErr_SetString(PyExc_TypeError, "a run is interned"), -1;
    return PyDict_SetItem(self->context, the.run_key, run);
}

static int make_start(ActivityCore *self, PyObject *parent_id, const void *used, size_t used_size, PyObject *facts) {
    uint8_t head[LONGEST_HEAD], *at = head;
    Py_ssize_t facts_size = facts == NULL ? 0 : PyBytes_GET_SIZE(facts);
    if (PyBytes_GET_SIZE(self->trace) != 16) return PyErr_SetString(PyExc_ValueError, "a trace id has 16 bytes"), -1;
    at = put_array(at, facts == NULL ? 8 : 9);
    at = put_unsigned(at, KIND_START);
    at = put_signed(at, ((Interned *)self->definition)->number);
    at = put_signed(at, ((Interned *)self->run)->number);
    *at++ = 0xC4, *at++ = 16;
    memcpy(at, PyBytes_AS_STRING(self->trace), 16);
    at = put_unsigned(at + 16, self->span_id);
    if (parent_id == Py_None) *at++ = 0xC0;
    else at = put_unsigned(at, PyLong_AsUnsignedLongLong(parent_id));
    at = put_signed(at, self->started_at);
    if (PyErr_Occurred()) return -1;
    size_t head_size = (size_t)(at - head);
    self->start_payload = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(head_size + used_size) + facts_size);
    if (self->start_payload == NULL) return -1;
    char *payload = PyBytes_AS_STRING(self->start_payload);
    memcpy(payload, head, head_size);
    memcpy(payload + head_size, used, used_size);
    if (facts != NULL) memcpy(payload + head_size + used_size, PyBytes_AS_STRING(facts), (size_t)facts_size);
    return 0;
}

/* Do what `core.ActivityCore.begin` does, with inputs that are packed already. */
static int begin_with(ActivityCore *self, PyObject *recorder, PyObject *definition, const void *used, size_t used_size,
                      PyObject *facts, int64_t started_at, PyObject *place) {
    PyObject *outer = NULL, *parent_id = NULL, *key = NULL;
    int failed = -1;
    Py_INCREF(recorder);
    self->recorder = recorder;
    Py_INCREF(definition);
    self->definition = definition;
    if (PyContextVar_Get(the.variable, NULL, &outer) < 0 || outer == NULL || !PyDict_Check(outer)) goto end;
    if (take_place(self, outer, place, &parent_id) < 0) goto end;
    if (place == NULL) key = PyObject_CallOneArg(the.getrandbits, the.sixty_four);
    else key = PyLong_FromUnsignedLongLong(self->span_id);
    if (key == NULL || !PyLong_Check(key)) goto end;
    self->span_id = PyLong_AsUnsignedLongLong(key);
    if (PyErr_Occurred()) goto end;
    if (self->span_id == 0) {
        self->span_id = 1;
        Py_SETREF(key, PyLong_FromLong(1));
    }
    if (((Interned *)definition)->has_own_run && begin_own_run(self) < 0) goto end;
    if ((self->facts = PyDict_New()) == NULL || (self->generated = PyDict_New()) == NULL) goto end;
    self->meter = ((Interned *)definition)->meter;
    Py_XINCREF(self->meter);
    self->started_at = self->ended_at = started_at ? started_at : nanoseconds(CLOCK_REALTIME);
    self->clock = nanoseconds(STEADY);
    if (make_start(self, parent_id, used, used_size, facts) == 0) failed = write_start(self, key);
end:
    Py_XDECREF(outer);
    Py_XDECREF(parent_id);
    Py_XDECREF(key);
    if (failed && !PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "the context is none of OpenTelemetry's");
    return failed;
}

static PyObject *activity_begin(ActivityCore *self, PyObject *args) {
    PyObject *recorder, *definition, *used, *facts, *place;
    long long started_at;
    if (!PyArg_ParseTuple(args, "OO!OOLO", &recorder, &InternedType, &definition, &used, &facts, &started_at, &place))
        return NULL;
    if (place == Py_None) place = NULL;
    else if (!PyTuple_Check(place)) return PyErr_Format(PyExc_TypeError, "a place is a tuple");
    PyObject *packed = PyObject_CallOneArg(the.packb, used), *packed_facts = NULL;
    if (packed != NULL && PyObject_IsTrue(facts) == 1) packed_facts = PyObject_CallOneArg(the.packb, facts);
    int failed = PyErr_Occurred() ? -1 : 0;
    if (!failed && (!PyBytes_Check(packed) || (packed_facts != NULL && !PyBytes_Check(packed_facts)))) failed = -1;
    if (!failed) {
        failed = begin_with(self, recorder, definition, PyBytes_AS_STRING(packed), (size_t)PyBytes_GET_SIZE(packed),
                            packed_facts, started_at, place);
    }
    Py_XDECREF(packed);
    Py_XDECREF(packed_facts);
    if (failed) return NULL;
    Py_RETURN_NONE;
}

/* Write the end where it can be written here; return 1 where it was, 0 where Python has to. */
static int write_end(ActivityCore *self, const uint8_t *payload, Py_ssize_t length) {
    WriterCore *writer = writer_of(self->recorder);
    if (writer == NULL) return 0;
    PyObject *key = PyLong_FromUnsignedLongLong(self->span_id);
    if (key == NULL) return PyErr_Clear(), 0;
    FrameArea *segment = (FrameArea *)writer->segment;
    /* The activity is taken from the dictionary last: what goes with it may run code of the program. */
    int known = PyDict_Contains(writer->open, key);
    if (known == 1 && append_frame(segment, payload, length)) {
        writer->appended++;
        writer->ends++;
        self->ended = true;
        PyDict_DelItem(writer->open, key);
    } else {
        known = known == 0 && (self->ended = true); /* a forked child's: it is not ours to end */
    }
    PyErr_Clear();
    Py_DECREF(key);
    return known == 1;
}

/* Return NULL, with no error set, where there is no room for them or they cannot be packed. */
static uint8_t *put_facts(uint8_t *at, const uint8_t *end, PyObject *facts) {
    PyObject *packed = PyObject_CallOneArg(the.packb, facts);
    if (packed != NULL && PyBytes_Check(packed) && PyBytes_GET_SIZE(packed) <= end - at) {
        memcpy(at, PyBytes_AS_STRING(packed), (size_t)PyBytes_GET_SIZE(packed));
        at += PyBytes_GET_SIZE(packed);
    } else {
        at = NULL;
    }
    Py_XDECREF(packed);
    PyErr_Clear();
    return at;
}

static int finish_plainly(ActivityCore *self, PyObject *result) {
    uint8_t payload[LONGEST_PLAIN], *at = payload;
    Interned *definition = (Interned *)self->definition;
    bool failed = self->failure != NULL && self->failure != Py_None;
    if (!definition->takes_plain || self->is_past || self->is_watched || failed) return 0;
    if (PyDict_GET_SIZE(self->generated)) return 0;
    bool has_facts = PyDict_GET_SIZE(self->facts) != 0;
    at = put_array(at, has_facts ? 8 : 7);
    at = put_unsigned(at, KIND_END);
    at = put_unsigned(at, self->span_id);
    at = put_signed(at, self->ended_at);
    at = put_unsigned(at, STATUS_FINISHED);
    if (result == Py_None && !definition->keeps_none) {
        *at++ = 0x80;
    } else {
        at = put_array(at, 1);
        at = put_plain(at, payload + LONGEST_PLAIN - 32, result);
        if (at == NULL) return 0;
    }
    if (definition->telemetry && self->cpu_known) {
        at = put_float(at, self->user);
        at = put_float(at, self->system);
    } else {
        *at++ = 0xC0, *at++ = 0xC0;
    }
    if (has_facts && (at = put_facts(at, payload + LONGEST_PLAIN, self->facts)) == NULL) return 0;
    return write_end(self, payload, at - payload);
}

static PyObject *activity_returned(ActivityCore *self, PyObject *result) {
    if (leave(self) < 0) return NULL;
    Py_CLEAR(self->context); /* it holds the activity */
    if (self->ended || finish_plainly(self, result)) Py_RETURN_NONE;
    return PyObject_CallMethod((PyObject *)self, "succeed", "(O)", result);
}

static PyMethodDef activity_methods[] = {
    {"begin", (PyCFunction)activity_begin, METH_VARARGS, "Write the start."},
    {"enter", (PyCFunction)(void (*)(void))activity_enter, METH_FASTCALL, "Make it current."},
    {"leave", (PyCFunction)activity_leave, METH_NOARGS, "Make current what was current before."},
    {"returned", (PyCFunction)activity_returned, METH_O, "Leave it and write the end of a call that returned."},
    {NULL},
};

static PyTypeObject ActivityCoreType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "provtel._accelerator.ActivityCore",
    .tp_doc = "The start and the end of an activity.",
    .tp_basicsize = sizeof(ActivityCore),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = activity_new,
    .tp_traverse = (traverseproc)activity_traverse,
    .tp_clear = (inquiry)activity_clear,
    .tp_dealloc = (destructor)activity_dealloc,
    .tp_methods = activity_methods,
    .tp_members = activity_members,
};

/* ---- the module -------------------------------------------------------------------------------------------------- */

/* Say whether somebody else may have to be told of what begins. */
static bool may_be_watched(void) {
    if (the.api == NULL || !PyDict_CheckExact(the.api)) return true;
    PyObject *provider = PyDict_GetItemWithError(the.api, the.installed);
    PyErr_Clear();
    return (provider == NULL ? Py_None : provider) != the.unwatched;
}

static PyObject *begin_in_python(PyObject *const *args) {
    return PyObject_Vectorcall(the.begin, args, 3, NULL);
}

/* Start the activity of a call: `begin(definition, args, kwargs)`. */
static PyObject *begin(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 3 || !PyTuple_CheckExact(args[1]) || !PyDict_CheckExact(args[2]) ||
        !PyObject_TypeCheck(args[0], &InternedType))
        return PyErr_Format(PyExc_TypeError, "begin takes a definition, a tuple and a dict");
    Interned *definition = (Interned *)args[0];
    Py_ssize_t given = PyTuple_GET_SIZE(args[1]);
    if (the.recorder == NULL || the.recorder == Py_None || !definition->is_plain || definition->arity != given ||
        given > 0xFFFF || PyDict_GET_SIZE(args[2]) != 0 || may_be_watched())
        return begin_in_python(args);
    uint8_t used[LONGEST_PLAIN], *at = put_array(used, (size_t)given);
    for (Py_ssize_t i = 0; i < given; i++) {
        at = put_plain(at, used + LONGEST_PLAIN, PyTuple_GET_ITEM(args[1], i));
        if (at == NULL) return PyErr_Clear(), begin_in_python(args);
    }
    ActivityCore *self = (ActivityCore *)activity_new((PyTypeObject *)the.activity_type, NULL, NULL);
    if (self != NULL && begin_with(self, the.recorder, args[0], used, (size_t)(at - used), NULL, 0, NULL) == 0)
        return (PyObject *)self;
    Py_XDECREF(self);
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return NULL; /* an interrupt is the program's */
    return PyErr_Clear(), begin_in_python(args);
}

static PyObject *configure(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    if (PyTuple_GET_SIZE(args) || kwargs == NULL) return PyErr_Format(PyExc_TypeError, "configure takes keywords");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        PyObject *value = PyDict_GetItemString(kwargs, places[i].name);
        if (value == NULL) continue;
        Py_INCREF(value);
        Py_XSETREF(*places[i].place, value);
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"begin", (PyCFunction)(void (*)(void))begin, METH_FASTCALL, "Start the activity of a call."},
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS, "Tell the objects to work with."},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "provtel._accelerator", .m_doc = "The way of every call, compiled.", .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__accelerator(void) {
    PyTypeObject *types[] = {&InternedType, &WriterCoreType, &FrameAreaType, &FullMeterType, &ActivityCoreType};
    const char *names[] = {"Interned", "WriterCore", "FrameArea", "FullMeter", "ActivityCore"};
    crc32_prepare();
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || (the.sixty_four = PyLong_FromLong(64)) == NULL) return NULL;
    if ((the.telemetry = PyUnicode_InternFromString("telemetry")) == NULL) return NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (PyType_Ready(types[i]) < 0 || PyModule_AddObjectRef(made, names[i], (PyObject *)types[i]) < 0) return NULL;
    pthread_atfork(NULL, NULL, forget_memory);
    return made;
}
