#include "agent/journal/holdings.hpp"

#include <map>
#include <utility>

#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

constexpr std::size_t kPlacesMax = 200;

// What cannot be read is passed over: fsck names it.
class Sum {
 public:
  explicit Sum(const Transaction& txn) : txn_(txn) {}

  Result<Holdings> run() {
    const auto each = [this](Kind kind, void (Sum::*add)(std::string_view, std::string_view)) {
      return txn_.scan(prefix(kind), "", [this, add](std::string_view key, std::string_view value) {
        if (const auto payload = unwrap(key, value)) (this->*add)(key, *payload);
        return true;
      });
    };
    if (auto s = each(Kind::balance, &Sum::add_balance); !s) return s.error();
    if (auto s = each(Kind::slice, &Sum::add_slice); !s) return s.error();
    if (auto s = each(Kind::outbox, &Sum::add_usage); !s) return s.error();
    for (auto& [place, holding] : places_) out_.rows.push_back(std::move(holding));
    return std::move(out_);
  }

 private:
  Holding* place(const meter::SeriesKey& series) {
    const std::pair key{series.upstream, series.item_price};
    auto found = places_.find(key);
    if (found == places_.end()) {
      out_.truncated = out_.truncated || places_.size() == kPlacesMax;
      if (places_.size() == kPlacesMax) return nullptr;
      found = places_.emplace(key, Holding{series.upstream, series.item_price, {}, {}}).first;
    }
    return &found->second;
  }

  void add_balance(std::string_view key, std::string_view payload) {
    const auto bucket = parse_balance_key(key);
    const auto balance = decode_balance(payload);
    if (!bucket || !balance) return;
    auto* const at = place(bucket->series);
    if (at == nullptr) return;
    at->undelivered +=
        balance->open + balance->waiting + balance->in_doubt + balance->parked + balance->set_aside;
    at->delivered += balance->delivered;
    if (balance->open_events > 0) ++at->buckets;
  }

  void add_slice(std::string_view key, std::string_view payload) {
    const auto fields = parse_slice_key(key);
    v0::Slice slice;
    if (!fields || !slice.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
    const auto quantity = Quantity::parse_total(slice.quantity());
    auto* const at = place(fields->series);
    if (quantity && at != nullptr) at->undelivered += *quantity;
  }

  void add_usage(std::string_view key, std::string_view) {
    const auto fields = parse_outbox_key(key);
    if (!fields) return;
    const auto record = load<UsageRecord>(txn_, usage_key(fields->entry.sequence));
    if (!record || !record->has_value()) return;
    if (auto* const at = place(usage_of(**record).series))
      ++((*record)->deletes() != 0 ? at->deletions : at->usages);
  }

  const Transaction& txn_;
  Holdings out_;
  std::map<std::pair<UpstreamName, ItemPriceId>, Holding> places_;
};

}  // namespace

Result<Holdings> read_holdings(const std::string& data_path) {
  auto environment = Environment::open_read_only(data_path);
  if (!environment) return environment.error();
  auto txn = (*environment)->begin_read();
  if (!txn) return txn.error();
  return Sum(*txn).run();
}

}  // namespace meterd::journal
