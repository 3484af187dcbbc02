// Counters: what the library asks of meterd's counter socket, and how it goes on after meterd was started
// again: in the memory that it has.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/libmeter/internal.h"

// A connection that was fine so long ago is looked at again: an app may ask for its counters each time it
// adds.
#define LOOK_AGAIN_MS 100
// How meterd is asked again for what passes, such as a look whether anybody writes a region.
#define ASK_AGAIN_MS 50
#define ASK_AGAIN_TIMES 20

static const uint8_t none[16];

static struct meterd_packet request_of(enum meterd_packet_kind kind) {
  struct meterd_packet packet;
  memset(&packet, 0, sizeof packet);
  packet.magic = METERD_PACKET_MAGIC;
  packet.version = METERD_PACKET_VERSION;
  packet.kind = (uint16_t)kind;
  return packet;
}

static int send_packet(int fd, const struct meterd_packet* packet, int passed, int64_t until_ms) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {(void*)packet, sizeof *packet};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (passed >= 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof passed);
  }
  for (;;) {
    if (sendmsg(fd, &message, MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EAGAIN && errno != EINTR) return -1;
    if (errno == EAGAIN && meter_wait(fd, POLLOUT, until_ms) != 0) return -1;
  }
}

// `passed`: the fd that came with it, the caller's to close; -1: none.
static int receive_packet(int fd, struct meterd_packet* packet, int* passed, int64_t until_ms) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {packet, sizeof *packet};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  *passed = -1;
  ssize_t got;
  int resets = 0;
  do {
    message.msg_control = &control;
    message.msg_controllen = CMSG_LEN(sizeof(int));
    if (meter_wait(fd, POLLIN, until_ms) != 0) return -1;
    got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    // Before what meterd said at the end comes that it did not read what it was sent.
  } while (got < 0 && (errno == EINTR || errno == EAGAIN || (errno == ECONNRESET && resets++ == 0)));
  if (got < 0) return -1;
  const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(passed, CMSG_DATA(header), sizeof *passed);
  const int whole = got == sizeof *packet && packet->magic == METERD_PACKET_MAGIC;
  if (whole && packet->version == METERD_PACKET_VERSION) {
    packet->text[sizeof packet->text - 1] = '\0';
    return 0;
  }
  meter_close_fd(passed);
  errno = got == 0 ? EPIPE : EPROTO;
  return -1;
}

// One request and its answer. -1: errno and meter_error(). After a failure of the connection it is closed: an
// answer that comes late would be taken for the next one's.
static int ask(struct meter_handle* meter, const struct meterd_packet* request, int passed,
               struct meterd_packet* answer, int* received) {
  *received = -1;
  // Who is refused a connection is told so, and it ends: that can be read still.
  if ((send_packet(meter->counters_fd, request, passed, meter->until_ms) != 0 && errno != EPIPE) ||
      receive_packet(meter->counters_fd, answer, received, meter->until_ms) != 0) {
    meter_close_fd(&meter->counters_fd);
    if (errno == EPROTO)
      return meter_fail(EPROTO, "meterd speaks another version: install the libmeter that came with it");
    return meter_fail_io(meter->counters_address.sun_path);
  }
  if (answer->kind != METERD_REFUSED) return 0;
  meter_close_fd(received);
  return meter_fail((int)answer->code, "%s", answer->text);
}

static int hello(struct meter_handle* meter, const uint8_t client[16]) {
  struct meterd_packet request = request_of(METERD_HELLO);
  struct meterd_packet answer;
  int passed;
  memcpy(request.client, client, sizeof request.client);
  if (ask(meter, &request, -1, &answer, &passed) != 0) return -1;
  meter_close_fd(&passed);
  memcpy(meter->client, answer.client, sizeof meter->client);
  return 0;
}

static struct meter_region* find_region(struct meter_handle* meter, const uint8_t id[16]) {
  for (struct meter_region* one = meter->regions; one != NULL; one = one->next)
    if (memcmp(one->id, id, sizeof one->id) == 0) return one;
  return NULL;
}

// Asks again while that is the answer, for a second at most and within the call's time.
static int ask_patiently(struct meter_handle* meter, const struct meterd_packet* request, int passed,
                         struct meterd_packet* answer) {
  for (int tries = 0;; ++tries) {
    int received;
    const int taken = ask(meter, request, passed, answer, &received);
    meter_close_fd(&received);
    if (taken == 0 || errno != EAGAIN || meter->counters_fd < 0) return taken;
    if (tries == ASK_AGAIN_TIMES || meter_now_ms() + ASK_AGAIN_MS >= meter->until_ms) return taken;
    (void)poll(NULL, 0, ASK_AGAIN_MS);
  }
}

// What meterd refused for good. The memory stays mapped: the app may add to it until it has been told.
static void give_up(struct meter_handle* meter, struct meter_region* region, const struct meter_named* only) {
  if (meter->refused[0] == '\0')
    (void)snprintf(meter->refused, sizeof meter->refused, "%s", meter_error(meter));
  for (size_t i = 0; i < METER_BUCKETS; ++i)
    for (struct meter_named* one = meter->named[i]; one != NULL; one = one->next)
      if (one->region == region && (only == NULL || one == only))
        __atomic_store_n(&one->gone, 1, __ATOMIC_RELEASE);
  if (only == NULL) meter_close_fd(&region->fd);
}

// -1: not now; errno and meter_error().
static int name_slots(struct meter_handle* meter, struct meter_region* region) {
  struct meterd_packet answer;
  for (size_t i = 0; i < METER_BUCKETS; ++i)
    for (const struct meter_named* one = meter->named[i]; one != NULL; one = one->next) {
      if (one->region != region || one->gone) continue;
      struct meterd_packet request = request_of(METERD_NAME);
      memcpy(request.region, region->id, sizeof request.region);
      request.slot = one->slot;
      memcpy(request.event, one->event, sizeof one->event);
      memcpy(request.subscription, one->subscription, sizeof one->subscription);
      if (ask_patiently(meter, &request, -1, &answer) == 0) continue;
      if (meter->counters_fd < 0 || errno == EAGAIN) return -1;
      give_up(meter, region, one);
    }
  return 0;
}

// Gives meterd the memory back that it lost its hold on, and says what counts where. -1: not now; errno and
// meter_error().
static int hand_back(struct meter_handle* meter) {
  struct meterd_packet answer;
  for (struct meter_region* region = meter->regions; region != NULL; region = region->next) {
    if (region->fd < 0) continue;
    struct meterd_packet request = request_of(METERD_HAND_BACK);
    memcpy(request.region, region->id, sizeof request.region);
    if (ask_patiently(meter, &request, region->fd, &answer) != 0) {
      if (meter->counters_fd < 0 || errno == EAGAIN) return -1;
      give_up(meter, region, NULL);
      continue;
    }
    // A child of fork() finds that its parent was here before: they are one client again.
    memcpy(meter->client, answer.client, sizeof meter->client);
    if (region->slots_end > answer.slot && name_slots(meter, region) != 0) return -1;
  }
  return 0;
}

static int connect_counters(struct meter_handle* meter) {
  meter->counters_fd = meter_connect(&meter->counters_address, SOCK_SEQPACKET, meter->until_ms);
  if (meter->counters_fd < 0) return meter_fail_io(meter->counters_address.sun_path);
  // All of it each time: meterd may know the client by a part of its memory. What it has it only says so of.
  if ((hello(meter, meter->client) == 0 || (errno == ESTALE && hello(meter, none) == 0)) &&
      hand_back(meter) == 0)
    return 0;
  // Until all is given back the client is none: the next call begins with it anew.
  if (meter->regions != NULL) memset(meter->client, 0xff, sizeof meter->client);
  meter_close_fd(&meter->counters_fd);
  return -1;
}

static int stand_connected(struct meter_handle* meter) {
  const int64_t now = meter_now_ms();
  if (meter->counters_fd >= 0 && now - meter->looked_at_ms < LOOK_AGAIN_MS) return 0;
  if (meter->counters_fd >= 0 && meter_is_gone(meter->counters_fd)) meter_close_fd(&meter->counters_fd);
  if (meter->counters_fd < 0 && connect_counters(meter) != 0) return -1;
  meter->looked_at_ms = now;
  return 0;
}

// The region of an answer, mapped. Takes the fd. NULL: errno and meter_error().
static struct meter_region* take_region(struct meter_handle* meter, const uint8_t id[16], int fd) {
  struct meter_region* region = find_region(meter, id);
  if (region != NULL) {
    meter_close_fd(&fd);
    return region;
  }
  region = calloc(1, sizeof *region);
  void* slots = MAP_FAILED;
  if (region != NULL && fd >= 0)
    slots = mmap(NULL, METERD_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (slots == MAP_FAILED) {
    const int code = fd < 0 ? EPROTO : ENOMEM;
    meter_close_fd(&fd);
    free(region);
    (void)meter_fail(code,
                     "meterd's memory cannot be mapped: look at the limits of this process, then call again");
    meter_close_fd(&meter->counters_fd);  // the next connection is given it again
    return NULL;
  }
  memcpy(region->id, id, sizeof region->id);
  region->fd = fd;
  region->slots = slots;
  region->next = meter->regions;
  __atomic_store_n(&meter->regions, region, __ATOMIC_RELEASE);
  return region;
}

static struct meter_named* want(struct meter_handle* meter, const char* event, const char* subscription) {
  struct meterd_packet request = request_of(METERD_WANT);
  struct meterd_packet answer;
  int passed;
  memcpy(request.event, event, strlen(event));
  memcpy(request.subscription, subscription, strlen(subscription));
  if (ask(meter, &request, -1, &answer, &passed) != 0) return NULL;
  struct meter_region* region = take_region(meter, answer.region, passed);
  if (region == NULL) return NULL;
  struct meter_named* named = calloc(1, sizeof *named);
  if (named == NULL || answer.slot >= METERD_REGION_SLOTS) {
    (void)meter_fail(named == NULL ? ENOMEM : EPROTO, "no memory for a counter: free some, then call again");
    free(named);
    return NULL;
  }
  named->region = region;
  named->slot = answer.slot;
  if (region->slots_end <= named->slot) region->slots_end = named->slot + 1;
  memcpy(named->event, request.event, sizeof named->event);
  memcpy(named->subscription, request.subscription, sizeof named->subscription);
  return named;
}

static size_t bucket_of(const char* event, const char* subscription) {
  uint32_t hash = 2166136261u;
  for (const char* at = event; *at != '\0'; ++at) hash = (hash ^ (uint8_t)*at) * 16777619u;
  hash = (hash ^ 1u) * 16777619u;
  for (const char* at = subscription; *at != '\0'; ++at) hash = (hash ^ (uint8_t)*at) * 16777619u;
  return (hash ^ (hash >> 16)) % METER_BUCKETS;
}

static int check_name(const char* what, const char* name) {
  if (strlen(name) <= METERD_COUNTER_NAME_MAX) return 0;
  return meter_fail(EINVAL, "%s: at most %u bytes", what, METERD_COUNTER_NAME_MAX);
}

static struct meter_named* find_named(struct meter_named** head, const char* event,
                                      const char* subscription) {
  struct meter_named* one = __atomic_load_n(head, __ATOMIC_ACQUIRE);
  while (one != NULL && (__atomic_load_n(&one->gone, __ATOMIC_ACQUIRE) || strcmp(one->event, event) != 0 ||
                         strcmp(one->subscription, subscription) != 0))
    one = one->next;
  return one;
}

// Once. The counters that were refused are asked for anew.
static int tell_refused(struct meter_handle* meter) {
  if (meter->refused[0] == '\0') return 0;
  (void)meter_fail(ESTALE, "meterd did not take counters back (%s): ask for each counter again",
                   meter->refused);
  meter->refused[0] = '\0';
  return -1;
}

static struct meter_named* add_named(struct meter_handle* meter, struct meter_named** head, const char* event,
                                     const char* subscription) {
  struct meter_named* named = want(meter, event, subscription);
  // It was started again since it was last looked at. A repeat gives the same slot.
  if (named == NULL && errno == EPIPE && stand_connected(meter) == 0 && tell_refused(meter) == 0)
    named = want(meter, event, subscription);
  if (named == NULL) return NULL;
  named->next = *head;
  __atomic_store_n(head, named, __ATOMIC_RELEASE);
  return named;
}

meter_counter_t* meter_counter(meter_t* meter, const char* event, const char* subscription) {
  if (subscription == NULL) subscription = "";
  if (event == NULL || *event == '\0') {
    (void)meter_fail(EINVAL, "the event has no name: use the one that its [[meter]] has");
    return NULL;
  }
  if (check_name("event", event) != 0 || check_name("subscription", subscription) != 0) return NULL;
  struct meter_named** const head = &meter->named[bucket_of(event, subscription)];
  struct meter_named* named = NULL;
  // A counter that is there needs nobody.
  if (meter_lock(meter, meter_now_ms() + METER_DEADLINE_MS) != 0) {
    named = find_named(head, event, subscription);
    return named != NULL ? &named->region->slots[named->slot] : NULL;
  }
  const int connected = stand_connected(meter) == 0;
  if (tell_refused(meter) == 0) {
    named = find_named(head, event, subscription);
    if (named == NULL && connected) named = add_named(meter, head, event, subscription);
  }
  meter_unlock(meter);
  return named != NULL ? &named->region->slots[named->slot] : NULL;
}
