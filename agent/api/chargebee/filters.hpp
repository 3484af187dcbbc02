// The query of "list usages" of seed 002: every filter and operator on every attribute, order and page. All
// filters must hold; ones that contradict each other give an empty list. Where the seed is silent: `after`
// and `before` exclude the second itself, `on` is exactly that second, `between` includes both ends; "null"
// of invoice_id means that there is none. The vendor's Node SDK sends a second operator of one attribute as
// "usage_date[after][before]": the last bracket is the operator.
#pragma once

#include <optional>
#include <string>

#include "agent/api/chargebee/error.hpp"
#include "agent/api/chargebee/form.hpp"
#include "agent/journal/usage_query.hpp"

namespace meterd::api::chargebee {

// `parameters` passed check_parameters(); `out` comes as it is made.
[[nodiscard]] std::optional<ApiError> read_filters(const Parameters& parameters, journal::UsageQuery& out);

// next_offset: of the last usage of a page, in the order in which it was asked for. Looks like the vendor's:
// a JSON array of two strings, the usage_date ("-" before it: descending; 0: in order of creation) and the
// sequence.
std::string offset_of(journal::UsageQuery::Order order, const journal::UsageQuery::Place& last);

}  // namespace meterd::api::chargebee
