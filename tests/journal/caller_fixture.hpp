// Usages of callers of the device's Usages API, and their deletions, by the journal's own verbs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/journal/records.hpp"
#include "tests/journal/journal_fixture.hpp"

namespace meterd::journal {

struct Wanted {
  const char* quantity = "1";
  const char* item_price = "sms-usd";
  const char* upstream = "billing";
  const char* subscription = "sub_1";
  std::uint64_t behind = 0;
};

class CallerTest : public JournalTest {
 protected:
  void SetUp() override { open(); }

  static constexpr std::int64_t kMidnight = 1'795'305'600;  // 2026-11-22
  static WriteTransaction::CallerUsage caller_usage(const std::string& id, std::int64_t usage_date,
                                                    const Wanted& wanted) {
    WriteTransaction::CallerUsage created;
    created.usage.id = UsageId(id);
    created.usage.series = {UpstreamName(wanted.upstream), SubscriptionId(wanted.subscription),
                            ItemPriceId(wanted.item_price)};
    created.usage.day = UsageDay(static_cast<std::int32_t>(usage_date / 86'400));
    created.usage.usage_date = usage_date;
    created.usage.quantity = q(wanted.quantity);
    created.request = request("id=" + id);
    created.zone = "UTC";
    created.behind = wanted.behind;
    return created;
  }
  std::uint64_t create(const std::string& id, std::int64_t usage_date, const Wanted& wanted = {}) {
    std::uint64_t sequence = 0;
    step([&](WriteTransaction& w) {
      sequence = must(w.create_usage(caller_usage(id, usage_date, wanted), now())).sequence;
    });
    return sequence;
  }
  std::uint64_t create_behind(std::uint64_t deletion, const std::string& id, std::int64_t usage_date) {
    Wanted wanted;
    wanted.behind = deletion;
    return create(id, usage_date, wanted);
  }
  // The number of its deletion.
  std::uint64_t ask_to_delete(std::uint64_t sequence) {
    std::uint64_t deletion = 0;
    step([&](WriteTransaction& w) {
      deletion = must(w.request_deletion(sequence, request("delete"), now())).record.deleted_by();
    });
    return deletion;
  }
  void deliver(std::uint64_t sequence, std::int64_t at_ms = 60'000) {
    step([&](WriteTransaction& w) { must(w.deliver(sequence, "200", now(at_ms))); });
  }
  void park(std::uint64_t sequence) {
    step([&](WriteTransaction& w) { must(w.park(sequence, "400", now())); });
  }
  void withdraw(std::uint64_t sequence) {
    step([&](WriteTransaction& w) { must(w.withdraw(sequence, now())); });
  }
  std::vector<std::uint64_t> attempt(std::size_t at_most = 100, const char* upstream = "billing") {
    std::vector<std::uint64_t> sent;
    step([&](WriteTransaction& w) {
      for (const auto& one : must(w.begin_attempts(UpstreamName(upstream), now(), at_most)))
        sent.push_back(one.sequence);
    });
    return sent;
  }
  std::uint64_t delivered(const std::string& id, std::int64_t usage_date) {
    const auto sequence = create(id, usage_date);
    deliver(sequence);
    return sequence;
  }
  // Forgets all that has ended.
  std::size_t forget_all() {
    std::size_t gone = 0;
    step([&](WriteTransaction& w) { gone = must(w.prune_usages(INT64_MAX, 1'000)); });
    return gone;
  }
  bool is_listed_now(std::uint64_t sequence) { return is_listed(stored(sequence).record); }
  std::vector<std::uint64_t> in_outbox() const {
    std::vector<std::uint64_t> out;
    for (const auto& one : must(read_outbox(*journal_, 10'000))) out.push_back(one.sequence);
    return out;
  }
};

}  // namespace meterd::journal
