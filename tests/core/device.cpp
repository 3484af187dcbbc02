#include "tests/core/device.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "agent/meter/identity.hpp"

namespace meterd::testing {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

json::object usage_object(const std::string& id, const Billing::Record& record) {
  json::object out{{"id", id},
                   {"subscription_id", record.subscription},
                   {"item_price_id", record.item_price},
                   {"usage_date", std::stoll(record.usage_date)},
                   {"quantity", record.quantity},
                   {"resource_version", 1'601'708'189'381},
                   {"object", "usage"}};
  if (!record.invoice.empty()) out["invoice_id"] = record.invoice;
  if (!record.line_item.empty()) out["line_item_id"] = record.line_item;
  return out;
}
upstream::HttpResponse usage_answer(const std::string& id, const Billing::Record& record) {
  return json_answer(200, json::serialize(json::object{{"usage", usage_object(id, record)}}));
}

class BillingClient final : public upstream::HttpClient {
 public:
  explicit BillingClient(Billing& billing) : billing_(billing) {}
  asio::awaitable<upstream::Exchange> exchange(const upstream::HttpRequest& request, bool) override {
    billing_.meanwhile();
    co_return billing_.answer(request);
  }
  void close() override {}

 private:
  Billing& billing_;
};

class DownloadClient final : public upstream::HttpClient {
 public:
  DownloadClient(Billing& billing, upstream::HttpClientOptions options)
      : billing_(billing), options_(std::move(options)) {}
  asio::awaitable<upstream::Exchange> exchange(const upstream::HttpRequest& request, bool) override {
    billing_.fetched.push_back((options_.authorization.empty() ? "" : "credentials ") +
                               std::string(options_.tls ? "https://" : "http://") + options_.host + ":" +
                               options_.port + request.target);
    check(!billing_.downloads.empty(), "the test has an answer to each download");
    auto answer = std::move(billing_.downloads.front());
    billing_.downloads.pop_front();
    co_return answer;
  }
  void close() override {}

 private:
  Billing& billing_;
  upstream::HttpClientOptions options_;
};

}  // namespace

upstream::Exchange Billing::answer(const upstream::HttpRequest& request) {
  const bool is_delete = request.target.ends_with("/delete_usage");
  const bool is_create = request.method == "POST" && !is_delete;
  if (is_delete)
    for (const auto& [name, value] : request.headers)
      if (name == "chargebee-idempotency-key") deletes.push_back(value + " " + request.body);
  if (is_create) bodies.push_back(request.body);
  if (!is_create && !is_delete) asked.push_back(request.target);
  if (!script.empty()) {
    auto first = std::move(script.front());
    script.pop_front();
    return first;
  }
  if (request.target.starts_with("/api/v2/usages?")) return list(request);
  const std::string_view prefix = "/api/v2/subscriptions/";
  const auto rest = std::string_view(request.target).substr(prefix.size());
  const auto subscription = percent_decode(rest.substr(0, rest.find('/')), false).value_or("");
  if (is_create && subscription == poisoned) return vendor_error(500, "internal_error");
  if (is_create) return create(request, subscription);
  if (is_delete) return remove(request);
  const auto query = request.target.find("?id=");
  const auto id = percent_decode(std::string_view(request.target).substr(query + 4), true).value_or("");
  const auto found = records.find(id);
  if (found == records.end()) return vendor_error(404, "resource_not_found");
  return usage_answer(id, found->second);
}

upstream::Exchange Billing::create(const upstream::HttpRequest& request, const std::string& subscription) {
  const auto fields = form_fields(request.body);
  const Record record{subscription, fields.at("item_price_id"), fields.at("usage_date"),
                      fields.at("quantity")};
  const auto& id = fields.at("id");
  if (records.contains(id)) return vendor_error(400, "duplicate_entry");
  for (const auto& [other, taken] : records)
    if (taken.subscription == record.subscription && taken.item_price == record.item_price &&
        taken.usage_date == record.usage_date)
      return vendor_error(400, "duplicate_entry");
  records[id] = record;
  if (std::exchange(apply_then_lose, false))
    return upstream::TransportError{upstream::TransportError::Stage::receive, "the answer was lost"};
  return usage_answer(id, record);
}

upstream::Exchange Billing::remove(const upstream::HttpRequest& request) {
  const auto id = form_fields(request.body).at("id");
  const auto found = records.find(id);
  if (found == records.end()) return vendor_error(404, "resource_not_found");
  const auto record = found->second;
  records.erase(found);
  if (std::exchange(apply_then_lose, false))
    return upstream::TransportError{upstream::TransportError::Stage::receive, "the answer was lost"};
  return usage_answer(id, record);
}

upstream::Exchange Billing::list(const upstream::HttpRequest& request) {
  constexpr std::size_t kPage = 2;
  ++lists;
  const auto fields = form_fields(request.target.substr(request.target.find('?') + 1));
  const auto& subscription = fields.at("subscription_id%5Bis%5D");
  std::map<std::pair<std::string, std::string>, json::object> found;  // by date and id
  for (const auto& [id, record] : records) {
    if (record.subscription != subscription || unlisted.contains(id)) continue;
    auto usage = usage_object(id, record);
    if (without_invoice.contains(id)) usage.erase("invoice_id");
    if (subscription == unreadable) usage.erase("usage_date");
    found.emplace(std::pair(record.usage_date, id), json::object{{"usage", std::move(usage)}});
  }
  const auto offset = fields.contains("offset") ? std::stoul(fields.at("offset")) : 0;
  json::object out{{"list", json::array()}};
  std::size_t number = 0;
  for (auto& [place, element] : found)
    if (const auto at = number++; at >= offset && at < offset + kPage)
      out["list"].as_array().push_back(std::move(element));
  if (offset + kPage < number) out["next_offset"] = std::to_string(offset + kPage);
  return json_answer(200, json::serialize(out));
}

app::Config small_config(const std::string& directory) {
  app::Config config;
  config.device_id = DeviceId("gw-0042");
  config.journal_directory = directory;
  app::UpstreamConfig upstream;
  upstream.name = UpstreamName("billing");
  upstream.host = "billing.test";
  upstream.port = "443";
  upstream.base_path = "/api/v2";
  upstream.seal = Seconds(900);
  config.upstreams.push_back(upstream);
  for (const auto& [event, item] : {std::pair{"sms.sent", "sms-usd"}, std::pair{"data.bytes", "data-usd"}}) {
    app::MeterConfig meter;
    meter.event = EventName(event);
    meter.item_price = ItemPriceId(item);
    meter.upstream = upstream.name;
    meter.time_zone = "UTC";
    config.meters.push_back(meter);
  }
  return config;
}

Device::Device(app::Config c) : config(std::move(c)) {
  loop = std::make_unique<asio::io_context>(1);
  clock = std::make_unique<platform::FakeClock>(*loop);
}

Device::~Device() { crash(); }

void Device::start() {
  auto opened = journal::Journal::open({config.journal_directory,
                                        config.journal_size_max,
                                        config.journal_reserve,
                                        clock->boot_id(),
                                        clock->wall().time,
                                        {},
                                        meter::device_prefix(config.device_id)},
                                       disk_, random);
  check(opened.ok(), "the test's journal opens");
  journal = std::move(*opened);
  app::Surroundings surroundings{
      loop->get_executor(),
      journal_thread != nullptr ? journal_thread->get_executor() : loop->get_executor(),
      loop->get_executor(),
      *clock,
      random,
      links,
      log,
      [this](const app::UpstreamConfig& upstream) {
        clients.push_back(upstream.host);
        return std::make_unique<BillingClient>(billing);
      },
      [](const Error&) { check(false, "the test's disk does not fail"); },
      &process,
      [this](const upstream::HttpClientOptions& options) {
        return std::make_unique<DownloadClient>(billing, options);
      }};
  surroundings.make_modem_messages = make_modem_messages;
  auto made = app::Core::make(config, *journal, surroundings);
  check(made.ok(), "the test's configuration is right");
  core = std::move(*made);
  core->start();
  clock->settle();
}

void Device::crash() {
  // The coroutines die with their loop; the clock goes on.
  const auto wall = clock->wall();
  const auto boot = clock->boot();
  const auto boot_id = clock->boot_id();
  core.reset();  // its alarms stand on the loop
  journal.reset();
  loop = nullptr;  // and with it every coroutine
  loop = std::make_unique<asio::io_context>(1);
  clock = std::make_unique<platform::FakeClock>(*loop);
  clock->set_wall(wall.time);
  clock->set_boot(boot);
  clock->set_trusted(wall.trusted);
  clock->set_boot_id(boot_id);
}

template <class T>
static T run_now(Device& device, asio::awaitable<T> task) {
  std::optional<T> out;
  asio::co_spawn(*device.loop, std::move(task), [&](const std::exception_ptr& thrown, T value) {
    if (thrown) std::rethrow_exception(thrown);
    out = std::move(value);
  });
  device.clock->settle();
  check(out.has_value(), "the task ends without time passing");
  return std::move(*out);
}

// Results have no default value, which a completion signature needs.
template <class T>
static asio::awaitable<std::optional<T>> wrapped(asio::awaitable<T> task) {
  co_return co_await std::move(task);
}

bool Device::shut_down() {
  bool polite = false;
  asio::co_spawn(*loop, core->stop(Milliseconds(1'000)),
                 [&](const std::exception_ptr&, bool ended) { polite = ended; });
  clock->settle();
  return polite;
}

ingest::Batcher::Counted Device::report(const std::string& event, const std::string& subscription,
                                        const std::string& quantity, const std::string& id) {
  meter::EventView view;
  view.name = event;
  view.subscription = subscription;
  view.quantity = *Quantity::parse(quantity);
  view.producer = id.empty() ? "" : "tester";
  view.id = id;
  return core->batcher().count(view, clock->wall());
}

Status Device::commit() {
  std::optional<Status> out;
  core->batcher().commit_soon([&](const Status& status, const ingest::WindowOutcome&) { out = status; });
  clock->settle();
  check(out.has_value(), "a commit ends without time passing");
  return *out;
}

void Device::fill_journal() {
  bool fits = true;
  for (int number = 0; fits; ++number) {
    journal::Operation put = [number](journal::WriteTransaction& txn) {
      journal::UpstreamState state;
      state.set_last_error(std::string(8'000, 'x'));
      return txn.put_upstream(UpstreamName("junk-" + std::to_string(number)), state);
    };
    core->committer().submit(std::move(put), [&](const Status& status) { fits = status.ok(); });
    clock->settle();
  }
}

api::Status Device::status() { return *run_now(*this, wrapped(core->status())).value(); }

Status Device::flush(bool seal_now) {
  auto flushed = run_now(*this, wrapped(core->flush(seal_now)));
  if (!*flushed) return flushed->error();
  if (!(*flushed)->refused.empty()) return Error{Code::rejected, (*flushed)->refused};
  return {};
}

Status Device::date(std::uint32_t boot, UsageDay day) {
  auto dated = run_now(*this, wrapped(core->batcher().date_boot(boot, day, "user 0")));
  return *dated ? Status() : Status(dated->error());
}

Result<flush::Reconciled> Device::reconcile() {
  auto done =
      run_now(*this, wrapped(core->inquiries().reconcile(std::nullopt, "user 0", Milliseconds(3'000))));
  if (!*done) return done->error();
  return (**done).at(0);
}

Result<flush::Compared> Device::compare(std::uint64_t run, Milliseconds at_most) {
  auto compared =
      run_now(*this, wrapped(core->inquiries().compare(config.upstreams.front().name, run, at_most)));
  return std::move(*compared);
}

Result<std::vector<api::ExaminedUpstream>> Device::examine(Milliseconds at_most) {
  auto examined = run_now(*this, wrapped(core->inquiries().examine(at_most)));
  return std::move(*examined);
}

Result<std::string> Device::statement(const std::string& invoice) {
  auto document =
      run_now(*this, wrapped(core->inquiries().statement(config.upstreams.front().name, invoice)));
  return std::move(*document);
}

void Device::back_up(const std::string& directory) const {
  std::filesystem::create_directories(directory);
  const int fd = ::open((directory + "/data.mdb").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  check(fd >= 0, "the test's backup can be made");
  check(journal->copy_to(fd).ok(), "the test's backup is whole");
  ::close(fd);
  auto lock = journal::DirectoryLock::take(directory);
  check(lock.ok() && lock->write({true, true}).ok(), "the test's backup can be restored");
}

Status Device::reload(const app::Config& next) { return *run_now(*this, wrapped(core->reload(next))); }

Status Device::reload_both(const app::Config& first, const app::Config& second) {
  const auto both = [](app::Core& on, app::Config one, app::Config other) -> asio::awaitable<Status> {
    const Status reloaded = co_await on.reload(std::move(one));
    if (!reloaded) co_return reloaded;
    co_return co_await on.reload(std::move(other));
  };
  return *run_now(*this, wrapped(both(*core, first, second)));
}

journal::CheckReport Device::verify() { return *journal::check_journal(*journal); }
std::vector<journal::StoredUsage> Device::outbox() { return *journal::read_outbox(*journal, 10'000); }
std::vector<journal::BalanceRow> Device::balances() { return *journal::read_balances(*journal, 10'000); }

}  // namespace meterd::testing
