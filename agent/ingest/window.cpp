#include "agent/ingest/window.hpp"

#include "agent/base/limits.hpp"

namespace meterd::ingest {
namespace {

constexpr std::size_t kIdBlocksPerCommit = 32;  // dated or forgotten

struct Sum {
  meter::Tally tally;
  std::size_t meter = 0;
};
using Sums = std::map<Place, Sum>;  // sorted: the journal is written in the order of its keys

// Several routes may lead to one place: their sums are one write.
Sums by_place(const Window& window, const std::vector<meter::Tally>& tallies) {
  Sums out;
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    if (tallies[i].events == 0) continue;  // all that it was opened for were duplicates
    for (const auto& leg : window.sums[i].legs) {
      auto& sum = out[leg.place];
      sum.tally += tallies[i];
      sum.meter = leg.meter;
    }
  }
  return out;
}

Status add_part(const meter::BucketKey& bucket, const meter::Tally& part,
                const journal::WriteTransaction::Opening& opening, const WindowContext& context,
                journal::WriteTransaction& txn) {
  auto added = txn.add(bucket, part, opening);
  if (!added && added.error().code == Code::corrupt) {
    if (auto rebuilt = txn.rebuild_balance(bucket, opening.zone); !rebuilt) return rebuilt;
    added = txn.add(bucket, part, opening);
  }
  if (!added) return added.error();
  if (*added) return {};
  if (auto sealed = context.seal_early(txn, bucket); !sealed) return sealed;
  added = txn.add(bucket, part, opening);
  if (!added) return added.error();
  check(*added, "an empty bucket takes any tally that fits a usage");
  return {};
}

Status write_sums(const Sums& sums, const WindowContext& context, journal::WriteTransaction& txn,
                  WindowOutcome& outcome) {
  for (const auto& [place, sum] : sums) {
    Status written;
    if (place.day) {
      written =
          add_to_bucket({*place.day, place.series}, sum.tally, context.openings[sum.meter], context, txn);
    } else {
      outcome.wrote_slices = true;
      written = txn.add_to_slice({context.boot_number, place.slice_second, place.series}, sum.tally,
                                 context.zones[sum.meter]);
    }
    if (!written) return written;
  }
  return {};
}

}  // namespace

std::vector<meter::Tally> usage_parts(const meter::Tally& tally) {
  std::vector<meter::Tally> parts;
  meter::Tally rest = tally;
  while (!rest.quantity.fits_usage()) {
    const auto text = rest.quantity.text();
    auto whole = text.substr(0, text.find('.'));
    if (whole.size() > limits::kQuantityMax) whole = std::string(limits::kQuantityMax, '9');
    const auto part = Quantity::parse(whole);
    check(part.ok() && rest.events > 1,
          "events that fit one by one are at least as many as the parts of their sum");
    parts.push_back({*part, 1});
    rest.quantity -= *part;
    --rest.events;
  }
  parts.push_back(rest);
  return parts;
}

Status add_to_bucket(const meter::BucketKey& bucket, const meter::Tally& tally,
                     const journal::WriteTransaction::Opening& opening, const WindowContext& context,
                     journal::WriteTransaction& txn) {
  for (const auto& part : usage_parts(tally))
    if (auto s = add_part(bucket, part, opening, context, txn); !s) return s;
  return {};
}

Status apply(const Window& window, const WindowContext& context, journal::WriteTransaction& txn,
             WindowOutcome& outcome) {
  outcome = {};
  std::vector<meter::Tally> tallies;  // a copy: this may run twice
  tallies.reserve(window.sums.size());
  for (const auto& sum : window.sums) tallies.push_back(sum.tally);
  if (!window.ids.empty()) {
    auto known = txn.remember_ids(window.ids, context.ids);
    if (!known) return known.error();
    outcome.duplicate = std::move(*known);
    for (std::size_t i = 0; i < window.identified.size(); ++i)
      if (!outcome.duplicate[i]) tallies[window.identified[i].sum] += {window.identified[i].quantity, 1};
  }
  if (auto s = write_sums(by_place(window, tallies), context, txn, outcome); !s) return s;
  for (const auto& [source, cursor] : window.counters)
    if (auto s = cursor ? txn.put_counter(source, *cursor) : txn.forget_counter(source); !s) return s;
  for (const auto& [source, gaps] : window.gaps)
    if (auto s = txn.put_source_gaps(source, gaps); !s) return s;
  for (const auto& [producer, cursor] : window.producers)
    if (auto s = txn.put_producer(producer, cursor); !s) return s;
  if (context.note_trusted_time)
    if (auto s = txn.put_last_trusted({context.now, {context.boot_number, context.boot.since_boot.count()}});
        !s)
      return s;
  if (context.trusted) {
    auto dated = txn.date_ids(context.ids, kIdBlocksPerCommit);
    if (!dated) return dated.error();
    auto forgotten = txn.forget_ids(context.ids.oldest, kIdBlocksPerCommit);
    if (!forgotten) return forgotten.error();
    outcome.more_to_prune = *forgotten == kIdBlocksPerCommit || *dated == kIdBlocksPerCommit;
  }
  outcome.remembered_ids = txn.remembered_ids();
  return {};
}

}  // namespace meterd::ingest
