// What a reporter may report: which events, for which subscriptions. Immutable; any thread.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

namespace meterd::meter {

// Names, or any.
class Names {
 public:
  Names() = default;
  explicit Names(std::set<std::string, std::less<>> only) : any_(false), only_(std::move(only)) {}
  bool contain(std::string_view name) const { return any_ || only_.contains(name); }

 private:
  bool any_ = true;
  std::set<std::string, std::less<>> only_;
};

// One rule of [access]: both must fit.
struct Permit {
  Names events, subscriptions;
  bool allows(std::string_view event, std::string_view subscription) const {
    return events.contain(event) && subscriptions.contain(subscription);
  }
};

}  // namespace meterd::meter
