#include "agent/ctl/verbs.hpp"

#include <boost/json.hpp>
#include <optional>
#include <ostream>
#include <random>

#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

constexpr unsigned kOk = 200;

std::optional<json::value> parsed(const std::string& body) {
  boost::system::error_code error;
  auto value = json::parse(body, error);
  if (error) return std::nullopt;
  return value;
}

// Why the daemon refused, in its own words: {"error":{"message"}} or, of /events, {"errors":[{"message"}]}.
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
  return message + " (" + text_in(error, "code") + ")";
}

void print_json(Session& session, std::string_view body) {
  session.out << body;
  if (!body.ends_with('\n')) session.out << '\n';
}

// One request whose answer is only shown.
Exit show(Session& session, const Request& request, Result<Rendered> (*render)(const json::value&)) {
  const auto answer = exchange(session.daemon, request);
  if (!answer) {
    complain(session.err, answer.error().message);
    return exit_for(answer.error().code);
  }
  const auto value = parsed(answer->body);
  if (answer->status != kOk || !value) {
    if (session.json && value) print_json(session, answer->body);
    complain(session.err, reason_in(*answer, value));
    return Exit::failed;
  }
  const auto rendered = render(*value);
  if (session.json) print_json(session, answer->body);
  if (!rendered) {
    complain(session.err, rendered.error().message);
    return Exit::failed;
  }
  if (!session.json) session.out << rendered->text;
  return rendered->attention ? Exit::attention : Exit::fine;
}

std::string random_id() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string id = "ctl-";
  for (int word = 0; word < 4; ++word) {
    auto bits = static_cast<std::uint32_t>(random());
    for (int i = 0; i < 8; ++i, bits >>= 4U) id.push_back(kDigits[bits & 15U]);
  }
  return id;
}

Request request_of(const Report& report) {
  json::object event{
      {"specversion", "1.0"}, {"id", report.id}, {"source", report.source}, {"type", report.event}};
  if (!report.subscription.empty()) event["subscription"] = report.subscription;
  if (!report.time.empty()) event["time"] = report.time;
  event["data"] = json::object{{"quantity", report.quantity}};
  return {"POST", "/events?ack=" + report.ack, "application/cloudevents+json", json::serialize(event)};
}

// After an answer that leaves open whether the event is counted.
std::string with_id_advice(const std::string& message, const Report& report) {
  return message + " The event may have been counted: report it again with --id " + clean(report.id) +
         (report.source == "meterctl" ? "" : " --source " + clean(report.source)) + ", and it counts once.";
}

}  // namespace

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

std::string reason_in(const Answer& answer) { return reason_in(answer, parsed(answer.body)); }

void complain(std::ostream& err, std::string_view message) {
  err << join(wrap_words("meterctl: " + clean(message), {0, 2}));
}

Exit status(Session& session) { return show(session, {"GET", "/status", {}, {}}, render_status); }

Exit buckets(Session& session, bool balances) {
  if (balances) return show(session, {"GET", "/operator/balances", {}, {}}, render_balances);
  return show(session, {"GET", "/operator/buckets", {}, {}}, render_buckets);
}

Exit outbox(Session& session) { return show(session, {"GET", "/operator/outbox", {}, {}}, render_outbox); }

Exit flush(Session& session, bool seal_now) {
  const auto exit = show(session, {"POST", seal_now ? "/operator/flush?seal=now" : "/operator/flush", {}, {}},
                         render_flush);
  return exit == Exit::attention ? Exit::failed : exit;  // a bucket that was to be sealed is not
}

Exit verify(Session& session) { return show(session, {"GET", "/operator/verify", {}, {}}, render_verify); }

Exit report(Session& session, Report event) {
  if (event.id.empty()) event.id = random_id();
  const auto request = request_of(event);
  auto answer = exchange(session.daemon, request);
  const bool was_broken = !answer && answer.error().code == Code::retry;
  if (was_broken) answer = exchange(session.daemon, request);
  if (!answer) {
    const bool is_open = was_broken || answer.error().code != Code::io;
    complain(session.err, is_open && answer.error().code != Code::invalid
                              ? with_id_advice(answer.error().message, event)
                              : answer.error().message);
    return exit_for(answer.error().code);
  }
  const auto value = parsed(answer->body);
  if (session.json && value && value->is_object()) {
    auto with_id = value->get_object();
    with_id["id"] = event.id;
    print_json(session, json::serialize(with_id));
  }
  const auto& object = value ? as_object(*value) : as_object(json::value());
  const bool is_counted = number_in(object, "counted") > 0;
  const bool is_known = number_in(object, "duplicates") > 0;
  if (answer->status != kOk || is_counted == is_known) {
    // 4xx, and any refusal by position, means that it is not counted; everything else leaves it open.
    const bool is_refused = answer->status / 100 == 4 || !array_in(object, "errors").empty();
    const auto reason = reason_in(*answer, value);
    complain(session.err, is_refused ? "not counted: " + reason : with_id_advice(reason, event));
    return Exit::failed;
  }
  if (session.json) return Exit::fine;
  session.out << (is_counted ? "counted" : "already counted");
  if (event.ack == "received") session.out << " (received: may be lost within the loss window)";
  session.out << '\n';
  return Exit::fine;
}

}  // namespace meterd::ctl
