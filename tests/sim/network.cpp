#include "tests/sim/network.hpp"

#include <optional>

#include "tests/support/surroundings.hpp"

namespace meterd::sim {

namespace asio = boost::asio;
using upstream::Exchange;
using upstream::HttpResponse;
using upstream::TransportError;
using Stage = TransportError::Stage;

namespace {
constexpr Milliseconds kDeadline{30'000};
constexpr unsigned kThrottled = 429;  // says enough by its status
constexpr Milliseconds kLatest{2 * 3'600'000};

const char* name_of(int fate) {
  static constexpr const char* kNames[] = {"",
                                           "network down",
                                           "request lost before its first byte",
                                           "lost request",
                                           "lost answer",
                                           "late request",
                                           "request twice",
                                           "captive portal",
                                           "5xx",
                                           "mangled answer"};
  return kNames[fate];
}
}  // namespace

class NetworkClient final : public upstream::HttpClient {
 public:
  NetworkClient(Network& network, Machine& machine) : network_(network), machine_(machine) {}

  asio::awaitable<Exchange> exchange(const upstream::HttpRequest& request, bool) override {
    using Fate = Network::Fate;
    auto& net = network_;
    const auto number = ++net.exchanges_;
    const auto fate = net.draw_fate();
    if (fate != Fate::fine) net.world_.count(name_of(static_cast<int>(fate)));
    net.world_.note(request.method + " " + request.target + " " + request.body + "  [" +
                    (fate == Fate::fine ? "goes through" : name_of(static_cast<int>(fate))) + "]");
    const auto there = net.draws_.any_span(Milliseconds(20), Milliseconds(3'000));
    const auto back = net.draws_.any_span(Milliseconds(20), Milliseconds(3'000));
    const auto stage = net.draws_.pick(std::vector{Stage::resolve, Stage::connect, Stage::tls});
    const auto late_by = net.draws_.any_span(kDeadline, kLatest);
    net.on_exchange(number, request);
    cut_ = false;
    alarm_ = machine_.clock().make_alarm();
    switch (fate) {
      case Fate::down:
      case Fate::lost_before:
        co_await alarm_->wait_for(there);
        net.on_known_end(number);
        co_return TransportError{stage, "simulated"};
      case Fate::lost_request:
        co_await alarm_->wait_for(there);
        co_return TransportError{Stage::send, "simulated"};
      case Fate::portal: {
        auto answer = net.stranger();
        co_await alarm_->wait_for(there + back);
        co_return answer;
      }
      default:
        break;
    }
    const bool applied = fate != Fate::broken || net.draws_.percent(50);
    const auto answer = applied ? send(number, request, fate == Fate::late ? late_by : there) : nullptr;
    if (fate == Fate::twice) send(number, request, there + back);
    const bool no_answer = fate == Fate::late || fate == Fate::lost_answer;
    co_await alarm_->wait_for(no_answer ? kDeadline : there + back);
    if (fate == Fate::broken && !cut_) co_return net.broken_gateway();
    if (cut_ || no_answer || !answer->has_value()) co_return TransportError{Stage::receive, "simulated"};
    const bool whole = fate != Fate::mangled || (*answer)->status == kThrottled;
    if (!whole) co_return net.mangle(**answer);
    net.on_known_end(number);
    co_return **answer;
  }
  void close() override {
    cut_ = true;
    if (alarm_) alarm_->notify();
  }

 private:
  // Outlives the process: what was sent arrives.
  std::shared_ptr<const std::optional<HttpResponse>> send(std::uint64_t number,
                                                          const upstream::HttpRequest& request,
                                                          Milliseconds wait) {
    auto kept = std::make_shared<std::optional<HttpResponse>>();
    auto& net = network_;
    net.world_.in(wait, [kept, number, request, &net] {
      *kept = net.model_.answer(request, {net.world_.now(), number});
      net.world_.note("upstream: " + request.method + " " + request.body + " -> " +
                      std::to_string((*kept)->status));
    });
    return kept;
  }

  Network& network_;
  Machine& machine_;
  std::unique_ptr<platform::Alarm> alarm_;
  bool cut_ = false;
};

std::unique_ptr<upstream::HttpClient> Network::client(Machine& machine) {
  return std::make_unique<NetworkClient>(*this, machine);
}

Network::Fate Network::draw_fate() {
  const auto drawn = draws_.between(1, 100);
  if (!up_) return Fate::down;
  if (world_.quiet()) return Fate::fine;
  std::int64_t below = 0;
  const auto is = [&](std::int64_t percent) { return drawn <= (below += percent); };
  if (is(weather_.lost_before)) return Fate::lost_before;
  if (is(weather_.lost_request)) return Fate::lost_request;
  if (is(weather_.lost_answer)) return Fate::lost_answer;
  if (is(weather_.late)) return Fate::late;
  if (is(weather_.twice)) return Fate::twice;
  if (is(weather_.portal)) return Fate::portal;
  if (is(weather_.broken)) return Fate::broken;
  if (is(weather_.mangled)) return Fate::mangled;
  return Fate::fine;
}

HttpResponse Network::broken_gateway() {
  if (draws_.percent(50)) return model_.internal_error();
  return {502, {{"content-type", "text/html"}}, "<html>bad gateway</html>"};
}

Exchange Network::mangle(HttpResponse answer) {
  switch (draws_.between(1, 4)) {
    case 1:
      return TransportError{Stage::receive, "simulated: cut short"};
    case 2:
      answer.body.resize(
          static_cast<std::size_t>(draws_.between(0, static_cast<std::int64_t>(answer.body.size() / 2))));
      return answer;
    case 3:
      answer.status = 200;
      return answer;
    default:
      return HttpResponse{204, {}, ""};
  }
}

HttpResponse Network::stranger() {
  switch (draws_.between(1, 4)) {
    case 1:
      return {200, {{"content-type", "text/html"}}, "<html>please log in</html>"};
    case 2:
      return {302, {{"location", "http://portal.test/"}}, ""};
    case 3:
      return {511, {{"content-type", "text/html"}}, "<html>network authentication required</html>"};
    default:
      return {403, {{"content-type", "text/html"}}, "<html>blocked</html>"};
  }
}

}  // namespace meterd::sim
