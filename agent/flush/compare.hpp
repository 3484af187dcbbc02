// Comparing: what an upstream has of each subscription beside what the journal delivered to it. Nothing is
// sent again or changed there: the invoices that its usages are on are noted here, and every difference is
// told.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/flush/sealer.hpp"

namespace meterd::flush {

struct Difference {
  enum class Kind : std::uint8_t {
    missing,       // delivered, and the upstream does not have it
    altered,       // the upstream's is another than what was delivered, or is none of ours
    not_billed,    // delivered, on no invoice, and dated in a term that is invoiced already
    not_compared,  // a whole subscription, and why
  };
  Kind kind = Kind::missing;
  SubscriptionId subscription;
  UsageId id;  // empty for a whole subscription
  std::string detail;
};
std::string_view name_of(Difference::Kind kind);

// Whose usages these are: ids that the device makes begin with its prefix.
struct Owner {
  std::string device_prefix;
  bool is_copy = false;  // of a journal that may have gone on making them
};

// What a listed usage means. `known`: what the journal knows under its id.
struct Judged {
  std::string differs;     // empty: it does not
  bool forgotten = false;  // it is ours, and not kept here: no longer, or not in the backup
  bool delivered = false;  // it is the one that was delivered
  bool adopt = false;      // and its invoice is another than the journal's
  bool ended = false;      // it was given up here; the list may be older than that
};
Judged judge_listed(const Owner& owner, const meter::SeriesKey& series, const upstream::ListedUsage& theirs,
                    const journal::KnownUsage& known);

// What one run came to.
struct Compared {
  UpstreamName upstream;
  std::uint64_t run = 0;                      // which comparison it is a part of
  bool can_list = true;                       // this upstream can; otherwise nothing was compared
  bool more = false;                          // only time is missing: go on
  std::size_t subscriptions = 0, usages = 0;  // compared to their end
  std::size_t forgotten = 0;                  // ours and not kept here, so nothing is known of them
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
    Owner owner;
    std::unique_ptr<upstream::HttpClient> client;
    const journal::Journal& journal;
    journal::Committer& committer;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
    std::function<bool()> is_short_of_room;  // the journal: then no invoice is noted
  };
  explicit Comparer(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // Begins no other request after `at_most`.
  boost::asio::awaitable<Result<Compared>> run(Milliseconds at_most);
  // From another coroutine: ends soon.
  void stop();

 private:
  // A usage that is asked for by its id before anything is told about it.
  struct Look {
    enum class Why : std::uint8_t {
      unlisted,  // the list lacks it; a list may skip what moves while it is paged
      ended,     // the list has it, though it was given up here; the list may be older than that
      unbilled,  // the list has it without an invoice, maybe from before the invoice was made
    };
    UsageId id;
    Why why = Why::unlisted;
  };
  struct Unbilled {
    ItemPriceId item_price;
    std::int64_t usage_date = 0;
    UsageId id;
  };
  struct Subscription {  // under way
    SubscriptionId id;
    std::map<std::uint64_t, UsageId> unseen;  // delivered before it was listed
    std::vector<Unbilled> unbilled;
    std::map<ItemPriceId, std::int64_t> billed_until;  // the last date that is on an invoice; of ours only
    std::vector<Look> looks;
    std::string offset;
    std::size_t pages = 0;
    bool listed = false;
  };
  boost::asio::awaitable<Status> step();
  boost::asio::awaitable<Result<bool>> begin_next();
  boost::asio::awaitable<Status> read_delivered();
  boost::asio::awaitable<Status> compare_page();
  boost::asio::awaitable<Status> judge(std::vector<upstream::ListedUsage> listed);
  void weigh(const upstream::ListedUsage& theirs, const Judged& judged, const journal::KnownUsage& known);
  boost::asio::awaitable<Status> adopt(std::vector<upstream::ListedUsage> invoiced);
  void plan_looks();
  boost::asio::awaitable<Status> look(Look wanted);
  void tell(const Look& look, const journal::UsageRecord& ours, const upstream::ReadBack& found);
  boost::asio::awaitable<Result<std::optional<journal::StoredUsage>>> find(UsageId id);
  boost::asio::awaitable<upstream::Exchange> ask(upstream::HttpRequest request);
  void differ(Difference::Kind kind, const UsageId& id, std::string detail);
  void skip_subscription(std::string why);
  void note_trouble(const upstream::Verdict& verdict);

  Dependencies deps_;
  Compared done_;
  SubscriptionId last_;  // that was begun
  std::unique_ptr<Subscription> at_;
  bool stopping_ = false;
};

}  // namespace meterd::flush
