// What a journal alone holds, by upstream and item price: for whoever is about to remove it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/ids.hpp"
#include "agent/base/quantity.hpp"
#include "agent/base/result.hpp"

namespace meterd::journal {

struct Holding {
  UpstreamName upstream;
  ItemPriceId item_price;
  Quantity undelivered;         // open, undated, waiting, in doubt, parked, set aside
  Quantity delivered;           // only the ledger of the device itself has it nowhere else
  std::uint64_t buckets = 0;    // open ones
  std::uint64_t usages = 0;     // without an end
  std::uint64_t deletions = 0;  // of delivered usages, which the upstream goes on billing until it has them
};

struct Holdings {
  std::vector<Holding> rows;  // in order
  bool truncated = false;     // there are more
};

// Of a data file that is sound (fsck.hpp) and that no process has open. Changes nothing.
Result<Holdings> read_holdings(const std::string& data_path);

}  // namespace meterd::journal
