#include "agent/api/chargebee/form.hpp"

#include <algorithm>

#include "agent/base/text.hpp"

namespace meterd::api::chargebee {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }
bool is_line_control(char c) { return c == '\t' || c == '\n' || c == '\r'; }

std::optional<ApiError> check_one(const Parameters& all, std::size_t at) {
  const auto& name = all[at].first;
  const auto& value = all[at].second;
  if (name.empty()) return invalid_request("A parameter without a name: send name=value, joined by \"&\".");
  if (!is_valid_utf8(name) || std::any_of(name.begin(), name.end(), is_control))
    return invalid_request("A parameter's name is not UTF-8 text without control characters.");
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(at);
  if (std::any_of(all.begin(), end, [&name](const auto& earlier) { return earlier.first == name; }))
    return wrong_value(name, "is given more than once");
  if (!is_valid_utf8(value)) return wrong_value(name, "is not UTF-8");
  if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && !is_line_control(c); }))
    return wrong_value(name, "has a control character");
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> read_form(std::string_view body, Parameters& out) {
  while (!body.empty()) {
    if (out.size() == kFormParametersMax)
      return invalid_request("At most " + std::to_string(kFormParametersMax) + " parameters.");
    const auto end = body.find('&');
    const auto field = body.substr(0, end);
    const auto equals = field.find('=');
    auto name = percent_decode(field.substr(0, equals), true);
    auto value = percent_decode(
        equals == std::string_view::npos ? std::string_view{} : field.substr(equals + 1), true);
    if (!name || !value) return invalid_request("\"%\" is not followed by two hexadecimal digits.");
    out.emplace_back(std::move(*name), std::move(*value));
    if (end == body.size() - 1) return invalid_request("The form ends with \"&\".");
    body = end == std::string_view::npos ? std::string_view{} : body.substr(end + 1);
  }
  return check_parameters(out);
}

std::optional<ApiError> check_parameters(const Parameters& parameters) {
  for (std::size_t at = 0; at < parameters.size(); ++at)
    if (auto wrong = check_one(parameters, at)) return wrong;
  return std::nullopt;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // all but continuation bytes
  }));
}

}  // namespace meterd::api::chargebee
