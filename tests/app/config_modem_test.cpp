// [[source]] tables of short messages.
#include <gmock/gmock.h>

#include "tests/app/config_fixture.hpp"

namespace meterd::app {
namespace {

using ::testing::HasSubstr;

std::string source_of(const std::string& more) {
  return "[[source]]\nkind = \"modem-manager\"\nevent = \"sms\"\nsubscription = \"sub_1\"\n" + more;
}

std::string meter() { return "[[meter]]\nevent = \"sms\"\nitem_price = \"sms-usd\"\n"; }

class ConfigModem : public ConfigFixture {};

TEST_F(ConfigModem, CountsWhatIsSentUnlessToldOtherwise) {
  const auto config = load(source_of("") + source_of("direction = \"received\"\n") + meter());
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->sources.size(), 2U);
  const auto& sent = std::get<source::ModemRule>(config->sources[0]);
  EXPECT_EQ(sent.direction, "sent");
  EXPECT_EQ(sent.modem, "");
  EXPECT_TRUE(source::listens(config->sources[0]));
  EXPECT_NE(source::name_of(config->sources[0]), source::name_of(config->sources[1]));
}

TEST_F(ConfigModem, IsDescribedAsItWasLoaded) {
  const std::string text = source_of("direction = \"both\"\nmodem = \"490154203237518\"\n") + meter();
  const auto config = load(text);
  ASSERT_TRUE(config) << config.error().message;
  const auto again = load(describe(*config));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->sources, config->sources);
}

TEST_F(ConfigModem, RefusesWhatWouldCountTwice) {
  const char* twice = "another [[source]] counts the same messages as \"sms\" already";
  EXPECT_THAT(errors(source_of("") + source_of("") + meter()), HasSubstr(twice));
  EXPECT_THAT(errors(source_of("direction = \"both\"\n") + source_of("modem = \"1\"\n") + meter()),
              HasSubstr(twice));
  EXPECT_EQ(errors(source_of("modem = \"1\"\n") + source_of("modem = \"2\"\n") + meter()), "");
}

TEST_F(ConfigModem, NamesEachMistake) {
  EXPECT_THAT(errors(source_of("direction = \"up\"\n") + meter()),
              HasSubstr("5: source.direction: expected \"sent\", \"received\" or \"both\"; found \"up\""));
  EXPECT_THAT(errors(source_of("modem = \"/dev/ttyUSB0\"\n") + meter()),
              HasSubstr("5: source.modem: expected"));
  EXPECT_THAT(errors(source_of("name = \"wwan0\"\n") + meter()), HasSubstr("5: source.name"));
}

}  // namespace
}  // namespace meterd::app
