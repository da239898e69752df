/* A stand-in for libnvidia-ml.so.1: the real pynvml talks to it as to a driver, on machines without one.
 *
 * $NVML_STANDIN is a list of words:
 *   count=2                    devices (default 2)
 *   init=9                     what nvmlInit returns
 *   compute=0:1234:1024        a process: device, pid, MiB (-1: the driver does not tell)
 *   graphics=0:1234:100
 *   mps=0:1234:1024            a client of MPS that is in that list alone
 *   ats=0                      the system has the memory of device 0, too
 *   busy=0:1234:37:500         a sample: device, pid, percent, how many ms ago
 *   mig=1:2                    MIG on, with this many instances
 *   fail=NAME:1:15             function NAME returns 15 for device 1 (* for every device)
 *   hang=NAME:1                function NAME never returns for device 1
 *   slow=NAME:1:500            function NAME takes 500 ms for device 1
 *   crash=NAME:1               function NAME kills the process that asks for device 1
 *   name=1:NVIDIA%20H%ff       what device 1 is called, byte by byte
 *   uuid=1:GPU-x               its UUID
 *   version=0:%ff              the driver's version
 *   pci=0:9                    the PCI bus of device 0 (default: its index)
 *   used=0:5000                MiB in use on device 0
 *   nvlink=0:1                 NVLink between devices 0 and 1
 *   node=1:1                   device 1 is at NUMA node 1; the others are at node 0
 * Compiled with -DOLD_DRIVER it lacks what a driver of 2020 lacks.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

typedef int Result;
typedef struct { int index, instance; } Handle;
typedef Handle *Device;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
typedef struct { unsigned version, mode; } Addressing;
typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } Process;
typedef struct { unsigned pid; unsigned long long when; unsigned sm, memory, encoder, decoder; } Sample;

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };
enum { MOST = 16, SLOTS = 8 };
#define API __attribute__((visibility("default"))) Result

static Handle devices[MOST], instances[MOST][SLOTS];

/* The next word "key=..." after *at, or NULL; *at moves behind it. */
static const char *next(const char *key, const char **at) {
  size_t n = strlen(key);
  const char *s = *at ? *at : getenv("NVML_STANDIN");
  while (s && *s) {
    while (*s == ' ') s++;
    const char *word = s;
    while (*s && *s != ' ') s++;
    *at = s;
    if (!strncmp(word, key, n) && word[n] == '=') return word + n + 1;
  }
  return NULL;
}

static long number(const char *key, long otherwise) {
  const char *at = NULL, *found = next(key, &at);
  return found ? atol(found) : otherwise;
}

/* What a function returns for a device before it does anything: faults and hangs are injected here. */
static Result gate(const char *function, Device d) {
  if (!d) return INVALID;
  const char *at = NULL, *word;
  char name[80]; char which[8]; int code;
  while ((word = next("hang", &at)))
    if (sscanf(word, "%79[^:]:%7[^ ]", name, which) == 2 && !strcmp(name, function) &&
        (which[0] == '*' || atoi(which) == d->index)) for (;;) pause();
  at = NULL;
  while ((word = next("slow", &at)))
    if (sscanf(word, "%79[^:]:%7[^:]:%d", name, which, &code) == 3 && !strcmp(name, function) &&
        (which[0] == '*' || atoi(which) == d->index)) usleep(code * 1000);
  at = NULL;
  while ((word = next("crash", &at)))
    if (sscanf(word, "%79[^:]:%7[^ ]", name, which) == 2 && !strcmp(name, function) &&
        (which[0] == '*' || atoi(which) == d->index)) kill(getpid(), SIGKILL);
  at = NULL;
  while ((word = next("fail", &at)))
    if (sscanf(word, "%79[^:]:%7[^:]:%d", name, which, &code) == 3 && !strcmp(name, function) &&
        (which[0] == '*' || atoi(which) == d->index)) return code;
  return OK;
}
#define GATE(d) do { Result r_ = gate(__func__, d); if (r_) return r_; } while (0)

static Result text(char *out, unsigned size, const char *value) {
  if (strlen(value) >= size) return TOO_SMALL;
  strcpy(out, value);
  return OK;
}

/* The text "key=INDEX:TEXT" of a device, with %xx for a byte, or what it is otherwise. */
static Result told(const char *key, int index, char *out, unsigned size, const char *otherwise) {
  const char *at = NULL, *word; char value[200]; int i, n;
  while ((word = next(key, &at))) {
    if (sscanf(word, "%d:%n", &i, &n) != 1 || i != index) continue;
    unsigned length = 0;
    for (word += n; word < at && length < sizeof value - 1; word++) {
      unsigned byte = (unsigned char)*word;
      if (*word == '%' && sscanf(word + 1, "%2x", &byte) == 1) word += 2;
      value[length++] = (char)byte;
    }
    value[length] = 0;
    return text(out, size, value);
  }
  return text(out, size, otherwise);
}

static int slots(int index) {
  const char *at = NULL, *word; int d, n;
  while ((word = next("mig", &at))) if (sscanf(word, "%d:%d", &d, &n) == 2 && d == index) return n;
  return -1;
}

API nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  for (int i = 0; i < MOST; i++) {
    devices[i] = (Handle){i, -1};
    for (int k = 0; k < SLOTS; k++) instances[i][k] = (Handle){i, k};
  }
  Result r = gate("nvmlInit", &devices[0]);
  return r ? r : (Result)number("init", OK);
}
API nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API nvmlShutdown(void) { return OK; }
__attribute__((visibility("default"))) const char *nvmlErrorString(Result r) {
  static char shown[40];
  snprintf(shown, sizeof shown, "stand-in error %d", r);
  return shown;
}
API nvmlSystemGetDriverVersion(char *out, unsigned size) {
  return told("version", 0, out, size, "550.54.15");
}
API nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)number("count", 2); return OK; }
API nvmlDeviceGetHandleByIndex_v2(unsigned i, Device *d) {
  if (i >= MOST) return INVALID;
  GATE(&devices[i]);
  *d = &devices[i];
  return OK;
}
API nvmlDeviceGetPciInfo_v3(Device d, Pci *out) {
  const char *at = NULL, *word; int i; unsigned bus;
  GATE(d);
  *out = (Pci){.bus = (unsigned)d->index};
  while ((word = next("pci", &at))) if (sscanf(word, "%d:%u", &i, &bus) == 2 && i == d->index) out->bus = bus;
  return OK;
}
API nvmlDeviceGetUUID(Device d, char *out, unsigned size) {
  GATE(d);
  char uuid[80];
  if (d->instance < 0) sprintf(uuid, "GPU-00000000-0000-4000-8000-%012x", d->index);
  else sprintf(uuid, "MIG-00000000-0000-4000-8000-%06x%06x", d->index, d->instance);
  return d->instance < 0 ? told("uuid", d->index, out, size, uuid) : text(out, size, uuid);
}
API nvmlDeviceGetName(Device d, char *out, unsigned size) {
  GATE(d);
  if (d->instance < 0) return told("name", d->index, out, size, "NVIDIA H100 80GB HBM3");
  return text(out, size, "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
}
static unsigned long long total(Device d) { return (d->instance < 0 ? 81920ull : 9728ull) << 20; }
static unsigned long long used(Device d) {
  const char *at = NULL, *word; int i; unsigned long long mib;
  while ((word = next("used", &at)))
    if (sscanf(word, "%d:%llu", &i, &mib) == 2 && i == d->index) return mib << 20;
  return 4ull << 20;
}
API nvmlDeviceGetMemoryInfo(Device d, Memory *m) {
  GATE(d);
  *m = (Memory){total(d), total(d) - used(d), used(d)};
  return OK;
}
API nvmlDeviceGetUtilizationRates(Device d, Utilization *u) {
  GATE(d);
  if (slots(d->index) >= 0) return NOT_SUPPORTED;
  *u = (Utilization){17, 3};
  return OK;
}
API nvmlDeviceGetPowerUsage(Device d, unsigned *milliwatts) { GATE(d); *milliwatts = 70500; return OK; }
API nvmlDeviceGetTemperature(Device d, int sensor, unsigned *celsius) {
  GATE(d); (void)sensor; *celsius = 41; return OK;
}
API nvmlDeviceGetClockInfo(Device d, int kind, unsigned *mhz) { GATE(d); *mhz = kind == 1 ? 1410 : 1593; return OK; }
API nvmlDeviceGetTotalEccErrors(Device d, int kind, int counter, unsigned long long *count) {
  GATE(d); (void)counter; *count = kind ? 2 : 3; return OK;
}
API nvmlDeviceGetMigMode(Device d, unsigned *current, unsigned *pending) {
  GATE(d);
  *current = *pending = slots(d->index) >= 0;
  return OK;
}
API nvmlDeviceGetMaxMigDeviceCount(Device d, unsigned *count) { GATE(d); *count = SLOTS; return OK; }
API nvmlDeviceGetMigDeviceHandleByIndex(Device d, unsigned slot, Device *instance) {
  GATE(d);
  if ((int)slot >= slots(d->index)) return NOT_FOUND;
  *instance = &instances[d->index][slot];
  return OK;
}
static int node(int index) {
  const char *at = NULL, *word; int d, n;
  while ((word = next("node", &at))) if (sscanf(word, "%d:%d", &d, &n) == 2 && d == index) return n;
  return 0;
}
API nvmlDeviceGetP2PStatus(Device d, Device other, int what, int *status) {
  const char *at = NULL, *word; int a, b;
  GATE(d); GATE(other);
  *status = 3;
  while ((word = next("nvlink", &at)))
    if (what == 2 && sscanf(word, "%d:%d", &a, &b) == 2 &&
        ((a == d->index && b == other->index) || (b == d->index && a == other->index))) *status = OK;
  return OK;
}
API nvmlDeviceGetTopologyCommonAncestor(Device d, Device other, int *level) {
  GATE(d); GATE(other);
  *level = node(d->index) == node(other->index) ? 30 : 50;
  return OK;
}
static Result list(const char *key, Device d, unsigned *count, Process *out) {
  unsigned found = 0, room = *count, pid; int i; long long mib;
  const char *at = NULL, *word;
  while ((word = next(key, &at)))
    if (sscanf(word, "%d:%u:%lld", &i, &pid, &mib) == 3 && i == d->index) {
      if (out && found < room)
        out[found] = (Process){pid, mib < 0 ? ~0ull : (unsigned long long)mib << 20, ~0u, ~0u};
      found++;
    }
  *count = found;
  return found && (!out || found > room) ? TOO_SMALL : OK;
}
API nvmlDeviceGetComputeRunningProcesses_v2(Device d, unsigned *count, Process *out) {
  GATE(d);
  return list("compute", d, count, out);
}
API nvmlDeviceGetGraphicsRunningProcesses_v2(Device d, unsigned *count, Process *out) {
  GATE(d);
  return list("graphics", d, count, out);
}
#ifndef OLD_DRIVER
API nvmlDeviceGetProcessUtilization(Device d, Sample *out, unsigned *count, unsigned long long since) {
  unsigned found = 0, room = *count, pid, percent; int i; long long age;
  const char *at = NULL, *word;
  struct timeval now;
  GATE(d);
  if (d->instance >= 0) return NOT_SUPPORTED;
  gettimeofday(&now, NULL);
  while ((word = next("busy", &at)))
    if (sscanf(word, "%d:%u:%u:%lld", &i, &pid, &percent, &age) == 4 && i == d->index) {
      unsigned long long when = now.tv_sec * 1000000ull + now.tv_usec - age * 1000;
      if (when <= since) continue;
      if (out && found < room) out[found] = (Sample){pid, when, percent, 0, 0, 0};
      found++;
    }
  *count = found;
  if (!found) return NOT_FOUND;
  return !out || found > room ? TOO_SMALL : OK;
}
API nvmlDeviceGetMemoryInfo_v2(Device d, MemoryV2 *m) {
  GATE(d);
  m->total = total(d); m->reserved = 300ull << 20; m->used = used(d); m->free = total(d) - used(d);
  return OK;
}
API nvmlDeviceGetMPSComputeRunningProcesses_v3(Device d, unsigned *count, Process *out) {
  GATE(d);
  return list("mps", d, count, out);
}
API nvmlDeviceGetAddressingMode(Device d, Addressing *out) {
  const char *at = NULL, *word;
  GATE(d);
  out->mode = 0;
  while ((word = next("ats", &at))) if (atoi(word) == d->index) out->mode = 2;
  return OK;
}
API nvmlDeviceGetComputeRunningProcesses_v3(Device d, unsigned *count, Process *out) {
  GATE(d);
  return list("compute", d, count, out);
}
API nvmlDeviceGetGraphicsRunningProcesses_v3(Device d, unsigned *count, Process *out) {
  GATE(d);
  return list("graphics", d, count, out);
}
#endif
