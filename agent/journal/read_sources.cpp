// How far the sources were read, and what they missed.
#include "agent/journal/read.hpp"
#include "agent/journal/records.hpp"

namespace meterd::journal {
namespace {

template <class Message>
Status read_kind(const Transaction& txn, Kind kind, std::map<std::string, Message>& out) {
  return txn.scan(prefix(kind), "", [&](std::string_view key, std::string_view value) {
    const auto name = parse_source_key(key);
    const auto payload = unwrap(key, value);
    Message message;
    if (name && payload && message.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
      out.emplace(*name, std::move(message));
    return true;
  });
}

}  // namespace

Result<KeptOfSources> read_sources(const Journal& journal) {
  auto txn = journal.begin_read();
  if (!txn) return txn.error();
  KeptOfSources out;
  out.of_a_copy = journal.lineage().copies > 0;
  if (auto s = read_kind(*txn, Kind::counter, out.cursors); !s) return s.error();
  if (auto s = read_kind(*txn, Kind::source_gaps, out.gaps); !s) return s.error();
  return out;
}

}  // namespace meterd::journal
