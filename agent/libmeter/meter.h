// libmeter: counting on the gateway at memory speed. An app asks meterd once for a counter and then adds to it:
// one atomic addition on memory that meterd reads. What was added survives the app's crash at once, and
// meterd's crash too; a power cut loses what was added since meterd's last commit ([journal] commit_interval,
// ten seconds unless it is set).
//
//     meter_t *meter = meter_open(NULL);
//     meter_counter_t *calls = meter_counter(meter, "api.calls", "sub_1");
//     if (calls == NULL) fprintf(stderr, "%s\n", meter_error(meter));
//     ...
//     meter_add(calls, 1);  // any thread, a few nanoseconds
//
// Units: whole units of the event, as its [[meter]] bills them (bytes, segments, calls). A counter holds
// 2^64 - 1 of them; fractions go through meter_report().
// Threads: every function may be called from any thread. None starts a thread, installs a signal handler or
// raises SIGPIPE. meter_add() never waits. The others wait for meterd and for each other, five
// seconds at most a call.
// fork(): the child shares the counters, and what both add counts; its calls make connections of their own.
// exec() and exit() need nothing: the memory is meterd's.
// meterd away: meter_add() goes on, and is counted once meterd is back. The library connects again at the next
// call of meter_counter() or meter_report(): whoever adds for years calls meter_counter() once a minute or so,
// which is quick for a counter that is there.
#ifndef METER_H
#define METER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define METER_API __attribute__((visibility("default")))
#else
#define METER_API
#endif

typedef struct meter_handle meter_t;

// Two processes add to one counter: a lock of either would be none for the other. (A processor without such
// additions, as ARM before version 7, cannot count this way.)
typedef char meter_adds_64_bits_at_once[__GCC_ATOMIC_LLONG_LOCK_FREE == 2 ? 1 : -1];

// A cache line in memory that is shared with meterd. Lives until meter_close(). Only meter_add() touches it.
typedef struct meter_slot {
  uint64_t units;
  uint64_t reserved[7];
} meter_counter_t;

// `directory`: where meterd's sockets are, "/run/meterd" if NULL. Does not connect: meterd may start later.
// NULL: ENAMETOOLONG, ENOMEM. The caller closes it.
METER_API meter_t *meter_open(const char *directory);

// Frees it, and unmaps its counters: nobody may add to them any more. What was added stays counted. NULL is
// ignored.
METER_API void meter_close(meter_t *meter);

// The counter of that event and subscription, made if need be: the same one for the same names. `subscription`
// may be NULL or "" where the event's meters fix one. At most 100 bytes of UTF-8 each. The counter is meter's.
// A counter that is there is returned also while meterd is away. NULL, with errno and meter_error():
//   EACCES        [access] does not allow this user to count that
//   ENOENT        no [[meter]] counts the event, or the subscription is not listed
//   EINVAL        a name that is empty, too long or not clean UTF-8; a subscription that is missing
//   ENOSPC        a limit of counters or clients is reached
//   ESTALE        meterd was started again and did not take some counters back, for the reason that is told
//                 once: what is added to those is not counted any more. Ask for each counter again.
//   EAGAIN        meterd was started again and cannot take counters back at the moment: call again
//   ECONNREFUSED  meterd is not running, or its [ingest] counters is off
//   ETIMEDOUT     meterd did not answer in five seconds, this call or those of other threads before it
//   EPIPE         meterd ended meanwhile: call again
//   EPROTO        meterd speaks another version
//   EMFILE, ENOMEM and what else the system refuses
METER_API meter_counter_t *meter_counter(meter_t *meter, const char *event, const char *subscription);

// Counts n units (0 is nothing). Units of before and after count in their order to meterd's reading, of which
// there are up to ten a second: they are dated then. More than [ingest] counter_rate_max a second is refused as
// an error of the app and shown to the operator.
static inline void meter_add(meter_counter_t *counter, uint64_t n) {
  (void)__atomic_fetch_add(&counter->units, n, __ATOMIC_RELAXED);
}

// One event. Members that are 0 have their default.
struct meter_event {
  const char *event;
  const char *subscription;  // NULL where the event's meters fix one
  const char *quantity;      // an exact decimal above zero, at most 40 characters; "1" if NULL
  int64_t time_ms;           // when it happened: milliseconds since 1970-01-01 UTC; 0: now
  const char *producer;      // who reports; needed with an id
  const char *id;            // counted once within [ingest] remember_ids: a repeat is safe
  int received;              // 0: returns once it is committed, and survives a power cut; 1: once it is received
};

// Reports it and waits for the acknowledgement. 0: it is counted, or was counted before under that id. -1, with
// errno and meter_error(): not counted, for the reasons of meter_counter() and
//   EAGAIN   the clock is not trusted yet, so a time cannot be judged: again later
//   ERANGE   the time is too old or in the future
//   ENOSPC   meterd has no room at the moment: again later
// After ETIMEDOUT and EPIPE it is unknown whether it was counted: report it again under the same id.
METER_API int meter_report(meter_t *meter, const struct meter_event *event);

// Of the calling thread's last call that failed, for that meter_t or any: one sentence that says what to do.
// Never NULL; valid until the thread's next call.
METER_API const char *meter_error(const meter_t *meter);

#ifdef __cplusplus
}
#endif

#endif
