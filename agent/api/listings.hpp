// The journal's rows as the JSON of the contract (spec): pure functions.
#pragma once

#include <string>
#include <vector>

#include "agent/journal/read.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::api {

std::string buckets_json(const std::vector<journal::BucketRow>& rows,
                         const std::vector<journal::UndatedRow>& undated);
std::string audit_json(const std::vector<journal::AuditRecord>& rows);
std::string balances_json(const std::vector<journal::BalanceRow>& rows);
// `now` turns a due time since boot into a time of day.
// `held`: the upstreams to which nothing is sent until they are reconciled.
std::string outbox_json(const std::vector<journal::StoredUsage>& rows, const std::vector<UpstreamName>& held,
                        const journal::Moment& now);
std::string verify_json(const journal::CheckReport& report);

}  // namespace meterd::api
