// What a message counts as, by the operator's rules: one verdict for each of them. Pure.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.hpp"
#include "agent/meter/event.hpp"
#include "agent/source/access_log/message.hpp"
#include "agent/source/access_log/rule.hpp"

namespace meterd::source {

inline constexpr std::size_t kStatusEnd = 600;  // HTTP's are 100 to 599
using StatusSet = std::bitset<kStatusEnd>;
// Of "2xx" and "304" and the like. Code::invalid: names the one that is neither.
Result<StatusSet> status_set(const std::vector<std::string>& patterns);

class CallReader {
 public:
  // Its statuses are such as status_set() takes.
  explicit CallReader(const AccessLogRule& rule);

  // False: refused as malformed, whatever the rules.
  bool read(std::string_view line) { return reader_.read(line); }

  enum class Verdict : std::uint8_t { counts, passes, refused };
  struct Call {
    Verdict verdict = Verdict::passes;
    meter::Refusal refusal{};  // if refused
    meter::EventView event;    // if it counts: views into this reader and the line
  };
  // What the line that was read last is by the rule at that position in calls(). Passes: another
  // status or path than is counted, or a quantity of nothing.
  Call judge(std::size_t index) const;

  // Who sent the message, and its number there. nullopt: the message does not say, or not cleanly.
  struct Sender {
    std::string_view worker;
    std::uint64_t number = 0;
  };
  std::optional<Sender> sender() const;
  bool has_sequence() const { return worker_ != kNone; }

  const std::vector<CallRule>& calls() const { return calls_; }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Place {  // of each rule's fields in the reader
    std::size_t subscription = kNone, quantity = kNone, status = kNone, path = kNone;
    StatusSet statuses;
  };
  std::optional<Verdict> filter(const CallRule& rule, const Place& place) const;

  std::vector<CallRule> calls_;
  std::vector<std::string> names_;
  std::vector<Place> places_;
  std::size_t worker_ = kNone, sequence_ = kNone;
  MessageReader reader_;
};

}  // namespace meterd::source
