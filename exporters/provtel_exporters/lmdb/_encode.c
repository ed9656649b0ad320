/* From plain records to what is written of them: the twin of `encode` in rows.py, and of `packed_keys` in index/keys.py.
 *
 * It does the plain case: every value of a type that AnyValue names, ids and parent in their usual form. Every other
 * record is given to Python, which also says what is wrong with one.
 */

#include "ids.h"
#include "msgpack.h"
#include "trail.h"

#include "digest.h"

enum { ANY = -1, ORIGIN, ACTIVITY = 5, RUN = 9, SLOTS = 12, MAP = SLOTS, TRACE_ID, SPAN_ID, PARENT_ID, STATUS, STARTED_AT, LINKS, USED, GENERATED };
enum { PARTS = 4, SHAPE = 3, HEAD = 5, COMPRESS_FROM = 1024, KEY_BYTES = 32 };
enum { BEFORE = ID_BYTES + HEAD }; /* room before an array, for its beginning, and for what comes before it */

static const int FIRST_SLOTS[PARTS] = {ORIGIN, ACTIVITY, RUN, SLOTS}; /* of each part, and where the last ends */

/* ---- what is told by `configure` -------------------------------------------------------------------------------- */

static PyObject *fields, *states, *record_type, *compressed, *name_key, *compound_keys;
static uint64_t content_keys[2];
static PyObject *letters[2], *text_trace_id, *text_span_id;

/* ---- one call ----------------------------------------------------------------------------------------------------- */

typedef struct {
    Packed shape, values;
    Trail trail; /* the fields of records, and the keys of maps; what was found is where a field belongs */
    Keys keys;
    PyObject *slots[SLOTS]; /* what `parts` are made of, owned */
    PyObject *parts[PARTS], *together;
    PyObject *names[2]; /* run -> role -> what the keys of its values have in common; of what is used, and generated */
    PyObject *run;      /* of which the steps of the trail know these, where they do; owned */
    Digits trace, parent; /* which were read last */
} Batch;

/* What one record is, borrowed from it. */
typedef struct {
    PyObject *slots[SLOTS], *trace_id, *span_id, *parent_id, *status, *started_at, *links, *data[2];
    Py_ssize_t fields, items, steps[2]; /* where in the trail the keys of `data` begin */
    uint8_t key[KEY_BYTES];
} Found;

static void forget(Batch *batch)
{
    PyMem_Free(batch->shape.bytes);
    PyMem_Free(batch->values.bytes);
    PyMem_Free(batch->keys.keys);
    forget_trail(&batch->trail);
    for (int slot = 0; slot < SLOTS; slot++) {
        Py_XDECREF(batch->slots[slot]);
    }
    for (int part = 0; part < PARTS; part++) {
        Py_XDECREF(batch->parts[part]);
    }
    Py_XDECREF(batch->together);
    Py_XDECREF(batch->names[0]);
    Py_XDECREF(batch->names[1]);
    Py_XDECREF(batch->run);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static int add_link(Batch *batch, PyObject *link)
{
    uint8_t ids[ID_BYTES];
    if (!PyDict_CheckExact(link) || !read_ids(PyDict_GetItem(link, text_trace_id), PyDict_GetItem(link, text_span_id), ids)) {
        return NOT_PLAIN;
    }
    return add_key(&batch->keys, mix(key_of_ids(ids) ^ 'l'));
}

static int add_links(Batch *batch, PyObject *links)
{
    if (links == NULL) {
        return DONE;
    }
    int done = PyList_CheckExact(links) ? DONE : NOT_PLAIN;
    for (Py_ssize_t place = 0; done == DONE && place < PyList_GET_SIZE(links); place++) {
        done = add_link(batch, PyList_GET_ITEM(links, place));
    }
    return done;
}

/* Return the roles of a run, each with what the keys of its values have in common; borrowed, NULL with an error. */
static PyObject *roles_of(Batch *batch, int which, PyObject *run)
{
    PyObject *roles = PyDict_GetItemWithError(batch->names[which], run);
    if (roles == NULL && !PyErr_Occurred() && (roles = PyDict_New()) != NULL) {
        int failed = PyDict_SetItem(batch->names[which], run, roles);
        Py_DECREF(roles);
        roles = failed ? NULL : roles;
    }
    return roles;
}

static int read_name(PyObject *roles, int which, PyObject *run, PyObject *role, uint64_t *name)
{
    PyObject *known = Py_XNewRef(PyDict_GetItemWithError(roles, role));
    if (known == NULL && !PyErr_Occurred()) {
        known = PyObject_CallFunctionObjArgs(name_key, letters[which], run, role, NULL);
        if (known != NULL && PyDict_SetItem(roles, role, known) < 0) {
            Py_CLEAR(known);
        }
    }
    *name = known == NULL ? 0 : PyLong_AsUnsignedLongLong(known);
    Py_XDECREF(known);
    return PyErr_Occurred() ? FAILED : DONE;
}

/* Add the keys of a value that is no scalar, which Python knows. */
static int add_compound(Batch *batch, int which, PyObject *plain, PyObject *role, PyObject *value)
{
    if (!PyList_CheckExact(value) && !PyDict_CheckExact(value)) {
        return NOT_PLAIN;
    }
    PyObject *found = PyObject_CallFunctionObjArgs(compound_keys, letters[which], plain, role, value, NULL);
    int done = found == NULL ? FAILED : DONE;
    if (found != NULL && !PyList_CheckExact(found)) {
        PyErr_SetString(PyExc_TypeError, "the keys of a value are no list");
        done = FAILED;
    }
    for (Py_ssize_t place = 0; done == DONE && place < PyList_GET_SIZE(found); place++) {
        uint64_t key = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(found, place));
        done = PyErr_Occurred() ? FAILED : add_key(&batch->keys, key);
    }
    Py_XDECREF(found);
    return done;
}

/* Find what the keys of a role's values have in common: the trail may know, where the run is that of before. */
static int find_name(Batch *batch, int which, PyObject *run, PyObject *role, Step *step, uint64_t *name)
{
    if (step->is_known) {
        *name = step->number;
        return DONE;
    }
    PyObject *roles = roles_of(batch, which, run);
    int done = roles == NULL ? FAILED : read_name(roles, which, run, role, name);
    step->is_known = done == DONE;
    step->number = *name;
    return done;
}

static int add_datum(Batch *batch, int which, PyObject *plain, PyObject *run, PyObject *role, PyObject *value, Step *step)
{
    uint8_t digest[DIGEST];
    bool is_telling;
    int found = digest_of_scalar(value, digest, &is_telling);
    if (found <= 0) {
        return found < 0 ? FAILED : add_compound(batch, which, plain, role, value);
    }
    uint64_t end = number_of(digest + DIGEST - 8), name = 0;
    if (find_name(batch, which, run, role, step, &name) != DONE || add_key(&batch->keys, name ^ end) != DONE) {
        return FAILED;
    }
    return is_telling ? add_key(&batch->keys, content_keys[which] ^ end) : DONE;
}

static int add_data(Batch *batch, int which, PyObject *plain, PyObject *run, PyObject *data, Py_ssize_t at)
{
    PyObject *role, *value;
    int done = DONE;
    Py_INCREF(data); /* what Python is asked may run anything */
    for (Py_ssize_t place = 0; done == DONE && PyDict_Next(data, &place, &role, &value);) {
        Py_INCREF(role);
        Py_INCREF(value);
        bool is_there = at < batch->trail.count && batch->trail.steps[at].is_inner && batch->trail.steps[at].name == role;
        done = add_datum(batch, which, plain, run, role, value, is_there ? &batch->trail.steps[at++] : &(Step){.name = role});
        Py_DECREF(role);
        Py_DECREF(value);
    }
    Py_DECREF(data);
    return done;
}

static int find_keys(Batch *batch, const Found *found, PyObject *plain, const uint8_t *parent)
{
    batch->keys.count = 0;
    int done = add_key(&batch->keys, key_of_ids(found->key));
    if (done == DONE && found->parent_id != NULL) {
        done = add_key(&batch->keys, mix(key_of_ids(parent) ^ 'p'));
    }
    if (done == DONE) {
        done = add_links(batch, found->links);
    }
    PyObject *run = found->slots[RUN];
    bool has_run = run != NULL && run != Py_None;
    if (has_run && !PyUnicode_CheckExact(run)) {
        return NOT_PLAIN;
    }
    run = Py_NewRef(has_run && PyUnicode_GET_LENGTH(run) > 0 ? run : found->trace_id);
    if (run != batch->run) {
        forget_numbers(&batch->trail);
        Py_XSETREF(batch->run, Py_NewRef(run));
    }
    PyObject *data[2] = {Py_XNewRef(found->data[0]), Py_XNewRef(found->data[1])};
    for (int which = 0; done == DONE && which < 2; which++) {
        done = data[which] == NULL ? DONE : add_data(batch, which, plain, run, data[which], found->steps[which]);
    }
    Py_XDECREF(data[0]);
    Py_XDECREF(data[1]);
    Py_DECREF(run);
    return done;
}

/* ---- shape and values --------------------------------------------------------------------------------------------- */

static int put_map_apart(Batch *batch, Found *found, PyObject *map)
{
    PyObject *key, *value;
    Py_ssize_t nothing;
    int done = PyDict_CheckExact(map) ? DONE : NOT_PLAIN;
    for (Py_ssize_t place = 0; done == DONE && PyDict_Next(map, &place, &key, &value);) {
        if (!follow(&batch->trail, key, true, &nothing)) {
            done = !PyUnicode_CheckExact(key) ? NOT_PLAIN : lead(&batch->trail, key, true, 0) ? DONE : FAILED;
        }
        if (done == DONE) {
            done = put_value(&batch->values, value, 1);
        }
        found->items++;
    }
    return done;
}

/* Put the parent as eight bytes where it is of the same trace. */
static int put_parent(Batch *batch, Found *found, uint8_t *ids)
{
    const uint8_t *text = ascii_of(found->parent_id, TRACE_DIGITS + 1 + SPAN_DIGITS);
    if (text == NULL || text[TRACE_DIGITS] != '-' || !read_again(&batch->trace, text, TRACE_DIGITS, ids) ||
        !read_again(&batch->parent, text + TRACE_DIGITS + 1, SPAN_DIGITS, ids + 16)) {
        return NOT_PLAIN;
    }
    bool is_near = memcmp(ids, found->key, 16) == 0;
    return is_near ? put_blob(&batch->values, ids + 16, 8) : put_text(&batch->values, found->parent_id);
}

/* Find where a field belongs; NOT_PLAIN where its name is no text. */
static int find_field(Batch *batch, PyObject *name, Py_ssize_t *field)
{
    if (follow(&batch->trail, name, false, field)) {
        return DONE;
    }
    if (!PyUnicode_CheckExact(name)) {
        return NOT_PLAIN;
    }
    PyObject *place = PyDict_GetItemWithError(fields, name);
    *field = place == NULL ? ANY : PyLong_AsSsize_t(place);
    return !PyErr_Occurred() && lead(&batch->trail, name, false, *field) ? DONE : FAILED;
}

static bool is_apart(Py_ssize_t field)
{
    return field == MAP || field == USED || field == GENERATED;
}

static bool is_in_shape(Py_ssize_t field)
{
    return field == ANY || (field >= SLOTS && field != TRACE_ID && field != SPAN_ID);
}

static int put_field(Batch *batch, Found *found, PyObject *name, PyObject *value, uint8_t *parent)
{
    Py_ssize_t field;
    PyObject **remembered[] = {&found->trace_id, &found->span_id, &found->parent_id, &found->status, &found->started_at,
                               &found->links, &found->data[0], &found->data[1]};
    int done = find_field(batch, name, &field);
    if (done != DONE) {
        return done;
    }
    if (field >= 0 && field < SLOTS) {
        found->slots[field] = value;
        return DONE;
    }
    if (field >= TRACE_ID && field <= GENERATED) {
        *remembered[field - TRACE_ID] = value;
    }
    if (!is_in_shape(field)) {
        return DONE;
    }
    found->fields++;
    if (field == USED || field == GENERATED) {
        found->steps[field - USED] = batch->trail.at;
    }
    if (is_apart(field)) {
        return put_map_apart(batch, found, value);
    }
    found->items++;
    return field == PARENT_ID ? put_parent(batch, found, parent) : put_value(&batch->values, value, 1);
}

static int put_fields(Batch *batch, Found *found, PyObject *plain, uint8_t *parent)
{
    found->trace_id = PyDict_GetItem(plain, text_trace_id);
    found->span_id = PyDict_GetItem(plain, text_span_id);
    const uint8_t *trace = ascii_of(found->trace_id, TRACE_DIGITS), *span = ascii_of(found->span_id, SPAN_DIGITS);
    if (trace == NULL || span == NULL || !read_again(&batch->trace, trace, TRACE_DIGITS, found->key) ||
        !read_hex(span, SPAN_DIGITS, found->key + 16)) {
        return NOT_PLAIN;
    }
    batch->values.size = 0;
    batch->trail.at = 0;
    int done = more(&batch->values, BEFORE) ? DONE : FAILED;
    PyObject *name, *value;
    for (Py_ssize_t place = 0; done == DONE && PyDict_Next(plain, &place, &name, &value);) {
        done = put_field(batch, found, name, value, parent);
    }
    end_trail(&batch->trail);
    return done;
}

/* Put the names of the record that was just looked at. */
static int put_shape(Packed *to, const Trail *trail, Py_ssize_t count)
{
    to->size = 0;
    int done = put_array(to, count);
    for (Py_ssize_t at = 0; done == DONE && at < trail->count; at++) {
        const Step *step = &trail->steps[at];
        if (!step->is_inner && !is_in_shape(step->found)) {
            continue;
        }
        if (!step->is_inner && is_apart(step->found)) {
            done = put_array(to, 1 + inner_steps(trail, at));
        }
        done = done == DONE ? put_text(to, step->name) : done;
    }
    return done;
}

/* Write the beginning of the values into the room that was left before them; return where it is. */
static uint8_t *with_head(Packed *of, Py_ssize_t length, Py_ssize_t *size)
{
    Packed head = {of->bytes, 0, HEAD};
    put_array(&head, length); /* five bytes at most: `bytes` has them */
    memmove(of->bytes + BEFORE - head.size, of->bytes, head.size);
    *size = (Py_ssize_t)(of->size - BEFORE + head.size);
    return of->bytes + BEFORE - head.size;
}

static int check(Found *found)
{
    if (found->status == NULL || !PyUnicode_CheckExact(found->status) || PySet_Contains(states, found->status) != 1 ||
        found->started_at == NULL || !PyLong_CheckExact(found->started_at)) {
        PyErr_Clear();
        return NOT_PLAIN;
    }
    uint64_t start = PyLong_AsUnsignedLongLong(found->started_at);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return NOT_PLAIN;
    }
    for (int i = 0; i < 8; i++) {
        found->key[ID_BYTES + i] = (uint8_t)(start >> (56 - 8 * i));
    }
    return DONE;
}

/* ---- parts -------------------------------------------------------------------------------------------------------- */

/* Take what a part is now; the same object as before where it is the same. */
static int set_part(Batch *batch, int part, const uint8_t *bytes, Py_ssize_t size)
{
    PyObject *before = batch->parts[part];
    if (before != NULL && PyBytes_GET_SIZE(before) == size && memcmp(PyBytes_AS_STRING(before), bytes, (size_t)size) == 0) {
        return DONE;
    }
    Py_CLEAR(batch->together);
    Py_XSETREF(batch->parts[part], PyBytes_FromStringAndSize((const char *)bytes, size));
    return batch->parts[part] == NULL ? FAILED : DONE;
}

/* Intern some slots; nothing is to be done where they are the objects of the record before. */
static int set_slots(Batch *batch, int part, PyObject *const *slots)
{
    int first = FIRST_SLOTS[part], end = FIRST_SLOTS[part + 1];
    size_t size = (size_t)(end - first) * sizeof(PyObject *);
    if (batch->parts[part] != NULL && memcmp(batch->slots + first, slots + first, size) == 0) {
        return DONE;
    }
    Packed *to = &batch->shape; /* free again: the shape was taken before */
    to->size = 0;
    int done = put_array(to, end - first);
    for (int slot = first; done == DONE && slot < end; slot++) {
        done = put_value(to, slots[slot] == NULL ? Py_None : slots[slot], 1);
    }
    if (done == DONE) {
        done = set_part(batch, part, to->bytes, (Py_ssize_t)to->size);
    }
    for (int slot = first; slot < end; slot++) {
        Py_XSETREF(batch->slots[slot], done == DONE ? Py_XNewRef(slots[slot]) : NULL);
    }
    if (done != DONE) {
        Py_CLEAR(batch->parts[part]);
        Py_CLEAR(batch->together);
    }
    return done;
}

static int set_parts(Batch *batch, const Found *found)
{
    int done = DONE;
    if (batch->trail.is_new) {
        done = put_shape(&batch->shape, &batch->trail, found->fields);
        done = done == DONE ? set_part(batch, SHAPE, batch->shape.bytes, (Py_ssize_t)batch->shape.size) : done;
        batch->trail.is_new = done != DONE;
    }
    for (int part = 0; done == DONE && part < SHAPE; part++) {
        done = set_slots(batch, part, found->slots);
    }
    if (done == DONE && batch->together == NULL) {
        PyObject **parts = batch->parts;
        batch->together = PyTuple_Pack(PARTS, parts[0], parts[1], parts[2], parts[3]);
        done = batch->together == NULL ? FAILED : DONE;
    }
    return done;
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

/* Return the end of a row: ids, for which there is room before the values, and these; and how they are packed. */
static PyObject *end_of(const uint8_t *ids, uint8_t *values, Py_ssize_t size, long *flags)
{
    *flags = 0;
    if (size < COMPRESS_FROM) {
        memcpy(values - ID_BYTES, ids, ID_BYTES);
        return PyBytes_FromStringAndSize((const char *)values - ID_BYTES, ID_BYTES + size);
    }
    PyObject *end = PyBytes_FromStringAndSize((const char *)ids, ID_BYTES);
    PyObject *smaller = PyObject_CallFunction(compressed, "y#", (const char *)values, size), *content;
    if (smaller != NULL && !PyArg_ParseTuple(smaller, "lO!", flags, &PyBytes_Type, &content)) {
        Py_CLEAR(smaller);
    }
    if (smaller == NULL) {
        Py_CLEAR(end);
    } else {
        PyBytes_Concat(&end, content);
        Py_DECREF(smaller);
    }
    return end;
}

static PyObject *record_of(Batch *batch, const Found *found, PyObject *plain, PyObject *together)
{
    Py_ssize_t size;
    long flags;
    uint8_t *values = with_head(&batch->values, found->items, &size);
    PyObject *end = end_of(found->key, values, size, &flags);
    PyObject *key = PyBytes_FromStringAndSize((const char *)found->key, KEY_BYTES);
    PyObject *keys = keys_once(&batch->keys);
    PyTypeObject *type = (PyTypeObject *)record_type;
    PyObject *packing = PyLong_FromLong(flags);
    bool is_well = end != NULL && key != NULL && keys != NULL && packing != NULL;
    PyObject *record = is_well ? type->tp_alloc(type, 6) : NULL;
    if (record == NULL) {
        Py_XDECREF(packing);
        Py_XDECREF(end);
        Py_XDECREF(key);
        Py_XDECREF(keys);
        return NULL;
    }
    PyTuple_SET_ITEM(record, 0, Py_NewRef(plain));
    PyTuple_SET_ITEM(record, 1, key);
    PyTuple_SET_ITEM(record, 2, Py_NewRef(together));
    PyTuple_SET_ITEM(record, 3, packing);
    PyTuple_SET_ITEM(record, 4, end);
    PyTuple_SET_ITEM(record, 5, keys);
    return record;
}

static int encode_record(Batch *batch, PyObject *plain, PyObject **record)
{
    Found found = {.fields = 0};
    uint8_t parent[ID_BYTES];
    int done = PyDict_CheckExact(plain) ? put_fields(batch, &found, plain, parent) : NOT_PLAIN;
    if (done == DONE) {
        done = check(&found);
    }
    if (done == DONE) {
        done = set_parts(batch, &found);
    }
    if (done == DONE) {
        done = find_keys(batch, &found, plain, parent);
    }
    if (done == DONE) {
        *record = record_of(batch, &found, plain, batch->together);
        done = *record == NULL ? FAILED : DONE;
    }
    return done;
}

static bool encode_each(Batch *batch, PyObject *plains, PyObject *in_python, PyObject *records)
{
    for (Py_ssize_t place = 0; place < PySequence_Fast_GET_SIZE(plains); place++) {
        PyObject *plain = Py_NewRef(PySequence_Fast_GET_ITEM(plains, place)), *record = NULL;
        if (encode_record(batch, plain, &record) == NOT_PLAIN) {
            record = PyObject_CallOneArg(in_python, plain);
        }
        Py_DECREF(plain);
        if (record == NULL || PyList_Append(records, record) < 0) {
            Py_XDECREF(record);
            return false;
        }
        Py_DECREF(record);
    }
    return true;
}

static PyObject *encode_all(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *given, *in_python;
    if (!PyArg_ParseTuple(arguments, "OO", &given, &in_python)) {
        return NULL;
    }
    if (record_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "`configure` was not called");
        return NULL;
    }
    PyObject *plains = PySequence_Fast(given, "the records are no sequence");
    Batch batch = {.names = {PyDict_New(), PyDict_New()}};
    PyObject *records = plains == NULL || batch.names[0] == NULL || batch.names[1] == NULL ? NULL : PyList_New(0);
    if (records != NULL && !encode_each(&batch, plains, in_python, records)) {
        Py_CLEAR(records);
    }
    Py_XDECREF(plains);
    forget(&batch);
    return records;
}

static PyObject *configure(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *places, *known, *type, *squeeze, *name, *compound;
    unsigned long long used, generated;
    if (!PyArg_ParseTuple(arguments, "O!O!O!OOOKK", &PyDict_Type, &places, &PyFrozenSet_Type, &known, &PyType_Type, &type, &squeeze,
                          &name, &compound, &used, &generated)) {
        return NULL;
    }
    PyTypeObject *record = (PyTypeObject *)type;
    if (!PyType_IsSubtype(record, &PyTuple_Type) || record->tp_basicsize != PyTuple_Type.tp_basicsize) {
        PyErr_SetString(PyExc_TypeError, "records are tuples, and nothing else");
        return NULL;
    }
    Py_XSETREF(fields, Py_NewRef(places));
    Py_XSETREF(states, Py_NewRef(known));
    Py_XSETREF(record_type, Py_NewRef(type));
    Py_XSETREF(compressed, Py_NewRef(squeeze));
    Py_XSETREF(name_key, Py_NewRef(name));
    Py_XSETREF(compound_keys, Py_NewRef(compound));
    content_keys[0] = used;
    content_keys[1] = generated;
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"encode_all", encode_all, METH_VARARGS, "Return records ready to be written."},
    {"configure", configure, METH_VARARGS, "Tell what a record is made of."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "provtel_exporters.lmdb._encode",
    .m_size = -1,
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__encode(void);

PyMODINIT_FUNC PyInit__encode(void)
{
    letters[0] = PyUnicode_InternFromString("u");
    letters[1] = PyUnicode_InternFromString("g");
    text_trace_id = PyUnicode_InternFromString("trace_id");
    text_span_id = PyUnicode_InternFromString("span_id");
    bool is_well = letters[0] != NULL && letters[1] != NULL && text_trace_id != NULL && text_span_id != NULL;
    return is_well ? PyModule_Create(&MODULE) : NULL;
}
