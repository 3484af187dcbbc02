#include "agent/source/shared_counters/names.hpp"

#include <algorithm>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"
#include "agent/journal/schema.hpp"

namespace meterd::source {
namespace {

using platform::SharedMemory;

constexpr std::size_t kLengthBytes = 2;

void put_number(std::string& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8U * i)) & 255U));
}

std::uint64_t get_number(std::string_view bytes, std::size_t at, unsigned count) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < count; ++i)
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8U * i);
  return value;
}

// A record of another region or another place checks as little as a damaged one.
std::string key_of(const SharedMemory::Id& region, std::size_t record) {
  return platform::text_of(region) + "/" + std::to_string(record);
}

std::string record_of(const SharedMemory::Id& region, std::size_t record, const std::string& payload) {
  const auto value = journal::wrap(key_of(region, record), payload);
  std::string out;
  put_number(out, value.size(), kLengthBytes);
  out += value;
  check(out.size() <= kRecordBytes, "a name fits its record");
  return out;
}

// nullopt: nothing was written there. Empty: it is unreadable.
std::optional<std::string> payload_of(const SharedMemory::Id& region, std::size_t record,
                                      std::string_view bytes) {
  const auto size = get_number(bytes, 0, kLengthBytes);
  if (std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; })) return std::nullopt;
  if (size > bytes.size() - kLengthBytes) return std::string();
  const auto payload =
      journal::unwrap(key_of(region, record), bytes.substr(kLengthBytes, static_cast<std::size_t>(size)));
  return payload ? std::string(*payload) : std::string();
}

constexpr std::size_t kHeadBytes = 1 + 4 + 8 + 16;

std::optional<RegionHead> parse_head(std::string_view payload) {
  if (payload.size() < kHeadBytes) return std::nullopt;
  RegionHead head;
  head.done = payload[0] != 0;
  head.user = static_cast<std::uint32_t>(get_number(payload, 1, 4));
  head.made_at = BootTime{Milliseconds(static_cast<std::int64_t>(get_number(payload, 5, 8)))};
  std::copy_n(payload.begin() + 13, head.client.size(), head.client.begin());
  head.journal = payload.substr(kHeadBytes);
  return head;
}

std::optional<CounterName> parse_slot(std::string_view payload) {
  if (payload.size() < 2) return std::nullopt;
  const auto event = static_cast<std::size_t>(get_number(payload, 0, 1));
  if (event == 0 || event + 1 > payload.size()) return std::nullopt;
  return CounterName{std::string(payload.substr(1, event)), std::string(payload.substr(1 + event))};
}

}  // namespace

std::string head_record(const SharedMemory::Id& region, const RegionHead& head) {
  std::string payload(1, head.done ? 1 : 0);
  put_number(payload, head.user, 4);
  put_number(payload, static_cast<std::uint64_t>(head.made_at.since_boot.count()), 8);
  payload.append(head.client.begin(), head.client.end());
  payload += head.journal;
  return record_of(region, 0, payload);
}

std::string slot_record(const SharedMemory::Id& region, std::uint32_t slot, const CounterName& name) {
  std::string payload(1, static_cast<char>(name.event.size()));
  payload += name.event + name.subscription;
  return record_of(region, slot + 1, payload);
}

RegionNames read_names(const SharedMemory::Kept& kept) {
  RegionNames out;
  std::string bytes(kNamesBytes, '\0');
  const auto got =
      kept.names.fd() >= 0 ? kept.names.read_at(0, {bytes.data(), bytes.size()}) : Result<std::size_t>(0U);
  if (!got || *got < kRecordBytes) return out;
  const std::string_view all = bytes;
  const auto head = payload_of(kept.id, 0, all.substr(0, kRecordBytes));
  out.head = parse_head(head.value_or(""));
  std::size_t used = 0;
  for (std::size_t slot = 0; slot < METERD_REGION_SLOTS; ++slot) {
    const auto payload = payload_of(kept.id, slot + 1, all.substr((slot + 1) * kRecordBytes, kRecordBytes));
    if (!payload) continue;  // never written, or wiped: then a later one shows it
    auto name = parse_slot(*payload);
    out.slots.resize(slot + 1);
    used += name ? 1U : 0U;
    if (name) out.slots[slot] = std::move(*name);
  }
  out.damaged = used != out.slots.size();
  out.unused = !head && out.slots.empty();
  return out;
}

}  // namespace meterd::source
