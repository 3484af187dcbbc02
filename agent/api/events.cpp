#include "agent/api/events.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::api {

namespace asio = boost::asio;
using meter::Refusal;

namespace {

constexpr const char* kRetryAfterFull = "5";    // seconds: room comes with a commit or a flush
constexpr const char* kRetryAfterClock = "60";  // a time server answers in its own time

bool is_for_now(Refusal refusal) { return refusal == Refusal::full || refusal == Refusal::clock_untrusted; }

void retry_after(Response& response, const char* seconds) {
  response.status = 503;
  response.headers.emplace_back("Retry-After", seconds);
}

// The body as a whole is refused, and nothing of it was counted.
Response whole(Refusal refusal, std::string_view message) {
  auto response = error_response(refusal == Refusal::too_large ? 413 : 400, meter::name_of(refusal), message);
  if (is_for_now(refusal)) retry_after(response, kRetryAfterFull);
  return response;
}

std::string errors_json(const std::vector<CloudEventError>& errors) {
  std::string out;
  for (const auto& error : errors) {
    out += out.empty() ? "{\"position\":" : ",{\"position\":";
    out += std::to_string(error.position);
    if (!error.id.empty()) append_json_string(out.append(",\"id\":"), error.id);
    append_json_string(out.append(",\"code\":"), meter::name_of(error.refusal));
    append_json_string(out.append(",\"message\":"), error.message);
    out += '}';
  }
  return out;
}

Response report(std::size_t counted, std::size_t duplicates, const std::vector<CloudEventError>& errors) {
  Response out;
  out.body.reserve(64);
  out.body.append("{\"counted\":").append(std::to_string(counted));
  out.body.append(",\"duplicates\":").append(std::to_string(duplicates));
  out.body.append(",\"errors\":[").append(errors_json(errors)).append("]}");
  if (errors.empty()) return out;
  out.status = 400;
  const auto has = [&](Refusal refusal) {
    return std::any_of(errors.begin(), errors.end(), [&](const auto& one) { return one.refusal == refusal; });
  };
  if (has(Refusal::clock_untrusted))
    retry_after(out, kRetryAfterClock);
  else if (has(Refusal::full))
    retry_after(out, kRetryAfterFull);
  return out;
}

enum class Mode { one, batch, binary };

std::optional<Mode> mode_of(const Request& request) {
  const auto& type = request.content_type;
  if (is_media_type(type, "application/cloudevents+json")) return Mode::one;
  if (is_media_type(type, "application/cloudevents-batch+json")) return Mode::batch;
  if (!request.header("ce-specversion")) return std::nullopt;
  if (request.body.empty() || is_media_type(type, "application/json")) return Mode::binary;
  return std::nullopt;
}

Response unsupported() {
  return error_response(
      415, "unsupported_media_type",
      "Send Content-Type: application/cloudevents+json, or application/cloudevents-batch+json for an array "
      "of "
      "them, or application/json with the event's attributes as ce- header fields; uncompressed.");
}

}  // namespace

struct Events::Taken {
  std::size_t counted = 0;
  std::vector<std::size_t> identified;  // positions in the window
  std::vector<CloudEventError> errors;
};

// No coroutine of its own: the one that Asio makes of the initiation is enough.
asio::awaitable<CommitResult> committed(ingest::Batcher& batcher, std::vector<std::size_t> identified) {
  auto initiate = [&batcher, positions = std::move(identified)](auto handler) mutable {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    batcher.commit_soon([shared, positions = std::move(positions)](const meterd::Status& status,
                                                                   const ingest::WindowOutcome& outcome) {
      CommitResult result{status, 0};
      for (const auto position : positions)
        if (position < outcome.duplicate.size() && outcome.duplicate[position]) ++result.duplicates;
      std::move (*shared)(std::move(result));
    });
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(CommitResult)>(std::move(initiate),
                                                                                 asio::use_awaitable);
}

// Reads and counts in one go: what is refused here as a whole left no trace but in the statistics.
std::optional<Response> Events::take(const Request& request, bool received, Taken& taken) {
  const auto mode = mode_of(request);
  const auto coding = request.header("content-encoding");
  if (!mode || (coding && *coding != "identity")) return unsupported();
  auto broken = *mode == Mode::one     ? reader_.read_one(request.body)
                : *mode == Mode::batch ? reader_.read_batch(request.body)
                                       : reader_.read_binary(request);
  if (broken) {
    batcher_.stats().refuse(broken->refusal);
    if (*mode == Mode::batch) return whole(broken->refusal, broken->message);
    return report(0, 0, {*broken});
  }
  if (received && batcher_.stuck_for() > Milliseconds(0))
    return whole(Refusal::full, meter::advice_for(Refusal::full));

  for (const auto& error : reader_.errors()) batcher_.stats().refuse(error.refusal);
  taken.errors = std::move(reader_.errors());
  const auto now = batcher_.now();
  if (!received) taken.identified.reserve(reader_.events().size());
  for (const auto& event : reader_.events()) {
    auto view = event.view();
    view.permit = request.only.get();
    const auto result = batcher_.count(view, now);
    if (result.refusal) {
      taken.errors.push_back({*result.refusal, std::string(meter::advice_for(*result.refusal)),
                              event.position,
                              is_clean_text(event.id, limits::kIdMax) ? std::string(event.id) : ""});
      continue;
    }
    ++taken.counted;
    if (result.identified && !received) taken.identified.push_back(*result.identified);
  }
  std::sort(taken.errors.begin(), taken.errors.end(),
            [](const auto& a, const auto& b) { return a.position < b.position; });
  return std::nullopt;
}

asio::awaitable<Response> Events::answer(const Request& request) {
  const auto is_ack = [](const auto& parameter) { return parameter.first == "ack"; };
  if (std::count_if(request.query.begin(), request.query.end(), is_ack) > 1)
    co_return error_response(400, "malformed", "Send ack once.");
  const auto ack = request.parameter("ack").value_or("committed");
  if (ack != "committed" && ack != "received")
    co_return error_response(400, "malformed", "ack is \"committed\" or \"received\".");
  const bool received = ack == "received";
  Taken taken;
  if (auto refused = take(request, received, taken)) co_return std::move(*refused);
  if (received || taken.counted == 0) co_return report(taken.counted, 0, taken.errors);
  const auto result = co_await committed(batcher_, std::move(taken.identified));
  if (!result.status) {
    auto response = error_response(503, name_of(result.status.error().code),
                                   result.status.error().message + "; report it again with the same ids");
    retry_after(response, kRetryAfterFull);
    co_return response;
  }
  co_return report(taken.counted - result.duplicates, result.duplicates, taken.errors);
}

}  // namespace meterd::api
