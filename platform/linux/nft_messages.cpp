#include "platform/linux/nft_messages.hpp"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace meterd::platform {
namespace {

// libmnl's macros are C: their casts are not ours.
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"

// Numbers of nft's own types (its datatype.h), which the kernel keeps for it and does not read.
constexpr std::uint32_t kTypeIpv4 = 7;
constexpr std::uint32_t kTypeIpv6 = 8;
constexpr std::uint32_t kTypeMark = 19;

std::uint32_t u32(const nlattr* attribute) {
  return mnl_attr_validate(attribute, MNL_TYPE_U32) < 0 ? 0 : be32toh(mnl_attr_get_u32(attribute));
}

std::uint64_t u64(const nlattr* attribute) {
  return mnl_attr_validate(attribute, MNL_TYPE_U64) < 0 ? 0 : be64toh(mnl_attr_get_u64(attribute));
}

std::string text(const nlattr* attribute) {
  if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0) return {};
  return mnl_attr_get_str(attribute);
}

template <class Visit>
void each_within(const void* begin, std::size_t size, Visit visit) {
  const auto* attribute = static_cast<const nlattr*>(begin);
  auto left = static_cast<int>(size);
  while (mnl_attr_ok(attribute, left)) {
    visit(mnl_attr_get_type(attribute), attribute);
    left -= static_cast<int>(MNL_ALIGN(attribute->nla_len));
    attribute = mnl_attr_next(attribute);
  }
}

template <class Visit>
void each_attribute(const nlmsghdr* message, Visit visit) {
  constexpr std::size_t kHead = MNL_ALIGN(sizeof(nfgenmsg));
  if (mnl_nlmsg_get_payload_len(message) < kHead) return;
  each_within(mnl_nlmsg_get_payload_offset(message, kHead), mnl_nlmsg_get_payload_len(message) - kHead,
              visit);
}

template <class Visit>
void each_nested(const nlattr* nest, Visit visit) {
  each_within(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), visit);
}

struct Counted {
  std::optional<std::uint64_t> bytes, packets;
  bool whole() const { return bytes && packets; }
};

Counted counter_of(const nlattr* data) {
  Counted counted;
  each_nested(data, [&](int type, const nlattr* value) {
    if (type == NFTA_COUNTER_BYTES) counted.bytes = u64(value);
    if (type == NFTA_COUNTER_PACKETS) counted.packets = u64(value);
  });
  return counted;
}

// An expression is a name and its data; only that of a counter is looked into.
void read_expression(const nlattr* expression, std::optional<Counted>& counted) {
  bool is_counter = false;
  const nlattr* data = nullptr;
  each_nested(expression, [&](int type, const nlattr* value) {
    if (type == NFTA_EXPR_NAME)
      is_counter = mnl_attr_validate(value, MNL_TYPE_NUL_STRING) >= 0 &&
                   std::string_view(mnl_attr_get_str(value)) == "counter";
    if (type == NFTA_EXPR_DATA) data = value;
  });
  if (is_counter && !counted) counted = data == nullptr ? Counted{} : counter_of(data);
}

void read_expressions(const nlattr* list, std::optional<Counted>& counted) {
  each_nested(list, [&](int type, const nlattr* value) {
    if (type == NFTA_LIST_ELEM) read_expression(value, counted);
  });
}

void read_element(const nlattr* element, std::uint32_t key_bytes, NftReading& into) {
  std::uint32_t flags = 0;
  std::optional<NftKey> key;
  std::optional<Counted> counted;
  each_nested(element, [&](int type, const nlattr* value) {
    if (type == NFTA_SET_ELEM_FLAGS) flags = u32(value);
    if (type == NFTA_SET_ELEM_EXPR) read_expression(value, counted);
    if (type == NFTA_SET_ELEM_EXPRESSIONS) read_expressions(value, counted);
    if (type != NFTA_SET_ELEM_KEY) return;
    each_nested(value, [&](int inner, const nlattr* data) {
      if (inner != NFTA_DATA_VALUE || mnl_attr_get_payload_len(data) != key_bytes) return;
      std::memcpy(key.emplace().bytes.data(), mnl_attr_get_payload(data), key_bytes);
    });
  });
  if ((flags & NFT_SET_ELEM_INTERVAL_END) != 0) return;  // the end of what another element counts
  if (!counted || !counted->whole())
    ++into.without_counter;
  else if (!key)
    ++into.without_key;
  else
    into.elements.push_back({*key, *counted->bytes, *counted->packets});
}

}  // namespace

std::optional<std::uint32_t> nft_generation(const nlmsghdr* message) {
  std::optional<std::uint32_t> generation;
  each_attribute(message, [&](int type, const nlattr* value) {
    if (type == NFTA_GEN_ID) generation = u32(value);
  });
  return generation;
}

std::optional<std::uint64_t> nft_table_handle(const nlmsghdr* message) {
  std::optional<std::uint64_t> handle;
  each_attribute(message, [&](int type, const nlattr* value) {
    if (type == NFTA_TABLE_HANDLE) handle = u64(value);
  });
  return handle;
}

std::optional<NftSetShape> nft_set_shape(const nlmsghdr* message) {
  NftSetShape shape;
  std::optional<Counted> declared;
  each_attribute(message, [&](int type, const nlattr* value) {
    if (type == NFTA_SET_HANDLE) shape.handle = u64(value);
    if (type == NFTA_SET_KEY_TYPE) shape.key_type = u32(value);
    if (type == NFTA_SET_KEY_LEN) shape.key_bytes = u32(value);
    if (type == NFTA_SET_EXPR) read_expression(value, declared);
    if (type == NFTA_SET_EXPRESSIONS) read_expressions(value, declared);
  });
  if (shape.handle == 0) return std::nullopt;
  shape.counts = declared.has_value();
  if (shape.key_type == kTypeIpv4 && shape.key_bytes == 4) shape.keys = NftKeyKind::ipv4;
  if (shape.key_type == kTypeIpv6 && shape.key_bytes == 16) shape.keys = NftKeyKind::ipv6;
  if (shape.key_type == kTypeMark && shape.key_bytes == 4) shape.keys = NftKeyKind::mark;
  return shape;
}

bool nft_named_counter(const nlmsghdr* message, NftReading& into) {
  Counted counted;
  each_attribute(message, [&](int type, const nlattr* value) {
    if (type == NFTA_OBJ_HANDLE) into.object = u64(value);
    if (type == NFTA_OBJ_DATA) counted = counter_of(value);
  });
  if (!counted.whole() || into.object == 0) return false;
  into.elements.push_back({NftKey{}, *counted.bytes, *counted.packets});
  return true;
}

bool nft_elements(const nlmsghdr* message, std::uint32_t key_bytes, NftReading& into) {
  if (key_bytes > sizeof(NftKey::bytes)) return true;
  each_attribute(message, [&](int type, const nlattr* list) {
    if (type != NFTA_SET_ELEM_LIST_ELEMENTS) return;
    each_nested(list, [&](int, const nlattr* element) {
      if (into.elements.size() <= kNftElementsMax) read_element(element, key_bytes, into);
    });
  });
  return into.elements.size() <= kNftElementsMax;
}

std::optional<NftFlowtable> nft_flowtable(const nlmsghdr* message) {
  NftFlowtable found;
  const auto read_device = [&](int type, const nlattr* device) {
    if (type == NFTA_DEVICE_NAME) found.interfaces.push_back(text(device));
  };
  each_attribute(message, [&](int type, const nlattr* value) {
    if (type == NFTA_FLOWTABLE_TABLE) found.table = text(value);
    if (type == NFTA_FLOWTABLE_NAME) found.name = text(value);
    if (type == NFTA_FLOWTABLE_FLAGS) found.hardware = (u32(value) & NFT_FLOWTABLE_HW_OFFLOAD) != 0;
    if (type != NFTA_FLOWTABLE_HOOK) return;
    each_nested(value, [&](int hook, const nlattr* devices) {
      if (hook == NFTA_FLOWTABLE_HOOK_DEVS) each_nested(devices, read_device);
    });
  });
  if (found.name.empty()) return std::nullopt;
  std::sort(found.interfaces.begin(), found.interfaces.end());
  return found;
}

}  // namespace meterd::platform
