// The Usages API of seed 002, from a request to what it asks for. Pure. Lengths are the seed's, in
// characters; an id has also at most 200 bytes, because the journal's keys hold no longer ones. What is not
// understood is refused by name and never left out: a parameter that was dropped could be billed wrongly.
//   POST /api/v2/subscriptions/{id}/usages         Create    form
//   GET  /api/v2/subscriptions/{id}/usages         Retrieve  query
//   POST /api/v2/subscriptions/{id}/delete_usage   Delete    form
//   GET  /api/v2/usages                            List      query
//   POST /api/v2/usages/pdf                        Pdf       form
#pragma once

#include <string>
#include <variant>

#include "agent/api/chargebee/error.hpp"
#include "agent/api/http.hpp"
#include "agent/base/ids.hpp"
#include "agent/journal/usage_query.hpp"
#include "agent/usages/draft.hpp"

namespace meterd::api::chargebee {

struct Create {
  usages::Draft draft;
  usages::IdempotencyKey key;
};
struct Retrieve {
  SubscriptionId subscription;
  UsageId id;
};
struct Delete {
  SubscriptionId subscription;
  UsageId id;
  usages::IdempotencyKey key;
};
struct List {
  journal::UsageQuery query;
};
struct Pdf {
  std::string invoice;
  bool as_attachment = true;  // else inline
  usages::IdempotencyKey key;
};
using Call = std::variant<ApiError, Create, Retrieve, Delete, List, Pdf>;

Call parse_call(const Request& request);

// The methods of a path, as in an Allow header; empty: the API has no such path.
std::string_view methods_of(std::string_view path);

}  // namespace meterd::api::chargebee
