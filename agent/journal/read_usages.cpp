// Lists of usages. Filters are looked at record by record, and a page gives up after a bounded number of
// them. In order of creation a walk along the usages, or along those of the subscription; in order of
// usage_date the dates of each series are merged.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>

#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

using Order = UsageQuery::Order;
using Place = UsageQuery::Place;

constexpr std::size_t kRecordsAPage = 5'000;
constexpr std::size_t kReservedMax = 100;
constexpr std::size_t kPlacesAtOnce = 11;  // of each series, in order of date: a page of the default limit
constexpr std::size_t kPlacesAPage = 100'000;  // which costs some milliseconds

bool fits(const TextFilter& filter, const std::string& value) {
  return (!filter.is || value == *filter.is) && (!filter.is_not || value != *filter.is_not) &&
         (!filter.starts_with || value.starts_with(*filter.starts_with));
}

bool fits(const UsageQuery& query, const UsageRecord& record) {
  const bool has_invoice = !record.invoice_id().empty();
  return is_listed(record) && record.usage_date() >= query.first_date &&
         record.usage_date() <= query.last_date && fits(query.subscription, record.subscription_id()) &&
         fits(query.item_price, record.item_price_id()) && fits(query.id, record.id()) &&
         fits(query.invoice, record.invoice_id()) && query.has_invoice.value_or(has_invoice) == has_invoice &&
         query.sources.contains(static_cast<UsageSource>(record.source())) &&
         (!query.upstream || record.upstream() == query.upstream->value()) &&
         !query.hidden.contains(UpstreamName(record.upstream()));
}

// Half of a record is the request that an upstream is sent, which no list shows: cut out before it is parsed,
// a page costs a third less (measured).
bool read_without_request(std::string_view payload, std::string& buffer, UsageRecord& out) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(payload.data()),
                                               static_cast<int>(payload.size()));
  buffer.clear();
  for (;;) {
    const auto from = static_cast<std::size_t>(input.CurrentPosition());
    const auto tag = input.ReadTag();
    if (tag == 0) break;
    if (!WireFormatLite::SkipField(&input, tag)) return false;
    if (WireFormatLite::GetTagFieldNumber(tag) != UsageRecord::kRequestFieldNumber)
      buffer.append(payload, from, static_cast<std::size_t>(input.CurrentPosition()) - from);
  }
  return out.ParseFromString(buffer);
}

// Takes places in the order of the query until the page is full, or nothing more is to be looked at.
class Pager {
 public:
  Pager(const Transaction& txn, const UsageQuery& query) : txn_(txn), query_(query) {
    page_.usages.reserve(std::min(query.limit, kReservedMax) + 1);
    page_.usages.emplace_back();
  }

  bool take(const Place& place) {  // false: enough
    auto& candidate = page_.usages.back();
    const bool wanted = read(place.sequence, candidate.record) && fits(query_, candidate.record);
    if (wanted && page_.usages.size() > query_.limit) {  // there is one more
      page_.next = last_;
      return false;
    }
    if (wanted) {
      candidate.sequence = place.sequence;
      page_.usages.emplace_back();
    }
    last_ = place;
    if (++looked_at_ < kRecordsAPage) return true;
    give_up();
    return false;
  }
  void give_up() {
    page_.next = last_;
    page_.gave_up = true;
  }
  UsagePage page() {
    page_.usages.pop_back();
    return std::move(page_);
  }

 private:
  bool read(std::uint64_t sequence, UsageRecord& out) {
    const auto key = usage_key(sequence);
    const auto raw = txn_.get(key);
    if (!raw || !raw->has_value()) return false;
    const auto payload = unwrap(key, **raw);
    return payload && read_without_request(*payload, buffer_, out);
  }

  const Transaction& txn_;
  const UsageQuery& query_;
  std::string buffer_;
  UsagePage page_;  // its last usage is the next candidate: records cost more to move than to read
  std::optional<Place> last_;
  std::size_t looked_at_ = 0;
};

Status walk_created(const Transaction& txn, const UsageQuery& query, Pager& pager) {
  const auto& of = query.subscription.is;
  const auto key_of = [&](std::uint64_t sequence) {
    return of ? by_subscription_key(SubscriptionId(*of), sequence) : usage_key(sequence);
  };
  const auto walked = of ? by_subscription_prefix(SubscriptionId(*of)) : prefix(Kind::usage);
  const auto from = query.after ? key_of(query.after->sequence) : std::string();
  return txn.scan(walked, from, [&](std::string_view key, std::string_view) {
    if (key == from) return true;
    const auto sequence = of ? parse_by_subscription_key(key) : parse_usage_key(key);
    return !sequence || pager.take({0, *sequence});
  });
}

// Every series that has dates, by leaps from one to the next.
Result<std::vector<meter::SeriesKey>> series_of(const Transaction& txn, const UsageQuery& query) {
  std::vector<meter::SeriesKey> out;
  std::string from = prefix(Kind::taken_date);
  for (bool more = true; more;) {
    more = false;
    auto scanned = txn.scan(prefix(Kind::taken_date), from, [&](std::string_view key, std::string_view) {
      auto fields = parse_taken_key(key);
      if (!fields) return true;  // unreadable: set aside when its turn comes
      more = true;
      const auto& wanted = query.subscription.is;
      const auto& series = fields->series;
      if (!wanted || series.subscription.value() == *wanted) {
        if (fits(query.item_price, series.item_price.value()) &&
            fits(query.subscription, series.subscription.value()) && !query.hidden.contains(series.upstream))
          out.push_back(series);
        from = taken_behind(series);
        return false;
      }
      // To the subscription, if it lies ahead at this upstream; else to the next upstream.
      auto ahead = taken_prefix(series.upstream, SubscriptionId(*wanted));
      from = ahead > key ? std::move(ahead) : taken_behind(series.upstream);
      return false;
    });
    if (!scanned) return scanned.error();
  }
  return out;
}

bool comes_before(const UsageQuery& query, const Place& a, const Place& b) {
  const auto ascending = std::pair(a.date, a.sequence) < std::pair(b.date, b.sequence);
  return query.order == Order::date ? ascending
                                    : std::pair(b.date, b.sequence) < std::pair(a.date, a.sequence);
}

// Of one series, up to `at_most` places behind `after`, in the order of the query.
Status gather(const Transaction& txn, const meter::SeriesKey& series, const UsageQuery& query,
              const std::optional<Place>& after, std::size_t at_most, std::vector<Place>& out) {
  std::size_t found = 0;
  const auto visit = [&](std::string_view key, std::string_view) {
    const auto fields = parse_taken_key(key);
    if (!fields) return true;
    const Place place{fields->usage_date, fields->sequence};
    if (place.date > query.last_date || place.date < query.first_date) return false;
    if (after && !comes_before(query, *after, place)) return true;
    out.push_back(place);
    return ++found < at_most;
  };
  // `after` may be from a query with other dates.
  if (query.order == Order::date) {
    const auto first = after ? std::max(after->date, query.first_date) : query.first_date;
    return txn.scan(taken_prefix(series), taken_prefix(series, first), visit);
  }
  const auto last = after ? std::min(after->date, query.last_date) : query.last_date;
  return txn.scan_back(taken_prefix(series), last < INT64_MAX ? taken_prefix(series, last + 1) : "", visit);
}

Status walk_dates(const Transaction& txn, const UsageQuery& query, Pager& pager) {
  const auto series = series_of(txn, query);
  if (!series) return series.error();
  const std::size_t at_once = std::max(query.limit + 1, kPlacesAtOnce);
  std::size_t gathered = 0;
  for (auto after = query.after;;) {
    std::vector<Place> places;
    for (const auto& one : *series)
      if (auto s = gather(txn, one, query, after, at_once, places); !s) return s;
    const auto count = std::min(at_once, places.size());
    const auto end = places.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(places.begin(), end, places.end(),
                      [&](const Place& a, const Place& b) { return comes_before(query, a, b); });
    for (std::size_t i = 0; i < count; ++i)
      if (!pager.take(places[i])) return {};
    if (count < at_once) return {};
    gathered += places.size();
    if (gathered > kPlacesAPage) {
      pager.give_up();
      return {};
    }
    after = places[count - 1];
  }
}

// At most one: its id says which.
Result<UsagePage> read_one(const Transaction& txn, const UsageQuery& query) {
  UsagePage page;
  auto sequence = load_number(txn, usage_id_key(UsageId(*query.id.is)));
  if (!sequence) return sequence.error();
  if (!sequence->has_value() || query.after) return page;
  auto record = load<UsageRecord>(txn, usage_key(**sequence));
  if (!record) return record.error();
  if (record->has_value() && fits(query, **record)) page.usages.push_back({**sequence, std::move(**record)});
  return page;
}

}  // namespace

bool is_listed(const UsageRecord& record) {
  const auto state = state_of(record);
  return record.deletes() == 0 && record.deleted_by() == 0 && state != UsageState::withdrawn &&
         state != UsageState::superseded;
}

Result<UsagePage> WriteTransaction::usages(const UsageQuery& query) const {
  for (const auto* text : {&query.id.is, &query.subscription.is})
    if (*text && (*text)->size() > UINT8_MAX) return UsagePage{};  // longer than any that is kept
  if (query.id.is) return read_one(txn_, query);
  Pager pager(txn_, query);
  auto walked =
      query.order == Order::created ? walk_created(txn_, query, pager) : walk_dates(txn_, query, pager);
  if (!walked) return walked.error();
  return pager.page();
}

Result<UsagePage> read_usages(const Journal& journal, const UsageQuery& query) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  return WriteTransaction(std::move(*txn)).usages(query);
}

}  // namespace meterd::journal
