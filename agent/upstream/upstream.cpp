#include "agent/upstream/upstream.hpp"

// What an upstream that does not have a trait need not have either: nobody asks it.
namespace meterd::upstream {

HttpRequest Upstream::encode_list(const SubscriptionId&, const std::string&) const {
  check(false, "this upstream lists nothing");
  return {};
}

Answered<ListPage> Upstream::judge_list(const SubscriptionId&, const Exchange&) const {
  check(false, "this upstream lists nothing");
  return {};
}

HttpRequest Upstream::encode_statement(const std::string&) const {
  check(false, "this upstream prints nothing");
  return {};
}

Answered<std::string> Upstream::judge_statement(const Exchange&) const {
  check(false, "this upstream prints nothing");
  return {};
}

}  // namespace meterd::upstream
