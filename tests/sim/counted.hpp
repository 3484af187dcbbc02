// What the device counts by itself, and the truth of it: units pass, and the agent reads, hears or is told of
// them. Units are certain to be billed once a working process had the time to read and commit them before
// they could be lost; until then they are billed once or not at all, and what a source missed it must show.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "agent/journal/write_transaction.hpp"
#include "platform/fake/nft_tables.hpp"
#include "tests/sim/draws.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/world.hpp"

namespace meterd::sim {

class Counted {
 public:
  struct Dependencies {
    World& world;
    Machine& machine;
    Oracle& oracle;
    std::size_t series = 0;
    bool lies = false;
    Milliseconds settles_in{};  // what a working process needs to read and commit
    std::function<Place()> here;
    std::function<void()> crash_soon;
  };
  Counted(Dependencies dependencies, Draws draws);
  virtual ~Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  void begin();
  virtual void furnish(app::Surroundings&) {}
  virtual void lose_power() { leave(); }
  // After each step of the world: for how long a process has been at work without a gap.
  void look(Milliseconds worked);
  virtual void stop_making() { making_ = false; }
  bool done() const { return pending_.empty(); }

  std::size_t series() const { return deps_.series; }
  // As the journal names it.
  virtual std::string name() const = 0;
  // Empty, or what is wrong with what the device shows as missed.
  virtual std::string judge(const journal::SourceGaps& shown, std::int64_t billed) const;

 protected:
  // Units pass, or something happens to what counts them.
  virtual void pass(Draws& draws) = 0;
  virtual bool is_certain_once_settled() const { return true; }
  virtual void settled(Oracle::Id) {}
  virtual void watched(Milliseconds) {}  // as look()

  Oracle::Id add(std::int64_t units);
  void forget(Oracle::Id claim);  // from now on it cannot be counted any more
  void leave();                   // none of what is pending can
  void doubt(Oracle::Id claim);   // it still can, or is taken for what was counted before
  void count_from_nothing() { begun_at_ = WallTime{}; }
  std::int64_t made() const { return made_; }

  Dependencies deps_;
  Draws draws_;
  bool making_ = true;

 private:
  struct Chunk {
    Oracle::Id claim = 0;
    std::int64_t units = 0;
    WallTime made, placed;
    bool untrusted = false;
    bool doubtful = false;
  };
  void grow();
  void place(Chunk& chunk);

  std::deque<Chunk> pending_;
  std::optional<WallTime> begun_at_;  // since when the agent has a point to count from
  std::int64_t made_ = 0;             // since then
};

// --- counters of the kernel

// An interface's bytes: they start from nothing at each boot, and the interface is made anew now and then.
class CountedLink final : public Counted {
 public:
  static constexpr const char* kInterface = "wwan0";
  CountedLink(Dependencies dependencies, Draws draws, std::string name)
      : Counted(std::move(dependencies), draws), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  void stop_making() override;

 private:
  void pass(Draws& draws) override;
  std::string name_;
  std::int32_t index_ = 1;
};

// Elements of an nftables set, which a firewall's reload replaces now and then. Nothing passes before those
// of a new table were read once: one that is higher than before may have been loaded so, which is in doubt.
class CountedTable final : public Counted {
 public:
  CountedTable(Dependencies dependencies, Draws draws, std::string name);
  std::string name() const override { return name_; }
  void furnish(app::Surroundings& surroundings) override { surroundings.nft_tables = &tables_; }
  void lose_power() override;
  void stop_making() override;
  std::string judge(const journal::SourceGaps& shown, std::int64_t billed) const override;

 private:
  void pass(Draws& draws) override;
  void watched(Milliseconds worked) override;
  void load();
  std::string name_;
  platform::FakeNftTables tables_;
  WallTime loaded_;
  bool is_read_ = false;  // since then
};

}  // namespace meterd::sim
