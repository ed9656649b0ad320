/* Interned and WriterCore: what the way of a call reads of definitions, runs and the journal's writer. */

#ifndef PROVTEL_INTERNED_H
#define PROVTEL_INTERNED_H

#include <Python.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *stamp, *meter;
    long long number, arity;
    char has_own_run, is_plain, takes_plain, keeps_none, telemetry;
} Interned;

static PyMemberDef interned_members[] = {
    {"stamp", T_OBJECT, offsetof(Interned, stamp), 0, NULL},
    {"meter", T_OBJECT, offsetof(Interned, meter), 0, NULL},
    {"number", T_LONGLONG, offsetof(Interned, number), 0, NULL},
    {"arity", T_LONGLONG, offsetof(Interned, arity), 0, NULL},
    {"has_own_run", T_BOOL, offsetof(Interned, has_own_run), 0, NULL},
    {"is_plain", T_BOOL, offsetof(Interned, is_plain), 0, NULL},
    {"takes_plain", T_BOOL, offsetof(Interned, takes_plain), 0, NULL},
    {"keeps_none", T_BOOL, offsetof(Interned, keeps_none), 0, NULL},
    {"telemetry", T_BOOL, offsetof(Interned, telemetry), 0, NULL},
    {NULL},
};

static int interned_traverse(Interned *self, visitproc visit, void *arg) {
    Py_VISIT(self->stamp);
    Py_VISIT(self->meter);
    return 0;
}

static int interned_clear(Interned *self) {
    Py_CLEAR(self->stamp);
    Py_CLEAR(self->meter);
    return 0;
}

static void interned_dealloc(Interned *self) {
    PyObject_GC_UnTrack(self);
    interned_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject InternedType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "provtel._accelerator.Interned",
    .tp_doc = "Facts that a segment holds once.",
    .tp_basicsize = sizeof(Interned),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_traverse = (traverseproc)interned_traverse,
    .tp_clear = (inquiry)interned_clear,
    .tp_dealloc = (destructor)interned_dealloc,
    .tp_members = interned_members,
};

typedef struct {
    PyObject_HEAD
    PyObject *open, *segment;
    long long look_at, appended, ends;
} WriterCore;

static PyMemberDef writer_members[] = {
    {"open", T_OBJECT, offsetof(WriterCore, open), 0, NULL},
    {"_segment", T_OBJECT, offsetof(WriterCore, segment), 0, NULL},
    {"_look_at", T_LONGLONG, offsetof(WriterCore, look_at), 0, NULL},
    {"appended", T_LONGLONG, offsetof(WriterCore, appended), 0, NULL},
    {"ends", T_LONGLONG, offsetof(WriterCore, ends), 0, NULL},
    {NULL},
};

static int writer_traverse(WriterCore *self, visitproc visit, void *arg) {
    Py_VISIT(self->open);
    Py_VISIT(self->segment);
    return 0;
}

static int writer_clear(WriterCore *self) {
    Py_CLEAR(self->open);
    Py_CLEAR(self->segment);
    return 0;
}

static void writer_dealloc(WriterCore *self) {
    PyObject_GC_UnTrack(self);
    writer_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject WriterCoreType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "provtel._accelerator.WriterCore",
    .tp_doc = "Where a journal's writer is.",
    .tp_basicsize = sizeof(WriterCore),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_traverse = (traverseproc)writer_traverse,
    .tp_clear = (inquiry)writer_clear,
    .tp_dealloc = (destructor)writer_dealloc,
    .tp_members = writer_members,
};

#endif
