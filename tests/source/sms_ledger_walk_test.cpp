// A modem with messages that come and go, seen through repeated and missed signals and restarts on both
// sides, against an oracle that simply knows what was sent and received.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "agent/source/modem/sms_ledger.hpp"
#include "tests/base/seed.hpp"
#include "tests/support/rounds.hpp"

namespace meterd::source {
namespace {

using platform::MessageState;
using platform::ModemMessage;
using platform::PduType;

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : random_(seed) {
    ledger_.emplace(rules(), journal::v0::ModemCursor{});
    ledger_->begin_run(run());
    list();
    commit();
  }

  void step() {
    switch (pick(16)) {
      case 0:
        return delete_one();
      case 1:
        return restart_manager();
      case 2:
        return restart_daemon();
      case 3:
        return replug();
      case 4:
        return list();
      case 5:
        return commit();
      case 6:
      case 7:
        return repeat();
      case 8:
      case 9:
      case 10:
        return add();
      default:
        return advance();
    }
  }
  void settle() {
    list();
    commit();
  }
  std::uint64_t counted() const { return counted_; }
  std::uint64_t truth() const { return truth_; }

 private:
  struct Object {
    ModemMessage message;
    bool hidden = false;  // its signals are lost: only a listing shows it
  };

  static SmsLedger::Rules rules() { return {true, true, "epoch"}; }
  std::string run() const { return "run-" + std::to_string(run_); }
  std::size_t pick(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
  }

  void tell(const Object& object) {
    for (std::size_t i = 0; i <= pick(3); ++i) ledger_->see(object.message);
  }
  void list() {
    std::vector<std::string> paths;
    for (const auto& [number, object] : objects_) paths.push_back(object.message.path);
    ledger_->list(paths);
    for (const auto& [number, object] : objects_) ledger_->see(object.message);
    ledger_->know({{"modem", true}});
    if (!ledger_->wants_listing()) return;
    ledger_->list(paths);
  }
  void commit() {
    while (const auto next = ledger_->next()) {
      counted_ += *next;
      ledger_->counted();
    }
    committed_ = ledger_->record();
    in_journal_ = counted_;
  }
  void add() {
    Object object;
    const bool to_us = pick(2) == 0;
    object.hidden = pick(4) == 0;
    auto& message = object.message;
    message.path = "/org/freedesktop/ModemManager1/SMS/" + std::to_string(next_path_);
    message.modem = "modem";
    message.type = to_us ? PduType::deliver : PduType::submit;
    message.state = to_us ? MessageState::receiving : MessageState::unknown;
    message.storage = static_cast<std::uint32_t>(pick(2));
    message.number = "1";
    // What is received has a time of its own. What is sent has none: the same text again is another message
    // only if it is seen before it is sent, which a hidden one is not.
    if (to_us) message.timestamp = std::to_string(++clock_ / 2);
    const bool unique = object.hidden || (to_us && clock_ % 2 == 0);
    message.text = unique ? "unique " + std::to_string(++clock_) : std::string(1 + pick(4) * 150, 'a');
    const auto number = next_path_++;
    objects_[number] = object;
    if (object.hidden) return;
    tell(object);
    commit();
  }
  Object* any() {
    if (objects_.empty()) return nullptr;
    auto at = objects_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(pick(objects_.size())));
    return &at->second;
  }
  void advance() {
    auto* object = any();
    if (object == nullptr) return;
    auto& message = object->message;
    const bool to_us = message.type == PduType::deliver;
    const auto end = to_us ? MessageState::received : MessageState::sent;
    if (message.state == end) return;
    message.state = to_us || message.state == MessageState::sending ? end : MessageState::sending;
    if (message.state == end) truth_ += (message.text.size() + 152) / 153;
    if (!object->hidden) tell(*object);
  }
  void repeat() {
    if (const auto* object = any(); object != nullptr && !object->hidden) tell(*object);
  }
  // What is gone before anybody saw it is told by nobody.
  void delete_one() {
    auto* object = any();
    if (object == nullptr || object->hidden) return;
    const auto path = object->message.path;
    ledger_->erase(path);
    commit();
    std::erase_if(objects_, [&](const auto& one) { return one.second.message.path == path; });
  }
  // Only what the modem has stored comes again, and only in a state that a modem keeps.
  void shown_anew() {
    std::map<std::uint64_t, Object> before;
    before.swap(objects_);
    for (auto& [number, object] : before) {
      const auto state = object.message.state;
      if (object.message.storage == platform::kNotStored || object.hidden) continue;
      if (state != MessageState::received && state != MessageState::sent) continue;
      object.message.path = "/org/freedesktop/ModemManager1/SMS/" + std::to_string(next_path_);
      objects_[next_path_++] = object;
    }
  }
  void restart_manager() {
    settle();
    next_path_ = 0;
    shown_anew();
    ++run_;
    ledger_->begin_run(run());
    list();
  }
  void replug() {
    settle();
    shown_anew();
    if (pick(2) == 0)
      for (const auto& [number, object] : objects_) tell(object);
    list();
  }
  void restart_daemon() {
    counted_ = in_journal_;  // what was not committed is lost with it
    ledger_.emplace(rules(), committed_);
    ledger_->begin_run(run());
    list();
  }

  std::mt19937_64 random_;
  std::optional<SmsLedger> ledger_;
  journal::v0::ModemCursor committed_;
  std::uint64_t counted_ = 0, in_journal_ = 0, truth_ = 0;
  std::map<std::uint64_t, Object> objects_;
  std::uint64_t next_path_ = 0, clock_ = 0;
  int run_ = 1;
};

TEST(SmsLedgerWalk, CountsWhatAnOracleKnows) {
  const auto seed = testing::announced_seed("source_test", 20'270'115);
  std::uint64_t all = 0;
  for (std::uint64_t walk = 0; walk < testing::rounds(std::uint64_t{200}); ++walk) {
    Walk one(seed + walk);
    for (int step = 0; step < 400; ++step) one.step();
    one.settle();
    ASSERT_EQ(one.counted(), one.truth()) << "walk " << walk;
    all += one.truth();
  }
  EXPECT_GT(all, testing::rounds(3'000U)) << "the walks reach what they are about";
}

}  // namespace
}  // namespace meterd::source
