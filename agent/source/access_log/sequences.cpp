#include "agent/source/access_log/sequences.hpp"

#include <algorithm>
#include <utility>

namespace meterd::source {

Sequences::Sequences(const journal::v0::AccessLogCursor& stored, bool of_a_copy) : of_a_copy_(of_a_copy) {
  for (const auto& one : stored.workers()) {
    if (workers_.size() >= kWorkersMax) break;
    auto& worker = workers_[one.name()];
    worker.highest = one.sequence();
    worker.is_copied = one.copied();
    worker.seen_ms = one.seen_ms();
    worker.turn = ++turn_;
    for (const auto& range : one.missing())
      if (worker.missing.size() < kRangesMax) worker.missing.push_back({range.first(), range.last()});
  }
}

Sequences::Step Sequences::take(std::string_view name, std::uint64_t number,
                                const platform::WallReading& now) {
  changed_ = true;
  auto& worker = worker_of(name);
  Step step;
  step.since_ms = worker.seen_ms;
  worker.seen_ms = now.trusted ? now.time.since_epoch.count() : 0;
  worker.turn = ++turn_;
  const bool is_doubtful = std::exchange(worker.is_copied, false);
  if (number <= worker.highest) {
    if (const auto range = find_missing(worker, number)) {
      step.is_found = !range->is_doubtful;
      return step;
    }
    worker.highest = 0;
    worker.missing.clear();
  }
  if (number > worker.highest + 1) {
    (is_doubtful ? step.doubtful : step.lost) = number - worker.highest - 1;
    add_missing(worker, {worker.highest + 1, number - 1, is_doubtful});
  }
  worker.highest = number;
  return step;
}

std::optional<Sequences::Range> Sequences::find_missing(Worker& worker, std::uint64_t number) {
  const auto found = std::find_if(worker.missing.begin(), worker.missing.end(), [&](const Range& range) {
    return range.first <= number && number <= range.last;
  });
  if (found == worker.missing.end()) return std::nullopt;
  const Range range = *found;
  worker.missing.erase(found);
  if (range.first < number) add_missing(worker, {range.first, number - 1, range.is_doubtful});
  if (number < range.last) add_missing(worker, {number + 1, range.last, range.is_doubtful});
  return range;
}

void Sequences::add_missing(Worker& worker, Range range) {
  const auto behind = std::find_if(worker.missing.begin(), worker.missing.end(),
                                   [&](const Range& other) { return other.first > range.first; });
  worker.missing.insert(behind, range);
  if (worker.missing.size() > kRangesMax) worker.missing.erase(worker.missing.begin());
}

Sequences::Worker& Sequences::worker_of(std::string_view name) {
  const auto known = workers_.find(name);
  if (known != workers_.end()) return known->second;
  if (workers_.size() >= kWorkersMax)
    workers_.erase(std::min_element(workers_.begin(), workers_.end(), [](const auto& a, const auto& b) {
      return a.second.turn < b.second.turn;
    }));
  auto& worker = workers_[std::string(name)];
  worker.is_copied = of_a_copy_;
  return worker;
}

journal::v0::AccessLogCursor Sequences::cursor() const {
  std::vector<const std::pair<const std::string, Worker>*> order;
  for (const auto& one : workers_) order.push_back(&one);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.turn < b->second.turn; });
  journal::v0::AccessLogCursor out;
  for (const auto* one : order) {
    auto& worker = *out.add_workers();
    worker.set_name(one->first);
    worker.set_sequence(one->second.highest);
    worker.set_seen_ms(one->second.seen_ms);
    worker.set_copied(one->second.is_copied);
    for (const auto& range : one->second.missing) {
      auto& missing = *worker.add_missing();
      missing.set_first(range.first);
      missing.set_last(range.last);
    }
  }
  return out;
}

journal::v0::AccessLogCursor Sequences::take_cursor() {
  changed_ = false;
  return cursor();
}

}  // namespace meterd::source
