// The batcher: the one way into the journal for everything that is counted. It adds events up in memory and
// commits the window every commit_interval, or at once when an acknowledgement waits for it. Loop thread
// only.
//
// What was accepted stays: a window that could not be committed (full disk) is kept and tried again. What the
// daemon may lose by dying is what is in memory: at most commit_interval of `received` events.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/base/limits.hpp"
#include "agent/base/log.hpp"
#include "agent/ingest/route_table.hpp"
#include "agent/ingest/shares.hpp"
#include "agent/ingest/stats.hpp"
#include "agent/ingest/window.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/read.hpp"
#include "agent/meter/catalog.hpp"
#include "agent/meter/dating.hpp"
#include "agent/meter/event.hpp"
#include "platform/clock.hpp"

namespace meterd::ingest {

struct IngestRules {
  Milliseconds commit_interval{10'000};
  Seconds accept_past{400 * 86'400};
  Seconds accept_future{300};
  Seconds remember_ids{7 * 86'400};
  bool date_earlier_boots = false;  // [clock] undated = "boot-end"
};

inline constexpr std::size_t kSlicesPerCommit = 1'000;

class Batcher;

// Counts by itself instead of being told: asked before each window is closed.
class Harvested {
 public:
  virtual ~Harvested() = default;
  virtual void harvest(Batcher& batcher, const platform::WallReading& now) = 0;
};

class Batcher {
 public:
  struct Dependencies {
    journal::Journal& journal;
    journal::Committer& committer;
    platform::Clock& clock;
    Log& log;
    DeviceId device;
  };
  // What a reload replaces.
  struct Settings {
    std::shared_ptr<const meter::Catalog> catalog;
    std::vector<meter::SealRule> seal_rules;  // by meter
    std::function<Status(journal::WriteTransaction&, const meter::BucketKey&)> seal_early;
    IngestRules rules;
  };
  Batcher(const Dependencies& dependencies, Settings settings);

  platform::WallReading now() const { return deps_.clock.wall(); }
  BootTime boot() const { return deps_.clock.boot(); }
  const std::string& epoch() const { return deps_.journal.epoch(); }

  // Counts one event into the open window. `identified`: its position there, to ask the outcome for.
  struct Counted {
    std::optional<meter::Refusal> refusal;
    std::optional<std::size_t> identified;
  };
  Counted count(const meter::EventView& event, const platform::WallReading& now);

  // What somebody reports who may report nothing at all.
  void refuse_reporter(const std::string& who);
  void note_beyond_share(const std::string& who);  // audited as what is not allowed
  // Why no event of that name and subscription would be counted, as far as the configuration says.
  std::optional<meter::Refusal> would_refuse(std::string_view name, std::string_view subscription) const {
    return settings_.catalog->resolve(name, subscription).refusal;
  }
  // What this journal's cursors belong to: another one has others, also a copy of this one.
  std::string lineage() const {
    return deps_.journal.epoch() + "/" + std::to_string(deps_.journal.lineage().copies);
  }

  // Stored with this window's tallies.
  void note_producer(const std::string& producer, const journal::ProducerCursor& cursor);
  void note_counter(const std::string& source, const journal::CounterCursor& cursor);
  void forget_counter(const std::string& source);
  void note_gaps(const std::string& source, const journal::SourceGaps& gaps);

  // `done` gets the outcome of the window that is open now: after its commit, or with the error when it could
  // not be committed (it is kept and tried again; the answer is then "not yet, report it again with the same
  // id"). Asks for a commit at once.
  using Done = std::function<void(const Status&, const WindowOutcome&)>;
  void commit_soon(Done done);

  void set_sources(std::vector<std::shared_ptr<Harvested>> sources) { sources_ = std::move(sources); }

  // Calls `turn` once, as soon as no event is counted that is not on its way to the journal: what came before
  // was counted by the present settings, what comes after by those that `turn` adopts. With an error, and
  // without effect, if the journal refuses what was counted so far, or the batcher has ended.
  using Turn = std::function<void(const Status&)>;
  void at_turn(Turn turn);
  void adopt(Settings settings);  // within a turn only

  // The coroutine that commits windows; returns after stop(), when the last window is committed or refused.
  boost::asio::awaitable<void> run();
  void stop();

  // An operator's word for what an earlier boot counted and could not date, all of it. Code::invalid: not a
  // day or a boot for which that may be said. None had slices: 0 of 0. `by` is for the audit.
  struct Dated {
    std::uint64_t slices = 0, events = 0;
  };
  boost::asio::awaitable<Result<Dated>> date_boot(std::uint32_t boot, UsageDay day, std::string by);

  // Above the watermark: only what has a record already is counted.
  void set_above_watermark(bool above) { above_watermark_ = above; }
  // New places (buckets; ids, many to a place) need room in the journal. `opened`: since the start;
  // `committed`: how many of them a reader of the journal sees. Beyond the limit they are refused as full.
  std::uint64_t opened_places() const { return opened_places_; }
  std::uint64_t committed_places() const { return committed_places_; }
  void limit_places(std::uint64_t opened_max) { opened_places_max_ = opened_max; }
  // Buckets were sealed: what is counted from now on may open them anew.
  void note_seals() { ++seal_generation_; }
  void learn_known_buckets(const std::vector<journal::BucketRow>& rows);

  IngestStats& stats() { return stats_; }
  std::uint64_t remembered_ids() const { return remembered_ids_; }  // committed
  bool holds_uncommitted() const { return !window_.empty() || in_flight_ || stuck_ != nullptr; }
  // How long the journal has been refusing a window, until what was counted behind it is committed, too: so
  // much longer is the loss window. Meanwhile `received` cannot be promised and is refused as full.
  Milliseconds stuck_for() const {
    if (stuck_since_ == BootTime{}) return Milliseconds(0);
    return std::max(Milliseconds(1), deps_.clock.boot() - stuck_since_);
  }

 private:
  struct Closed {  // a window on its way to the journal
    Window window;
    WindowContext context;
    WindowOutcome outcome;
    std::vector<Done> waiting;
    std::uint64_t opened_places = 0;  // so far, when it was closed
  };

  static bool allows(const meter::Permit& permit, const Route& route);
  bool fits_places(const Route& route, const Quantity& quantity) const;
  static std::optional<meter::Refusal> judge_content(const meter::EventView& event);
  std::optional<meter::Refusal> judge(const meter::EventView& event, const platform::WallReading& now,
                                      WallTime& at) const;
  Route* find_route(const meter::EventView& event, std::optional<meter::Refusal>& refusal);
  std::optional<std::uint32_t> open_sum(Route& route, WallTime at, const platform::WallReading& now,
                                        bool is_reading);
  Span place_legs(const Route& route, WallTime at, const platform::WallReading& now,
                  std::vector<PlacedSum::Leg>& legs) const;
  bool is_open(const Route& route, const Span& span) const;
  // Reporters that tried what [access] does not allow, or does not leave room for: how often since the audit
  // was told, and when it was.
  struct NotAllowed {
    std::uint64_t events = 0, beyond_share = 0;
    std::optional<BootTime> audited_at;
  };
  bool may_open(const std::vector<PlacedSum::Leg>& legs, bool open, bool is_reading) const;
  Window close_window();
  WindowContext context_for(const platform::WallReading& now, std::optional<WallTime> dated_at = {});
  boost::asio::awaitable<void> gather();
  boost::asio::awaitable<void> commit_window();
  boost::asio::awaitable<void> date_slices(const platform::WallReading& now);
  void note_dated(const Status& dated);
  Status may_date(std::uint32_t boot, UsageDay day) const;
  void take_turns();
  NotAllowed& tried_by(const std::string& who);
  // Of a window, and of what is remembered.
  bool may_identify(const meter::Permit* permit);
  void summarise_refusals();
  void audit_not_allowed();

  Dependencies deps_;
  Settings settings_;
  std::unique_ptr<platform::Alarm> alarm_;
  std::vector<std::shared_ptr<Harvested>> sources_;

  RouteTable routes_;
  Window window_;
  std::uint64_t window_number_ = 1;
  std::vector<Route*> open_routes_;  // that have a tally in the open window
  // Sums of the open window beside their routes' own: of events with another time, or under another clock.
  std::map<std::tuple<const Route*, bool, std::int64_t>, std::pair<Span, std::uint32_t>> other_spans_;
  std::size_t open_places_ = 0;
  meter::EventHasher hash_;
  std::vector<Done> waiting_;
  // So many are likely to wait soon: those the last commit answered, and those who came meanwhile.
  std::size_t gather_ = 0;
  std::vector<Turn> turns_;
  std::unique_ptr<Closed> stuck_;  // refused by the journal for now
  bool in_flight_ = false;
  bool urgent_ = false;
  bool stopping_ = false;
  bool ended_ = false;  // run() has returned: nothing would commit what comes now
  BootTime stuck_since_;
  std::int64_t pruned_day_ = 0;  // the last day on which ids were forgotten, as far as that was due
  std::size_t slices_at_once_;
  bool above_watermark_ = false;
  bool trusted_ = false;
  bool slices_may_exist_ = true;
  std::set<Place> known_;  // filled only while above the watermark
  WallTime last_trusted_stored_;
  bool trust_noted_;  // in this boot
  std::uint64_t remembered_ids_ = 0;
  std::uint64_t opened_places_ = 0;
  std::uint64_t committed_places_ = 0;
  std::uint64_t opened_places_max_ = UINT64_MAX;
  std::uint64_t seal_generation_ = 1;
  IngestStats stats_;
  std::map<std::string, NotAllowed> not_allowed_;
  Shares pending_shares_{limits::kPendingIdsMax};
  Shares id_shares_{limits::kRememberedIdsMax};  // of the last remember_ids, or less
  BootTime id_shares_began_;
  IngestStats summarised_;
  BootTime summarised_at_;
};

}  // namespace meterd::ingest
