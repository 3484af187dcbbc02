// What a reporter may report: which events, for which subscriptions. Immutable; any thread.
#pragma once

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meterd::meter {

// Names, or any.
class Names {
 public:
  Names() = default;
  explicit Names(std::set<std::string, std::less<>> only) : any_(false), only_(std::move(only)) {}
  bool contain(std::string_view name) const { return any_ || only_.contains(name); }
  bool any() const { return any_; }
  const std::set<std::string, std::less<>>& only() const { return only_; }  // unless any
  bool operator==(const Names&) const = default;

 private:
  bool any_ = true;
  std::set<std::string, std::less<>> only_;
};

struct Permit {
  struct Rule {
    Names events, subscriptions;
    bool operator==(const Rule&) const = default;
  };
  std::string who;          // for the audit: "user 1001 in sms.service"
  std::vector<Rule> rules;  // one of them must fit, event and subscription
  bool everything = false;
  // What stands before the producers that it names, since a name is only a word: nobody can take another
  // one's sequence or event ids along. Empty: those who may report everything are trusted with each other's
  // names.
  std::string scope = {};

  bool allows(std::string_view event, std::string_view subscription) const {
    return everything || std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
             return rule.events.contain(event) && rule.subscriptions.contain(subscription);
           });
  }
};

}  // namespace meterd::meter
