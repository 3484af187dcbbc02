// Comparing: what an upstream has of each subscription beside what the journal delivered to it. Nothing is
// sent again or changed there: the invoices that its usages are on are noted here, and every difference is
// told.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/flush/sealer.hpp"

namespace meterd::flush {

struct Difference {
  enum class Kind : std::uint8_t {
    missing,     // delivered, and the upstream does not have it
    altered,     // the upstream's is another than what was delivered, or is none of ours
    not_billed,  // delivered, on no invoice, and dated in a term that is invoiced already
  };
  Kind kind = Kind::missing;
  SubscriptionId subscription;
  UsageId id;
  std::string detail;
};
std::string_view name_of(Difference::Kind kind);

// What a listed usage means. `known`: what the journal knows under its id.
struct Judged {
  std::string differs;     // empty: it does not
  bool forgotten = false;  // it was ours, and is not kept any more
  bool delivered = false;  // it is the one that was delivered
  bool adopt = false;      // its invoice is another than the journal's
};
Judged judge_listed(const meter::SeriesKey& series, const upstream::ListedUsage& theirs,
                    const journal::KnownUsage& known);

// What one run came to.
struct Compared {
  UpstreamName upstream;
  std::uint64_t run = 0;                      // which comparison it is a part of
  bool can_list = true;                       // this upstream can; otherwise nothing was compared
  bool more = false;                          // only time is missing: go on
  std::size_t subscriptions = 0, usages = 0;  // compared to their end
  std::size_t forgotten = 0;                  // not kept here any more, so nothing is known of them
  std::size_t invoiced = 0;                   // invoice ids noted or cleared
  std::vector<Difference> differences;
  std::string error = {};  // why it went no further
  Milliseconds retry_after{};
};

// Goes through the upstream's subscriptions; run() after run() goes on where the one before ended.
class Comparer {
 public:
  struct Dependencies {
    Target target;
    std::unique_ptr<upstream::HttpClient> client;
    const journal::Journal& journal;
    journal::Committer& committer;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
  };
  explicit Comparer(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // Begins no other request after `at_most`.
  boost::asio::awaitable<Result<Compared>> run(Milliseconds at_most);
  // From another coroutine: ends soon.
  void stop();

 private:
  struct Unbilled {
    ItemPriceId item_price;
    std::int64_t usage_date = 0;
    UsageId id;
  };
  struct Subscription {  // under way
    SubscriptionId id;
    std::map<std::uint64_t, UsageId> unseen;  // delivered before it was listed
    std::vector<Unbilled> unbilled;
    std::map<ItemPriceId, std::int64_t> billed_until;  // the last date that is on an invoice
    std::string offset;
    std::size_t pages = 0;
    bool listed = false;
  };
  boost::asio::awaitable<Result<bool>> begin_next();
  boost::asio::awaitable<Status> read_delivered();
  boost::asio::awaitable<Status> compare_page();
  boost::asio::awaitable<Status> judge(std::vector<upstream::ListedUsage> listed);
  boost::asio::awaitable<Status> adopt(std::vector<upstream::ListedUsage> invoiced);
  boost::asio::awaitable<Status> look_for_unseen();
  void finish();
  void differ(Difference::Kind kind, const UsageId& id, std::string detail);
  void note_trouble(const upstream::Verdict& verdict);

  Dependencies deps_;
  Compared done_;
  SubscriptionId last_;  // that was begun
  std::optional<Subscription> at_;
  bool stopping_ = false;
};

}  // namespace meterd::flush
