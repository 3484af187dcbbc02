#include "agent/flush/compare.hpp"

#include <algorithm>

#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;
using Kind = Difference::Kind;

namespace {

constexpr std::size_t kUsagesPerRead = 1'000;
constexpr std::size_t kUsagesMax =
    100'000;                              // of one subscription, held in memory; the vendor's limit is 5,000
constexpr std::size_t kPagesMax = 2'000;  // of one subscription: an upstream that never ends
constexpr std::size_t kDifferencesPerRun = 500;
constexpr std::size_t kAdoptedPerCommit = 32;

std::string content_differs(const upstream::ListedUsage& theirs, const journal::UsageRecord& ours) {
  std::string differs;
  const auto expect = [&differs](bool equal, const std::string& field) {
    if (!equal) differs += (differs.empty() ? "differs in " : ", ") + field;
  };
  expect(theirs.item_price.value() == ours.item_price_id(),
         "item_price_id (theirs " + theirs.item_price.value() + ", ours " + ours.item_price_id() + ")");
  expect(theirs.usage_date == ours.usage_date(), "usage_date (theirs " + std::to_string(theirs.usage_date) +
                                                     ", ours " + std::to_string(ours.usage_date()) + ")");
  const auto quantity = Quantity::parse(theirs.quantity);
  expect(quantity.ok() && *quantity == journal::usage_of(ours).quantity,
         "quantity (theirs " + theirs.quantity + ", ours " + ours.quantity() + ")");
  return differs;
}

bool is_delivered(const journal::StoredUsage& stored) {
  return journal::state_of(stored.record) == journal::UsageState::delivered &&
         journal::is_listed(stored.record);
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::missing:
      return "missing";
    case Kind::altered:
      return "altered";
    case Kind::not_billed:
      break;
  }
  return "not_billed";
}

Judged judge_listed(const meter::SeriesKey& series, const upstream::ListedUsage& theirs,
                    const journal::KnownUsage& known) {
  Judged out;
  if (known.damaged) {
    out.differs = "cannot be compared: its record here is damaged, run meterctl verify";
    return out;
  }
  if (!known.stored) {
    out.forgotten = known.forgotten;
    if (!known.forgotten) out.differs = "is not ours: this journal never made it";
    return out;
  }
  const auto& record = known.stored->record;
  if (record.upstream() != series.upstream.value() ||
      record.subscription_id() != series.subscription.value()) {
    out.differs = "is not ours: here the id is a usage of subscription " + record.subscription_id() +
                  " for " + record.upstream();
    return out;
  }
  if (record.deleted_by() != 0) return out;  // it is on its way out
  const auto state = journal::state_of(record);
  if (!journal::is_listed(record)) {
    out.differs = std::string("is ") + std::string(journal::name_of(state)) + " here, and still there";
    return out;
  }
  out.adopt = theirs.invoice != record.invoice_id() || theirs.line_item != record.line_item_id();
  out.delivered = is_delivered(*known.stored);
  out.differs = content_differs(theirs, record);
  const bool given_up = state == journal::UsageState::parked || state == journal::UsageState::in_doubt;
  if (out.differs.empty() && given_up)
    out.differs =
        std::string("is ") + std::string(journal::name_of(state)) + " here, and the upstream has it";
  return out;
}

void Comparer::stop() {
  stopping_ = true;
  deps_.client->close();
}

void Comparer::differ(Kind kind, const UsageId& id, std::string detail) {
  done_.differences.push_back({kind, at_->id, id, std::move(detail)});
}

void Comparer::note_trouble(const upstream::Verdict& verdict) {
  done_.error = "subscription " + at_->id.value() + ": " + verdict.detail;
  done_.retry_after = verdict.retry_after.value_or(Milliseconds(0));
}

asio::awaitable<Result<Compared>> Comparer::run(Milliseconds at_most) {
  const auto until = deps_.clock.boot() + at_most;
  done_ = {};
  done_.upstream = deps_.target.name;
  done_.can_list = deps_.target.vendor->traits().lists;
  while (done_.can_list && done_.error.empty()) {
    done_.more = true;
    if (stopping_ || deps_.clock.boot() >= until || done_.differences.size() >= kDifferencesPerRun) break;
    if (!at_) {
      auto begun = co_await begin_next();
      if (!begun) co_return begun.error();
      done_.more = *begun;
      if (!*begun) break;
    }
    Status stepped;
    if (at_->listed)
      stepped = co_await look_for_unseen();
    else
      stepped = co_await compare_page();
    if (!stepped) co_return stepped.error();
    if (done_.error.empty() && at_->listed && at_->unseen.empty()) finish();
  }
  co_return std::move(done_);
}

// False: there is no further subscription.
asio::awaitable<Result<bool>> Comparer::begin_next() {
  const auto read = [&journal = deps_.journal, name = deps_.target.name, after = last_] {
    return journal::read_next_subscription(journal, name, after);
  };
  auto next = co_await platform::run_on(deps_.reader, read);
  if (!next) co_return next.error();
  if (!next->has_value()) co_return false;
  last_ = **next;
  at_.emplace();
  at_->id = last_;
  const Status known = co_await read_delivered();
  if (!known) co_return known.error();
  co_return true;
}

// Before the upstream is asked: what is delivered meanwhile need not be in its list.
asio::awaitable<Status> Comparer::read_delivered() {
  journal::UsageQuery query;
  query.subscription.is = at_->id.value();
  query.limit = kUsagesPerRead;
  do {
    const auto read = [&journal = deps_.journal, query] { return journal::read_usages(journal, query); };
    auto page = co_await platform::run_on(deps_.reader, read);
    if (!page) co_return page.error();
    for (const auto& stored : page->usages)
      if (stored.record.upstream() == deps_.target.name.value() && is_delivered(stored))
        at_->unseen.emplace(stored.sequence, UsageId(stored.record.id()));
    if (at_->unseen.size() > kUsagesMax)
      co_return Error{Code::invalid, "subscription " + at_->id.value() + " has more than " +
                                         std::to_string(kUsagesMax) +
                                         " delivered usages: too many to compare"};
    query.after = page->next;
  } while (query.after);
  co_return Status();
}

asio::awaitable<Status> Comparer::compare_page() {
  const auto& vendor = *deps_.target.vendor;
  const auto request = vendor.encode_list(at_->id, at_->offset);
  const auto answer = co_await deps_.client->exchange(request, true);
  auto page = vendor.judge_list(at_->id, answer);
  if (!page.wanted) {
    note_trouble(page.verdict);
    co_return Status();
  }
  if (++at_->pages > kPagesMax)
    co_return Error{Code::invalid,
                    "the upstream's list of subscription " + at_->id.value() + " does not end"};
  const Status judged = co_await judge(std::move(page.wanted->usages));
  if (!judged) co_return judged;
  at_->offset = page.wanted->next_offset;
  at_->listed = at_->offset.empty();
  co_return Status();
}

asio::awaitable<Status> Comparer::judge(std::vector<upstream::ListedUsage> listed) {
  std::vector<journal::NamedUsage> named;
  for (const auto& one : listed)
    named.push_back({one.id, {deps_.target.name, at_->id, one.item_price}, one.usage_date});
  const auto read = [&journal = deps_.journal, &named] { return journal::read_known(journal, named); };
  auto known = co_await platform::run_on(deps_.reader, read);
  if (!known) co_return known.error();
  std::vector<upstream::ListedUsage> invoiced;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    const auto& theirs = listed[i];
    const auto judged = judge_listed(named[i].series, theirs, (*known)[i]);
    ++done_.usages;
    done_.forgotten += judged.forgotten ? 1 : 0;
    if (!judged.differs.empty()) differ(Kind::altered, theirs.id, judged.differs);
    if ((*known)[i].stored) at_->unseen.erase((*known)[i].stored->sequence);
    if (!theirs.invoice.empty()) {
      auto& last = at_->billed_until[theirs.item_price];
      last = std::max(last, theirs.usage_date);
    } else if (judged.delivered) {
      at_->unbilled.push_back({theirs.item_price, theirs.usage_date, theirs.id});
    }
    if (judged.adopt) invoiced.push_back(theirs);
  }
  co_return co_await adopt(std::move(invoiced));
}

asio::awaitable<Status> Comparer::adopt(std::vector<upstream::ListedUsage> invoiced) {
  for (std::size_t from = 0; from < invoiced.size(); from += kAdoptedPerCommit) {
    const auto end = std::min(invoiced.size(), from + kAdoptedPerCommit);
    auto part = std::make_shared<std::vector<upstream::ListedUsage>>(
        invoiced.begin() + static_cast<std::ptrdiff_t>(from),
        invoiced.begin() + static_cast<std::ptrdiff_t>(end));
    const auto at = journal::moment_of(deps_.clock, deps_.journal.boot_number());
    journal::Operation operation = [part, at](journal::WriteTransaction& txn) -> Status {
      for (const auto& one : *part) {
        auto stored = txn.find_usage(one.id);  // it may have gone meanwhile
        if (!stored) return stored.error();
        if (!stored->has_value() || !journal::is_listed((*stored)->record)) continue;
        if (auto s = txn.attach((*stored)->sequence, one.invoice, one.line_item, at); !s) return s;
      }
      return {};
    };
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (!committed) co_return committed;
    done_.invoiced += part->size();
  }
  co_return Status();
}

// A list may skip what moves while it is paged: what it lacks is asked for by id before it is called missing.
asio::awaitable<Status> Comparer::look_for_unseen() {
  if (at_->unseen.empty()) co_return Status();
  const auto id = at_->unseen.begin()->second;
  const auto read = [&journal = deps_.journal, id] { return journal::read_usage(journal, id); };
  auto stored = co_await platform::run_on(deps_.reader, read);
  if (!stored) co_return stored.error();
  if (stored->has_value() && is_delivered(**stored)) {
    const auto usage = journal::usage_of((*stored)->record);
    const auto& vendor = *deps_.target.vendor;
    const auto request = vendor.encode_retrieve(usage);
    const auto answer = co_await deps_.client->exchange(request, true);
    const auto found = vendor.judge_retrieve(usage, answer);
    using Found = upstream::ReadBack::Found;
    if (found.found == Found::unknown) {
      note_trouble(found.verdict);
      co_return Status();
    }
    ++done_.usages;
    if (found.found == Found::different) differ(Kind::altered, id, found.verdict.detail);
    if (found.found == Found::absent)
      differ(Kind::missing, id,
             "was delivered (" + (*stored)->record.receipt() + "), and is not there: quantity " +
                 usage.quantity.text() + " of " + usage.series.item_price.value() + ", " + usage.day.iso());
  }
  at_->unseen.erase(at_->unseen.begin());
  co_return Status();
}

void Comparer::finish() {
  for (const auto& one : at_->unbilled) {
    const auto billed = at_->billed_until.find(one.item_price);
    if (billed == at_->billed_until.end() || one.usage_date >= billed->second) continue;
    differ(Kind::not_billed, one.id,
           "is on no invoice, and later usages of " + one.item_price.value() +
               " are: it came after its term was invoiced, or that invoice is still pending");
  }
  ++done_.subscriptions;
  at_.reset();
}

}  // namespace meterd::flush
