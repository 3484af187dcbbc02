// meterctl usages, invoice, statement, withdraw, credit: the verbs about single usages and what is billed
// with them.
#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <ostream>

#include "agent/base/text.hpp"
#include "agent/base/usage_day.hpp"
#include "agent/ctl/fields.hpp"
#include "agent/ctl/saved_file.hpp"
#include "agent/ctl/show.hpp"
#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {
namespace {

namespace json = boost::json;

constexpr std::size_t kPageRowsMax = 100;  // of the Usages API

// A target whose query grows; what is empty is left out.
class Target {
 public:
  explicit Target(std::string path) : text_(std::move(path)) {}

  Target& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_.append(1, separator_).append(percent_encode(name)).append("=").append(percent_encode(value));
    separator_ = '&';
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  char separator_ = '?';
};

// The second at which the UTC day begins that is `days` after `day`, within what the API takes.
std::int64_t begin_of(const UsageDay& day, int days) {
  constexpr std::int64_t kSecondsADay = 86'400;
  constexpr std::int64_t kSecondsMax = 9'999'999'999;  // ten digits, in the year 2286
  return std::clamp<std::int64_t>((day.days_since_epoch() + days) * kSecondsADay, 0, kSecondsMax);
}

// Without limit and offset. An error: a day is none.
Result<Target> target_of(const UsageFilter& filter) {
  Target target("/operator/usages");
  target.add("subscription_id[is]", filter.subscription)
      .add("item_price_id[is]", filter.item_price)
      .add("invoice_id[is]", filter.invoice)
      .add("source[is]", filter.source);
  if (!filter.from.empty()) {
    const auto day = UsageDay::parse(filter.from);
    if (!day) return Error{Code::invalid, "--from: " + day.error().message};
    const auto begin = begin_of(*day, 0);
    if (begin > 0) target.add("usage_date[after]", std::to_string(begin - 1));
  }
  if (!filter.to.empty()) {
    const auto day = UsageDay::parse(filter.to);
    if (!day) return Error{Code::invalid, "--to: " + day.error().message};
    target.add("usage_date[before]", std::to_string(begin_of(*day, 1)));
  }
  return target;
}

// It starts as a PDF does. Who answered it whole with status 200 is the daemon or another server.
Result<std::string> check_pdf(const std::string& path) {
  constexpr std::string_view kMagic = "%PDF-";
  std::string head(kMagic.size(), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  if (file && head == kMagic) return std::string("PDF");
  return Error{
      Code::corrupt,
      "what answered sent no PDF, and nothing was kept; name meterd's API socket with --socket PATH"};
}

}  // namespace

Exit usages(Session& session, const UsageFilter& filter) {
  const auto target = target_of(filter);
  if (!target) {
    complain(session.err, target.error().message);
    return exit_for(target.error().code);
  }
  json::array rows;
  std::string offset;
  do {
    auto page_target = *target;
    page_target.add("limit", std::to_string(std::min(kPageRowsMax, filter.limit - rows.size())))
        .add("offset", offset);
    auto exit = Exit::fine;
    const auto page = ask(session, {"GET", page_target.text(), {}, {}}, exit);
    if (!page) return exit;
    const auto& object = as_object(page->value);
    if (!object.contains("usages")) return print(session, *page, render_usages);
    for (const auto& row : array_in(object, "usages")) rows.push_back(row);
    const auto* next = object.if_contains("next_offset");
    offset = next != nullptr && next->is_string() ? std::string(next->get_string()) : std::string();
  } while (!offset.empty() && rows.size() < filter.limit);
  json::object all{{"usages", std::move(rows)}};
  if (!offset.empty()) all["next_offset"] = offset;
  const Shown shown{session.json ? json::serialize(all) : std::string(), std::move(all)};
  return print(session, shown, render_usages);
}

Exit invoice(Session& session, const InvoiceOrder& order) {
  const auto target = Target("/operator/invoice")
                          .add("verb", order.action)
                          .add("invoice", order.invoice)
                          .add("subscription", order.subscription)
                          .add("item_price", order.item_price)
                          .add("until", order.until)
                          .text();
  const auto render = [deleted = order.action == "delete"](const json::value& answer) {
    return render_invoice(answer, deleted);
  };
  return show(session, {"POST", target, {}, {}}, render);
}

Exit statement(Session& session, const StatementOrder& order, const std::string& file) {
  const auto target = Target("/operator/statement")
                          .add("invoice", order.invoice)
                          .add("from", order.from)
                          .add("to", order.to)
                          .add("subscription", order.subscription)
                          .add("upstream", order.upstream)
                          .text();
  if (!order.upstream.empty()) session.daemon.timeout = std::max(session.daemon.timeout, kUpstreamTime);
  return save(session, {"GET", target, {}, {}}, file, check_pdf);
}

Exit resolve(Session& session, const Resolution& resolution) {
  const auto target = Target("/operator/resolve")
                          .add("id", resolution.id)
                          .add("verdict", resolution.is_delivered ? "delivered" : "not-delivered")
                          .add("reason", resolution.reason)
                          .text();
  return show(session, {"POST", target, {}, {}}, render_resolved);
}

Exit retry(Session& session, const Resolution& resolution) {
  const auto target =
      Target("/operator/retry").add("id", resolution.id).add("reason", resolution.reason).text();
  return show(session, {"POST", target, {}, {}}, render_resolved);
}

Exit withdraw(Session& session, const Withdrawal& withdrawal) {
  const auto target =
      Target("/operator/withdraw").add("id", withdrawal.id).add("reason", withdrawal.reason).text();
  return show(session, {"POST", target, {}, {}}, render_withdrawn);
}

Exit credit(Session& session, const Credit& credit) {
  const auto target = Target("/operator/credit")
                          .add("of", credit.usage)
                          .add("quantity", credit.quantity)
                          .add("reason", credit.reason)
                          .add("id", credit.id)
                          .text();
  return show(session, {"POST", target, {}, {}}, render_credited);
}

}  // namespace meterd::ctl
