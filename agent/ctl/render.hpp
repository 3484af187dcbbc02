// The daemon's answers as text for an operator: pure functions of the JSON. No line is wider than 80 columns;
// no colour. What is not of the expected shape is Code::corrupt: then nothing may be concluded from it.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "agent/base/result.hpp"

namespace meterd::ctl {

struct Rendered {
  std::string text;        // whole lines
  bool attention = false;  // an operator must look: exit code 4 where the verb has it
};

// One screen of 24 lines, the prompt included, whatever the daemon has to say; the rest is in --json.
inline constexpr std::size_t kStatusLinesMax = 23;
Result<Rendered> render_status(const boost::json::value& answer);

Result<Rendered> render_buckets(const boost::json::value& answer);
Result<Rendered> render_balances(const boost::json::value& answer);
Result<Rendered> render_outbox(
    const boost::json::value& answer);  // attention: something is parked or in doubt
Result<Rendered> render_usages(const boost::json::value& answer);
Result<Rendered> render_invoice(const boost::json::value& answer, bool deleted);
Result<Rendered> render_resolved(const boost::json::value& answer);
Result<Rendered> render_withdrawn(const boost::json::value& answer);
Result<Rendered> render_credited(const boost::json::value& answer);
Result<Rendered> render_flush(const boost::json::value& answer);
Result<Rendered> render_audit(const boost::json::value& answer);
Result<Rendered> render_date(const boost::json::value& answer);
Result<Rendered> render_doctor(const boost::json::value& answer);  // attention: a finding that is not fine
Result<Rendered> render_verify(const boost::json::value& answer);  // attention: problems

}  // namespace meterd::ctl
