// A kernel's tables that a test sets: counters that count, are reset and replaced, and come and go.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "platform/nft_tables.hpp"

namespace meterd::platform {

class FakeNftTables final : public NftTables {
 public:
  struct Counter {
    std::uint64_t bytes = 0, packets = 0;
  };

  Status read(const NftTarget& target, NftReading& into) override {
    ++reads;
    if (while_reading) while_reading();
    asked = target;
    into.elements.clear();
    into.without_counter = without_counter;
    into.without_key = without_key;
    if (refuses) return *refuses;
    into.network = network;
    into.table = table;
    into.object = object;
    into.keys = target.is_set ? keys : NftKeyKind::none;
    for (const auto& [key, counter] : elements)
      into.elements.push_back({key, counter.bytes, counter.packets});
    return {};
  }
  Result<std::vector<NftFlowtable>> flowtables() override { return offloads; }

  void count(const NftKey& key, std::uint64_t bytes, std::uint64_t packets = 1) {
    elements[key].bytes += bytes;
    elements[key].packets += packets;
  }
  // As a firewall's reload does it: another table, whose elements begin at zero.
  void replace_table() {
    ++table;
    elements.clear();
  }

  std::uint64_t network = 1, table = 1, object = 2;
  NftKeyKind keys = NftKeyKind::ipv4;
  std::map<NftKey, Counter> elements;
  std::size_t without_counter = 0, without_key = 0;
  std::optional<Error> refuses;
  std::vector<NftFlowtable> offloads;
  NftTarget asked;
  std::function<void()> while_reading;  // a reading takes its time
  int reads = 0;
};

}  // namespace meterd::platform
