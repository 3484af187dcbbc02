#include "tests/sim/counted_messages.hpp"

#include <algorithm>

namespace meterd::sim {

using platform::MessageState;

namespace {
constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kMinute{60'000};
constexpr Milliseconds kDay{86'400'000};
constexpr const char* kModem = "490154203237518";
constexpr std::size_t kMessagesMax = 40;  // of a SIM
constexpr std::size_t kTextsKept = 8;

// GSM 7-bit, as the standard has it: 160 characters alone, 153 in a part of several.
std::int64_t segments_of(std::size_t characters) {
  return characters <= 160 ? 1 : static_cast<std::int64_t>((characters + 152) / 153);
}
}  // namespace

// What the process speaks through; it goes with the process.
class CountedMessages::Connection final : public platform::ModemMessages {
 public:
  explicit Connection(CountedMessages& station) : station_(station) {
    station_.connection_ = this;
    station_.texts_.clear();
  }
  ~Connection() override {
    if (station_.connection_ == this) station_.connection_ = nullptr;
  }
  boost::asio::awaitable<void> watch(platform::ModemWatcher& told) override {
    watcher = &told;
    station_.show_all();
    co_return;
  }
  void list_again() override {
    station_.deps_.world.in(Milliseconds(0), [&station = station_] { station.show_all(); });
  }
  void stop() override { watcher = nullptr; }
  platform::ModemWatcher* watcher = nullptr;

 private:
  CountedMessages& station_;
};

void CountedMessages::furnish(app::Surroundings& surroundings) {
  surroundings.make_modem_messages = [this](const std::string&) {
    return std::make_unique<Connection>(*this);
  };
}

void CountedMessages::pass(Draws& draws) {
  if (draws.once_in(40)) {
    deps_.world.count("modem manager started again");
    restart_manager();
    show_all();
  }
  begin_message(draws);
}

void CountedMessages::begin_message(Draws& draws) {
  if (messages_.size() >= kMessagesMax) erase(std::next(messages_.begin())->first);
  if (connection_ == nullptr) texts_.clear();
  if (texts_.empty() || !draws.percent(30)) {
    const auto length = static_cast<std::size_t>(draws.between(1, draws.percent(70) ? 160 : 900));
    auto text = std::to_string(texts_made_++) + ".";  // none comes twice by chance
    text.resize(std::max(text.size(), length), 'a');
    texts_.push_back(std::move(text));
    if (texts_.size() > kTextsKept) texts_.erase(texts_.begin());
  }
  const auto number = next_number_++;
  auto& message = messages_[number];
  const auto& text = texts_[static_cast<std::size_t>(draws.next() % texts_.size())];
  message.segments = segments_of(text.size());
  message.shown = {"/org/freedesktop/ModemManager1/SMS/" + std::to_string(next_path_++),
                   kModem,
                   MessageState::sending,
                   platform::PduType::submit,
                   draws.percent(80) ? 1U : platform::kNotStored,
                   "+15550100",
                   "",
                   text,
                   ""};
  if (number == 0)
    message.shown.storage = 1;
  else
    deps_.world.in(draws.any_span(kMinute, kDay), [this, number] { erase(number); });
  if (draws.percent(40)) return end_message(number);  // nobody was told that it was on its way
  show(message);
  deps_.world.in(draws.any_span(kSecond, 30 * kSecond), [this, number] { end_message(number); });
}

void CountedMessages::end_message(std::uint64_t number) {
  const auto found = messages_.find(number);
  if (found == messages_.end()) return;
  auto& message = found->second;
  message.shown.state = MessageState::sent;
  message.claim = add(message.segments);
  message.run = run_;
  deps_.world.note("message " + std::to_string(number) + " is sent: " + message.shown.text.substr(0, 4) +
                   std::to_string(message.shown.text.size()) + " at " + message.shown.path.substr(32) +
                   (message.shown.storage == platform::kNotStored ? ", not stored" : ""));
  show(message);
}

void CountedMessages::erase(std::uint64_t number) {
  const auto found = messages_.find(number);
  if (found == messages_.end()) return;
  const auto shown = found->second.shown;
  if (found->second.claim) forget(*found->second.claim);
  messages_.erase(found);
  // If that is not committed, a run before this one stands in the journal, and what of it is not committed
  // either may be taken for what was deleted.
  for (const auto& [other, message] : messages_)
    if (message.claim && message.run < run_ && message.shown.text == shown.text) doubt(*message.claim);
  deps_.world.note("message " + std::to_string(number) + " is deleted");
  if (connection_ == nullptr) texts_.clear();
  if (connection_ != nullptr && connection_->watcher != nullptr) connection_->watcher->deleted(shown.path);
}

// What only it had is gone, and so is what was on its way. Where no agent looks, what is not committed may be
// taken for what was deleted.
void CountedMessages::restart_manager() {
  if (connection_ == nullptr)
    for (const auto& [number, message] : messages_)
      if (message.claim) doubt(*message.claim);
  for (auto at = messages_.begin(); at != messages_.end();) {
    auto& message = at->second;
    if (message.claim && message.shown.storage != platform::kNotStored) {
      ++at;
      continue;
    }
    if (message.claim) forget(*message.claim);
    at = messages_.erase(at);
  }
  ++run_;
  deps_.world.note("the modem's manager is started: run " + std::to_string(run_));
  next_path_ = 0;
  texts_.clear();
  for (auto& [number, message] : messages_) {
    if (deps_.lies) message.shown.timestamp = std::to_string(run_);
    message.shown.path = "/org/freedesktop/ModemManager1/SMS/" + std::to_string(next_path_++);
  }
}

void CountedMessages::lose_power() {
  connection_ = nullptr;
  restart_manager();
}

void CountedMessages::show(const Message& message) {
  if (connection_ != nullptr && connection_->watcher != nullptr) connection_->watcher->seen(message.shown);
}

void CountedMessages::show_all() {
  if (connection_ == nullptr || connection_->watcher == nullptr) return;
  auto& watcher = *connection_->watcher;
  watcher.run_began("run-" + std::to_string(run_));
  std::vector<std::string> paths;
  for (const auto& [number, message] : messages_) paths.push_back(message.shown.path);
  watcher.listing(paths);
  for (const auto& [number, message] : messages_) watcher.seen(message.shown);
  watcher.listed({{kModem, true}});
}

}  // namespace meterd::sim
