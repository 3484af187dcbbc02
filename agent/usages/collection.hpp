// The collection of usages that the device's own Usages API serves (seed 002): those of callers, and sealed
// buckets. Loop thread; changes are committed by the journal thread before they are answered, and reads run
// on the reader thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/journal/committer.hpp"
#include "agent/journal/read.hpp"
#include "agent/usages/changes.hpp"
#include "agent/usages/charges.hpp"
#include "agent/usages/invoices.hpp"
#include "platform/clock.hpp"
#include "platform/random.hpp"

namespace meterd::usages {

class Collection {
 public:
  struct Dependencies {
    const journal::Journal& journal;
    journal::Committer& committer;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
    platform::Random& random;
    std::function<bool()> take_room;  // for one more usage; false: the journal is full
    // Seals what was counted up to now into the buckets that are wanted.
    std::function<boost::asio::awaitable<Status>(std::function<bool(const meter::BucketKey&)>)> seal_now;
    // Whether the usage of that sequence is on its way at this moment.
    std::function<bool(std::uint64_t)> is_sending;
  };
  Collection(Dependencies dependencies, std::shared_ptr<const Rules> rules);

  // Commits what callers want changed, until stop(); what comes after that is refused with Code::cancelled.
  boost::asio::awaitable<void> run();
  void stop();
  void adopt(std::shared_ptr<const Rules> rules) { rules_ = std::move(rules); }
  const Rules& rules() const { return *rules_; }

  // Committed when it returns. Code::full: no room now, and nothing was changed.
  boost::asio::awaitable<Result<Change>> create(Draft draft, IdempotencyKey key, Render render);
  boost::asio::awaitable<Result<Change>> remove(Deletion deletion, IdempotencyKey key, Render render);

  // All items in one commit; for each whether it was taken. Code::rejected: the order as a whole is not.
  boost::asio::awaitable<Result<std::vector<bool>>> charge(ChargeOrder order);

  // An operator gives the usage up, with an audit: as a caller's deletion, in whichever subscription it is.
  boost::asio::awaitable<Result<Change>> withdraw(UsageId id, Act act, Render render);

  // An operator decides of a usage that is in doubt or parked, with an audit.
  boost::asio::awaitable<Result<Change>> resolve(Resolution resolution, Act act, Render render);

  // An operator gives back a part of what a usage charged, with an audit. Code::retry: no clock to date it
  // by.
  boost::asio::awaitable<Result<Change>> credit(Credit wanted, Act act, Render render);

  bool is_sending(std::uint64_t sequence) const { return deps_.is_sending(sequence); }

  // What the key was answered with before, or refused; an empty answer: nothing yet.
  boost::asio::awaitable<Result<Change>> replay(IdempotencyKey key);
  // An answer without a change: with a key, what was answered first. Without one nothing is committed.
  boost::asio::awaitable<Result<Change>> answer_once(IdempotencyKey key, std::string text);

  boost::asio::awaitable<Result<std::optional<journal::StoredUsage>>> find(SubscriptionId subscription,
                                                                           UsageId id);
  // Full pages, however few usages fit, as long as a million records are enough to find them.
  boost::asio::awaitable<Result<journal::UsagePage>> list(journal::UsageQuery query);
  // The same for an operator: of every upstream.
  boost::asio::awaitable<Result<journal::UsagePage>> list_every(journal::UsageQuery query);
  // The collection's as text, made where it is read: a page's records are never moved to the loop.
  using Print = std::function<std::string(const journal::UsagePage&)>;
  boost::asio::awaitable<Result<std::string>> list(journal::UsageQuery query, Print print);

  // Through all its steps, with an audit of who wanted it; closing seals what was counted in the term first.
  // An open one has its lines as they would be if it were closed now. Code::rejected: it may not be, and
  // nothing changed.
  boost::asio::awaitable<Result<journal::v0::Invoice>> invoice(InvoiceOrder order, std::string by);
  boost::asio::awaitable<Result<std::vector<journal::InvoiceRow>>> invoices();
  // What is on the invoice, or would be, with its lines, if it is open; nullopt: there is no such invoice.
  // Code::invalid: more than `at_most` usages, or two upstreams have one of that id.
  struct Content {
    std::optional<journal::v0::Invoice>
        invoice;  // nullopt: the upstream made it, and has usages of ours on it
    std::vector<journal::StoredUsage> usages;
  };
  boost::asio::awaitable<Result<std::optional<Content>>> content(std::string invoice, std::size_t at_most);
  // All that the query finds, whatever its limit. Code::invalid: more than `at_most`.
  boost::asio::awaitable<Result<std::vector<journal::StoredUsage>>> all(journal::UsageQuery query,
                                                                        std::size_t at_most);

 private:
  using Apply = std::function<Result<Change>(journal::WriteTransaction&, const Surroundings&)>;
  boost::asio::awaitable<Result<Change>> commit(Apply apply, Render render);
  boost::asio::awaitable<Status> submit(journal::Operation operation);
  boost::asio::awaitable<void> gather();
  boost::asio::awaitable<Status> seal_term(InvoiceOrder order);
  journal::Moment now() const;

  Dependencies deps_;
  std::shared_ptr<const Rules> rules_;
  std::unique_ptr<platform::Alarm> alarm_;
  std::vector<journal::Committer::Submitted> waiting_;  // for a commit of their own
  std::size_t gather_ = 0;    // as many as the last commit answered, and those who waited meanwhile
  std::size_t answered_ = 0;  // of the commit under way
  std::size_t under_way_ = 0;
  bool stopping_ = false;
};

}  // namespace meterd::usages
