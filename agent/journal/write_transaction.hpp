// Everything that changes the journal, as the domain's own verbs. One object is one LMDB write transaction on
// the journal thread; a Committer (committer.hpp) makes and commits it. Every change of a usage's state goes
// through move(), so conservation (invariant 4) is kept in one place. Errors: Code::corrupt for a record that
// cannot be read, Code::full and Code::io from LMDB. Any of them spoils the whole transaction: it must then
// be dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/journal/balance.hpp"
#include "agent/journal/lmdb.hpp"
#include "agent/journal/migrate.hpp"
#include "agent/journal/remembered_ids.hpp"
#include "agent/journal/schema.hpp"
#include "agent/journal/usage_query.hpp"
#include "agent/meter/bucket.hpp"
#include "agent/meter/identity.hpp"
#include "agent/meter/usage.hpp"
#include "meterd/journal/v0/records.pb.h"
#include "platform/clock.hpp"

namespace meterd::journal {

using UsageRecord = v0::Usage;
using RequestRecord = v0::Request;
using CounterCursor = v0::CounterCursor;
using Gap = v0::Gap;
using SourceGaps = v0::SourceGaps;
using ProducerCursor = v0::ProducerCursor;
using UpstreamState = v0::UpstreamState;
using AuditRecord = v0::Audit;

struct StoredUsage {
  std::uint64_t sequence = 0;
  UsageRecord record;
};

// One page of the collection that the device's Usages API serves, in the order of the query. Looks at a
// bounded number of records: with filters that fit few of them a page may be short, or empty, and have a next
// one. The records lack the request that their upstream is sent.
struct UsagePage {
  std::vector<StoredUsage> usages;
  std::optional<UsageQuery::Place> next;  // go on behind it; nullopt: there is no more
  bool gave_up = false;                   // whether one that fits stands behind `next` is not known
};

meter::Usage usage_of(const UsageRecord& record);
UsageState state_of(const UsageRecord& record);

// The last error of a usage whose only request has no answer (yet, or any more).
inline constexpr const char* kNoAnswerKnown = "sent; no answer is known";

// For a balance that had to be made anew where its meter is not at hand: only superseding asks for it.
inline constexpr const char* kZoneOfALostBalance = "UTC";

// The moment of a change, in both clocks.
struct Moment {
  WallTime wall;
  Due boot;              // time since the present boot
  bool trusted = false;  // the wall clock
};
// Now, in the journal's present boot.
inline Moment moment_of(const platform::Clock& clock, std::uint32_t boot_number) {
  const auto reading = clock.wall();
  return {reading.time, {boot_number, clock.boot().since_boot.count()}, reading.trusted};
}

class WriteTransaction {
 public:
  // `ids`: the journal's index; without it remember_ids() must not be called. `lineage`: the journal's.
  explicit WriteTransaction(Transaction txn, RememberedIds* ids = nullptr, const Lineage& lineage = {})
      : txn_(std::move(txn)),
        ids_(ids),
        lineage_(lineage),
        id_blocks_(ids != nullptr ? ids->blocks() : RememberedIds::Blocks{}) {}

  // --- counting
  struct Opening {  // used when the bucket is empty so far
    WallTime at;
    std::int64_t seal_due_s = 0;
    std::string zone;
  };
  // False: the bucket would outgrow 40 characters and nothing was added; seal it first. Code::invalid: so
  // would an empty one, because the tally alone has more.
  Result<bool> add(const meter::BucketKey& bucket, const meter::Tally& tally, const Opening& opening);
  Status add_to_slice(const SliceFields& slice, const meter::Tally& tally, const std::string& zone);

  Status put_counter(std::string_view source, const CounterCursor& cursor);
  Status forget_counter(std::string_view source);  // none: nothing to do
  Status put_source_gaps(std::string_view source, const SourceGaps& gaps);
  Status put_producer(std::string_view producer, const ProducerCursor& cursor);
  // Partitions are days of arrival: ids are looked up in `oldest` and later ones and kept in `today`. One
  // that comes under an untrusted clock has no day yet: a partition of its own, which is always looked into.
  struct IdWindow {
    std::uint32_t oldest = 0;
    std::uint32_t today = 0;
    bool dated = true;
  };
  static constexpr std::uint32_t kUndatedIds = UINT32_MAX;
  // For each whether it was known; the others are remembered from now on.
  Result<std::vector<bool>> remember_ids(std::span<const meter::EventHash> hashes, const IdWindow& window);
  std::uint64_t remembered_ids() const { return id_blocks_.ids; }
  const RememberedIds::Blocks& id_blocks() const { return id_blocks_; }
  Status load_ids();  // once, at the start: fills the index; unreadable blocks are set aside
  bool set_ids_aside() const { return unreadable_ids_; }
  Status put_last_trusted(const Moment& now);

  // --- dating what was counted under an untrusted clock
  struct SliceRecord {
    SliceFields key;
    v0::Slice value;
  };
  // Of that boot; unreadable ones are set aside on the way.
  Result<std::vector<SliceRecord>> slices(std::uint32_t boot_number, std::size_t at_most);
  Status erase_slice(const SliceFields& slice);
  // Boots before that one which still have slices, but for those that came with a copy, oldest first;
  // `seconds`: since its boot, for how long each is known to have run.
  struct UndatedBoot {
    std::uint32_t number = 0;
    std::uint32_t seconds = 0;
  };
  Result<std::vector<UndatedBoot>> undated_boots(std::uint32_t before) const;

  // --- sealing
  Result<std::vector<SealDueFields>> due_buckets(WallTime now, std::size_t at_most) const;
  // Behind `after`, which need not be open any more; from the first one without it.
  Result<std::vector<SealDueFields>> open_buckets(std::size_t at_most,
                                                  const std::optional<SealDueFields>& after = {}) const;
  // For a bucket that cannot be sealed now; one that is not open any more loses its entry.
  Status postpone_seal(const SealDueFields& due, std::int64_t new_due_s);
  Result<Balance> balance(const meter::BucketKey& bucket) const;
  // The first second at or after `preferred`, wrapping once from `last` to `first`, that no usage of the
  // series has. nullopt: none is free.
  struct DateRange {
    std::int64_t first = 0, last = 0, preferred = 0;
  };
  Result<std::optional<std::int64_t>> free_date(const meter::SeriesKey& series, const DateRange& range) const;
  // Freezes the whole bucket into `usage` (its id, date, revision and quantity are the caller's, and must
  // match). Returns its sequence.
  Result<std::uint64_t> seal(const meter::Usage& usage, const RequestRecord& request, const Moment& now);
  // The same for the first of the bucket's copied parts, which must be sealed before the rest.
  Result<std::uint64_t> seal_copied(const meter::Usage& usage, const RequestRecord& request,
                                    const Moment& now);
  // What rounding left of the series, in money. An unreadable one is set aside, and is zero from then on.
  Result<meter::Carried> carry(const meter::SeriesKey& series);
  Status put_carry(const meter::SeriesKey& series, const meter::Charge& charge);  // sealing does it, too

  // --- delivery
  // The usages that may be sent now, oldest first, each with this attempt recorded: the intent.
  // `first`: the lane that comes first, so that neither starves the other while only one usage is asked for.
  Result<std::vector<StoredUsage>> begin_attempts(const UpstreamName& upstream, const Moment& now,
                                                  std::size_t at_most, Lane first = Lane::delayed);
  // For an upstream that can be asked only once: the first of them and later ones of its subscription, which
  // are in doubt from now on.
  Result<std::vector<StoredUsage>> begin_unrepeatable(const UpstreamName& upstream, const Moment& now,
                                                      std::size_t at_most, Lane first = Lane::delayed);
  Status unsend(std::uint64_t sequence);  // an intent whose first byte certainly never left
  Status deliver(std::uint64_t sequence, const std::string& receipt, const Moment& now);
  Status retry(std::uint64_t sequence, const Due& due, const std::string& error);
  Status look_again(std::uint64_t sequence, const Due& due, const std::string& error);  // counts the look
  Status retry_alone(std::uint64_t sequence, const std::string& error);  // at once, in a request of its own
  Status park(std::uint64_t sequence, const std::string& error, const Moment& now);
  Status hold_in_doubt(std::uint64_t sequence, const std::string& error);
  // Behind that sequence, in journal order; unreadable ones are passed over.
  Result<std::vector<StoredUsage>> in_doubt(const UpstreamName& upstream, std::uint64_t after,
                                            std::size_t at_most) const;
  // What is in doubt is sent once more, on the operator's declared word: it may be there already.
  Status resend(std::uint64_t sequence, const Due& due, const std::string& error);
  // What is in doubt is sent again, as if for the first time: an operator found that it is not there.
  Status return_to_waiting(std::uint64_t sequence, const Due& due, const std::string& error);
  // Replaces the usage by its next revision; `successor` has the same bucket and quantity.
  Status supersede(std::uint64_t sequence, const meter::Usage& successor, const RequestRecord& request,
                   const Moment& now);
  Result<UpstreamState> upstream(const UpstreamName& name) const;
  Status put_upstream(const UpstreamName& name, const UpstreamState& state);
  Result<StoredUsage> usage(std::uint64_t sequence) const;
  Result<std::optional<StoredUsage>> find_usage(const UsageId& id) const;
  // Ends the upstream's pause (never a Retry-After) and the delays of up to `at_most` usages. How many had
  // one.
  Result<std::size_t> clear_backoff(const UpstreamName& upstream, std::size_t at_most);

  // --- a journal that is a copy: nothing is sent to an upstream until it is reconciled (lineage.hpp)
  Result<bool> is_held(const UpstreamName& upstream) const;
  // Usages without an end that came with the copy, or were sealed from what was open in it, and that the
  // upstream was not asked for yet; behind sequence `after`, in journal order.
  Result<std::vector<StoredUsage>> unreconciled(const UpstreamName& upstream, std::uint64_t after,
                                                std::size_t at_most) const;
  Result<std::vector<StoredUsage>> unreconciled(const meter::BucketKey& bucket) const;
  // Open buckets of the upstream with a copied part.
  Result<std::vector<meter::BucketKey>> copied_buckets(const UpstreamName& upstream,
                                                       std::size_t at_most) const;
  // The upstream was asked for it. It is sent, if it waits, once the upstream is not held any more.
  Status mark_reconciled(std::uint64_t sequence);
  // Whether the original may have sent it: what its record says of that is older than the copy.
  bool needs_reconciling(const StoredUsage& stored) const;
  // Ends the hold. `configured`: every upstream that meterd is configured with. Once all of them are
  // reconciled, one that is configured later is not held; those that only the journal knows still are.
  Status release(const UpstreamName& upstream, std::span<const UpstreamName> configured);
  Status mark_counters_copied(WallTime now);  // source_records.hpp; those of shared memory go

  // --- history
  // Dates what ended under an untrusted clock, now that there is a trusted one; until then none of it is old
  // enough to be forgotten. Returns how many.
  Result<std::size_t> date_history(const Moment& now, std::size_t at_most);
  // Forgets, one by one, usages that ended before `before_s`; their sums stay. Returns how many.
  Result<std::size_t> prune_usages(std::int64_t before_s, std::size_t at_most);
  // Moves ids out of the undated partition into today's, now that there is one. Returns how many blocks.
  Result<std::size_t> date_ids(const IdWindow& window, std::size_t at_most);
  // Those that came before `oldest_kept`. Returns how many blocks.
  Result<std::size_t> forget_ids(std::uint32_t oldest_kept, std::size_t at_most);

  // --- the device's own Usages API: see agent/usages, which knows its rules
  struct CallerUsage {
    meter::Usage usage;  // its id is free; its day is usage_date's in `zone`
    RequestRecord request;
    v0::UsageSource source = v0::API;
    std::string zone;
    std::uint64_t behind = 0;     // a deletion that must end first; 0: none
    std::uint64_t credit_of = 0;  // the usage of which it gives its quantity back; 0: it is no credit
  };
  // Counted and waiting at once.
  Result<StoredUsage> create_usage(const CallerUsage& created, const Moment& now);
  // Usages of the series with that date, in journal order, whatever became of them.
  Result<std::vector<StoredUsage>> usages_at(const meter::SeriesKey& series, std::int64_t usage_date) const;
  // Gives up one that was never sent, or was refused for good.
  Status withdraw(std::uint64_t sequence, const Moment& now);
  // Asks the upstream to delete a usage that it has, or may have. From now on the usage is not listed; it
  // stays delivered until the deletion's receipt, and is listed again if that is refused. Returns it as it
  // now is.
  Result<StoredUsage> request_deletion(std::uint64_t sequence, const RequestRecord& request,
                                       const Moment& now);
  // Usages of the subscription at that upstream, ever.
  Result<std::uint64_t> usages_for_life(const UpstreamName& upstream,
                                        const SubscriptionId& subscription) const;
  // Item prices that a subscription was ever configured with.
  Result<bool> was_listed(const SubscriptionId& subscription, const ItemPriceId& item_price) const;
  Status put_listed(const SubscriptionId& subscription, const ItemPriceId& item_price);
  // What a request with that key was answered with, if it is not older than `window`.
  Result<std::optional<v0::IdempotencyKey>> answered(std::string_view key, Milliseconds window) const;
  // Remembers an answer given now, and forgets some that are older than `window`.
  Status remember_answer(std::string_view key, v0::IdempotencyKey answer, Milliseconds window,
                         const Moment& now);
  // Dates what was answered under an untrusted clock, now that there is a trusted one: the time that passed
  // is not known, so until then none of it expires. Returns how many.
  Result<std::size_t> date_answers(const Moment& now, std::size_t at_most);

  // --- invoices: see agent/usages/invoices.hpp
  Result<std::optional<v0::Invoice>> invoice(std::string_view id) const;
  Status put_invoice(std::string_view id, const v0::Invoice& invoice);
  Status erase_invoice(std::string_view id);  // nothing is attached to it any more
  using NamedInvoice = std::pair<std::string, v0::Invoice>;
  Result<std::vector<NamedInvoice>> invoices() const;
  // The usage is part of that invoice from now on, or of none.
  Status attach(std::uint64_t sequence, const std::string& invoice, const std::string& line_item,
                const Moment& now);
  // The same, of an invoice that the usage's upstream made: a deletion that it had refused is given up.
  Status note_invoice(std::uint64_t sequence, const std::string& invoice, const std::string& line_item,
                      const Moment& now);
  // As many of the upstream's usages as given that are part of it are part of none from now on. How many.
  Result<std::size_t> detach(const UpstreamName& upstream, const std::string& id, std::size_t at_most,
                             const Moment& now);
  // Those of the upstream that are part of it, in journal order.
  Result<std::vector<StoredUsage>> usages_of_invoice(const UpstreamName& upstream, std::string_view id,
                                                     std::size_t at_most) const;
  Result<UsagePage> usages(const UsageQuery& query) const;

  // --- audit
  // What an operator or a declared policy did, in the transaction that does it. `by`: "user 0", "policy".
  struct Act {
    std::string by, act, detail;
  };
  Status put_audit(const Act& act, const Moment& now);

  // --- repair: a record whose checksum fails does not stop the rest
  // Moves a record that cannot be read out of the way, under a key of its own, and counts it.
  Status set_aside(const std::string& key);
  // Gives a balance the sums of its usages that can be read; what is missing becomes its set_aside.
  Status settle_balance(const meter::BucketKey& bucket);
  // Whatever of a waiting usage's records cannot be read: makes the balance anew, or takes the record out.
  Status repair_usage(const UpstreamName& upstream, std::uint64_t sequence);
  // Sets a balance that cannot be read aside and makes it again from its usages, with the next free revision.
  // What was open in it is only in the record that was set aside. `zone`: what cuts the bucket's day.
  Status rebuild_balance(const meter::BucketKey& bucket, const std::string& zone);

  // At the start: all records that cannot be read, out of the tree. By place, as their keys may be damaged.
  using Taken = std::vector<std::pair<std::string, std::string>>;
  Result<Taken> take_unreadable();
  Result<Migrated> migrate();  // to the present format; Code::corrupt without a stamp
  // Sets what was taken aside, but for a record of which only the key was damaged, and an index has the right
  // one: that goes back to its place. Makes the general record again if it is lost.
  Status set_taken_aside(const Taken& taken);
  std::size_t healed() const { return healed_; }  // that went back to their place
  // Makes again whatever follows from the usages and balances that can be read, up to `at_most` records from
  // where `from` says; false: all is done. Balances get back their sums, and indexes their entries.
  struct RestorePlace {
    int pass = 0;
    std::string after;
  };
  Result<bool> restore_some(RestorePlace& from, std::size_t at_most);

  bool changed(Kind kind) const { return txn_.changed(static_cast<char>(kind)); }

  // How often a balance did not hold after a change of this transaction. Must be 0; exported.
  std::uint64_t conservation_errors() const { return conservation_errors_; }

  Status commit() {
    auto committed = txn_.commit();
    if (committed && ids_ != nullptr) ids_->set_blocks(id_blocks_);
    return committed;
  }
  std::uint64_t bytes_put() const { return txn_.bytes_put(); }

 private:
  struct NewIds {  // the block that is being filled
    std::uint32_t block = 0;
    std::size_t full_bytes = 0;
    std::string hashes;
  };
  Result<NewIds> begin_new_ids(std::uint32_t partition);
  Result<bool> remembers(const meter::EventHash& hash, const IdWindow& window, const NewIds& fresh);
  Result<std::optional<IdBlock>> id_block(std::uint32_t number) const;
  Status put_id_block(std::uint32_t number, std::uint32_t partition, std::string_view hashes);
  Status put_balance(const meter::BucketKey& bucket, const Balance& balance);
  Result<std::vector<StoredUsage>> due_usages(const UpstreamName& upstream, const Moment& now,
                                              std::size_t at_most, Lane first);
  Result<std::vector<StoredUsage>> due_beside(const StoredUsage& first, const Moment& now,
                                              std::size_t at_most) const;
  struct Origin {
    std::uint32_t supersedes = 0;
    bool copied = false;
    v0::UsageSource source = v0::BULK_OPERATION;
    bool dated_by_caller = false;
    std::uint64_t behind = 0;
    std::uint64_t credit_of = 0;
  };
  // The sequence that it got.
  Result<std::uint64_t> insert_usage(const meter::Usage& usage, const RequestRecord& request,
                                     const Moment& now, const Origin& origin);
  // The only place where a usage changes state, lane or due time.
  using Edit = std::function<void(UsageRecord&)>;
  Status move(StoredUsage& stored, const Moment* ended, const Edit& edit);
  Status wait(std::uint64_t sequence, const Due& due, const std::string& error, const Edit& also);
  Status hold_back(std::uint64_t sequence, v0::UsageState state, const std::string& error);
  Result<v0::General> general() const;
  Status put_general(const v0::General& general);
  Status count_states(const UpstreamName& upstream, std::optional<UsageState> from,
                      std::optional<UsageState> to);
  std::int64_t take_version(v0::General& general, const Moment& now) const;
  Status count_for_life(const meter::SeriesKey& series);
  Status count_credit(const UsageRecord& credit, bool given);
  Status forget(const StoredUsage& stored);
  Result<std::optional<StoredUsage>> usage_if_kept(std::uint64_t sequence) const;
  Result<std::vector<std::uint64_t>> on_invoice(const UpstreamName& upstream, std::string_view id,
                                                std::size_t at_most) const;
  Result<std::vector<StoredUsage>> usages_of(const std::vector<std::uint64_t>& sequences) const;
  Status release_behind(const UsageRecord& ended);
  Status leave_line(std::uint64_t sequence, std::uint64_t behind);
  Status end_refused_deletions(const UpstreamName& upstream, std::uint64_t sequence, const Moment& now);
  Status lose_neighbours(const UpstreamName& upstream, const UsageRecord& record);
  Status let_go_of(std::uint64_t lost);
  Status finish_deletion(const StoredUsage& deletion, const Moment& now);
  Status refuse_deletion(const StoredUsage& deletion, const Moment& now);
  Status keep_aside(const std::string& key, const std::string& value);
  Status lose_usage(const UpstreamName& upstream, const OutboxEntry& entry);
  Status settle_balance_of(std::uint64_t sequence);
  Status rebuild_general();
  Result<std::string> right_key_of(std::string_view value) const;
  Status restore_usage(const std::string& key);
  Result<UsageRecord> restore_order(std::uint64_t sequence, UsageRecord record);
  Status restore_place(std::uint64_t sequence, const UsageRecord& record);
  Status restore_balance_of(const std::string& usage_key);
  Status restore_balance(const std::string& key);
  Status restore_seal(const std::string& key);
  Status restore_outbox_entry(const std::string& key);
  Status restore_counts();

  Transaction txn_;
  RememberedIds* ids_;
  Lineage lineage_;
  RememberedIds::Blocks id_blocks_;
  bool unreadable_ids_ = false;
  std::size_t healed_ = 0;
  std::uint64_t conservation_errors_ = 0;
};

// The usage's entry in the outbox, while it has one, and whether it may be sent.
OutboxEntry outbox_entry(std::uint64_t sequence, const UsageRecord& record);
bool is_due(const OutboxEntry& entry, const Due& now);
// Of a usage that is part of an invoice.
std::string invoiced_key(const UsageRecord& record, std::uint64_t sequence);
// Whether it has an entry in the history: it has ended, and no deletion of it is under way.
bool is_in_history(const UsageRecord& record);

}  // namespace meterd::journal
