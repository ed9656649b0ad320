/* FrameArea: the memory of a mapped segment, which takes frames until it is full. */

#ifndef PROVTEL_FRAME_AREA_H
#define PROVTEL_FRAME_AREA_H

#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "crc32.h"

enum { FRAME_HEADER = 8 };

typedef struct {
    PyObject_HEAD
    Py_buffer memory;
    Py_ssize_t position;
} FrameArea;

static int frames_init(FrameArea *self, PyObject *args, PyObject *kwargs) {
    PyObject *memory;
    Py_ssize_t position;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "On", &memory, &position)) return -1;
    PyBuffer_Release(&self->memory);
    if (PyObject_GetBuffer(memory, &self->memory, PyBUF_WRITABLE) < 0) return -1;
    if (position < 0 || position > self->memory.len) {
        PyErr_SetString(PyExc_ValueError, "the position is not in the memory");
        return -1;
    }
    self->position = position;
    return 0;
}

static void frames_dealloc(FrameArea *self) {
    PyBuffer_Release(&self->memory);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Append a frame and say whether there was room. Its length, by which readers see it, comes last. */
static bool append_frame(FrameArea *self, const uint8_t *payload, Py_ssize_t length) {
    if (length > self->memory.len - self->position - FRAME_HEADER) return false;
    uint8_t *at = (uint8_t *)self->memory.buf + self->position;
    uint32_t crc = crc32_of(payload, (size_t)length), size = (uint32_t)length;
    const uint8_t header[FRAME_HEADER] = {
        (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24),
        (uint8_t)crc,  (uint8_t)(crc >> 8),  (uint8_t)(crc >> 16),  (uint8_t)(crc >> 24),
    };
    memcpy(at + FRAME_HEADER, payload, (size_t)length);
    memcpy(at + 4, header + 4, 4);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(at, header, 4);
    self->position += FRAME_HEADER + length;
    return true;
}

static PyObject *frames_append(FrameArea *self, PyObject *payload) {
    if (!PyBytes_Check(payload)) return PyErr_Format(PyExc_TypeError, "a payload is bytes");
    return PyBool_FromLong(append_frame(self, (const uint8_t *)PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)));
}

static PyMethodDef frames_methods[] = {
    {"append", (PyCFunction)frames_append, METH_O, "Append a frame; say whether there was room for it."},
    {NULL},
};

static PyMemberDef frames_members[] = {
    {"_position", T_PYSSIZET, offsetof(FrameArea, position), READONLY, NULL},
    {NULL},
};

static PyTypeObject FrameAreaType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "provtel._accelerator.FrameArea",
    .tp_doc = "Memory that takes frames until it is full.",
    .tp_basicsize = sizeof(FrameArea),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)frames_init,
    .tp_dealloc = (destructor)frames_dealloc,
    .tp_methods = frames_methods,
    .tp_members = frames_members,
};

#endif
