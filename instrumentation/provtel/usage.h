/* What the kernel counts of a thread, its process and the children of that: the twin of `telemetry/meters.py` and
 * `telemetry/usage.py`. */

#ifndef PROVTEL_USAGE_H
#define PROVTEL_USAGE_H

#include <Python.h>
#include <structmember.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
enum { COUNTS_BYTES = true, BLOCK = 512, PEAK_UNIT = 1024 };
#else
enum { COUNTS_BYTES = false, BLOCK = 1, PEAK_UNIT = 1 };
#endif
#ifdef RUSAGE_THREAD
enum { OF_THREAD = RUSAGE_THREAD };
#else
enum { OF_THREAD = RUSAGE_SELF };
#endif
static const int64_t SPLIT_AGE = 1000000; /* nanoseconds; see telemetry/meters.py */

/* The keys of the figures, in this order: `usage.KEYS`. */
enum { RSS, PEAK, MEMORY_SCOPE, READ, WRITTEN, SWITCHES, CHILD_USER, CHILD_SYSTEM, CHILD_READ, CHILD_WRITTEN, KEYS };

typedef struct {
    int64_t at, system; /* nanoseconds */
} ThreadCpu;

typedef struct {
    struct rusage own, children;
    int64_t peak, rss; /* bytes; -1 where it cannot be told */
    ThreadCpu cpu;
} Usage;

/* ---- CPU time of this thread: `meters.ThreadMeter` ---------------------------------------------------------------- */

static int64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static _Thread_local int64_t split_at = INT64_MIN / 2, split_system; /* nanoseconds of this thread */

static void split_cpu(int64_t now) {
    split_at = now;
#ifdef RUSAGE_THREAD
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) == 0)
        split_system = usage.ru_stime.tv_sec * 1000000000LL + usage.ru_stime.tv_usec * 1000LL;
#endif
}

static inline ThreadCpu thread_cpu(void) {
    int64_t now = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    /* A forked child's clock begins anew. */
    if (now - split_at > SPLIT_AGE || now < split_at) split_cpu(now);
    return (ThreadCpu){now, split_system};
}

/* Add the seconds since then. */
static inline void add_thread_cpu(ThreadCpu before, double *user, double *system) {
    int64_t now = nanoseconds(CLOCK_THREAD_CPUTIME_ID), spent = now - before.at, in_kernel = 0;
    if (spent >= SPLIT_AGE) {
        split_cpu(now);
        in_kernel = split_system - before.system;
        in_kernel = in_kernel < 0 ? 0 : in_kernel > spent ? spent : in_kernel;
    }
    *user += (double)(spent - in_kernel) / 1e9;
    *system += (double)in_kernel / 1e9;
}

/* ---- memory: `usage._Statm` and `usage._Peak` ------------------------------------------------------------------ */

static struct {
    int number;
    dev_t device;
    ino_t inode;
    int64_t inherited; /* the peak that this process began with; -1 where that was not looked at yet */
    int64_t own, faults; /* its own peak when it was last asked for, and how many faults there had been */
} memory = {.number = -1, .inherited = -1, .faults = -1};

static bool is_statm(void) {
    struct stat status;
    return fstat(memory.number, &status) == 0 && status.st_dev == memory.device && status.st_ino == memory.inode;
}

static void forget_memory(void) {
    if (memory.number >= 0 && is_statm()) close(memory.number);
    memory.number = -1;
    memory.inherited = memory.faults = -1;
}

static bool open_statm(void) {
    struct stat status;
    memory.number = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (memory.number < 0 || fstat(memory.number, &status) != 0) return false;
    memory.device = status.st_dev;
    memory.inode = status.st_ino;
    return true;
}

/* Return the bytes that are resident now. */
static int64_t resident(void) {
#ifdef __linux__
    char text[128], *pages;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (memory.number < 0 && !open_statm()) break;
        if (is_statm()) {
            ssize_t length = pread(memory.number, text, sizeof text - 1, 0);
            if (length > 0) {
                text[length] = 0;
                pages = strchr(text, ' ');
                if (pages != NULL) return strtoll(pages, NULL, 10) * sysconf(_SC_PAGESIZE);
            }
        }
        memory.number = -1; /* it is somebody else's now, or of a parent that is gone */
    }
#endif
    return -1;
}

static int64_t high_water_mark(void) {
    char text[4097];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) return -1;
    text[length] = 0;
    const char *found = strstr(text, "\nVmHWM:");
    return found == NULL ? -1 : strtoll(found + 7, NULL, 10) * 1024;
}

/* Memory grows by page faults: as long as there were none the peak is what it was. */
static int64_t own_peak(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return -1;
    int64_t faults = (int64_t)usage.ru_minflt + usage.ru_majflt;
    if (faults != memory.faults) {
        memory.own = high_water_mark();
        memory.faults = faults;
    }
    return memory.own;
}

static int64_t peak_of(int64_t counted) {
    if (!COUNTS_BYTES) return counted;
    if (memory.inherited < 0) {
        int64_t own = high_water_mark();
        memory.inherited = own >= 0 && own < counted ? counted : 0;
    }
    return counted > memory.inherited ? counted : own_peak();
}

static void read_usage(Usage *usage, bool whole_process) {
    getrusage(whole_process ? RUSAGE_SELF : OF_THREAD, &usage->own);
    usage->peak = peak_of((int64_t)usage->own.ru_maxrss * PEAK_UNIT);
    usage->rss = resident();
    getrusage(RUSAGE_CHILDREN, &usage->children);
}

/* ---- figures ------------------------------------------------------------------------------------------------------ */

static struct { PyObject *keys, *process; } figure_words; /* told by `configure` */

static double seconds_between(struct timeval before, struct timeval now) {
    int64_t spent = (now.tv_sec - before.tv_sec) * 1000000LL + (now.tv_usec - before.tv_usec);
    return (double)spent / 1e6;
}

/* Put a figure into a dictionary; the value is taken over, and NULL is an error that is set. */
static bool put_figure(PyObject *figures, int key, PyObject *value) {
    bool done = value != NULL && PyDict_SetItem(figures, PyTuple_GET_ITEM(figure_words.keys, key), value) == 0;
    Py_XDECREF(value);
    return done;
}

static bool put_io(PyObject *figures, int key, const struct rusage *before, const struct rusage *now) {
    if (!COUNTS_BYTES) return true;
    return put_figure(figures, key, PyLong_FromLongLong((long long)(now->ru_inblock - before->ru_inblock) * BLOCK)) &&
           put_figure(figures, key + 1, PyLong_FromLongLong((long long)(now->ru_oublock - before->ru_oublock) * BLOCK));
}

static bool put_memory(PyObject *figures, const Usage *before, const Usage *now) {
    if (now->rss >= 0 && !put_figure(figures, RSS, PyLong_FromLongLong(now->rss))) return false;
    if (now->peak > before->peak && before->rss >= 0) {
        int64_t rise = now->peak - before->rss;
        return put_figure(figures, PEAK, PyLong_FromLongLong(rise > 0 ? rise : 0));
    }
    if (now->peak < 0) return true;
    return put_figure(figures, PEAK, PyLong_FromLongLong(now->peak)) &&
           put_figure(figures, MEMORY_SCOPE, Py_NewRef(figure_words.process));
}

static bool put_children(PyObject *figures, const struct rusage *before, const struct rusage *now) {
    double user = seconds_between(before->ru_utime, now->ru_utime);
    double system = seconds_between(before->ru_stime, now->ru_stime);
    if (user <= 0 && system <= 0) return true;
    return put_figure(figures, CHILD_USER, PyFloat_FromDouble(user)) &&
           put_figure(figures, CHILD_SYSTEM, PyFloat_FromDouble(system)) &&
           put_io(figures, CHILD_READ, before, now);
}

/* Return a new dictionary; NULL with an error set where there is none. */
static PyObject *figures_since(const Usage *before, const Usage *now) {
    PyObject *keys = figure_words.keys;
    if (keys == NULL || !PyTuple_Check(keys) || PyTuple_GET_SIZE(keys) != KEYS || figure_words.process == NULL)
        return PyErr_Format(PyExc_RuntimeError, "the keys of the figures are not known");
    PyObject *figures = PyDict_New();
    const struct rusage *own = &now->own, *earlier = &before->own;
    long long switches = own->ru_nvcsw + own->ru_nivcsw - earlier->ru_nvcsw - earlier->ru_nivcsw;
    if (figures != NULL && put_memory(figures, before, now) && put_io(figures, READ, earlier, own) &&
        put_figure(figures, SWITCHES, PyLong_FromLongLong(switches)) &&
        put_children(figures, &before->children, &now->children))
        return figures;
    Py_XDECREF(figures);
    return NULL;
}

/* ---- FullMeter: what was counted at the start is kept as bytes ---------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    char whole_process;
} FullMeter;

static int full_meter_init(FullMeter *self, PyObject *args, PyObject *kwargs) {
    static char *words[] = {"whole_process", NULL};
    int whole = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$p", words, &whole)) return -1;
    self->whole_process = (char)whole;
    return 0;
}

static PyObject *full_meter_start(FullMeter *self, PyObject *ignored) {
    (void)ignored;
    Usage usage;
    read_usage(&usage, self->whole_process);
    if (!self->whole_process) usage.cpu = thread_cpu();
    return PyBytes_FromStringAndSize((const char *)&usage, sizeof usage);
}

/* Add the seconds of CPU, and return the other figures. */
static PyObject *full_meter_figures(FullMeter *self, PyObject *kept, double *user, double *system) {
    Usage before, now;
    if (kept == NULL || !PyBytes_Check(kept) || PyBytes_GET_SIZE(kept) != sizeof before)
        return PyErr_Format(PyExc_TypeError, "this is nothing that the meter returned");
    memcpy(&before, PyBytes_AS_STRING(kept), sizeof before);
    if (!self->whole_process) add_thread_cpu(before.cpu, user, system);
    read_usage(&now, self->whole_process);
    if (self->whole_process) {
        *user += seconds_between(before.own.ru_utime, now.own.ru_utime);
        *system += seconds_between(before.own.ru_stime, now.own.ru_stime);
    }
    return figures_since(&before, &now);
}

static PyObject *full_meter_spent(FullMeter *self, PyObject *before) {
    double user = 0, system = 0;
    PyObject *figures = full_meter_figures(self, before, &user, &system);
    return figures == NULL ? NULL : Py_BuildValue("(ddN)", user, system, figures);
}

static PyMethodDef full_meter_methods[] = {
    {"start", (PyCFunction)full_meter_start, METH_NOARGS, "Return what was counted so far."},
    {"spent", (PyCFunction)full_meter_spent, METH_O, "Return what was counted since then."},
    {NULL},
};

static PyMemberDef full_meter_members[] = {
    {"whole_process", T_BOOL, offsetof(FullMeter, whole_process), READONLY, NULL},
    {NULL},
};

static PyTypeObject FullMeterType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "provtel._accelerator.FullMeter",
    .tp_doc = "Measures CPU time, memory, I/O, context switches, and the share of children that ended.",
    .tp_basicsize = sizeof(FullMeter),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)full_meter_init,
    .tp_methods = full_meter_methods,
    .tp_members = full_meter_members,
};

#endif
