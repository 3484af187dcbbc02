#include "agent/api/request_target.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <string>

#include "agent/base/limits.hpp"

namespace meterd::api {

namespace {

bool is_plain_path(std::string_view target) {
  if (!target.starts_with('/')) return false;
  for (const char c : target)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
          c == '-' || c == '.' || c == '_' || c == '~'))
      return false;
  return true;
}

// RFC 3986 has no brackets in a query, but curl and browsers send them as they are: "id[is]=a" is what seed
// 002 itself shows. Empty: there are none.
std::string with_encoded_brackets(std::string_view target) {
  std::string out;
  const auto query = target.find('?');
  if (query == std::string_view::npos || target.find_first_of("[]", query) == std::string_view::npos)
    return out;
  out = target.substr(0, query);
  for (const char c : target.substr(query)) {
    if (c == '[')
      out += "%5B";
    else if (c == ']')
      out += "%5D";
    else
      out.push_back(c);
  }
  return out;
}

}  // namespace

bool read_target(std::string_view target, Request& request) {
  request.path.clear();
  request.query.clear();
  if (is_plain_path(target)) {
    request.path = target;
    return true;
  }
  const auto encoded = with_encoded_brackets(target);
  if (!encoded.empty()) target = encoded;
  const auto url = boost::urls::parse_origin_form({target.data(), target.size()});
  if (url.has_error() || url->params().size() > limits::kHttpParametersMax) return false;
  for (const auto& segment : url->segments()) request.path += "/" + segment;
  if (request.path.empty()) request.path = "/";
  for (const auto& parameter : url->params()) request.query.emplace_back(parameter.key, parameter.value);
  return true;
}

}  // namespace meterd::api
