#include "agent/api/request_target.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <string>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

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

bool must_be_encoded(char c) {
  return static_cast<unsigned char>(c) >= 0x80 ||
         std::string_view("[]\"<>\\^`{|}").find(c) != std::string_view::npos;
}

// RFC 3986 has no brackets, quotes or UTF-8 in a query, but curl and browsers send them as they are:
// "id[is]=a" and "source[in]=[\"api\"]" are what seed 002 itself shows. Empty: there are none.
std::string with_encoded_query(std::string_view target) {
  const auto query = target.find('?');
  if (query == std::string_view::npos || std::none_of(target.begin() + query, target.end(), must_be_encoded))
    return {};
  std::string out(target.substr(0, query));
  for (const char c : target.substr(query)) {
    if (must_be_encoded(c))
      out += percent_encode({&c, 1});
    else
      out.push_back(c);
  }
  return out;
}

// RFC 9112, 3.2.2: what a client that believes in a proxy sends. The authority takes the Host's place. False:
// it has a user in it, or no end.
bool take_authority(std::string& target, Request& request) {
  const auto scheme = target.find("://");
  const auto begin = scheme + 3;
  const auto end = std::min(target.find_first_of("/?", begin), target.size());
  const auto authority = target.substr(begin, end - begin);
  if (authority.empty() || authority.find('@') != std::string::npos) return false;
  request.host = authority;
  target.erase(0, end);
  if (!target.starts_with('/')) target.insert(0, "/");
  return true;
}

}  // namespace

bool read_target(std::string_view target, Request& request) {
  request.path.clear();
  request.query.clear();
  if (is_plain_path(target)) {
    request.path = target;
    return true;
  }
  std::string origin_form;
  if (target.starts_with("http://") || target.starts_with("https://")) {
    origin_form = target;
    if (!take_authority(origin_form, request)) return false;
    target = origin_form;
  }
  const auto encoded = with_encoded_query(target);
  if (!encoded.empty()) target = encoded;
  const auto url = boost::urls::parse_origin_form({target.data(), target.size()});
  if (url.has_error() || url->params().size() > limits::kHttpParametersMax) return false;
  for (const auto& segment : url->segments()) request.path += "/" + segment;
  if (request.path.empty()) request.path = "/";
  for (const auto& parameter : url->params()) request.query.emplace_back(parameter.key, parameter.value);
  return true;
}

}  // namespace meterd::api
