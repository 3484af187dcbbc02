// What callers of the device's Usages API do in the workload, each with its idempotency key: the journal's
// own verbs, in the order in which usages/changes.cpp has them.
#pragma once

#include <string>

#include "agent/journal/write_transaction.hpp"

namespace meterd::power {

// The request of a usage as an upstream would get it; `deletes`: of its deletion.
journal::RequestRecord request(const meter::Usage& usage, bool deletes = false);

// Creates `usage` on its usage_date, or on the next second that has no other usage, and remembers the answer.
// A second that is being deleted is free, behind the deletion. Answered before: changes nothing.
Status create_once(journal::WriteTransaction& write, meter::Usage usage, const std::string& key,
                   const journal::Moment& at);
// Gives up the usage of that id if that is possible, and remembers what it came to.
Status delete_once(journal::WriteTransaction& write, const UsageId& id, const std::string& key,
                   const journal::Moment& at);

}  // namespace meterd::power
