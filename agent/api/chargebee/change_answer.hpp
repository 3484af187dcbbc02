// What a change of the collection came to, as the Usages API answers it.
#pragma once

#include "agent/api/http.hpp"
#include "agent/base/result.hpp"
#include "agent/usages/changes.hpp"

namespace meterd::api::chargebee {

Response changed(Result<usages::Change> done);

// Nothing was changed, or it is not known to be on the disk: the same request again is safe with its key or
// its id.
Response not_now(const Error& error);

}  // namespace meterd::api::chargebee
