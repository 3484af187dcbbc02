// Comparing with an upstream, subscription by subscription: its list page by page, then the few usages that
// the list alone tells nothing certain about.
#include <algorithm>

#include "agent/flush/compare.hpp"
#include "agent/flush/policy.hpp"
#include "agent/flush/reconcile.hpp"
#include "platform/run_on.hpp"

namespace meterd::flush {

namespace asio = boost::asio;
using Kind = Difference::Kind;
using Found = upstream::ReadBack::Found;

namespace {

constexpr std::size_t kUsagesPerRead = 1'000;
constexpr std::size_t kUsagesMax =
    100'000;                              // of one subscription, held in memory; the vendor's limit is 5,000
constexpr std::size_t kPagesMax = 2'000;  // of one subscription: an upstream that never ends
constexpr std::size_t kDifferencesPerRun = 500;
constexpr std::size_t kAdoptedPerCommit = 32;

bool is_delivered(const journal::StoredUsage& stored) {
  return journal::state_of(stored.record) == journal::UsageState::delivered &&
         journal::is_listed(stored.record);
}

bool has_ended_otherwise(const journal::StoredUsage& stored) {
  const auto state = journal::state_of(stored.record);
  return state == journal::UsageState::withdrawn || state == journal::UsageState::superseded;
}

}  // namespace

void Comparer::stop() {
  stopping_ = true;
  deps_.client->close();
}

void Comparer::differ(Kind kind, const UsageId& id, std::string detail) {
  done_.differences.push_back({kind, at_->id, id, std::move(detail)});
}

void Comparer::skip_subscription(std::string why) {
  differ(Kind::not_compared, UsageId(), std::move(why));
  at_.reset();
}

void Comparer::note_trouble(const upstream::Verdict& verdict) {
  done_.error = "subscription " + at_->id.value() + ": " + verdict.detail;
  done_.retry_after = until_asked_again(verdict);
}

asio::awaitable<upstream::Exchange> Comparer::ask(upstream::HttpRequest request) {
  if (stopping_) co_return upstream::TransportError{{}, "meterd is stopping"};
  co_return co_await deps_.client->exchange(request, true);
}

asio::awaitable<Result<std::optional<journal::StoredUsage>>> Comparer::find(UsageId id) {
  const auto read = [&journal = deps_.journal, id] { return journal::read_usage(journal, id); };
  co_return co_await platform::run_on(deps_.reader, read);
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
      continue;
    }
    const Status stepped = co_await step();
    if (!stepped) co_return stepped.error();
  }
  co_return std::move(done_);
}

// One request to the upstream, or the end of a subscription.
asio::awaitable<Status> Comparer::step() {
  if (!at_->listed) co_return co_await compare_page();
  if (at_->looks.empty()) {
    ++done_.subscriptions;
    at_.reset();
    co_return Status();
  }
  auto next = at_->looks.back();
  co_return co_await look(std::move(next));
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
  at_ = std::make_unique<Subscription>();
  at_->id = last_;
  const Status known = co_await read_delivered();
  if (!known) co_return known.error();
  co_return true;
}

// Before the upstream is asked: what is delivered meanwhile need not be in its list.
asio::awaitable<Status> Comparer::read_delivered() {
  journal::UsageQuery query;
  query.subscription.is = at_->id.value();
  query.upstream = deps_.target.name;
  query.limit = kUsagesPerRead;
  do {
    const auto read = [&journal = deps_.journal, query] { return journal::read_usages(journal, query); };
    auto page = co_await platform::run_on(deps_.reader, read);
    if (!page) co_return page.error();
    for (const auto& stored : page->usages) {
      if (!is_delivered(stored)) continue;
      at_->unseen.emplace(stored.sequence, UsageId(stored.record.id()));
      at_->billed_until.emplace(stored.record.item_price_id(), 0);
    }
    if (at_->unseen.size() > kUsagesMax) {
      skip_subscription("more than " + std::to_string(kUsagesMax) + " delivered usages: too many to compare");
      co_return Status();
    }
    query.after = page->next;
  } while (query.after);
  co_return Status();
}

asio::awaitable<Status> Comparer::compare_page() {
  const auto& vendor = *deps_.target.vendor;
  auto request = vendor.encode_list(at_->id, at_->offset);
  const auto answer = co_await ask(std::move(request));
  auto page = vendor.judge_list(at_->id, answer);
  if (!page.wanted) {
    using upstream::Outcome;
    const auto outcome = page.verdict.outcome;
    if (outcome == Outcome::throttled || outcome == Outcome::unavailable || outcome == Outcome::unauthorised)
      note_trouble(page.verdict);
    else
      skip_subscription(page.verdict.detail);
    co_return Status();
  }
  const auto next = page.wanted->next_offset;
  const Status judged = co_await judge(std::move(page.wanted->usages));
  if (!judged) co_return judged;
  at_->offset = next;
  at_->listed = next.empty();
  if (at_->listed) plan_looks();
  if (++at_->pages > kPagesMax) skip_subscription("the upstream's list does not end");
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
    const auto judged = judge_listed(deps_.owner, named[i].series, listed[i], (*known)[i]);
    weigh(listed[i], judged, (*known)[i]);
    if (judged.adopt) invoiced.push_back(std::move(listed[i]));
  }
  if (!invoiced.empty() && deps_.is_short_of_room()) {
    done_.error =
        "the journal is short of room, and no invoice is noted: free space, and see meterctl status";
    co_return Status();
  }
  co_return co_await adopt(std::move(invoiced));
}

void Comparer::weigh(const upstream::ListedUsage& theirs, const Judged& judged,
                     const journal::KnownUsage& known) {
  ++done_.usages;
  done_.forgotten += judged.forgotten ? 1 : 0;
  if (!judged.differs.empty()) differ(Kind::altered, theirs.id, judged.differs);
  if (judged.ended) at_->looks.push_back({theirs.id, Look::Why::ended});
  const bool first_time = known.stored && at_->unseen.erase(known.stored->sequence) > 0;
  const auto billed = at_->billed_until.find(theirs.item_price);
  if (!theirs.invoice.empty() && billed != at_->billed_until.end())
    billed->second = std::max(billed->second, theirs.usage_date);
  if (theirs.invoice.empty() && judged.delivered && first_time)
    at_->unbilled.push_back({theirs.item_price, theirs.usage_date, theirs.id});
}

asio::awaitable<Status> Comparer::adopt(std::vector<upstream::ListedUsage> invoiced) {
  std::size_t at_once = kAdoptedPerCommit;
  while (!invoiced.empty()) {
    const auto end = invoiced.begin() + static_cast<std::ptrdiff_t>(std::min(at_once, invoiced.size()));
    auto part = std::make_shared<std::vector<upstream::ListedUsage>>(invoiced.begin(), end);
    const auto at = journal::moment_of(deps_.clock, deps_.journal.boot_number());
    journal::Operation operation = [part, at](journal::WriteTransaction& txn) -> Status {
      for (const auto& one : *part) {
        auto stored = txn.find_usage(one.id);  // it may have ended meanwhile
        if (!stored) return stored.error();
        if (!stored->has_value() || !is_delivered(**stored)) continue;
        if (auto s = txn.note_invoice((*stored)->sequence, one.invoice, one.line_item, at); !s) return s;
      }
      return {};
    };
    const Status committed = co_await deps_.committer.submit(std::move(operation));
    if (!committed && committed.error().code == Code::full && at_once > 1) {
      at_once /= 2;
      continue;
    }
    if (!committed) co_return committed;
    done_.invoiced += part->size();
    invoiced.erase(invoiced.begin(), end);
  }
  co_return Status();
}

void Comparer::plan_looks() {
  for (const auto& [sequence, id] : at_->unseen) at_->looks.push_back({id, Look::Why::unlisted});
  for (const auto& one : at_->unbilled)
    if (one.usage_date < at_->billed_until.at(one.item_price))
      at_->looks.push_back({one.id, Look::Why::unbilled});
  at_->unseen.clear();
  at_->unbilled.clear();
}

// Asked for between two looks into the journal: what ends meanwhile is no difference.
asio::awaitable<Status> Comparer::look(Look wanted) {
  const auto still = [&](const std::optional<journal::StoredUsage>& stored) {
    if (!stored) return false;
    return wanted.why == Look::Why::ended ? has_ended_otherwise(*stored) : is_delivered(*stored);
  };
  auto before = co_await find(wanted.id);
  if (!before) co_return before.error();
  if (still(*before)) {
    const auto usage = journal::usage_of((*before)->record);
    const auto& vendor = *deps_.target.vendor;
    auto request = vendor.encode_retrieve(usage);
    const auto answer = co_await ask(std::move(request));
    const auto found = vendor.judge_retrieve(usage, answer);
    if (found.found == Found::unknown) {
      note_trouble(found.verdict);
      co_return Status();
    }
    auto after = co_await find(wanted.id);
    if (!after) co_return after.error();
    if (still(*after)) tell(wanted, (*after)->record, found);
  }
  at_->looks.pop_back();
  co_return Status();
}

void Comparer::tell(const Look& look, const journal::UsageRecord& ours, const upstream::ReadBack& found) {
  const bool there = found.found != Found::absent;
  if (look.why == Look::Why::ended) {
    const std::string state(journal::name_of(journal::state_of(ours)));
    if (there) differ(Kind::altered, look.id, "is " + state + " here, and still there");
    return;
  }
  if (look.why == Look::Why::unlisted) ++done_.usages;
  if (!there)
    return differ(Kind::missing, look.id,
                  "was delivered (" + ours.receipt() + "), and is not there: quantity " + ours.quantity() +
                      " of " + ours.item_price_id() + ", " + UsageDay(ours.day()).iso());
  const bool as_found = ours.copied() && found.quantity && *found.quantity == billed_as(ours);
  if (look.why == Look::Why::unlisted && found.found == Found::different && !as_found)
    differ(Kind::altered, look.id, found.verdict.detail);
  if (look.why == Look::Why::unbilled && !found.invoiced)
    differ(Kind::not_billed, look.id,
           "is on no invoice, and later usages of " + ours.item_price_id() +
               " are: it came after its term was invoiced, or that invoice is still pending");
}

}  // namespace meterd::flush
