// What an upstream has beside what was delivered to it, over all answers of the daemon. Pure.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace meterd::ctl {

struct Comparison {
  std::int64_t run = 0;    // 0: nothing was asked yet
  bool comparable = true;  // this upstream can be
  bool ended = false;
  std::int64_t subscriptions = 0, usages = 0, forgotten = 0, invoices_noted = 0;
  std::int64_t missing = 0, altered = 0, not_billed = 0, not_compared = 0;
  boost::json::array differences;
  std::string error;  // why it did not go on
};

// How long to wait before it is asked on, in milliseconds; -1: it is over.
std::int64_t add_answer(Comparison& comparison, const boost::json::object& answer);

bool needs_attention(const Comparison& comparison);
std::vector<std::string> lines_of(const Comparison& comparison);
boost::json::object json_of(const Comparison& comparison);

}  // namespace meterd::ctl
