// Counters in shared memory: an app that adds to memory which the agent gave it, without a word; the memory
// is kept through the agent's end, as the service manager keeps it. The app crashes now and then, and another
// one takes its place.
#pragma once

#include <map>
#include <string>

#include "agent/libmeter/protocol.h"
#include "tests/sim/counted.hpp"

namespace meterd::sim {

// Until the power goes. Its ids follow from a seed.
class KeptMemory final : public platform::SharedMemory {
 public:
  explicit KeptMemory(Draws draws) : draws_(draws) {}
  Id random_id() override;
  std::vector<Kept> find() override;
  Result<Kept> make(const Sizes& sizes) override;
  Result<Kept> take_back(const Id&, platform::MemoryFile, const Sizes&) override {
    return Error{Code::rejected, "nothing is ever lost here"};
  }
  Result<platform::MemoryFile> recognise(platform::MemoryFile, std::size_t) override {
    return Error{Code::rejected, "nothing is ever lost here"};
  }
  bool cut_to_size(const Kept&, std::size_t) override { return false; }
  bool same_memory(const Kept&, const platform::MemoryFile&) const override { return false; }
  Result<platform::MemoryFile> share(const Kept& kept) override;
  bool is_in_use(const Kept& kept) const override { return used_by_app == kept.id; }
  Status drop(const Kept& kept) override;
  void lose_power() { all_.clear(); }

  Id used_by_app{};

 private:
  struct One {
    platform::MemoryFile memory, names;
  };
  Draws draws_;
  std::map<Id, One> all_;
};

class CountedMemory final : public Counted {
 public:
  CountedMemory(Dependencies dependencies, Draws draws, std::string event, std::string subscription);
  ~CountedMemory() override;
  std::string name() const override { return "shared"; }
  void furnish(app::Surroundings& surroundings) override;
  void lose_power() override;
  std::string judge(const journal::SourceGaps& shown, std::int64_t billed) const override;

 private:
  void pass(Draws& draws) override;
  void call();    // once in a while, as libmeter's users are told to
  void listen();  // for the answer, until it is there
  void take(const meterd_packet& answer, const platform::MemoryFile& memory);
  void ask(meterd_packet_kind kind);
  void end_app();

  std::string event_, subscription_;
  KeptMemory memory_;
  ingest::Access access_{ingest::AccessRules{}};
  std::string address_;  // of the process's socket: abstract
  platform::Socket connection_;
  platform::SharedMemory::Id client_{}, region_{};
  char* mapped_ = nullptr;
  std::uint64_t* counter_ = nullptr;
  std::uint64_t calls_ = 0;
  std::string problem_;
};

}  // namespace meterd::sim
