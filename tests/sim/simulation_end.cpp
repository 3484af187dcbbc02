// The end of a run: everything is acknowledged, sealed and delivered, and compared.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>

#include "agent/base/limits.hpp"
#include "agent/journal/read.hpp"
#include "tests/sim/simulation.hpp"

namespace meterd::sim {

namespace asio = boost::asio;

namespace {
constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kHour{3'600'000};
// A journal that is full of a day's open buckets takes others once that day is sealed and delivered.
constexpr Milliseconds kReportersEnd{10 * 86'400'000LL};
constexpr Milliseconds kDeliveryEnd{10 * 86'400'000LL};
constexpr std::size_t kRowsMax = 100'000;

// As meterctl flush --now does. Empty, or why it was refused.
asio::awaitable<std::string> flush_now(app::Core& core) {
  const auto flushed = co_await core.flush(true);
  co_return flushed ? std::string() : flushed.error().message;
}
}  // namespace

bool Simulation::all_answered() const {
  const auto done = [](const auto& one) { return one->done(); };
  return machine_.running() && std::all_of(counted_.begin(), counted_.end(), done) &&
         std::all_of(reporters_.begin(), reporters_.end(), done) &&
         std::all_of(callers_.begin(), callers_.end(), done);
}

void Simulation::drain() {
  run_until(world_.now() + kReportersEnd, [this] { return all_answered(); });
  if (!outcome_.violations.empty()) return;
  if (!all_answered()) violate("a reporter or a caller is not answered, with nothing in the way");
  run_until(world_.now() + plan_.config.commit_interval + 15 * kSecond);
  if (plan_.flush_at_end && outcome_.violations.empty()) seal_all();
  WallTime looked_at = world_.now();
  const auto delivered = [this, looked_at]() mutable {
    if (world_.now() - looked_at < kHour) return false;
    looked_at = world_.now();
    return is_delivered();
  };
  run_until(world_.now() + kDeliveryEnd, delivered);
  if (outcome_.violations.empty() && !is_delivered())
    violate("not everything is delivered, with nothing in the way");
}

void Simulation::seal_all() {
  asio::co_spawn(machine_.loop(), flush_now(machine_.core()),
                 [this](const std::exception_ptr&, const std::string& refused) {
                   if (!refused.empty()) violate("flush refused: " + refused);
                 });
  settle();
}

bool Simulation::is_delivered() {
  auto overview = journal::read_overview(machine_.journal());
  if (!overview) return false;
  std::uint64_t waiting = 0;
  for (const auto& row : overview->upstreams) waiting += row.state.waiting();
  return overview->open_buckets == 0 && waiting == 0;
}

void Simulation::read_end() {
  if (!machine_.running()) return violate("no process at the end");
  check_journal("at the end");
  outcome_.commits += machine_.core().committer().stats().commits;
  Oracle::Seen seen;
  read_undated(seen);
  for (const auto& complaint : upstream_->complaints()) violate("the upstream complains: " + complaint);
  if (charges_) {
    read_charges(seen);
    const auto of_the_bill = std::move(outcome_.verdict);
    outcome_.verdict = oracle_.judge(seen);
    for (const auto& finding : outcome_.verdict.findings) violate(finding);
    outcome_.verdict += of_the_bill;
    return;
  }
  seen.billed = upstream_->billed();
  read_outbox(seen);
  outcome_.usages = seen.billed.size();
  outcome_.parked = seen.parked.size();
  judge_callers(seen);  // it takes theirs out
  const bool may_park = plan_.upstream.per_day || plan_.upstream.lifetime_limit < 5'000;
  for (const auto& parked : seen.parked)
    if (!may_park && !crowded_out_.contains(parked.id)) violate("parked without need: " + parked.id);
  judge_counted(seen);
  const auto of_callers = std::move(outcome_.verdict);
  outcome_.verdict = oracle_.judge(seen);
  outcome_.verdict += of_callers;
  for (const auto& finding : outcome_.verdict.findings) violate(finding);
}

std::int64_t Simulation::thousandths_of(const Quantity& quantity) {
  const auto parsed = thousandths(quantity.text());
  if (!parsed) violate("an unreadable quantity: " + quantity.text());
  return parsed.value_or(0);
}

void Simulation::read_undated(Oracle::Seen& seen) {
  auto undated = journal::read_undated(machine_.journal(), kRowsMax);
  if (!undated) return violate("what is undated cannot be read: " + undated.error().message);
  for (const auto& row : *undated)
    seen.undated[{row.series.subscription.value(), row.series.item_price.value()}] +=
        thousandths_of(row.tally.quantity);
}

void Simulation::read_outbox(Oracle::Seen& seen) {
  auto outbox = journal::read_outbox(machine_.journal(), kRowsMax);
  if (!outbox) return violate("the outbox cannot be read: " + outbox.error().message);
  for (const auto& stored : *outbox) {
    const auto usage = journal::usage_of(stored.record);
    if (stored.record.deletes() != 0) {
      kept_.insert(usage.id.value());
      continue;
    }
    if (is_crowded_out(stored.record)) crowded_out_.insert(usage.id.value());
    seen.parked.push_back({usage.id.value(), usage.series.subscription.value(),
                           usage.series.item_price.value(), usage.usage_date,
                           thousandths_of(usage.quantity)});
  }
}

// Each date that it was given was another gateway's, until the device gave up. Of many thousand usages it
// happens to one.
bool Simulation::is_crowded_out(const journal::UsageRecord& record) const {
  const auto usage = journal::usage_of(record);
  const auto others =
      upstream_->of_others(usage.series.subscription.value(), usage.series.item_price.value());
  return record.supersedes() >= limits::kSupersedeTriesMax && others > limits::kSupersedeTriesMax;
}

// What callers know, what the bill says, and what the device itself would tell them now.
void Simulation::judge_callers(Oracle::Seen& seen) {
  using Known = UsageBook::Known;
  const auto parked = seen.parked.size();
  book_.judge(seen, kept_, outcome_.verdict);
  const auto& rules = plan_.upstream;
  if (seen.parked.size() != parked && rules.others_percent == 0 && rules.invoiced_percent == 0)
    violate("a caller's usage is parked without need");
  if (!kept_.empty() && rules.invoiced_percent == 0)
    violate("a deletion is parked without need: " + *kept_.begin());
  for (const auto& row : book_.rows()) {
    const bool deleted = row.known == Known::deleted && !kept_.contains(row.wanted.id);
    const bool there = row.known == Known::created || (row.known == Known::deleted && !deleted);
    if (!deleted && !there) continue;
    auto found = journal::read_usage(machine_.journal(), UsageId(row.wanted.id));
    const bool listed = found && found->has_value() && journal::is_listed((*found)->record);
    const bool forgotten = found && !found->has_value() && plan_.config.retain_delivered <= Seconds(86'400);
    if (listed ? deleted : there && !forgotten)
      violate("the usage " + row.wanted.id + (listed ? " is listed, and deleted" : " is not listed"));
  }
  outcome_.created_by_callers = book_.count(Known::created) + book_.count(Known::deleted);
  outcome_.deleted_by_callers = book_.count(Known::deleted);
  outcome_.refused_deletions = kept_.size();
  for (const auto& caller : callers_) outcome_.requests_repeated += caller->repeated();
}

}  // namespace meterd::sim
