// The header chargebee-idempotency-key of a call that changes something.
#pragma once

#include <optional>

#include "agent/api/chargebee/error.hpp"
#include "agent/usages/draft.hpp"

namespace meterd::api::chargebee {

// `out` stays empty without the header. The digest is the same for every repeat of the same request: SHA-256
// over method, path and body, each preceded by its length as four bytes, big endian; 32 bytes.
[[nodiscard]] std::optional<ApiError> read_idempotency_key(const Request& request,
                                                           usages::IdempotencyKey& out);

}  // namespace meterd::api::chargebee
