// A real journal in a temporary directory. step() is one committed transaction, and after each one the whole
// journal is checked for conservation.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "agent/journal/journal.hpp"
#include "agent/journal/read.hpp"
#include "agent/journal/write_transaction.hpp"
#include "agent/meter/identity.hpp"
#include "tests/journal/fakes.hpp"

namespace meterd::journal {

// The value, or the end of the test with the error's message.
template <class T>
T must(Result<T> result) {
  if (!result)
    throw std::runtime_error(std::string(name_of(result.error().code)) + ": " + result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline Quantity q(std::string_view text) { return must(Quantity::parse_total(text)); }
inline meter::Tally tally(std::string_view quantity, std::uint64_t events = 1) {
  return {q(quantity), events};
}
inline UsageDay day(std::string_view iso) { return must(UsageDay::parse(iso)); }
inline std::int64_t start_of(UsageDay d) { return std::int64_t{d.days_since_epoch()} * 86'400; }

inline meter::SeriesKey series(const char* item_price = "sms-usd", const char* upstream = "billing") {
  return {UpstreamName(upstream), SubscriptionId("sub_1"), ItemPriceId(item_price)};
}
inline meter::BucketKey bucket(const char* item_price = "sms-usd", const char* iso = "2026-11-22",
                               const char* upstream = "billing") {
  return {day(iso), series(item_price, upstream)};
}

inline RequestRecord request(const std::string& body = "usage[quantity]=1") {
  RequestRecord out;
  out.set_method("POST");
  out.set_target("/api/v2/subscriptions/sub_1/usages");
  out.set_body(body);
  return out;
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    options_.directory = directory_ / "journal";
    options_.size_max = 8U << 20;
    options_.reserve = 1U << 20;
    options_.boot_id = "boot-1";
    options_.now = WallTime::from_seconds(1'795'305'600);
  }

  Result<std::unique_ptr<Journal>> try_open() { return Journal::open(options_, disk_, random_); }
  void open() { journal_ = must(try_open()); }
  void reopen() {
    journal_.reset();
    open();
  }
  void reboot(const std::string& boot_id) {
    options_.boot_id = boot_id;
    reopen();
  }

  WriteTransaction begin() {
    return WriteTransaction(must(journal_->begin_write()), &journal_->remembered_ids(), journal_->lineage());
  }

  template <class Verbs>
  void step(Verbs&& verbs) {
    {
      auto write = begin();
      verbs(write);
      EXPECT_EQ(write.conservation_errors(), 0U);
      must(write.commit());
    }
    expect_sound();
  }
  CheckReport report() const { return must(check_journal(*journal_)); }
  void expect_sound() const { EXPECT_THAT(report().problems, ::testing::IsEmpty()); }

  // Below the journal's verbs, for negative controls.
  void put_raw(const std::string& key, const std::string& value) {
    auto txn = must(journal_->begin_write());
    must(txn.put(key, value));
    must(txn.commit());
  }
  void erase_raw(const std::string& key) {
    auto txn = must(journal_->begin_write());
    must(txn.erase(key));
    must(txn.commit());
  }
  std::string get_raw(const std::string& key) const {
    auto txn = must(journal_->begin_read());
    const auto found = must(txn.get(key));
    return found ? std::string(*found) : std::string();
  }
  std::size_t count(const std::string& key_prefix) const {
    auto txn = must(journal_->begin_read());
    std::size_t n = 0;
    must(txn.scan(key_prefix, "", [&](auto, auto) { return ++n, true; }));
    return n;
  }

  Moment now(std::int64_t since_boot_ms = 60'000) const {
    return {WallTime::from_seconds(1'795'400'000 + since_boot_ms / 1'000),
            {journal_->boot_number(), since_boot_ms},
            true};
  }
  Due due(std::int64_t since_boot_ms) const { return {journal_->boot_number(), since_boot_ms}; }
  static WriteTransaction::Opening opening(std::int64_t seal_due_s = 1'795'400'000) {
    return {WallTime::from_seconds(1'795'350'000), seal_due_s, "UTC"};
  }

  // The next revision of `key` with a free second, as a sealer would make it.
  meter::Usage next_usage(const WriteTransaction& write, const meter::BucketKey& key) const {
    const Balance balance = must(write.balance(key));
    const auto first = start_of(key.day);
    const auto date = must(write.free_date(key.series, {first, first + 86'399, first + 1'000}));
    const DeviceId device("gw-0042");
    meter::Usage usage;
    usage.id = meter::usage_id({device, journal_->epoch(), key, balance.next_revision});
    usage.series = key.series;
    usage.day = key.day;
    usage.revision = balance.next_revision;
    usage.usage_date = date.value();
    usage.quantity = balance.open;
    usage.events = balance.open_events;
    return usage;
  }
  std::uint64_t seal(WriteTransaction& write, const meter::BucketKey& key) const {
    const auto usage = next_usage(write, key);
    must(write.seal(usage, request(), now()));
    return must(write.find_usage(usage.id)).value().sequence;
  }
  std::uint64_t supersede(WriteTransaction& write, std::uint64_t sequence) const {
    const auto old = usage_of(must(write.usage(sequence)).record);
    auto successor = next_usage(write, {old.day, old.series});
    successor.quantity = old.quantity;
    successor.events = old.events;
    must(write.supersede(sequence, successor, request(), now()));
    return must(write.find_usage(successor.id)).value().sequence;
  }
  // One sealed usage of quantity 1, waiting.
  std::uint64_t waiting_usage(const char* item_price = "sms-usd", const char* upstream = "billing") {
    std::uint64_t sequence = 0;
    step([&](WriteTransaction& w) {
      const auto key = bucket(item_price, "2026-11-22", upstream);
      must(w.add(key, tally("1"), opening()));
      sequence = seal(w, key);
    });
    return sequence;
  }

  StoredUsage stored(std::uint64_t sequence) { return must(begin().usage(sequence)); }
  UsageState state(std::uint64_t sequence) { return state_of(stored(sequence).record); }
  Balance balance_of(const meter::BucketKey& key) { return must(begin().balance(key)); }
  UpstreamState upstream(const char* name = "billing") { return must(begin().upstream(UpstreamName(name))); }

  TempDirectory directory_;
  FakeDisk disk_;
  FakeRandom random_;
  JournalOptions options_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace meterd::journal
