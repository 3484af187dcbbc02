#include "agent/ctl/verbs.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <ostream>
#include <random>

#include "agent/ctl/fields.hpp"
#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"
#include "agent/ctl/show.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

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

Exit status(Session& session) { return show(session, {"GET", "/status", {}, {}}, render_status); }

Exit buckets(Session& session, bool balances) {
  if (balances) return show(session, {"GET", "/operator/balances", {}, {}}, render_balances);
  return show(session, {"GET", "/operator/buckets", {}, {}}, render_buckets);
}

Exit outbox(Session& session, bool in_doubt) {
  return show(session, {"GET", in_doubt ? "/operator/outbox?state=in_doubt" : "/operator/outbox", {}, {}},
              render_outbox);
}

Exit flush(Session& session, bool seal_now) {
  const auto exit = show(session, {"POST", seal_now ? "/operator/flush?seal=now" : "/operator/flush", {}, {}},
                         render_flush);
  return exit == Exit::attention ? Exit::failed : exit;  // a bucket that was to be sealed is not
}

Exit verify(Session& session) { return show(session, {"GET", "/operator/verify", {}, {}}, render_verify); }

Exit doctor(Session& session) {
  session.daemon.timeout = std::max(session.daemon.timeout, kUpstreamTime);
  return show(session, {"GET", "/operator/doctor", {}, {}}, render_doctor);
}

Exit audit(Session& session) { return show(session, {"GET", "/operator/audit", {}, {}}, render_audit); }

Exit date(Session& session, const Dating& dating) {
  // Nothing else than digits and dashes means something there, and nothing else may change the request.
  const auto query = [](const std::string& text) {
    const bool plain = text.find_first_not_of("0123456789-") == std::string::npos;
    return plain ? text : std::string("none");
  };
  const auto target = "/operator/date?boot=" + query(dating.boot) + "&day=" + query(dating.day);
  return show(session, {"POST", target, {}, {}}, render_date);
}

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
