// The routes over a real journal, without a socket.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>

#include "agent/api/routes.hpp"
#include "agent/upstream/ledger/ledger.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::api {

class RoutesTest : public ::testing::Test {
 protected:
  explicit RoutesTest(test::BenchOptions options = {}) : bench_(std::move(options)) { begin(); }
  void begin() {
    collection_.emplace(
        usages::Collection::Dependencies{
            bench_.journal(), bench_.committer(), bench_.loop().get_executor(), bench_.clock(), random_,
            [this] { return has_room_; },
            [](const auto&) -> boost::asio::awaitable<meterd::Status> { co_return meterd::Status(); },
            [this](std::uint64_t sequence) { return sequence == sending_; }},
        rules());
    boost::asio::co_spawn(bench_.loop(), collection_->run(), boost::asio::detached);
    routes_.emplace(Routes::Dependencies{bench_.batcher(), bench_.journal(), bench_.loop().get_executor(),
                                         bench_.clock(), [this] { return status(); },
                                         [this](bool now) { return flush(now); }, key_, twilio_key_},
                    *collection_);
  }
  // The device is its own ledger.
  static std::shared_ptr<const usages::Rules> rules() {
    const UpstreamName ledger("ledger");
    auto context = std::make_shared<flush::SealContext>();
    context->device = DeviceId("gw-0042");
    context->targets[ledger] = {ledger, upstream::ledger::make(), {}};
    auto out = std::make_shared<usages::Rules>();
    out->upstream = ledger;
    out->twilio_v1 = ledger;
    out->twilio_preview = ledger;
    out->preview_item_price = ItemPriceId("preview");
    out->context = std::move(context);
    out->zone = test::must(meter::TimeZone::load("UTC"));
    return out;
  }
  void reboot() {
    routes_.reset();
    collection_.reset();  // its alarm is the old clock's
    bench_.reboot("boot-2");
    begin();
  }
  Response send(const Request& request) {
    std::optional<Response> out;
    const auto done = [&](const std::exception_ptr& thrown, Response response) {
      ASSERT_FALSE(thrown);
      out = std::move(response);
    };
    boost::asio::co_spawn(bench_.loop(), routes_->answer(request), done);
    bench_.settle();
    EXPECT_TRUE(out.has_value()) << "no answer";
    return out.value_or(Response{});
  }
  Response ask(const std::string& method, const std::string& path, const std::string& body = {},
               bool local = true, std::vector<std::pair<std::string, std::string>> query = {}) {
    Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.query = std::move(query);
    request.content_type = "application/cloudevents+json; charset=utf-8";
    request.local = local;
    request.peer = "user 7";
    request.over_tcp = !host_.empty();
    request.host = host_;
    request.authorization = authorization_;
    return send(request);
  }
  std::string host_;  // of a request over TCP
  std::string authorization_;

  static std::string event(const std::string& id, const std::string& members = "") {
    return R"({"specversion":"1.0","type":"sms.sent","source":"app","subscription":"sub_1","id":")" + id +
           "\"" + members + "}";
  }
  static int number(const Response& response, const char* key) {
    return boost::json::parse(response.body).at(key).to_number<int>();
  }

  // Free coroutines in members: what a lambda captures would not outlive its first suspension.
  boost::asio::awaitable<Result<Status>> status() {
    if (broken_) co_return Error{Code::io, "the journal cannot be read"};
    Status out;
    out.device = "gw-0042";
    out.commit_interval = Milliseconds(10'000);
    co_return out;
  }
  boost::asio::awaitable<Result<Routes::Dependencies::Flushed>> flush(bool seal_now) {
    flushed_.push_back(seal_now);
    co_return Routes::Dependencies::Flushed{3, {"billing"}};
  }

  test::Bench bench_;
  bool broken_ = false;
  std::vector<bool> flushed_;
  BasicAuth key_, twilio_key_;
  std::uint64_t sending_ = 0;  // the usage that is on its way
  bool has_room_ = true;       // in the journal, for one more usage
  journal::FakeRandom random_;
  std::optional<usages::Collection> collection_;
  std::optional<Routes> routes_;
};

}  // namespace meterd::api
