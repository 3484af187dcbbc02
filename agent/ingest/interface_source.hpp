// Data bytes of a network interface as a counter source. The cursor is stored in the same transaction as the
// delta that it gave, so a byte counts once through any crash. Rules:
//   first sight of the interface: the counter is a starting point, nothing is counted;
//   same boot, same index, not lower: the difference, each direction for itself;
//   another boot, another index (the interface was made anew) or a lower value (the driver reset it): the
//   counter started from zero, so all of it.
#pragma once

#include <memory>
#include <string>

#include "agent/ingest/batcher.hpp"
#include "platform/links.hpp"

namespace meterd::ingest {

struct InterfaceSourceRule {
  std::string interface_name;
  EventName event;
  SubscriptionId subscription;
  bool rx = true;
  bool tx = true;
  // What the journal keeps its cursor under.
  std::string cursor_name() const { return "interface:" + interface_name + ":" + event.value(); }
};

// Pure: what the step from cursor to sample counts.
struct CounterStep {
  std::uint64_t rx = 0, tx = 0;
  bool reset = false;
  journal::CounterCursor next;
};
CounterStep counter_step(const std::optional<journal::CounterCursor>& cursor,
                         const platform::LinkSample& sample, const std::string& boot_id);

class InterfaceSource final : public CounterSource {
 public:
  InterfaceSource(InterfaceSourceRule rule, platform::Links& links, Log& log, std::string boot_id,
                  std::optional<journal::CounterCursor> stored);
  void harvest(Batcher& batcher, const platform::WallReading& now) override;
  const InterfaceSourceRule& rule() const { return rule_; }
  // What was counted last, which may not be committed yet.
  const std::optional<journal::CounterCursor>& cursor() const { return cursor_; }

 private:
  InterfaceSourceRule rule_;
  platform::Links& links_;
  Log& log_;
  std::string boot_id_;
  std::optional<journal::CounterCursor> cursor_;
  bool missing_ = false;
};

}  // namespace meterd::ingest
