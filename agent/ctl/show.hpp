// What the verbs do with an answer: print it, or say why the daemon refused.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/ctl/client.hpp"
#include "agent/ctl/render.hpp"
#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {

inline constexpr unsigned kOk = 200;

struct Shown {
  std::string body;
  boost::json::value value;  // the body's
};
// The daemon's 200. Otherwise what went wrong has been said, and `exit` is the verb's.
std::optional<Shown> ask(Session& session, const Request& request, Exit& exit);

// The answer as text, or as it is where JSON is wanted.
using Render = std::function<Result<Rendered>(const boost::json::value& answer)>;
Exit print(Session& session, const Shown& shown, const Render& render);

// One request whose answer is only shown.
Exit show(Session& session, const Request& request, const Render& render);

std::optional<boost::json::value> parsed(const std::string& body);
std::string reason_in(const Answer& answer, const std::optional<boost::json::value>& value);
void print_json(Session& session, std::string_view body);

}  // namespace meterd::ctl
