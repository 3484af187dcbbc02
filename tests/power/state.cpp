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

constexpr std::size_t kChecksum = 4;  // covers the key, so it goes with what is left out of that

bool is_id_block(std::string_view key) { return key.front() == static_cast<char>(Kind::id_block); }

std::string_view lasting_key(std::string_view key) { return is_id_block(key) ? key.substr(0, 1) : key; }

std::string lasting_value(std::string_view key, std::string_view value) {
  if (is_id_block(key)) return std::string(value.substr(kChecksum));
  if (key != journal::general_key()) return std::string(value);
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
  auto scanned = txn->scan("", "", [&](std::string_view key, std::string_view value) {
    append(state.records, key);
    append(state.records, value);
    append(state.lasting, lasting_key(key));
    append(state.lasting, lasting_value(key, value));
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

Result<std::string> asked_again(const Journal& journal) {
  auto outbox = journal::read_outbox(journal, 10'000);
  if (!outbox) return outbox.error();
  for (const auto& stored : *outbox)
    if (journal::state_of(stored.record) == journal::UsageState::waiting &&
        stored.record.last_error() == journal::kNoAnswerKnown)
      return stored.record.id();
  return std::string();
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
