// One event over meterd's framed socket (proto/meterd/v1/ingest.proto), encoded by hand: a Batch of one Event
// out, an Ack in.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/libmeter/internal.h"

#define HEADER_BYTES 8u
#define ACK_BYTES_MAX 4096u
#define TEXT_MAX 100u

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct out {
  uint8_t bytes[1024];  // more than an event of texts of at most 100 bytes takes
  size_t size;
};

static void put_varint(struct out* out, uint64_t value) {
  for (; value > 127; value >>= 7) out->bytes[out->size++] = (uint8_t)(value | 128u);
  out->bytes[out->size++] = (uint8_t)value;
}

static void put_bytes(struct out* out, unsigned field, const void* bytes, size_t size) {
  if (size == 0) return;
  put_varint(out, field << 3u | WIRE_BYTES);
  put_varint(out, size);
  memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
}

static void put_text(struct out* out, unsigned field, const char* text) {
  if (text != NULL) put_bytes(out, field, text, strlen(text));
}

static void put_number(struct out* out, unsigned field, uint64_t value) {
  if (value == 0) return;
  put_varint(out, field << 3u | WIRE_VARINT);
  put_varint(out, value);
}

static struct out frame_of(const struct meter_event* event) {
  struct out inner = {.size = 0};
  put_text(&inner, 1, event->event);
  put_text(&inner, 2, event->subscription);
  put_text(&inner, 3, event->quantity);
  put_number(&inner, 4, (uint64_t)event->time_ms);
  put_text(&inner, 5, event->id);
  struct out out = {.size = HEADER_BYTES};
  put_text(&out, 1, event->producer);
  put_number(&out, 3, event->received != 0);
  put_bytes(&out, 4, inner.bytes, inner.size);
  memcpy(out.bytes, "mtr\1", 4);
  const size_t length = out.size - HEADER_BYTES;
  for (unsigned i = 0; i < 4; ++i) out.bytes[4 + i] = (uint8_t)(length >> (24u - 8u * i));
  return out;
}

// One field of a message; `bytes` and `size` go behind it. 0: at the end, -1: not a message.
struct field {
  unsigned number;
  uint64_t value;  // of a varint; the length of bytes
  const uint8_t* bytes;
};

static int get_varint(const uint8_t** bytes, size_t* size, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && *size > 0; shift += 7) {
    const uint8_t byte = *(*bytes)++;
    --*size;
    *value |= (uint64_t)(byte & 127u) << shift;
    if (byte < 128) return 0;
  }
  return -1;
}

static int get_field(const uint8_t** bytes, size_t* size, struct field* field) {
  if (*size == 0) return 0;
  uint64_t tag;
  if (get_varint(bytes, size, &tag) != 0) return -1;
  field->number = (unsigned)(tag >> 3);
  field->bytes = NULL;
  const unsigned wire = tag & 7u;
  if (wire == WIRE_VARINT) return get_varint(bytes, size, &field->value) == 0 ? 1 : -1;
  field->value = wire == WIRE_FIXED64 ? 8 : 4;
  if (wire == WIRE_BYTES && get_varint(bytes, size, &field->value) != 0) return -1;
  if ((wire != WIRE_BYTES && wire != WIRE_FIXED64 && wire != WIRE_FIXED32) || field->value > *size) return -1;
  field->bytes = *bytes;
  *bytes += field->value;
  *size -= (size_t)field->value;
  return 1;
}

static int errno_of(const uint8_t* code, size_t size) {
  static const struct {
    const char* name;
    int code;
  } known[] = {{"unknown_event", ENOENT},
               {"unknown_subscription", ENOENT},
               {"missing_subscription", EINVAL},
               {"bad_quantity", EINVAL},
               {"bad_id", EINVAL},
               {"too_old", ERANGE},
               {"in_future", ERANGE},
               {"clock_untrusted", EAGAIN},
               {"full", ENOSPC},
               {"forbidden", EACCES},
               {"not_allowed", EACCES}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i)
    if (strlen(known[i].name) == size && memcmp(known[i].name, code, size) == 0) return known[i].code;
  return EINVAL;
}

static int say_refusal(const uint8_t* bytes, size_t size) {
  struct field field;
  struct field code = {0, 0, NULL};
  struct field message = {0, 0, NULL};
  while (get_field(&bytes, &size, &field) > 0) {
    if (field.number == 2 && field.bytes != NULL) code = field;
    if (field.number == 3 && field.bytes != NULL) message = field;
  }
  return meter_fail(errno_of(code.bytes, (size_t)code.value), "%.*s", (int)message.value,
                    message.bytes != NULL ? (const char*)message.bytes : "");
}

static int take_ack(const uint8_t* bytes, size_t size) {
  struct field field;
  uint64_t counted = 0;
  int more;
  while ((more = get_field(&bytes, &size, &field)) > 0) {
    if (field.number == 2 || field.number == 3) counted += field.value;  // counted, duplicates
    if (field.number == 4 && field.bytes != NULL) return say_refusal(field.bytes, (size_t)field.value);
    if (field.number == 5 && field.bytes != NULL) {
      const int full = field.value >= 5 && memcmp(field.bytes, "full:", 5) == 0;
      return meter_fail(full ? ENOSPC : EPROTO, "%.*s", (int)field.value, (const char*)field.bytes);
    }
  }
  if (more == 0 && counted > 0) return 0;
  return meter_fail(EPROTO, "meterd's answer is not understood: install the libmeter that came with it");
}

static int send_all(int fd, const struct out* out, int64_t until_ms) {
  size_t sent = 0;
  while (sent < out->size) {
    const ssize_t now = send(fd, out->bytes + sent, out->size - sent, MSG_NOSIGNAL);
    if (now >= 0) sent += (size_t)now;
    if (now < 0 && errno != EAGAIN && errno != EINTR) return -1;
    if (now < 0 && errno == EAGAIN && meter_wait(fd, POLLOUT, until_ms) != 0) return -1;
  }
  return 0;
}

static int receive_all(int fd, uint8_t* bytes, size_t size, int64_t until_ms) {
  size_t have = 0;
  while (have < size) {
    if (meter_wait(fd, POLLIN, until_ms) != 0) return -1;
    const ssize_t now = recv(fd, bytes + have, size - have, MSG_DONTWAIT);
    if (now > 0) have += (size_t)now;
    if (now == 0) errno = EPIPE;
    if (now == 0 || (now < 0 && errno != EAGAIN && errno != EINTR)) return -1;
  }
  return 0;
}

// The Ack's bytes and their number; -1: the connection failed (errno), or the answer is none of ours
// (EPROTO).
static int exchange(int fd, const struct out* out, uint8_t* ack, int64_t until_ms) {
  uint8_t header[HEADER_BYTES];
  if (send_all(fd, out, until_ms) != 0 || receive_all(fd, header, sizeof header, until_ms) != 0) return -1;
  const size_t size = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
  if (memcmp(header, "mtr\1", 4) != 0 || size > ACK_BYTES_MAX) {
    errno = EPROTO;
    return -1;
  }
  return receive_all(fd, ack, size, until_ms) == 0 ? (int)size : -1;
}

static int report_once(struct meter_handle* meter, const struct out* out) {
  if (meter->ingest_fd >= 0 && meter_is_gone(meter->ingest_fd)) meter_close_fd(&meter->ingest_fd);
  if (meter->ingest_fd < 0)
    meter->ingest_fd = meter_connect(&meter->ingest_address, SOCK_STREAM, meter->until_ms);
  if (meter->ingest_fd < 0) return meter_fail_io(meter->ingest_address.sun_path);
  uint8_t ack[ACK_BYTES_MAX];
  const int size = exchange(meter->ingest_fd, out, ack, meter->until_ms);
  if (size >= 0) {
    const int counted = take_ack(ack, (size_t)size);
    if (counted != 0 && errno == EPROTO) meter_close_fd(&meter->ingest_fd);
    return counted;
  }
  meter_close_fd(&meter->ingest_fd);
  if (errno == EPROTO) return meter_fail(EPROTO, "this is not meterd's socket, or of another version");
  return meter_fail_io(meter->ingest_address.sun_path);
}

int meter_report(meter_t* meter, const struct meter_event* event) {
  const char* const texts[] = {event->event, event->subscription, event->quantity, event->producer,
                               event->id};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i)
    if (texts[i] != NULL && strlen(texts[i]) > TEXT_MAX)
      return meter_fail(EINVAL, "a text of more than %u bytes: names, ids and quantities are shorter",
                        TEXT_MAX);
  if (event->event == NULL || *event->event == '\0')
    return meter_fail(EINVAL, "the event has no name: use the one that its [[meter]] has");
  if (event->quantity != NULL && *event->quantity == '\0')  // which the frame could not tell from none
    return meter_fail(EINVAL, "the quantity is empty: give a decimal above zero, or NULL for 1");
  const struct out out = frame_of(event);
  const int repeats = event->id != NULL && *event->id != '\0';  // under its id it counts once
  if (meter_lock(meter, meter_now_ms() + METER_DEADLINE_MS) != 0) return -1;
  int reported = report_once(meter, &out);
  if (reported != 0 && errno == EPIPE && repeats) reported = report_once(meter, &out);
  meter_unlock(meter);
  return reported;
}
