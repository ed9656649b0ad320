/* What is done to sets of rows, and to the rows of a block: the twin of the functions of the same names in
 * in_python.py. A set of rows is a mask, one byte a row, 1 or 0. */

#include "columns.h"

#define NOTHING 0
#define NO_NUMBER 1
#define SIGN ((uint64_t)1 << 63)
#define MOST_COLUMNS 64

enum { BOTH, EITHER, WITHOUT };
enum { PIECE = 512 }; /* so many rows are ranked at once, in memory that stays near */

static inline uint64_t combined_word(int word, uint64_t a, uint64_t b)
{
    return word == BOTH ? a & b : word == EITHER ? a | b : a & ~b;
}

static PyObject *combined(PyObject *arguments, const int word)
{
    Py_buffer left, right;
    if (!PyArg_ParseTuple(arguments, "y*y*", &left, &right)) {
        return NULL;
    }
    PyObject *mask = NULL;
    if (left.len == right.len) {
        mask = PyBytes_FromStringAndSize(NULL, left.len);
    } else {
        wrong("the sets are not of the same rows");
    }
    if (mask != NULL) {
        char *rows = PyBytes_AS_STRING(mask);
        const char *a = left.buf, *b = right.buf;
        Py_ssize_t words = left.len / 8;
        for (Py_ssize_t place = 0; place < words; place++) {
            put_u64(rows, place, combined_word(word, u64_at(a, place), u64_at(b, place)));
        }
        for (Py_ssize_t place = 8 * words; place < left.len; place++) {
            rows[place] = (char)combined_word(word, (uint8_t)a[place], (uint8_t)b[place]);
        }
    }
    PyBuffer_Release(&left);
    PyBuffer_Release(&right);
    return mask;
}

static PyObject *both(PyObject *module, PyObject *arguments)
{
    (void)module;
    return combined(arguments, BOTH);
}

static PyObject *either(PyObject *module, PyObject *arguments)
{
    (void)module;
    return combined(arguments, EITHER);
}

static PyObject *outside(PyObject *module, PyObject *arguments)
{
    (void)module;
    return combined(arguments, WITHOUT);
}

static PyObject *many(PyObject *module, PyObject *argument)
{
    (void)module;
    Py_buffer mask;
    if (PyObject_GetBuffer(argument, &mask, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    const uint8_t *rows = mask.buf;
    Py_ssize_t words = mask.len / 8, count = 0;
    for (Py_ssize_t begin = 0; begin < words; begin += 255) { /* 255 ones still fit a byte */
        uint64_t sums = 0;
        for (Py_ssize_t place = begin; place < words && place < begin + 255; place++) {
            sums += u64_at(rows, place);
        }
        for (; sums != 0; sums >>= 8) {
            count += (Py_ssize_t)(sums & 255);
        }
    }
    for (Py_ssize_t place = 8 * words; place < mask.len; place++) {
        count += rows[place];
    }
    PyBuffer_Release(&mask);
    return PyLong_FromSsize_t(count);
}

/* A column of ranks: they are computed where they are asked for. */
typedef struct {
    int code;
    bool is_descending, is_constant;
    Py_buffer data, present, table;
    Py_ssize_t count, ranks;
    int32_t *at; /* where the item of each row lies, -1 where there is none; NULL where all have one */
} Column;

static inline uint64_t rank_of_double(double value)
{
    uint64_t bits;
    value += 0.0; /* so that both zeros are one */
    memcpy(&bits, &value, 8);
    uint64_t rank = bits ^ (SIGN | (uint64_t)((int64_t)bits >> 63)); /* all bits of a negative one, else the first */
    return value == value ? rank : NO_NUMBER;
}

static inline uint64_t rank_of_item(const Column *column, Py_ssize_t place)
{
    switch (column->code) {
    case 'd':
        return rank_of_double(double_at(column->data.buf, place));
    case 'Q':
        return u64_at(column->data.buf, place);
    case 'B':
    case 'H':
    case 'I':
        return u64_at(column->table.buf, column->is_constant ? 1 : code_at(column->data.buf, column->code, place));
    default:
        return (uint64_t)signed_at(column->data.buf, column->code, place) + SIGN - 1;
    }
}

static inline Py_ssize_t place_of(const Column *column, Py_ssize_t row)
{
    return column->at == NULL ? row : column->at[row];
}

static inline uint64_t rank_of(const Column *column, Py_ssize_t row)
{
    if (column->code == 'Q' && column->at == NULL) { /* the ids, which decide where all else is equal */
        uint64_t number = u64_at(column->data.buf, row);
        return column->is_descending ? ~number : number;
    }
    Py_ssize_t place = place_of(column, row);
    uint64_t rank = place < 0 ? NOTHING : rank_of_item(column, place);
    return column->is_descending ? ~rank : rank;
}

/* Whether a record must be asked for what the column has there: code 0 says that it does not hold it. */
static inline bool is_unknown(const Column *column, Py_ssize_t row)
{
    if (!holds_codes(column->code) || column->is_constant) {
        return false;
    }
    Py_ssize_t place = place_of(column, row);
    return place >= 0 && code_at(column->data.buf, column->code, place) == 0;
}

static void release_column(Column *column)
{
    PyMem_Free(column->at);
    if (column->table.obj != NULL) {
        PyBuffer_Release(&column->table);
    }
    if (column->present.obj != NULL) {
        PyBuffer_Release(&column->present);
    }
    if (column->data.obj != NULL) {
        PyBuffer_Release(&column->data);
    }
}

static bool place_items(Column *column, Py_ssize_t rows)
{
    Py_ssize_t items = count_in(&column->present, 2);
    if (items < 0 || (column->at = PyMem_Malloc(sizeof(int32_t) * (size_t)(rows + 1))) == NULL) {
        return PyErr_Occurred() != NULL ? false : PyErr_NoMemory() != NULL;
    }
    memset(column->at, -1, sizeof(int32_t) * (size_t)rows);
    for (Py_ssize_t place = 0; place < items; place++) {
        Py_ssize_t row = u16_at(column->present.buf, place);
        if (row >= rows) {
            PyErr_SetString(PyExc_IndexError, "a row is not in the block");
            return false;
        }
        column->at[row] = (int32_t)place;
    }
    return column->is_constant || items == column->count || wrong("there are not as many items as rows") == 0;
}

/* Whether every code is in the table. */
static bool are_in_table(const Column *column)
{
    bool is_well = !column->is_constant || column->ranks > 1;
    for (Py_ssize_t place = 0; place < column->count; place++) {
        is_well &= code_at(column->data.buf, column->code, place) < column->ranks;
    }
    if (!is_well) {
        PyErr_SetString(PyExc_IndexError, "a code is not in the table");
    }
    return is_well;
}

/* Read (code, data, rows that have an item or None, ranks of codes or None, descending). */
static bool read_column(PyObject *given, Py_ssize_t rows, Column *column)
{
    PyObject *present, *table;
    int descending;
    memset(column, 0, sizeof(Column));
    if (!PyArg_ParseTuple(given, "Cy*OOp", &column->code, &column->data, &present, &table, &descending)) {
        return false;
    }
    column->is_descending = descending;
    column->count = count_in(&column->data, size_of(column->code));
    if (column->count < 0 || (present != Py_None && PyObject_GetBuffer(present, &column->present, PyBUF_SIMPLE) < 0)) {
        return false;
    }
    if (holds_codes(column->code)) {
        column->is_constant = column->count == 0;
        if (PyObject_GetBuffer(table, &column->table, PyBUF_SIMPLE) < 0 ||
            (column->ranks = count_in(&column->table, 8)) < 0 || !are_in_table(column)) {
            return false;
        }
    }
    if (present != Py_None) {
        return place_items(column, rows);
    }
    return column->is_constant || column->count == rows || wrong("a column has not an item a row") == 0;
}

typedef struct {
    Column columns[MOST_COLUMNS];
    Py_ssize_t count;
    Py_ssize_t deciding[MOST_COLUMNS], many; /* the columns behind the first in which rows may differ */
} Order;

static void release_order(Order *order)
{
    while (order->count > 0) {
        release_column(&order->columns[--order->count]);
    }
}

/* Write the ranks of some rows that follow each other; what is asked for each is in local variables, or it is read anew. */
static void rank_rows(const Column *column, Py_ssize_t begin, Py_ssize_t count, uint64_t *ranks)
{
    const char *data = column->data.buf;
    const uint64_t turned = column->is_descending ? ~(uint64_t)0 : 0;
    if (column->at == NULL && column->code == 'd') {
        for (Py_ssize_t number = 0; number < count; number++) {
            ranks[number] = rank_of_double(double_at(data, begin + number)) ^ turned;
        }
        return;
    }
    for (Py_ssize_t number = 0; number < count; number++) {
        Py_ssize_t place = place_of(column, begin + number);
        ranks[number] = (place < 0 ? NOTHING : rank_of_item(column, place)) ^ turned;
    }
}

static void find_deciding(Order *order)
{
    order->many = 0;
    for (Py_ssize_t column = 1; column < order->count; column++) {
        if (!order->columns[column].is_constant || order->columns[column].at != NULL) {
            order->deciding[order->many++] = column;
        }
    }
}

static bool read_order(PyObject *given, Py_ssize_t rows, Order *order)
{
    PyObject *sequence = PySequence_Fast(given, "the columns are no sequence");
    Py_ssize_t count = sequence == NULL ? -1 : PySequence_Fast_GET_SIZE(sequence);
    bool is_well = count > 0 && count <= MOST_COLUMNS;
    if (!is_well && sequence != NULL) {
        wrong("there are no columns, or too many");
    }
    while (is_well && order->count < count) {
        is_well = read_column(PySequence_Fast_GET_ITEM(sequence, order->count), rows, &order->columns[order->count]);
        order->count++;
    }
    Py_XDECREF(sequence);
    find_deciding(order);
    return is_well;
}

static bool read_place(PyObject *given, Py_ssize_t count, uint64_t *ranks)
{
    PyObject *sequence = PySequence_Fast(given, "the ranks of a place are no sequence");
    if (sequence == NULL) {
        return false;
    }
    bool is_well = PySequence_Fast_GET_SIZE(sequence) == count || wrong("a place has not a rank a column") == 0;
    for (Py_ssize_t column = 0; is_well && column < count; column++) {
        ranks[column] = PyLong_AsUnsignedLongLong(PySequence_Fast_GET_ITEM(sequence, column));
        is_well = !PyErr_Occurred();
    }
    Py_DECREF(sequence);
    return is_well;
}

/* A row, and its rank in the first column. */
typedef struct {
    uint64_t rank;
    Py_ssize_t row;
} Ranked;

static bool is_before(const Order *order, Ranked left, Ranked right)
{
    if (left.rank != right.rank) {
        return left.rank < right.rank;
    }
    for (Py_ssize_t number = 0; number < order->many; number++) {
        const Column *column = &order->columns[order->deciding[number]];
        uint64_t a = rank_of(column, left.row), b = rank_of(column, right.row);
        if (a != b) {
            return a < b;
        }
    }
    return left.row < right.row;
}

/* Whether a row comes behind a place; one in that place does not. */
static bool is_behind(const Order *order, Ranked found, const uint64_t *place)
{
    if (found.rank != place[0]) {
        return found.rank > place[0];
    }
    for (Py_ssize_t column = 1; column < order->count; column++) {
        uint64_t rank = rank_of(&order->columns[column], found.row);
        if (rank != place[column]) {
            return rank > place[column];
        }
    }
    return false;
}

/* Move a row down a heap whose last row in order is on top. */
static void sink(const Order *order, Ranked *heap, Py_ssize_t count, Py_ssize_t place)
{
    Ranked found = heap[place];
    for (;;) {
        Py_ssize_t child = 2 * place + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && is_before(order, heap[child], heap[child + 1])) {
            child++;
        }
        if (!is_before(order, found, heap[child])) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = found;
}

static void make_heap(const Order *order, Ranked *heap, Py_ssize_t count)
{
    for (Py_ssize_t place = count / 2 - 1; place >= 0; place--) {
        sink(order, heap, count, place);
    }
}

static PyObject *rows_of(const Ranked *found, Py_ssize_t count)
{
    PyObject *rows = PyList_New(count);
    for (Py_ssize_t place = 0; rows != NULL && place < count; place++) {
        PyObject *row = PyLong_FromSsize_t(found[place].row);
        if (row == NULL) {
            Py_CLEAR(rows);
            break;
        }
        PyList_SET_ITEM(rows, place, row);
    }
    return rows;
}

static bool append_row(PyObject *rows, Py_ssize_t row)
{
    PyObject *number = PyLong_FromSsize_t(row);
    bool is_well = number != NULL && PyList_Append(rows, number) == 0;
    Py_XDECREF(number);
    return is_well;
}

/* Put into `asked` the rows of a mask whose records are to be asked, and take them out of it. */
static bool ask(const Order *order, char *mask, Py_ssize_t count, PyObject *asked)
{
    for (Py_ssize_t column = 0; column < order->count; column++) {
        if (!holds_codes(order->columns[column].code) || order->columns[column].is_constant) {
            continue;
        }
        for (Py_ssize_t row = 0; row < count; row++) {
            if (mask[row] && is_unknown(&order->columns[column], row)) {
                mask[row] = 0;
                if (!append_row(asked, row)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Say whether the rows of a mask seem to be in the order that is wanted, so that the first are to be looked at first. */
static bool begins_well(const Order *order, const char *mask, Py_ssize_t count)
{
    Py_ssize_t begin = 0, end = count - 1;
    while (begin < end && !mask[begin]) {
        begin++;
    }
    while (begin < end && !mask[end]) {
        end--;
    }
    return begin >= end || rank_of(&order->columns[0], begin) <= rank_of(&order->columns[0], end);
}

typedef struct {
    const uint64_t *after;
    Ranked *heap;
    Py_ssize_t room, count;
    uint64_t last[MOST_COLUMNS]; /* the ranks of the row on top of the heap, once it is full */
} Search;

static void remember_last(Search *search, const Order *order)
{
    for (Py_ssize_t column = 0; column < order->count; column++) {
        search->last[column] = rank_of(&order->columns[column], search->heap[0].row);
    }
}

/* Whether a row comes before the last of a full heap. */
static inline bool is_better(const Search *search, const Order *order, Ranked found)
{
    if (found.rank != search->last[0]) {
        return found.rank < search->last[0];
    }
    for (Py_ssize_t number = 0; number < order->many; number++) {
        Py_ssize_t column = order->deciding[number];
        uint64_t rank = rank_of(&order->columns[column], found.row);
        if (rank != search->last[column]) {
            return rank < search->last[column];
        }
    }
    return found.row < search->heap[0].row;
}

static inline void look_at(Search *search, const Order *order, Ranked found)
{
    bool is_full = search->count == search->room;
    if (is_full && !is_better(search, order, found)) {
        return;
    }
    if (search->after != NULL && !is_behind(order, found, search->after)) {
        return;
    }
    if (is_full) {
        search->heap[0] = found;
        sink(order, search->heap, search->count, 0);
        remember_last(search, order);
        return;
    }
    search->heap[search->count++] = found;
    if (search->count == search->room) {
        make_heap(order, search->heap, search->count);
        remember_last(search, order);
    }
}

/* What decides between rows of one rank, where that is a number which each row has: mostly it is their ids. */
typedef struct {
    const char *numbers; /* NULL where something else decides */
    uint64_t turned;     /* all bits of a descending order */
    Py_ssize_t column;
} Tie;

static Tie tie_of(const Order *order)
{
    if (order->many == 0) {
        return (Tie){.numbers = NULL};
    }
    const Column *column = &order->columns[order->deciding[0]];
    bool is_number = column->code == 'Q' && column->at == NULL;
    return (Tie){is_number ? column->data.buf : NULL, column->is_descending ? ~(uint64_t)0 : 0, order->deciding[0]};
}

static void look_at_all(Search *search, const Order *order, const char *mask, Py_ssize_t count)
{
    uint64_t ranks[PIECE];
    const Tie tie = tie_of(order);
    bool is_forward = begins_well(order, mask, count);
    uint64_t limit = UINT64_MAX, tie_limit = UINT64_MAX; /* most rows are behind these, and no more is asked of them */
    for (Py_ssize_t left = count, piece; left > 0; left -= piece) {
        piece = left < PIECE ? left : PIECE;
        Py_ssize_t begin = is_forward ? count - left : left - piece;
        rank_rows(&order->columns[0], begin, piece, ranks);
        for (Py_ssize_t number = 0; number < piece; number++) {
            Py_ssize_t at = is_forward ? number : piece - 1 - number, row = begin + at;
            if (ranks[at] > limit || !mask[row]) {
                continue;
            }
            if (ranks[at] == limit && tie.numbers != NULL && (u64_at(tie.numbers, row) ^ tie.turned) > tie_limit) {
                continue;
            }
            look_at(search, order, (Ranked){ranks[at], row});
            if (search->count == search->room) {
                limit = search->last[0];
                tie_limit = search->last[tie.column];
            }
        }
    }
}

static PyObject *lowest(const Order *order, const char *mask, Py_ssize_t count, Search *search)
{
    if (search->room > 0) {
        look_at_all(search, order, mask, count);
    }
    if (search->count < search->room) {
        make_heap(order, search->heap, search->count);
    }
    for (Py_ssize_t end = search->count - 1; end > 0; end--) {
        Ranked last = search->heap[0];
        search->heap[0] = search->heap[end];
        sink(order, search->heap, end, 0);
        search->heap[end] = last;
    }
    return rows_of(search->heap, search->count);
}

static PyObject *first(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *columns, *after;
    Py_buffer rows;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(arguments, "OOy*n", &columns, &after, &rows, &most)) {
        return NULL;
    }
    Order order = {.count = 0};
    uint64_t behind[MOST_COLUMNS];
    PyObject *found = NULL, *asked = PyList_New(0);
    bool is_well = asked != NULL && read_order(columns, rows.len, &order);
    is_well = is_well && (after == Py_None || read_place(after, order.count, behind));
    Search search = {.after = after == Py_None ? NULL : behind};
    char *mask = NULL;
    if (is_well) {
        search.room = most < rows.len ? most : rows.len;
        search.heap = PyMem_Malloc(sizeof(Ranked) * (size_t)(search.room > 0 ? search.room : 1));
        mask = PyMem_Malloc((size_t)rows.len + 1);
        is_well = (search.heap != NULL && mask != NULL) || PyErr_NoMemory() != NULL;
    }
    if (is_well) {
        memcpy(mask, rows.buf, (size_t)rows.len);
        is_well = ask(&order, mask, rows.len, asked);
        found = is_well ? lowest(&order, mask, rows.len, &search) : NULL;
    }
    PyMem_Free(mask);
    PyMem_Free(search.heap);
    release_order(&order);
    PyBuffer_Release(&rows);
    PyObject *answer = found == NULL ? NULL : PyTuple_Pack(2, found, asked);
    Py_XDECREF(found);
    Py_XDECREF(asked);
    return answer;
}

static PyMethodDef METHODS[] = {
    {"both", both, METH_VARARGS, "Return the rows that are in both sets."},
    {"either", either, METH_VARARGS, "Return the rows that are in one set or the other."},
    {"outside", outside, METH_VARARGS, "Return the rows of a set that are not in another."},
    {"many", many, METH_O, "Return how many rows a set has."},
    {"first", first, METH_VARARGS, "Return the first rows in an order, and those that are to be asked."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "provtel_exporters.lmdb.index._row_kernels",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__row_kernels(void);

PyMODINIT_FUNC PyInit__row_kernels(void)
{
    return PyModule_Create(&MODULE);
}
