// Counters that nftables keeps in the kernel: of the elements of a set, or one by its name. And what passes
// those counters by: flowtables. Reader thread: a set of 10,000 elements takes milliseconds to read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::platform {

inline constexpr std::size_t kNftElementsMax = 100'000;  // of one set; beyond it a read is refused as full

enum class NftFamily : std::uint8_t { inet = 1, ip = 2, arp = 3, netdev = 5, bridge = 7, ip6 = 10 };
enum class NftKeyKind : std::uint8_t { none, ipv4, ipv6, mark };

// As the kernel has it: an address in network order, a mark in the machine's own. Ordered by its bytes.
struct NftKey {
  std::array<std::uint8_t, 16> bytes{};  // zeroes behind a shorter one
  auto operator<=>(const NftKey&) const = default;
};

struct NftElement {
  NftKey key;
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
};

// What was read at one moment of the ruleset: no element of one table and a handle of the one that replaced
// it.
struct NftReading {
  // A counter is the same one as long as all three are: a table, set or counter that is made anew gets
  // another handle, and handles are numbered by network namespace.
  std::uint64_t network = 0;  // the kernel's cookie of the network namespace; 0 before Linux 5.14
  std::uint64_t table = 0;
  std::uint64_t object = 0;  // the set, or the named counter
  NftKeyKind keys = NftKeyKind::none;
  // In the kernel's order, which is none; of a named counter the only one, without a key. Its room is used
  // again.
  std::vector<NftElement> elements;
  std::size_t without_counter = 0;  // elements, which are not among the above
  std::size_t without_key = 0;      // the catch-all element, which is not among them either
};

struct NftTarget {
  NftFamily family = NftFamily::inet;
  std::string table;
  std::string object;
  bool is_set = true;
};

struct NftFlowtable {
  std::string table, name;
  std::vector<std::string> interfaces;
  bool hardware = false;  // the device forwards by itself: no packet of the flow is seen
};

class NftTables {
 public:
  virtual ~NftTables() = default;
  // Code::unauthorised: CAP_NET_ADMIN is missing. Code::rejected: no such table, set or counter now.
  // Code::invalid: its elements have no counters, or keys that are neither addresses nor marks. Code::retry:
  // the ruleset changes faster than it can be read. After an error `into` holds nothing that may be used.
  virtual Status read(const NftTarget& target, NftReading& into) = 0;
  // Of every family, and at most the first 64.
  virtual Result<std::vector<NftFlowtable>> flowtables() = 0;
};

}  // namespace meterd::platform
