// What the device counts by itself: made as the plan says, and judged by what the journal shows as missed.
#include "agent/journal/read.hpp"
#include "tests/sim/counted_calls.hpp"
#include "tests/sim/counted_memory.hpp"
#include "tests/sim/counted_messages.hpp"
#include "tests/sim/simulation.hpp"

namespace meterd::sim {

namespace {

// A reading each 10 s, and what a commit may take.
constexpr Milliseconds kReadingAndCommit{30'000};

std::string name_of(const app::Config& config, std::size_t kind) {
  for (const auto& rule : config.sources)
    if (rule.index() == kind) return source::name_of(rule);
  return {};
}

template <class Rule>
std::string name_in(const app::Config& config) {
  return name_of(config, source::Rule(Rule{}).index());
}

std::unique_ptr<Counted> make_one(CountedKind kind, Counted::Dependencies dependencies, const Draws& draws,
                                  const Plan& plan) {
  const auto subscription = plan.series[dependencies.series].subscription;
  switch (kind) {
    case CountedKind::link:
      return std::make_unique<CountedLink>(std::move(dependencies), draws.fork("traffic"),
                                           name_in<source::InterfaceRule>(plan.config));
    case CountedKind::table:
      return std::make_unique<CountedTable>(std::move(dependencies), draws.fork("table"),
                                            name_in<source::NftablesRule>(plan.config));
    case CountedKind::messages:
      return std::make_unique<CountedMessages>(std::move(dependencies), draws.fork("messages"),
                                               name_in<source::ModemRule>(plan.config));
    case CountedKind::calls:
      return std::make_unique<CountedCalls>(std::move(dependencies), draws.fork("calls"),
                                            name_in<source::AccessLogRule>(plan.config));
    case CountedKind::memory:
      break;
  }
  return std::make_unique<CountedMemory>(std::move(dependencies), draws.fork("memory"), "unit.memory",
                                         subscription);
}

}  // namespace

void Simulation::make_counted() {
  for (const auto& [kind, series, lies] : plan_.counted) {
    Counted::Dependencies dependencies{world_,
                                       machine_,
                                       oracle_,
                                       series,
                                       lies,
                                       plan_.config.commit_interval + kReadingAndCommit,
                                       [this] { return here(); },
                                       [this] { crash_soon(); }};
    counted_.push_back(make_one(kind, std::move(dependencies), draws_, plan_));
  }
}

void Simulation::judge_counted(const Oracle::Seen& seen) {
  auto kept = journal::read_sources(machine_.journal());
  if (!kept) return violate("what sources missed cannot be read: " + kept.error().message);
  for (std::size_t at = 0; at < counted_.size(); ++at) {
    const auto& one = counted_[at];
    const auto& series = plan_.series[one->series()];
    std::int64_t billed = 0;
    for (const auto* records : {&seen.billed, &seen.parked})
      for (const auto& record : *records)
        if (record.subscription == series.subscription && record.item_price == series.item_price)
          billed += record.quantity_milli;
    const auto undated = seen.undated.find({series.subscription, series.item_price});
    if (undated != seen.undated.end()) billed += undated->second;
    const auto& shown = kept->gaps[one->name()];
    outcome_.of_sources[name_of(plan_.counted[at].kind)] += static_cast<std::uint64_t>(billed / 1'000);
    outcome_.gaps_shown += shown.gaps();
    for (const auto& gap : shown.recent())
      world_.note("gap of " + one->name() + ": " + gap.reason() + " " + gap.what() + " " + gap.lost_max() +
                  " until " + rfc3339(WallTime{Milliseconds(gap.until_ms())}));
    if (const auto problem = one->judge(shown, billed / 1'000); !problem.empty()) violate(problem);
  }
}

}  // namespace meterd::sim
