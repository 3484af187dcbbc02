#include "agent/upstream/ledger/ledger.hpp"

namespace meterd::upstream::ledger {
namespace {

class Ledger final : public Upstream {
 public:
  Traits traits() const override { return {.idempotent = true, .read_back = true, .local = true}; }
  bool made(const HttpRequest& request) const override { return request.method == "LEDGER"; }
  HttpRequest encode_create(const meter::Usage& usage) const override {
    return {"LEDGER", usage.id.value(), {}, {}};
  }
  HttpRequest encode_retrieve(const meter::Usage& usage) const override { return encode_create(usage); }
  HttpRequest encode_delete(const meter::Usage& usage, const std::string&) const override {
    return encode_create(usage);
  }
  HttpRequest encode_probe(const SubscriptionId&) const override { return {"LEDGER", {}, {}, {}}; }
  Diagnosis judge_probe(const SubscriptionId&, const Exchange&) const override {
    return {Diagnosis::Finding::fine, "this device keeps the usages itself", {}};
  }
  Verdict judge_create(const meter::Usage&, const Exchange&) const override {
    return {Outcome::accepted, std::nullopt, "", "kept in the device's ledger"};
  }
  ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange) const override {
    return {ReadBack::Found::same, judge_create(usage, exchange)};
  }
  Verdict judge_delete(const meter::Usage&, const Exchange&) const override {
    return {Outcome::accepted, std::nullopt, "", "deleted from the device's ledger"};
  }
};

class NoNetwork final : public HttpClient {
 public:
  boost::asio::awaitable<Exchange> exchange(const HttpRequest&, bool) override {
    co_return HttpResponse{200, {}, ""};
  }
  void close() override {}
};

}  // namespace

std::unique_ptr<Upstream> make() { return std::make_unique<Ledger>(); }
std::unique_ptr<HttpClient> make_client() { return std::make_unique<NoNetwork>(); }

}  // namespace meterd::upstream::ledger
