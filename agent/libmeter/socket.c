// Sockets with deadlines, and what became of them in words.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "agent/libmeter/internal.h"

static _Thread_local char last_error[512];

const char* meter_error(const meter_t* meter) {
  (void)meter;
  return last_error[0] != '\0' ? last_error : "no call of this thread has failed";
}

int meter_fail(int code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  errno = code;
  return -1;
}

int meter_fail_io(const char* path) {
  switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
      return meter_fail(ECONNREFUSED,
                        "meterd is not there: start it, or give the directory of its sockets (%s)", path);
    case EACCES:
      return meter_fail(EACCES, "%s: not allowed; add this user to a group of [access] in meterd.toml", path);
    case ETIMEDOUT:
    case EAGAIN:
      return meter_fail(ETIMEDOUT, "meterd did not answer in %d seconds: call again, and look at its log",
                        METER_DEADLINE_MS / 1000);
    case EPIPE:
    case ECONNRESET:
      return meter_fail(EPIPE, "meterd ended in the middle of the call: call again");
    default:
      return meter_fail(errno, "%s: %s; look at the limits of this process", path, strerror(errno));
  }
}

int64_t meter_now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void meter_close_fd(int* fd) {
  const int kept = errno;
  const int open_one = *fd;
  *fd = -1;  // first: a child of fork() would close what has this number by then
  if (open_one >= 0) (void)close(open_one);
  errno = kept;
}

int meter_connect(const struct sockaddr_un* address, int type, int64_t until_ms) {
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int failed;
  do {
    const int64_t left = until_ms - meter_now_ms();
    errno = ETIMEDOUT;
    failed = -1;
    if (left <= 0) break;
    // A Unix socket's connect() waits while the other's queue is full, for as long as sending may take.
    const struct timeval at_most = {(time_t)(left / 1000), (suseconds_t)(left % 1000) * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &at_most, sizeof at_most);
    failed = connect(fd, (const struct sockaddr*)address, sizeof *address);
  } while (failed != 0 && errno == EINTR);
  if (failed == 0) failed = fcntl(fd, F_SETFL, O_NONBLOCK);
  if (failed != 0) meter_close_fd(&fd);
  return fd;
}

int meter_wait(int fd, short events, int64_t until_ms) {
  for (;;) {
    const int64_t left = until_ms - meter_now_ms();
    struct pollfd one = {fd, events, 0};
    const int ready = left > 0 ? poll(&one, 1, (int)left) : 0;
    if (ready > 0) return 0;
    if (ready == 0) errno = ETIMEDOUT;
    if (ready == 0 || errno != EINTR) return -1;
  }
}

int meter_is_gone(int fd) {
  char byte;
  const ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}
