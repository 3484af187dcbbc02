#include "agent/api/chargebee/idempotency.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <string_view>

namespace meterd::api::chargebee {
namespace {

constexpr std::string_view kHeader = "chargebee-idempotency-key";
constexpr std::size_t kKeyMax = 100;

void append_field(std::string& out, std::string_view field) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((field.size() >> static_cast<unsigned>(shift)) & 255U));
  out.append(field);
}

std::string digest_of(const Request& request) {
  std::string fields;
  fields.reserve(request.method.size() + request.path.size() + request.body.size() + 12);
  for (const std::string_view field : {request.method, request.path, request.body})
    append_field(fields, field);
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(fields.data()), fields.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

}  // namespace

std::optional<ApiError> read_idempotency_key(const Request& request, usages::IdempotencyKey& out) {
  bool given = false;
  for (const auto& [name, value] : request.headers) {
    if (name != kHeader) continue;
    if (given) return wrong_value(kHeader, "is given more than once");
    given = true;
    if (value.empty() || value.size() > kKeyMax ||
        std::any_of(value.begin(), value.end(), [](char c) { return c < 0x20 || c > 0x7E; }))
      return wrong_value(kHeader, "must be 1 to 100 printable ASCII characters");
    out.key = value;
  }
  if (given) out.request_digest = digest_of(request);
  return std::nullopt;
}

}  // namespace meterd::api::chargebee
