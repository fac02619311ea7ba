/* A stand-in for libnvidia-ml.so.1 on machines without NVIDIA cards: the calls that runstream.companion.gpus makes, with
 * NVML's own signatures, structures and error numbers (nvml.h of CUDA 12).
 *
 * FAKE_NVML is a list of faults, separated by spaces: `init` (the driver does not answer), `count=N` cards (2), `lost=N`
 * (card N gives no handle), `fails=NAME` (each call of nvmlNAME says NOT_SUPPORTED), `dies=NAME` (it ends the process),
 * `mig=N` (card N is divided in two). Build with -DOLD_DRIVER: the library lacks the calls of newer drivers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };
#define GIB (1ULL << 30)
#define PARTS 7

typedef struct device { int card, part; } device; /* part -1: the whole card */
typedef device *nvmlDevice_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;

static device devices[16][PARTS + 1];

/* The number behind the n-th `name=` of FAKE_NVML, or -1. */
static int told(const char *name, int n) {
    const char *at = getenv("FAKE_NVML");
    size_t length = strlen(name);
    while (at && (at = strstr(at, name)) != NULL) {
        at += length;
        if (*at == '=' && n-- == 0) return atoi(at + 1);
    }
    return -1;
}

static int says(const char *fault, const char *call) {
    char wanted[100];
    const char *given = getenv("FAKE_NVML"), *at;
    size_t length = (size_t)snprintf(wanted, sizeof wanted, "%s=%s", fault, call);
    at = given ? strstr(given, wanted) : NULL;
    return at && (at[length] == ' ' || at[length] == 0);
}

static int is(const char *name, int card) {
    for (int n = 0, value; (value = told(name, n)) >= 0; n++)
        if (value == card) return 1;
    return 0;
}

#define CALL(name) \
    do { \
        if (says("dies", name)) abort(); \
        if (says("fails", name)) return NOT_SUPPORTED; \
    } while (0)
#define NOT_OF_A_PART \
    if (d->part >= 0 || is("mig", d->card)) return NOT_SUPPORTED

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return getenv("FAKE_NVML") && strstr(getenv("FAKE_NVML"), "init") ? DRIVER_NOT_LOADED : SUCCESS; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "a fault of the stand-in"; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    CALL("DeviceGetCount");
    *count = told("count", 0) < 0 ? 2 : (unsigned int)told("count", 0);
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *d) {
    CALL("DeviceGetHandleByIndex");
    if (is("lost", (int)index)) return GPU_IS_LOST;
    devices[index][0] = (device){(int)index, -1};
    *d = &devices[index][0];
    return SUCCESS;
}

int nvmlDeviceGetUUID(nvmlDevice_t d, char *text, unsigned int length) {
    CALL("DeviceGetUUID");
    snprintf(text, length, d->part < 0 ? "GPU-%d%d000000-0000" : "MIG-%d%d000000-0000", d->card, d->part < 0 ? 9 : d->part);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *memory) {
    CALL("DeviceGetMemoryInfo");
    memory->total = d->part < 0 ? 80 * GIB : 40 * GIB;
    memory->used = (unsigned long long)(d->part < 0 ? 20 + d->card : 4 + d->part) * GIB;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *rates) {
    CALL("DeviceGetUtilizationRates");
    NOT_OF_A_PART;
    rates->gpu = 90 - 40 * (unsigned int)d->card;
    rates->memory = 5;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(nvmlDevice_t d, unsigned int *milliwatts) {
    CALL("DeviceGetPowerUsage");
    *milliwatts = 312500 + (unsigned int)d->card;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(nvmlDevice_t d, int sensor, unsigned int *celsius) {
    CALL("DeviceGetTemperature");
    if (sensor != 0) return INVALID_ARGUMENT;
    *celsius = 61 + (unsigned int)d->card;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(nvmlDevice_t d, int type, unsigned int *mhz) {
    (void)d;
    CALL("DeviceGetClockInfo");
    if (type != 1 && type != 2) return INVALID_ARGUMENT;
    *mhz = type == 1 ? 1755 : 2619;
    return SUCCESS;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t d, unsigned long long *reasons) {
    CALL("DeviceGetCurrentClocksThrottleReasons");
    *reasons = d->card ? 0x1 : 0x4; /* idle; held by the power cap */
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t d, unsigned int *count) {
    (void)d;
    CALL("DeviceGetMaxMigDeviceCount");
    *count = PARTS;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t card, unsigned int index, nvmlDevice_t *d) {
    if (index >= PARTS) return INVALID_ARGUMENT;
    if (!is("mig", card->card)) return NOT_SUPPORTED;
    if (index != 0 && index != 2) return NOT_FOUND; /* gaps are usual */
    devices[card->card][index + 1] = (device){card->card, (int)index};
    *d = &devices[card->card][index + 1];
    return SUCCESS;
}
#endif
