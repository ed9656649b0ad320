/* Answers the C interface of NVIDIA's management library as a script says, so that the real binding is tested without a
 * GPU: it is loaded in the place of libnvidia-ml.so.1.
 *
 * The script is the file in NVML_SCRIPT, read at each call: a line `KEY VALUE` for each thing. Keys of a GPU begin with its
 * number (`0.power 250000`), those of a MIG device with both (`0.mig1.uuid MIG-...`). A key that is not there is not
 * supported; a value `error:N` is that error. The count of energy goes up by the power that is said. Processes are
 * `PID:BYTES:SM` with commas between; `self` is the process that asks.
 */
#include <time.h>
#include <unistd.h>

#include "script.h"

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, UNKNOWN = 999 };
enum { MOST_PROCESSES = 32 };

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } ProcessInfo;
typedef struct { unsigned pid; unsigned long long time; unsigned sm, memory, encoder, decoder; } ProcessSample;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Rates;
typedef struct { unsigned multiprocessors, rest[7]; unsigned long long megabytes; } Attributes;

/* A handle is the number of the GPU plus one, and above that the number of the MIG device plus one. */
static void *handle_of(unsigned gpu, unsigned part) { return (void *)(size_t)(gpu + 1 + (part << 8)); }

static int text_of(void *handle, const char *key, char *value) {
    char whole[LONGEST];
    unsigned gpu = ((size_t)handle & 0xff) - 1, part = (unsigned)((size_t)handle >> 8);
    if (part) snprintf(whole, sizeof whole, "%u.mig%u.%s", gpu, part - 1, key);
    else snprintf(whole, sizeof whole, "%u.%s", gpu, key);
    return look_up("NVML_SCRIPT", whole, value, NOT_SUPPORTED);
}

static int number_of(void *handle, const char *key, unsigned long long *number) {
    char value[LONGEST];
    int result = text_of(handle, key, value);
    if (result == SUCCESS) *number = strtoull(value, NULL, 10);
    return result;
}

static int small_number_of(void *handle, const char *key, unsigned *number) {
    unsigned long long large = 0;
    int result = number_of(handle, key, &large);
    *number = (unsigned)large;
    return result;
}

static int copy_text(void *handle, const char *key, char *to, unsigned size) {
    char value[LONGEST];
    int result = text_of(handle, key, value);
    if (result == SUCCESS) snprintf(to, size, "%s", value);
    return result;
}

int nvmlInitWithFlags(unsigned flags) {
    char value[LONGEST];
    (void)flags;
    int result = look_up("NVML_SCRIPT", "init", value, NOT_SUPPORTED);
    return result == NOT_SUPPORTED ? SUCCESS : result;
}

int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int error) { return error == NOT_SUPPORTED ? "Not Supported" : "an error of the script"; }

int nvmlSystemGetDriverVersion(char *to, unsigned size) {
    char value[LONGEST];
    int result = look_up("NVML_SCRIPT", "driver", value, NOT_SUPPORTED);
    if (result == SUCCESS) snprintf(to, size, "%s", value);
    return result;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    char value[LONGEST];
    int result = look_up("NVML_SCRIPT", "count", value, NOT_SUPPORTED);
    *count = result == SUCCESS ? (unsigned)atoi(value) : 0;
    return result;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = handle_of(index, 0);
    return SUCCESS;
}

int nvmlDeviceGetIndex(void *handle, unsigned *index) {
    *index = ((size_t)handle & 0xff) - 1;
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *handle, char *to, unsigned size) { return copy_text(handle, "uuid", to, size); }
int nvmlDeviceGetName(void *handle, char *to, unsigned size) { return copy_text(handle, "name", to, size); }
int nvmlDeviceGetPowerUsage(void *handle, unsigned *power) { return small_number_of(handle, "power", power); }
int nvmlDeviceGetFanSpeed(void *handle, unsigned *speed) { return small_number_of(handle, "fan", speed); }

int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *degrees) {
    (void)sensor;
    return small_number_of(handle, "temperature", degrees);
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy) {
    struct timespec now;
    unsigned long long power = 0;
    int result = number_of(handle, "energy", energy);
    if (result != SUCCESS) return result;
    clock_gettime(CLOCK_MONOTONIC, &now);
    number_of(handle, "power", &power);
    *energy += (unsigned long long)((double)power * ((double)now.tv_sec + (double)now.tv_nsec / 1e9));
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(void *handle, unsigned type, unsigned *clock) {
    static const char *keys[] = {"clock.graphics", "clock.sm", "clock.memory", "clock.video"};
    return type < 4 ? small_number_of(handle, keys[type], clock) : UNKNOWN;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    int result = number_of(handle, "memory.total", &memory->total);
    if (result == SUCCESS) result = number_of(handle, "memory.used", &memory->used);
    memory->free = memory->total - memory->used;
    return result;
}

int nvmlDeviceGetUtilizationRates(void *handle, Rates *rates) {
    rates->memory = 0;
    return small_number_of(handle, "utilization", &rates->gpu);
}

int nvmlDeviceGetEncoderUtilization(void *handle, unsigned *share, unsigned *period) {
    *period = 1000000;
    return small_number_of(handle, "encoder", share);
}

int nvmlDeviceGetDecoderUtilization(void *handle, unsigned *share, unsigned *period) {
    *period = 1000000;
    return small_number_of(handle, "decoder", share);
}

static int read_processes(void *handle, ProcessSample *found, unsigned long long *memory, unsigned *count) {
    char value[LONGEST];
    int result = text_of(handle, "processes", value);
    *count = 0;
    if (result != SUCCESS) return result;
    for (char *word = strtok(value, ","); word && *count < MOST_PROCESSES; word = strtok(NULL, ",")) {
        char *bytes = strchr(word, ':'), *sm = bytes ? strchr(bytes + 1, ':') : NULL;
        found[*count].pid = strncmp(word, "self", 4) ? (unsigned)atoi(word) : (unsigned)getpid();
        memory[*count] = bytes ? strtoull(bytes + 1, NULL, 10) : 0;
        found[*count].sm = sm ? (unsigned)atoi(sm + 1) : 0;
        (*count)++;
    }
    return SUCCESS;
}

static int running(void *handle, unsigned *room, ProcessInfo *to) {
    ProcessSample found[MOST_PROCESSES];
    unsigned long long memory[MOST_PROCESSES];
    unsigned count;
    int result = read_processes(handle, found, memory, &count);
    if (result != SUCCESS) return result;
    unsigned given = *room;
    *room = count;
    if (!count) return SUCCESS;
    if (!to || given < count) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < count; i++) to[i] = (ProcessInfo){found[i].pid, memory[i], ~0u, ~0u};
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *room, ProcessInfo *to) {
    return running(handle, room, to);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *room, ProcessInfo *to) {
    (void)to;
    char value[LONGEST];
    *room = 0;
    return text_of(handle, "processes", value);
}

int nvmlDeviceGetProcessUtilization(void *handle, ProcessSample *to, unsigned *room, unsigned long long since) {
    ProcessSample found[MOST_PROCESSES];
    unsigned long long memory[MOST_PROCESSES];
    unsigned count;
    struct timespec now;
    char value[LONGEST];
    if (text_of(handle, "sm", value) != SUCCESS) return NOT_SUPPORTED;
    int result = read_processes(handle, found, memory, &count);
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long time = (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
    if (result != SUCCESS) return result;
    if (!count || since >= time) return NOT_FOUND;
    if (!to) return *room = count, INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < count && i < *room; i++) {
        to[i] = found[i];
        to[i].time = time;
    }
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *later) {
    unsigned long long parts = 0;
    int result = number_of(handle, "mig", &parts);
    *now = *later = parts > 0;
    return result;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) { return small_number_of(handle, "mig", count); }

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **part) {
    char value[LONGEST];
    *part = handle_of((unsigned)((size_t)handle - 1), index + 1);
    return text_of(*part, "uuid", value) == SUCCESS ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetAttributes_v2(void *handle, Attributes *attributes) {
    memset(attributes, 0, sizeof *attributes);
    return small_number_of(handle, "multiprocessors", &attributes->multiprocessors);
}
