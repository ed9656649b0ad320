/* The names that the record before had, in their order, and what was found out about each: most records of a batch have
 * the same ones, as the same objects, so that they need not be looked up again.
 */

#ifndef PROVTEL_TRAIL_H
#define PROVTEL_TRAIL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    PyObject *name; /* owned: another object cannot come to lie where it is */
    Py_ssize_t found;
    bool is_inner; /* the key of a map, which the names before it say */
    bool is_known; /* `number` is, which is what the user of the trail makes of the name */
    uint64_t number;
} Step;

typedef struct {
    Step *steps;
    Py_ssize_t count, room, at;
    bool is_new; /* since somebody last said otherwise, a record went another way */
} Trail;

/* End where one is: what the record before had beyond is forgotten. */
static inline void end_trail(Trail *trail)
{
    while (trail->count > trail->at) {
        Py_DECREF(trail->steps[--trail->count].name);
        trail->is_new = true;
    }
}

static inline void forget_trail(Trail *trail)
{
    trail->at = 0;
    end_trail(trail);
    PyMem_Free(trail->steps);
}

static inline void forget_numbers(Trail *trail)
{
    for (Py_ssize_t at = 0; at < trail->count; at++) {
        trail->steps[at].is_known = false;
    }
}

/* Return how many keys of a map are behind its name. */
static inline Py_ssize_t inner_steps(const Trail *trail, Py_ssize_t at)
{
    Py_ssize_t count = 0;
    while (at + 1 + count < trail->count && trail->steps[at + 1 + count].is_inner) {
        count++;
    }
    return count;
}

/* Go a step, if the record before went it too, and say what was found then. */
static inline bool follow(Trail *trail, PyObject *name, bool is_inner, Py_ssize_t *found)
{
    const Step *step = &trail->steps[trail->at];
    if (trail->at == trail->count || step->name != name || step->is_inner != is_inner) {
        return false;
    }
    trail->at++;
    *found = step->found;
    return true;
}

/* Go a step that the record before did not go; false with an error. */
static inline bool lead(Trail *trail, PyObject *name, bool is_inner, Py_ssize_t found)
{
    end_trail(trail);
    if (trail->count == trail->room) {
        Py_ssize_t room = 2 * trail->room + 32;
        Step *larger = PyMem_Realloc(trail->steps, (size_t)room * sizeof(Step));
        if (larger == NULL) {
            PyErr_NoMemory();
            return false;
        }
        trail->steps = larger;
        trail->room = room;
    }
    trail->steps[trail->count++] = (Step){Py_NewRef(name), found, is_inner, false, 0};
    trail->at = trail->count;
    trail->is_new = true;
    return true;
}

#endif
