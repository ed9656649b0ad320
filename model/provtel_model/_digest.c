/* The digest of a scalar as keys of data have it: the twin of `scalar_digest` in dataflow.py.
 *
 * A store asks this of every value of every record. What is rare (integers beyond 64 bits, subclasses) stays in Python:
 * then NotImplemented is returned.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "digest.h"

static PyObject *scalar_digest(PyObject *module, PyObject *value)
{
    (void)module;
    uint8_t digest[DIGEST];
    bool is_telling;
    int found = digest_of_scalar(value, digest, &is_telling);
    if (found < 0) {
        return NULL;
    }
    if (found == 0) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return Py_BuildValue("y#O", (char *)digest, (Py_ssize_t)DIGEST, is_telling ? Py_True : Py_False);
}

/* Say whether the processor's own instructions for SHA-256 are to be used; returns whether they are. */
static PyObject *use_instructions(PyObject *module, PyObject *wanted)
{
    (void)module;
    int is_wanted = PyObject_IsTrue(wanted);
    if (is_wanted < 0) {
        return NULL;
    }
    are_instructions_used = is_wanted && has_sha_instructions();
    return PyBool_FromLong(are_instructions_used);
}

static PyMethodDef METHODS[] = {
    {"scalar_digest", scalar_digest, METH_O, "Return the digest of a scalar, and whether it tells; else NotImplemented."},
    {"use_instructions", use_instructions, METH_O, "Use the processor's instructions for SHA-256, or do not."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "provtel_model._digest",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__digest(void);

PyMODINIT_FUNC PyInit__digest(void)
{
    return PyModule_Create(&MODULE);
}
