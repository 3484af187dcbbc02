#include "tests/sim/reporter.hpp"

#include <algorithm>

#include "tests/sim/inlet.hpp"

namespace meterd::sim {

namespace {
constexpr std::size_t kBatchMax = 50;
constexpr std::size_t kOldKept = 40;
constexpr Milliseconds kAnswerTimeout{20'000};

std::string quantity_text(std::int64_t milli) {
  auto text = std::to_string(milli / 1'000);
  if (milli % 1'000 == 0) return text;
  const auto rest = std::to_string(milli % 1'000);
  return text + "." + std::string(3 - rest.size(), '0') + rest;
}
}  // namespace

Reporter::Reporter(Dependencies dependencies, const Habits& habits, Draws draws)
    : deps_(std::move(dependencies)), habits_(habits), draws_(draws) {}

void Reporter::begin() {
  deps_.world.in(draws_.span(Milliseconds(0), habits_.interval), [this] { make(); });
}

void Reporter::make() {
  if (!making_) return;
  const auto count = draws_.between(1, habits_.burst);
  for (std::int64_t i = 0; i < count; ++i) make_one();
  send();
  deps_.world.in(draws_.span(Milliseconds(1'000), 2 * habits_.interval), [this] { make(); });
}

void Reporter::make_one() {
  const auto& kind = draws_.pick(deps_.kinds);
  const auto milli = draws_.percent(80) ? 1'000 * draws_.between(1, 20) : draws_.between(1, 5'000);
  Report report;
  report.event.set_name(kind.event);
  report.event.set_subscription(kind.subscription);
  report.event.set_quantity(quantity_text(milli));
  report.claim = deps_.oracle.claim(kind.series, milli);
  report.sequence = next_sequence_++;
  if (habits_.identity == Identity::id)
    report.event.set_id(habits_.name + "-" + std::to_string(report.sequence));
  if (draws_.percent(habits_.own_time_percent)) {
    report.time = deps_.world.now();
    if (draws_.percent(habits_.odd_time_percent))
      report.time = *report.time + Milliseconds(draws_.percent(50) ? 86'400'000LL * draws_.between(-500, -1)
                                                                   : draws_.between(1'000, 600'000));
    report.event.set_time_ms(report.time->since_epoch.count());
  }
  ++made_;
  waiting_.push_back(std::move(report));
}

void Reporter::connect() {
  connected_ = true;
  send();
}

void Reporter::disconnect() {
  connected_ = false;
  in_flight_ = false;
  ++sent_;  // no answer comes any more
  if (habits_.identity == Identity::none)
    waiting_.erase(waiting_.begin(),
                   waiting_.begin() + static_cast<std::ptrdiff_t>(std::exchange(sent_count_, 0)));
}

Place Reporter::place_of(const Report& report) const {
  auto place = deps_.here();
  if (report.time) place.first = place.last = *report.time;
  if (report.time) place.untrusted = false;  // refused otherwise
  return place;
}

v1::Batch Reporter::batch_of(const std::vector<Report>& reports) const {
  v1::Batch batch;
  batch.set_producer(habits_.name);
  batch.set_ack(habits_.received ? v1::RECEIVED : v1::COMMITTED);
  if (habits_.identity == Identity::sequence) batch.set_sequence(reports.front().sequence);
  for (const auto& report : reports) *batch.add_events() = report.event;
  return batch;
}

void Reporter::send() {
  if (!connected_ || in_flight_ || waiting_.empty()) return;
  sent_count_ = std::min(waiting_.size(), kBatchMax);
  if (habits_.identity == Identity::sequence)  // a batch has no gaps
    for (std::size_t at = 1; at < sent_count_; ++at)
      if (waiting_[at].sequence != waiting_[at - 1].sequence + 1) sent_count_ = at;
  const std::vector<Report> part(waiting_.begin(),
                                 waiting_.begin() + static_cast<std::ptrdiff_t>(sent_count_));
  for (const auto& report : part) deps_.oracle.attempt(report.claim, place_of(report));
  in_flight_ = true;
  const auto number = ++sent_;
  deps_.world.note(habits_.name + " reports " + std::to_string(part.size()) + " from " +
                   std::to_string(part.front().sequence));
  if (habits_.believes_anything) {
    for (const auto& report : part) confirm(report, Oracle::When::either);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(part.size()));
    in_flight_ = false;
    sent_count_ = 0;
  }
  deps_.on_send();
  take_batch(deps_.machine, batch_of(part), [this, number](const v1::Ack& ack) { take_answer(number, ack); });
  deps_.world.in(kAnswerTimeout, [this, number] {
    if (!in_flight_ || number != sent_) return;
    deps_.world.note(habits_.name + " gave up waiting");
    const bool was_connected = connected_;
    disconnect();
    if (was_connected) connect();
  });
}

void Reporter::take_answer(std::uint64_t number, const v1::Ack& ack) {
  if (number != sent_ || !in_flight_) return;
  if (!deps_.world.quiet() && draws_.percent(habits_.lost_ack_percent)) {
    deps_.world.count("ack lost");
    deps_.world.note(habits_.name + " did not get its answer");
    const auto wait = draws_.any_span(Milliseconds(100), Milliseconds(120'000));
    disconnect();
    if (habits_.renames)
      for (auto& report : waiting_) report.event.set_id(report.event.id() + "x");
    deps_.world.in(wait, [this] {
      if (deps_.machine.running()) connect();
    });
    return;
  }
  deps_.world.note(habits_.name + " is answered: counted " + std::to_string(ack.counted()) + ", duplicates " +
                   std::to_string(ack.duplicates()) + ", refused " + std::to_string(ack.errors_size()) + " " +
                   ack.error());
  in_flight_ = false;
  settle(ack);
  if (!acknowledged_.empty() && draws_.percent(habits_.repeat_percent)) repeat_old();
  refusals_ = waiting_.empty() || ack.counted() > 0 ? 0 : std::min<std::uint64_t>(refusals_ + 1, 8);
  if (!waiting_.empty()) retry_in(draws_.any_span(Milliseconds(500LL << refusals_), Milliseconds(600'000)));
}

Oracle::When Reporter::when_of(const v1::Ack& ack) const {
  if (ack.duplicates() == 0) return Oracle::When::now;
  return ack.counted() == 0 ? Oracle::When::before : Oracle::When::either;
}

void Reporter::confirm(const Report& report, Oracle::When when) {
  deps_.oracle.confirm(report.claim, when);
  if (habits_.received) deps_.oracle.confirm_received(report.claim, deps_.machine.boot());
  acknowledged_.push_back(report);
  if (acknowledged_.size() > kOldKept) acknowledged_.pop_front();
}

void Reporter::settle(const v1::Ack& ack) {
  const auto count = std::exchange(sent_count_, 0);
  std::vector<Report> sent(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  if (!ack.error().empty()) {  // not known; to be reported again, unless that would count twice
    if (habits_.identity != Identity::none) waiting_.insert(waiting_.begin(), sent.begin(), sent.end());
    return;
  }
  std::map<std::size_t, std::string> errors;
  for (const auto& error : ack.errors()) errors[error.position()] = error.code();
  std::vector<Report> again;
  for (std::size_t at = 0; at < sent.size(); ++at) {
    const auto error = errors.find(at);
    if (error == errors.end()) {
      confirm(sent[at], when_of(ack));
      continue;
    }
    deps_.oracle.refuse_attempt(sent[at].claim);
    deps_.world.count("event refused: " + error->second);
    const bool later = error->second == "full" || error->second == "clock_untrusted" ||
                       (error->second == "in_future" && habits_.identity == Identity::id);
    if (later)
      again.push_back(sent[at]);
    else if (habits_.identity == Identity::sequence)
      deps_.oracle.refuse_for_good(sent[at].claim);
  }
  waiting_.insert(waiting_.begin(), again.begin(), again.end());
}

// All of these are duplicates: the answer is of no interest, only the bill is.
void Reporter::repeat_old() {
  if (habits_.identity == Identity::none || habits_.received) return;
  const auto from =
      static_cast<std::size_t>(draws_.between(0, static_cast<std::int64_t>(acknowledged_.size()) - 1));
  std::vector<Report> old{acknowledged_[from]};
  for (auto at = from + 1; at < acknowledged_.size() && acknowledged_[at].sequence == old.back().sequence + 1;
       ++at)
    old.push_back(acknowledged_[at]);
  deps_.world.count("old report repeated");
  take_batch(deps_.machine, batch_of(old), [](const v1::Ack&) {});
}

void Reporter::retry_in(Milliseconds wait) {
  if (std::exchange(retry_planned_, true)) return;
  deps_.world.in(wait, [this] {
    retry_planned_ = false;
    send();
  });
}

}  // namespace meterd::sim
