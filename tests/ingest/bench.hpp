// Ingest on one thread under a virtual clock: a real journal in a directory of its own, a real committer on
// the loop's executor, the batcher. A restart opens the same journal again; what was only in memory is gone
// then.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "agent/ingest/batcher.hpp"
#include "agent/journal/read.hpp"
#include "platform/fake/clock.hpp"
#include "tests/journal/fakes.hpp"

namespace meterd {

inline void PrintTo(const Quantity& quantity, std::ostream* out) { *out << quantity.text(); }

}  // namespace meterd

namespace meterd::test {

// The value, or the end of the test with the error's message.
template <class T>
T must(Result<T> result) {
  if (!result)
    throw std::runtime_error(std::string(name_of(result.error().code)) + ": " + result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline Quantity q(std::string_view text) { return must(Quantity::parse_total(text)); }
inline WallTime utc(std::string_view text) { return must(parse_rfc3339(text)); }

inline meter::MeterRule meter_of(const char* event, const char* item_price, const char* zone = "UTC") {
  return {EventName(event), UpstreamName("billing"), ItemPriceId(item_price), std::nullopt,
          must(meter::TimeZone::load(zone))};
}

class RecordingLog final : public Log {
 public:
  std::string text;
  std::size_t times(std::string_view piece) const;

 private:
  void write(Level, const std::string& line) override { text += line + "\n"; }
};

struct BenchOptions {
  ingest::IngestRules rules;
  std::vector<meter::MeterRule> meters{meter_of("sms.sent", "sms-usd"), meter_of("data.bytes", "data-usd")};
  std::vector<meter::SealRule> seal_rules;  // by meter; those that are missing seal once a day
  std::vector<meter::SubscriptionRule> subscriptions;
  std::uint64_t size_max = 8U << 20;
  std::uint64_t reserve = 1U << 20;
  boost::asio::any_io_executor journal;  // the loop's own if there is none here
};

class Bench {
 public:
  explicit Bench(BenchOptions options = {});
  ~Bench();

  void restart();                        // as after SIGKILL: the same boot, the same time
  void reboot(const std::string& boot);  // as after a power cut: time since boot starts again
  void stop();                           // polite
  void back_up();
  void put_back();  // the backup is its journal from now on; the same boot, the same time
  void advance(Milliseconds by) { clock().advance(by); }
  void settle() { clock().settle(); }
  void at(std::string_view rfc3339) { clock().set_wall(utc(rfc3339)); }

  ingest::Batcher::Counted count(const meter::EventView& event) {
    return batcher().count(event, batcher().now());
  }
  ingest::Batcher::Counted sms(std::string_view quantity = "1", std::string_view subscription = "sub_1");
  ingest::Batcher::Counted with_id(std::string_view id, std::optional<WallTime> time = std::nullopt);
  ingest::Batcher::Settings settings();  // of `options`, which a test may change for a reload
  Status commit();                       // what is open now, at once; the outcome is kept below
  ingest::WindowOutcome outcome;

  // "2027-01-15 sub_1 sms-usd" -> quantity, for what is committed: in buckets, and in usages sealed already.
  std::map<std::string, std::string> open() const;
  std::vector<std::string> sealed() const;  // quantities, oldest first
  Quantity accepted() const { return report().accepted; }
  journal::CheckReport report() const { return must(journal::check_journal(journal())); }
  void expect_sound() const { EXPECT_THAT(report().problems, ::testing::IsEmpty()); }
  std::uint64_t undated_slices() const { return must(journal::read_overview(journal())).undated_slices; }
  std::uint64_t commits() const { return life_->committer->stats().commits; }
  std::uint64_t refused(meter::Refusal refusal) {
    return batcher().stats().refused[static_cast<std::size_t>(refusal)];
  }

  boost::asio::io_context& loop() { return *life_->loop; }
  platform::FakeClock& clock() { return *life_->clock; }
  journal::Journal& journal() const { return *life_->journal; }
  journal::Committer& committer() { return *life_->committer; }
  ingest::Batcher& batcher() { return *life_->batcher; }
  RecordingLog log;

  BenchOptions options;

 private:
  struct Life {
    ~Life();
    std::unique_ptr<boost::asio::io_context> loop;
    std::unique_ptr<platform::FakeClock> clock;
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<journal::Committer> committer;
    std::unique_ptr<ingest::Batcher> batcher;
  };
  struct Instant {
    WallTime wall;
    BootTime boot;
    bool trusted = true;
  };
  void begin(const std::optional<Instant>& at);
  Status seal_early(journal::WriteTransaction& txn, const meter::BucketKey& bucket);

  std::string boot_id_ = "boot-1";
  journal::TempDirectory directory_;
  journal::FakeDisk disk_;
  journal::FakeRandom random_;
  std::unique_ptr<Life> life_;
};

}  // namespace meterd::test
