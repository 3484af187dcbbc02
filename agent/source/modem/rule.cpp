#include "agent/source/modem/rule.hpp"

#include <openssl/sha.h>

#include <array>
#include <string_view>

namespace meterd::source {
namespace {

// Of a digest: enough to tell a device's modems apart, too little to give the number away by itself.
constexpr std::size_t kDigestBytes = 3;

std::string short_digest(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string out;
  for (std::size_t i = 0; i < kDigestBytes; ++i) {
    out += kDigits[digest[i] >> 4U];
    out += kDigits[digest[i] & 15U];
  }
  return out;
}

}  // namespace

std::string ModemRule::name() const {
  return "modem-manager:" + event.value() + ":" + direction +
         (modem.empty() ? "" : ":modem-" + short_digest("modem " + modem));
}

}  // namespace meterd::source
