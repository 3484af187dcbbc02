#include "agent/api/chargebee/downloads.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "agent/api/chargebee/answers.hpp"
#include "agent/api/chargebee/change_answer.hpp"
#include "agent/base/text.hpp"
#include "platform/process.hpp"
#include "platform/run_on.hpp"

namespace meterd::api::chargebee {

namespace asio = boost::asio;

namespace {

constexpr std::int64_t kLinkSeconds = 600;  // the seed's sample: X-Amz-Expires=599
constexpr Milliseconds kTurnWait{20'000};
constexpr std::string_view kPurpose = "meterd download link\n";

std::string signed_fields(std::string_view invoice, std::string_view disposition, std::string_view until) {
  return std::string(disposition) + "\n" + std::string(until) + "\n" + std::string(invoice);
}

Response refused(std::string_view message) { return error_response(403, "forbidden", message); }

// Too much for one document, or not clear of which invoice.
Response failed(const Error& error) {
  return error_response(error.code == Code::invalid ? 400 : 500, meterd::name_of(error.code), error.message);
}

Response busy() {
  auto answer = error_response(503, "busy", "Other documents are being sent: ask again.");
  answer.headers.emplace_back("Retry-After", "5");
  return answer;
}

// Bytes that a header field's quoted text may hold.
std::string file_name(const std::string& invoice) {
  std::string out = "usages-";
  for (const char c : invoice) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    out.push_back(plain ? c : '_');
  }
  return out + ".pdf";
}

std::string utc(std::int64_t seconds) {
  auto text = rfc3339(WallTime::from_seconds(seconds));
  text[10] = ' ';
  return text.substr(0, 19) + " UTC";
}

std::vector<statement::Line> lines_of(const std::vector<journal::StoredUsage>& usages) {
  std::vector<statement::Line> out;
  for (const auto& stored : usages) {
    const auto usage = journal::usage_of(stored.record);
    out.push_back({usage.series.subscription.value(), usage.series.item_price.value(), utc(usage.usage_date),
                   usage.billed(), usage.given_quantity, usage.note});
  }
  return out;
}

const char* name_of(journal::v0::InvoiceState state) {
  switch (state) {
    case journal::v0::OPEN:
      return "open: usages may still be added";
    case journal::v0::CLOSING:
      return "being closed: not all usages are on it yet";
    case journal::v0::CLOSED:
      return "closed";
    default:
      return "void";
  }
}

}  // namespace

statement::Statement statement_of(const std::string& id, const usages::Collection::Content& content,
                                  const DeviceId& device) {
  statement::Statement out;
  out.title = "Usages of invoice " + id;
  if (content.invoice) {
    const auto& invoice = *content.invoice;
    out.facts.emplace_back("Subscription", invoice.subscription_id());
    if (!invoice.item_price_id().empty()) out.facts.emplace_back("Item price", invoice.item_price_id());
    out.facts.emplace_back("Term", (invoice.from() > 0 ? "from " + utc(invoice.from()) + " " : "") +
                                       "until " + utc(invoice.until()));
    out.facts.emplace_back("State", name_of(invoice.state()));
  } else {
    out.facts.emplace_back("Invoiced by",
                           content.usages.front().record.upstream() + ", as far as known here");
  }
  out.facts.emplace_back("Device", device.value());
  out.lines = lines_of(content.usages);
  return out;
}

// Hexadecimal HMAC-SHA256.
std::string Downloads::sign(std::string_view fields) const {
  const std::string key = std::string(kPurpose) + collection_.rules().context->epoch;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(fields.data()), fields.size(), digest.data(), &size);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < size; ++i) (out += kDigits[digest[i] >> 4U]) += kDigits[digest[i] & 15U];
  return out;
}

asio::awaitable<Response> Downloads::link(Pdf call) {
  // Before anything else: an invoice that has gone since does not change the answer.
  auto before = co_await collection_.replay(call.key);
  if (!before || before->refusal || before->replayed) co_return changed(std::move(before));
  auto content = co_await collection_.content(call.invoice, statement::kLinesMax);
  if (!content && content.error().code == Code::invalid)
    co_return to_response({400, "resource_limit_exceeded", content.error().message, "invoice[id]"});
  if (!content) co_return not_now(content.error());
  if (!content->has_value()) co_return to_response(not_found("invoice"));
  const std::string disposition = call.as_attachment ? "attachment" : "inline";
  const auto until = clock_.wall().time.seconds().count() + kLinkSeconds;
  const auto until_text = std::to_string(until);
  const auto url = collection_.rules().public_url + std::string(kDownloadPath) +
                   "?invoice=" + percent_encode(call.invoice) + "&disposition=" + disposition +
                   "&valid_till=" + until_text +
                   "&signature=" + sign(signed_fields(call.invoice, disposition, until_text));
  auto once = co_await collection_.answer_once(std::move(call.key), download_answer(url, until));
  co_return changed(std::move(once));
}

asio::awaitable<Response> Downloads::answer(const Request& request) {
  const auto field = [&](std::string_view name) { return request.parameter(name).value_or(""); };
  const auto until = parse_unsigned(field("valid_till"));
  const auto wanted = sign(signed_fields(field("invoice"), field("disposition"), field("valid_till")));
  const auto given = field("signature");
  const bool right =
      given.size() == wanted.size() && CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
  if (!right || !until) co_return refused("This link is not one that meterd gave; ask for a new one.");
  if (clock_.wall().time.seconds().count() > static_cast<std::int64_t>(*until))
    co_return refused("This link has expired; ask for a new one.");
  co_return co_await make(field("invoice"), field("disposition"));
}

asio::awaitable<Response> Downloads::document(std::string invoice) {
  co_return co_await make(std::move(invoice), "attachment");
}

asio::awaitable<Response> Downloads::make(std::string invoice, std::string disposition) {
  const auto turn = co_await turns_.take(kTurnWait);
  if (!turn) co_return busy();
  auto content = co_await collection_.content(invoice, statement::kLinesMax);
  if (!content) co_return failed(content.error());
  if (!content->has_value())
    co_return error_response(404, "not_found", "There is no invoice " + invoice + ".");
  auto printed = statement_of(invoice, **content, collection_.rules().context->device);
  disposition += "; filename=\"" + file_name(invoice) + "\"";
  auto response = co_await print(std::move(printed), std::move(disposition));
  response.held = turn;
  co_return response;
}

asio::awaitable<Response> Downloads::document(Range range) {
  const auto turn = co_await turns_.take(kTurnWait);
  if (!turn) co_return busy();
  journal::UsageQuery query;
  query.subscription.is = range.subscription;
  query.first_date = range.first;
  query.last_date = range.end - 1;
  query.order = journal::UsageQuery::Order::date;
  auto usages = co_await collection_.all(std::move(query), statement::kLinesMax);
  if (!usages) co_return failed(usages.error());
  statement::Statement printed;
  printed.title = std::move(range.title);
  if (range.subscription) printed.facts.emplace_back("Subscription", *range.subscription);
  printed.facts.emplace_back("Device", collection_.rules().context->device.value());
  printed.lines = lines_of(*usages);
  auto response = co_await print(std::move(printed), "attachment; filename=\"usages.pdf\"");
  response.held = turn;
  co_return response;
}

asio::awaitable<Response> Downloads::print(statement::Statement printed, std::string disposition) {
  const auto render = [printed = std::move(printed)] {
    auto pdf = statement::render_pdf(printed);
    platform::give_memory_back();
    return pdf;
  };
  auto pdf = co_await platform::run_on(reader_, render);
  if (!pdf) co_return error_response(503, meterd::name_of(pdf.error().code), pdf.error().message);
  Response response;
  response.content_type = "application/pdf";
  response.headers.emplace_back("Content-Disposition", std::move(disposition));
  response.headers.emplace_back("Cache-Control", "private, no-store");
  response.body = std::move(*pdf);
  co_return response;
}

}  // namespace meterd::api::chargebee
