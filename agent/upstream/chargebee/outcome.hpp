// What Chargebee's answers mean: pure functions, used by encode.cpp's implementation of Upstream and by
// nobody else.
#pragma once

#include "agent/upstream/upstream.hpp"

namespace meterd::upstream::chargebee {

Verdict judge_create(const meter::Usage& usage, const Exchange& exchange);
Verdict judge_delete(const meter::Usage& usage, const Exchange& exchange);
ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange);

}  // namespace meterd::upstream::chargebee
