// What others may read: bounded snapshots, copied out. Reader thread, one short read transaction per call.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/journal/journal.hpp"
#include "agent/journal/write_transaction.hpp"

namespace meterd::journal {

struct BucketRow {
  meter::BucketKey key;
  Quantity quantity;
  std::uint64_t events = 0;
  std::int64_t seal_due_s = 0;
};

// What was counted under an untrusted clock and has no day yet, per boot.
struct UndatedRow {
  std::uint32_t boot_number = 0;
  meter::SeriesKey series;
  meter::Tally tally;
  std::uint32_t seconds = 0;  // since its boot, to the end of the last slice
};

struct UpstreamRow {
  UpstreamName name;
  UpstreamState state;
  std::int64_t oldest_waiting_ms = 0;  // created_at of the first waiting usage; 0: none waits
  bool held = false;                   // until it is reconciled: see lineage.hpp
};

// Sums per (upstream, subscription, item price, day): what was counted beside what became of it.
struct BalanceRow {
  meter::BucketKey key;
  Balance balance;
};

struct Overview {
  std::uint64_t open_buckets = 0;
  std::map<UpstreamName, std::uint64_t> open_by_upstream;
  std::map<std::pair<UpstreamName, ItemPriceId>, std::uint64_t> open_by_item_price = {};
  std::optional<std::int64_t> next_seal_s;  // wall-clock seconds
  std::vector<UpstreamRow> upstreams;
  std::uint64_t set_aside = 0;
  std::uint64_t undated_slices = 0;
  bool holds_new = false;  // an upstream that has no row would be held
};

Result<Overview> read_overview(const Journal& journal);
Result<std::vector<BucketRow>> read_buckets(const Journal& journal, std::size_t at_most);
Result<std::vector<UndatedRow>> read_undated(const Journal& journal, std::size_t at_most);
Result<std::vector<AuditRecord>> read_audit(const Journal& journal, std::size_t at_most);  // latest first
Result<std::vector<BalanceRow>> read_balances(const Journal& journal, std::size_t at_most);
// Usages without an end: what needs an operator first (parked, in doubt), then what waits, oldest first.
Result<std::vector<StoredUsage>> read_outbox(const Journal& journal, std::size_t at_most,
                                             std::optional<Lane> only = {});
// WriteTransaction::unreconciled(), and those of one bucket.
Result<std::vector<StoredUsage>> read_unreconciled(const Journal& journal, const UpstreamName& upstream,
                                                   std::uint64_t after, std::size_t at_most);
Result<std::vector<StoredUsage>> read_unreconciled(const Journal& journal, const meter::BucketKey& bucket);
// The upstreams with usages that are held.
Result<std::vector<UpstreamName>> read_held(const Journal& journal);
Result<UsagePage> read_usages(const Journal& journal, const UsageQuery& query);
// Whether it is part of the collection: no deletion, not withdrawn or superseded, not to be deleted.
bool is_listed(const UsageRecord& record);

struct InvoiceRow {
  std::string id;
  v0::Invoice invoice;
};
Result<std::vector<InvoiceRow>> read_invoices(const Journal& journal);

Result<std::optional<StoredUsage>> read_usage(const Journal& journal, const UsageId& id);

// The first subscription behind `after` that ever had a usage for the upstream; nullopt: there is none.
Result<std::optional<SubscriptionId>> read_next_subscription(const Journal& journal,
                                                             const UpstreamName& upstream,
                                                             const SubscriptionId& after);

// How many usages of the upstream each subscription has had, ever: of all subscriptions, the number and those
// that had the most.
struct Lifetimes {
  struct Row {
    SubscriptionId subscription;
    std::uint64_t usages = 0;
  };
  std::uint64_t subscriptions = 0;
  std::vector<Row> most;  // falling
};
// Adds a part of them to `lifetimes`: those behind `after`, at most kLifetimesAtOnce, keeping the `shown`
// that had the most. The last one that was read; nullopt: there is no more.
inline constexpr std::size_t kLifetimesAtOnce = 5'000;
Result<std::optional<SubscriptionId>> read_lifetimes(const Journal& journal, const UpstreamName& upstream,
                                                     const SubscriptionId& after, std::size_t shown,
                                                     Lifetimes& lifetimes);

// What the journal knows of a usage that somebody else names.
struct NamedUsage {
  UsageId id;
  meter::SeriesKey series;
  std::int64_t usage_date = 0;
};
struct KnownUsage {
  std::optional<StoredUsage> stored;
  bool forgotten = false;  // not stored any more, as far as the sums of its day tell
  bool damaged = false;    // it cannot be read
};
// In the order of `named`.
Result<std::vector<KnownUsage>> read_known(const Journal& journal, const std::vector<NamedUsage>& named);
// Of one that was never seen: sequence 0.
Result<ProducerCursor> read_producer(const Journal& journal, std::string_view producer);
Result<std::optional<CounterCursor>> read_counter(const Journal& journal, std::string_view source);

// What is kept of all sources, by name. What cannot be read is left out: the start has set it aside, and said
// so.
struct KeptOfSources {
  std::map<std::string, CounterCursor> cursors;
  std::map<std::string, SourceGaps> gaps;
  bool of_a_copy = false;  // the journal was put back at least once
};
Result<KeptOfSources> read_sources(const Journal& journal);

// When the next seal is due (wall clock, seconds); nullopt: no open bucket.
Result<std::optional<std::int64_t>> read_next_seal(const Journal& journal);

// What the flusher must know before it writes an intent: whether and when something may be sent.
struct SendPlan {
  bool ready = false;                       // something may be sent now
  std::optional<std::int64_t> next_due_ms;  // time since the present boot, if only delayed ones wait
  UpstreamState state;
  bool held = false;  // nothing may be sent, whatever the rest says
};
Result<SendPlan> read_send_plan(const Journal& journal, const UpstreamName& upstream,
                                std::int64_t since_boot_ms);

// The full check (meterctl verify): the checksum of every record, every balance recomputed from the usages
// themselves, every index compared with what it points at. Many short read transactions, so that the map does
// not grow meanwhile; memory does not grow with the journal. What changes while it runs is judged before or
// after its change, never in between: each comparison lies within one transaction.
struct CheckReport {
  std::uint64_t balances = 0;
  std::uint64_t usages = 0;
  std::vector<std::string> problems;           // empty: everything holds; at most 100 are listed
  std::vector<std::string> set_aside_records;  // what could not be read before, as far as known; at most 100
  Quantity accepted, open, waiting, in_doubt, parked, delivered, withdrawn, set_aside;
};
Result<CheckReport> check_journal(const Journal& journal);

// What a data file holds that is not opened as a journal: a backup, before it is trusted. Changes nothing.
// Reads the whole file in a child process first, where damage ends only the child. No other threads may run.
// Code::corrupt, or Code::invalid for a newer format or another architecture.
struct Inspection {
  std::string epoch;
  WallTime made;  // the journal
  CheckReport report;
};
Result<Inspection> inspect_file(const std::string& data_path);

}  // namespace meterd::journal
