// What nfnetlink says of tables, sets, counters and flowtables: messages to values. No system calls, so that
// each shape of a message can be tested without a kernel. Attributes: linux/netfilter/nf_tables.h.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "platform/nft_tables.hpp"

namespace meterd::platform {

// The payload of a message that is as long as its header says.
struct NftSetShape {
  std::uint64_t handle = 0;
  NftKeyKind keys = NftKeyKind::none;
  std::uint32_t key_type = 0;
  std::uint32_t key_bytes = 0;
  bool counts = false;  // each new element gets a counter
};

std::optional<std::uint32_t> nft_generation(const nlmsghdr* message);
std::optional<std::uint64_t> nft_table_handle(const nlmsghdr* message);
std::optional<NftSetShape> nft_set_shape(const nlmsghdr* message);
// Sets `into.object` and its only element. False: a message without a counter.
bool nft_named_counter(const nlmsghdr* message, NftReading& into);
// Adds the message's elements. False: there are more than kNftElementsMax.
bool nft_elements(const nlmsghdr* message, std::uint32_t key_bytes, NftReading& into);
std::optional<NftFlowtable> nft_flowtable(const nlmsghdr* message);

}  // namespace meterd::platform
