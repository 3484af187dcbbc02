// Strong types for every name and id of the domain: a subscription can never be passed for an item price.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace meterd {

template <class Tag>
class StrongString {
 public:
  StrongString() = default;
  explicit StrongString(std::string value) : value_(std::move(value)) {}
  explicit StrongString(std::string_view value) : value_(value) {}
  explicit StrongString(const char* value) : value_(value) {}

  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const StrongString&) const = default;

 private:
  std::string value_;
};

using DeviceId = StrongString<struct DeviceIdTag>;
using UpstreamName = StrongString<struct UpstreamNameTag>;
using SubscriptionId = StrongString<struct SubscriptionIdTag>;
using ItemPriceId = StrongString<struct ItemPriceIdTag>;
using UsageId = StrongString<struct UsageIdTag>;
using EventName = StrongString<struct EventNameTag>;

}  // namespace meterd

template <class Tag>
struct std::hash<meterd::StrongString<Tag>> {
  std::size_t operator()(const meterd::StrongString<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.value());
  }
};
