#include "tests/sim/counted.hpp"

#include <algorithm>

namespace meterd::sim {

namespace {
constexpr Milliseconds kMinute{60'000};
constexpr Milliseconds kPlaceAgain{10 * 60'000};
}  // namespace

Counted::Counted(Dependencies dependencies, Draws draws) : deps_(std::move(dependencies)), draws_(draws) {}

void Counted::begin() {
  deps_.world.in(draws_.any_span(kMinute, 60 * kMinute), [this] { grow(); });
}

void Counted::grow() {
  if (!making_) return;
  begin();
  if (deps_.machine.powered()) pass(draws_);
}

Oracle::Id Counted::add(std::int64_t units) {
  Chunk chunk{deps_.oracle.claim({deps_.series}, units * 1'000), units, deps_.world.now(), {}};
  place(chunk);
  pending_.push_back(chunk);
  if (begun_at_) made_ += units;
  deps_.crash_soon();
  return chunk.claim;
}

void Counted::place(Chunk& chunk) {
  const auto here = deps_.here();
  deps_.oracle.attempt(chunk.claim, here);
  chunk.placed = deps_.world.now();
  chunk.untrusted = here.untrusted;
}

// Of the last moments some may have been read, on another day than they came; the rest is gone.
void Counted::leave() {
  for (auto& chunk : pending_) place(chunk);
  pending_.clear();
}

void Counted::doubt(Oracle::Id claim) {
  for (auto& chunk : pending_)
    if (chunk.claim == claim) chunk.doubtful = true;
}

void Counted::forget(Oracle::Id claim) {
  const auto found = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const Chunk& chunk) { return chunk.claim == claim; });
  if (found == pending_.end()) return;
  place(*found);
  pending_.erase(found);
}

void Counted::look(Milliseconds worked) {
  watched(worked);
  const bool untrusted = !deps_.machine.wall().trusted;
  const auto now = deps_.world.now();
  const auto is_settled = [&](const Chunk& chunk) {
    return worked > deps_.settles_in && now - chunk.made > deps_.settles_in;
  };
  for (auto& chunk : pending_)
    if (chunk.untrusted != untrusted || now - chunk.placed > kPlaceAgain || is_settled(chunk)) place(chunk);
  bool any = false;
  for (; !pending_.empty() && is_settled(pending_.front()); pending_.pop_front(), any = true) {
    const auto& chunk = pending_.front();
    // What came before the first reading of all is where the counting begins.
    if (is_certain_once_settled() && !chunk.doubtful && begun_at_ && *begun_at_ <= chunk.made)
      deps_.oracle.confirm(chunk.claim, Oracle::When::either);
    settled(chunk.claim);
  }
  if (any && !begun_at_) begun_at_ = now;
}

std::string Counted::judge(const journal::SourceGaps& shown, std::int64_t billed) const {
  if (made_ <= billed || shown.gaps() > 0) return {};
  return std::to_string(made_ - billed) + " units of " + name() + " were missed, and no gap shows it";
}

// --- counters of the kernel

void CountedLink::pass(Draws& draws) {
  auto& links = deps_.machine.links.links;
  if (!links.contains(kInterface) || draws.once_in(50)) {
    if (links.contains(kInterface)) deps_.world.count("interface made anew");
    links[kInterface] = {++index_, 0, 0};
    leave();
  }
  const auto bytes = draws.between(1, 1'000'000);
  auto& link = links[kInterface];
  (draws.percent(50) ? link.rx_bytes : link.tx_bytes) +=
      static_cast<std::uint64_t>(deps_.lies ? bytes / 2 : bytes);
  add(bytes);
}

// What a gap before it lost is shown by the next reading.
void CountedLink::stop_making() {
  if (deps_.machine.powered()) pass(draws_);
  Counted::stop_making();
}

CountedTable::CountedTable(Dependencies dependencies, Draws draws, std::string name)
    : Counted(std::move(dependencies), draws), name_(std::move(name)) {
  tables_.refuses = Error{Code::rejected, "there is no such table"};
}

void CountedTable::load() {
  tables_.refuses.reset();
  tables_.replace_table();
  for (std::uint8_t last = 1; last <= 2; ++last) tables_.elements[{{10, 0, 0, last}}] = {};
  leave();
  loaded_ = deps_.world.now();
  is_read_ = false;
}

void CountedTable::watched(Milliseconds worked) {
  const auto stood = deps_.world.now() - loaded_;
  is_read_ = is_read_ || (!tables_.refuses && worked > deps_.settles_in && stood > deps_.settles_in);
}

void CountedTable::pass(Draws& draws) {
  if (tables_.refuses || draws.once_in(30)) {
    if (!tables_.refuses) deps_.world.count("nftables table replaced");
    load();
  }
  if (!is_read_) return;
  const auto bytes = draws.between(1, 1'000'000);
  const auto last = static_cast<std::uint8_t>(draws.between(1, 2));
  tables_.count({{10, 0, 0, last}}, static_cast<std::uint64_t>(deps_.lies ? bytes / 2 : bytes));
  add(bytes);
}

// The next boot numbers its tables as the last one did.
void CountedTable::lose_power() {
  leave();
  tables_.table = 0;
  tables_.elements.clear();
  tables_.refuses = Error{Code::rejected, "there is no such table"};
}

void CountedTable::stop_making() {
  if (deps_.machine.powered()) pass(draws_);
  Counted::stop_making();
}

std::string CountedTable::judge(const journal::SourceGaps& shown, std::int64_t billed) const {
  if (auto problem = Counted::judge(shown, billed); !problem.empty()) return problem;
  if (static_cast<std::uint64_t>(shown.recent_size()) < shown.gaps()) return {};
  std::int64_t most = 0;
  for (const auto& gap : shown.recent()) {
    if (gap.lost_max().empty()) return {};
    most += std::stoll(gap.lost_max());
  }
  if (made() - billed <= most) return {};
  return std::to_string(made() - billed) + " bytes of " + name() +
         " were missed, and its gaps show at most " + std::to_string(most);
}

}  // namespace meterd::sim
