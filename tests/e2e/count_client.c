// An app that counts through libmeter and notes the truth in a file of its own, mapped: before each addition that it
// is about to be made, after it that it was. Killed between the two, nobody but meterd knows whether it was.
//
//     count_client DIRECTORY TRUTH EVENT SUBSCRIPTION THREADS
//
// TRUTH: struct truth. While `park` is set nothing is added, and `parked` counts the threads that keep still.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <meter.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 6
#define ADDITIONS_AT_ONCE 200

struct truth {
  uint64_t park, parked;
  uint64_t refused;  // calls of meter_counter() that gave no counter
  uint64_t reserved[5];
  struct {
    uint64_t meant, added;
  } thread[THREADS_MAX];
};

static struct truth* truth;
static meter_t* meter;
static const char *event, *subscription;

static void rest(void) {
  const struct timespec a_moment = {0, 1000000};
  (void)nanosleep(&a_moment, NULL);
}

static void* count(void* number) {
  const size_t self = (size_t)(intptr_t)number;
  meter_counter_t* counter = NULL;
  uint64_t random = (uint64_t)getpid() * 6364136223846793005u + self + 1;
  int parked = 0;
  for (;;) {
    if (__atomic_load_n(&truth->park, __ATOMIC_ACQUIRE) != 0) {
      if (!parked) __atomic_fetch_add(&truth->parked, 1, __ATOMIC_ACQ_REL);
      parked = 1;
      rest();
      continue;
    }
    meter_counter_t* found = meter_counter(meter, event, subscription);
    if (found != NULL) counter = found;
    if (found == NULL) __atomic_fetch_add(&truth->refused, 1, __ATOMIC_RELAXED);
    for (int i = 0; counter != NULL && i < ADDITIONS_AT_ONCE; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const uint64_t units = 1 + (random >> 33) % 7;
      __atomic_fetch_add(&truth->thread[self].meant, units, __ATOMIC_SEQ_CST);
      meter_add(counter, units);
      __atomic_fetch_add(&truth->thread[self].added, units, __ATOMIC_SEQ_CST);
    }
    rest();
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  event = argv[3];
  subscription = argv[4];
  const long threads = strtol(argv[5], NULL, 10);
  const int file = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof *truth) != 0 || threads < 1 || threads > THREADS_MAX) return 2;
  truth = mmap(NULL, sizeof *truth, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  meter = meter_open(argv[1]);
  if (truth == MAP_FAILED || meter == NULL) return 2;
  for (long i = 1; i < threads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, count, (void*)(intptr_t)i) != 0) return 2;
  }
  (void)count(NULL);
  return 0;
}
