// Calls the Usages API over keep-alive connections, one request under way on each.
//
//   load_usages --mode create|retrieve|list --socket PATH [--connections 64] [--requests N] [--seconds S]
//     create:   [--subscriptions 300] [--first F]   usages F, F + 1, ...: ids and usage_dates of their own
//     retrieve: [--subscriptions 300] [--stored N]  the usages 0 to N - 1 in an order that looks random
//     list:     --query TEXT [--subscriptions 300]  a "{}" in it becomes one subscription after another
//
// It ends after S seconds or N requests, whichever is first. Prints {"ok", "refused", "usages", "seconds",
// "p50_us", ...}: answers 200 that are about what was asked, and others; the usages in the answers.
#include <cstdio>

#include "tests/bench/support.hpp"
#include "tests/bench/support_http.hpp"

namespace meterd::bench {
namespace {

constexpr std::uint64_t kFirstDate = 1'700'000'000;
constexpr std::string_view kPlace = "{}";

// The usage of that number, made from it alone.
std::string usage_id(std::uint64_t number) {  // as callers make them: in no order
  auto mixed = (number + 1) * 0x9E3779B97F4A7C15U;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
  char text[48];
  std::snprintf(text, sizeof text, "usage-%016llx", static_cast<unsigned long long>(mixed ^ (mixed >> 31U)));
  return text;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

class Calls final : public Asker {
 public:
  explicit Calls(const Options& options)
      : mode_(options.text("mode")),
        query_(options.text("query")),
        subscriptions_(static_cast<std::size_t>(options.number("subscriptions", 300))),
        stored_(static_cast<std::uint64_t>(options.number("stored", 1))),
        next_(static_cast<std::uint64_t>(options.number("first", 0))),
        left_(options.number("requests", INT64_MAX)),
        ends_ns_(now_ns() + options.number("seconds", 600) * 1'000'000'000),
        under_way_(connections_of(options)) {
    if (mode_ != "create" && mode_ != "retrieve" && mode_ != "list")
      fail("--mode is create, retrieve or list");
  }
  static std::size_t connections_of(const Options& options) {
    return static_cast<std::size_t>(options.number("connections", 64));
  }

  std::string_view next(std::size_t connection) override {
    if (left_ <= 0 || now_ns() >= ends_ns_) return {};
    --left_;
    auto& call = under_way_[connection];
    const auto number = next_++;
    if (mode_ == "create") create(number, call);
    if (mode_ == "retrieve") retrieve(number * 0x9E3779B1U % stored_, call);
    if (mode_ == "list") list(number, call);
    return call.request;
  }

  void take(std::size_t connection, std::string_view status, std::string_view body) override {
    const auto& call = under_way_[connection];
    const bool ok = status == "200" && body.find(call.expected) != std::string_view::npos;
    if (!ok && refused_ == 0)
      std::fprintf(stderr, "%s%.*s\n", call.request.c_str(), static_cast<int>(body.size()), body.data());
    ++(ok ? ok_ : refused_);
    usages_ += mode_ == "list" ? count_of(body, R"("object":"usage")") : 1;
  }

  void add_to(JsonLine& line) const { line.add("ok", ok_).add("refused", refused_).add("usages", usages_); }

 private:
  struct Call {
    std::string request, expected;
  };

  std::string path_of(std::uint64_t number) const {
    return "/api/v2/subscriptions/" + subscription_name(number % subscriptions_) + "/usages";
  }
  void create(std::uint64_t number, Call& call) const {
    call.expected = usage_id(number);
    const auto body = "id=" + call.expected + "&item_price_id=api.call-usd&quantity=12.5&usage_date=" +
                      std::to_string(kFirstDate + number);
    call.request = "POST " + path_of(number) +
                   " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                   "Content-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  void retrieve(std::uint64_t number, Call& call) const {
    call.expected = usage_id(number);
    call.request = "GET " + path_of(number) + "?id=" + call.expected + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }
  void list(std::uint64_t number, Call& call) const {
    auto query = query_;
    const auto at = query.find(kPlace);
    if (at != std::string::npos) query.replace(at, kPlace.size(), subscription_name(number % subscriptions_));
    call.expected = R"({"list":[)";
    call.request = "GET /api/v2/usages?" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }

  std::string mode_, query_;
  std::size_t subscriptions_;
  std::uint64_t stored_, next_;
  std::int64_t left_, ends_ns_;
  std::vector<Call> under_way_;
  std::uint64_t ok_ = 0, refused_ = 0, usages_ = 0;
};

int run(int argc, char** argv) {
  const Options options(
      argc, argv,
      {"mode", "socket", "connections", "requests", "seconds", "subscriptions", "first", "stored", "query"});
  const auto began = now_ns();
  Calls calls(options);
  const auto waited_ns = ask_all(options.text("socket"), Calls::connections_of(options), calls);
  JsonLine line;
  calls.add_to(line);
  line.add("seconds", static_cast<double>(now_ns() - began) / 1e9).add(spread_of(waited_ns)).print();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
