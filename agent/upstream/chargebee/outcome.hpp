// What Chargebee's answers mean: pure functions, used by encode.cpp's implementation of Upstream and by
// nobody else.
#pragma once

#include "agent/upstream/chargebee/answer.hpp"
#include "agent/upstream/upstream.hpp"

namespace meterd::upstream::chargebee {

// How long the vendor remembers an idempotency key (apidocs.chargebee.com, idempotency).
inline constexpr Seconds kKeyWindow{30 * 60};

Verdict judge_create(const meter::Usage& usage, const Exchange& exchange);
Verdict judge_delete(const meter::Usage& usage, const Exchange& exchange);
ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange);
inline constexpr std::size_t kListRows = 100;  // the most that the vendor gives at once
Answered<ListPage> judge_list(const SubscriptionId& subscription, const Exchange& exchange);
Answered<std::string> judge_statement(const Exchange& exchange);
Diagnosis judge_probe(const Exchange& exchange);

// Of an answer that is not 200: what the vendor's error means. Never accepted.
Verdict judge_error(const HttpResponse& response, const std::optional<Answer>& answer);
Verdict judge_lost(const TransportError& lost);

}  // namespace meterd::upstream::chargebee
