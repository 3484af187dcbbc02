#include "tests/sim/usage_book.hpp"

#include <algorithm>

namespace meterd::sim {

UsageBook::Entry UsageBook::want(const BilledRecord& wanted) {
  rows_.push_back({wanted, Known::nothing});
  return rows_.size() - 1;
}

void UsageBook::created(Entry entry, const std::string& id) {
  auto& row = rows_[entry];
  if (id.empty() || (!row.wanted.id.empty() && row.wanted.id != id))
    complain("the usage " + row.wanted.id + " was answered as " + id);
  row.wanted.id = id;
  row.known = Known::created;
}

std::uint64_t UsageBook::count(Known known) const {
  return static_cast<std::uint64_t>(
      std::count_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.known == known; }));
}

void UsageBook::judge(Oracle::Seen& seen, const std::set<std::string>& kept, Oracle::Verdict& out) const {
  std::map<std::string, std::vector<BilledRecord>> ours;
  for (const auto& row : rows_)
    if (!row.wanted.id.empty()) ours[row.wanted.id] = {};
  for (auto* records : {&seen.billed, &seen.parked})
    std::erase_if(*records, [&](const BilledRecord& record) {
      const auto found = ours.find(record.id);
      if (found != ours.end()) found->second.push_back(record);
      return found != ours.end();
    });
  for (const auto& row : rows_) judge_row(row, ours[row.wanted.id], kept.contains(row.wanted.id), out);
  out.findings.insert(out.findings.end(), complaints_.begin(), complaints_.end());
}

void UsageBook::judge_row(const Row& row, const std::vector<BilledRecord>& found, bool kept,
                          Oracle::Verdict& out) const {
  const auto& wanted = row.wanted;
  const auto say = [&](const std::string& what) {
    out.findings.push_back("a caller's usage " + wanted.id + " of " + wanted.subscription + " " +
                           wanted.item_price + " at " + std::to_string(wanted.usage_date) + ": " + what);
  };
  if (row.known == Known::nothing) say("never answered");
  const bool there = row.known == Known::created || (row.known == Known::deleted && kept);
  const bool may_be = there || row.known == Known::nothing || row.known == Known::perhaps;
  const auto quantity = wanted.quantity_milli;
  if (there && found.empty()) {
    say("acknowledged, and not there");
    out.lost += quantity;
  }
  const std::size_t most = may_be ? 1 : 0;
  if (found.size() > most) {
    say(may_be ? "there more than once" : "deleted or refused, and there");
    out.doubled += quantity * static_cast<std::int64_t>(found.size() - most);
  }
  for (const auto& record : found) {
    if (record.quantity_milli != quantity) {
      say("billed with " + std::to_string(record.quantity_milli) + " instead of " + std::to_string(quantity));
      (record.quantity_milli < quantity ? out.lost : out.doubled) +=
          std::abs(record.quantity_milli - quantity);
    }
    if (record.usage_date != wanted.usage_date || record.subscription != wanted.subscription ||
        record.item_price != wanted.item_price) {
      say("billed as " + record.subscription + " " + record.item_price + " at " +
          std::to_string(record.usage_date));
      out.misdated += quantity;
    }
  }
  out.claimed += there ? quantity : 0;
}

}  // namespace meterd::sim
