/* Answers the C interface of AMD's management library as a script says, so that the real package is tested without a GPU:
 * it is loaded in the place of libamd_smi.so. What the package looks up and is not here is not supported; those functions
 * are written by library.py.
 *
 * The script is the file in AMDSMI_SCRIPT, read at each call: a line `KEY VALUE` for each thing. Keys of a GPU begin with
 * its number (`0.power 120`). A key that is not there is not supported. Processes are `PID:BYTES` with commas between;
 * `self` is the process that asks.
 */
#include <stdint.h>
#include <unistd.h>

#include "script.h"

enum { SUCCESS = 0, NOT_SUPPORTED = 2, TEXT = 256 };

typedef struct {
    char name[TEXT]; uint32_t vendor; char vendor_name[TEXT]; uint32_t subvendor; uint64_t device; uint32_t revision;
    char serial[TEXT]; uint32_t oam, units, padding; uint64_t version; uint32_t subsystem, rest[21];
} __attribute__((packed)) Asic;
typedef struct { char version[TEXT], date[TEXT], name[TEXT]; } Driver;
typedef struct { uint32_t gfx, umc, mm, rest[13]; } Activity;
typedef struct { uint32_t total, used, rest[2]; } Vram;
typedef struct {
    uint64_t socket; uint32_t current, average; uint64_t voltages[3]; uint32_t limit, padding; uint64_t rest[18];
} Power;
typedef struct { uint16_t size; uint8_t format, content; uint16_t edge, hotspot, memory, vrgfx, vrsoc, vrmem; } Metrics;
typedef struct { uint32_t now, lowest, highest; uint8_t locked, asleep, padding[2]; uint32_t rest[4]; } Clock;
typedef struct {
    char name[TEXT]; uint32_t pid, padding; uint64_t memory, engines[2]; uint32_t rest_of_engines[12];
    uint64_t gtt, cpu, vram; uint32_t rest_of_memory[10]; char container[TEXT]; uint32_t occupancy, rest[11];
} __attribute__((packed)) Process;

/* A handle is the number of the GPU plus one. */
static int text_of(void *handle, const char *key, char *value) {
    char whole[LONGEST];
    snprintf(whole, sizeof whole, "%zu.%s", (size_t)handle - 1, key);
    return look_up("AMDSMI_SCRIPT", whole, value, NOT_SUPPORTED);
}

static int number_of(void *handle, const char *key, uint64_t *number) {
    char value[LONGEST];
    int result = text_of(handle, key, value);
    if (result == SUCCESS) *number = strtoull(value, NULL, 10);
    return result;
}

static int small_number_of(void *handle, const char *key, uint32_t *number) {
    uint64_t large = *number;
    int result = number_of(handle, key, &large);
    *number = (uint32_t)large;
    return result;
}

static int copy_text(void *handle, const char *key, char *to, size_t size) {
    char value[LONGEST];
    int result = text_of(handle, key, value);
    if (result == SUCCESS) snprintf(to, size, "%s", value);
    return result;
}

int amdsmi_init(uint64_t flags) { return (void)flags, SUCCESS; }
int amdsmi_shut_down(void) { return SUCCESS; }

int amdsmi_get_socket_handles(uint32_t *count, void **sockets) {
    *count = 1;
    if (sockets) sockets[0] = (void *)1;
    return SUCCESS;
}

int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **handles) {
    char value[LONGEST];
    (void)socket;
    *count = look_up("AMDSMI_SCRIPT", "count", value, NOT_SUPPORTED) == SUCCESS ? (uint32_t)atoi(value) : 0;
    for (uint32_t i = 0; handles && i < *count; i++) handles[i] = (void *)(size_t)(i + 1);
    return SUCCESS;
}

int amdsmi_get_gpu_device_uuid(void *handle, uint32_t *size, char *to) { return copy_text(handle, "uuid", to, *size); }

int amdsmi_get_gpu_asic_info(void *handle, Asic *to) {
    memset(to, 0, sizeof *to);
    return copy_text(handle, "name", to->name, TEXT);
}

int amdsmi_get_gpu_driver_info(void *handle, Driver *to) {
    memset(to, 0, sizeof *to);
    return copy_text(handle, "driver", to->version, TEXT);
}

int amdsmi_get_gpu_activity(void *handle, Activity *to) {
    *to = (Activity){.gfx = 0xffff, .umc = 0xffff, .mm = 0xffff};
    small_number_of(handle, "media", &to->mm);
    return small_number_of(handle, "graphics", &to->gfx);
}

int amdsmi_get_gpu_vram_usage(void *handle, Vram *to) {
    int result = small_number_of(handle, "memory.used", &to->used);
    return result == SUCCESS ? small_number_of(handle, "memory.total", &to->total) : result;
}

int amdsmi_get_power_info(void *handle, Power *to) {
    *to = (Power){.socket = 0xffff, .current = 0xffff, .average = 0xffff};
    number_of(handle, "power.socket", &to->socket);
    small_number_of(handle, "power.current", &to->current);
    return small_number_of(handle, "power", &to->average);
}

int amdsmi_get_energy_count(void *handle, uint64_t *count, float *resolution, uint64_t *time) {
    *resolution = 15.5F;
    *time = 0;
    return number_of(handle, "energy", count);
}

int amdsmi_get_gpu_fan_speed(void *handle, uint32_t sensor, int64_t *speed) {
    return (void)sensor, number_of(handle, "fan", (uint64_t *)speed);
}

int amdsmi_get_temp_metric(void *handle, uint32_t sensor, uint32_t metric, int64_t *degrees) {
    char key[LONGEST];
    (void)metric;
    snprintf(key, sizeof key, "temperature.%u", sensor);
    return number_of(handle, key, (uint64_t *)degrees);
}

/* Of a long structure only the beginning is written; the package has cleared it. */
int amdsmi_get_gpu_metrics_info(void *handle, Metrics *to) {
    uint32_t degrees = 0;
    int result = small_number_of(handle, "regulator.graphics", &degrees);
    to->vrgfx = (uint16_t)degrees;
    to->vrmem = 0xffff;
    return result;
}

int amdsmi_get_clock_info(void *handle, uint32_t kind, Clock *to) {
    char key[LONGEST];
    memset(to, 0, sizeof *to);
    to->now = ~0u;
    snprintf(key, sizeof key, "clock.%u", kind);
    return small_number_of(handle, key, &to->now);
}

int amdsmi_get_gpu_process_list(void *handle, uint32_t *count, Process *to) {
    char value[LONGEST];
    uint32_t room = *count;
    int result = text_of(handle, "processes", value);
    *count = 0;
    if (result != SUCCESS) return result;
    for (char *word = strtok(value, ","); word && *count < room; word = strtok(NULL, ",")) {
        char *bytes = strchr(word, ':');
        Process *process = &to[(*count)++];
        memset(process, 0, sizeof *process);
        process->pid = strncmp(word, "self", 4) ? (uint32_t)atoi(word) : (uint32_t)getpid();
        process->vram = bytes ? strtoull(bytes + 1, NULL, 10) : 0;
    }
    return SUCCESS;
}
