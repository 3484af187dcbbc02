// Posts CloudEvents over keep-alive connections, one request under way on each.
//
//   load_http --socket PATH [--connections 64] [--batch 0] [--keys 30] [--seconds S] [--requests N] [--turn
//   T]
//
// --batch 0: one event a request; N: an array of N. Every event has an id of its own; T must differ between
// runs against one journal. It ends after S seconds or N requests in all, whichever is first. Prints
// {"requests", "events", "ok", "unsupported", "refused", "seconds", "p50_us", ...}: answers 200, 415 and any
// other; the times are the answers'.
#include "tests/bench/support.hpp"
#include "tests/bench/support_http.hpp"

namespace meterd::bench {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kRequestsEncoded = 16;
constexpr std::string_view kIdPlace = "xxxxxxxxxxxxxxxx";

struct Plan {
  std::size_t events_each, keys;
  bool batched;
  std::int64_t left, ends_ns;
  std::uint64_t next_id;
};

struct Tally {
  std::uint64_t ok = 0, unsupported = 0, refused = 0;
};

std::string event_text(const std::string& subscription) {
  return R"({"specversion":"1.0","id":")" + std::string(kIdPlace) +
         R"(","source":"bench","type":"api.call","subscription":")" + subscription +
         R"(","data":{"quantity":"1"}})";
}

// A request that is ready to be sent but for its ids.
class Encoded {
 public:
  Encoded(const Plan& plan, const std::vector<std::size_t>& order, std::size_t first) {
    std::string body = plan.batched ? "[" : "";
    for (std::size_t i = 0; i < plan.events_each; ++i) {
      if (i > 0) body += ',';
      body += event_text(subscription_name(order[(first + i) % order.size()]));
    }
    if (plan.batched) body += "]";
    text_ =
        "POST /events?ack=committed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cloudevents" +
        std::string(plan.batched ? "-batch" : "") +
        "+json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    for (auto at = text_.find(kIdPlace); at != std::string::npos; at = text_.find(kIdPlace, at + kIdBytes))
      places_.push_back(at);
  }
  std::string_view with_ids(std::uint64_t& next) {
    for (const auto at : places_) {
      auto value = next++;
      for (std::size_t i = kIdBytes; i > 0; --i, value >>= 4U)
        text_[at + i - 1] = "0123456789abcdef"[value & 15U];
    }
    return text_;
  }

 private:
  std::string text_;
  std::vector<std::size_t> places_;
};

class Events final : public Asker {
 public:
  explicit Events(const Plan& plan) : plan_(plan) {
    const auto order = shuffled(plan_.keys);
    for (std::size_t i = 0; i < kRequestsEncoded; ++i)
      requests_.emplace_back(plan_, order, i * plan_.events_each);
  }
  std::string_view next(std::size_t) override {
    if (plan_.left <= 0 || now_ns() >= plan_.ends_ns) return {};
    --plan_.left;
    return requests_[turn_++ % requests_.size()].with_ids(plan_.next_id);
  }
  void take(std::size_t, std::string_view status, std::string_view) override {
    ++(status == "200" ? tally_.ok : status == "415" ? tally_.unsupported : tally_.refused);
  }
  const Tally& tally() const { return tally_; }

 private:
  Plan plan_;
  Tally tally_;
  std::vector<Encoded> requests_;
  std::size_t turn_ = 0;
};

int run(int argc, char** argv) {
  const Options options(argc, argv,
                        {"socket", "connections", "batch", "keys", "seconds", "requests", "turn"});
  const auto batch = static_cast<std::size_t>(options.number("batch", 0));
  const auto began = now_ns();
  Plan plan{batch == 0 ? 1 : batch,
            static_cast<std::size_t>(options.number("keys", 30)),
            batch > 0,
            options.number("requests", INT64_MAX),
            began + options.number("seconds", 600) * 1'000'000'000,
            static_cast<std::uint64_t>(options.number("turn", 0)) << 40U};
  Events events(plan);
  const auto waited_ns =
      ask_all(options.text("socket"), static_cast<std::size_t>(options.number("connections", 64)), events);
  const auto& tally = events.tally();
  JsonLine()
      .add("requests", tally.ok + tally.unsupported + tally.refused)
      .add("events", tally.ok * plan.events_each)
      .add("ok", tally.ok)
      .add("unsupported", tally.unsupported)
      .add("refused", tally.refused)
      .add("seconds", static_cast<double>(now_ns() - began) / 1e9)
      .add(spread_of(waited_ns))
      .print();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
