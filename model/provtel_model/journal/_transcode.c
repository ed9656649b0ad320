/* From the bytes of a journal to the bytes of OTLP spans; `frames.py`, `reader.py` and `spans.py` do the same. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "crc32.h"

/* frame(buffer, offset) -> payload, None where its CRC does not fit, or the number of bytes it needs. */
static PyObject *
frame(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer view;
    Py_ssize_t offset;
    if (!PyArg_ParseTuple(args, "y*n", &view, &offset)) {
        return NULL;
    }
    PyObject *result = NULL;
    const unsigned char *data = (const unsigned char *)view.buf + offset;
    Py_ssize_t room = view.len - offset;
    if (offset < 0 || room < 0) {
        PyErr_SetString(PyExc_ValueError, "the offset is outside of the buffer");
        goto done;
    }
    if (room < 8) {
        result = PyLong_FromLong(8);
        goto done;
    }
    uint32_t length = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    uint32_t crc = (uint32_t)data[4] | (uint32_t)data[5] << 8 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 24;
    if ((size_t)room - 8 < length) {
        result = PyLong_FromUnsignedLong(8 + (unsigned long)length);
    }
    else if (crc32_of(data + 8, length) != crc) {
        result = Py_NewRef(Py_None);
    }
    else {
        result = PyBytes_FromStringAndSize((const char *)data + 8, length);
    }
done:
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef methods[] = {
    {"frame", frame, METH_VARARGS, "Return the payload of a frame in a buffer."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "provtel_model.journal._transcode",
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__transcode(void)
{
    crc32_prepare();
    return PyModuleDef_Init(&definition);
}
