#include "agent/app/inquiries.hpp"

#include <algorithm>

#include "agent/app/config_values.hpp"
#include "agent/app/wiring.hpp"
#include "agent/base/limits.hpp"
#include "agent/meter/identity.hpp"
#include "agent/upstream/ledger/ledger.hpp"
#include "platform/run_on.hpp"

namespace meterd::app {

namespace asio = boost::asio;

namespace {

constexpr int kRedirectsMax = 3;
constexpr Milliseconds kDownloadDeadline{120'000};  // a megabyte at 64 kbit/s

Error of_verdict(const upstream::Verdict& verdict) {
  const bool later =
      verdict.outcome == upstream::Outcome::unavailable || verdict.outcome == upstream::Outcome::throttled;
  return {later ? Code::retry : Code::rejected, "the upstream says: " + verdict.detail};
}

// An absolute URL as where to go and what to ask for.
struct Place {
  HttpUrl site;
  std::string target;
};
Result<Place> place_of(const std::string& url) {
  const auto authority = url.find("//");
  const auto path = authority == std::string::npos ? url.size() : url.find_first_of("/?#", authority + 2);
  auto site = parse_url(url.substr(0, path));
  if (!site) return site.error();
  auto target = path >= url.size() ? std::string("/") : url.substr(path, url.find('#') - path);
  if (!target.starts_with('/')) target.insert(0, 1, '/');
  return Place{std::move(*site), std::move(target)};
}

}  // namespace

asio::awaitable<Result<std::vector<flush::Reconciled>>> Inquiries::reconcile(std::optional<UpstreamName> only,
                                                                             std::string by,
                                                                             Milliseconds at_most) {
  const auto upstreams = upstreams_of(deps_.config);
  const auto wanted = [&](const UpstreamConfig& upstream) { return !only || upstream.name == *only; };
  if (std::none_of(upstreams.begin(), upstreams.end(), wanted)) co_return configured(*only).error();
  if (reconciler_ != nullptr) co_return Error{Code::retry, "reconciling is under way; wait for it"};
  std::vector<UpstreamName> configured;
  for (const auto& upstream : upstreams) configured.push_back(upstream.name);
  const auto& clock = deps_.around.clock;
  const auto until = clock.boot() + at_most;
  std::vector<flush::Reconciled> out;
  for (const auto& upstream : upstreams) {
    if (!wanted(upstream) || stopping_) continue;
    const bool beside = upstream.kind == UpstreamKind::ledger && !deps_.config.upstreams.empty();
    if (beside && !only) continue;  // nobody is asked what this journal itself has
    const auto read = [&journal = deps_.journal, name = upstream.name] {
      return journal::read_send_plan(journal, name, 0);
    };
    auto plan = co_await platform::run_on(deps_.around.reader, read);
    if (!plan) co_return plan.error();
    if (!plan->held) {
      out.push_back({upstream.name});
      continue;
    }
    const auto target = deps_.context->targets.find(upstream.name);
    if (target == deps_.context->targets.end() || reconciler_ != nullptr)
      continue;  // reloaded, or asked twice
    flush::Reconciler reconciler({deps_.context, target->second, client_for(upstream), deps_.journal,
                                  deps_.committer, deps_.around.reader, deps_.around.clock, deps_.around.log,
                                  configured, by});
    reconciler_ = &reconciler;
    auto done = co_await reconciler.run(std::max(Milliseconds(0), until - clock.boot()));
    reconciler_ = nullptr;
    if (!done) co_return done.error();
    out.push_back(std::move(*done));
  }
  deps_.wake_deliveries();
  co_return out;
}

asio::awaitable<Result<flush::Compared>> Inquiries::compare(UpstreamName name, std::uint64_t run,
                                                            Milliseconds at_most) {
  auto upstream = configured(name);
  if (!upstream) co_return upstream.error();
  if (comparing_ || stopping_) co_return Error{Code::retry, "comparing is under way; wait for it"};
  if (run == 0) {
    comparer_ = std::make_shared<flush::Comparer>(flush::Comparer::Dependencies{
        deps_.context->targets.at(name),
        {meter::device_prefix(deps_.context->device), deps_.journal.lineage().copies > 0},
        client_for(*upstream),
        deps_.journal,
        deps_.committer,
        deps_.around.reader,
        deps_.around.clock,
        deps_.is_short_of_room});
    compared_ = name;
    compared_with_ = deps_.context;
    ++run_;
  } else if (run != run_ || comparer_ == nullptr || compared_ != name || compared_with_ != deps_.context) {
    co_return Error{Code::rejected,
                    "that comparison is over: another has begun, or meterd was reloaded; start again"};
  }
  comparing_ = true;
  const auto comparer = comparer_;
  auto compared = co_await comparer->run(at_most);
  comparing_ = false;
  if (!compared || !compared->more) comparer_.reset();
  if (!compared) co_return compared.error();
  compared->run = run_;
  co_return compared;
}

asio::awaitable<Result<std::string>> Inquiries::statement(UpstreamName name, std::string invoice) {
  auto upstream = configured(name);
  if (!upstream) co_return upstream.error();
  const auto vendor = deps_.context->targets.at(name).vendor;  // a reload may let go of the context
  if (!vendor->traits().statements)
    co_return Error{Code::rejected,
                    "upstream " + name.value() + " prints no statements; leave --upstream out"};
  if (printing_ != nullptr || stopping_)
    co_return Error{Code::retry, "a statement is being fetched; wait for it"};
  printing_ = client_for(*upstream);
  const auto request = vendor->encode_statement(invoice);
  const auto client = printing_;
  const auto answer = co_await client->exchange(request, true);
  auto link = vendor->judge_statement(answer);
  Result<std::string> document = of_verdict(link.verdict);
  if (link.wanted) document = co_await download(std::move(*link.wanted), !upstream->tls);
  printing_.reset();
  co_return document;
}

// The link is signed: our credentials are nobody's business where it leads.
asio::awaitable<Result<std::string>> Inquiries::download(std::string url, bool may_be_plain) {
  for (int hops = 0; hops <= kRedirectsMax; ++hops) {
    const auto place = place_of(url);
    if (!place)
      co_return Error{Code::rejected, "the upstream's link cannot be followed: " + place.error().message};
    if (!place->site.tls && !may_be_plain)
      co_return Error{Code::rejected, "the upstream's link is not https: nothing was fetched"};
    upstream::HttpClientOptions options;
    options.tls = place->site.tls;
    options.host = place->site.host;
    options.port = place->site.port;
    options.answer_bytes_max = limits::kDocumentBytesMax;
    options.exchange_deadline = kDownloadDeadline;
    printing_ = deps_.around.make_download_client(options);
    const auto client = printing_;
    if (stopping_) co_return Error{Code::cancelled, "meterd is stopping"};
    upstream::HttpRequest request;
    request.method = "GET";
    request.target = place->target;
    auto answer = co_await client->exchange(request, true);
    if (const auto* lost = std::get_if<upstream::TransportError>(&answer))
      co_return Error{Code::retry, "the document could not be fetched from " + options.host + ": " +
                                       std::string(upstream::name_of(lost->stage)) + ": " + lost->detail};
    auto& response = std::get<upstream::HttpResponse>(answer);
    const auto* location = response.header("location");
    if (response.status / 100 == 3 && location != nullptr) {
      const bool same_site = location->starts_with('/') && !location->starts_with("//");
      url = (same_site ? url_text(place->site) : "") + *location;
      continue;
    }
    if (response.status != 200 || !response.body.starts_with("%PDF-"))
      co_return Error{Code::retry, "the document could not be fetched from " + options.host + ": " +
                                       std::to_string(response.status) +
                                       (response.status == 200 ? ", but no PDF" : "")};
    co_return std::move(response.body);
  }
  co_return Error{Code::rejected, "the upstream's link leads from one place to the next"};
}

Result<UpstreamConfig> Inquiries::configured(const UpstreamName& name) const {
  for (auto& upstream : upstreams_of(deps_.config))
    if (upstream.name == name && deps_.context->targets.contains(name)) return upstream;
  return Error{Code::rejected, "there is no [[upstream]] " + name.value() + " in meterd.toml"};
}

std::unique_ptr<upstream::HttpClient> Inquiries::client_for(const UpstreamConfig& upstream) const {
  return upstream.kind == UpstreamKind::ledger ? upstream::ledger::make_client()
                                               : deps_.around.make_client(upstream);
}

void Inquiries::stop() {
  stopping_ = true;
  if (reconciler_ != nullptr) reconciler_->stop();
  if (comparer_ != nullptr) comparer_->stop();
  if (printing_ != nullptr) printing_->close();
  if (examining_ != nullptr) examining_->close();
}

}  // namespace meterd::app
