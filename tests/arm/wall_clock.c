/* LD_PRELOAD for a program under test: the wall clock is METERD_TEST_CLOCK_AHEAD seconds ahead. Where time_t has 32 bits
 * and the time does not fit any more, the calls with that time_t fail as the C library's own do: EOVERFLOW. */
#define _GNU_SOURCE
#undef _TIME_BITS
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct time64 { /* the kernel's, and the C library's where time_t has 64 bits */
  long long seconds;
  long long nanoseconds;
};

static int read_clock(clockid_t clock, struct time64 *out) {
#ifdef SYS_clock_gettime64
  const long failed = syscall(SYS_clock_gettime64, clock, out);
#else
  const long failed = syscall(SYS_clock_gettime, clock, out);
#endif
  if (failed) return -1;
  const char *const ahead = getenv("METERD_TEST_CLOCK_AHEAD");
  if (ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->seconds += atoll(ahead);
  return 0;
}

static int fits(const struct time64 *now) {
  if ((time_t)now->seconds == now->seconds) return 1;
  errno = EOVERFLOW;
  return 0;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
  struct time64 now;
  if (read_clock(clock, &now) != 0 || !fits(&now)) return -1;
  out->tv_sec = (time_t)now.seconds;
  out->tv_nsec = (long)now.nanoseconds;
  return 0;
}

time_t time(time_t *out) {
  struct time64 now;
  const int good = read_clock(CLOCK_REALTIME, &now) == 0 && fits(&now);
  const time_t seconds = good ? (time_t)now.seconds : (time_t)-1;
  if (out) *out = seconds;
  return seconds;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct time64 now;
  (void)zone;
  if (read_clock(CLOCK_REALTIME, &now) != 0 || !fits(&now)) return -1;
  out->tv_sec = (time_t)now.seconds;
  out->tv_usec = (suseconds_t)(now.nanoseconds / 1000);
  return 0;
}

#if __SIZEOF_POINTER__ == 4
/* What a program calls that was compiled with _TIME_BITS=64. */
int __clock_gettime64(clockid_t clock, struct time64 *out);
int __clock_gettime64(clockid_t clock, struct time64 *out) { return read_clock(clock, out); }
#endif
