// Data bytes of nftables as a counter source. The kernel is read on the reader thread each interval, and what
// the reading counts goes into the open window together with the readings it was counted up to: a byte counts
// once through any crash. Not at each commit: a set of 10,000 elements takes the kernel milliseconds to tell,
// and the commits are others' business. element_step.hpp has the rules.
#pragma once

#include <memory>
#include <string>

#include "agent/source/gaps.hpp"
#include "agent/source/nftables/kept_readings.hpp"
#include "agent/source/nftables/rule.hpp"
#include "agent/source/nftables/sample.hpp"
#include "agent/source/source.hpp"
#include "platform/nft_tables.hpp"

namespace meterd::source {

class NftablesSource final : public Source {
 public:
  NftablesSource(NftablesRule rule, const Dependencies& dependencies, Stored stored);
  std::string name() const override { return rule_.name(); }
  // run() counts each reading as it comes.
  void harvest(ingest::Batcher&, const platform::WallReading&) override {}
  boost::asio::awaitable<void> run() override;
  void stop() override;
  Report report() const override;
  Stored stored() const override;

 private:
  // Of the reader thread while it reads, else of the loop's.
  struct Workplace {
    platform::NftTables* tables = nullptr;
    platform::Clock* clock = nullptr;
    platform::NftTarget target;
    platform::NftKeyKind keys = platform::NftKeyKind::none;
    std::vector<NftablesSubscriber> subscribers;
    platform::NftReading reading;
    Sample sample;
    Status read;
    platform::WallReading began_wall;
    BootTime began, ended;
    std::optional<BootTime> looked_around;
    std::vector<platform::NftFlowtable> flowtables;
  };
  static void look(Workplace& at);

  void take();
  void take_trouble(const Error& error);
  // What the counters' ends took along.
  struct Ends {
    std::size_t reset = 0, replaced = 0, gone = 0, restored = 0;
    std::uint64_t in_doubt = 0;  // bytes
  };
  Ends count(bool same_counters, const platform::WallReading& now);
  void begin_in_copy(bool same_counters, const ReadingMoment& before, const ReadingMoment& now);
  bool count_for(std::size_t subscriber, std::uint64_t bytes, const platform::WallReading& now);
  void note_gap(const Ends& ends, const ReadingMoment& before, const ReadingMoment& now);

  NftablesRule rule_;
  ingest::Batcher& batcher_;
  platform::Clock& clock_;
  Log& log_;
  boost::asio::any_io_executor reader_;
  std::unique_ptr<platform::Alarm> alarm_;
  std::shared_ptr<Workplace> at_;
  KeptReadings kept_;
  Gaps gaps_;
  bool damage_told_ = false;
  std::string trouble_, advice_;
  std::vector<std::string> blind_spots_;
  bool stopping_ = false;
};

}  // namespace meterd::source
