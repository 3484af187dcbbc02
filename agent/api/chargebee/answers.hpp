// Stored usages as seed 002 answers them. An absent attribute is left out. Appends to one string and makes no
// tree: a page of a hundred usages is asked for often.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agent/journal/write_transaction.hpp"

namespace meterd::api::chargebee {

// {"usage":{...}}
std::string usage_answer(const journal::UsageRecord& record);

// {"list":[{"usage":{...}},...],"next_offset":"..."}; `next_offset` is empty on the last page.
std::string list_answer(std::span<const journal::StoredUsage> page, std::string_view next_offset);

// {"download":{...}}; `valid_till` in seconds.
std::string download_answer(std::string_view url, std::int64_t valid_till);

}  // namespace meterd::api::chargebee
