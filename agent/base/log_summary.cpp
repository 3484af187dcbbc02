#include "agent/base/log_summary.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace meterd {
namespace {

constexpr Milliseconds kMinute{60'000};
constexpr std::array<std::string_view, 7> kIdentifying = {"upstream", "interface", "socket", "what",
                                                          "reason",   "outcome",   "error"};

std::string suppressed_field(std::uint64_t count) { return " suppressed=" + std::to_string(count); }

}  // namespace

void SummarisingLog::record(Level level, std::string_view event, Fields fields) {
  const std::lock_guard lock(mutex_);
  const Milliseconds now = now_();
  Kind& kind = kind_of(level, event, fields, now);
  end_minutes(now, &kind);
  auto text = line(event, fields);
  if (now >= kind.ends) {
    kind.ends = now + kMinute;
    kind.shown = 0;
    next_end_ = std::min(next_end_, kind.ends);
  }
  if (kind.shown < kShownPerMinute) {
    ++kind.shown;
    if (kind.suppressed > 0) text += suppressed_field(std::exchange(kind.suppressed, 0));
    to_.write(level, text);
    return;
  }
  ++kind.suppressed;
  kind.last = text.size() <= kLineBytesMax ? std::move(text) : line(event, {});
  kind.last_at = now;
  kind.last_number = ++number_;
}

SummarisingLog::Kind& SummarisingLog::kind_of(Level level, std::string_view event, Fields fields,
                                              Milliseconds now) {
  std::string key = std::to_string(static_cast<int>(level));
  key.append(1, ' ').append(event);
  const auto event_only = key.size();
  for (const auto& field : fields)
    if (std::find(kIdentifying.begin(), kIdentifying.end(), field.key) != kIdentifying.end())
      key.append(1, '\0').append(field.key).append(1, '=').append(field.value);
  if (kinds_.size() >= kKindsMax && !kinds_.contains(key)) {
    end_minutes(now, nullptr);
    if (kinds_.size() >= kKindsMax) key.resize(event_only);
  }
  auto& kind = kinds_[key];
  kind.level = level;
  return kind;
}

// Forgets every kind whose minute is over, `but` apart, and says what was left out of it.
void SummarisingLog::end_minutes(Milliseconds now, const Kind* but) {
  if (now < next_end_) return;
  std::vector<Kind> ended;
  next_end_ = now + kMinute;
  for (auto at = kinds_.begin(); at != kinds_.end();) {
    if (&at->second != but && now >= at->second.ends) {
      if (at->second.suppressed > 0) ended.push_back(std::move(at->second));
      at = kinds_.erase(at);
      continue;
    }
    if (now < at->second.ends) next_end_ = std::min(next_end_, at->second.ends);
    ++at;
  }
  write_summaries(std::move(ended), now);
}

void SummarisingLog::write_summaries(std::vector<Kind> kinds, Milliseconds now) {
  std::sort(kinds.begin(), kinds.end(),
            [](const Kind& a, const Kind& b) { return a.last_number < b.last_number; });
  for (const auto& kind : kinds)
    to_.write(kind.level, kind.last + suppressed_field(kind.suppressed) +
                              " ago_s=" + std::to_string((now - kind.last_at).count() / 1'000));
}

void SummarisingLog::flush() {
  const std::lock_guard lock(mutex_);
  std::vector<Kind> counted;
  for (auto& [key, kind] : kinds_)
    if (kind.suppressed > 0) counted.push_back(kind);
  for (auto& [key, kind] : kinds_) kind.suppressed = 0;
  write_summaries(std::move(counted), now_());
}

}  // namespace meterd
