#include "agent/ctl/render_parts.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "agent/base/usage_day.hpp"
#include "agent/ctl/fields.hpp"

namespace meterd::ctl {

Error misshapen(std::string_view what) {
  return {Code::corrupt, "meterd's answer has no " + std::string(what) +
                             ": are meterctl and meterd of one version? See meterctl status."};
}

std::optional<std::vector<const boost::json::object*>> rows_in(const boost::json::value& answer,
                                                               std::string_view name) {
  const auto* member = as_object(answer).if_contains(name);
  if (member == nullptr || !member->is_array()) return std::nullopt;
  std::vector<const boost::json::object*> rows;
  for (const auto& row : member->get_array()) {
    if (!row.is_object()) return std::nullopt;
    rows.push_back(&row.get_object());
  }
  return rows;
}

std::size_t how_many(const boost::json::object& object, std::string_view name) {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, number_in(object, name)));
}

std::string instant_in(const boost::json::object& object, std::string_view name) {
  constexpr std::int64_t kYear10000 = 253'402'300'800;
  const auto seconds = number_in(object, name);
  if (seconds <= 0 || seconds >= kYear10000) return text_in(object, name);
  return rfc3339(WallTime::from_seconds(seconds));
}

void append(Lines& lines, Lines more) {
  for (auto& line : more) lines.push_back(std::move(line));
}

std::string counted(std::uint64_t n, std::string_view one, std::string_view many) {
  return std::to_string(n) + " " + std::string(n == 1 ? one : many);
}

std::string spoken(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

}  // namespace meterd::ctl
