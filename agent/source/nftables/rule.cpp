#include "agent/source/nftables/rule.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace meterd::source {
namespace {

using platform::NftFamily;
using platform::NftKeyKind;

std::optional<std::uint32_t> parse_mark(std::string_view text) {
  const bool is_hex = text.starts_with("0x");
  if (is_hex) text.remove_prefix(2);
  std::uint32_t mark = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mark, is_hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return mark;
}

NftFamily family_of(const std::string& name) {
  if (name == "ip") return NftFamily::ip;
  if (name == "ip6") return NftFamily::ip6;
  if (name == "arp") return NftFamily::arp;
  if (name == "bridge") return NftFamily::bridge;
  if (name == "netdev") return NftFamily::netdev;
  return NftFamily::inet;
}

}  // namespace

std::optional<ElementKey> parse_element_key(const std::string& text) {
  ElementKey out;
  if (inet_pton(AF_INET, text.c_str(), out.key.bytes.data()) == 1) {
    out.kind = NftKeyKind::ipv4;
  } else if (inet_pton(AF_INET6, text.c_str(), out.key.bytes.data()) == 1) {
    out.kind = NftKeyKind::ipv6;
  } else if (const auto mark = parse_mark(text)) {
    out.kind = NftKeyKind::mark;
    std::memcpy(out.key.bytes.data(), &*mark,
                sizeof *mark);  // the kernel, too, has it in the machine's order
  } else {
    return std::nullopt;
  }
  return out;
}

std::string text_of(const ElementKey& key) {
  if (key.kind == NftKeyKind::mark) {
    std::uint32_t mark = 0;
    std::memcpy(&mark, key.key.bytes.data(), sizeof mark);
    return std::to_string(mark);
  }
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(key.kind == NftKeyKind::ipv6 ? AF_INET6 : AF_INET, key.key.bytes.data(), text, sizeof text);
  return text;
}

platform::NftTarget NftablesRule::target() const { return {family_of(family), table, object, is_set}; }

}  // namespace meterd::source
