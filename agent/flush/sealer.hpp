// The sealer: freezes due buckets into usages, with id, usage_date, key and encoded request, in one
// transaction. seal_bucket() is pure but for the transaction it is given; the coroutine decides only when.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/read.hpp"
#include "agent/meter/dating.hpp"
#include "agent/upstream/upstream.hpp"
#include "platform/clock.hpp"

namespace meterd::flush {

// What the configuration declares for usages of which nobody can tell whether the upstream has them.
enum class InDoubt : std::uint8_t { hold, resend, assume_delivered };
const char* name_of(InDoubt policy);  // as the configuration has it

// One configured upstream as the flush layer sees it.
struct Target {
  UpstreamName name;
  std::shared_ptr<const upstream::Upstream> vendor;
  meter::SealRule seal;
  std::map<ItemPriceId, meter::Price> prices = {};  // where units are billed as money, or as blocks
  InDoubt in_doubt = InDoubt::hold;
};
using Targets = std::map<UpstreamName, Target>;

struct SealContext {
  DeviceId device;
  std::string epoch;
  Targets targets;
};

journal::RequestRecord record_of(const upstream::HttpRequest& request);
upstream::HttpRequest request_of(const journal::RequestRecord& record);

// The next revision of the bucket's day as a usage: id, and the next free second. Code::rejected: the day has
// no free second, or the upstream is not configured; the bucket stays open.
struct NextUsage {
  meter::BucketKey bucket;
  Quantity quantity;
  std::uint64_t events = 0;
  std::uint32_t revision = 0;
  meter::SealCover cover;
};
Result<meter::Usage> date_usage(const journal::WriteTransaction& txn, const SealContext& context,
                                const NextUsage& next, WallTime now);

// Gives the usage its amount, where its upstream bills money or blocks. Code::rejected: it has no price, or
// its quantity too many places; the bucket stays open. What the usage before left and this one cannot take
// over, as the rounding was changed, is audited and billed no more.
Status put_charge(journal::WriteTransaction& txn, const Target& target, meter::Usage& usage,
                  const journal::Moment& now);

// Ends what needs no request: an amount of nothing is delivered as its carry, and one that the vendor's
// numbers would round is parked.
Status settle_odd_amount(journal::WriteTransaction& txn, std::uint64_t sequence, const meter::Usage& usage,
                         const journal::Moment& now);

// Seals what came with a copied journal, each part by itself as its own revision; the rest of the bucket
// stays open.
Status seal_copied_parts(journal::WriteTransaction& txn, const SealContext& context,
                         const meter::BucketKey& bucket, const journal::Moment& now);

// Seals the open bucket: first such parts, then the rest. False if it is not open.
Result<bool> seal_bucket(journal::WriteTransaction& txn, const SealContext& context,
                         const meter::BucketKey& bucket, const journal::Moment& now);

class Sealer {
 public:
  struct Dependencies {
    const journal::Journal& journal;
    journal::Committer& committer;
    boost::asio::any_io_executor reader;
    platform::Clock& clock;
    Log& log;
  };
  // What a reload replaces.
  struct Settings {
    std::shared_ptr<const SealContext> context;
    Seconds retain_delivered{400 * 86'400};
    bool prunes = true;  // a device that is its own ledger keeps everything
    // Nor does one beside whose upstreams the ledger has usages, which are invoiced here.
    std::optional<UpstreamName> invoiced_here = {};
  };
  Sealer(Dependencies dependencies, Settings settings);
  void adopt(Settings settings);

  boost::asio::awaitable<void> run();  // until stop()
  void stop();
  // Which buckets are to be sealed, or when, has changed.
  void wake() {
    stale_ = true;
    alarm_->notify();
  }
  // The journal has little room: the oldest delivered history goes now, whatever its age, before
  // ingest refuses more. A few hundred usages a call.
  void make_room();

  // Seals every open bucket that is wanted now (meterctl flush --now: all of them; before an invoice: its
  // own).
  using Wanted = std::function<bool(const meter::BucketKey&)>;
  boost::asio::awaitable<Status> seal_now(Wanted wanted);

  std::uint64_t sealed() const { return sealed_; }

 private:
  enum class Which : bool { due, all };
  struct SealStep {  // what one commit of it came to
    std::vector<journal::SealDueFields> due;
    std::size_t sealed = 0;
    std::optional<Error> refused;
  };
  boost::asio::awaitable<Status> seal(Which which, Wanted wanted);
  static Status seal_one(journal::WriteTransaction& txn, const SealContext& context,
                         const journal::SealDueFields& due, const journal::Moment& now, Which which,
                         SealStep& step);
  boost::asio::awaitable<void> read_next_seal();
  bool prune_is_due();
  enum class Extent : std::uint8_t { some, all };
  boost::asio::awaitable<void> prune(std::int64_t before_s, Extent extent);

  Dependencies deps_;
  Settings settings_;
  std::unique_ptr<platform::Alarm> alarm_;
  bool stopping_ = false;
  std::uint64_t sealed_ = 0;
  BootTime pruned_at_;
  std::uint64_t commits_seen_ = 0;  // when it was last asked whether to prune
  bool complained_ = false;
  std::optional<std::int64_t> next_seal_s_;
  bool stale_ = true;  // next_seal_s_ is from before a change
  bool room_wanted_ = false;
  std::optional<BootTime> nothing_left_at_;  // when pruning for room found nothing
};

}  // namespace meterd::flush
