// The full check. One walk over all keys, in transactions of a bounded number of records; each record is
// compared with its neighbours, which are looked up: a usage with its indexes, a balance with the usages of
// its day. Nothing is remembered but what is wrong.
#include <map>

#include "agent/journal/audit.hpp"
#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

constexpr std::size_t kListedMax = 100;
constexpr std::size_t kRecordsAtOnce = 2'000;

bool may_be_credited(const std::string& credited, const Quantity& charged) {
  const auto sum = Quantity::parse_total(credited);
  return sum && !sum->is_negative() && *sum <= charged;
}

class Check {
 public:
  using BeginRead = std::function<Result<Transaction>()>;
  explicit Check(BeginRead begin_read) : begin_read_(std::move(begin_read)) {}

  Result<CheckReport> run() {
    // First: what they belonged to is found on the way.
    if (auto s = walk(prefix(Kind::set_aside), &Check::note_set_aside); !s) return s.error();
    if (auto s = walk("", &Check::check_record); !s) return s.error();
    for (const auto& [sequence, lost] : lost_usages_) list_lost(sequence, lost);
    return std::move(report_);
  }

 private:
  struct LostUsage {
    std::string id, place;
  };
  using Visit = Status (Check::*)(const Transaction&, std::string_view, std::string_view);

  Status walk(const std::string& prefix, Visit visit) {
    std::string from;
    for (bool more = true; more;) {
      auto txn = begin_read_();
      if (!txn) return txn.error();
      std::size_t visited = 0;
      Status failed;
      std::string last;
      auto scanned = txn->scan(prefix, from, [&](std::string_view key, std::string_view value) {
        if (key == from) return true;
        failed = (this->*visit)(*txn, key, value);
        if (++visited == kRecordsAtOnce) last = key;
        return failed.ok() && visited < kRecordsAtOnce;
      });
      if (!scanned) return scanned;
      if (!failed) return failed;
      more = visited == kRecordsAtOnce;
      from = std::move(last);
    }
    return {};
  }

  void problem(std::string text) {
    if (report_.problems.size() < kListedMax) report_.problems.push_back(std::move(text));
  }

  Status note_set_aside(const Transaction&, std::string_view key, std::string_view) {
    const auto fields = parse_set_aside_key(key);
    if (!fields || lost_usages_.size() + report_.set_aside_records.size() >= kListedMax) return {};
    if (const auto sequence = parse_usage_key(fields->former_key))
      lost_usages_[*sequence];
    else
      report_.set_aside_records.push_back(describe_key(fields->former_key));
    return {};
  }

  // "usage number 17, ID, of billing/sub_1/sms-usd, usage_date 1795322730"
  void list_lost(std::uint64_t sequence, const LostUsage& lost) {
    report_.set_aside_records.push_back("usage " + (lost.id.empty() ? std::string() : lost.id + ", ") +
                                        "number " + std::to_string(sequence) +
                                        (lost.place.empty() ? "" : ", of " + lost.place));
  }

  Status check_record(const Transaction& txn, std::string_view key, std::string_view value) {
    const auto payload = unwrap(key, value);
    if (!payload) return unreadable(key);
    switch (static_cast<Kind>(key.front())) {
      case Kind::usage:
        return check_usage(txn, key, *payload);
      case Kind::balance:
        return check_balance(txn, key, *payload);
      case Kind::outbox:
        return check_outbox_entry(txn, key);
      case Kind::history:
        return check_history_entry(txn, key);
      case Kind::taken_date:
        return check_taken_date(txn, key, *payload);
      case Kind::usage_id:
        return check_usage_id(txn, key, *payload);
      case Kind::by_subscription: {
        const auto sequence = parse_by_subscription_key(key);
        return sequence ? check_points_at_usage(txn, key, *sequence) : unreadable(key);
      }
      case Kind::invoiced:
        return check_invoiced(txn, key);
      default:
        return {};
    }
  }

  Status unreadable(std::string_view key) {
    switch (static_cast<Kind>(key.front())) {
      case Kind::usage:
        problem("a usage record cannot be read: " + describe_key(key));
        return {};
      case Kind::balance:
        problem("a balance record cannot be read: " + describe_key(key));
        return {};
      default:
        problem("a record cannot be read: " + describe_key(key));
        return {};
    }
  }

  Status check_usage(const Transaction& txn, std::string_view key, std::string_view payload) {
    const auto sequence = parse_usage_key(key);
    UsageRecord record;
    if (!sequence || !record.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
      return unreadable(key);
    if (auto s = check_order(txn, *sequence, record); !s) return s;
    if (record.deletes() != 0) return check_place(txn, *sequence, record);
    ++report_.usages;
    const auto usage = usage_of(record);
    auto by_id = load_number(txn, usage_id_key(usage.id));
    if (!by_id || *by_id != *sequence) problem("usage " + record.id() + " is not found by its id");
    auto by_date = load_number(txn, taken_key(usage.series, usage.usage_date, *sequence));
    if (!by_date || *by_date != *sequence || !is_within(usage.day, usage.usage_date))
      problem("usage " + record.id() + " does not hold its usage_date");
    auto listed = txn.get(by_subscription_key(usage.series.subscription, *sequence));
    if (!listed || !listed->has_value())
      problem("usage " + record.id() + " is missing among those of its subscription");
    if (!record.invoice_id().empty()) {
      auto invoiced = txn.get(invoiced_key(record, *sequence));
      if (!invoiced || !invoiced->has_value())
        problem("usage " + record.id() + " is missing among those of its invoice");
    }
    if (usage.charge && !adds_up(usage.quantity, *usage.charge))
      problem("usage " + record.id() + ": its amount is not what its quantity costs");
    if (!record.credited().empty() && !may_be_credited(record.credited(), usage.quantity))
      problem("usage " + record.id() + ": more of it is credited than it charged");
    const meter::BucketKey bucket{usage.day, usage.series};
    auto balance = txn.get(balance_key(bucket));
    if (!balance) return balance.error();
    if (!balance->has_value()) problem(place_of(bucket) + " has usages and no balance");
    return check_place(txn, *sequence, record);
  }

  Status check_place(const Transaction& txn, std::uint64_t sequence, const UsageRecord& record) {
    if (has_ended(state_of(record))) {
      auto kept = txn.get(history_key(record.ended_at_ms() / 1'000, sequence));
      if (!kept) return kept.error();
      if (is_in_history(record) && !kept->has_value())
        problem("usage " + record.id() + " has ended and will never be forgotten");
      return {};
    }
    auto entry = txn.get(outbox_key(UpstreamName(record.upstream()), outbox_entry(sequence, record)));
    if (!entry || !entry->has_value())
      problem("usage " + record.id() + " has no end and is not in the outbox");
    if (record.request().method().empty())
      problem("usage " + record.id() + " waits without an encoded request");
    return {};
  }

  // Who waits behind another one is let go by it, and a usage that is to be deleted has a deletion.
  Status check_order(const Transaction& txn, std::uint64_t sequence, const UsageRecord& record) {
    const auto is_open = [&](std::uint64_t other, auto&& names_it) -> Result<bool> {
      auto stored = load<UsageRecord>(txn, usage_key(other));
      if (!stored && stored.error().code == Code::corrupt) return true;  // named as one that cannot be read
      if (!stored) return stored.error();
      return stored->has_value() && !has_ended(state_of(**stored)) && names_it(**stored);
    };
    if (record.behind() != 0) {
      auto open =
          is_open(record.behind(), [&](const auto& other) { return other.followed_by() == sequence; });
      if (!open) return open.error();
      if (!*open) problem("usage " + record.id() + " waits for one that will not let it go");
    }
    if (record.deleted_by() != 0 && state_of(record) != UsageState::withdrawn) {
      auto open =
          is_open(record.deleted_by(), [&](const auto& other) { return other.deletes() == sequence; });
      if (!open) return open.error();
      if (!*open) problem("usage " + record.id() + " is to be deleted and has no deletion");
    }
    return {};
  }

  Status check_balance(const Transaction& txn, std::string_view key, std::string_view payload) {
    const auto bucket = parse_balance_key(key);
    const auto balance = decode_balance(payload);
    if (!bucket || !balance) return unreadable(key);
    ++report_.balances;
    const auto& b = *balance;
    if (!b.holds()) problem(place_of(*bucket) + ": accepted is not the sum of its parts");
    auto sums = sum_usages(txn, *bucket);
    if (!sums) return sums.error();
    if (missing_from(b, *sums).any())
      problem(place_of(*bucket) + ": its parts are not the sums of its usages");
    if (b.open_events > 0) {
      auto due = txn.get(seal_due_key(b.seal_due_s, *bucket));
      if (!due || !due->has_value()) problem(place_of(*bucket) + ": an open bucket that no seal will find");
    } else if (!b.open.is_zero()) {
      problem(place_of(*bucket) + ": an open quantity without events");
    }
    add(b);
    return {};
  }

  void add(const Balance& b) {
    report_.accepted += b.accepted;
    report_.open += b.open;
    report_.waiting += b.waiting;
    report_.in_doubt += b.in_doubt;
    report_.parked += b.parked;
    report_.delivered += b.delivered;
    report_.withdrawn += b.withdrawn;
    report_.set_aside += b.set_aside;
  }

  Status check_outbox_entry(const Transaction& txn, std::string_view key) {
    const auto fields = parse_outbox_key(key);
    if (!fields) return unreadable(key);
    auto record = load<UsageRecord>(txn, usage_key(fields->entry.sequence));
    if (!record && record.error().code == Code::corrupt) return {};  // named as a usage that cannot be read
    if (!record) return record.error();
    if (!record->has_value() || has_ended(state_of(**record)) ||
        outbox_key(fields->upstream, outbox_entry(fields->entry.sequence, **record)) != key)
      problem("an entry of the outbox that is no usage's: " + describe_key(key));
    return {};
  }

  Status check_history_entry(const Transaction& txn, std::string_view key) {
    const auto fields = parse_history_key(key);
    if (!fields) return unreadable(key);
    auto record = load<UsageRecord>(txn, usage_key(fields->sequence));
    if (!record && record.error().code == Code::corrupt) return {};  // named as a usage that cannot be read
    if (!record) return record.error();
    if (!record->has_value()) return check_points_at_usage(txn, key, fields->sequence);
    if (!is_in_history(**record) || history_key((*record)->ended_at_ms() / 1'000, fields->sequence) != key)
      problem("an entry of the history that is no usage's: " + describe_key(key));
    return {};
  }

  Status check_invoiced(const Transaction& txn, std::string_view key) {
    const auto sequence = parse_invoiced_key(key);
    if (!sequence) return unreadable(key);
    auto record = load<UsageRecord>(txn, usage_key(*sequence));
    if (!record && record.error().code == Code::corrupt) return {};  // named as a usage that cannot be read
    if (!record) return record.error();
    if (!record->has_value()) return check_points_at_usage(txn, key, *sequence);
    if ((*record)->invoice_id().empty() || invoiced_key(**record, *sequence) != key)
      problem("an invoice names a usage that is not part of it: " + describe_key(key));
    return {};
  }

  Status check_taken_date(const Transaction& txn, std::string_view key, std::string_view payload) {
    const auto taken = parse_taken_key(key);
    const auto sequence = parse_number(payload);
    if (!taken || !sequence) return unreadable(key);
    if (const auto lost = lost_usages_.find(*sequence); lost != lost_usages_.end()) {
      lost->second.place = place_of(taken->series) + ", usage_date " + std::to_string(taken->usage_date);
      return {};
    }
    return check_points_at_usage(txn, key, *sequence);
  }

  Status check_usage_id(const Transaction& txn, std::string_view key, std::string_view payload) {
    const auto sequence = parse_number(payload);
    if (!sequence) return unreadable(key);
    if (const auto lost = lost_usages_.find(*sequence); lost != lost_usages_.end()) {
      lost->second.id = key.substr(2);  // kind, length, text
      return {};
    }
    return check_points_at_usage(txn, key, *sequence);
  }

  Status check_points_at_usage(const Transaction& txn, std::string_view key, std::uint64_t sequence) {
    auto raw = txn.get(usage_key(sequence));
    if (!raw) return raw.error();
    if (!raw->has_value() && !is_set_aside(txn, sequence))
      problem("a record names a usage that there is not: " + describe_key(key));
    return {};
  }

  // One that was set aside since this check began, or beyond those that are listed.
  static bool is_set_aside(const Transaction& txn, std::uint64_t sequence) {
    bool found = false;
    const auto former = usage_key(sequence);
    auto scanned = txn.scan(prefix(Kind::set_aside), "", [&](std::string_view key, std::string_view) {
      const auto fields = parse_set_aside_key(key);
      found = fields && fields->former_key == former;
      return !found;
    });
    return scanned.ok() && found;
  }

  BeginRead begin_read_;
  CheckReport report_;
  std::map<std::uint64_t, LostUsage> lost_usages_;  // at most kListedMax
};

}  // namespace

Result<Inspection> inspect_file(const std::string& data_path) {
  auto environment = Environment::open_read_only(data_path);
  if (!environment) return environment.error();
  Inspection out;
  {
    auto txn = (*environment)->begin_read();
    if (!txn) return txn.error();
    auto stamp = load<v0::Stamp>(*txn, stamp_key());
    if (!stamp) return stamp.error();
    if (!stamp->has_value()) return Error{Code::corrupt, "it holds no journal of meterd"};
    if (auto known = check_stamp(**stamp); !known) return known.error();
    out.epoch = (*stamp)->epoch();
    out.made = WallTime{Milliseconds((*stamp)->created_at_ms())};
  }
  auto report = Check([&] { return (*environment)->begin_read(); }).run();
  if (!report) return report.error();
  out.report = std::move(*report);
  return out;
}

Result<CheckReport> check_journal(const Journal& journal) {
  return Check([&] { return journal.begin_read(); }).run();
}

}  // namespace meterd::journal
