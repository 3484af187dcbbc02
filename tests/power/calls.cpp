#include "tests/power/calls.hpp"

#include <algorithm>

#include "tests/power/workload.hpp"

namespace meterd::power {

using journal::Journal;
using journal::Moment;
using journal::UsageState;
using journal::WriteTransaction;

namespace {

constexpr std::int64_t kDaySeconds = 86'400;
constexpr Milliseconds kWindow{30 * 60'000};

Result<bool> answered(WriteTransaction& write, const std::string& key, const Moment& at) {
  if (at.trusted)
    if (auto dated = write.date_answers(at, 1'000); !dated) return dated.error();
  auto known = write.answered(key, kWindow);
  if (!known) return known.error();
  return known->has_value();
}

Status remember(WriteTransaction& write, const std::string& key, const std::string& answer,
                const Moment& at) {
  journal::v0::IdempotencyKey remembered;
  remembered.set_request_digest("digest of " + key);
  remembered.set_answer(answer);
  return write.remember_answer(key, std::move(remembered), kWindow, at);
}

struct Second {
  bool taken = false;
  std::uint64_t behind = 0;
};
Result<Second> look_at(const WriteTransaction& write, const meter::Usage& usage) {
  auto there = write.usages_at(usage.series, usage.usage_date);
  if (!there) return there.error();
  Second out;
  for (const auto& stored : *there) {
    if (journal::state_of(stored.record) == UsageState::withdrawn) continue;
    if (stored.record.deleted_by() != 0)
      out.behind = stored.record.deleted_by();
    else
      out.taken = true;
  }
  return out;
}

Result<std::string> give_up(WriteTransaction& write, const UsageId& id, const Moment& at) {
  auto found = write.find_usage(id);
  if (!found) return found.error();
  if (!found->has_value()) return std::string("forgotten");
  const auto& stored = **found;
  const auto state = journal::state_of(stored.record);
  if (stored.record.deleted_by() != 0 || state == UsageState::withdrawn || state == UsageState::superseded ||
      state == UsageState::in_doubt)
    return std::string("refused");
  const bool never_sent = state == UsageState::waiting && stored.record.attempts() == 0;
  if (never_sent || state == UsageState::parked) {
    if (auto s = write.withdraw(stored.sequence, at); !s) return s.error();
    return std::string("withdrawn");
  }
  const auto deletion = request(journal::usage_of(stored.record), true);
  auto asked = write.request_deletion(stored.sequence, deletion, at);
  if (!asked) return asked.error();
  return "asked to delete " + asked->record.id();
}

template <class Wanted>
std::vector<journal::UsageRecord> waiting(const Journal& now, Wanted wanted) {
  auto outbox = journal::read_outbox(now, 1'000);
  check(outbox.ok(), "the outbox can be read");
  std::vector<journal::UsageRecord> out;
  for (const auto& [sequence, record] : *outbox)
    if (journal::state_of(record) == UsageState::waiting && wanted(record)) out.push_back(record);
  return out;
}

}  // namespace

journal::RequestRecord request(const meter::Usage& usage, bool deletes) {
  journal::RequestRecord out;
  out.set_method("POST");
  out.set_target(deletes ? "/api/v2/subscriptions/sub_1/delete_usage" : "/api/v2/subscriptions/sub_1/usages");
  out.set_body("id=" + usage.id.value());
  if (!deletes)
    out.mutable_body()->append("&usage_date=" + std::to_string(usage.usage_date) +
                               "&quantity=" + usage.quantity.text() +
                               std::string(static_cast<std::size_t>(usage.events) % 200, '+'));
  return out;
}

Status create_once(WriteTransaction& write, meter::Usage usage, const std::string& key, const Moment& at) {
  auto before = answered(write, key, at);
  if (!before) return before.error();
  if (*before) return {};
  auto second = look_at(write, usage);
  while (second && second->taken) {
    ++usage.usage_date;
    second = look_at(write, usage);
  }
  if (!second) return second.error();
  auto created = write.create_usage({usage, request(usage), journal::v0::API, "UTC", second->behind}, at);
  if (!created) return created.error();
  return remember(write, key, created->record.id() + " at " + std::to_string(usage.usage_date), at);
}

Status delete_once(WriteTransaction& write, const UsageId& id, const std::string& key, const Moment& at) {
  auto before = answered(write, key, at);
  if (!before) return before.error();
  if (*before) return {};
  auto answer = give_up(write, id, at);
  if (!answer) return answer.error();
  return remember(write, key, *answer, at);
}

// Half of them correct a usage: on the second of one that is being deleted, if there is one.
Act Workload::create_by_a_caller(const Journal& now) {
  const auto number = std::to_string(++calls_);
  meter::Usage usage;
  usage.series = some_series();
  if (is_asked_once(usage.series.upstream)) usage.series.upstream = UpstreamName("billing");  // it deletes
  usage.day = UsageDay(static_cast<std::int32_t>(today_ - below(random_, 2)));
  usage.usage_date = std::int64_t{usage.day.days_since_epoch()} * kDaySeconds + 40'000;
  const auto deletions =
      waiting(now, [](const journal::UsageRecord& record) { return record.deletes() != 0; });
  if (!deletions.empty() && below(random_, 2) == 0)
    usage = journal::usage_of(deletions[below(random_, deletions.size())]);
  usage.id = UsageId("called-" + number);
  usage.quantity = some_quantity();
  given_ += usage.quantity;
  callers_ids_.push_back(usage.id.value());
  return {[usage, key = "create " + number, at = moment(boot_number_)](
              const Journal&, WriteTransaction& write) { return create_once(write, usage, key, at); },
          true};
}

// One that is being sent, sealed buckets too, or one of the last that callers created, whatever became of it.
Act Workload::delete_by_a_caller(const Journal& now) {
  const auto sent = waiting(now, [this](const journal::UsageRecord& record) {
    return record.deletes() == 0 && record.attempts() != 0 && !is_asked_once(UpstreamName(record.upstream()));
  });
  UsageId id("called-0");
  if (!sent.empty() && below(random_, 2) == 0) {
    id = UsageId(sent[below(random_, sent.size())].id());
  } else if (!callers_ids_.empty()) {
    const auto back = below(random_, std::min<std::size_t>(callers_ids_.size(), 8));
    id = UsageId(callers_ids_[callers_ids_.size() - 1 - back]);
  }
  return {[id, key = "delete " + std::to_string(++calls_), at = moment(boot_number_)](
              const Journal&, WriteTransaction& write) { return delete_once(write, id, key, at); },
          true};
}

}  // namespace meterd::power
