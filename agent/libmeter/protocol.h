// What libmeter and meterd say to each other on [ingest] counters, a SOCK_SEQPACKET Unix socket: packets of
// one fixed size, in the byte order of the machine, one answer to each request, in order. Both sides include
// this.
//
//     HELLO      client                    -> WELCOME client            a new one, if `client` was zeros
//                                          -> REFUSED ESTALE            not known here (any more): begin anew
//     WANT       event subscription        -> SLOT region slot [fd]     the same slot for the same names
//                                          -> REFUSED code text
//     HAND_BACK  region [fd]               -> WELCOME client slot       memory that the last meterd gave
//     NAME       region slot event subscription -> SLOT region slot    what counts there; after HAND_BACK
//
// An fd is the region's memory: METERD_REGION_BYTES to be mapped shared, METERD_REGION_SLOTS slots of a cache
// line each, of which the first eight bytes count and the rest is zero. It comes with the first slot of a
// region on a connection. Memory is only given to the user that asked for it, one region to one client.
//
// A client is a meter_t: its 16 random bytes are what it says after meterd was started again, to go on in the
// memory that it has. HAND_BACK: a meterd that was stopped may have lost its hold on the memory; it reads it
// on from the cursor that its journal has. Its WELCOME says in `slot` how many slots there are, if all their
// names are known: an app that knows of no later one need not NAME any. REFUSED EAGAIN of these two: ask
// again. Any other is for good: that memory, or that slot, is not counted for the app any more.
#ifndef METERD_COUNTERS_PROTOCOL_H
#define METERD_COUNTERS_PROTOCOL_H

#include <stdint.h>

#define METERD_PACKET_MAGIC 0x7274656du /* "metr" */
#define METERD_PACKET_VERSION 1u
#define METERD_SLOT_BYTES 64u
#define METERD_REGION_SLOTS 1024u
#define METERD_REGION_BYTES (METERD_SLOT_BYTES * METERD_REGION_SLOTS)
#define METERD_COUNTER_NAME_MAX 100u /* bytes, of an event and of a subscription */

enum meterd_packet_kind {
  METERD_HELLO = 1,
  METERD_WELCOME = 2,
  METERD_WANT = 3,
  METERD_SLOT = 4,
  METERD_REFUSED = 5,
  METERD_HAND_BACK = 6,
  METERD_NAME = 7
};

struct meterd_packet {
  uint32_t magic;
  uint16_t version;
  uint16_t kind;
  uint32_t code;  // REFUSED: an errno
  uint32_t slot;
  uint8_t client[16];
  uint8_t region[16];
  char event[104];  // texts end with a zero byte
  char subscription[104];
  char text[256];  // REFUSED: one sentence that says what to do
};

#endif
