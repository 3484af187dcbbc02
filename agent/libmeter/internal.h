// Shared by libmeter's files. Everything here needs the meter's lock, unless it says otherwise.
#ifndef METER_INTERNAL_H
#define METER_INTERNAL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "agent/libmeter/meter.h"
#include "agent/libmeter/protocol.h"

#define METER_DEADLINE_MS 5000
#define METER_BUCKETS 1024u

// Memory of meterd's. Its fd is kept: a meterd that lost the memory gets it back from here.
struct meter_region {
  struct meter_region* next;
  uint8_t id[16];
  int fd;              // -1: it was not taken back, and counts nothing any more
  uint32_t slots_end;  // behind the last slot that has a name here
  meter_counter_t* slots;
};

struct meter_named {
  struct meter_named* next;
  struct meter_region* region;
  uint32_t slot;
  int gone;  // it was not taken back
  char event[METERD_COUNTER_NAME_MAX + 1];
  char subscription[METERD_COUNTER_NAME_MAX + 1];
};

struct meter_handle {
  struct sockaddr_un counters_address, ingest_address;
  // Whose the sockets and the lock are; negative while a child of fork() of that id makes them its own.
  pid_t owner;
  // One call at a time. Not the mutex alone: waiting for it could have no deadline by a clock that is not
  // set.
  pthread_mutex_t mutex;  // guards `busy`, for a moment
  pthread_cond_t idle;
  int busy;
  int64_t until_ms;            // of the call that is at work: the end of all its waiting
  int counters_fd, ingest_fd;  // -1: not connected
  uint8_t client[16];          // zeros: none yet
  int64_t looked_at_ms;        // when the connection was last known to stand
  char refused[256];           // why counters were not taken back, until the app was told
  // Lists are read without the lock, and by the child of a fork() that came in the middle of a change: heads
  // are set last, and nothing is taken out.
  struct meter_region* regions;
  struct meter_named* named[METER_BUCKETS];
};

// Sets errno and the calling thread's meter_error(); returns -1. No lock.
int meter_fail(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));
// That meterd could not be spoken to, by errno. No lock.
int meter_fail_io(const char* socket_path);

int64_t meter_now_ms(void);    // CLOCK_MONOTONIC; no lock
void meter_close_fd(int* fd);  // keeps errno
// Begins a call that ends then, and leaves, in a child of fork(), the parent's sockets. 0, or -1 with
// ETIMEDOUT, told to the caller: another thread's call lasts.
int meter_lock(struct meter_handle* meter, int64_t until_ms);
void meter_unlock(struct meter_handle* meter);  // keeps errno

// A connected, non-blocking socket. -1: errno; not told to the caller yet. No lock.
int meter_connect(const struct sockaddr_un* address, int type, int64_t until_ms);
// Waits until it can be read (POLLIN) or written (POLLOUT). 0, or -1 with ETIMEDOUT. No lock.
int meter_wait(int fd, short events, int64_t until_ms);
// Whether the other side is gone, without waiting. No lock.
int meter_is_gone(int fd);

#endif
