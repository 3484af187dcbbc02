#include "agent/journal/audit.hpp"

#include <algorithm>

#include "agent/journal/records.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {
namespace {

constexpr std::int64_t kSecondsOfADay = 86'400;

// Bytes of a key that may be damaged, fit for a terminal.
std::string printable(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      out.push_back(c);
    else
      (out += "\\x") += {kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return out;
}

// A key of one text, or empty.
std::string text_of(std::string_view key) {
  if (key.size() < 2 || static_cast<unsigned char>(key[1]) != key.size() - 2) return {};
  return printable(key.substr(2));
}

std::string describe_bucket_key(std::string_view key) {
  if (key.front() == static_cast<char>(Kind::balance)) {
    if (const auto bucket = parse_balance_key(key)) return "balance of " + place_of(*bucket);
  } else if (const auto due = parse_seal_due_key(key)) {
    return "time of the next seal of " + place_of(due->bucket);
  }
  return {};
}

std::string describe_usage_index(std::string_view key) {
  const auto kind = static_cast<Kind>(key.front());
  if (kind == Kind::usage_id && !text_of(key).empty()) return "id of usage " + text_of(key);
  if (const auto fields = parse_outbox_key(key); kind == Kind::outbox && fields)
    return "place in the outbox of " + fields->upstream.value() + " of usage number " +
           std::to_string(fields->entry.sequence);
  if (const auto fields = parse_history_key(key); kind == Kind::history && fields)
    return "place in the history of usage number " + std::to_string(fields->sequence);
  if (const auto taken = parse_taken_key(key); kind == Kind::taken_date && taken)
    return "usage_date " + std::to_string(taken->usage_date) + " of " + place_of(taken->series);
  return {};
}

std::string describe_source(std::string_view key) {
  const auto name = text_of(key);
  if (name.empty()) return {};
  switch (static_cast<Kind>(key.front())) {
    case Kind::counter:
      return "cursor of the counter " + name;
    case Kind::source_gaps:
      return "gaps of the source " + name;
    case Kind::producer:
      return "cursor of the producer " + name;
    case Kind::upstream:
      return "state of the upstream " + name;
    default:
      return {};
  }
}

// The two texts of a key of nothing else, or empty ones.
std::pair<std::string, std::string> texts_of(std::string_view key) {
  if (key.size() < 3) return {};
  const std::size_t second = 2U + static_cast<unsigned char>(key[1]);
  if (second >= key.size() || second + 1 + static_cast<unsigned char>(key[second]) != key.size()) return {};
  return {printable(key.substr(2, second - 2)), printable(key.substr(second + 1))};
}

// What the device's Usages API remembers.
std::string describe_remembered(std::string_view key) {
  const auto [first, second] = texts_of(key);
  switch (static_cast<Kind>(key.front())) {
    case Kind::idempotency_key:
      return text_of(key).empty() ? "" : "answer to the request with the key " + text_of(key);
    case Kind::key_expiry:
      if (const auto fields = parse_key_expiry_key(key))
        return "expiry of the answer to the request with the key " + printable(fields->key);
      return {};
    case Kind::subscription:
      return first.empty() ? "" : "number of usages of subscription " + first + "/" + second;
    case Kind::listed:
      return first.empty() ? "" : "configured item price " + second + " of subscription " + first;
    case Kind::by_subscription:
      if (const auto sequence = parse_by_subscription_key(key))
        return "place among those of its subscription of usage number " + std::to_string(*sequence);
      return {};
    case Kind::invoice:
      return text_of(key).empty() ? "" : "invoice " + text_of(key);
    case Kind::invoiced:
      if (const auto sequence = parse_invoiced_key(key))
        return "place on an invoice of usage number " + std::to_string(*sequence);
      return {};
    default:
      return {};
  }
}

std::string describe_whole(std::string_view key) {
  if (key.empty()) return "no key";
  switch (static_cast<Kind>(key.front())) {
    case Kind::stamp:
      return key.size() == 1 ? "the journal's stamp" : "";
    case Kind::general:
      return key.size() == 1 ? "the general record" : "";
    case Kind::usage:
      if (const auto sequence = parse_usage_key(key)) return "usage number " + std::to_string(*sequence);
      return {};
    case Kind::id_block:
      if (const auto number = parse_id_block_key(key))
        return "remembered event ids, block " + std::to_string(*number);
      return {};
    case Kind::slice:
      if (const auto slice = parse_slice_key(key))
        return "undated quantity of " + place_of(slice->series) + " of boot " +
               std::to_string(slice->boot_number);
      return {};
    case Kind::carry:
      if (const auto series = parse_carry_key(key)) return "what rounding left of " + place_of(*series);
      return {};
    case Kind::set_aside:
      return key.size() > 9 ? "set aside: " + describe_key(key.substr(9)) : "";
    case Kind::balance:
    case Kind::seal_due:
      return describe_bucket_key(key);
    case Kind::counter:
    case Kind::source_gaps:
    case Kind::producer:
    case Kind::upstream:
      return describe_source(key);
    case Kind::idempotency_key:
    case Kind::key_expiry:
    case Kind::subscription:
    case Kind::listed:
    case Kind::by_subscription:
    case Kind::invoice:
    case Kind::invoiced:
      return describe_remembered(key);
    default:
      return describe_usage_index(key);
  }
}

}  // namespace

std::int64_t utc_start_of(UsageDay day) { return std::int64_t{day.days_since_epoch()} * kSecondsOfADay; }

bool is_within(UsageDay day, std::int64_t usage_date) {
  const auto start = utc_start_of(day);
  return usage_date >= start - kDayBeginsAtMostBefore_s && usage_date < start + kDayEndsAtMostAfter_s;
}

Result<UsageSums> sum_usages(const Transaction& txn, const meter::BucketKey& bucket) {
  UsageSums out;
  const auto start = utc_start_of(bucket.day);
  Status failed;
  auto scanned = txn.scan(
      taken_prefix(bucket.series), taken_prefix(bucket.series, start - kDayBeginsAtMostBefore_s),
      [&](std::string_view key, std::string_view value) {
        const auto date = parse_taken_date(key);
        if (date && *date >= start + kDayEndsAtMostAfter_s) return false;
        const auto payload = unwrap(key, value);
        const auto sequence = payload ? parse_number(*payload) : Result<std::uint64_t>(payload.error());
        if (!date || !sequence) return true;  // another walk complains about it
        auto record = load<UsageRecord>(txn, usage_key(*sequence));
        if (!record && record.error().code != Code::corrupt) failed = record.error();
        if (!failed) return false;
        if (!record || !record->has_value() || (*record)->day() != bucket.day.days_since_epoch()) return true;
        const auto usage = usage_of(**record);
        if (usage.series != bucket.series || usage.usage_date != *date) return true;
        ++out.usages;
        out.next_revision = std::max(out.next_revision, usage.revision + 1);
        if (auto* part = out.parts.part(state_of(**record))) {
          *part += usage.quantity;
          out.events += usage.events;
        }
        return true;
      });
  if (!scanned) return scanned.error();
  if (!failed) return failed.error();
  return out;
}

Missing missing_from(const Balance& b, const UsageSums& sums) {
  const auto& s = sums.parts;
  return {b.waiting - s.waiting, b.in_doubt - s.in_doubt, b.parked - s.parked,
          b.delivered + b.withdrawn - b.pruned - s.delivered - s.withdrawn};
}

std::string place_of(const meter::SeriesKey& series) {
  return series.upstream.value() + "/" + series.subscription.value() + "/" + series.item_price.value();
}

std::string place_of(const meter::BucketKey& bucket) {
  return place_of(bucket.series) + "/" + bucket.day.iso();
}

std::string describe_key(std::string_view key) {
  const auto described = describe_whole(key);
  // A damaged key may still parse, into any bytes.
  return printable(described.empty() ? "a record whose key is unreadable: " + printable(key) : described);
}

}  // namespace meterd::journal
