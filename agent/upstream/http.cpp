#include "agent/upstream/http.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "agent/base/text.hpp"
#include "agent/upstream/upstream.hpp"

namespace meterd::upstream {
namespace {

namespace chr = std::chrono;

constexpr Milliseconds kRetryAfterMax = chr::hours(24);
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t length) {
  const auto value = parse_unsigned(text.substr(at, length));
  if (!value) return std::nullopt;
  return static_cast<int>(*value);
}

// IMF-fixdate of RFC 9110, "Sun, 06 Nov 1994 08:49:37 GMT". The two obsolete forms, which no server of the
// last twenty years sends, count as unreadable.
std::optional<chr::sys_seconds> parse_http_date(std::string_view text) {
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
      text[16] != ' ' || text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT")
    return std::nullopt;
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  const auto day = digits(text, 5, 2);
  const auto year = digits(text, 12, 4);
  const auto hour = digits(text, 17, 2);
  const auto minute = digits(text, 20, 2);
  const auto second = digits(text, 23, 2);
  if (month == kMonths.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const chr::year_month_day date{chr::year(*year),
                                 chr::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                                 chr::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;  // 60: a leap second
  return chr::sys_days(date) + chr::hours(*hour) + chr::minutes(*minute) + chr::seconds(*second);
}

}  // namespace

const std::string* HttpResponse::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return &value;
  return nullptr;
}

std::optional<Milliseconds> HttpResponse::retry_after() const {
  const std::string* text = header("retry-after");
  if (text == nullptr || text->empty()) return std::nullopt;
  if (std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; })) {
    const auto seconds = parse_unsigned(*text);  // nullopt here can only be an overflow
    if (!seconds || *seconds > static_cast<std::uint64_t>(kRetryAfterMax / chr::seconds(1)))
      return kRetryAfterMax;
    return Seconds(static_cast<std::int64_t>(*seconds));
  }
  const std::string* date = header("date");
  if (date == nullptr) return std::nullopt;
  const auto until = parse_http_date(*text);
  const auto now = parse_http_date(*date);
  if (!until || !now || *until < *now) return std::nullopt;
  return std::min<Milliseconds>(*until - *now, kRetryAfterMax);
}

std::optional<WallTime> HttpResponse::date() const {
  const std::string* text = header("date");
  const auto at = text == nullptr ? std::nullopt : parse_http_date(*text);
  if (!at) return std::nullopt;
  return WallTime::from_seconds(at->time_since_epoch().count());
}

std::string_view name_of(TransportError::Stage stage) {
  switch (stage) {
    case TransportError::Stage::resolve:
      return "resolve";
    case TransportError::Stage::connect:
      return "connect";
    case TransportError::Stage::tls:
      return "tls";
    case TransportError::Stage::send:
      return "send";
    case TransportError::Stage::receive:
      return "receive";
  }
  return "unknown";
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::accepted:
      return "accepted";
    case Outcome::duplicate:
      return "duplicate";
    case Outcome::throttled:
      return "throttled";
    case Outcome::unavailable:
      return "unavailable";
    case Outcome::rejected:
      return "rejected";
    case Outcome::unauthorised:
      return "unauthorised";
    case Outcome::in_doubt:
      return "in_doubt";
  }
  return "unknown";
}

}  // namespace meterd::upstream
