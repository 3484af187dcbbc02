#include "agent/usages/collection.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/meter/identity.hpp"
#include "platform/run_on.hpp"

namespace meterd::usages {

namespace asio = boost::asio;

namespace {
constexpr std::size_t kRandomBytes = 16;
constexpr Milliseconds kGatherFor{1};
constexpr Milliseconds kLongestWait{24 * 3'600'000};
}  // namespace

Collection::Collection(Dependencies dependencies, std::shared_ptr<const Rules> rules)
    : deps_(std::move(dependencies)), rules_(std::move(rules)), alarm_(deps_.clock.make_alarm()) {}

void Collection::stop() {
  stopping_ = true;
  alarm_->notify();
}

// One commit of callers at a time: who comes meanwhile shares the next one.
asio::awaitable<void> Collection::run() {
  while (!stopping_ || !waiting_.empty() || under_way_ > 0) {
    if (waiting_.empty() || under_way_ > 0) {
      co_await alarm_->wait_for(kLongestWait);
      continue;
    }
    co_await gather();
    under_way_ = waiting_.size();
    deps_.committer.submit(std::exchange(waiting_, {}));
  }
}

// As reporters do (ingest/batcher_commit.cpp), callers come back together: without a moment's patience they
// split into two groups for good, with half as many in each commit.
asio::awaitable<void> Collection::gather() {
  const auto began = deps_.clock.ticks();
  while (waiting_.size() < gather_ && !stopping_ && deps_.clock.ticks() - began < kGatherFor)
    co_await alarm_->wait_for(kGatherFor);
}

asio::awaitable<Status> Collection::submit(journal::Operation operation) {
  auto initiate = [this, operation = std::move(operation)](auto handler) mutable {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    if (stopping_) return std::move(*shared)(Status(Error{Code::cancelled, "meterd is stopping"}));
    waiting_.emplace_back(std::move(operation), [this, shared](Status done) {
      if (--under_way_ == 0) {
        gather_ = std::exchange(answered_, 0) + 1 + waiting_.size();
        alarm_->notify();
      } else {
        ++answered_;
      }
      std::move (*shared)(std::move(done));
    });
    if (under_way_ == 0 && (waiting_.size() == 1 || waiting_.size() >= gather_)) alarm_->notify();
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Status)>(std::move(initiate),
                                                                           asio::use_awaitable);
}

asio::awaitable<Result<Change>> Collection::create(Draft draft, IdempotencyKey key, Render render) {
  if (!deps_.take_room())
    co_return Error{Code::full, "the journal has no room for another usage now; try again later"};
  Apply apply = [draft = std::move(draft), key = std::move(key)](journal::WriteTransaction& txn,
                                                                 const Surroundings& around) {
    return usages::create(txn, draft, key, around);
  };
  co_return co_await commit(std::move(apply), std::move(render));
}

asio::awaitable<Result<Change>> Collection::remove(Deletion deletion, IdempotencyKey key, Render render) {
  Apply apply = [deletion = std::move(deletion), key = std::move(key)](journal::WriteTransaction& txn,
                                                                       const Surroundings& around) {
    return usages::remove(txn, deletion, key, around);
  };
  co_return co_await commit(std::move(apply), std::move(render));
}

asio::awaitable<Result<std::vector<bool>>> Collection::charge(ChargeOrder order) {
  if (const auto why = objection(order, *rules_); !why.empty()) co_return Error{Code::rejected, why};
  if (!deps_.clock.wall().trusted)
    co_return Error{Code::retry,
                    "the device's clock is not trusted yet, so the usage has no day; try again later"};
  std::vector<UsageId> ids;
  for (std::size_t i = 0; i < order.items.size(); ++i) {
    if (!deps_.take_room())
      co_return Error{Code::full, "the journal has no room for another usage now; try again later"};
    ids.push_back(meter::random_id(rules_->context->device, deps_.random.bytes(kRandomBytes)));
  }
  auto taken = std::make_shared<std::vector<bool>>();
  journal::Operation operation = [taken, order = std::move(order), ids = std::move(ids), rules = rules_,
                                  at = now()](journal::WriteTransaction& txn) -> Status {
    auto done = usages::charge(txn, order, ids, *rules, at);
    if (!done) return done.error();
    *taken = std::move(*done);
    return {};
  };
  const Status committed = co_await submit(std::move(operation));
  if (!committed) co_return committed.error();
  co_return std::move(*taken);
}

asio::awaitable<Result<Change>> Collection::withdraw(UsageId id, Act act, Render render) {
  Apply apply = [id = std::move(id), act = std::move(act)](journal::WriteTransaction& txn,
                                                           const Surroundings& around) -> Result<Change> {
    auto found = txn.find_usage(id);
    if (!found) return found.error();
    const SubscriptionId subscription(found->has_value() ? (*found)->record.subscription_id() : "");
    auto done = usages::remove(txn, {subscription, id, true}, {}, around);
    if (!done || done->refusal) return done;
    auto audited = txn.put_audit({act.by, "withdraw", "usage " + id.value() + ": " + act.reason}, around.now);
    if (!audited) return audited.error();
    return done;
  };
  co_return co_await commit(std::move(apply), std::move(render));
}

asio::awaitable<Result<Change>> Collection::resolve(Resolution resolution, Act act, Render render) {
  const auto read = [this, id = resolution.id] { return journal::read_usage(deps_.journal, id); };
  auto found = co_await platform::run_on(deps_.reader, read);
  if (!found) co_return found.error();
  if (found->has_value() && deps_.is_sending((*found)->sequence))
    co_return Error{Code::retry, "it is being sent: its answer may come yet"};
  if (found->has_value()) resolution.attempts = (*found)->record.attempts();
  Apply apply = [resolution = std::move(resolution), act = std::move(act)](journal::WriteTransaction& txn,
                                                                           const Surroundings& around) {
    return usages::resolve(txn, resolution, act, around);
  };
  co_return co_await commit(std::move(apply), std::move(render));
}

asio::awaitable<Result<Change>> Collection::credit(Credit wanted, Act act, Render render) {
  if (!deps_.clock.wall().trusted)
    co_return Error{Code::retry,
                    "the device's clock is not trusted yet, so the credit has no day; try again later"};
  if (!deps_.take_room())
    co_return Error{Code::full, "the journal has no room for another usage now; try again later"};
  Apply apply = [wanted = std::move(wanted), act = std::move(act)](journal::WriteTransaction& txn,
                                                                   const Surroundings& around) {
    return usages::credit(txn, wanted, act, around);
  };
  co_return co_await commit(std::move(apply), std::move(render));
}

asio::awaitable<Result<Change>> Collection::replay(IdempotencyKey key) {
  if (key.key.empty()) co_return Change{};
  Apply apply = [key = std::move(key)](journal::WriteTransaction& txn, const Surroundings& around) {
    return usages::replay(txn, key, around);
  };
  co_return co_await commit(std::move(apply), nullptr);
}

asio::awaitable<Result<Change>> Collection::answer_once(IdempotencyKey key, std::string text) {
  if (key.key.empty()) co_return Change{std::nullopt, std::move(text), false};
  Apply apply = [key = std::move(key), text = std::move(text)](journal::WriteTransaction& txn,
                                                               const Surroundings& around) {
    return usages::answer_once(txn, key, text, around);
  };
  co_return co_await commit(std::move(apply), nullptr);
}

// What it is to be known by is drawn before: an operation may run more than once.
asio::awaitable<Result<Change>> Collection::commit(Apply apply, Render render) {
  auto change = std::make_shared<Change>();
  const UsageId fresh = meter::random_id(rules_->context->device, deps_.random.bytes(kRandomBytes));
  journal::Operation operation = [change, apply = std::move(apply), render = std::move(render),
                                  rules = rules_, at = now(),
                                  fresh](journal::WriteTransaction& txn) -> Status {
    auto done = apply(txn, {*rules, render, at, fresh});
    if (!done) return done.error();
    *change = std::move(*done);
    return {};
  };
  const Status committed = co_await submit(std::move(operation));
  if (!committed) co_return committed.error();
  co_return std::move(*change);
}

journal::Moment Collection::now() const {
  return journal::moment_of(deps_.clock, deps_.journal.boot_number());
}

asio::awaitable<Result<std::optional<journal::StoredUsage>>> Collection::find(SubscriptionId subscription,
                                                                              UsageId id) {
  const auto read = [this, id = std::move(id)] { return journal::read_usage(deps_.journal, id); };
  auto found = co_await platform::run_on(deps_.reader, read);
  if (found && found->has_value() &&
      ((*found)->record.subscription_id() != subscription.value() || !is_served((*found)->record, *rules_)))
    found->reset();
  co_return std::move(found);
}

}  // namespace meterd::usages
