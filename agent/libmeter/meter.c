// A meter_t from its opening to its end, and what a fork() leaves of it.
#define _GNU_SOURCE
#include "agent/libmeter/meter.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/libmeter/internal.h"

static const char default_directory[] = "/run/meterd";

static int set_address(struct sockaddr_un* address, const char* directory, const char* name) {
  address->sun_family = AF_UNIX;
  const int length = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", directory, name);
  if (length > 0 && (size_t)length < sizeof address->sun_path) return 0;
  return meter_fail(ENAMETOOLONG, "%s: too long for a socket's directory; use one of at most 90 bytes",
                    directory);
}

static void init_lock(struct meter_handle* meter) {
  pthread_condattr_t by_monotonic_clock;
  (void)pthread_condattr_init(&by_monotonic_clock);
  (void)pthread_condattr_setclock(&by_monotonic_clock, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&meter->mutex, NULL);
  (void)pthread_cond_init(&meter->idle, &by_monotonic_clock);
  (void)pthread_condattr_destroy(&by_monotonic_clock);
  meter->busy = 0;
}

meter_t* meter_open(const char* directory) {
  if (directory == NULL) directory = default_directory;
  struct meter_handle* meter = calloc(1, sizeof *meter);
  if (meter == NULL) {
    (void)meter_fail(ENOMEM, "no memory for a meter: free some");
    return NULL;
  }
  meter->counters_fd = meter->ingest_fd = -1;
  meter->owner = getpid();
  if (set_address(&meter->counters_address, directory, "counters.sock") != 0 ||
      set_address(&meter->ingest_address, directory, "ingest.sock") != 0) {
    free(meter);
    return NULL;
  }
  init_lock(meter);
  return meter;
}

void meter_close(meter_t* meter) {
  if (meter == NULL) return;
  while (meter_lock(meter, meter_now_ms() + METER_DEADLINE_MS) != 0) continue;
  meter_close_fd(&meter->counters_fd);
  meter_close_fd(&meter->ingest_fd);
  for (size_t i = 0; i < METER_BUCKETS; ++i)
    for (struct meter_named *one = meter->named[i], *next; one != NULL; one = next) {
      next = one->next;
      free(one);
    }
  for (struct meter_region *one = meter->regions, *next; one != NULL; one = next) {
    next = one->next;
    (void)munmap(one->slots, METERD_REGION_BYTES);
    meter_close_fd(&one->fd);
    free(one);
  }
  meter_unlock(meter);
  (void)pthread_cond_destroy(&meter->idle);
  (void)pthread_mutex_destroy(&meter->mutex);
  free(meter);
}

// The parent's lock may have been taken by one of its other threads, which are not here; and two processes
// that write into one connection would get each other's answers.
static void take_over(struct meter_handle* meter, pid_t self) {
  pid_t owner = __atomic_load_n(&meter->owner, __ATOMIC_ACQUIRE);
  while (owner != self) {
    // Another thread of this process is at it; one of the parent's that was is not here.
    if (owner == -self ||
        !__atomic_compare_exchange_n(&meter->owner, &owner, -self, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      (void)sched_yield();
      owner = __atomic_load_n(&meter->owner, __ATOMIC_ACQUIRE);
      continue;
    }
    init_lock(meter);
    meter_close_fd(&meter->counters_fd);
    meter_close_fd(&meter->ingest_fd);
    __atomic_store_n(&meter->owner, self, __ATOMIC_RELEASE);
    return;
  }
}

int meter_lock(struct meter_handle* meter, int64_t until_ms) {
  const struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
  take_over(meter, getpid());
  (void)pthread_mutex_lock(&meter->mutex);
  int waited = 0;
  while (meter->busy && waited == 0) waited = pthread_cond_timedwait(&meter->idle, &meter->mutex, &until);
  const int taken = !meter->busy;
  if (taken) meter->busy = 1;
  (void)pthread_mutex_unlock(&meter->mutex);
  if (!taken)
    return meter_fail(ETIMEDOUT, "calls of other threads wait for meterd: call again, and look at its log");
  meter->until_ms = until_ms;
  return 0;
}

void meter_unlock(struct meter_handle* meter) {
  const int kept = errno;
  (void)pthread_mutex_lock(&meter->mutex);
  meter->busy = 0;
  (void)pthread_cond_signal(&meter->idle);
  (void)pthread_mutex_unlock(&meter->mutex);
  errno = kept;
}
