#include "agent/base/usage_day.hpp"

#include <cstdio>

#include "agent/base/text.hpp"

namespace meterd {
namespace {

namespace chr = std::chrono;

struct DayParts {
  int year, month, day;
};

DayParts parts_of(std::int32_t days) {
  const chr::year_month_day ymd{chr::sys_days{chr::days{days}}};
  return {static_cast<int>(ymd.year()), static_cast<int>(static_cast<unsigned>(ymd.month())),
          static_cast<int>(static_cast<unsigned>(ymd.day()))};
}

template <std::size_t N, class... Args>
std::string formatted(const char (&format)[N], Args... args) {
  char buffer[64];
  const int n = std::snprintf(buffer, sizeof buffer, format, args...);
  return {buffer, static_cast<std::size_t>(n)};
}

// Exactly `width` digits at `at`, or -1.
int digits_at(std::string_view text, std::size_t at, std::size_t width) {
  if (text.size() < at + width) return -1;
  const auto value = parse_unsigned(text.substr(at, width));
  return value ? static_cast<int>(*value) : -1;
}

}  // namespace

Result<UsageDay> UsageDay::parse(std::string_view iso) {
  const Error wrong{Code::invalid, "not a day such as 2026-11-22"};
  if (iso.size() != 10 || iso[4] != '-' || iso[7] != '-') return wrong;
  const int y = digits_at(iso, 0, 4);
  const int m = digits_at(iso, 5, 2);
  const int d = digits_at(iso, 8, 2);
  if (y < 0 || m < 1 || d < 1) return wrong;
  const chr::year_month_day ymd{chr::year{y}, chr::month{static_cast<unsigned>(m)},
                                chr::day{static_cast<unsigned>(d)}};
  if (!ymd.ok()) return wrong;
  return UsageDay(static_cast<std::int32_t>(chr::sys_days{ymd}.time_since_epoch().count()));
}

std::string UsageDay::iso() const {
  const auto p = parts_of(days_);
  return formatted("%04d-%02d-%02d", p.year, p.month, p.day);
}

std::string UsageDay::compact() const {
  const auto p = parts_of(days_);
  return formatted("%04d%02d%02d", p.year, p.month, p.day);
}

std::string rfc3339(WallTime time) {
  const auto seconds = time.seconds().count();
  const auto days = chr::floor<chr::duration<std::int64_t, std::ratio<86400>>>(Seconds(seconds)).count();
  const auto rest = static_cast<int>(seconds - days * 86400);
  return UsageDay(static_cast<std::int32_t>(days)).iso() +
         formatted("T%02d:%02d:%02dZ", rest / 3600, rest / 60 % 60, rest % 60);
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const Error wrong{Code::invalid, "not an RFC 3339 time such as 2026-11-22T01:02:03Z"};
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't') || text[13] != ':' || text[16] != ':')
    return wrong;
  const auto day = UsageDay::parse(text.substr(0, 10));
  const int h = digits_at(text, 11, 2);
  const int m = digits_at(text, 14, 2);
  const int s = digits_at(text, 17, 2);
  if (!day || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60) return wrong;
  std::size_t at = 19;
  std::int64_t millis = 0;
  if (text[at] == '.') {
    std::int64_t scale = 100;
    const std::size_t start = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      millis += (text[at] - '0') * scale;
    if (at == start) return wrong;
  }
  if (at >= text.size()) return wrong;
  std::int64_t offset_minutes = 0;
  if (text[at] == '+' || text[at] == '-') {
    const int oh = digits_at(text, at + 1, 2);
    const int om = digits_at(text, at + 4, 2);
    if (text.size() != at + 6 || text[at + 3] != ':' || oh < 0 || oh > 23 || om < 0 || om > 59) return wrong;
    offset_minutes = (text[at] == '-' ? -1 : 1) * (oh * 60 + om);
  } else if ((text[at] != 'Z' && text[at] != 'z') || text.size() != at + 1) {
    return wrong;
  }
  const std::int64_t seconds =
      std::int64_t{day->days_since_epoch()} * 86400 + h * 3600 + m * 60 + s - offset_minutes * 60;
  return WallTime{Milliseconds(seconds * 1000 + millis)};
}

}  // namespace meterd
