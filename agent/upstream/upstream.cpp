#include "agent/upstream/upstream.hpp"

// What an upstream that does not have a trait need not have either: nobody asks it.
namespace meterd::upstream {

HttpRequest Upstream::join(const std::vector<HttpRequest>& creates) const {
  check(creates.size() == 1, "this upstream takes one usage at a time");
  return creates.front();
}

std::vector<Verdict> Upstream::judge_batch(const std::vector<meter::Usage>& usages,
                                           const Exchange& exchange) const {
  check(usages.size() == 1, "this upstream takes one usage at a time");
  return {judge_create(usages.front(), exchange)};
}

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
