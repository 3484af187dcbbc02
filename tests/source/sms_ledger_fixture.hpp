// A ledger of short messages under test, with a modem's messages and what was committed.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/source/modem/sms_ledger.hpp"

namespace meterd::source {

using platform::MessageState;
using platform::ModemMessage;
using platform::PduType;

inline constexpr const char* kModem = "490154203237518";

inline std::string path_of(int number) {
  return "/org/freedesktop/ModemManager1/SMS/" + std::to_string(number);
}

inline ModemMessage sms_from_us(int number, MessageState state, std::string text = "hello") {
  return {path_of(number), kModem, state, PduType::submit, 1, "+15550100", "", std::move(text), ""};
}
inline ModemMessage sms_to_us(int number, MessageState state, std::string text = "hello",
                              std::string time = "2027-01-15T08:00:00+00") {
  return {path_of(number), kModem,          state, PduType::deliver, 1, "+15550100",
          std::move(time), std::move(text), ""};
}

class SmsLedgerFixture : public ::testing::Test {
 protected:
  SmsLedgerFixture() { start({}); }
  void start(journal::v0::ModemCursor stored) { ledger_.emplace(rules_, std::move(stored)); }
  void restart() {  // the daemon, with what it had committed last
    start(committed_);
    ledger_->begin_run(run_);
  }
  void begin(std::string run) {
    run_ = std::move(run);
    ledger_->begin_run(run_);
  }
  void list(const std::vector<int>& numbers) {
    std::vector<std::string> paths;
    for (const int number : numbers) paths.push_back(path_of(number));
    ledger_->list(paths);
  }
  void know(bool ready = true) { ledger_->know({{kModem, ready}}); }
  void first_listing() {
    begin("run-1");
    list({});
    know();
  }
  std::uint64_t commit() {  // what was counted, and the record with it
    std::uint64_t segments = 0;
    while (const auto next = ledger_->next()) {
      segments += *next;
      ledger_->counted();
    }
    committed_ = ledger_->record();
    ledger_->written();
    return segments;
  }

  SmsLedger::Rules rules_{true, true, "0123456789abcdef"};
  std::optional<SmsLedger> ledger_;
  journal::v0::ModemCursor committed_;
  std::string run_;
};

}  // namespace meterd::source
