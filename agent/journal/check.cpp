// The full conservation check: every balance recomputed from the usages, and every index from what it points
// at.
#include <map>

#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

constexpr std::size_t kProblemsMax = 100;

std::string name_of(const meter::BucketKey& key) {
  return key.series.upstream.value() + "/" + key.series.subscription.value() + "/" +
         key.series.item_price.value() + "/" + key.day.iso();
}

class Check {
 public:
  explicit Check(const Transaction& txn) : txn_(txn) {}

  Result<CheckReport> run() {
    if (auto s = sum_usages(); !s) return s.error();
    if (auto s = compare_balances(); !s) return s.error();
    for (const auto& [key, sums] : sums_) problem(name_of(key) + " has usages and no balance");
    return std::move(report_);
  }

 private:
  void problem(std::string text) {
    if (report_.problems.size() < kProblemsMax) report_.problems.push_back(std::move(text));
  }

  Status sum_usages() {
    return txn_.scan(prefix(Kind::usage), "", [&](std::string_view key, std::string_view value) {
      auto payload = unwrap(key, value);
      auto sequence = parse_usage_key(key);
      UsageRecord record;
      if (!payload || !sequence ||
          !record.ParseFromArray(payload->data(), static_cast<int>(payload->size()))) {
        problem("a usage record cannot be read");
        return true;
      }
      ++report_.usages;
      const auto usage = usage_of(record);
      const auto state = state_of(record);
      if (auto* part = sums_[{usage.day, usage.series}].part(state)) *part += usage.quantity;
      check_indexes(*sequence, record);
      return true;
    });
  }

  void check_indexes(std::uint64_t sequence, const UsageRecord& record) {
    const auto usage = usage_of(record);
    auto by_id = load_number(txn_, usage_id_key(usage.id));
    if (!by_id || !by_id->has_value() || **by_id != sequence)
      problem("usage " + record.id() + " is not found by its id");
    auto by_date = load_number(txn_, taken_key(usage.series, usage.usage_date));
    if (!by_date || !by_date->has_value()) problem("usage " + record.id() + " does not hold its usage_date");
    if (has_ended(state_of(record))) return;
    auto entry = txn_.get(outbox_key(usage.series.upstream, outbox_entry(sequence, record)));
    if (!entry || !entry->has_value())
      problem("usage " + record.id() + " has no end and is not in the outbox");
    if (record.request().method().empty())
      problem("usage " + record.id() + " waits without an encoded request");
  }

  Status compare_balances() {
    return txn_.scan(prefix(Kind::balance), "", [&](std::string_view key, std::string_view value) {
      auto bucket = parse_balance_key(key);
      auto payload = unwrap(key, value);
      auto balance = payload ? decode_balance(*payload) : Result<Balance>(payload.error());
      if (!bucket || !balance) {
        problem("a balance record cannot be read");
        return true;
      }
      ++report_.balances;
      compare(*bucket, *balance);
      return true;
    });
  }

  void compare(const meter::BucketKey& key, const Balance& b) {
    Balance sums;
    if (const auto found = sums_.find(key); found != sums_.end()) {
      sums = found->second;
      sums_.erase(found);
    }
    if (!b.holds()) problem(name_of(key) + ": accepted is not the sum of its parts");
    if (b.waiting != sums.waiting || b.in_doubt != sums.in_doubt || b.parked != sums.parked ||
        b.delivered + b.withdrawn != sums.delivered + sums.withdrawn + b.pruned)
      problem(name_of(key) + ": its parts are not the sums of its usages");
    if (b.open_events > 0) {
      auto due = txn_.get(seal_due_key(b.seal_due_s, key));
      if (!due || !due->has_value()) problem(name_of(key) + ": an open bucket that no seal will find");
    } else if (!b.open.is_zero()) {
      problem(name_of(key) + ": an open quantity without events");
    }
    report_.accepted += b.accepted;
    report_.open += b.open;
    report_.waiting += b.waiting;
    report_.in_doubt += b.in_doubt;
    report_.parked += b.parked;
    report_.delivered += b.delivered;
    report_.withdrawn += b.withdrawn;
    report_.set_aside += b.set_aside;
  }

  const Transaction& txn_;
  CheckReport report_;
  std::map<meter::BucketKey, Balance> sums_;  // grows with the days that are kept
};

}  // namespace

Result<Inspection> inspect_file(const std::string& data_path) {
  auto environment = Environment::open_read_only(data_path);
  if (!environment) return environment.error();
  auto txn = (*environment)->begin_read();
  if (!txn) return txn.error();
  auto stamp = load<v0::Stamp>(*txn, stamp_key());
  if (!stamp) return stamp.error();
  if (!stamp->has_value()) return Error{Code::corrupt, "it holds no journal of meterd"};
  if (auto known = check_stamp(**stamp); !known) return known.error();
  auto report = Check(*txn).run();
  if (!report) return report.error();
  return Inspection{(*stamp)->epoch(), WallTime{Milliseconds((*stamp)->created_at_ms())}, std::move(*report)};
}

Result<CheckReport> check_journal(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  return Check(*txn).run();
}

}  // namespace meterd::journal
