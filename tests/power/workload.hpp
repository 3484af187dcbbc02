// What a device does with its journal, drawn from a seed: events with ids and with sequences, counters,
// quantities without a day and their dating, seals, intents, outcomes of every kind, pruning; usages that
// callers create and delete, with the answers that are remembered. Each act is what a reporter, a caller, a
// sealer or a flusher does: a report or a call that is repeated has the effect of one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/journal/journal.hpp"
#include "agent/journal/read.hpp"
#include "agent/journal/write_transaction.hpp"
#include "tests/power/disk.hpp"

namespace meterd::power {

struct Act {
  // Reads what is committed from the journal, and changes the transaction. Holds values only.
  std::function<Status(const journal::Journal&, journal::WriteTransaction&)> run;
  bool is_report = false;  // or a call: whoever was not answered does it again
};

// Seals every open bucket.
Status seal_all(const journal::Journal& journal, journal::WriteTransaction& write);

// Of the upstream "marketplace": whether its usages may be sent again after an unknown answer, or are in
// doubt before they leave, and billed as amounts with a carry.
enum class Marketplace { idempotent, asked_once };

class Workload {
 public:
  explicit Workload(std::uint64_t seed, Marketplace marketplace = Marketplace::idempotent)
      : random_(seed), marketplace_(marketplace) {}

  // One to four acts for one commit; `now` is the journal as it is before them.
  std::vector<Act> next(const journal::Journal& now);
  // The sum of all that was given to be counted, once each.
  const Quantity& given() const { return given_; }
  void next_boot() {
    since_boot_ms_ = 1'000;
    clock_trusted_ = false;
  }

 private:
  struct Report {  // events with ids
    std::vector<meter::EventHash> ids;
    std::vector<meter::BucketKey> buckets;
    std::vector<Quantity> quantities;
    journal::WriteTransaction::IdWindow window;
  };
  Act draw(const journal::Journal& now);
  Act report_with_ids();
  Act report_with_a_sequence();
  Act read_a_counter();
  Act report_without_a_day(std::uint32_t boot_number);
  Act date(std::uint32_t boot_number);
  Act seal();
  Act send();
  Act settle(const journal::Journal& now);
  Act pause_an_upstream();
  Act forget();
  Act create_by_a_caller(const journal::Journal& now);
  Act delete_by_a_caller(const journal::Journal& now);
  Report some_report(bool dated);

  meter::SeriesKey some_series();
  meter::BucketKey some_bucket();
  journal::Moment moment(std::uint32_t boot_number) const;
  journal::WriteTransaction::Opening opening();
  Quantity some_quantity();

  bool is_asked_once(const UpstreamName& upstream) const;

  Generator random_;
  Marketplace marketplace_;
  Quantity given_;
  std::int64_t since_boot_ms_ = 1'000;
  std::uint32_t today_ = 20'779;
  bool clock_trusted_ = false;              // from the first dating of a boot on
  std::vector<std::uint32_t> days_of_ids_;  // of each id given so far
  std::uint64_t sequence_ = 0;
  std::uint64_t counter_ = 0;
  std::uint64_t calls_ = 0;
  std::vector<std::string> callers_ids_;  // of usages that callers created
  std::uint32_t boot_number_ = 0;
};

}  // namespace meterd::power
