#include "agent/api/basic_auth.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <string>

namespace meterd::api {

// Base64 has one form for given bytes, so that the encoded credentials can be compared as they are.
void BasicAuth::set_credentials(std::string_view user, std::string_view password) {
  has_key_ = !user.empty();
  const std::string credentials = std::string(user) + ":" + std::string(password);
  std::string encoded(4 * ((credentials.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(credentials.data()),
                                   static_cast<int>(credentials.size()));
  encoded.resize(static_cast<std::size_t>(size));
  expected_ = digest_of(encoded);
}

bool BasicAuth::allows(std::string_view authorization) const {
  constexpr std::string_view kScheme = "basic ";
  if (!has_key_ || authorization.size() < kScheme.size()) return false;
  const auto scheme = authorization.substr(0, kScheme.size());
  const bool is_basic = std::equal(scheme.begin(), scheme.end(), kScheme.begin(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
  if (!is_basic) return false;
  auto credentials = authorization.substr(kScheme.size());
  while (credentials.starts_with(' ')) credentials.remove_prefix(1);
  // Digests have one length, so that neither the key's length nor a common beginning shows in the time.
  const auto given = digest_of(credentials);
  return CRYPTO_memcmp(given.data(), expected_.data(), given.size()) == 0;
}

BasicAuth::Digest BasicAuth::digest_of(std::string_view bytes) {
  static_assert(std::tuple_size_v<Digest> == SHA256_DIGEST_LENGTH);
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

}  // namespace meterd::api
