// What one commit carries of ingest: the sums of the window, the ids to remember, the cursors. Plain data;
// the batcher fills it on the loop thread, apply() writes it on the journal thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal/committer.hpp"
#include "agent/meter/bucket.hpp"
#include "agent/meter/identity.hpp"

namespace meterd::ingest {

// Where a quantity is added: to the bucket of a day, or, while the clock is untrusted, to a slice of time
// since boot.
struct Place {
  std::optional<UsageDay> day;
  std::uint32_t slice_second = 0;
  meter::SeriesKey series;
  auto operator<=>(const Place&) const = default;
};

// What one event name and subscription counted into for one day: one leg for each of its meters.
struct PlacedSum {
  struct Leg {
    Place place;
    std::size_t meter = 0;  // whose zone and seal rule apply
  };
  std::vector<Leg> legs;
  meter::Tally tally;  // of events without an id: the others are added once the journal knows which are new
};

struct IdentifiedEvent {
  std::uint32_t sum = 0;  // where it is added: index into Window::sums
  Quantity quantity;
};

struct Window {
  std::vector<PlacedSum> sums;
  std::vector<IdentifiedEvent> identified;
  std::vector<meter::EventHash> ids;  // of `identified`, in the same order
  std::map<std::string, journal::ProducerCursor> producers;
  std::map<std::string, std::optional<journal::CounterCursor>>
      counters;                                     // source -> cursor; nullopt: it goes
  std::map<std::string, journal::SourceGaps> gaps;  // by source
  std::optional<WallTime> dated_at;  // by the clock that was trusted then, when its last dated sum was opened
  bool empty() const { return sums.empty() && producers.empty() && counters.empty() && gaps.empty(); }
};

// What apply() needs beside the window; fixed when the window is closed.
struct WindowContext {
  WallTime now;
  bool trusted = false;
  std::uint32_t boot_number = 0;
  BootTime boot;
  journal::WriteTransaction::IdWindow ids;
  std::vector<journal::WriteTransaction::Opening> openings;  // by meter
  std::vector<std::string> zones;                            // by meter
  bool note_trusted_time = false;  // the stored last trusted time is over an hour old, or of another boot
  // Seals a bucket that would outgrow a usage's 40 characters.
  std::function<Status(journal::WriteTransaction&, const meter::BucketKey&)> seal_early;
};

struct WindowOutcome {
  std::vector<bool> duplicate;  // by position in Window::identified
  std::uint64_t remembered_ids = 0;
  bool more_to_prune = false;  // as many were forgotten as one commit takes
  bool wrote_slices = false;   // something of it waits for trusted time
};

// The tally in parts that a usage can hold each: one, but for sums above 40 characters, which are split at
// the point and above 40 digits. Each part has an event; there are never more parts than events that fitted
// one by one.
std::vector<meter::Tally> usage_parts(const meter::Tally& tally);

// Adds all of the tally to the bucket, sealing what is in the way and repairing what cannot be read.
Status add_to_bucket(const meter::BucketKey& bucket, const meter::Tally& tally,
                     const journal::WriteTransaction::Opening& opening, const WindowContext& context,
                     journal::WriteTransaction& txn);

Status apply(const Window& window, const WindowContext& context, journal::WriteTransaction& txn,
             WindowOutcome& outcome);

}  // namespace meterd::ingest
