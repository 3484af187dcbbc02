#include "agent/ctl/show.hpp"

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <ostream>

#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"

namespace meterd::ctl {

namespace json = boost::json;

std::optional<json::value> parsed(const std::string& body) {
  boost::system::error_code error;
  auto value = json::parse(body, error);
  if (error) return std::nullopt;
  return value;
}

// {"error":{"message"}} or, of /events, {"errors":[{"message"}]}.
std::string reason_in(const Answer& answer, const std::optional<json::value>& value) {
  const auto status = std::to_string(answer.status);
  if (!value)
    return "meterd answered with status " + status + " and no JSON; name its API socket with --socket PATH";
  const auto& object = as_object(*value);
  const auto& errors = array_in(object, "errors");
  const auto& error = errors.empty() ? object_in(object, "error") : as_object(errors[0]);
  const auto message = text_or_empty(error, "message");
  if (message.empty())
    return "meterd answered with status " + status + " and no reason; see journalctl -u meterd";
  // The system's words, which say what is wrong and not what to do.
  const bool disk_is_full = message.ends_with(std::strerror(ENOSPC));
  return message + " (" + text_in(error, "code") + ")" +
         (disk_is_full
              ? ". Free space on the disk of the journal, which meterctl status names, and try again."
              : "");
}

std::string reason_in(const Answer& answer) { return reason_in(answer, parsed(answer.body)); }

void print_json(Session& session, std::string_view body) {
  session.out << body;
  if (!body.ends_with('\n')) session.out << '\n';
}

Exit exit_for(Code code) {
  switch (code) {
    case Code::io:
    case Code::cancelled:
    case Code::retry:
      return Exit::unreachable;
    case Code::invalid:
      return Exit::usage;
    default:
      return Exit::failed;
  }
}

void complain(std::ostream& err, std::string_view message) {
  err << join(wrap_words("meterctl: " + clean(message), {0, 2}));
}

std::optional<Shown> ask(Session& session, const Request& request, Exit& exit) {
  auto answer = exchange(session.daemon, request);
  if (!answer) {
    complain(session.err, answer.error().message);
    exit = exit_for(answer.error().code);
    return std::nullopt;
  }
  auto value = parsed(answer->body);
  if (answer->status == kOk && value) return Shown{std::move(answer->body), std::move(*value)};
  if (session.json && value) print_json(session, answer->body);
  complain(session.err, reason_in(*answer, value));
  exit = Exit::failed;
  return std::nullopt;
}

Exit print(Session& session, const Shown& shown, const Render& render) {
  const auto rendered = render(shown.value);
  if (session.json) print_json(session, shown.body);
  if (!rendered) {
    complain(session.err, rendered.error().message);
    return Exit::failed;
  }
  if (!session.json) session.out << rendered->text;
  return rendered->attention ? Exit::attention : Exit::fine;
}

Exit show(Session& session, const Request& request, const Render& render) {
  auto exit = Exit::fine;
  const auto shown = ask(session, request, exit);
  return shown ? print(session, *shown, render) : exit;
}

}  // namespace meterd::ctl
