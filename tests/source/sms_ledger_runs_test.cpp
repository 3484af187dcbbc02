// What comes again: after a restart of the daemon, of ModemManager, of the modem.
#include "tests/source/sms_ledger_fixture.hpp"

namespace meterd::source {
namespace {

class SmsLedgerRuns : public SmsLedgerFixture {};

TEST_F(SmsLedgerRuns, CountsAtTheRestartWhatCameWhileTheDaemonWasDown) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  EXPECT_EQ(commit(), 1U);
  restart();
  ledger_->see(sms_to_us(0, MessageState::received));
  ledger_->see(sms_to_us(1, MessageState::received, "while it was down"));
  list({0, 1});
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerRuns, CountsAgainWhatWasNotCommitted) {
  first_listing();
  commit();
  ledger_->see(sms_to_us(0, MessageState::received));
  restart();
  ledger_->see(sms_to_us(0, MessageState::received));
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerRuns, KnowsStoredMessagesInTheNextRunByTheirContent) {
  first_listing();
  ledger_->see(sms_to_us(5, MessageState::received, "a"));
  ledger_->see(sms_from_us(6, MessageState::sent, "b"));
  EXPECT_EQ(commit(), 2U);
  begin("run-2");
  ledger_->see(sms_from_us(0, MessageState::sent, "b"));
  ledger_->see(sms_to_us(1, MessageState::received, "a"));
  list({0, 1});
  EXPECT_EQ(commit(), 0U);
  ledger_->see(sms_to_us(2, MessageState::received, "a", "2027-01-15T09:00:00+00"));
  EXPECT_EQ(commit(), 1U) << "the same text at another time";
}

TEST_F(SmsLedgerRuns, UsesUpOneCarryingForEachMessage) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  ledger_->see(sms_from_us(1, MessageState::sent));
  list({0, 1});
  EXPECT_EQ(commit(), 2U);
  begin("run-2");
  for (int i = 0; i < 3; ++i) ledger_->see(sms_from_us(i, MessageState::sent));
  list({0, 1, 2});
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerRuns, CountsTheSameTextSentAnewInTheNextRun) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
  begin("run-2");
  ledger_->see(sms_from_us(0, MessageState::sending));
  commit();
  restart();
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerRuns, ForgetsWhatWasDeleted) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
  ledger_->erase(path_of(0));
  EXPECT_EQ(ledger_->record().messages_size(), 0);
  begin("run-2");
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U) << "another one";
}

TEST_F(SmsLedgerRuns, StillOwesWhatWasDeletedBeforeItWasCounted) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  ledger_->erase(path_of(0));
  committed_ = ledger_->record();  // no meter took it
  restart();
  EXPECT_EQ(commit(), 1U);
}

// ModemManager drops a modem's message objects when it is disabled and makes others when it is enabled.
TEST_F(SmsLedgerRuns, KnowsMessagesThatComeBackUnderAnotherPathOfTheSameRun) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  EXPECT_EQ(commit(), 1U);
  list({});
  ledger_->see(sms_to_us(1, MessageState::received));
  EXPECT_EQ(commit(), 0U);
  ledger_->see(sms_to_us(2, MessageState::received));  // told before the listing that misses the former
  list({2});
  EXPECT_EQ(commit(), 0U);
}

TEST_F(SmsLedgerRuns, GoesOnInTheSameRunAfterALostConnection) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
  begin("run-1");
  ledger_->see(sms_from_us(0, MessageState::sent));
  ledger_->see(sms_from_us(1, MessageState::sent));
  list({0, 1});
  EXPECT_EQ(commit(), 1U) << "the same text, on another path of this run";
}

// Deleted while the daemon was down, and the same text sent to the same number: where another message of the
// run is still listed, the modem was not enabled anew.
TEST_F(SmsLedgerRuns, CountsTheSameTextAnewWhereTheModemWentOn) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent, "another"));
  ledger_->see(sms_from_us(1, MessageState::sent));
  EXPECT_EQ(commit(), 2U);
  restart();
  list({0, 2});
  ledger_->see(sms_from_us(0, MessageState::sent, "another"));
  ledger_->see(sms_from_us(2, MessageState::sent));
  know();
  EXPECT_EQ(commit(), 1U);
  EXPECT_EQ(ledger_->take_taken(), 0U);
}

// One that came since then does not tell that the modem went on.
TEST_F(SmsLedgerRuns, KnowsWhatIsShownAgainBehindANewMessage) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received, "a"));
  ledger_->see(sms_to_us(1, MessageState::received, "b"));
  EXPECT_EQ(commit(), 2U);
  ledger_->see(sms_to_us(2, MessageState::received, "new"));
  ledger_->see(sms_to_us(3, MessageState::received, "a"));
  ledger_->see(sms_to_us(4, MessageState::received, "b"));
  list({2, 3, 4});
  EXPECT_EQ(commit(), 1U);
}

// Nothing tells that from a modem that was enabled anew.
TEST_F(SmsLedgerRuns, ShowsWhatItTookForAMessageThatWentUnseen) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent, std::string(161, 'a')));
  EXPECT_EQ(commit(), 2U);
  restart();
  list({1});
  ledger_->see(sms_from_us(1, MessageState::sent, std::string(161, 'a')));
  know();
  EXPECT_EQ(commit(), 0U);
  EXPECT_EQ(ledger_->take_taken(), 2U);
  list({});
  ledger_->see(sms_from_us(2, MessageState::sent, std::string(161, 'a')));
  EXPECT_EQ(ledger_->take_taken(), 0U) << "the daemon was there: the modem was enabled anew";
}

// At each boot: what was received says when, what was sent does not.
TEST_F(SmsLedgerRuns, ShowsWhatItTookForAMessageOfAnEarlierRun) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  ledger_->see(sms_to_us(1, MessageState::received));
  EXPECT_EQ(commit(), 2U);
  restart();
  begin("run-2");
  list({0, 1});
  ledger_->see(sms_from_us(0, MessageState::sent));
  ledger_->see(sms_to_us(1, MessageState::received));
  know();
  EXPECT_EQ(commit(), 0U);
  EXPECT_EQ(ledger_->take_taken(), 1U);
  begin("run-3");
  list({0});
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 0U);
  EXPECT_EQ(ledger_->take_taken(), 0U) << "the daemon was there";
}

// A modem with two SIMs shows what the one has, then what the other has, then the first again.
TEST_F(SmsLedgerRuns, KnowsTheMessagesOfASimThatComesBack) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  EXPECT_EQ(commit(), 1U);
  begin("run-2");
  list({});
  know();
  EXPECT_EQ(commit(), 0U);
  begin("run-3");
  list({0});
  ledger_->see(sms_to_us(0, MessageState::received));
  know();
  EXPECT_EQ(commit(), 0U);
}

// Of several modems nobody knows which one had a message.
TEST_F(SmsLedgerRuns, DoesNotTakeItForDeletedWhereThereAreSeveralModems) {
  first_listing();
  ledger_->know({{kModem, true}, {"another modem", true}});
  ledger_->see(sms_from_us(0, MessageState::sent, "another"));
  ledger_->see(sms_from_us(1, MessageState::sent));
  EXPECT_EQ(commit(), 2U);
  restart();
  list({0, 2});
  ledger_->see(sms_from_us(2, MessageState::sent));
  EXPECT_EQ(commit(), 0U);
  EXPECT_EQ(ledger_->take_taken(), 1U);
}

}  // namespace
}  // namespace meterd::source
