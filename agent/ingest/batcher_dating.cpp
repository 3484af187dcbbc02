// The batcher's third part: dating what was counted before the clock was trusted.
#include <algorithm>
#include <utility>

#include "agent/ingest/batcher.hpp"
#include "agent/ingest/slice_dating.hpp"

namespace meterd::ingest {

namespace asio = boost::asio;

namespace {

using journal::WriteTransaction;

constexpr std::int64_t kSecondsOfADay = 86'400;

journal::Moment moment_of(const WindowContext& context) {
  return {context.now, {context.boot_number, context.boot.since_boot.count()}, context.trusted};
}

std::string counted(const SliceDating::Moved& moved) {
  return std::to_string(moved.events) + " events in " + std::to_string(moved.slices) + " slices";
}

// The present boot's slices: wall = now - (since boot now - slice).
Result<bool> date_present(SliceDating& dating, std::size_t at_most, WriteTransaction& txn) {
  const auto& context = dating.context();
  const auto began = context.now - context.boot.since_boot;
  auto moved = dating.move(context.boot_number, days_of_boot(began), at_most, txn);
  if (!moved) return moved.error();
  return moved->more && moved->slices > 0;
}

// One earlier boot by the policy "boot-end".
Result<bool> date_earlier(SliceDating& dating, std::size_t at_most, WriteTransaction& txn) {
  const auto& context = dating.context();
  auto boots = txn.undated_boots(context.boot_number);
  if (!boots) return boots.error();
  if (boots->empty()) return false;
  const auto oldest = estimate_oldest(*boots, context.now - context.boot.since_boot);
  auto moved = dating.move(oldest.number, days_of_boot(oldest.began), at_most, txn);
  if (!moved) return moved.error();
  if (moved->slices == 0) return false;  // of a zone that is not known here
  const auto detail = counted(*moved) + " of boot " + std::to_string(oldest.number) +
                      ", which never saw trusted time, as if it had begun at " + rfc3339(oldest.began);
  if (auto s = txn.put_audit({"policy", "date", detail}, moment_of(context)); !s) return s.error();
  return moved->more || boots->size() > 1;
}

}  // namespace

asio::awaitable<void> Batcher::date_slices(const platform::WallReading& now) {
  struct Shared {
    SliceDating dating;
    bool more = false;
  };
  auto shared = std::make_shared<Shared>(Shared{{context_for(now), settings_.catalog}});
  journal::Operation operation = [shared, at_once = slices_at_once_,
                                  earlier =
                                      settings_.rules.date_earlier_boots](WriteTransaction& txn) -> Status {
    auto more = date_present(shared->dating, at_once, txn);
    if (more && !*more && earlier) more = date_earlier(shared->dating, at_once, txn);
    if (!more) return more.error();
    shared->more = *more;
    return {};
  };
  const Status dated = co_await deps_.committer.submit(std::move(operation));
  note_dated(dated);
  if (dated && !shared->more) slices_may_exist_ = false;
  if (dated && shared->more) urgent_ = true;
}

// Smaller pieces while the journal has no room for large ones.
void Batcher::note_dated(const Status& dated) {
  if (dated) slices_at_once_ = kSlicesPerCommit;
  if (!dated && dated.error().code == Code::full)
    slices_at_once_ = std::max<std::size_t>(1, slices_at_once_ / 2);
  if (!dated) deps_.log.warning("dating_failed", {{"error", dated.error().message}});
}

// Anything from the oldest day that an event may have to the latest day that it is anywhere.
Status Batcher::may_date(std::uint32_t boot, UsageDay day) const {
  if (boot >= deps_.journal.boot_number())
    return Error{Code::invalid, "boot " + std::to_string(boot) +
                                    " is not an earlier one; the present boot is dated by itself once the "
                                    "clock is trusted"};
  const auto now = deps_.clock.wall();
  if (!now.trusted) return {};
  const auto days = [](WallTime at) { return at.seconds().count() / kSecondsOfADay; };
  if (day.days_since_epoch() > days(now.time + Seconds(kSecondsOfADay)))
    return Error{Code::invalid, day.iso() + " has not begun anywhere"};
  if (day.days_since_epoch() < days(now.time - settings_.rules.accept_past))
    return Error{Code::invalid, day.iso() + " is before what [ingest] accept_past allows"};
  return {};
}

asio::awaitable<Result<Batcher::Dated>> Batcher::date_boot(std::uint32_t boot, UsageDay day, std::string by) {
  if (auto may = may_date(boot, day); !may) co_return may.error();
  struct Shared {
    SliceDating dating;
    SliceDating::Moved moved;
  };
  Dated out;
  const auto dated_at = WallTime::from_seconds(day.days_since_epoch() * kSecondsOfADay);
  for (bool more = true; more;) {
    auto shared =
        std::make_shared<Shared>(Shared{{context_for(deps_.clock.wall(), dated_at), settings_.catalog}, {}});
    journal::Operation operation = [shared, boot, day, by,
                                    at_once = slices_at_once_](WriteTransaction& txn) -> Status {
      const DayOfSlice that_day = [day](const meter::TimeZone&, std::uint32_t) { return day; };
      auto moved = shared->dating.move(boot, that_day, at_once, txn);
      if (!moved) return moved.error();
      shared->moved = *moved;
      if (moved->slices == 0) return {};
      const auto detail = counted(*moved) + " of boot " + std::to_string(boot) + " to " + day.iso();
      const auto& context = shared->dating.context();
      return txn.put_audit({by, "date", detail}, moment_of(context));
    };
    const Status dated = co_await deps_.committer.submit(std::move(operation));
    note_dated(dated);
    if (!dated && (dated.error().code != Code::full || slices_at_once_ == 1)) co_return dated.error();
    if (!dated) continue;
    out.slices += shared->moved.slices;
    out.events += shared->moved.events;
    more = shared->moved.more && shared->moved.slices > 0;
  }
  co_return out;
}

}  // namespace meterd::ingest
