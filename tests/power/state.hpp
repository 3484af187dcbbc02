// What a journal holds, as one text that is equal if and only if every record is.
#pragma once

#include <string>

#include "agent/journal/journal.hpp"
#include "agent/journal/read.hpp"

namespace meterd::power {

struct State {
  std::string records;  // all of them, keys and values, in order
  // The same without which boot it is, and without the numbers of the blocks of ids: once all are forgotten,
  // they begin anew with the next start.
  std::string lasting;
  bool operator==(const State&) const = default;
};
Result<State> read_state(const journal::Journal& journal);

// Whether it holds what a first start writes and nothing else.
Result<bool> is_fresh(const journal::Journal& journal);

// An id of a usage whose intent is committed at an upstream that can be asked once only, that has no answer,
// and that would be sent again; empty: there is none.
Result<std::string> asked_again(const journal::Journal& journal);

// accepted in all balances, and what has no day yet.
Result<Quantity> counted(const journal::Journal& journal);

// Usages by what never changes (invariant 3): id, usage_date, quantity, and the request while it is kept.
Result<std::string> identities(const journal::Journal& journal);

}  // namespace meterd::power
