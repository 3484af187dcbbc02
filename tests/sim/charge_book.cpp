#include "tests/sim/charge_book.hpp"

#include "agent/journal/records.hpp"

namespace meterd::sim {

namespace {

constexpr std::size_t kRowsMax = 100'000;
constexpr const char* kGivenUp = "in_doubt = \"assume-delivered\"";

const Quantity& amount_of(const meter::Usage& usage) {
  return usage.charge ? usage.charge->amount : usage.quantity;
}

std::int64_t milli_of(const Quantity& quantity) {
  if (quantity.is_zero()) return 0;
  if (quantity.is_negative()) return -milli_of(-quantity);
  const auto milli = thousandths(quantity.text());
  check(milli.has_value(), "quantities of the simulator have three places");
  return *milli;
}

}  // namespace

ChargeBook::ChargeBook(const app::Config& config, const TwilioModel& model)
    : upstream_(config.upstreams.front().name),
      bills_money_(config.upstreams.front().kind == app::UpstreamKind::twilio_v1),
      policy_(config.upstreams.front().in_doubt),
      model_(model) {
  for (const auto& meter : config.meters)
    if (bills_money_ && meter.unit_price) prices_[meter.item_price.value()] = *meter.unit_price;
  if (bills_money_ && config.preview_as)
    prices_[config.preview_as->item_price.value()] = config.preview_as->unit_price;
}

ChargeBook::Place ChargeBook::place_of(const meter::SeriesKey& series) const {
  return {series.subscription.value(), bills_money_ ? series.item_price.value() : ""};
}

// The usages of a request stand in it in the order in which they were made.
void ChargeBook::sent(std::uint64_t exchange, const upstream::HttpRequest& request, Machine& machine) {
  take_bill();
  auto doubted = journal::read_outbox(machine.journal(), kRowsMax, journal::Lane::in_doubt);
  if (!doubted) return problems_.push_back("the outbox cannot be read: " + doubted.error().message);
  requests_[exchange] = {};
  std::string bodies;
  std::map<std::uint64_t, const journal::StoredUsage*> sending;
  for (const auto& stored : *doubted) {
    if (machine.core().collection().is_sending(stored.sequence)) {
      sending[stored.sequence] = &stored;
      continue;
    }
    seen_in_doubt_.insert(stored.record.id());
    if (!decided_.contains(stored.record.id())) undecided_.insert(stored.record.id());
  }
  for (const auto& [sequence, stored] : sending) {
    if (stored->record.request().target() != request.target)
      problems_.push_back("sent to " + request.target + ": " + stored->record.id());
    note(*stored, exchange);
    // A batch has each one's item, as its own request has it.
    const auto& body = stored->record.request().body();
    const auto item =
        bills_money_ ? body.substr(body.find('[') + 1, body.rfind(']') - body.find('[') - 1) : body;
    bodies += (bodies.empty() ? "" : ",") + item;
  }
  if ((bills_money_ ? R"({"billable_items":[)" + bodies + "]}" : bodies) != request.body)
    problems_.push_back("sent, and not what is in doubt: " + request.body);
}

void ChargeBook::note(const journal::StoredUsage& stored, std::uint64_t exchange) {
  const auto usage = journal::usage_of(stored.record);
  const auto& id = usage.id.value();
  requests_[exchange].push_back(id);
  auto& row = rows_[id];
  row.place = place_of(usage.series);
  row.amount = amount_of(usage);
  if (stored.record.resent() && policy_ == "resend") row.may_be = 2;
  if (row.times >= row.may_be) problems_.push_back("sent again, and billed already: " + id);
  decided_.erase(id);
  if (!undecided_.insert(id).second && row.may_be == 1)
    problems_.push_back("sent again, and nobody decided: " + id);
}

void ChargeBook::decided(const UsageId& id) {
  undecided_.erase(id.value());
  decided_.insert(id.value());
}

void ChargeBook::known(std::uint64_t exchange) {
  for (const auto& id : requests_[exchange]) undecided_.erase(id);
}

void ChargeBook::take_bill() {
  for (; taken_ < model_.bill().size(); ++taken_) {
    const auto& billed = model_.bill()[taken_];
    const auto request = requests_.find(billed.exchange);
    if (request == requests_.end() || billed.position >= request->second.size()) {
      problems_.push_back("billed, and no usage: " + billed.installation + " " + billed.sid + " " +
                          billed.amount.text());
      continue;
    }
    const auto& id = request->second[billed.position];
    auto& row = rows_.at(id);
    if (row.place != Place{billed.installation, billed.sid} || row.amount != billed.amount)
      problems_.push_back("billed as another amount or in another place: " + id);
    if (++row.times > row.may_be) problems_.push_back("billed twice: " + id);
  }
}

std::vector<std::string> ChargeBook::look() {
  take_bill();
  return std::exchange(problems_, {});
}

bool ChargeBook::is_billed(const UsageId& id) {
  take_bill();
  const auto row = rows_.find(id.value());
  return row != rows_.end() && row->second.times > 0;
}

std::vector<ChargeBook::Finding> ChargeBook::compare(Machine& machine) {
  const auto& journal = machine.journal();
  std::vector<Finding> out;
  for (const auto& problem : look()) out.push_back({problem, {}, {}});
  std::map<Place, Side> sides;
  std::set<std::string> listed;
  add_books(journal, sides, out);
  add_outbox(machine, sides, listed);
  add_given_up(journal, sides);
  add_bill(listed, sides, out);
  for (const auto& [place, side] : sides) {
    const auto there = side.billed + side.open + side.given_up;
    if (there == side.due) continue;
    auto& finding =
        out.emplace_back(Finding{place.first + " " + place.second + ": " + side.billed.text() + " billed, " +
                                     side.open.text() + " in the outbox, and " + side.due.text() + " due",
                                 {},
                                 {}});
    (there < side.due ? finding.short_by : finding.over_by) =
        there < side.due ? side.due - there : there - side.due;
  }
  return out;
}

void ChargeBook::add_books(const journal::Journal& journal, std::map<Place, Side>& sides,
                           std::vector<Finding>& out) const {
  auto balances = journal::read_balances(journal, kRowsMax);
  auto txn = journal.begin_read();
  if (!balances || !txn) return out.push_back({"the journal cannot be read", {}, {}});
  std::set<meter::SeriesKey> priced;
  for (const auto& row : *balances) {
    const auto& series = row.key.series;
    if (series.upstream != upstream_) continue;
    auto& side = sides[place_of(series)];
    const auto sealed = row.balance.accepted - row.balance.open;
    const auto price = prices_.find(series.item_price.value());
    side.due += price == prices_.end() ? sealed : *sealed.times(price->second);
    if (!priced.insert(series).second) continue;
    auto carry = journal::load<journal::v0::Carry>(*txn, journal::carry_key(series));
    if (!carry) return out.push_back({"a carry cannot be read", {}, {}});
    if (carry->has_value() && !(*carry)->amount().empty())
      side.due -= *Quantity::parse_total((*carry)->amount());
  }
}

void ChargeBook::add_outbox(Machine& machine, std::map<Place, Side>& sides, std::set<std::string>& listed) {
  auto outbox = journal::read_outbox(machine.journal(), kRowsMax);
  if (!outbox) return problems_.push_back("the outbox cannot be read: " + outbox.error().message);
  still_in_doubt_ = still_in_doubt_and_billed_ = 0;
  for (const auto& stored : *outbox) {
    const auto usage = journal::usage_of(stored.record);
    if (usage.series.upstream != upstream_) continue;
    listed.insert(usage.id.value());
    const bool billed = is_billed(usage.id);
    const auto state = journal::state_of(stored.record);
    if (machine.core().collection().is_sending(stored.sequence)) {
      // In truth on its way.
    } else if (state == journal::UsageState::in_doubt) {
      seen_in_doubt_.insert(usage.id.value());
      ++still_in_doubt_;
      still_in_doubt_and_billed_ += billed ? 1 : 0;
    } else if (billed && (!stored.record.resent() || state == journal::UsageState::parked)) {
      problems_.push_back("billed, and to be sent: " + usage.id.value());
    }
    if (!billed) sides[place_of(usage.series)].open += amount_of(usage);
  }
}

void ChargeBook::add_bill(const std::set<std::string>& listed, std::map<Place, Side>& sides,
                          std::vector<Finding>& out) const {
  for (const auto& [id, row] : rows_) {
    if (row.times > 0) sides[row.place].billed += row.amount;
    if (row.times > row.may_be) out.push_back({"billed twice: " + id, {}, row.amount});
    if (row.times == 0 && !listed.contains(id) && !given_up_.contains(id) && !withdrawn_.contains(id))
      out.push_back({"ended, and not billed: " + id, {}, {}});
  }
}

// Also what a crash kept from being sent at all. What an operator withdrew was never billed.
void ChargeBook::add_given_up(const journal::Journal& journal, std::map<Place, Side>& sides) {
  given_up_.clear();
  withdrawn_.clear();
  auto txn = journal.begin_read();
  if (!txn) return problems_.push_back("the journal cannot be read: " + txn.error().message);
  const auto look_at = [&](std::string_view key, std::string_view value) {
    const auto payload = journal::unwrap(key, value);
    journal::UsageRecord record;
    if (!payload || !record.ParseFromArray(payload->data(), static_cast<int>(payload->size()))) return true;
    const auto usage = journal::usage_of(record);
    if (usage.series.upstream != upstream_) return true;
    const bool withdrawn = journal::state_of(record) == journal::UsageState::withdrawn;
    const bool given_up = policy_ == "assume-delivered" && record.receipt().starts_with(kGivenUp);
    if (!withdrawn && (!given_up || is_billed(usage.id))) return true;
    (withdrawn ? withdrawn_ : given_up_).insert(usage.id.value());
    sides[place_of(usage.series)].given_up += amount_of(usage);
    return true;
  };
  auto scanned = txn->scan(journal::prefix(journal::Kind::usage), "", look_at);
  if (!scanned) problems_.push_back("the usages cannot be read: " + scanned.error().message);
}

std::vector<BilledRecord> ChargeBook::accepted(const journal::Journal& journal) const {
  std::vector<BilledRecord> out;
  auto balances = journal::read_balances(journal, kRowsMax);
  if (!balances) return out;
  for (const auto& row : *balances) {
    auto zone = meter::TimeZone::load(row.balance.zone);
    if (!zone || row.key.series.upstream != upstream_) continue;
    out.push_back({"", row.key.series.subscription.value(), row.key.series.item_price.value(),
                   zone->bounds(row.key.day).start, milli_of(row.balance.accepted)});
  }
  return out;
}

ChargeBook::Sums ChargeBook::sums() const {
  Sums out;
  out.usages_sent = rows_.size();
  for (const auto& [id, row] : rows_) {
    out.usages_billed += row.times > 0 ? 1 : 0;
    out.billed_twice += row.times > row.may_be ? 1 : 0;
    out.sent_twice_as_declared += row.times == 2 && row.may_be == 2 ? 1 : 0;
  }
  out.seen_in_doubt = seen_in_doubt_.size();
  out.given_up_as_declared = given_up_.size();
  out.withdrawn = withdrawn_.size();
  out.still_in_doubt = still_in_doubt_;
  out.still_in_doubt_and_billed = still_in_doubt_and_billed_;
  return out;
}

}  // namespace meterd::sim
