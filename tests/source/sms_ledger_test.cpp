// Each message once: through signals that repeat, restarts on both sides, deletions, and the same text twice.
#include "tests/source/sms_ledger_fixture.hpp"

namespace meterd::source {
namespace {

class SmsLedgerTest : public SmsLedgerFixture {};

TEST_F(SmsLedgerTest, CountsAReceivedMessageWhenAllItsPartsAreThere) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::receiving, "first part"));
  EXPECT_EQ(commit(), 0U);
  ledger_->see(sms_to_us(0, MessageState::received, std::string(400, 'a')));
  EXPECT_EQ(commit(), 3U);
}

TEST_F(SmsLedgerTest, CountsASentMessageWhenItIsSent) {
  first_listing();
  for (const auto state : {MessageState::unknown, MessageState::stored, MessageState::sending})
    ledger_->see(sms_from_us(0, state));
  EXPECT_EQ(commit(), 0U);
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerTest, CountsDataByItsOctets) {
  first_listing();
  auto message = sms_from_us(0, MessageState::sent, "");
  message.data = std::string(141, '\xff');
  ledger_->see(message);
  EXPECT_EQ(commit(), 2U);
}

TEST_F(SmsLedgerTest, CountsOnceHoweverOftenItIsTold) {
  first_listing();
  for (int i = 0; i < 3; ++i) ledger_->see(sms_from_us(0, MessageState::sending));
  for (int i = 0; i < 3; ++i) ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
  for (int i = 0; i < 3; ++i) ledger_->see(sms_from_us(0, MessageState::sent));
  list({0});
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 0U);
}

TEST_F(SmsLedgerTest, CountsTheSameTextTwiceWhenItIsSentTwice) {
  first_listing();
  for (const int number : {0, 1}) {
    ledger_->see(sms_from_us(number, MessageState::sending));
    ledger_->see(sms_from_us(number, MessageState::sent));
  }
  EXPECT_EQ(commit(), 2U);
}

TEST_F(SmsLedgerTest, LetsAListingDecideWhetherTheSameTextIsAnotherMessage) {
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 1U);
  ledger_->see(sms_from_us(1, MessageState::sent));
  EXPECT_TRUE(ledger_->wants_listing());
  list({1});
  EXPECT_EQ(commit(), 0U) << "in the place of the one that is not there any more";

  ledger_->see(sms_from_us(2, MessageState::sent));
  list({1});
  EXPECT_TRUE(ledger_->wants_listing()) << "made before it came";
  list({1, 2});
  EXPECT_FALSE(ledger_->wants_listing());
  EXPECT_EQ(commit(), 1U) << "both are there";
  ledger_->see(sms_from_us(3, MessageState::sent));
  ledger_->erase(path_of(3));
  list({1, 2});
  EXPECT_EQ(commit(), 1U) << "it was another one, though it is deleted";
}

TEST_F(SmsLedgerTest, DecidesADoubtfulMessageByWhatTheNextRunShows) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  ledger_->see(sms_to_us(1, MessageState::received));
  begin("run-2");
  EXPECT_EQ(commit(), 1U);
  ledger_->see(sms_to_us(0, MessageState::received));
  ledger_->see(sms_to_us(1, MessageState::received));
  list({0, 1});
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerTest, TakesWhatNoModemHasForAnotherMessageAlways) {
  first_listing();
  const auto unstored = [](int number) {
    auto message = sms_from_us(number, MessageState::sent);
    message.storage = platform::kNotStored;
    return message;
  };
  ledger_->see(unstored(0));
  ledger_->see(unstored(1));
  list({});  // a modem that could not be listed for a moment
  ledger_->see(unstored(0));
  EXPECT_EQ(commit(), 2U);
  begin("run-2");
  ledger_->see(unstored(0));
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerTest, CarriesAMessageThatIsStoredAfterwards) {
  first_listing();
  auto message = sms_from_us(0, MessageState::sent);
  message.storage = platform::kNotStored;
  ledger_->see(message);
  EXPECT_EQ(commit(), 1U);
  ledger_->see(sms_from_us(0, MessageState::sent, "its content is not told again"));
  commit();
  begin("run-2");
  ledger_->see(sms_from_us(0, MessageState::sent));
  EXPECT_EQ(commit(), 0U);
}

TEST_F(SmsLedgerTest, CountsOnlyItsDirectionAndNoReports) {
  rules_.received = false;
  start({});
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  auto report = sms_to_us(1, MessageState::received);
  report.type = PduType::status_report;
  ledger_->see(report);
  EXPECT_FALSE(ledger_->changed() && ledger_->record().messages_size() > 0) << "nothing of them is kept";
  auto cdma = sms_from_us(2, MessageState::sent);
  cdma.type = PduType::cdma_submit;
  ledger_->see(cdma);
  EXPECT_EQ(commit(), 1U);

  rules_ = {false, true, "key"};
  start({});
  first_listing();
  ledger_->see(sms_from_us(0, MessageState::sent));
  ledger_->see(report);
  auto acknowledgement = sms_to_us(3, MessageState::received);
  acknowledgement.type = static_cast<PduType>(35);
  ledger_->see(acknowledgement);
  cdma = sms_to_us(4, MessageState::received);
  cdma.type = PduType::cdma_deliver;
  ledger_->see(cdma);
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerTest, TakesWhatIsThereAtFirstForAStartingPoint) {
  begin("run-1");
  list({0, 1});
  ledger_->see(sms_to_us(0, MessageState::received));
  ledger_->see(sms_to_us(1, MessageState::receiving));
  know();
  ledger_->see(sms_to_us(1, MessageState::received));
  EXPECT_EQ(commit(), 1U) << "the one that was not complete";
}

TEST_F(SmsLedgerTest, WaitsForAModemThatHasNotShownItsMessagesYet) {
  begin("run-1");
  list({});
  know(false);
  ledger_->see(sms_to_us(0, MessageState::received));
  list({0});
  know();
  EXPECT_EQ(commit(), 0U);
  ledger_->see(sms_to_us(1, MessageState::received, "new"));
  EXPECT_EQ(commit(), 1U);
}

TEST_F(SmsLedgerTest, TakesTheMessagesOfAnotherModemForAStartingPointToo) {
  first_listing();
  auto other = sms_to_us(0, MessageState::received);
  other.modem = "359881030314356";
  ledger_->see(other);
  ledger_->know({{kModem, true}, {other.modem, true}});
  EXPECT_EQ(commit(), 0U);
}

TEST_F(SmsLedgerTest, ForgetsFirstWhatNoModemHas) {
  first_listing();
  const int many = static_cast<int>(kMessagesMax);
  ledger_->see(sms_to_us(0, MessageState::received));
  for (int i = 1; i <= many; ++i) {
    auto message = sms_from_us(i, MessageState::sent, std::to_string(i));
    message.storage = platform::kNotStored;
    ledger_->see(message);
  }
  EXPECT_EQ(commit(), kMessagesMax + 1);
  EXPECT_EQ(ledger_->take_forgotten(), 0U) << "no other run can show them";
  EXPECT_LE(static_cast<std::size_t>(ledger_->record().messages_size()), kMessagesMax);
  restart();
  for (int i = 1; i <= many; ++i) ledger_->see(sms_from_us(i, MessageState::sent, std::to_string(i)));
  EXPECT_EQ(commit(), 0U);
  begin("run-2");
  ledger_->see(sms_to_us(0, MessageState::received));
  EXPECT_EQ(commit(), 0U) << "the one that a modem has is still known";
}

TEST_F(SmsLedgerTest, SaysHowManyStoredMessagesItForgot) {
  first_listing();
  for (int i = 0; i <= static_cast<int>(kMessagesMax); ++i)
    ledger_->see(sms_to_us(i, MessageState::received, std::to_string(i)));
  EXPECT_EQ(commit(), kMessagesMax + 1);
  EXPECT_EQ(ledger_->take_forgotten(), kMessagesMax / 4 + 1);
  EXPECT_EQ(ledger_->take_forgotten(), 0U);
  for (int i = 0; i <= static_cast<int>(kMessagesMax); ++i)
    ledger_->see(sms_to_us(i, MessageState::received, std::to_string(i)));
  EXPECT_EQ(commit(), 0U) << "in the same run their paths are behind";
}

TEST_F(SmsLedgerTest, BoundsWhatNoMeterTakes) {
  first_listing();
  for (int i = 0; i < kUncountedMax + 100; ++i)
    ledger_->see(sms_from_us(i, MessageState::sent, std::to_string(i)));
  EXPECT_EQ(ledger_->record().uncounted_size(), kUncountedMax);
  EXPECT_EQ(commit(), kUncountedMax + 100U);
}

TEST_F(SmsLedgerTest, KeepsNothingOfNumbersTextsAndModems) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received, "a secret text"));
  const auto bytes = ledger_->record().SerializeAsString();
  for (const char* piece : {"secret", "555", "2027", kModem})
    EXPECT_THAT(bytes, ::testing::Not(::testing::HasSubstr(piece)));
  EXPECT_EQ(ledger_->record().messages(0).fingerprint().size(), 16U);
}

TEST_F(SmsLedgerTest, MakesOtherFingerprintsUnderAnotherKey) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  const auto before = ledger_->record().messages(0).fingerprint();
  rules_.key = "another";
  start({});
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  EXPECT_NE(ledger_->record().messages(0).fingerprint(), before);
}

TEST_F(SmsLedgerTest, AsksForNoCommitWhenNothingIsNew) {
  first_listing();
  ledger_->see(sms_to_us(0, MessageState::received));
  commit();
  ledger_->see(sms_to_us(0, MessageState::received));
  list({0});
  EXPECT_FALSE(ledger_->changed());
  ledger_->erase(path_of(0));
  EXPECT_TRUE(ledger_->changed()) << "or the next one like it might be taken for it";
}

}  // namespace
}  // namespace meterd::source
