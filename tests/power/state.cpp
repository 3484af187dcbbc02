#include "tests/power/state.hpp"

#include "agent/journal/records.hpp"

namespace meterd::power {

using journal::Journal;
using journal::Kind;

namespace {

void append(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

std::string without_boot(std::string_view key, std::string_view value) {
  auto payload = journal::unwrap(key, value);
  journal::v0::General general;
  if (!payload || !general.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
    return "unreadable";
  general.clear_boot_number();
  general.clear_boot_id();
  return general.SerializeAsString();
}

}  // namespace

Result<State> read_state(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  State state;
  const auto general = journal::general_key();
  auto scanned = txn->scan("", "", [&](std::string_view key, std::string_view value) {
    append(state.records, key);
    append(state.records, value);
    append(state.of_any_boot, key);
    append(state.of_any_boot, key == general ? without_boot(key, value) : std::string(value));
    return true;
  });
  if (!scanned) return scanned.error();
  return state;
}

Result<bool> is_fresh(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::string kinds;
  auto scanned = txn->scan("", "", [&](std::string_view key, auto) {
    kinds += key.front();
    return true;
  });
  if (!scanned) return scanned.error();
  return kinds == "AG";
}

Result<Quantity> counted(const Journal& journal) {
  auto report = journal::check_journal(journal);
  if (!report) return report.error();
  Quantity sum = report->accepted;
  auto undated = journal::read_undated(journal, 100'000);
  if (!undated) return undated.error();
  for (const auto& row : *undated) sum += row.tally.quantity;
  return sum;
}

Result<std::string> identities(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  std::string out;
  auto scanned =
      txn->scan(journal::prefix(Kind::usage), "", [&](std::string_view key, std::string_view value) {
        auto payload = journal::unwrap(key, value);
        journal::UsageRecord usage;
        if (!payload || !usage.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
          return true;
        append(out, usage.id());
        append(out, std::to_string(usage.usage_date()));
        append(out, usage.quantity());
        append(out, usage.request().SerializeAsString());
        return true;
      });
  if (!scanned) return scanned.error();
  return out;
}

}  // namespace meterd::power
