#include "tests/sim/caller.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace meterd::sim {

namespace asio = boost::asio;
using usages::Change;
using usages::Why;

namespace {

constexpr std::size_t kKnownKept = 20;
constexpr Milliseconds kAnswerTimeout{20'000};
// The idempotency window of the device is 30 minutes of its own time.
constexpr Milliseconds kSurelyRemembered{20 * 60'000};
constexpr std::int64_t kDateSpanSeconds = 12 * 3'600;
constexpr Milliseconds kDeleteWithin{12 * 3'600'000};

using Answer = std::function<void(const Result<Change>&)>;
using Looked = std::function<void(const Result<journal::UsagePage>&)>;

std::string render_id(const journal::UsageRecord& record) { return record.id(); }

asio::awaitable<void> ask_create(usages::Collection& collection, usages::Draft draft,
                                 usages::IdempotencyKey key, Answer answer) {
  usages::Render render = render_id;
  const auto change = co_await collection.create(std::move(draft), std::move(key), std::move(render));
  answer(change);
}

asio::awaitable<void> ask_delete(usages::Collection& collection, usages::Deletion deletion,
                                 usages::IdempotencyKey key, Answer answer) {
  usages::Render render = render_id;
  const auto change = co_await collection.remove(std::move(deletion), std::move(key), std::move(render));
  answer(change);
}

asio::awaitable<void> ask_list(usages::Collection& collection, journal::UsageQuery query, Looked looked) {
  const auto page = co_await collection.list(std::move(query));
  looked(page);
}

std::string quantity_text(std::int64_t milli) {
  const auto rest = std::to_string(1'000 + milli % 1'000).substr(1);
  return std::to_string(milli / 1'000) + "." + rest;
}

std::string digest_of(const usages::Draft& draft) {
  return draft.subscription.value() + " " + draft.item_price.value() + " " +
         (draft.id ? draft.id->value() : "") + " " + std::to_string(draft.usage_date) + " " +
         draft.given_quantity;
}

}  // namespace

void Caller::begin() {
  deps_.world.in(draws_.span(Milliseconds(0), habits_.interval), [this] { make(); });
}

void Caller::make() {
  if (!making_) return;
  const auto count = draws_.between(1, habits_.burst);
  for (std::int64_t i = 0; i < count; ++i) {
    if (!known_.empty() && draws_.percent(habits_.taken_percent)) {
      const auto& taken =
          known_[static_cast<std::size_t>(draws_.between(0, static_cast<std::int64_t>(known_.size()) - 1))];
      ask_for(taken.subscription.value(), taken.item_price.value(), taken.usage_date);
      continue;
    }
    const auto series = draws_.pick(habits_.series);
    ask_for(series.first, series.second, some_date());
  }
  send();
  deps_.world.in(draws_.span(Milliseconds(1'000), 2 * habits_.interval), [this] { make(); });
}

// One that this caller has not had yet.
std::int64_t Caller::some_date() {
  std::int64_t date = 0;
  do {
    date = deps_.world.now().seconds().count() - draws_.between(0, kDateSpanSeconds);
  } while (!dates_.insert(date).second);
  return date;
}

void Caller::ask_for(const std::string& subscription, const std::string& item_price,
                     std::int64_t usage_date) {
  const auto milli = draws_.percent(80) ? 1'000 * draws_.between(1, 20) : draws_.between(1, 5'000);
  Request request;
  request.key = habits_.name + "-" + std::to_string(++made_);
  auto& draft = request.draft;
  draft.subscription = SubscriptionId(subscription);
  draft.item_price = ItemPriceId(item_price);
  draft.usage_date = usage_date;
  draft.given_quantity = quantity_text(milli);
  draft.quantity = *Quantity::parse(draft.given_quantity);
  draft.note = request.key;
  if (!draws_.percent(habits_.no_id_percent)) draft.id = UsageId(request.key);
  request.entry =
      deps_.book.want({draft.id ? draft.id->value() : "", subscription, item_price, usage_date, milli});
  waiting_.push_back(std::move(request));
}

void Caller::delete_later(UsageBook::Entry entry, const usages::Draft& draft) {
  const auto ask = [this, entry, draft] {
    if (!making_) return;
    Request request;
    request.deletes = true;
    request.entry = entry;
    request.draft = draft;
    request.id = *draft.id;
    request.key = habits_.name + "-delete-" + std::to_string(++made_);
    waiting_.push_back(std::move(request));
    send();
  };
  deps_.world.in(draws_.any_span(Milliseconds(10), kDeleteWithin), ask);
}

void Caller::connect() {
  connected_ = true;
  send();
}

void Caller::disconnect() {
  connected_ = false;
  if (std::exchange(in_flight_, false)) waiting_.front().maybe_done = true;
  ++sent_;  // no answer comes any more
}

void Caller::send() {
  if (!connected_ || in_flight_ || waiting_.empty()) return;
  in_flight_ = true;
  knew_time_ = deps_.machine.wall().trusted;
  const auto number = ++sent_;
  const auto& request = waiting_.front();
  if (request.maybe_done) ++repeated_;
  deps_.world.note(habits_.name + (request.deletes ? " deletes " : " creates ") + request.key + " " +
                   digest_of(request.draft) + (request.maybe_done ? ", once more" : ""));
  deps_.on_send();
  auto& collection = deps_.machine.core().collection();
  const usages::IdempotencyKey key{request.key,
                                   (request.deletes ? "delete " : "create ") + digest_of(request.draft)};
  Answer answer = [this, number](const Result<Change>& change) { take_answer(number, change); };
  auto asked = request.deletes ? ask_delete(collection, {request.draft.subscription, request.id}, key, answer)
                               : ask_create(collection, request.draft, key, answer);
  asio::co_spawn(deps_.machine.loop(), std::move(asked), asio::detached);
  deps_.world.in(kAnswerTimeout, [this, number] {
    if (!in_flight_ || number != sent_) return;
    deps_.world.note(habits_.name + " gave up waiting");
    disconnect();
    connect();
  });
}

void Caller::repeat_in(Milliseconds wait) {
  if (std::exchange(repeat_planned_, true)) return;
  deps_.world.in(wait, [this] {
    repeat_planned_ = false;
    send();
  });
}

void Caller::lose_answer(const Result<Change>& answer) {
  deps_.world.count("answer to a caller lost");
  deps_.world.note(habits_.name + " did not get its answer");
  auto& request = waiting_.front();
  const bool known = knew_time_ && deps_.machine.wall().trusted;
  if (answer && !answer->refusal && !answer->replayed && known) request.surely_done = deps_.world.now();
  disconnect();
  if (habits_.renames && !request.deletes) {
    request.key += "x";
    request.draft.id.reset();
    request.draft.usage_date = some_date();
  }
  deps_.world.in(draws_.any_span(Milliseconds(100), Milliseconds(3'600'000)), [this] {
    if (deps_.machine.running()) connect();
  });
}

void Caller::take_answer(std::uint64_t number, const Result<Change>& answer) {
  if (number != sent_ || !in_flight_) return;
  if (!deps_.world.quiet() && draws_.percent(habits_.lost_answer_percent)) return lose_answer(answer);
  const auto& request = waiting_.front();
  if (!answer) {
    deps_.world.note(habits_.name + " is told: " + answer.error().message);
    in_flight_ = false;
    waiting_.front().maybe_done |= answer.error().code != Code::full;
    return repeat_in(draws_.any_span(Milliseconds(1'000), Milliseconds(600'000)));
  }
  deps_.world.note(habits_.name +
                   " is answered: " + (answer->refusal ? answer->refusal->message : answer->answer) +
                   (answer->replayed ? ", replayed" : ""));
  check_replay(request, *answer);
  if (request.deletes)
    settle_delete(request, *answer);
  else if (!settle_create(request, *answer))
    return look_for(request);
  finish_first();
}

void Caller::finish_first() {
  in_flight_ = false;
  waiting_.pop_front();
  send();
}

void Caller::check_replay(const Request& request, const Change& change) {
  const bool soon = request.surely_done && deps_.world.now() - *request.surely_done < kSurelyRemembered;
  if (soon && knew_time_ && !change.replayed)
    deps_.book.complain("the answer to " + request.key + " was not remembered");
  if (change.replayed && !request.maybe_done)
    deps_.book.complain("the answer to " + request.key + " was replayed, and it was never asked before");
}

bool Caller::settle_create(const Request& request, const Change& change) {
  if (!change.refusal) {
    confirm_created(request, change.answer);
    return true;
  }
  deps_.world.count("a caller's usage refused");
  const auto why = change.refusal->why;
  if (why == Why::duplicate_id && request.draft.id && request.maybe_done)  // by the attempt before
    confirm_created(request, request.draft.id->value());
  else if (why == Why::date_taken && !request.draft.id && request.maybe_done)
    return false;
  else
    deps_.book.refused(request.entry);
  if (why != Why::date_taken && !(why == Why::duplicate_id && request.maybe_done))
    deps_.book.complain("a caller is refused: " + change.refusal->message);
  return true;
}

void Caller::confirm_created(const Request& request, const std::string& id) {
  deps_.book.created(request.entry, id);
  auto draft = request.draft;
  draft.id = UsageId(id);
  if (draws_.percent(habits_.delete_percent)) delete_later(request.entry, draft);
  if (!habits_.long_memory) return;  // its second would be free when it is forgotten
  known_.push_back(std::move(draft));
  if (known_.size() > kKnownKept) known_.pop_front();
}

void Caller::settle_delete(const Request& request, const Change& change) {
  const bool gone = change.refusal && change.refusal->why == Why::not_found && request.maybe_done;
  if (gone && !habits_.long_memory)
    deps_.book.lose_sight(request.entry);
  else if (!change.refusal || gone)
    deps_.book.deleted(request.entry);
  else if (change.refusal->why != Why::not_found || habits_.long_memory)
    deps_.book.complain("a deletion is refused: " + change.refusal->message);
  if (change.refusal || !making_ || !draws_.percent(habits_.again_percent)) return;
  const auto& old = request.draft;
  ask_for(old.subscription.value(), old.item_price.value(), old.usage_date);
}

// Its second is taken: by the attempt before, or by somebody else's usage? The note tells.
void Caller::look_for(const Request& request) {
  const auto number = ++sent_;
  journal::UsageQuery query;
  query.subscription.is = request.draft.subscription.value();
  query.item_price.is = request.draft.item_price.value();
  query.first_date = query.last_date = request.draft.usage_date;
  Looked looked = [this, number](const Result<journal::UsagePage>& page) { take_looked(number, page); };
  auto asked = ask_list(deps_.machine.core().collection(), std::move(query), std::move(looked));
  asio::co_spawn(deps_.machine.loop(), std::move(asked), asio::detached);
}

void Caller::take_looked(std::uint64_t number, const Result<journal::UsagePage>& page) {
  if (number != sent_ || !in_flight_) return;
  if (!page) {
    in_flight_ = false;
    return repeat_in(Milliseconds(1'000));
  }
  const auto& request = waiting_.front();
  std::string id;
  for (const auto& stored : page->usages)
    if (stored.record.note() == request.draft.note) id = stored.record.id();
  if (id.empty())
    deps_.book.refused(request.entry);
  else
    confirm_created(request, id);
  finish_first();
}

}  // namespace meterd::sim
