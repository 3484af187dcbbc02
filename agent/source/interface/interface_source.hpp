// Data bytes of a network interface as a counter source. The cursor is stored in the same transaction as the
// delta that it gave, so a byte counts once through any crash. Rules:
//   first sight of the interface: the counter is a starting point, nothing is counted;
//   same boot, same index, not lower: the difference, each direction for itself;
//   another boot, another index (the interface was made anew) or a lower value (the driver reset it): the
//   counter started from zero, so all of it;
//   a cursor that came with a copy of the journal: a starting point again, and the difference is in doubt.
#pragma once

#include <memory>
#include <string>

#include "agent/source/gaps.hpp"
#include "agent/source/interface/rule.hpp"
#include "agent/source/source.hpp"
#include "platform/links.hpp"

namespace meterd::source {

// Pure: what the step from cursor to sample counts.
struct CounterStep {
  std::uint64_t rx = 0, tx = 0;
  bool reset = false;
  journal::CounterCursor next;
};
CounterStep counter_step(const std::optional<journal::CounterCursor>& cursor,
                         const platform::LinkSample& sample, const std::string& boot_id);

class InterfaceSource final : public Source {
 public:
  InterfaceSource(InterfaceRule rule, const Dependencies& dependencies, Stored stored);
  std::string name() const override { return rule_.name(); }
  void harvest(ingest::Batcher& batcher, const platform::WallReading& now) override;
  Report report() const override;
  Stored stored() const override;

 private:
  std::uint64_t bytes_of(const CounterStep& step) const;
  void begin_in_copy(ingest::Batcher& batcher, const platform::LinkSample& sample,
                     const platform::WallReading& now);
  void note_reset(ingest::Batcher& batcher, std::optional<WallTime> read_before,
                  const platform::WallReading& now);

  InterfaceRule rule_;
  platform::Links& links_;
  Log& log_;
  std::string boot_id_;
  std::optional<journal::CounterCursor> cursor_;
  Gaps gaps_;
  std::optional<WallTime> read_at_;  // when it was last read; nullopt: not since the start
  std::string trouble_;
};

}  // namespace meterd::source
