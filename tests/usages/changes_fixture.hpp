// What callers of the Usages API ask for, on a real journal. After each change the whole journal is checked.
#pragma once

#include <memory>
#include <string>

#include "agent/upstream/chargebee/chargebee.hpp"
#include "agent/usages/changes.hpp"
#include "tests/journal/caller_fixture.hpp"

namespace meterd::usages {

using journal::must;
using journal::q;
using journal::UsageState;
using journal::WriteTransaction;

class ChangesTest : public journal::CallerTest {
 protected:
  ChangesTest() {
    auto context = std::make_shared<flush::SealContext>();
    for (const char* name : {"billing", "marketplace"})
      context->targets[UpstreamName(name)] = {
          UpstreamName(name), upstream::chargebee::make(std::string("/") + name), {}};
    rules_.upstream = UpstreamName("billing");
    rules_.context = context;
    rules_.zone = must(meter::TimeZone::load("UTC"));
  }

  static Draft draft(const std::string& id = "u1", std::int64_t usage_date = kMidnight) {
    Draft out;
    out.subscription = SubscriptionId("sub_1");
    out.item_price = ItemPriceId("sms-usd");
    if (!id.empty()) out.id = UsageId(id);
    out.usage_date = usage_date;
    out.quantity = q("5");
    out.given_quantity = "5.00";
    return out;
  }

  Change create(const Draft& wanted, const IdempotencyKey& key = {}) {
    return change([&](WriteTransaction& w, const Surroundings& around) {
      return usages::create(w, wanted, key, around);
    });
  }
  Change remove(const std::string& id, const IdempotencyKey& key = {}, const std::string& of = "sub_1") {
    return change([&](WriteTransaction& w, const Surroundings& around) {
      return usages::remove(w, {SubscriptionId(of), UsageId(id)}, key, around);
    });
  }
  Change answer_once(const std::string& text, const IdempotencyKey& key) {
    return change([&](WriteTransaction& w, const Surroundings& around) {
      return usages::answer_once(w, key, text, around);
    });
  }
  // "done", "replayed", or why not, with the parameter.
  static std::string text(const Change& change) {
    static constexpr const char* kWhys[] = {
        "key_reused",    "unknown_subscription", "unknown_item_price", "not_metered", "duplicate_id",
        "date_taken",    "lifetime_limit",       "not_found",          "invoiced",    "in_doubt",
        "not_changeable"};
    if (!change.refusal) return change.replayed ? "replayed" : "done";
    EXPECT_FALSE(change.refusal->message.empty());
    return kWhys[static_cast<std::size_t>(change.refusal->why)] + std::string(" ") + change.refusal->param;
  }
  std::string created(const Draft& wanted, const IdempotencyKey& key = {}) {
    return text(create(wanted, key));
  }
  std::string removed(const std::string& id, const IdempotencyKey& key = {}) { return text(remove(id, key)); }

  journal::StoredUsage found(const std::string& id) {
    return must(journal::read_usage(*journal_, UsageId(id))).value();
  }
  UsageState state_of(const std::string& id) { return journal::state_of(found(id).record); }
  journal::Moment later(std::int64_t seconds) const { return now(60'000 + seconds * 1'000); }
  journal::Moment untrusted() const {
    auto out = now();
    out.wall = WallTime::from_seconds(20);
    out.trusted = false;
    return out;
  }
  void trusted_time_is(const journal::Moment& moment) {
    step([&](WriteTransaction& w) { must(w.put_last_trusted(moment)); });
  }

  Rules rules_;
  std::optional<journal::Moment> at_;  // none: now

  template <class Apply>
  Change change(Apply&& apply) {
    Change out;
    const Render render = [](const journal::UsageRecord& record) {
      return record.id() + " " + std::to_string(record.resource_version());
    };
    const UsageId fresh("fresh-" + std::to_string(++fresh_));
    step([&](WriteTransaction& w) {
      out = must(apply(w, Surroundings{rules_, render, at_.value_or(now()), fresh}));
    });
    return out;
  }

 private:
  int fresh_ = 0;
};

}  // namespace meterd::usages
