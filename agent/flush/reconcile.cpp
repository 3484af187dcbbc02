#include "agent/flush/reconcile.hpp"

#include <algorithm>
#include <set>

#include "agent/base/limits.hpp"
#include "agent/flush/policy.hpp"
#include "agent/meter/identity.hpp"
#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;
using Found = upstream::ReadBack::Found;

namespace {

constexpr std::size_t kBucketsPerCommit = 32;
constexpr std::size_t kUsagesPerRound = 64;
constexpr std::string_view kPartOf = " billed_before_as_part_of=";  // in a receipt

Fate fate_of_copied(const Looked& one, const std::vector<Looked>& ours, const std::vector<Quantity>& others) {
  const auto moved_here = [&](const Looked& other) {  // superseded by the original, under this very id
    return !other.copied && other.found == Found::absent && other.quantity == *one.theirs;
  };
  if (one.found == Found::absent) {
    const auto holds_it = [&](const Quantity& other) { return other >= one.quantity; };
    return std::any_of(others.begin(), others.end(), holds_it) ? Fate::doubt : Fate::wait;
  }
  if (!one.theirs) return Fate::park;
  if (*one.theirs < one.quantity || std::any_of(ours.begin(), ours.end(), moved_here)) return Fate::doubt;
  return Fate::settle;
}

Fate fate_of(const Looked& one, const std::vector<Looked>& ours, const std::vector<Quantity>& others) {
  if (one.found == Found::same) return Fate::settle;
  if (one.found == Found::different) return Fate::park;
  const auto took_it = [&](const Looked& other) {
    return other.copied && other.theirs && *other.theirs == one.quantity;
  };
  const bool moved = std::find(others.begin(), others.end(), one.quantity) != others.end() ||
                     std::any_of(ours.begin(), ours.end(), took_it);
  return moved ? Fate::doubt : Fate::wait;
}

std::string doubt_text(const Looked& one, const std::vector<Quantity>& others) {
  std::string text =
      "the journal is a copy; this " + one.quantity.text() + " may be part of what the upstream has: ";
  if (one.theirs) text += one.theirs->text() + " under this id";
  for (std::size_t i = 0; i < others.size(); ++i)
    text += (i > 0 || one.theirs ? ", " : "") + others[i].text() + " under a later revision";
  return text;
}

std::string receipt_text(const Looked& one, const std::string& receipt) {
  if (!one.theirs || *one.theirs == one.quantity) return receipt;
  return receipt + std::string(kPartOf) + one.theirs->text();
}

}  // namespace

Quantity billed_as(const journal::UsageRecord& record) {
  const auto at = record.receipt().find(kPartOf);
  const auto more = at == std::string::npos ? Result<Quantity>(Error{})
                                            : Quantity::parse(record.receipt().substr(at + kPartOf.size()));
  return more ? *more : journal::usage_of(record).billed();
}

std::vector<Fate> judge_copies(const std::vector<Looked>& ours, const std::vector<Quantity>& others) {
  std::vector<Fate> out;
  for (const auto& one : ours)
    out.push_back(one.copied ? fate_of_copied(one, ours, others) : fate_of(one, ours, others));
  return out;
}

void Reconciler::stop() {
  stopping_ = true;
  deps_.client->close();
}

journal::Moment Reconciler::now() const {
  return journal::moment_of(deps_.clock, deps_.journal.boot_number());
}

asio::awaitable<Result<Reconciled>> Reconciler::run(Milliseconds at_most) {
  const auto until = deps_.clock.boot() + at_most;
  done_ = {};
  done_.upstream = deps_.target.name;
  done_.held = true;
  if (is_of_another_device()) co_return done_;
  const Status sealed = co_await seal_copied();
  if (!sealed) {
    done_.error = sealed.error().message;
    co_return done_;
  }
  for (;;) {
    auto usages = co_await next_usages();
    if (!usages) co_return usages.error();
    if (usages->empty()) break;
    for (const auto& stored : *usages) {
      after_ = stored.sequence;
      if (stopping_ || deps_.clock.boot() >= until) {
        done_.more = true;
        co_return done_;
      }
      const auto usage = journal::usage_of(stored.record);
      meter::BucketKey bucket{usage.day, usage.series};  // g++ 12: no aggregate made inside a co_await
      auto group = co_await read_group(std::move(bucket));
      if (!group) co_return group.error();
      if (group->usages.empty()) continue;  // done, with an earlier one of its bucket
      if (!co_await look_up(*group)) co_return done_;
      const Status committed = co_await commit(std::move(*group));
      if (!committed) co_return committed.error();
    }
  }
  auto released = co_await release();
  if (!released) co_return released.error();
  done_.held = !*released;
  done_.more = !*released;  // something was sealed meanwhile
  co_return done_;
}

// The original's ids begin with its device's id: with another one nothing that it billed would be found.
bool Reconciler::is_of_another_device() {
  const auto& was = deps_.journal.kept_by();
  const auto is = meter::device_prefix(deps_.context->device);
  if (was.empty() || was == is) return false;
  done_.error = "this journal was kept by a device whose usage ids begin with " + was +
                ", and this one's begin with " + is +
                ": set [device] id in meterd.toml to that device's id and restart";
  return true;
}

// What was open becomes usages, so that it has an id to be looked up.
asio::awaitable<Status> Reconciler::seal_copied() {
  std::size_t at_once = kBucketsPerCommit;
  for (;;) {
    struct Sealed {
      std::size_t found = 0;
      std::optional<Error> refused;
    };
    auto step = std::make_shared<Sealed>();
    const bool trusted = deps_.clock.wall().trusted;
    journal::Operation operation = [step, trusted, at_once, at = now(), name = deps_.target.name,
                                    context = deps_.context](journal::WriteTransaction& txn) -> Status {
      *step = {};
      auto buckets = txn.copied_buckets(name, at_once);
      if (!buckets) return buckets.error();
      step->found = buckets->size();
      if (!buckets->empty() && !trusted)
        return Error{Code::retry, "the clock is not trusted yet, so what was open cannot be dated"};
      for (const auto& bucket : *buckets)
        if (auto sealed = seal_copied_parts(txn, *context, bucket, at); !sealed) return sealed;
      return {};
    };
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (!committed && committed.error().code == Code::full && at_once > 1) {
      at_once /= 2;  // on a full map one fits where many do not
      continue;
    }
    if (!committed || step->found < at_once) co_return committed;
  }
}

asio::awaitable<Result<std::vector<journal::StoredUsage>>> Reconciler::next_usages() {
  const auto read = [&journal = deps_.journal, name = deps_.target.name, after = after_] {
    return journal::read_unreconciled(journal, name, after, kUsagesPerRound);
  };
  co_return co_await platform::run_on(deps_.reader, read);
}

asio::awaitable<Result<Reconciler::Group>> Reconciler::read_group(meter::BucketKey bucket) {
  const auto read = [&journal = deps_.journal, bucket] {
    return journal::read_unreconciled(journal, bucket);
  };
  auto usages = co_await platform::run_on(deps_.reader, read);
  if (!usages) co_return usages.error();
  Group group;
  group.usages = std::move(*usages);
  co_return group;
}

void Reconciler::note_trouble(const upstream::Verdict& verdict) {
  done_.error = verdict.detail;
  done_.retry_after = until_asked_again(verdict);
}

asio::awaitable<upstream::ReadBack> Reconciler::look(meter::Usage usage) {
  ++done_.looked_up;
  const auto& vendor = *deps_.target.vendor;
  const auto answer = co_await deps_.client->exchange(vendor.encode_retrieve(usage), true);
  co_return vendor.judge_retrieve(usage, answer);
}

// False: the upstream could not be asked, and nothing is known of the bucket.
asio::awaitable<bool> Reconciler::look_up(Group& group) {
  const bool can_ask = deps_.target.vendor->traits().read_back;
  bool any_absent = false;
  for (const auto& stored : group.usages) {
    const auto usage = journal::usage_of(stored.record);
    Looked looked{usage.billed(), stored.record.copied(), Found::absent, std::nullopt};
    std::string detail = "the journal is a copy, and this upstream cannot be asked whether it has this";
    if (can_ask) {
      auto found = co_await look(usage);
      if (found.found == Found::unknown) {
        note_trouble(found.verdict);
        co_return false;
      }
      looked.found = found.found;
      looked.theirs = found.quantity;
      detail = found.found == Found::same ? found.verdict.receipt : found.verdict.detail;
      any_absent |= found.found == Found::absent;
    }
    group.looked.push_back(std::move(looked));
    group.details.push_back(std::move(detail));
  }
  if (any_absent) co_return co_await look_for_others(group);
  co_return true;
}

// What the original made of the bucket after the copy: its next revisions, which may have gaps where it
// superseded.
asio::awaitable<bool> Reconciler::look_for_others(Group& group) {
  std::set<std::uint32_t> seen;
  for (std::size_t i = 0; i < group.usages.size(); ++i) {
    auto usage = journal::usage_of(group.usages[i].record);
    if (group.looked[i].found != Found::absent) continue;
    for (std::uint32_t absent = 0;
         absent < limits::kSupersedeTriesMax && seen.insert(++usage.revision).second;) {
      const auto found = co_await look_for_revision(usage);
      if (!found) {
        done_.error = found.error().message;
        co_return false;
      }
      if (!*found) continue;  // one of ours
      if ((*found)->found == Found::unknown) {
        note_trouble((*found)->verdict);
        co_return false;
      }
      absent = (*found)->found == Found::absent ? absent + 1 : 0;
      if ((*found)->quantity) group.others.push_back(*(*found)->quantity);
    }
  }
  co_return true;
}

// nullopt: the journal knows that revision itself.
asio::awaitable<Result<std::optional<upstream::ReadBack>>> Reconciler::look_for_revision(meter::Usage usage) {
  const meter::BucketKey bucket{usage.day, usage.series};
  usage.id = meter::usage_id({deps_.context->device, deps_.context->epoch, bucket, usage.revision});
  const auto read = [&journal = deps_.journal, id = usage.id] { return journal::read_usage(journal, id); };
  auto known = co_await platform::run_on(deps_.reader, read);
  if (!known) co_return known.error();
  if (known->has_value()) co_return std::optional<upstream::ReadBack>();
  std::optional<upstream::ReadBack> found = co_await look(std::move(usage));
  co_return found;
}

asio::awaitable<Status> Reconciler::commit(Group group) {
  auto shared = std::make_shared<Group>(std::move(group));
  const bool can_ask = deps_.target.vendor->traits().read_back;
  auto fates = can_ask ? judge_copies(shared->looked, shared->others)
                       : std::vector<Fate>(shared->looked.size(), Fate::doubt);
  journal::Operation operation = [shared, fates, can_ask,
                                  at = now()](journal::WriteTransaction& txn) -> Status {
    for (std::size_t i = 0; i < shared->usages.size(); ++i) {
      const auto& stored = shared->usages[i];
      const auto& looked = shared->looked[i];
      if (auto s = txn.mark_reconciled(stored.sequence); !s) return s;
      Status moved;
      if (fates[i] == Fate::settle) {
        moved = txn.deliver(stored.sequence, receipt_text(looked, shared->details[i]), at);
      } else if (journal::state_of(stored.record) == journal::UsageState::waiting) {
        if (fates[i] == Fate::park) moved = txn.park(stored.sequence, shared->details[i], at);
        if (fates[i] == Fate::doubt)
          moved = txn.hold_in_doubt(stored.sequence,
                                    can_ask ? doubt_text(looked, shared->others) : shared->details[i]);
      }  // what an operator must look at anyway stays as it is
      if (!moved) return moved;
    }
    return {};
  };
  const Status committed = co_await deps_.committer.submit(std::move(operation));
  if (!committed) co_return committed;
  for (const auto fate : fates) {
    done_.delivered += fate == Fate::settle ? 1 : 0;
    done_.waiting += fate == Fate::wait ? 1 : 0;
    done_.parked += fate == Fate::park ? 1 : 0;
    done_.in_doubt += fate == Fate::doubt ? 1 : 0;
  }
  co_return committed;
}

// False if something is left.
asio::awaitable<Result<bool>> Reconciler::release() {
  auto released = std::make_shared<bool>(false);
  const std::string summary = "upstream " + deps_.target.name.value();
  journal::Operation operation = [released, summary, by = deps_.by, at = now(), name = deps_.target.name,
                                  configured = deps_.configured](journal::WriteTransaction& txn) -> Status {
    *released = false;
    auto usages = txn.unreconciled(name, 0, 1);
    if (!usages) return usages.error();
    auto buckets = txn.copied_buckets(name, 1);
    if (!buckets) return buckets.error();
    if (!usages->empty() || !buckets->empty()) return {};
    if (auto s = txn.release(name, configured); !s) return s;
    *released = true;
    return txn.put_audit({by, "reconcile", summary + " is reconciled"}, at);
  };
  const Status committed = co_await deps_.committer.submit(std::move(operation));
  if (!committed) co_return committed.error();
  if (*released) deps_.log.info("upstream_reconciled", {{"upstream", deps_.target.name.value()}});
  co_return *released;
}

}  // namespace meterd::flush
